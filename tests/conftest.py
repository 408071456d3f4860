"""Fixtures shared by the tests of both packages.

`pair_corpus` is six pairs of a synthetic voice with known truth (see synthetic.py), `arctic` a few
minutes of real speech, which is not part of the repository: tests that ask for it are skipped
where it is absent.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from synthetic import PairCorpus, write_pair_corpus

# As many tests run at once as there are cores: more threads than that wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadlines in property tests: the machines that run them differ.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")


@pytest.fixture(scope="session")
def arctic() -> Path:
    """Folder of CMU ARCTIC: clb/ and slt/ below it."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "arctic"
    folder = Path(os.environ.get("VC_ARCTIC", beside))
    if not (folder / "clb").is_dir():
        pytest.skip("CMU ARCTIC is not here; set VC_ARCTIC to the folder that holds clb and slt")
    return folder


@pytest.fixture
def pair_corpus(tmp_path: Path) -> PairCorpus:
    """Six synthetic pairs in tmp_path/corpus/{source,target}, with their truth; yours to change."""
    return write_pair_corpus(tmp_path / "corpus")

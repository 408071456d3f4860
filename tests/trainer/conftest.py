"""A small built dataset for the trainer's tests: N2C, 14 pairs of the synthetic voices."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from synthetic import PairCorpus, write_pair_corpus
from untrained import built, dataset_settings


@pytest.fixture(scope="session")
def n2c_corpus(tmp_path_factory: pytest.TempPathFactory) -> PairCorpus:
    """14 pairs, N > C; not to be changed."""
    return write_pair_corpus(tmp_path_factory.mktemp("n2c") / "corpus", 14)


@pytest.fixture(scope="session")
def n2c_workspace(n2c_corpus: PairCorpus) -> Path:
    """A workspace with dataset N2C (10 train, 2 dev, 2 eval); not to be changed."""
    workspace = n2c_corpus.root.parent / "workspace"
    built(workspace, "N2C", dataset_settings(n2c_corpus, split={"dev": 2, "eval": 2}))
    return workspace


@pytest.fixture
def workspace(n2c_workspace: Path, tmp_path: Path) -> Path:
    """A workspace of the test's own, with dataset N2C."""
    shutil.copytree(n2c_workspace, tmp_path / "workspace")
    return tmp_path / "workspace"

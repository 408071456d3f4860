"""Real builds of a few synthetic pairs at full analysis, and the command in its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpuskit.build import Built, Request, build
from corpuskit.config import DatasetConfig, from_mapping, with_settings
from synthetic import PairCorpus

FIRST = ("silence.thresh=-50", "split.dev=1", "split.eval=1")


def definition(corpus: PairCorpus, *changes: str) -> DatasetConfig:
    """Return the settings of a synthetic pair, with `changes` as for --set."""
    speakers = {"N": "source", "C": "target"}
    plain = {
        "corpora": {"test": {"root": str(corpus.root), "speakers": speakers}},
        "pairs": [{"source": "N", "target": "C"}],
    }
    return from_mapping(DatasetConfig, with_settings(plain, [*FIRST, *changes]), "test")


def built(
    corpus: PairCorpus, workspace: Path, name: str = "T", *changes: str, **means: Any
) -> Built:
    """Build a version and return the last event."""
    request = Request(
        name=name,
        settings=definition(corpus, *changes),
        workspace=workspace,
        **{"jobs": 1, **means},
    )
    *_, last = build(request)
    assert isinstance(last, Built)
    return last


def write_definition(corpus: PairCorpus, path: Path) -> Path:
    """Write the definition as a TOML file for the command line."""
    path.write_text(
        f'[corpora.test]\nroot = "{corpus.root}"\nspeakers = {{ N = "source", C = "target" }}\n'
        '[[pairs]]\nsource = "N"\ntarget = "C"\n'
        "[silence]\nthresh = -50.0\n[split]\ndev = 1\neval = 1\n",
        encoding="utf-8",
    )
    return path


def command(*arguments: str | Path, env: Mapping[str, str] | None = None, **how: Any) -> Any:
    """Run corpuskit in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "corpuskit.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=env,
        **how,
    )

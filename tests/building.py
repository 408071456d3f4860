"""Building small versions of the synthetic voice, in this process or through the command line.

The analysis is coarse (8 kHz, 20 bands), so that a build of a few pairs takes a fraction of a
second and a test can afford many.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from corpuskit.build import Built, Event, Request, build
from corpuskit.cli import main
from corpuskit.config import DatasetConfig, dump_toml, from_mapping, with_settings
from synthetic import SOURCE, TARGET, PairCorpus, write_pair_corpus

QUICK: Mapping[str, Any] = {
    "pairs": [{"source": "N", "target": "C"}],
    "audio": {"rate": 8000},
    "features": {"n_fft": 256, "hop_length": 64, "win_length": 256, "mels": 20, "fmax": 4000.0},
    "split": {"dev": 1, "eval": 1},
}


def quick_corpus(root: Path, count: int = 4, *, seed: int = 0) -> PairCorpus:
    """`count` pairs of N (source) and C (target) at 8 kHz."""
    return write_pair_corpus(
        root,
        count,
        source=dataclasses.replace(SOURCE, rate=8000),
        target=dataclasses.replace(TARGET, rate=8000),
        seed=seed,
    )


def definition(root: Path, *changes: str) -> dict[str, Any]:
    """The mapping of a dataset TOML for a folder pair, with `changes` as for --set."""
    corpora = {"N2C": {"root": str(root), "speakers": {"N": "source", "C": "target"}}}
    return with_settings({"corpora": corpora, **QUICK}, changes)


def settings(root: Path, *changes: str) -> DatasetConfig:
    return from_mapping(DatasetConfig, definition(root, *changes), "a test")


def events(workspace: Path, config: DatasetConfig, name: str = "N2C", **means: Any) -> list[Event]:
    """All events of a build; by default in this process."""
    request = Request(name=name, settings=config, workspace=workspace, **({"jobs": 1} | means))
    return list(build(request))


def built(workspace: Path, config: DatasetConfig, name: str = "N2C", **means: Any) -> Built:
    last = events(workspace, config, name, **means)[-1]
    assert isinstance(last, Built)
    return last


def written_toml(path: Path, root: Path, *changes: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump_toml(definition(root, *changes)), encoding="utf-8")
    return path


# ------------------------------------------------------------------ the command line


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


def corpuskit(*words: object) -> Said:
    """Run `corpuskit WORDS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["corpuskit", *map(str, words)]
    code: Any = 0
    with (
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Said(int(code or 0), out.getvalue(), err.getvalue())


def started(*words: object, **means: Any) -> subprocess.Popen[str]:
    """Start `corpuskit WORDS` as a process (group) of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **means.pop("environment", {})}
    return subprocess.Popen(
        [sys.executable, "-m", "corpuskit.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
        **means,
    )


def ended(process: subprocess.Popen[str]) -> Said:
    """Wait for a started command."""
    out, err = process.communicate(timeout=300)
    return Said(process.returncode, out, err)


# --------------------------------------------------------------------- what is on disk


def litter(workspace: Path) -> list[Path]:
    """Everything half-written below a workspace."""
    return sorted(workspace.rglob(".tmp-*"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

"""A small built dataset for the trainer's tests: N2C, 14 pairs of the synthetic voices."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import trainer.cli
from called import Command, Result
from speaking import keeping_time, parrot, workspace_in
from synthetic import PairCorpus, write_pair_corpus
from trainer.convert import Converter
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


@pytest.fixture
def command(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command line in this process, as `trainer` would."""
    monkeypatch.setenv("CORPUSKIT_WORKSPACE", str(workspace))
    monkeypatch.setattr("trainer.presets.SMALL", 0.0)  # the full model's settings, as elsewhere

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["trainer", *arguments])
        capsys.readouterr()
        code = 0
        try:
            trainer.cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def steady_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with dataset demo and the untrained run demo_1; not to be changed."""
    return workspace_in(tmp_path_factory.mktemp("steady"))


@pytest.fixture
def steady(steady_workspace: Path) -> Converter:
    """A converter that says what it hears, as the target's statistics have it."""
    return parrot(Converter.open(steady_workspace, "demo_1", device="cpu"))


@pytest.fixture
def timed(steady_workspace: Path) -> Converter:
    """A converter with a model of random weights that gives every frame the length it has."""
    return keeping_time(Converter.open(steady_workspace, "demo_1", device="cpu"))

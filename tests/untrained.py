"""A run that has its initial weights only: enough to convert with, and made in a second."""

from __future__ import annotations

from pathlib import Path

from corpuskit.build import Request as BuildRequest
from corpuskit.build import build
from corpuskit.config import DatasetConfig, from_mapping
from synthetic import PairCorpus
from trainer.plan import Request, plan
from trainer.runs import Run
from trainer.start import start

TINY = (
    "model.width=32",
    "model.attention_dim=16",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "model.variance_channels=16",
    "model.postnet_channels=16",
)


def dataset_settings(corpus: PairCorpus, **tables: object) -> DatasetConfig:
    """One pair of voices N > C; `tables` lay over the defaults, e.g. split={"eval": 3}."""
    mapping = {
        "corpora": {"demo": {"root": str(corpus.root), "speakers": {"N": "source", "C": "target"}}},
        "pairs": [{"source": "N", "target": "C"}],
        "silence": {"thresh": -50.0},
        "split": {"dev": 1, "eval": 2},
        **tables,
    }
    return from_mapping(DatasetConfig, mapping, "the test")


def built(workspace: Path, name: str, settings: DatasetConfig) -> None:
    """Build a version in this process."""
    for _ in build(BuildRequest(name=name, settings=settings, workspace=workspace, jobs=1)):
        pass


def untrained_run(workspace: Path, spk: str, **request: object) -> Run:
    """Make a tiny run on a version; nothing is trained."""
    asked = Request(workspace=workspace, spk=spk, settings=TINY, device="cpu", **request)  # type: ignore[arg-type]
    return start(plan(asked))

"""Short trainings of a tiny model, and what is compared of two of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from corpuskit.versions import open_version
from trainer import checkpoint
from trainer.loop import Ended, EpochDone, Event, Progress
from trainer.plan import Request, plan
from trainer.runs import Run, metrics, open_run
from trainer.session import resume, session
from trainer.signals import Stop
from trainer.start import start

TINY = (
    "model.width=16",
    "model.attention_dim=16",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "model.variance_channels=16",
    "model.pitch_layers=2",
    "model.postnet_channels=16",
    "model.postnet_layers=2",
    "optim.warm_up=20",
    "train.batch_size=3",
    "train.group_size=2",
    "train.samples=0",
)
CPU = torch.device("cpu")


def asked(workspace: Path, *settings: str, **options: Any) -> Request:
    """A request for a tiny run on dataset N2C."""
    options = {"spk": "N2C", "device": "cpu", "epochs": 2, **options}
    return Request(workspace=workspace, settings=(*TINY, *settings), **options)


def started(workspace: Path, *settings: str, **options: Any) -> Run:
    """A tiny run with its initial checkpoint, not trained yet."""
    return start(plan(asked(workspace, *settings, **options)))


def trained(workspace: Path, *settings: str, **options: Any) -> Run:
    """A tiny run, trained to its end."""
    return go(started(workspace, *settings, **options))


def go(run: Run, stop_after: int | None = None) -> Run:
    """Train a run to its end, or stop it after so many steps."""
    watched(run, stop_after)
    return open_run(run.workspace, run.tag, kind=None)


def watched(run: Run, stop_after: int | None = None) -> list[Event]:
    """Train a run; returns its events."""
    stop, events = Stop(), []
    version = open_version(run.workspace, run.record.dataset.name)
    for event in session(run, version, CPU, stop):
        events.append(event)
        steps = sum(isinstance(each, Progress) for each in events)
        if stop_after is not None and steps >= stop_after:
            stop.request("SIGTERM")
    return events


def resumed(run: Run, epochs: int | None = None, stop_after: int | None = None) -> Run:
    """Resume a run in this process."""
    return go(resume(run.workspace, run.tag, epochs, "cpu").run, stop_after)


def outcome(run: Run) -> dict[str, Any]:
    """All a training made, but its times: weights, optimiser, rows, losses."""
    newest = checkpoint.last(run.checkpoints)
    state, weights, tensors = checkpoint.load(newest)
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in metrics(run.folder)]
    return {
        "state": state,
        "weights": {name: value.numpy().tobytes() for name, value in weights.items()},
        "tensors": {name: value.numpy().tobytes() for name, value in tensors.items()},
        "rows": json.dumps(rows),
        "kept": [each.folder.name for each in checkpoint.listed(run.checkpoints)],
    }


def kinds(events: list[Event]) -> list[str]:
    """Names of events, steps left out."""
    return [type(event).__name__ for event in events if not isinstance(event, Progress)]


__all__ = ["CPU", "TINY", "Ended", "EpochDone", "asked", "go", "kinds", "outcome", "resumed"]
__all__ += ["started", "trained", "watched"]

"""Short trainings of a tiny vocoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.plan import Request
from trainer.runs import Run
from trainer.vocoder_plan import mels_for, plan_vocoder, start_vocoder
from training import go

TINY = (
    "generator.upsample_rates=[8, 8, 4]",
    "generator.upsample_kernel_sizes=[16, 16, 8]",
    "generator.upsample_initial_channel=16",
    'generator.resblock="2"',
    "generator.resblock_kernel_sizes=[3]",
    "generator.resblock_dilation_sizes=[[1, 2]]",
    "discriminators.periods=[2, 3]",
    "discriminators.scales=2",
    "discriminators.narrow=32",
    "optim.lr=2e-3",
    "train.batch_size=8",
    "train.segment=2048",
    "train.samples=0",
)
STEPS = 3  # an epoch has: 20 recordings in batches of at most 8


def asked(workspace: Path, *settings: str, **options: Any) -> Request:
    """A request for a tiny vocoder on dataset N2C."""
    options = {"spk": "N2C", "device": "cpu", "epochs": 2, **options}
    return Request(workspace=workspace, settings=(*TINY, *settings), **options)


def started(workspace: Path, *settings: str, **options: Any) -> Run:
    """A tiny vocoder run with its initial checkpoint, not trained yet."""
    made = plan_vocoder(asked(workspace, *settings, **options))
    return start_vocoder(made, mels_for(made))


def trained(workspace: Path, *settings: str, **options: Any) -> Run:
    """A tiny vocoder run, trained to its end."""
    return go(started(workspace, *settings, **options))

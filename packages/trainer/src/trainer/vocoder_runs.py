"""Vocoders that were trained here: a run's tag is the name of its vocoder.

    vocoder_named(workspace, "N2C_9", settings.features, settings.audio.rate)

N2C_9 is its best checkpoint, N2C_9@200 that of an epoch.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from corpuskit.config import FeatureConfig
from corpuskit.errors import unknown
from trainer.checkpoint import load_weights
from trainer.runs import VOCODER, list_runs, open_run, read_all
from trainer.vocoders.choice import HIFIGAN, VOCODERS, choose

if TYPE_CHECKING:
    from corpuskit.config import DatasetConfig
    from trainer.runs import Run
    from trainer.vocoders.hifigan import HifiGan
    from trainer.vocoders.public import MelConfig
    from trainer.vocoders.speech import Vocoder

__all__ = ["mels_of", "run_of", "vocoder_named"]


def vocoder_named(
    workspace: Path, name: str, settings: FeatureConfig, rate: int, device: str = "cpu"
) -> Vocoder:
    """Return a vocoder by the name of `trainer.vocoders.choice`, or by the tag of its run.

    It is for mels made with `settings` from samples at `rate` Hz; a network computes on `device`.

    Raises
    ------
    UnknownName
        There is no such vocoder; the nearest are named.
    Refused
        The run is a conversion model.
    BadVocoder, BadSetting, BadRun
        Its weights cannot be used, or not for such mels.
    """
    tag, _, epoch = name.partition("@")
    if name in VOCODERS or name.startswith(HIFIGAN):
        return choose(name, settings, rate, device)
    if tag not in list_runs(workspace):
        trained = [run.tag for run in read_all(workspace)[0] if run.record.kind == VOCODER]
        raise unknown("vocoder", name, [*VOCODERS, f"{HIFIGAN}PATH", *trained])
    return _of_run(workspace, tag, epoch or "best", settings, rate, device)


def run_of(workspace: Path, name: str) -> Run | None:
    """Return the run a vocoder's name is of; None for those that were not trained here."""
    tag = name.partition("@")[0]
    if name in VOCODERS or name.startswith(HIFIGAN):
        return None
    return open_run(workspace, tag, VOCODER)


def _of_run(
    workspace: Path, tag: str, epoch: str, settings: FeatureConfig, rate: int, device: str
) -> HifiGan:
    import torch

    from trainer.vocoders.hifigan import HifiGan
    from trainer.vocoders.public import Public, fused

    run = open_run(workspace, tag, VOCODER)
    mels = mels_of(run.settings)
    mels.check(settings, rate, f"vocoder run {tag}")
    found = run.checkpoint(epoch)
    weights = fused(load_weights(found), f"run {tag}")
    checkpoint = Public(config=run.vocoder_config.generator, mels=mels, weights=weights)
    again = (_opened, (workspace, tag, epoch, settings, rate, device))
    return HifiGan(checkpoint, torch.device(device), again)


@lru_cache(maxsize=1)
def _opened(
    workspace: Path, tag: str, epoch: str, settings: FeatureConfig, rate: int, device: str
) -> HifiGan:
    """Open a vocoder once in a process that is sent it with every task."""
    return _of_run(workspace, tag, epoch, settings, rate, device)


def mels_of(settings: DatasetConfig) -> MelConfig:
    """Say which mels a dataset's are, under the names of a public config.json."""
    from trainer.vocoders.public import MelConfig

    features = settings.features
    return MelConfig(
        sampling_rate=settings.audio.rate,
        n_fft=features.n_fft,
        hop_size=features.hop_length,
        win_size=features.win_length,
        num_mels=features.mels,
        fmin=features.fmin,
        fmax=features.fmax,
    )

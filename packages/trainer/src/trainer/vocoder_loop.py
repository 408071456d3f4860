"""A vocoder's training: segments in, events out, through the loop that all runs go through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer import checkpoint, runs
from trainer.checkpoint import State
from trainer.errors import Diverged
from trainer.loop import Event, Restored, rounds
from trainer.signals import Stop
from trainer.vocoder_data import Sounds, VocoderSplits
from trainer.vocoder_learner import LOSSES, VocoderLearner
from trainer.vocoders.config import VocoderConfig
from trainer.vocoders.generator import samples_of
from trainer.vocoders.mel import MelSpectrum

__all__ = ["train_vocoder"]

CHUNK = 512  # frames made at once when the dev split is scored


def train_vocoder(
    run: runs.Run, splits: VocoderSplits, device: torch.device, stop: Stop
) -> Iterator[Event]:
    """Train a vocoder from its newest whole checkpoint to its last epoch.

    Raises
    ------
    Diverged
        A loss is no number any more. Nothing of that was saved.
    BadRun
        No checkpoint is whole.
    CorpuskitError
        The disk refused.
    """
    return rounds(run, lambda: _restore(run, splits, device), device, stop)


def _restore(run: runs.Run, splits: VocoderSplits, device: torch.device) -> Restored:
    _, state, weights, tensors, damaged = checkpoint.load_newest(run.checkpoints)
    learner = VocoderLearner(run.vocoder_config, run.settings, device, run.record.precision)
    learner.load(weights, tensors)
    checkpoint.restore_scaler(learner.scaler, state.scaler)
    return _Training(run, splits, learner, tensors.get("running")), state, damaged


class _Training:
    """A vocoder on segments of recordings."""

    problem = ""

    def __init__(
        self, run: runs.Run, splits: VocoderSplits, learner: VocoderLearner, running: Tensor | None
    ) -> None:
        self._run = run
        self._config: VocoderConfig = run.vocoder_config
        self._splits = splits
        self._learner = learner
        self._running = running  # sums of LOSSES over the epoch's steps, and how many these are
        if running is not None:
            self._running = running.to(learner.device)
        self._rate = 0.0
        self._segment = self._config.train.segment // self._config.generator.hop  # frames
        self._batches: tuple[Tensor, ...] = ()  # rows where the segments of each begin
        features, rate = run.settings.features, run.settings.audio.rate
        self._mel = MelSpectrum(features, rate).to(learner.device)

    @property
    def steps(self) -> int:
        return self._learner.steps

    def begin(self, state: State) -> int:
        train, sounds = self._config.train, self._splits.train
        draw = np.random.default_rng((train.seed, state.epoch + 1))
        order = np.tile(np.arange(len(sounds)), train.segments)
        draw.shuffle(order)
        rows = sounds.starts(order.tolist(), self._segment, draw.random(len(order)))
        # batches of nearly equal size: a last one of a single segment would be all noise
        self._batches = rows.tensor_split(-(-len(order) // train.batch_size))
        self._rate = self._learner.set_rate(state.epoch)
        return len(self._batches)

    def step(self, state: State) -> None:
        mel, samples = self._splits.train.cut(self._batches[state.batch], self._segment)
        losses = self._learner.step(mel, samples, state.batch).double()
        counted = torch.cat([losses, torch.ones_like(losses[:1])])
        self._running = counted if self._running is None else self._running + counted

    def look(self, state: State) -> float | None:
        batch = self._learner.fault()
        if batch is None:
            return self._learner.last_loss()
        raise Diverged(
            f"run {self._run.tag} diverged in epoch {state.epoch + 1}, batch {batch + 1}: a loss "
            f"is no number; learning rate {self._rate:.2e}; last good checkpoint "
            f"{checkpoint.last(self._run.checkpoints).folder.name}",
            "lower optim.lr, and start a new run",
        )

    def score(self, state: State, stop: Stop) -> dict[str, float] | None:  # noqa: ARG002
        return _copies(self._learner, self._config, self._mel, self._splits.dev, stop)

    def row(self, state: State, dev: dict[str, float]) -> dict[str, Any]:
        assert self._running is not None  # an epoch has a batch at least
        *sums, steps = self._running.tolist()
        return {
            "epoch": state.epoch + 1,
            "step": state.step,
            "lr": self._rate,
            "train": {name: each / steps for name, each in zip(LOSSES, sums, strict=True)},
            "dev": dev,
        }

    def forget(self) -> None:
        self._running = None

    def save(self, state: State) -> None:
        run, learner = self._run, self._learner
        tensors = learner.tensors()
        if self._running is not None:
            tensors["running"] = self._running
        state = replace(
            state,
            scaler=checkpoint.scaler_state(learner.scaler),
            dev_loss=None if state.batch else state.dev_loss,
        )
        checkpoint.save(run.checkpoints, state, learner.weights(), tensors)
        checkpoint.prune(run.checkpoints, state.best_epoch, run.cadence.save_every)


def _copies(
    learner: VocoderLearner, config: VocoderConfig, mel: MelSpectrum, dev: Sounds, stop: Stop
) -> dict[str, float] | None:
    """Return the mean absolute difference between a copy's mel and the recording's, per frame.

    In fp32 whatever the training's precision, over whole recordings: comparable between vocoders
    of one version.
    """
    total = torch.zeros((), dtype=torch.float64, device=learner.device)
    generator = learner.fused()
    with torch.no_grad():
        for index in range(len(dev)):
            if stop.requested:
                return None
            rows = dev.rows_of(index)
            samples = samples_of(generator, config.generator, dev.mel[rows].T, CHUNK)
            found = mel.whole(samples[None])[0]
            total += (found - dev.recorded[rows].T).abs().double().mean(dim=0).sum()
    return {"mel": float(total) / int(dev.frames.sum())}

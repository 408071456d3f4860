"""Pairs and batches of random numbers, for tests that ask about shapes and padding, not speech."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer.batches import Batch, PackedSet, PairArrays
from trainer.config import ModelConfig

# Every part of the model, small, with sizes that differ so that no mix-up fits by chance.
SMALL = ModelConfig(
    mels=6,
    width=16,
    attention_dim=24,
    heads=2,
    encoder_layers=2,
    decoder_layers=1,
    feed_forward=2,
    conv_kernel=5,
    variance_channels=20,
    duration_layers=2,
    pitch_layers=2,
    pitch_kernel=5,
    energy_layers=1,
    energy_kernel=3,
    postnet_layers=3,
    postnet_channels=18,
    postnet_kernel=5,
)


def noise_pair(
    draw: np.random.Generator, source: int, target: int, reduction: int = 3, mels: int = 6
) -> PairArrays:
    """A pair of `source` and `target` frames; durations are a random composition with zeros."""
    durations = draw.multinomial(
        target // reduction, draw.dirichlet(np.ones(source // reduction) / 2)
    )

    def values(*shape: int) -> np.ndarray:
        return draw.standard_normal(shape).astype(np.float32)

    def cut(length: int) -> tuple[int, ...]:
        inside = draw.choice(np.arange(1, length), size=phrases - 1, replace=False)
        return tuple(int(n) for n in np.diff([0, *sorted(inside), length]))

    phrases = min(3, source // reduction, target // reduction)
    return PairArrays(
        source_mel=values(source, mels),
        source_pitch=values(source),
        source_energy=values(source),
        target_mel=values(target, mels),
        target_pitch=values(target),
        target_energy=values(target),
        durations=durations,
        source_phrases=cut(source // reduction),
        target_phrases=cut(target // reduction),
        source_speaker=int(draw.integers(2)),
        target_speaker=int(draw.integers(2)),
    )


def noise_set(
    lengths: Sequence[tuple[int, int]], seed: int = 0, reduction: int = 3, mels: int = 6
) -> PackedSet:
    """One pair for each (source, target) length in frames."""
    draw = np.random.default_rng(seed)
    return PackedSet.build([noise_pair(draw, s, t, reduction, mels) for s, t in lengths], reduction)


def widened(batch: Batch, reduction: int, extra: int, fill: float) -> Batch:
    """The batch with `fill` in all its padding, and `extra` more reduced frames of padding."""
    s, n = batch.durations.shape[1], batch.target_mel.shape[1] // reduction
    longest = {}
    for each in fields(batch):
        value = getattr(batch, each.name)
        if isinstance(value, Tensor) and value.dim() > 1 and not each.name.endswith("phrases"):
            one_side = (batch.target_lengths, n) if "target" in each.name else (batch.lengths, s)
            per = 1 if each.name == "durations" else reduction
            longest[each.name] = _refilled(value, *one_side, per, extra, fill)
    return replace(batch, **longest)


def _refilled(
    value: Tensor, lengths: Tensor, frames: int, per: int, extra: int, fill: float
) -> Tensor:
    if not value.is_floating_point():  # durations know no NaN
        fill = -7 if math.isnan(fill) else round(fill)
    sides = [0, 0] * (value.dim() - 2) + [0, extra * per]
    wide = functional.pad(value, sides)
    time = torch.arange((frames + extra) * per)
    beyond = time >= lengths[:, None] * per
    return wide.masked_fill(beyond.reshape(*beyond.shape, *[1] * (value.dim() - 2)), fill)

"""A linear conversion beside the network: what few pairs determine well.

Each target frame is a linear function of the source frame and its neighbours, fitted by ridge
regression (Hoerl and Kennard, 1970) on frames that dynamic time warping aligned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from trainer.fitted import (
    TAPS,
    FittedConversion,
    Float32,
    Float64,
    Path,
    aligned,
    surrounded,
    thinned,
)

__all__ = ["LinearConversion", "fit", "paths_of"]

PRIOR = 500.0  # frames' worth of belief that nothing depends on anything
ROUNDS = 3  # of alignment and fit; what is converted is aligned better than the source was


class LinearConversion(FittedConversion):
    """Linear maps of normalised mels, one for each direction between voices."""

    weight: Tensor  # (speakers, speakers, TAPS * mels, mels)
    bias: Tensor  # (speakers, speakers, mels)

    def __init__(self, mels: int, speakers: int) -> None:
        super().__init__(speakers)
        same = torch.zeros(TAPS, mels, mels)
        same[TAPS // 2] = torch.eye(mels)
        self.register_buffer("weight", same.flatten(0, 1).repeat(speakers, speakers, 1, 1))
        self.register_buffer("bias", torch.zeros(speakers, speakers, mels))

    def convert(self, near: Tensor, source: int | Tensor, target: int | Tensor) -> Tensor:
        """Convert frames with their neighbours (M, TAPS * mels) from voice to voice: (M, mels)."""
        return near @ self.weight[source, target] + self.bias[source, target]

    def set(self, directions: Mapping[tuple[int, int], tuple[Float32, Float32]]) -> None:
        """Take what `fit` found for directions between voices (source, target)."""
        for (source, target), (weight, bias) in directions.items():
            self.weight[source, target] = torch.from_numpy(weight)
            self.bias[source, target] = torch.from_numpy(bias)


def fit(pairs: Sequence[tuple[Float32, Float32]]) -> tuple[Float32, Float32]:
    """Fit the map of one direction to pairs of normalised mels, (T, mels) and (T', mels).

    Returns
    -------
    Weight (TAPS * mels, mels) and bias (mels,), which are what `LinearConversion` holds.

    """
    solution = _fitted(*thinned(pairs), ROUNDS)[0]
    return solution[:-1].astype(np.float32), solution[-1].astype(np.float32)


def paths_of(sources: Sequence[Float64], targets: Sequence[Float64]) -> list[Path]:
    """Align pairs by what a linear fit makes of the sources."""
    _, converted = _fitted(sources, targets, ROUNDS - 1)
    return aligned(converted, targets)


def _fitted(
    sources: Sequence[Float64], targets: Sequence[Float64], rounds: int
) -> tuple[Float64, Sequence[Float64]]:
    """Return the solution (TAPS * mels + 1, mels), the bias last, and what it makes of each."""
    given = [np.column_stack((surrounded(each), np.ones(len(each)))) for each in sources]
    converted = sources
    for _ in range(rounds):
        solution = _solved(given, targets, aligned(converted, targets))
        converted = [near @ solution for near in given]
    return solution, converted


def _solved(given: Sequence[Float64], wanted: Sequence[Float64], paths: Sequence[Path]) -> Float64:
    """Return the ridge regression of `wanted` on `given` along the paths; the mean is free."""
    columns = given[0].shape[1]
    gram = np.diag([PRIOR] * (columns - 1) + [0.0])
    moment = np.zeros((columns, wanted[0].shape[1]))
    for near, target, (mine, theirs) in zip(given, wanted, paths, strict=True):
        rows = near[mine]
        gram += rows.T @ rows
        moment += rows.T @ target[theirs]
    return np.asarray(np.linalg.solve(gram, moment))

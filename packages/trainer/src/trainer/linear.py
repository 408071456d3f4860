"""A linear conversion beside the network: what few pairs determine well.

Each target frame is a linear function of the source frame and its neighbours, fitted by ridge
regression (Hoerl and Kennard, 1970) on frames that dynamic time warping aligned. From 25 pairs it
is closer to held-out recordings than any network trained on them, and its errors are others: the
mean of both is closer than either, as means of unlike estimators are (Wolpert, "Stacked
generalization", 1992). With more pairs the network needs it less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.warping import warping_path

__all__ = ["TAPS", "LinearConversion", "fit"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

TAPS = 5  # frames: one more on either side made no difference
PRIOR = 500.0  # frames' worth of belief that nothing depends on anything
ROUNDS = 3  # of alignment and fit; what is converted is aligned better than the source was
LONGEST = 1000  # pairs a direction is fitted on: more change nothing


class LinearConversion(nn.Module):
    """Linear maps of normalised mels, one for each direction between voices.

    They are no parameters: training leaves them as they were fitted. A direction without a fit
    hands the source on.
    """

    weight: Tensor  # (speakers, speakers, TAPS * mels, mels)
    bias: Tensor  # (speakers, speakers, mels)

    def __init__(self, mels: int, speakers: int) -> None:
        super().__init__()
        same = torch.zeros(TAPS, mels, mels)
        same[TAPS // 2] = torch.eye(mels)
        self.register_buffer("weight", same.flatten(0, 1).repeat(speakers, speakers, 1, 1))
        self.register_buffer("bias", torch.zeros(speakers, speakers, mels))

    def forward(self, frames: Tensor, real: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Convert packed frames (M, mels), of which those not `real` (M, 1) are gaps.

        `source` and `target` (M,) are the voices of each frame. Zeros surround every utterance.
        """
        clean = functional.pad(frames.masked_fill(~real, 0), (0, 0, TAPS // 2, TAPS // 2))
        near = torch.cat([clean[tap : tap + len(frames)] for tap in range(TAPS)], dim=1)
        made = torch.zeros_like(frames)
        for s in range(len(self.weight)):  # all, because to look which are there is to wait
            for t in range(len(self.weight)):
                of_these = ((source == s) & (target == t))[:, None]
                converted = near @ self.weight[s, t] + self.bias[s, t]
                made = torch.where(of_these, converted.to(made.dtype), made)
        return made

    def set(self, directions: Mapping[tuple[int, int], tuple[Float32, Float32]]) -> None:
        """Take over weights and biases as `fit` returns them, by rows of source and target."""
        for (source, target), (weight, bias) in directions.items():
            self.weight[source, target] = torch.from_numpy(weight)
            self.bias[source, target] = torch.from_numpy(bias)


def fit(pairs: Sequence[tuple[Float32, Float32]]) -> tuple[Float32, Float32]:
    """Fit the map of one direction to pairs of normalised mels, (T, mels) and (T', mels).

    Returns
    -------
    Weight (TAPS * mels, mels) and bias (mels,), which are what `LinearConversion` holds.

    """
    from scipy.spatial.distance import cdist

    if len(pairs) > LONGEST:
        pairs = [pairs[i * len(pairs) // LONGEST] for i in range(LONGEST)]
    given = [_surrounded(source) for source, _ in pairs]
    wanted = [np.asarray(target, dtype=np.float64) for _, target in pairs]
    converted = [np.asarray(source, dtype=np.float64) for source, _ in pairs]
    solution = None
    for _ in range(ROUNDS):
        paths = [
            warping_path(np.asarray(cdist(mine, theirs)))
            for mine, theirs in zip(converted, wanted, strict=True)
        ]
        solution = _solved(given, wanted, paths)
        converted = [near @ solution for near in given]
    assert solution is not None
    return solution[:-1].astype(np.float32), solution[-1].astype(np.float32)


def _surrounded(frames: Float32) -> Float64:
    """Return each frame with its neighbours and a one: (T, TAPS * mels + 1)."""
    padded = np.pad(frames.astype(np.float64), ((TAPS // 2, TAPS // 2), (0, 0)))
    near = [padded[tap : tap + len(frames)] for tap in range(TAPS)]
    return np.concatenate([*near, np.ones((len(frames), 1))], axis=1)


def _solved(
    given: Sequence[Float64], wanted: Sequence[Float64], paths: Sequence[tuple[Any, Any]]
) -> Float64:
    """Return the ridge regression of `wanted` on `given` along the paths; the mean is free."""
    columns = given[0].shape[1]
    gram = np.diag([PRIOR] * (columns - 1) + [0.0])
    moment = np.zeros((columns, wanted[0].shape[1]))
    for near, target, (mine, theirs) in zip(given, wanted, paths, strict=True):
        rows = near[mine]
        gram += rows.T @ rows
        moment += rows.T @ target[theirs]
    return np.asarray(np.linalg.solve(gram, moment))

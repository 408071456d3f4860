"""A kernel regression beside the network: what few pairs tell of a voice beyond straight lines.

Each target frame is a weighted sum of how alike the source frame, with its neighbours, is to some
frames of the training: ridge regression with Gaussian kernels (Saunders, Gammerman and Vovk, 1998)
on LANDMARKS of them (Nystrom's method: Williams and Seeger, 2001), along the paths that align the
pairs. Where a frame is like none of them, it tends to the mean of the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.fitted import TAPS, FittedConversion, Float32, Float64, evenly, surrounded, thinned
from trainer.linear import paths_of

__all__ = ["LANDMARKS", "Fit", "KernelConversion", "fit"]

LANDMARKS = 1000  # frames of a source voice; three times as many changed no figure
NOISE = 1.0  # variance of a target's values about what the source tells of them
SPREAD = 300  # landmarks whose distances tell how wide a kernel is
JITTER = 1e-6  # keeps landmarks that are alike from making the system singular


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A kernel regression of one direction, for `KernelConversion.set`."""

    landmarks: Float32  # (K, TAPS * mels), K at most LANDMARKS
    width: float  # squared distance at which likeness is 1/e
    weight: Float32  # (K, mels)
    bias: Float32  # (mels,)


class KernelConversion(FittedConversion):
    """Kernel regressions of normalised mels, one for each direction between voices.

    The landmarks are those of the source voice, whatever the target.
    """

    landmarks: Tensor  # (speakers, LANDMARKS, TAPS * mels)
    width: Tensor  # (speakers,)
    weight: Tensor  # (speakers, speakers, LANDMARKS, mels); 0 for landmarks there are none of
    bias: Tensor  # (speakers, speakers, mels)
    known: Tensor  # (speakers, speakers) bool: whether the direction was fitted

    def __init__(self, mels: int, speakers: int) -> None:
        super().__init__(speakers)
        self.mels = mels
        self.register_buffer("landmarks", torch.zeros(speakers, LANDMARKS, TAPS * mels))
        self.register_buffer("width", torch.ones(speakers))
        self.register_buffer("weight", torch.zeros(speakers, speakers, LANDMARKS, mels))
        self.register_buffer("bias", torch.zeros(speakers, speakers, mels))
        self.register_buffer("known", torch.zeros(speakers, speakers, dtype=torch.bool))

    def convert(self, near: Tensor, source: int | Tensor, target: int | Tensor) -> Tensor:
        """Convert frames with their neighbours (M, TAPS * mels) from voice to voice: (M, mels)."""
        alike = _likeness(near, self.landmarks[source], self.width[source])
        made = alike @ self.weight[source, target] + self.bias[source, target]
        middle = TAPS // 2 * self.mels
        return torch.where(self.known[source, target], made, near[:, middle : middle + self.mels])

    def set(self, directions: Mapping[tuple[int, int], Fit]) -> None:
        """Take what `fit` found for directions between voices (source, target)."""
        for (source, target), found in directions.items():
            count = len(found.landmarks)
            self.landmarks[source, :count] = torch.from_numpy(found.landmarks)
            self.width[source] = found.width
            self.weight[source, target, :count] = torch.from_numpy(found.weight)
            self.bias[source, target] = torch.from_numpy(found.bias)
            self.known[source, target] = True


def _likeness(near: Tensor, landmarks: Tensor, width: Tensor) -> Tensor:
    """Return the Gaussian kernel (M, K) of frames (M, C) and landmarks (K, C)."""
    squares = near.square().sum(1, keepdim=True) + landmarks.square().sum(1)
    distance = squares - 2 * near @ landmarks.T
    return torch.exp(-distance.clamp(min=0) / width)


def fit(
    targets: Mapping[int, Sequence[tuple[Float32, Float32]]],
) -> dict[int, Fit]:
    """Fit one source voice's directions, by target voice.

    Parameters
    ----------
    targets : for each target voice pairs of normalised mels, (T, mels) and (T', mels)

    """
    every = [source for pairs in targets.values() for source, _ in pairs]
    landmarks = _landmarks(every)
    some = landmarks[evenly(len(landmarks), SPREAD)]
    apart = _squared_distances(some, some)[np.triu_indices(len(some), 1)]
    width = float(np.median(apart)) if len(apart) and np.median(apart) > 0 else 1.0
    return {target: _direction(pairs, landmarks, width) for target, pairs in targets.items()}


def _direction(pairs: Sequence[tuple[Float32, Float32]], landmarks: Float64, width: float) -> Fit:
    """Solve the ridge regression of one direction."""
    from scipy.linalg import solve

    sources, targets = thinned(pairs)
    paths = paths_of(sources, targets)
    bias = np.concatenate([target[own] for target, (_, own) in zip(targets, paths, strict=True)])
    bias = bias.mean(axis=0)
    gram = NOISE * np.exp(-_squared_distances(landmarks, landmarks) / width)
    gram += JITTER * np.eye(len(landmarks))
    moment = np.zeros((len(landmarks), len(bias)))
    for source, target, (mine, theirs) in zip(sources, targets, paths, strict=True):
        rows = np.exp(-_squared_distances(surrounded(source), landmarks) / width)[mine]
        gram += rows.T @ rows
        moment += rows.T @ (target[theirs] - bias)
    return Fit(
        landmarks=landmarks.astype(np.float32),
        width=width,
        weight=solve(gram, moment, assume_a="pos").astype(np.float32),
        bias=bias.astype(np.float32),
    )


def _landmarks(sources: Sequence[Float32]) -> Float64:
    """Return frames with their neighbours, evenly chosen from all, each once: (K, TAPS * mels)."""
    lengths = [len(source) for source in sources]
    chosen = evenly(sum(lengths), LANDMARKS)
    found, first = [], 0
    for source, length in zip(sources, lengths, strict=True):
        own = chosen[(chosen >= first) & (chosen < first + length)] - first
        found.append(surrounded(source.astype(np.float64))[own])
        first += length
    return np.unique(np.concatenate(found).astype(np.float32), axis=0).astype(np.float64)


def _squared_distances(a: Float64, b: Float64) -> Float64:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a, b, "sqeuclidean"))

"""What is fitted to the pairs in closed form beside the network: conversions frame by frame.

A conversion of few pairs errs elsewhere than a network does, and a mean of both is closer to
held-out recordings than either, as means of unlike estimators are (Wolpert, "Stacked
generalization", 1992). See `linear` and `kernel`; both look at a source frame and its neighbours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.warping import warping_path

__all__ = [
    "TAPS",
    "FittedConversion",
    "Float32",
    "Float64",
    "Path",
    "aligned",
    "beside",
    "evenly",
    "surrounded",
    "thinned",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Path = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # frames of both, step by step

TAPS = 5  # frames: one more on either side made no difference
LONGEST = 1000  # pairs a direction is fitted on: more change nothing


class FittedConversion(nn.Module, ABC):
    """A conversion of normalised mels, one for each direction between voices.

    What it holds are no parameters: training leaves it as it was fitted. A direction without a
    fit hands the source on.
    """

    def __init__(self, speakers: int) -> None:
        super().__init__()
        self.speakers = speakers

    @abstractmethod
    def convert(self, near: Tensor, source: int | Tensor, target: int | Tensor) -> Tensor:
        """Convert frames with their neighbours (M, TAPS * mels) from voice to voice: (M, mels).

        The voices are whole numbers or tensors () of one.
        """

    def forward(self, frames: Tensor, real: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Convert packed frames (M, mels), of which those not `real` (M, 1) are gaps.

        `source` and `target` (M,) are the voices of each frame. Zeros surround every utterance.
        """
        near = beside(frames.masked_fill(~real, 0))
        made = torch.zeros_like(frames)
        for s in range(self.speakers):
            for t in range(self.speakers):
                of_these = ((source == s) & (target == t))[:, None]
                if of_these.is_cpu and not of_these.any():  # to look on CUDA would be to wait
                    continue
                converted = self.convert(near, s, t)
                made = torch.where(of_these, converted.to(made.dtype), made)
        return made


def beside(frames: Tensor) -> Tensor:
    """Return each of frames (M, mels) with its neighbours, zeros around: (M, TAPS * mels)."""
    padded = functional.pad(frames, (0, 0, TAPS // 2, TAPS // 2))
    count = frames.shape[0]
    return torch.cat([padded[tap : tap + count] for tap in range(TAPS)], dim=1)


def surrounded(frames: Float64) -> Float64:
    """Do the same with an array (T, mels): (T, TAPS * mels)."""
    padded = np.pad(frames, ((TAPS // 2, TAPS // 2), (0, 0)))
    return np.concatenate([padded[tap : tap + len(frames)] for tap in range(TAPS)], axis=1)


def aligned(converted: Iterable[Float64], wanted: Iterable[Float64]) -> list[Path]:
    """Align what was made of the sources, (T, mels) each, with the targets (T', mels)."""
    from scipy.spatial.distance import cdist

    return [
        warping_path(np.asarray(cdist(mine, theirs)))
        for mine, theirs in zip(converted, wanted, strict=True)
    ]


def evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    """Return at most `most` of `count` positions, evenly apart."""
    fewer = min(count, most)
    return np.arange(fewer) * count // max(fewer, 1)


def thinned(
    pairs: Sequence[tuple[Float32, Float32]],
) -> tuple[list[Float64], list[Float64]]:
    """Return sources and targets of pairs, at most LONGEST of them, evenly chosen."""
    pairs = [pairs[i] for i in evenly(len(pairs), LONGEST)]
    return (
        [np.asarray(source, dtype=np.float64) for source, _ in pairs],
        [np.asarray(target, dtype=np.float64) for _, target in pairs],
    )

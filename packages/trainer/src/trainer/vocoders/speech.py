"""What a vocoder is given, what it makes of it, and how that is kept from clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Speech", "Vocoder", "aloud", "within_full_scale"]

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Speech:
    """Speech as T frames; frame k stands for the sound around sample k * hop."""

    mel: Float32  # (T, bands) natural log
    f0: Float32  # (T,) Hz, 0 where unvoiced; a vocoder may hear it in the mel instead

    def __post_init__(self) -> None:
        if self.f0.shape != (len(self.mel),):
            raise ValueError(f"F0 of shape {self.f0.shape} for {len(self.mel)} frames")

    def __len__(self) -> int:
        return len(self.mel)


class Vocoder(Protocol):
    """What turns frames into sound as loud as they say, which may be above full scale.

    Whoever has the whole recording turns that down by one factor: `aloud`, of one utterance.
    """

    name: str  # stands beside every figure measured on its sound
    hears_f0: bool  # whether its pitch is the F0 it is given; else the mel's

    def __call__(self, speech: Speech) -> Float32:
        """Turn T frames into ((T - 1) * hop,) samples, full scale 1.0; fewer than 2 into none."""
        ...


def aloud(vocoder: Vocoder, speech: Speech) -> Float32:
    """Let a vocoder say a whole utterance; one that would clip is turned down as a whole."""
    return within_full_scale(vocoder(speech))


def within_full_scale(samples: Float32) -> Float32:
    """Turn down what would clip, by one factor; everything else keeps its level."""
    peak = np.abs(samples).max(initial=0.0)
    return samples / peak if peak > 1.0 else samples

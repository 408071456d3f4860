"""Normalisation statistics: mean and variance per side and feature, over train only.

Sums are kept per pair and added in sorted order in double precision, so the result is
the same for any number of processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.features import Features

__all__ = [
    "F0_BINS",
    "F0_CENTRES",
    "SideStatistics",
    "Statistics",
    "counted_f0",
    "moments",
    "pooled",
]

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

# F0 is counted in quarters of a semitone, over five octaves.
_LOWEST_F0, _PER_OCTAVE = 50.0, 48  # Hz
F0_BINS = 5 * _PER_OCTAVE
F0_CENTRES = _LOWEST_F0 * 2 ** ((np.arange(F0_BINS) + 0.5) / _PER_OCTAVE)  # Hz


@dataclass(frozen=True, kw_only=True)
class SideStatistics:
    """Mean and variance of what a model sees of one side."""

    mel_mean: tuple[float, ...]  # (bands,) natural log
    mel_var: tuple[float, ...]
    pitch_mean: float  # continuous log F0
    pitch_var: float
    energy_mean: float  # natural log of the energy, no lower than the gate
    energy_var: float
    frames: int  # how many frames they rest on


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Statistics of both sides of a version's training split."""

    source: SideStatistics
    target: SideStatistics


def moments(
    features: Features, pitch: npt.NDArray[np.float32], energy: npt.NDArray[np.float32]
) -> Float64:
    """Return sums and sums of squares of mel bands, pitch and energy: (2, bands + 2).

    `pitch` is the frames' continuous log F0, `energy` their gated log energy, both (T,).
    """
    mel = features.mel.astype(np.float64)
    pitch = pitch.astype(np.float64)
    energy = energy.astype(np.float64)
    return np.array(
        [
            [*mel.sum(axis=0), pitch.sum(), energy.sum()],
            [
                *np.einsum("tb,tb->b", mel, mel),
                np.square(pitch).sum(),
                np.square(energy).sum(),
            ],
        ]
    )


def counted_f0(f0: npt.NDArray[np.float32]) -> Int32:
    """Count the voiced frames of `f0` (T,) in Hz, 0 unvoiced, by F0: (F0_BINS,).

    What lies beyond the five octaves counts with the nearest.
    """
    voiced = f0[f0 > 0].astype(np.float64)
    places = np.floor(_PER_OCTAVE * np.log2(voiced / _LOWEST_F0)).astype(np.int64)
    counts = np.bincount(np.clip(places, 0, F0_BINS - 1), minlength=F0_BINS)
    return counts.astype(np.int32)


def pooled(parts: Iterable[Float64], frames: int) -> SideStatistics:
    """Turn the moments of many recordings (`frames` frames in all) into statistics."""
    total = np.sum(np.stack(list(parts)), axis=0)
    mean = total[0] / frames
    variance = np.maximum(total[1] / frames - np.square(mean), 1e-10)
    return SideStatistics(
        mel_mean=tuple(float(v) for v in mean[:-2]),
        mel_var=tuple(float(v) for v in variance[:-2]),
        pitch_mean=float(mean[-2]),
        pitch_var=float(variance[-2]),
        energy_mean=float(mean[-1]),
        energy_var=float(variance[-1]),
        frames=frames,
    )

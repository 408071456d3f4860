"""How loud a voice's noise is, and how quiet its speech: two modes of its levels.

Levels are RMS over 50 ms windows, counted in steps of half a dB over all recordings of a
voice. In most recordings they fall into two heaps, noise (pauses, head, tail) and speech; a
threshold belongs into the valley between. Digital zero has no level and is counted apart: a
gated recording has nothing else for noise. A window that is partly zero has the level of
neither, and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.silence import LevelCurve

__all__ = [
    "CENTRES",
    "STEP",
    "WINDOW",
    "Levels",
    "Profile",
    "level_arrays",
    "levels_of",
    "profile",
    "stored_levels",
    "window_levels",
]

Counts = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

WINDOW = 50  # ms
LOWEST, STEP = -120.0, 0.5  # dBFS, dB
CENTRES = np.arange(LOWEST, 0.0, STEP) + STEP / 2

_SMOOTHING = 2.5  # dB; standard deviation of the kernel the counts are smoothed with
_PROMINENCE = 0.3  # a heap is noise when the valley above it is lower by this share
_LEAST = 0.005  # share of windows that make a heap
_MOSTLY = 0.1  # share of a window that may be digitally zero
_ACTIVE_MARGIN = 15.9  # dB below the active level at which speech still counts (ITU-T P.56)
_ONSET = 25.0  # dB below a recording's active level at which its speech has begun
_ONSET_WINDOWS = 2  # before that, left out of the head's noise: a soft onset
# The weakest consonant is some 28 dB weaker than the strongest vowel (Fletcher, Speech and
# Hearing in Communication); what lies this far below the active level is no speech of its own.
_SOFTEST = 30.0  # dB
_NOISE_SHARE, _SPEECH_SHARE = 0.95, 0.02  # of the windows, below each edge


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Windows counted by level, of one recording or the sum of many."""

    all: Counts  # (240,) windows without digital zero
    head: Counts  # (240,) of those, windows before speech begins
    zero: int  # milliseconds that are digitally zero
    milliseconds: int

    def __add__(self, other: Levels) -> Levels:
        """Count two together."""
        return Levels(
            all=self.all + other.all,
            head=self.head + other.head,
            zero=self.zero + other.zero,
            milliseconds=self.milliseconds + other.milliseconds,
        )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a voice's levels say. All levels are dBFS."""

    speech: float  # active speech level
    quietest: float  # quietest speech: a higher threshold cuts into it
    valley: float  # what is louder is taken for speech
    floor: float | None  # middle of the noise; None when there is no noise but digital zero
    noise: float | None  # the noise's upper edge: a lower threshold does not find all of it
    head: float | None  # the same of what is heard before speech begins
    zero_share: float  # share of the milliseconds that are digitally zero

    def below(self, levels: Levels, thresh: float) -> float:
        """Return the share of speech windows under a threshold."""
        speech = np.where(self.valley < CENTRES, levels.all, 0)
        return float(speech[thresh > CENTRES].sum() / max(1, speech.sum()))


def level_arrays(curve: LevelCurve) -> dict[str, npt.NDArray[Any]]:
    """Return what is stored of a recording's levels: its curve, and its windows counted."""
    heard = levels_of(curve)
    return {
        "forward": curve.forward,
        "backward": curve.backward,
        "windows": np.stack([heard.all, heard.head]).astype(np.int32),
        "zero": np.array([heard.zero], dtype=np.int64),
    }


def stored_levels(arrays: Mapping[str, npt.NDArray[Any]]) -> Levels:
    """Return the windows counted of what `level_arrays` gave."""
    every, head = arrays["windows"].astype(np.int64)
    zero, milliseconds = int(arrays["zero"][0]), len(arrays["forward"])
    return Levels(all=every, head=head, zero=zero, milliseconds=milliseconds)


def window_levels(curve: LevelCurve) -> tuple[Float64, Float64]:
    """Return the level of each 50 ms, and its share of digital zero.

    A window that is zero from end to end has the level -inf.
    """
    begins = np.arange(0, curve.milliseconds - WINDOW + 1, WINDOW)
    ends = begins + WINDOW
    zeros = np.concatenate(([0], np.cumsum(curve.forward == 0.0)))
    share = (zeros[ends] - zeros[begins]) / WINDOW
    # Differences of a running sum leave rounding errors where the truth is zero.
    energy = np.where(share == 1.0, 0.0, curve.cumulative[ends] - curve.cumulative[begins])
    counts = np.maximum(curve.edges[ends] - curve.edges[begins], 1)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.maximum(energy, 0.0) / counts), share


def levels_of(curve: LevelCurve) -> Levels:
    """Count the levels of one recording."""
    levels, zero = window_levels(curve)
    levels[zero > _MOSTLY] = -np.inf
    counted = _counts(levels)
    begun = np.flatnonzero(levels > _active(counted) - _ONSET)
    head = levels[: max(0, int(begun[0]) - _ONSET_WINDOWS)] if len(begun) else levels[:0]
    return Levels(
        all=counted,
        head=_counts(head),
        zero=int(np.count_nonzero(curve.forward == 0.0)),
        milliseconds=curve.milliseconds,
    )


def _counts(levels: Float64) -> Counts:
    finite = levels[np.isfinite(levels)]
    places = np.clip((finite - LOWEST) / STEP, 0, len(CENTRES) - 1).astype(np.int64)
    return np.bincount(places, minlength=len(CENTRES)).astype(np.int64)


def _active(counts: Counts) -> float:
    """Return the level of the windows that are speech: no lower than 15.9 dB under their mean."""
    power = 10 ** (CENTRES / 10)
    used = counts.astype(np.float64)
    level = -np.inf
    for _ in range(50):
        if not used.any():
            break
        now = float(10 * np.log10((used * power).sum() / used.sum()))
        if now <= level + 0.01:
            break
        level = now
        used = np.where(level - _ACTIVE_MARGIN < CENTRES, counts, 0).astype(np.float64)
    return level


def profile(levels: Levels) -> Profile | None:
    """Tell noise from speech in a voice's levels; None when every window is digitally zero."""
    if not levels.all.any():
        return None
    speech = _active(levels.all)
    valley = _valley(levels.all, speech)
    softest = speech - _SOFTEST
    bound = softest if valley is None else valley
    above = np.where(bound < CENTRES, levels.all, 0)
    noise = None if valley is None else np.where(bound > CENTRES, levels.all, 0)
    return Profile(
        speech=speech,
        valley=bound,
        quietest=max(_percentile(above, _SPEECH_SHARE), softest),
        floor=None if noise is None else _percentile(noise, 0.5),
        noise=None if noise is None else _percentile(noise, _NOISE_SHARE),
        head=_percentile(levels.head, _NOISE_SHARE) if levels.head.sum() >= 20 else None,
        zero_share=levels.zero / max(1, levels.milliseconds),
    )


def _valley(counts: Counts, speech: float) -> float | None:
    """Return the level at which noise ends and speech begins, or None without any noise.

    Of all heaps below the speech level, noise is the one that stands out most from the
    valley between it and speech; the valley's middle is what is wanted.
    """
    smooth = _smoothed(counts)
    top = int(np.argmax(np.where(np.abs(CENTRES - speech) <= _ACTIVE_MARGIN, smooth, 0.0)))
    best, found = _PROMINENCE, None
    for heap in _heaps(smooth, top):
        between = smooth[heap : top + 1]
        lowest = float(between.min())
        flat = heap + np.flatnonzero(between <= lowest + 1e-3 * smooth[heap])
        middle = int(flat[len(flat) // 2])
        prominence = 1 - lowest / float(smooth[heap])
        if prominence > best and counts[:middle].sum() >= max(10, _LEAST * counts.sum()):
            best, found = prominence, float(CENTRES[middle])
    return found


def _smoothed(counts: Counts) -> Float64:
    reach = np.arange(-20, 21)
    kernel = np.exp(-0.5 * (reach * STEP / _SMOOTHING) ** 2)
    return np.convolve(counts, kernel / kernel.sum(), mode="same")


def _heaps(smooth: Float64, top: int) -> list[int]:
    """Return the places of local maxima below the speech mode `top`."""
    inner = np.arange(1, top)
    rising = smooth[inner] > smooth[inner - 1]
    falling = smooth[inner] >= smooth[inner + 1]
    return [int(place) for place in inner[rising & falling]]


def _percentile(counts: npt.NDArray[Any], share: float) -> float:
    """Return the level below which `share` of the windows are."""
    running = np.cumsum(counts)
    place = int(np.searchsorted(running, share * running[-1])) if running[-1] else 0
    return float(CENTRES[min(place, len(CENTRES) - 1)])

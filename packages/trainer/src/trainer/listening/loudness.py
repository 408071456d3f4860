"""How loud speech is, and how sounds are made equally loud.

Loudness is that of ITU-R BS.1770-4: power after a filter that hears as a head does, over
blocks of 400 ms; blocks below -70 LUFS, and those 10 LU below the mean of the others, do not
count, so that pauses do not make a sentence quieter than it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.errors import BadAudio

__all__ = ["DEFINITION", "Levelled", "levelled", "loudness", "low_passed"]

Float64 = npt.NDArray[np.float64]

DEFINITION = "lufs_bs1770-4_gated"
SILENT = -70.0  # LUFS; the absolute gate
GATE = 10.0  # LU below the mean of what passed the absolute gate
BLOCK, STEP = 0.4, 0.1  # seconds
USUAL = -26.0  # LUFS; near the -26 dBov at which speech is usually played in tests (ITU-T P.800)
PEAK = -1.0  # dBFS; no sample above this
EDGE = 0.005  # seconds of fading in and out: a cut is heard as a click


@dataclass(frozen=True, kw_only=True)
class Levelled:
    """Sounds at one level."""

    sounds: Mapping[str, Float64]  # (n,) samples by name, full scale 1.0
    level: float  # LUFS, of each


def loudness(samples: Float64, rate: int) -> float:
    """Return the gated loudness (LUFS) of (n,) samples after ITU-R BS.1770-4.

    Sounds shorter than a block are one block.

    Raises
    ------
    BadAudio
        No block is louder than -70 LUFS.
    """
    powers = _block_powers(_weighted(samples, rate), rate)
    powers = powers[_in_lufs(powers) > SILENT]
    if not len(powers):
        raise BadAudio("is silent")
    gate = float(_in_lufs(powers.mean())) - GATE
    return float(_in_lufs(powers[_in_lufs(powers) > gate].mean()))


def _in_lufs(power: npt.ArrayLike) -> Float64:
    with np.errstate(divide="ignore"):
        return np.asarray(-0.691 + 10 * np.log10(power))


def _block_powers(samples: Float64, rate: int) -> Float64:
    """Return mean squares of blocks; a rest at the end is in none, as the standard has it."""
    size, step = round(BLOCK * rate), round(STEP * rate)
    if len(samples) <= size:
        return np.array([np.mean(samples**2)]) if len(samples) else np.zeros(0)
    blocks = np.lib.stride_tricks.sliding_window_view(samples**2, size)[::step]
    return np.asarray(blocks.mean(axis=1))


def _weighted(samples: Float64, rate: int) -> Float64:
    """Filter as BS.1770 does: a shelf for the head, then a high-pass."""
    from scipy.signal import lfilter

    for numerator, denominator in (_shelf(rate), _high_pass(rate)):
        samples = np.asarray(lfilter(numerator, denominator, samples))
    return samples


Filter = tuple[list[float], list[float]]

# The standard gives coefficients at 48 kHz only. These are the analogue filters behind them
# (frequency in Hz, gain in dB, quality), by which other rates get theirs.
_SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196)
_HIGH_PASS = (38.13547087602444, 0.5003270373238773)


def _shelf(rate: int) -> Filter:
    frequency, gain, quality = _SHELF
    k = math.tan(math.pi * frequency / rate)
    high = 10 ** (gain / 20)
    band = high**0.4996667741545416
    scale = 1 + k / quality + k * k
    numerator = [
        (high + band * k / quality + k * k) / scale,
        2 * (k * k - high) / scale,
        (high - band * k / quality + k * k) / scale,
    ]
    return numerator, [1.0, 2 * (k * k - 1) / scale, (1 - k / quality + k * k) / scale]


def _high_pass(rate: int) -> Filter:
    frequency, quality = _HIGH_PASS
    k = math.tan(math.pi * frequency / rate)
    scale = 1 + k / quality + k * k
    return [1.0, -2.0, 1.0], [1.0, 2 * (k * k - 1) / scale, (1 - k / quality + k * k) / scale]


def levelled(sounds: Mapping[str, Float64], rate: int) -> Levelled:
    """Bring sounds to one loudness: -26 LUFS, or as much lower as the peakiest of them asks.

    Nothing is limited or compressed: a sound is multiplied by one number, and its edges fade
    over 5 ms.

    Raises
    ------
    BadAudio
        One is silent.
    """
    levels = {name: loudness(samples, rate) for name, samples in sounds.items()}
    peaks = {name: _peak(samples) for name, samples in sounds.items()}
    level = min([USUAL, *(levels[name] + PEAK - peaks[name] for name in sounds)])
    return Levelled(
        sounds={
            name: _faded(samples * 10 ** ((level - levels[name]) / 20), rate)
            for name, samples in sounds.items()
        },
        level=level,
    )


def _peak(samples: Float64) -> float:
    return 20 * math.log10(float(np.abs(samples).max()))


def _faded(samples: Float64, rate: int) -> Float64:
    count = min(round(EDGE * rate), len(samples) // 2)
    ramp = np.arange(count) / max(count, 1)
    faded = samples.copy()
    faded[:count] *= ramp
    faded[len(faded) - count :] *= ramp[::-1]
    return faded


def low_passed(samples: Float64, rate: int, cutoff: float = 3500.0) -> Float64:
    """Return (n,) samples without what is above `cutoff` Hz: the low anchor of ITU-R BS.1534-3.

    The filter adds no delay, passes up to `cutoff` within 0.1 dB, and stops from 1.15 times that
    on by 60 dB and more.
    """
    from scipy.signal import cheb2ord, cheby2, sosfiltfilt

    nyquist = rate / 2
    edge = min(cutoff, 0.8 * nyquist)
    order, corner = cheb2ord(edge / nyquist, 1.15 * edge / nyquist, gpass=0.05, gstop=30)
    sections = cheby2(order, 30, corner, output="sos")
    return np.asarray(sosfiltfilt(sections, samples, padlen=min(3 * 30, len(samples) - 1)))

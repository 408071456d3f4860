"""How far one utterance is from another: spectrum, F0, voicing, duration.

Everything is measured at 16 kHz on 5 ms frames, whatever the rate of the corpus, so
that figures stand beside those of the literature (CMU ARCTIC is 16 kHz). A figure
means something only together with its definition, so each has a name in `DEFINITIONS`
that is written wherever the figure is; docs/metrics.md spells the names out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.audio import resample
from corpuskit.errors import BadAudio
from trainer.warping import warping_path

__all__ = [
    "DEFINITIONS",
    "Distances",
    "Voice",
    "analyse",
    "compare",
    "frequency_transform",
    "mel_cepstrum",
]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

RATE = 16000  # Hz
FRAME = 5.0  # ms
ORDER = 24  # cepstral coefficients compared; c0, the level, is not
ALPHA = 0.41  # all-pass constant whose warping is nearest to the mel scale at RATE
LOUD = 40.0  # dB under the loudest frame: quieter frames are not compared
FLOOR = 80.0  # dB under the loudest frame: where every envelope ends
F0_RANGE = 71.0, 800.0  # Hz

DEFINITIONS = {
    "mcd": "mcd24_world_a0.41_16k_5ms_dtw_40db",  # dB
    "log_f0_rmse": "logf0rmse_dio_5ms_dtw_40db",  # natural log
    "log_f0_correlation": "logf0corr_dio_5ms_dtw_40db",  # -1..1
    "voicing_error": "vuv_dio_5ms_dtw_40db",  # share of aligned frames, 0..1
    "duration_error": "ddur_5ms_40db",  # seconds
}


@dataclass(frozen=True, kw_only=True)
class Voice:
    """What is compared of one utterance: its K frames that are loud enough to be speech."""

    cepstrum: Float64  # (K, 24) mel-cepstrum without c0
    f0: Float64  # (K,) Hz, 0 where unvoiced
    seconds: float  # from the first loud frame to the last, pauses between them included


@dataclass(frozen=True, kw_only=True)
class Distances:
    """Distances between two utterances; None where there is nothing to compare."""

    mcd: float  # dB
    log_f0_rmse: float | None  # natural log; None without a frame voiced in both
    log_f0_correlation: float | None  # None where one of the contours is flat
    voicing_error: float  # share of aligned frames voiced in one only, 0..1
    duration_error: float  # seconds, absolute


def analyse(samples: npt.NDArray[Any], rate: int) -> Voice:
    """Measure (n,) samples at `rate` Hz: WORLD's F0 (DIO, StoneMask) and CheapTrick envelope.

    Raises
    ------
    BadAudio
        Nothing to measure: no samples, digital silence, NaN or infinite samples.

    """
    samples = np.asarray(samples, dtype=np.float64)
    if not len(samples) or not np.isfinite(samples).all() or not samples.any():
        raise BadAudio("has no sound to measure", "metrics need finite samples that are not zero")
    f0, envelope = _world(resample(samples, rate, RATE))
    level = _level(envelope)
    loud = np.flatnonzero(level > level.max() - LOUD)
    envelope = np.maximum(envelope[loud], 10 ** ((level.max() - FLOOR) / 10))
    return Voice(
        cepstrum=mel_cepstrum(envelope, ORDER, ALPHA)[:, 1:],
        f0=f0[loud],
        seconds=float(loud[-1] - loud[0] + 1) * FRAME / 1000,
    )


def _world(samples: Float64) -> tuple[Float64, Float64]:
    """Return F0 (T,) in Hz and the power envelope (T, bins) of samples at RATE."""
    from corpuskit.features import pyworld

    world = pyworld()
    samples = np.ascontiguousarray(samples)
    floor, ceiling = F0_RANGE
    coarse, times = world.dio(samples, RATE, f0_floor=floor, f0_ceil=ceiling, frame_period=FRAME)
    f0 = world.stonemask(samples, coarse, times, RATE)
    return f0, world.cheaptrick(samples, f0, times, RATE, f0_floor=floor)


def _level(envelope: Float64) -> Float64:
    """Return the mean power of each frame of an envelope (T, bins), in dB."""
    weights = np.full(envelope.shape[1], 2.0)
    weights[[0, -1]] = 1.0  # DC and Nyquist stand once in the two-sided spectrum
    return np.asarray(10 * np.log10(np.einsum("tk,k->t", envelope, weights) / weights.sum()))


def mel_cepstrum(envelope: Float64, order: int, alpha: float) -> Float64:
    """Turn power envelopes (T, bins) into mel-cepstra (T, order + 1), c0 first.

    The cepstrum of the log envelope, frequency-warped by `frequency_transform`: SPTK's
    `sp2mc`. exp(c0 + sum c_m cos(m w~)) is the magnitude at the warped frequency w~.
    """
    cepstrum = np.fft.irfft(np.log(envelope), axis=1)[:, : envelope.shape[1]]
    # The log magnitude is half of log power, in whose cosine series inner terms stand twice.
    cepstrum[:, [0, -1]] /= 2
    transform = frequency_transform(cepstrum.shape[1], order, alpha)
    # einsum, not a matrix product: the same bits whatever the number of threads
    return np.asarray(np.einsum("tn,mn->tm", cepstrum, transform))


@cache
def frequency_transform(length: int, order: int, alpha: float) -> Float64:
    """Return the (order + 1, length) matrix that warps cepstra bilinearly.

    Column n holds the coefficients of the n-th power of the all-pass function
    (z^-1 - alpha) / (1 - alpha z^-1) as Oppenheim and Johnson's recursion gives them
    (Discrete representation of signals, 1972; `freqt` in SPTK, Tokuda et al.).
    """
    matrix = np.zeros((order + 1, length))
    for n in reversed(range(length)):
        before = matrix.copy()
        matrix[0] = alpha * before[0]
        matrix[0, n] += 1.0
        if order:
            matrix[1] = (1 - alpha**2) * before[0] + alpha * before[1]
        for m in range(2, order + 1):
            matrix[m] = before[m - 1] + alpha * (before[m] - matrix[m - 1])
    return matrix


def compare(voice: Voice, reference: Voice) -> Distances:
    """Measure how far `voice` is from `reference`, frame by frame along their exact DTW path."""
    cost = _distances(voice.cepstrum, reference.cepstrum)
    mine, theirs = warping_path(cost)
    f0, reference_f0 = voice.f0[mine], reference.f0[theirs]
    rmse, correlation = _f0_distances(f0, reference_f0)
    return Distances(
        mcd=float(cost[mine, theirs].mean()),
        log_f0_rmse=rmse,
        log_f0_correlation=correlation,
        voicing_error=float(np.mean((f0 > 0) != (reference_f0 > 0))),
        duration_error=abs(voice.seconds - reference.seconds),
    )


def _distances(a: Float64, b: Float64) -> Float64:
    """Return the mel-cepstral distortion in dB between all frames of (K, 24) and (L, 24).

    (10 / ln 10) * sqrt(2 * sum of the squared differences), c0 left out (Kubichek, 1993).
    """
    from scipy.spatial.distance import cdist

    return np.asarray(10 / np.log(10) * np.sqrt(2) * cdist(a, b))


def _f0_distances(f0: Float64, reference: Float64) -> tuple[float | None, float | None]:
    """Return RMSE and correlation of log F0 over the aligned frames voiced in both."""
    both = (f0 > 0) & (reference > 0)
    if not both.any():
        return None, None
    a, b = np.log(f0[both]), np.log(reference[both])
    rmse = float(np.sqrt(np.mean(np.square(a - b))))
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return rmse, float(np.sum(a * b)) / spread if spread > 1e-12 else None

"""Griffin-Lim: samples whose spectrogram is nearly the mel's, phases found by turns.

It needs no training and no F0, and shows what a model's mel holds, and no more.

    >>> samples = GriffinLim(FeatureConfig(), 22050)(Speech(mel=mel, f0=f0))
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.config import FeatureConfig
from corpuskit.features import mel_filterbank
from trainer.vocoders.speech import Float32, Speech

__all__ = ["GriffinLim", "Transform", "linear_magnitude"]

Complex64 = npt.NDArray[np.complex64]

ITERATIONS = (
    48  # the spectral error still falls by 0.9 dB from 32, by 0.1 dB to 60: docs/vocoders.md
)
UPDATES = 20  # of the mel inverse; leaves 0.03 % of the mel unexplained
_TINY = np.float32(1e-12)


class GriffinLim:
    """Fast Griffin-Lim (Perraudin, Balazs and Sondergaard, 2013): the same mel, the same samples.

    The magnitude comes from `linear_magnitude`; the start phase is drawn from `seed`.
    """

    hears_f0 = False

    def __init__(
        self,
        settings: FeatureConfig,
        rate: int,
        *,
        iterations: int = ITERATIONS,
        momentum: float = 0.99,
        seed: int = 0,
    ) -> None:
        """Prepare for mels made with `settings` from samples at `rate` Hz."""
        self.name = f"griffinlim{iterations}"
        self._settings = settings
        self._rate = rate
        self._iterations = iterations
        self._momentum = np.float32(momentum)
        self._seed = seed

    def __call__(self, speech: Speech) -> Float32:
        """Turn T frames into ((T - 1) * hop,) samples as loud as the mel says; F0 is ignored."""
        if len(speech) < 2:
            return np.zeros(0, dtype=np.float32)
        return self._samples(linear_magnitude(speech.mel, self._rate, self._settings))

    def _samples(self, magnitude: Float32) -> Float32:
        """Find samples whose STFT has nearly this (T, bins) magnitude."""
        transform = Transform(self._settings, len(magnitude))
        angles = np.random.default_rng(self._seed).random(magnitude.shape, dtype=np.float32)
        spectrum = magnitude * np.exp(2j * np.pi * angles).astype(np.complex64)
        before: Complex64 | None = None
        for _ in range(self._iterations):
            consistent = transform.analyse(transform.synthesise(spectrum))
            ahead = consistent
            if before is not None:
                ahead = consistent + self._momentum * (consistent - before)
            before = consistent
            spectrum = ahead * (magnitude / (np.abs(ahead) + _TINY))
        return transform.inside(transform.synthesise(spectrum))


def linear_magnitude(
    mel: npt.NDArray[Any], rate: int, settings: FeatureConfig, updates: int = UPDATES
) -> Float32:
    """Invert a natural-log mel (T, bands) to a magnitude spectrum (T, n_fft // 2 + 1).

    Multiplicative updates (Lee and Seung, 2000; Kullback-Leibler) look for a non-negative
    spectrum with this very mel, starting from the bands spread smoothly over their bins.
    What lies at the mel's floor is silence and stays it; bins outside all bands are 0.
    """
    bank, spread = _bank(rate, settings)
    wanted = np.exp(np.asarray(mel, dtype=np.float32)).T
    wanted = np.where(wanted > settings.mel_floor * 1.001, wanted, np.float32(0))
    magnitude = spread @ wanted
    weight = np.maximum(bank.sum(axis=0), _TINY)[:, None]
    for _ in range(updates):
        magnitude *= (bank.T @ (wanted / (bank @ magnitude + _TINY))) / weight
    return np.ascontiguousarray(magnitude.T)


@cache
def _bank(rate: int, settings: FeatureConfig) -> tuple[Any, Any]:
    """Return the filterbank (bands, bins) and the start (bins, bands), both sparse.

    Sparse products are an order faster here, and the same bits whatever the threads.
    """
    from scipy.sparse import csr_array

    bank = mel_filterbank(rate, settings)
    level = bank / np.maximum(bank.sum(axis=1, keepdims=True) ** 2, _TINY)  # (bands, bins)
    share = bank / np.maximum(bank.sum(axis=1, keepdims=True), _TINY)
    spread = level / np.maximum(share.sum(axis=0, keepdims=True), _TINY)
    return csr_array(bank), csr_array(spread.T)


class Transform:
    """STFT and its least-squares inverse over T frames, on the padded signal.

    Frame k covers n_fft samples from k * hop; `inside` cuts off the n_fft / 2 on either
    side that only pad the first and last frames.
    """

    def __init__(self, settings: FeatureConfig, frames: int) -> None:
        self._n_fft, self._hop, self._frames = settings.n_fft, settings.hop_length, frames
        margin = settings.n_fft - settings.win_length
        window = np.hanning(settings.win_length + 1)[:-1]  # periodic, as in corpuskit.features
        self._window = np.pad(window, (margin // 2, margin - margin // 2)).astype(np.float32)
        squares = np.broadcast_to(self._window**2, (frames, self._n_fft))
        self._weight: Float32 = np.reciprocal(np.maximum(self._overlap(squares), np.float32(1e-3)))

    def padded(self, samples: Float32) -> Float32:
        """Pad ((T - 1) * hop,) samples as the frames at both ends see them."""
        reflected = "reflect" if len(samples) > self._n_fft // 2 else "symmetric"
        return np.pad(samples, self._n_fft // 2, mode=reflected)  # type: ignore[call-overload, no-any-return]

    def analyse(self, samples: Float32) -> Complex64:
        """Return the (T, bins) STFT of the padded signal."""
        from scipy.fft import rfft

        frames = np.lib.stride_tricks.sliding_window_view(samples, self._n_fft)[:: self._hop]
        return np.asarray(rfft(frames[: self._frames] * self._window, axis=1))

    def synthesise(self, spectrum: Complex64) -> Float32:
        """Return the padded signal whose STFT is nearest to (T, bins) `spectrum`."""
        from scipy.fft import irfft

        frames = irfft(spectrum, self._n_fft, axis=1)
        frames *= self._window
        return self._overlap(frames) * self._weight

    def inside(self, samples: Float32) -> Float32:
        """Cut the padding off: (T - 1) * hop samples, frame k centred on k * hop."""
        start = self._n_fft // 2
        return samples[start : start + (self._frames - 1) * self._hop]

    def _overlap(self, frames: Float32) -> Float32:
        """Add frames up where they lie, one hop-wide column of all frames at a time."""
        columns = -(-self._n_fft // self._hop)
        total = np.zeros((self._frames + columns - 1, self._hop), dtype=np.float32)
        for column in range(columns):
            piece = frames[:, column * self._hop : (column + 1) * self._hop]
            total[column : column + self._frames, : piece.shape[1]] += piece
        return total.ravel()

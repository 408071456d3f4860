"""WORLD as a vocoder for mels: pulses and noise, shaped until they have the mel they should.

Morise, Yokomori and Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system" (2016),
makes speech of F0, a spectral envelope and the share of noise in it (aperiodicity). Here F0 is
given, the envelope is read off the mel, and the aperiodicity is that of an average voice: nothing
is trained, and no phase is guessed as Griffin-Lim must. What WORLD makes of that is then filtered,
frame by frame, to the mel that was asked for.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.config import FeatureConfig
from corpuskit.features import mel_filterbank, pyworld
from trainer.vocoders.griffinlim import Transform, linear_magnitude
from trainer.vocoders.speech import Float32, Speech

__all__ = ["World"]

Float64 = npt.NDArray[np.float64]

# Aperiodicity of voiced speech, dB by Hz: about the mean of what D4C (Morise, 2016) finds in read
# speech, where voices differ less than bands do.
APERIODICITY = ((0, -60.0), (1000, -43.0), (3000, -9.0), (6000, -3.5), (9000, -1.3), (12000, 0.0))
UNVOICED_F0 = 500.0  # Hz; how coarsely unvoiced frames are smoothed, as in CheapTrick
UPDATES = 5  # of the mel's inverse: what more would sharpen is smoothed away again
STEPS = (
    4  # of synthesis per frame: WORLD glides from F0 to 0 in one, which is heard in whole frames
)
BLUR = 1.5  # bands; a predicted mel has no clear harmonics, and filling their gaps sounds hoarse
STEEPEST = (9.0, 2.0)  # natural-log units each round of filtering may change at most
FALL = 6.0  # dB per kHz; how the envelope goes on above the highest band


class World:
    """Speech from a mel and F0 by WORLD: the same input, the same samples."""

    name = "world"
    hears_f0 = True

    def __init__(self, settings: FeatureConfig, rate: int) -> None:
        """Prepare for mels made with `settings` from samples at `rate` Hz."""
        self._settings = settings
        self._rate = rate

    def __call__(self, speech: Speech) -> Float32:
        """Turn T frames into ((T - 1) * hop,) samples as loud as the mel says."""
        if len(speech) < 2:
            return np.zeros(0, dtype=np.float32)
        spoken = self._synthesise(self._envelope(speech), speech.f0)
        return self._filtered(spoken, speech)

    def _envelope(self, speech: Speech) -> Float64:
        """Read the power envelope (T, bins) off the mel, without the harmonics it shows."""
        settings, rate = self._settings, self._rate
        magnitude = linear_magnitude(speech.mel, rate, settings, UPDATES).astype(np.float64)
        _extend(magnitude, *_beyond(rate, settings))
        power = np.square(magnitude / _window_gain(settings))
        width = np.where(speech.f0 > 0, speech.f0, UNVOICED_F0) * (2 / 3)  # Hz, as in CheapTrick
        smooth = _smoothed(power, width * settings.n_fft / rate)
        return np.maximum(smooth, _floor(rate, settings))  # differences of sums can be below 0

    def _synthesise(self, envelope: Float64, f0: Float32) -> Float32:
        """Let WORLD speak: ((T - 1) * hop,) samples."""
        hop, rate = self._settings.hop_length, self._rate
        envelope, contour = _finer(envelope, f0)
        voiced, unvoiced = _aperiodicity(rate, envelope.shape[1])
        noise = np.where((contour > 0)[:, None], voiced, unvoiced)
        made = pyworld().synthesize(
            contour, envelope, noise, rate, frame_period=hop / STEPS / rate * 1000
        )
        wanted = (len(f0) - 1) * hop
        made = made[:wanted].astype(np.float32)
        return np.pad(made, (0, wanted - len(made)))

    def _filtered(self, samples: Float32, speech: Speech) -> Float32:
        """Filter samples until their mel is nearly that of `speech`."""
        settings, rate = self._settings, self._rate
        bank, spread = _banks(rate, settings)
        transform = Transform(settings, len(speech))
        padded = transform.padded(samples)
        voiced = (speech.f0 > 0)[:, None]
        first, _ = _beyond(rate, settings)
        for limit in STEEPEST:
            spectrum = transform.analyse(padded)
            found = np.log(np.maximum((bank @ np.abs(spectrum).T).T, settings.mel_floor))
            missing = speech.mel - found
            missing = np.where(voiced, _blurred(missing), missing)
            gain = (spread @ np.clip(missing, -limit, limit).T).T
            _hold(gain, first)
            padded = transform.synthesise((spectrum * np.exp(gain)).astype(np.complex64))
        return transform.inside(padded)


def _finer(envelope: Float64, f0: Float32) -> tuple[Float64, Float64]:
    """Return envelope and F0 of T frames at (T - 1) * STEPS + 1 times: F0 is 0 or whole."""
    times = np.arange((len(f0) - 1) * STEPS + 1) / STEPS
    voiced = np.flatnonzero(f0 > 0)
    contour = np.zeros(len(times))
    if len(voiced):
        known = np.interp(times, voiced, np.log(f0[voiced]))
        contour = np.where(f0[np.floor(times + 0.5).astype(np.int64)] > 0, np.exp(known), 0.0)
    before = np.floor(times).astype(np.int64)
    after = np.minimum(before + 1, len(f0) - 1)
    share = (times - before)[:, None]
    log = np.log(envelope)
    return np.exp(log[before] * (1 - share) + log[after] * share), contour


def _blurred(difference: Float32) -> Float32:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(difference, BLUR, axis=1))


def _smoothed(power: Float64, width: npt.NDArray[Any]) -> Float64:
    """Return power (T, bins) as means over each frame's `width` (T,), in bins.

    The spectrum is mirrored at both ends. Widths are no whole numbers: the running sum is
    interpolated, so that a harmonic enters and leaves a mean gradually.
    """
    frames, bins = power.shape
    mirrored = np.concatenate([power[:, :0:-1], power, power[:, -2::-1]], axis=1)
    sums = np.pad(np.cumsum(mirrored, axis=1), ((0, 0), (1, 0)))
    half = np.maximum(width, 1.0)[:, None] / 2
    centre = np.arange(bins) + bins - 0.5  # the middle of a bin, where a sum's edges are whole
    rows = np.arange(frames)[:, None]

    def up_to(edge: npt.NDArray[Any]) -> Float64:
        whole = np.clip(np.floor(edge).astype(np.int64), 0, sums.shape[1] - 2)
        share = edge - whole
        return np.asarray(sums[rows, whole] * (1 - share) + sums[rows, whole + 1] * share)

    return np.ascontiguousarray((up_to(centre + half) - up_to(centre - half)) / (2 * half))


def _beyond(rate: int, settings: FeatureConfig) -> tuple[int, Float64]:
    """Return the first bin the bands no longer show well, and the fall from there on (natural log).

    The highest band is a triangle that ends at `fmax`: its upper half says little.
    """
    bins = settings.n_fft // 2 + 1
    first = min(int(0.95 * settings.fmax * settings.n_fft / rate), bins - 1)
    kilohertz = np.arange(bins - first) * rate / settings.n_fft / 1000
    return first, -FALL * kilohertz * np.log(10) / 20


def _extend(magnitude: Float64, first: int, fall: Float64) -> None:
    """Let a magnitude (T, bins) go on from bin `first`, falling."""
    level = magnitude[:, max(first - 6, 0) : max(first, 1)].mean(axis=1, keepdims=True)
    magnitude[:, first:] = level * np.exp(fall)


def _hold(gain: npt.NDArray[Any], first: int) -> None:
    """Let a gain (T, bins, natural log) stay what it is below bin `first`."""
    gain[:, first:] = gain[:, max(first - 3, 0) : max(first, 1)].mean(axis=1, keepdims=True)


def _floor(rate: int, settings: FeatureConfig) -> float:
    """Return a power that no band of the mel would show."""
    bank = mel_filterbank(rate, settings)
    lowest = settings.mel_floor / float(bank.sum(axis=1).max())
    return lowest**2 / 100 / _window_gain(settings) ** 2


def _window_gain(settings: FeatureConfig) -> float:
    """Return the magnitude in the STFT of noise of power 1: the root of the window's energy."""
    return float(np.sqrt(3 / 8 * settings.win_length))


@cache
def _aperiodicity(rate: int, bins: int) -> tuple[Float64, Float64]:
    """Return the share of noise (bins,), as amplitude, of voiced and of unvoiced frames."""
    hertz, decibels = zip(*APERIODICITY, strict=True)
    voiced = 10 ** (np.interp(np.linspace(0, rate / 2, bins), hertz, decibels) / 20)
    # WORLD takes 1 - 1e-12 as noise throughout, and fails at 1 itself.
    return np.clip(voiced, 1e-3, 1 - 1e-12), np.full(bins, 1 - 1e-12)


@cache
def _banks(rate: int, settings: FeatureConfig) -> tuple[Any, Any]:
    """Return the filterbank (bands, bins), and what hands bands' values to bins (bins, bands)."""
    from scipy.sparse import csr_array

    bank = mel_filterbank(rate, settings)
    spread = bank / np.maximum(bank.sum(axis=0, keepdims=True), np.float32(1e-9))
    return csr_array(bank), csr_array(np.ascontiguousarray(spread.T))

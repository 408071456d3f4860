"""F0, energy and mel of one whole recording, on one frame grid.

Frame k is centred on sample k * hop; n samples have 1 + n // hop frames, and F0,
energy and mel always have the same number of them. The mel is HiFi-GAN's (Kong et al.,
2010.05646): Slaney bands of the magnitude spectrum, natural log, clipped from below.
F0 is WORLD's (Morise et al.): DIO refined by StoneMask, or Harvest.

Nothing here calls a threaded matrix product: the result is the same bits in every
process, whatever the number of threads.
"""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from corpuskit.config import FeatureConfig
from corpuskit.objects import Key, libraries

__all__ = [
    "VERSION",
    "Features",
    "continuous_log_f0",
    "extract",
    "features_key",
    "for_voice",
    "frame_count",
    "log_energy",
    "mel_filterbank",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

VERSION = 1  # raise when `extract` gives other numbers for the same input
_BLOCK = 512  # frames per FFT call; keeps the work in the cache and memory flat


@dataclass(frozen=True, kw_only=True)
class Features:
    """Measured frames of a recording, or of a part of it (T frames)."""

    f0: Float32  # (T,) Hz, 0 where unvoiced
    energy: Float32  # (T,) L2 norm of the STFT magnitude frame, + 1e-6
    mel: Float32  # (T, bands) natural log of the mel magnitude

    def __post_init__(self) -> None:
        if not len(self.f0) == len(self.energy) == len(self.mel):
            raise ValueError(
                f"frame counts differ: f0 {len(self.f0)}, energy {len(self.energy)}, "
                f"mel {len(self.mel)}"
            )

    def __len__(self) -> int:
        return len(self.f0)

    def cut(self, first: int, stop: int) -> Features:
        """Return frames first..stop-1."""
        return Features(
            f0=self.f0[first:stop], energy=self.energy[first:stop], mel=self.mel[first:stop]
        )


def for_voice(settings: FeatureConfig, f0_range: tuple[float, float] | None) -> FeatureConfig:
    """Return the settings a voice is measured with: its own F0 floor and ceiling (Hz), if any.

    `features.f0_range = "settings"` switches a corpus' ranges off.
    """
    if f0_range is None or settings.f0_range == "settings":
        return settings
    return dataclasses.replace(settings, f0_floor=f0_range[0], f0_ceil=f0_range[1])


def features_key(audio_digest: str, rate: int, settings: FeatureConfig) -> Key:
    """Return the key of a recording's features: audio, settings, extractor, libraries."""
    return Key(
        stage="features",
        version=VERSION,
        inputs={"audio": audio_digest},
        settings={
            "rate": rate,
            **{
                name: getattr(settings, name)
                for name in (
                    "n_fft",
                    "hop_length",
                    "win_length",
                    "mels",
                    "fmin",
                    "fmax",
                    "mel_floor",
                    "f0_method",
                    "f0_floor",
                    "f0_ceil",
                )
            },
        },
        libraries=libraries("numpy", "scipy", "librosa", "pyworld", "soxr"),
    )


def frame_count(samples: int, hop_length: int) -> int:
    """Return the number of frames of a recording of `samples` samples."""
    return 1 + samples // hop_length


def extract(samples: Float64, rate: int, settings: FeatureConfig) -> Features:
    """Measure F0, energy and mel of (n,) samples at `rate` Hz.

    Returns
    -------
    Features
        1 + n // hop_length frames each.

    """
    energy, mel = _energy_and_mel(samples, rate, settings)
    return Features(f0=_f0(samples, rate, settings), energy=energy, mel=mel)


def _f0(samples: Float64, rate: int, settings: FeatureConfig) -> Float32:
    """Track F0 with WORLD at the mel's frame period; (T,) Hz, 0 where unvoiced."""
    world = pyworld()
    samples = np.ascontiguousarray(samples, dtype=np.float64)
    search = {
        "f0_floor": settings.f0_floor,
        "f0_ceil": settings.f0_ceil,
        "frame_period": settings.hop_length / rate * 1000,  # ms
    }
    if settings.f0_method == "harvest":
        track, _ = world.harvest(samples, rate, **search)
    else:
        coarse, times = world.dio(samples, rate, **search)
        track = world.stonemask(samples, coarse, times, rate)
    wanted = frame_count(len(samples), settings.hop_length)
    # WORLD counts frames in floating-point milliseconds and can be one off.
    track = np.pad(track[:wanted], (0, wanted - min(len(track), wanted)))
    return np.asarray(track, dtype=np.float32)


def pyworld() -> Any:
    """Import pyworld without the deprecation notice of the module it asks its version from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyworld as world
    return world


def _energy_and_mel(
    samples: Float64, rate: int, settings: FeatureConfig
) -> tuple[Float32, Float32]:
    from scipy.fft import rfft

    window = _window(settings.n_fft, settings.win_length)
    bank = _sparse_filterbank(rate, settings.n_fft, settings.mels, settings.fmin, settings.fmax)
    padded = _padded(samples, settings.n_fft)
    frames = sliding_window_view(padded, settings.n_fft)[:: settings.hop_length]
    total = frame_count(len(samples), settings.hop_length)
    energy = np.empty(total, dtype=np.float32)
    mel = np.empty((total, settings.mels), dtype=np.float32)
    for first in range(0, total, _BLOCK):
        block = slice(first, min(first + _BLOCK, total))
        magnitude = np.abs(rfft(frames[block] * window, axis=1))
        energy[block] = np.sqrt(np.square(magnitude).sum(axis=1)) + 1e-6
        mel[block] = (bank @ magnitude.T).T
    np.log(np.maximum(mel, np.float32(settings.mel_floor), out=mel), out=mel)
    return energy, mel


def _padded(samples: Float64, n_fft: int) -> Float32:
    """Reflect n_fft / 2 samples at both ends (repeating for very short recordings)."""
    mode = "reflect" if len(samples) > 1 else "edge"
    return np.pad(samples.astype(np.float32), n_fft // 2, mode=mode)  # type: ignore[call-overload, no-any-return]


@cache
def _window(n_fft: int, win_length: int) -> Float32:
    from scipy.signal import get_window

    window = np.zeros(n_fft, dtype=np.float32)
    start = (n_fft - win_length) // 2
    window[start : start + win_length] = get_window("hann", win_length, fftbins=True)
    return window


def mel_filterbank(rate: int, settings: FeatureConfig) -> Float32:
    """Return the (mels, n_fft // 2 + 1) Slaney filterbank (librosa's)."""
    return _filterbank(rate, settings.n_fft, settings.mels, settings.fmin, settings.fmax)


@cache
def _filterbank(rate: int, n_fft: int, mels: int, fmin: float, fmax: float) -> Float32:
    from librosa.filters import mel

    bank: Float32 = mel(
        sr=rate, n_fft=n_fft, n_mels=mels, fmin=fmin, fmax=fmax, htk=False, norm="slaney"
    ).astype(np.float32)
    return bank


@cache
def _sparse_filterbank(rate: int, n_fft: int, mels: int, fmin: float, fmax: float) -> Any:
    """Return the filterbank as CSR: a bin feeds two bands at most, the rest are zeros."""
    from scipy.sparse import csr_array

    return csr_array(_filterbank(rate, n_fft, mels, fmin, fmax))


def continuous_log_f0(f0: Float32, energy: Float32, gate: float) -> Float32:
    """Return a log F0 contour without gaps.

    F0 counts as 0 where the natural log of the energy is below `gate`; zeros are
    interpolated linearly in Hz, edges are held, then the natural log is taken.

    Parameters
    ----------
    f0, energy : (T,)
    gate : natural-log energy

    Returns
    -------
    (T,) natural log of Hz; all zeros when no frame is voiced.

    """
    voiced = np.flatnonzero((f0 > 0) & (np.log(energy) >= gate))
    if not len(voiced):
        return np.zeros(len(f0), dtype=np.float32)
    filled = np.interp(np.arange(len(f0)), voiced, f0[voiced])
    return np.log(filled).astype(np.float32)


def log_energy(energy: Float32, gate: float) -> Float32:
    """Return the natural log of the energy (T,), no lower than `gate`.

    Below the gate there is no voice, only the room or digital zero (-13.8): how far below
    tells a model nothing, but a few such frames would outweigh all speech in a squared error.
    """
    return np.maximum(np.log(energy), np.float32(gate))

"""Recordings as samples: decoding, identity, resampling, writing.

A recording's identity is the digest of its decoded samples and rate, so a copy, a
renamed file or a lossless re-encoding of the same 16-bit samples is the same recording.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.containers import check_length
from corpuskit.errors import BadAudio
from corpuskit.files import write_file

__all__ = [
    "EXTENSIONS",
    "Header",
    "Sound",
    "decode",
    "digest",
    "header",
    "resample",
    "to_16_bit",
    "write_wav",
]

Float64 = npt.NDArray[np.float64]

EXTENSIONS = (".wav", ".flac")  # what a folder scan takes for recordings
LOWEST_RATE = 4000  # Hz; below, there is no speech to analyse
_BLOCK = 1 << 20  # samples rounded at once
_EIGHT_OR_SIXTEEN_BIT = {"PCM_16", "PCM_S8", "PCM_U8"}
_LOUDEST = 100.0  # times full scale (40 dB above it); floats beyond it have lost their scale


@dataclass(frozen=True, kw_only=True)
class Sound:
    """Decoded samples of one recording, mixed to mono."""

    samples: Float64  # (n,), full scale is 1.0
    rate: int  # Hz
    channels: int  # of the file
    subtype: str  # libsndfile's name of the sample format, e.g. "PCM_16"

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    def cut(self, first: int, stop: int) -> Sound:
        """Return samples first..stop-1.

        Raises
        ------
        BadAudio
            They do not all exist.

        """
        if not 0 <= first < stop <= len(self.samples):
            raise BadAudio(f"has {len(self.samples)} samples, not the clip {first} to {stop}")
        return dataclasses.replace(self, samples=self.samples[first:stop])


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a recording's header promises, without reading the samples."""

    samples: int
    rate: int  # Hz
    channels: int
    subtype: str  # libsndfile's name of the sample format, e.g. "PCM_16"


def header(path: Path) -> Header:
    """Read the header of a recording.

    Raises
    ------
    BadAudio
        Unreadable, empty or truncated.

    """
    import soundfile

    _check_container(path)
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:  # names need not be UTF-8
            return Header(
                samples=file.frames,
                rate=file.samplerate,
                channels=file.channels,
                subtype=file.subtype,
            )
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise BadAudio(f"cannot be decoded ({_first_line(error)})") from None


def decode(path: Path, clip: tuple[int, int] | None = None) -> Sound:
    """Decode a recording of any rate, channel count and sample format to mono.

    8- to 24-bit integers and floats become float64 exactly; channels are averaged.
    `clip` (first sample, one past the last) cuts out a part of the file.

    Raises
    ------
    BadAudio
        Unreadable, empty, truncated, without samples, shorter than the clip, with NaN or
        infinite samples, or far above full scale.

    """
    import soundfile

    _check_container(path)
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:  # names need not be UTF-8
            rate, channels, subtype = file.samplerate, file.channels, file.subtype
            promised = file.frames
            frames = file.read(dtype=_dtype(subtype), always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise BadAudio(f"cannot be decoded ({_first_line(error)})") from None
    if len(frames) < promised:
        raise BadAudio(f"is truncated: {len(frames)} of {promised} samples are there")
    samples = _mono(frames)
    _check_samples(samples, rate)
    sound = Sound(samples=samples, rate=rate, channels=channels, subtype=subtype)
    return sound if clip is None else sound.cut(*clip)


def _check_samples(samples: Float64, rate: int) -> None:
    if not len(samples):
        raise BadAudio("holds no samples")
    if not np.isfinite(samples).all():
        raise BadAudio("holds NaN or infinite samples")
    peak = max(samples.max(), -samples.min())
    if peak > _LOUDEST:
        raise BadAudio(f"holds samples of {peak:.3g} times full scale (1.0 in floats)")
    if rate < LOWEST_RATE:
        raise BadAudio(f"has a sample rate of {rate} Hz, too low for speech")


def _dtype(subtype: str) -> str:
    return "int16" if subtype in _EIGHT_OR_SIXTEEN_BIT else "float64"


def _mono(frames: npt.NDArray[Any]) -> Float64:
    scale = 1 / 32768 if frames.dtype == np.int16 else 1.0
    if frames.shape[1] == 1:
        return np.asarray(np.multiply(frames[:, 0], scale, dtype=np.float64))
    return np.asarray(frames.mean(axis=1, dtype=np.float64) * scale)


def _first_line(error: BaseException) -> str:
    """Return libsndfile's own words without the path, which differs between machines."""
    text = str(getattr(error, "error_string", None) or error)
    return text.splitlines()[0].strip().rstrip(".") if text else type(error).__name__


def _check_container(path: Path) -> None:
    """Find what libsndfile forgives, and what is no file: reading a pipe would never end."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadAudio("is not a file")
        if status.st_size == 0:
            raise BadAudio("is an empty file")
        with path.open("rb") as file:
            check_length(file, status.st_size)
    except FileNotFoundError:
        raise BadAudio("does not exist") from None
    except OSError as error:
        raise BadAudio(f"cannot be read ({error.strerror})") from None


def digest(sound: Sound) -> str:
    """Return the recording's identity: SHA-256 over rate and mono samples (64 hex digits).

    Samples that fit 16 bits are hashed as such, however many bits the file spends on them.
    """
    scaled = sound.samples * 32768
    steps = np.round(scaled)
    if ((steps == scaled) & (steps >= -32768) & (steps <= 32767)).all():
        form, data = "int16", steps.astype("<i2").tobytes()
    else:
        form, data = "float64", sound.samples.astype("<f8").tobytes()
    hasher = hashlib.sha256(f"{form} {sound.rate} {len(sound.samples)}\n".encode())
    hasher.update(data)
    return hasher.hexdigest()


def resample(samples: Float64, rate: int, new_rate: int) -> Float64:
    """Resample (n,) samples to ceil(n * new_rate / rate) with soxr's high quality.

    The group delay is compensated: sample k of the result is at k / new_rate seconds.
    """
    if rate == new_rate:
        return np.asarray(samples, dtype=np.float64)
    import soxr

    single = samples.astype(np.float32)  # soxr's HQ (20 bits) computes in single precision anyway
    result = soxr.resample(single, rate, new_rate, quality="HQ").astype(np.float64)
    wanted = -(-len(samples) * new_rate // rate)
    if len(result) < wanted:
        result = np.pad(result, (0, wanted - len(result)))
    return np.asarray(result[:wanted])


def to_16_bit(samples: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """Round samples (full scale 1.0) to 16-bit steps, clipping what exceeds them."""
    found = np.empty(np.shape(samples), dtype=np.int16)
    for first in range(0, len(found), _BLOCK):  # an hour would take gigabytes at once
        block = slice(first, first + _BLOCK)
        steps = np.round(np.asarray(samples[block], dtype=np.float64) * 32768)
        found[block] = np.clip(steps, -32768, 32767)
    return found


def write_wav(path: Path, samples: npt.NDArray[Any], rate: int) -> None:
    """Write mono samples (full scale 1.0) as a 16-bit wav, atomically."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, to_16_bit(samples), rate, format="WAV", subtype="PCM_16")
    write_file(path, buffer.getvalue())

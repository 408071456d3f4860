"""Recordings cut to what a version keeps, without touching a sample."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.audio import digest
from corpuskit.errors import BadAudio, CorpuskitError
from corpuskit.versions import Recording, Side, Version

__all__ = ["Cut", "Shape", "cut", "shape_of"]

# libsndfile's sample formats: what they are read as, and the wav format that holds just that.
_EXACT = {
    "PCM_U8": ("int16", "PCM_U8"),
    "PCM_S8": ("int16", "PCM_U8"),
    "PCM_16": ("int16", "PCM_16"),
    "PCM_24": ("int32", "PCM_24"),
    "PCM_32": ("int32", "PCM_32"),
    "FLOAT": ("float32", "FLOAT"),
    "DOUBLE": ("float64", "DOUBLE"),
}
_COMPRESSED = ("int16", "PCM_16")  # mu-law and the like decode to 16 bits


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The kept part of one recording: all its channels, at its own rate and depth."""

    frames: npt.NDArray[np.generic]  # (samples, channels), int16, int32, float32 or float64
    rate: int  # Hz
    subtype: str  # of a wav file that holds the samples exactly

    def wav(self) -> bytes:
        """Return the bytes of a wav file."""
        import soundfile

        buffer = io.BytesIO()
        soundfile.write(buffer, self.frames, self.rate, format="WAV", subtype=self.subtype)
        return buffer.getvalue()


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a recording's file holds."""

    rate: int  # Hz
    samples: int  # of the whole file
    channels: int
    subtype: str  # libsndfile's name of the sample format


def shape_of(version: Version, recording: Recording) -> Shape:
    """Return what the file of a recording holds, if it is what the version was built from.

    Raises
    ------
    CorpuskitError
        The file is gone, or holds other samples.

    """
    import soundfile

    path = version.source_path(recording)
    try:
        if digest(version.sound(recording)) != recording.digest:
            raise BadAudio("holds other samples than when the dataset was built")
        found = soundfile.info(path)
    except (BadAudio, soundfile.LibsndfileError) as error:
        problem = error.problem if isinstance(error, BadAudio) else str(error)
        raise CorpuskitError(
            f"dataset {version.name}, recording {recording.id}: {path} {problem}",
            f"`corpuskit verify {version.name}` names everything that changed",
        ) from None
    return Shape(
        rate=found.samplerate,
        samples=found.frames,
        channels=found.channels,
        subtype=found.subtype,
    )


def cut(version: Version, side: Side, recording: Recording) -> Cut:
    """Read what a version keeps of a recording (CorpuskitError as in `shape_of`)."""
    import soundfile

    dtype, exact = _EXACT.get(shape_of(version, recording).subtype, _COMPRESSED)
    first = recording.clip[0] if recording.clip else 0
    start, stop = (first + each for each in side.samples)
    path = version.source_path(recording)
    frames, rate = soundfile.read(path, stop - start, start, dtype=dtype, always_2d=True)
    return Cut(frames=frames, rate=rate, subtype=exact)

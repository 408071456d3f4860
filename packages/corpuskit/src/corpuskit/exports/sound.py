"""Recordings cut to what a version keeps, without touching a sample."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.audio import digest
from corpuskit.errors import BadAudio, CorpuskitError
from corpuskit.versions import Recording, Side, Version

__all__ = ["Cut", "cut"]

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


def cut(version: Version, side: Side, recording: Recording) -> Cut:
    """Read what a version keeps of a recording.

    Raises
    ------
    CorpuskitError
        The file is gone, or holds other samples than those the version was built from.

    """
    import soundfile

    path = version.source_path(recording)
    try:
        if digest(version.sound(recording)) != recording.digest:
            raise BadAudio("holds other samples than when the dataset was built")
        subtype = soundfile.info(path).subtype
        dtype, exact = _EXACT.get(subtype, _COMPRESSED)
        first = recording.clip[0] if recording.clip else 0
        start, stop = (first + each for each in side.samples)
        frames, rate = soundfile.read(path, stop - start, start, dtype=dtype, always_2d=True)
    except (BadAudio, soundfile.LibsndfileError) as error:
        problem = error.problem if isinstance(error, BadAudio) else str(error)
        raise CorpuskitError(
            f"dataset {version.name}, recording {recording.id}: {path} {problem}",
            f"`corpuskit verify {version.name}` names everything that changed",
        ) from None
    return Cut(frames=frames, rate=rate, subtype=exact)

"""The kept parts of the recordings a version was built from, as they are on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpuskit.audio import decode, digest
from corpuskit.errors import BadAudio, CorpuskitError
from corpuskit.versions import Recording, Side, Version

__all__ = ["Original", "original"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Original:
    """The kept part of a recording's file."""

    name: str  # of the recording, for messages
    path: Path
    clip: tuple[int, int] | None  # samples of the file that are the recording; None: all
    digest: str  # of the samples the dataset was built from
    span: tuple[int, int]  # samples

    def read(self) -> tuple[Float64, int]:
        """Return the kept samples and their rate; the errors of `whole`."""
        samples, rate = self.whole()
        return samples[slice(*self.span)], rate

    def whole(self) -> tuple[Float64, int]:
        """Return all samples of the recording and their rate.

        Raises
        ------
        CorpuskitError
            The file cannot be read, or was changed since the dataset was built.
        """
        try:
            sound = decode(self.path, self.clip)
        except BadAudio as error:
            raise CorpuskitError(
                f"{self.name}: {self.path} {error.problem}",
                "its sound is needed, not only its features; bring the corpus back",
            ) from None
        if digest(sound) != self.digest:
            raise CorpuskitError(
                f"{self.name}: {self.path} has changed since the dataset was built",
                "bring the recording back, or build a new version",
            )
        return sound.samples, sound.rate


def original(version: Version, recording: Recording, side: Side) -> Original:
    """Find a pair's side among a version's recordings.

    Raises
    ------
    CorpuskitError
        Its file is gone.
    """
    path = version.source_path(recording)
    if not path.is_file():
        raise CorpuskitError(
            f"dataset {version.name}, recording {recording.id}: {path} does not exist",
            "its sound is needed, not only its features; bring the corpus back",
        )
    return Original(
        name=f"dataset {version.name}, recording {recording.id}",
        path=path,
        clip=recording.clip,
        digest=recording.digest,
        span=side.samples,
    )

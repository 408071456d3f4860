"""A recording as a page can show it: its sound where the file is still here, its level always.

The level curve comes from the store. A file that was moved, changed or damaged since the
version was built is never passed off for what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.audio import Sound, decode, digest
from corpuskit.errors import BadAudio, BadVersion
from corpuskit.objects import Store
from corpuskit.recordings import Facts, load_levels
from corpuskit.silence import LevelCurve
from corpuskit.versions import Recording, Version

__all__ = ["QUIETEST", "Opener", "Shown", "levels_of"]

QUIETEST = -100.0  # dBFS, bottom of the level curves
SAMPLES = 6_000_000  # of all recordings of a page; about 10 MB as FLAC in base64
WINDOW, STEP = 50, 10  # ms
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A recording as it can be shown here."""

    recording: Recording
    sound: Sound | None
    why: str  # why there is no sound; empty when there is one
    curve: LevelCurve | None  # None when the store has lost it

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.recording.samples / self.recording.rate


class Opener:
    """Opens recordings of one version, or of several that may share them.

    Of all recordings together at most `most` samples are opened, so that a page stays within
    what a browser takes.
    """

    def __init__(self, *versions: Version, most: int = SAMPLES) -> None:
        """Take the versions whose files may be read."""
        self._versions = {version.name: version for version in versions}
        self._known = {v.name: {each.id: each for each in v.recordings} for v in versions}
        self._left = most

    def recording(self, version: Version, name: str) -> Recording:
        """Return what a version knows of a recording."""
        return self._known[version.name][name]

    def open(self, version: Version, name: str) -> Shown:
        """Open a recording of a version, from wherever a version has the same samples."""
        recording = self.recording(version, name)
        sound, why = _sound(version, recording)
        for other, known in self._known.items():
            same = known.get(name)
            if sound is None and same is not None and same.digest == recording.digest:
                sound, _ = _sound(self._versions[other], same)
        if sound is not None and len(sound.samples) > self._left:
            sound, why = None, "the page would grow too large"
        if sound is not None:
            self._left -= len(sound.samples)
        curve = _curve(version, recording)
        return Shown(recording=recording, sound=sound, why=why, curve=curve)


def _sound(version: Version, recording: Recording) -> tuple[Sound | None, str]:
    path = version.source_path(recording)
    if not path.is_file():
        return None, "its audio is not on this machine"
    try:
        sound = decode(path)
    except BadAudio as error:
        return None, f"its audio {error.problem}"
    if digest(sound) != recording.digest:
        return None, "its audio has changed since it was measured"
    return sound, ""


def _curve(version: Version, recording: Recording) -> LevelCurve | None:
    facts = Facts(digest=recording.digest, rate=recording.rate, samples=recording.samples)
    try:
        return load_levels(Store(version.workspace), recording.levels, facts)
    except BadVersion:
        return None


def levels_of(curve: LevelCurve) -> tuple[Floats, Floats]:
    """Return (seconds, dBFS) of windows of 50 ms in steps of 10 ms, no lower than -100."""
    width = min(WINDOW, curve.milliseconds)
    starts = np.arange(0, max(1, curve.milliseconds - width + 1), STEP)
    energy = curve.cumulative[starts + width] - curve.cumulative[starts]
    count = np.maximum(curve.edges[starts + width] - curve.edges[starts], 1)
    levels = 10 * np.log10(np.maximum(energy / count, 10 ** (QUIETEST / 10)))
    return (starts + width / 2) / 1000, levels

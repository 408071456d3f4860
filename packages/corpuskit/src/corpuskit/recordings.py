"""Every recording is measured once: identity, level curve and features.

`measure` does it for one file and may run in any process. An index remembers which
file (by size, times and inode, as version-control tools do) held which samples, so an
unchanged file is not decoded again; the objects themselves are always checked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit import features, silence
from corpuskit.audio import Sound, decode, digest, header, resample
from corpuskit.config import AudioConfig, FeatureConfig
from corpuskit.errors import BadAudio, BadVersion, CorpuskitError
from corpuskit.files import canonical, write_file
from corpuskit.layouts import Clip
from corpuskit.levels import Levels, level_arrays, stored_levels
from corpuskit.objects import Store, libraries

__all__ = [
    "Facts",
    "Index",
    "clip_samples",
    "load_heard",
    "load_levels",
    "measure",
    "object_names",
    "opened",
    "promised",
]

DECODE_VERSION = 2  # raise when decoding gives other samples or other reasons
_SETTLED = 2_000_000_000  # ns; a file changed this recently may change again unnoticed


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a recording once it was opened."""

    digest: str = ""  # of the decoded samples and rate
    rate: int = 0  # Hz
    samples: int = 0
    problem: str = ""  # why it cannot be used; the other fields are empty then


def object_names(facts: Facts, audio: AudioConfig, settings: FeatureConfig) -> tuple[str, str]:
    """Return the names of a recording's (levels, features) objects."""
    return (
        silence.levels_key(facts.digest).hex(),
        features.features_key(facts.digest, audio.rate, settings).hex(),
    )


def measure(
    path: Path,
    store: Store,
    audio: AudioConfig,
    settings: FeatureConfig,
    clip: Clip | None = None,
) -> tuple[Facts, bool]:
    """Decode a recording (of its file, the clip) and make sure its objects are in the store.

    Returns its facts, and whether an object had to be made. A recording that cannot be
    used comes back with its reason; only a store that cannot be written raises.
    """
    try:
        sound, facts = opened(path, clip)
        made = _store_levels(sound, facts, store)
        made |= _store_features(sound, facts, store, audio, settings)
    except BadAudio as error:
        return Facts(problem=error.problem), False
    except CorpuskitError:
        raise
    except (ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        return Facts(problem=f"cannot be analysed ({type(error).__name__}: {error})"), False
    return facts, made


def promised(path: Path, clip: Clip | None = None) -> Facts:
    """Return the facts a file's header promises of a recording: no digest, nothing decoded."""
    try:
        read = header(path)
    except BadAudio as error:
        return Facts(problem=error.problem)
    first, stop = _clip_span(clip, read.samples, read.rate)
    return Facts(rate=read.rate, samples=max(0, stop - first))


def opened(path: Path, clip: Clip | None = None) -> tuple[Sound, Facts]:
    """Decode a recording (of its file, the clip) and tell who it is.

    Raises
    ------
    BadAudio
        It cannot be decoded, or is silent from end to end.

    """
    sound = _clipped(decode(path), clip)
    if not sound.samples.any():
        raise BadAudio("is silent from end to end (every sample is zero)")
    return sound, Facts(digest=digest(sound), rate=sound.rate, samples=len(sound.samples))


def _clipped(sound: Sound, clip: Clip | None) -> Sound:
    if clip is None:
        return sound
    return sound.cut(*_clip_span(clip, len(sound.samples), sound.rate))


def _clip_span(clip: Clip | None, total: int, rate: int) -> tuple[int, int]:
    """Return (first sample, one past the last) of a clip of a file of `total` samples."""
    if clip is None:
        return 0, total
    first, stop = (total if end is None else end * rate // 1000 for end in clip)
    return first, min(stop, total)


def clip_samples(clip: Clip | None, facts: Facts) -> tuple[int, int] | None:
    """Return the clip of a measured recording in samples of its file: first, one past the last."""
    if clip is None or facts.problem:
        return None
    first = clip[0] * facts.rate // 1000
    return first, first + facts.samples


def _store_levels(sound: Sound, facts: Facts, store: Store) -> bool:
    key = silence.levels_key(facts.digest)
    if store.sound(key.hex()):
        return False
    store.put(key, level_arrays(silence.level_curve(sound)))
    return True


def _store_features(
    sound: Sound, facts: Facts, store: Store, audio: AudioConfig, settings: FeatureConfig
) -> bool:
    key = features.features_key(facts.digest, audio.rate, settings)
    if store.sound(key.hex()):
        return False
    samples = resample(sound.samples, sound.rate, audio.rate)
    measured = features.extract(samples, audio.rate, settings)
    store.put(key, {"f0": measured.f0, "energy": measured.energy, "mel": measured.mel})
    return True


def load_levels(store: Store, name: str, facts: Facts) -> silence.LevelCurve:
    """Read a recording's level curve from the store (BadVersion when damaged)."""
    return load_heard(store, name, facts)[0]


def load_heard(store: Store, name: str, facts: Facts) -> tuple[silence.LevelCurve, Levels]:
    """Read a recording's level curve and its windows counted by level (BadVersion as above)."""
    arrays = store.get(name)
    curve = silence.LevelCurve(
        forward=arrays["forward"],
        backward=arrays["backward"],
        rate=facts.rate,
        samples=facts.samples,
    )
    return curve, stored_levels(arrays)


class Index:
    """Remembers the facts of files that have not changed since they were decoded.

    The index is a cache: a missing, damaged or outdated one costs a decoding, nothing else.
    """

    def __init__(self, workspace: Path, corpora: Iterable[str]) -> None:
        """Open the index of a set of corpus roots."""
        name = hashlib.sha256(canonical(sorted(corpora)).encode()).hexdigest()[:16]
        self._open(workspace / "index" / f"{name}.json")

    @classmethod
    def at(cls, path: Path) -> Index:
        """Open an index file."""
        index = cls.__new__(cls)
        index._open(path)
        return index

    def _open(self, path: Path) -> None:
        self._path = path
        self.readable = False  # whether the file is whole and of today's libraries
        self._made_by = {"decode": DECODE_VERSION, **libraries("soundfile", "numpy")}
        self._entries: dict[str, list[Any]] = self._load()

    def _load(self) -> dict[str, list[Any]]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            seal, text = self._path.read_text(encoding="utf-8").split("\n", 1)
            if hashlib.sha256(text.encode()).hexdigest() == seal:
                content = json.loads(text)
                if content["made_by"] == self._made_by:
                    entries: dict[str, list[Any]] = content["entries"]
                    self.readable = True
                    return entries
        return {}

    def get(self, path: Path, clip: Clip | None = None) -> Facts | None:
        """Return the facts of an unchanged file (or of a clip of it), or None."""
        entry = self._entries.get(_entry_name(path, clip))
        if entry is None or entry[0] != _stamp(str(path)):
            return None
        return Facts(**entry[1])

    def put(
        self, path: Path, stamp: list[int] | None, facts: Facts, clip: Clip | None = None
    ) -> None:
        """Remember `facts`, read when the file had `stamp` (from `stamp_of`)."""
        if stamp is not None and stamp == _stamp(path):
            self._entries[_entry_name(path, clip)] = [stamp, dataclasses.asdict(facts)]

    def save(self) -> None:
        """Write the index; a disk that refuses costs only the time saved."""
        with contextlib.suppress(CorpuskitError):
            write_file(self._path, self.content(), durable=False)

    def content(self) -> bytes:
        """Return what `save` writes."""
        text = canonical({"made_by": self._made_by, "entries": self._entries})
        return f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode()

    def __len__(self) -> int:
        return len(self._entries)

    def forget_outdated(self) -> int:
        """Drop entries that `get` will never give again; returns how many.

        A file whose whole folder is gone may only be on a disk that is not there today.
        """
        outdated = [name for name, entry in self._entries.items() if _outdated(name, entry[0])]
        for name in outdated:
            del self._entries[name]
        return len(outdated)


def _entry_name(path: Path, clip: Clip | None) -> str:
    return str(path) if clip is None else f"{path}\0{clip[0]}-{clip[1]}"


def _outdated(name: str, stamp: list[int]) -> bool:
    path = name.split("\0", 1)[0]
    now = _stamp(path)
    return now != stamp and (now is not None or Path(path).parent.is_dir())


def _stamp(path: Path | str) -> list[int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - hot path
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def stamp_of(path: Path) -> list[int] | None:
    """Return the file's stamp, or None while it is too fresh to be trusted."""
    stamp = _stamp(path)
    if stamp is None or time.time_ns() - max(stamp[1], stamp[2]) < _SETTLED:
        return None
    return stamp


def damaged(store: Store, name: str) -> str:
    """Return what is wrong with an object, or an empty text."""
    try:
        store.get(name)
    except BadVersion as error:
        return error.problem
    return ""

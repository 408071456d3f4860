"""One subset of a corpus: a folder of wavs and its transcript, brought together."""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpuskit.layouts.found import Clip, Found
from corpuskit.layouts.listing import audio_files, is_folder, other_files, readable, stem_of

__all__ = ["Reading", "Subset", "told_apart"]

NO_WAV = "is in its transcript, but there is no wav"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a file holds: an id of the transcript, in all of the file or in a clip of it."""

    id: str
    clip: Clip | None = None
    problem: str = ""
    note: str = ""  # what was corrected


def _as_named(path: Path) -> Sequence[Reading]:
    return (Reading(id=stem_of(path)),)


@dataclass(frozen=True, kw_only=True)
class Subset:
    """A folder of wavs and what is known of it."""

    corpus: str
    root: str
    wavs: Path
    texts: Mapping[str, str]  # by id
    voice: Callable[[str], tuple[str, str]]  # id -> (speaker, sentence)
    readings: Callable[[Path], Sequence[Reading]] = _as_named
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)  # id -> why, if no wav
    f0_range: tuple[float, float] | None = None

    def recordings(self, warnings: list[str]) -> Iterator[Found]:
        """Yield what every wav holds, then what only the transcript knows."""
        present: set[str] = set()
        files = audio_files(self.wavs, warnings) if is_folder(self.wavs) else ()
        for path in files:
            for reading in self.readings(path):
                present.add(reading.id)
                yield self._found(path, reading)
        for name in sorted({*self.texts, *self.missing} - present):
            reading = Reading(id=name, problem=self.missing.get(name, NO_WAV))
            path = self.wavs / f"{name}.wav"
            yield dataclasses.replace(self._found(path, reading), absent=True)

    def _found(self, path: Path, reading: Reading) -> Found:
        speaker, sentence = self.voice(reading.id)
        relative = os.path.relpath(path, self.root).replace(os.sep, "/")
        bad_name = "" if readable(relative) == relative else "has a name that is not UTF-8 text"
        return Found(
            id=f"{speaker}/{sentence}",
            speaker=speaker,
            sentence=sentence,
            corpus=self.corpus,
            relative=readable(relative),
            path=path,
            problem=reading.problem or bad_name,
            clip=reading.clip,
            text=self.texts.get(reading.id, ""),
            f0_range=self.f0_range,
            note=reading.note,
        )


def told_apart(recordings: Iterable[Found]) -> Iterator[Found]:
    """Give recordings that claim one id ids of their own, and a problem where none is the one."""
    claims: dict[str, list[Found]] = defaultdict(list)
    for found in recordings:
        claims[found.id].append(found)
    for found_here in claims.values():
        usable = [found for found in found_here if not found.problem]
        for found in found_here:
            if len(found_here) == 1 or usable == [found]:
                yield found
            else:
                yield _apart(found, len(usable) - 1)


def _apart(found: Found, others: int) -> Found:
    part = f"@{found.clip[0]}" if found.clip else ""
    return dataclasses.replace(
        found,
        id=f"{found.speaker}/{found.relative}{part}",
        problem=found.problem or f"shares its sentence with {other_files(others)}",
    )

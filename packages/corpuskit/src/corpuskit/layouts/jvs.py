"""JVS: a hundred speakers, four subsets each; whispered and falsetto readings are own voices."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpuskit.config import CorpusConfig
from corpuskit.layouts.defects import Defect, defects_of
from corpuskit.layouts.found import Found, Scan
from corpuskit.layouts.listing import is_folder, stem_of
from corpuskit.layouts.subset import Reading, Subset, told_apart
from corpuskit.layouts.transcripts import read_lines
from corpuskit.subsets import JVS_STYLES, chosen

__all__ = ["f0_ranges", "fits", "scan"]

_RANGES = "gender_f0range.txt"
_HEADER_BYTES = 1024  # a wav of this size holds nothing to speak of
_WRONGLY_NAMED = "falset10"  # the subset whose wrong names a transcript can prove


def fits(folder: Path) -> bool:
    """Whether a folder is a JVS corpus."""
    return any(
        any(is_folder(person / subset) for subset in JVS_STYLES) for person in _people(folder)
    )


def _people(top: Path) -> list[Path]:
    return sorted(path for path in top.glob("jvs[0-9][0-9][0-9]") if is_folder(path))


def scan(name: str, corpus: CorpusConfig, top: Path) -> Scan:
    """List the recordings of the wanted speakers and subsets; `top` is the corpus' own folder."""
    warnings: list[str] = []
    recordings: list[Found] = []
    wanted = set(corpus.voices)
    ranges = f0_ranges(top / _RANGES, warnings)
    there = {person.name for person in _people(top)}
    absent = sorted({voice.split("_")[0] for voice in wanted} - there)
    if absent:
        warnings.append(f"corpus {name}: no folder of {_some(absent)} in {top}")
    for person in sorted(there):
        for subset in chosen("jvs", corpus.subsets):
            voice = f"{person}{JVS_STYLES[subset]}"
            if voice not in wanted:
                continue
            place = _Place(
                corpus=name,
                settings=corpus,
                folder=top / person / subset,
                voice=voice,
                # Measured on the natural voice; a falsetto lies far above it.
                f0_range=None if JVS_STYLES[subset] else ranges.get(person),
            )
            recordings.extend(place.recordings(warnings))
    return Scan(recordings=tuple(told_apart(recordings)), warnings=tuple(warnings))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more}"


@dataclass(frozen=True, kw_only=True)
class _Place:
    """One subset of one person."""

    corpus: str
    settings: CorpusConfig
    folder: Path
    voice: str
    f0_range: tuple[float, float] | None

    def recordings(self, warnings: list[str]) -> Iterator[Found]:
        if not is_folder(self.folder):
            warnings.append(f"speaker {self.voice}: folder {self.folder} does not exist")
            return
        texts = read_lines(self.folder / "transcripts_utf8.txt", warnings)
        known = _Known(
            defects=defects_of(self.folder.parent.name, self.folder.name),
            texts=texts,
            faulty=self.settings.faulty,
        )
        here = Subset(
            corpus=self.corpus,
            root=self.settings.root,
            wavs=self.folder / "wav24kHz16bit",
            texts=texts,
            voice=lambda name: (self.voice, name),
            readings=known.readings,
            missing=known.missing,
            f0_range=self.f0_range,
        )
        yield from here.recordings(warnings)


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the table of defects says of one subset's files."""

    defects: Sequence[Defect]
    texts: Mapping[str, str]
    faulty: bool  # use what is misread or noisy

    @property
    def missing(self) -> Mapping[str, str]:
        return {each.file: each.reason for each in self.defects if each.kind == "missing"}

    def readings(self, path: Path) -> Sequence[Reading]:
        """Return what a file really holds."""
        stem = stem_of(path)
        mine = [each for each in self.defects if each.file == stem]
        held = [
            Reading(id=each.sentence, clip=each.clip, note=each.reason)
            for each in mine
            if each.kind == "other sentence" and self._misnamed(each)
        ]
        readings = held or [Reading(id=stem, problem=self._wrong_name(stem))]
        for each in mine:
            readings = [self._judged(reading, each, path) for reading in readings]
        return readings

    def _misnamed(self, defect: Defect) -> bool:
        """A falsetto file keeps a name its transcript knows: the copy was mended."""
        return defect.subset != _WRONGLY_NAMED or defect.file not in self.texts

    def _wrong_name(self, stem: str) -> str:
        """In a subset with wrong names, what neither transcript nor table knows is nothing."""
        wrong = any(each.subset == _WRONGLY_NAMED for each in self.defects)
        unknown = wrong and self.texts and stem not in self.texts
        return (
            "has a wrong file name, and what it holds is unknown (known defect)" if unknown else ""
        )

    def _judged(self, reading: Reading, defect: Defect, path: Path) -> Reading:
        bad = {
            "faulty": not self.faulty and reading.id == defect.file,
            "superseded": True,
            "no samples": _is_small(path),
        }
        if bad.get(defect.kind):
            return dataclasses.replace(reading, problem=defect.reason)
        return reading


def _is_small(path: Path) -> bool:
    try:
        return path.stat().st_size < _HEADER_BYTES
    except OSError:
        return True


def f0_ranges(path: Path, warnings: list[str]) -> dict[str, tuple[float, float]]:
    """Read each speaker's F0 floor and ceiling (Hz) from `gender_f0range.txt`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        warnings.append(f"{path} cannot be read; F0 is searched in the settings' range")
        return {}
    ranges: dict[str, tuple[float, float]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if number == 1 or not line.strip():
            continue
        words = line.split()
        try:
            speaker, low, high = words[0], float(words[2]), float(words[3])
        except (IndexError, ValueError):
            low = high = 0.0
        if 0 < low < high < float("inf"):
            ranges[speaker] = (low, high)
        else:
            warnings.append(f"{path}: line {number} gives no F0 range: {line.strip()!r}")
    return ranges

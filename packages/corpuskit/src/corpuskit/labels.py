"""Phone labels beside recordings: HTS full-context and monophone `.lab`, JVS `.lab`, TextGrid.

A `.lab` line is "begin end phone". HTS counts 100 ns units in whole numbers and may write
the phone in its context ("xx^sil-k+o=N/A:..."); JVS writes seconds. Which of the two a
file means is seen in its numbers, and nothing else is: whole numbers of 10,000 and more
can only be 100 ns units (as seconds they would be hours), smaller ones and decimals only
seconds (as units they would be under a millisecond).

Times are kept in whole 100 ns units, in which both forms are exact.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePosixPath
from typing import TypeVar

from corpuskit.errors import BadLabels
from corpuskit.textgrids import TextGrid, read_text, read_textgrid

__all__ = ["LabelFinder", "Phone", "Place", "check_against", "labels_beside", "read_labels"]

T = TypeVar("T")

UNITS = 10_000_000  # in a second
SUFFIXES = (".lab", ".textgrid")
_LONGEST = 10_000  # seconds; no recording of speech is that long
_SAME = 1_000  # units (0.1 ms); an overlap below this is rounding
_PAST_END = 500_000  # units (50 ms); aligners count whole analysis frames, also past the end
_IN_CONTEXT = re.compile(r"[^\^\s]*\^[^-\s]*-([^+\s]+)\+[^=\s]*=\S*")
_PHONE_TIERS = ("phones", "phone", "phonemes", "segments")


@dataclass(frozen=True, kw_only=True)
class Phone:
    """One phone of a recording."""

    begin: int  # in units of 100 ns
    end: int
    name: str  # "a", "cl", "pau"

    def in_samples(self, rate: int) -> tuple[int, int]:
        """Return (first sample, one past the last) at `rate` Hz, to the nearest."""
        return (_nearest(self.begin * rate), _nearest(self.end * rate))


def _nearest(product: int) -> int:
    return (product + UNITS // 2) // UNITS


def read_labels(path: Path) -> tuple[Phone, ...]:
    """Read the phones of a `.lab` file or a TextGrid, in order.

    Raises
    ------
    BadLabels
        Unreadable, empty, in an unknown unit, descending or overlapping; file and line
        are named.

    """
    if path.suffix.lower() == ".textgrid":
        return tuple(_phones_of_grid(read_textgrid(path), path))
    rows = list(_rows(read_text(path), path))
    if not rows:
        raise BadLabels(f"{path} holds no label")
    unit = _unit(rows, path)
    counted = [(line, round(a * unit), round(b * unit), name) for line, a, b, name in rows]
    return tuple(_ordered(counted, path))


def check_against(phones: Sequence[Phone], seconds: float, path: Path) -> None:
    """Refuse labels that end past the recording (BadLabels)."""
    end = max((phone.end for phone in phones), default=0)
    if end > seconds * UNITS + _PAST_END:
        raise BadLabels(
            f"{path}: labels end at {end / UNITS:.3f} s, past the recording's {seconds:.3f} s",
            "are they another recording's?",
        )


Row = tuple[int, Decimal, Decimal, str]  # line, begin, end, phone


def _rows(text: str, path: Path) -> Iterator[Row]:
    for line, content in enumerate(text.splitlines(), start=1):
        fields = content.split()
        if not fields:
            continue
        times = [_time(field) for field in fields[:2]]
        if len(fields) < 3 or None in times:
            raise BadLabels(f"{path}: line {line}: {content[:60]!r} is not 'begin end phone'")
        begin, end = (time for time in times if time is not None)
        yield line, begin, end, _phone(fields[2])


def _time(field: str) -> Decimal | None:
    try:
        time = Decimal(field)
    except InvalidOperation:
        return None
    return time if time.is_finite() and 0 <= time < Decimal(10) ** 15 else None


def _phone(label: str) -> str:
    """Return the phone itself: "k" of "xx^sil-k+o=N/A:..."."""
    in_context = _IN_CONTEXT.fullmatch(label)
    return in_context.group(1) if in_context else label


def _unit(rows: Sequence[Row], path: Path) -> int:
    """Return how many 100 ns units the file's own unit has: 1, or 10,000,000 for seconds."""
    last = max(end for _, _, end, _ in rows)
    # The numbers as written: "1e5" and "3.0" hold a point or an exponent, so they are decimals.
    whole = all(_exponent(time) == 0 for _, begin, end, _ in rows for time in (begin, end))
    if last < _LONGEST:
        return UNITS
    if whole:
        return 1
    raise BadLabels(
        f"{path}: times with decimals reach {last}, which is neither seconds nor 100 ns units"
    )


def _exponent(time: Decimal) -> int:
    exponent = time.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 1


def _ordered(rows: Sequence[tuple[int, int, int, str]], path: Path) -> Iterator[Phone]:
    previous = 0
    for line, begin, end, name in rows:
        if end < begin:
            raise BadLabels(f"{path}: line {line}: {name!r} ends before it begins")
        if begin < previous - _SAME:
            raise BadLabels(f"{path}: line {line}: {name!r} begins before the one ahead of it ends")
        begin = max(begin, previous)
        previous = max(end, begin)
        yield Phone(begin=begin, end=previous, name=name)


def _phones_of_grid(grid: TextGrid, path: Path) -> Iterator[Phone]:
    tiers = [tier for tier in grid.tiers if tier.name.lower() in _PHONE_TIERS and not tier.points]
    if not tiers:
        names = ", ".join(repr(tier.name) for tier in grid.tiers) or "none"
        raise BadLabels(f"{path} has no tier 'phones' (its tiers: {names})")
    rows = [
        (each.line, round(each.begin * UNITS), round(each.end * UNITS), each.text.strip())
        for each in tiers[0].intervals
        if each.text.strip()
    ]
    return _ordered(rows, path)


# ------------------------------------------------------------- which file labels which recording


def labels_beside(recording: Path) -> Path | None:
    """Return the label file a corpus keeps with a recording, or None.

    It lies beside it (same stem), or, as in JVS, in `lab/mon` beside the folder of wavs.
    """
    folders = (recording.parent, recording.parent.parent / "lab" / "mon")
    for folder in folders:
        for suffix in (".lab", ".TextGrid"):
            path = folder / f"{recording.stem}{suffix}"
            if path.is_file():
                return path
    return None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a recording lies in its corpus."""

    recording: str  # id
    relative: str  # path below the corpus root
    speaker: str

    @property
    def stem(self) -> str:
        """The file's name without its ending, composed."""
        return _composed(PurePosixPath(self.relative).stem)

    @property
    def folders(self) -> frozenset[str]:
        """Names that tell it from recordings of the same stem."""
        return frozenset({*PurePosixPath(self.relative).parts[:-1], self.speaker})


class LabelFinder:
    """Finds the label file of each recording of a corpus: in a folder of labels, or beside it.

    A folder of labels is a download of its own (JSUT) with sub-folders of its own, so files
    are found by their stem. Where several recordings or label files share a stem, those
    belong together that lie below folders of the same names; where that does not tell,
    none is taken.
    """

    def __init__(self, folder: Path | None = None, places: Iterable[Place] = ()) -> None:
        """List a folder of labels, at any depth, for all recordings of a corpus.

        Raises
        ------
        BadLabels
            The folder does not exist.

        """
        self._found: dict[str, Path] = {}
        if folder is None:
            return
        if not folder.is_dir():
            raise BadLabels(f"the folder of labels {folder} does not exist")
        files = _label_files(folder)
        sharing: dict[str, list[Place]] = defaultdict(list)
        for place in places:
            if place.stem in files:
                sharing[place.stem].append(place)
        for stem, sharers in sharing.items():
            self._found.update(_matched(files[stem], sharers, folder))

    def of(self, recording: str, path: Path) -> Path | None:
        """Return the label file of a recording (id, file), or None."""
        return self._found.get(recording) or labels_beside(path)


def _label_files(folder: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            files[_composed(path.stem)].append(path)
    return files


def _matched(files: Sequence[Path], places: Sequence[Place], top: Path) -> dict[str, Path]:
    """Give label files to recordings of one stem: each to the other's only best match."""
    folders = {path: frozenset(path.relative_to(top).parts[:-1]) for path in files}

    def best(own: frozenset[str], others: Mapping[T, frozenset[str]]) -> T | None:
        scores = {each: len(own & theirs) for each, theirs in others.items()}
        highest = max(scores.values())
        winners = [each for each, score in scores.items() if score == highest]
        return winners[0] if len(winners) == 1 else None

    named = {place.recording: place.folders for place in places}
    owners = {path: best(own, named) for path, own in folders.items()}
    result = {}
    for recording, own in named.items():
        mine = {path: folders[path] for path, owner in owners.items() if owner == recording}
        path = best(own, mine) if mine else None
        if path is not None:
            result[recording] = path
    return result


def _composed(stem: str) -> str:
    return unicodedata.normalize("NFC", stem)

"""Praat TextGrids: read in every form Praat writes as text, written through the textgrid library.

A TextGrid in text form is a row of numbers, quoted texts and <flags>; every other word
("xmin =", "intervals [3]:") is there for readers only (Praat manual, "TextGrid file
formats"). Reading that row takes the long and the short form alike and knows the line of
each value. It is not left to the textgrid library, because hand work must not change in
reading: the library rounds times, drops intervals that end before they begin without a
word, and loses its way in short files with point tiers.
"""

from __future__ import annotations

import codecs
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from corpuskit.errors import BadLabels

__all__ = ["Interval", "TextGrid", "Tier", "parse", "read_text", "read_textgrid", "written"]

_TOKEN = re.compile(
    r"""(?<!\S)(?:"(?P<text>(?:[^"]|"")*)"(?!\S)"""
    r"""|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?!\S)"""
    r"""|(?P<flag><[^>\s]*>)(?!\S)|(?P<loose>")|![^\r\n]*)"""
)
_SAME = 1e-6  # seconds; boundaries closer than this are one boundary, rounded twice
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A labelled span."""

    begin: float  # seconds
    end: float
    text: str
    line: int = 0  # of the file it was read from


@dataclass(frozen=True, kw_only=True)
class Tier:
    """One row of labels: intervals, or points (begin = end)."""

    name: str
    intervals: tuple[Interval, ...]
    points: bool = False


@dataclass(frozen=True, kw_only=True)
class TextGrid:
    """What a TextGrid file holds."""

    begin: float  # seconds
    end: float
    tiers: tuple[Tier, ...]


def read_text(path: Path) -> str:
    """Read a text file that is UTF-8, or UTF-16 with its byte order mark.

    Raises
    ------
    BadLabels
        It cannot be read, or is no such text.

    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadLabels(f"{path} cannot be read ({error.strerror})") from None
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadLabels(f"{path} is not UTF-8 or UTF-16 text", "save it as UTF-8")
    return text


def read_textgrid(path: Path) -> TextGrid:
    """Read a TextGrid in long or short text form.

    Raises
    ------
    BadLabels
        It cannot be read, or its intervals descend or overlap (file and line are named).

    """
    return parse(read_text(path), str(path))


def parse(text: str, where: str) -> TextGrid:
    """Read the text of a TextGrid; `where` names it in messages."""
    values = _Values(text, where)
    if not values.text().startswith("ooTextFile") or values.text() != "TextGrid":
        raise BadLabels(f"{where} is not a Praat TextGrid in text form", "save it as text in Praat")
    begin, end = values.number(), values.number()
    values.flag()
    tiers = tuple(_tier(values) for _ in range(values.count()))
    return TextGrid(begin=begin, end=end, tiers=tiers)


def _tier(values: _Values) -> Tier:
    kind, name = values.text(), values.text()
    if kind not in ("IntervalTier", "TextTier"):
        raise values.wrong(f"a tier is of the unknown kind {kind!r}")
    values.number()  # a tier's own begin and end: Praat and we go by its intervals
    values.number()
    points = kind == "TextTier"
    read = _point if points else _interval
    intervals = tuple(read(values) for _ in range(values.count()))
    if not points:
        _check_order(intervals, name, values.where)
    return Tier(name=name, intervals=intervals, points=points)


def _interval(values: _Values) -> Interval:
    begin = values.number()
    line = values.line
    return Interval(begin=begin, end=values.number(), text=values.text(), line=line)


def _point(values: _Values) -> Interval:
    time = values.number()
    return Interval(begin=time, end=time, text=values.text(), line=values.line)


def _check_order(intervals: Sequence[Interval], tier: str, where: str) -> None:
    previous = -math.inf
    for each in intervals:
        if each.end < each.begin:
            raise BadLabels(
                f"{where}: line {each.line}: an interval of tier {tier!r} ends at {each.end:g} s, "
                f"before it begins at {each.begin:g} s"
            )
        if each.begin < previous - _SAME:
            raise BadLabels(
                f"{where}: line {each.line}: an interval of tier {tier!r} begins at "
                f"{each.begin:g} s, before the one ahead of it ends at {previous:g} s"
            )
        previous = each.end


class _Values:
    """The numbers, texts and flags of a file, one after the other."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self._text = text
        self._values = (match for match in _TOKEN.finditer(text) if match.lastgroup)
        self._last: re.Match[str] | None = None
        self._line = 1  # of the place up to which lines were counted
        self._counted = 0

    @property
    def line(self) -> int:
        """The line of the value read last."""
        begin = self._last.start() if self._last else 0
        self._line += self._text.count("\n", self._counted, begin)
        self._counted = begin
        return self._line

    def _next(self, kind: str, wanted: str) -> str:
        match = next(self._values, None)
        if match is None:
            raise BadLabels(f"{self.where} ends where {wanted} should follow")
        self._last = match
        if match.lastgroup != kind:
            raise self.wrong(f"{match.group()[:40]} stands where {wanted} should")
        return match.group(kind)

    def wrong(self, problem: str) -> BadLabels:
        return BadLabels(f"{self.where}: line {self.line}: {problem}")

    def number(self) -> float:
        number = float(self._next("number", "a number"))
        if not math.isfinite(number):
            raise self.wrong("a number is too large")
        return number

    def count(self) -> int:
        number = self.number()
        if number < 0 or number != int(number):
            raise self.wrong(f"{number:g} is no count")
        return int(number)

    def text(self) -> str:
        return self._next("text", "a quoted text").replace('""', '"')

    def flag(self) -> None:
        if self._next("flag", "<exists>") != "<exists>":
            raise self.wrong("the TextGrid has no tiers")


def written(grid: TextGrid) -> bytes:
    """Return the bytes of a TextGrid of interval tiers in long form, UTF-8; times are exact.

    Times are written with the digits that read back as the same number. Intervals of no
    length are left out: Praat knows none.
    """
    import textgrid

    made = textgrid.TextGrid(minTime=grid.begin, maxTime=grid.end)
    for tier in grid.tiers:
        row = textgrid.IntervalTier(tier.name, grid.begin, grid.end)
        for each in tier.intervals:
            if each.end > each.begin:
                row.addInterval(textgrid.Interval(each.begin, each.end, each.text))
        made.append(row)
    sink = _Kept()
    made.write(sink)
    return sink.content.encode()


class _Kept(io.StringIO):
    """Text that outlives `close`, which the library calls."""

    content = ""

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()

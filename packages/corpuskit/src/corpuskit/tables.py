"""Columns and lengths of time, as the terminal shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["counted", "length", "plain", "size", "table"]


def counted(count: int, noun: str) -> str:
    """Say how many: "1 pair", "1,180 pairs"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def length(seconds: float) -> str:
    """Say a length in the unit people use for it: "12.3 s", "4.1 min", "2.31 h"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.2f} h"


def size(count: int) -> str:
    """Say a number of bytes in the unit people use for it: "812 bytes", "4.1 MB", "2.31 GB"."""
    if count < 1000:
        return f"{count} bytes"
    for unit, scale in (("kB", 1e3), ("MB", 1e6)):
        if count < scale * 999.5:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e9:.2f} GB"


def plain(value: object, shown: int = 6) -> str:
    """Say a setting's value: "-80", "C, N", "{source N, target C, both True}"; "-" for none."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        told = (f"{key} {plain(item, shown)}" for key, item in value.items() if item)
        return "{" + ", ".join(told) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        more = f" and {len(value) - shown:,} more" if len(value) > shown else ""
        return ", ".join(plain(item, shown) for item in value[:shown]) + more
    return str(value)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out rows in columns; columns of numbers are flush right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(_width(cell) for cell in column) for column in columns]
    right = [bool(rows) and all(_numeric(cell) for cell in column[1:]) for column in columns]
    for row in (header, *rows):
        cells = [
            _filled(cell, width, flush=flush)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _width(cell: str) -> int:
    """Return how many columns of a terminal a cell takes: East Asian characters take two."""
    if cell.isascii():
        return len(cell)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in cell
    )


def _filled(cell: str, width: int, *, flush: bool) -> str:
    blanks = " " * (width - _width(cell))
    return blanks + cell if flush else cell + blanks


def _numeric(cell: str) -> bool:
    return cell[:1] in "+-0123456789" and not cell.startswith("--")

"""Columns and lengths of time, as the terminal shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["length", "size", "table"]


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


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out rows in columns; columns of numbers are flush right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    right = [bool(rows) and all(_numeric(cell) for cell in column[1:]) for column in columns]
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _numeric(cell: str) -> bool:
    return cell[:1] in "+-0123456789" and not cell.startswith("--")

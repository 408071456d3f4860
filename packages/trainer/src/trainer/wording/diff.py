"""The comparison of two runs in words."""

from __future__ import annotations

from collections.abc import Iterator

from corpuskit.tables import counted, table
from trainer.compare import Comparison, Result

__all__ = ["compared", "over"]


def compared(found: Comparison) -> Iterator[str]:
    """Say what differs, and what came of it."""
    yield f"run {found.before} -> run {found.after}"
    if found.same:
        yield "one identity: the same training twice"
    if not found.causes:
        yield "they differ in nothing that matters"
    width = max((len(cause.what) for cause in found.causes), default=0)
    for cause in found.causes:
        yield f"  {cause.what:<{width}}  {cause.told}"
    good = [result for result in found.results if not result.reason]
    if good:
        yield from table(
            ["", found.before, found.after, "change", "over"], [_row(each) for each in good]
        )
    for reason in dict.fromkeys(result.reason for result in found.results if result.reason):
        names = [result.name for result in found.results if result.reason == reason]
        yield f"not comparable: {', '.join(names)}: {reason}"
    if not found.results:
        yield "no results of both yet"
    if found.commands:
        told = ", ".join(f"`{command}`" for command in found.commands)
        yield f"to compare them on the same utterances: {told}, then `trainer diff` again"


def over(result: Result) -> str:
    """Say what a comparable figure rests on."""
    of = f" of {result.on}" if result.on else ""
    return f"{counted(result.pairs, 'pair')}{of}" if result.pairs else "the same pairs"


def _row(result: Result) -> list[str]:
    assert result.before is not None
    assert result.after is not None
    half = "" if result.half is None else f" ± {result.half:.4f}"
    return [
        result.name,
        f"{result.before:.4f}",
        f"{result.after:.4f}",
        f"{result.after - result.before:+.4f}{half}",
        over(result),
    ]

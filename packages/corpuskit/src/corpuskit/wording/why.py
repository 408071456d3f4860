"""Causes and their shares in words: a table, then one plain sentence a cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from corpuskit.tables import counted, table
from corpuskit.why import EFFECTS, Cause, Why

__all__ = ["NOTHING", "remarks", "shares", "why"]

_WORDS = {
    "speech_seconds": "speech kept",
    "head_seconds": "head cut",
    "tail_seconds": "tail cut",
    "silent_seconds": "silent inside",
    "phrases": "phrases",
    "pairs_without_break": "pairs without break",
    "pairs_that_disagree": "pairs that disagree",
    "target_frames": "target frames",
    "pairs_with_other_durations": "pairs with other durations",
    "pairs_added": "pairs added",
    "pairs_removed": "pairs removed",
    "pairs_in_another_split": "pairs in another split",
}
NOTHING = "nothing that decides about pairs differs"
_UNEXAMINED, _TOGETHER = "not examined", "only together"


def why(found: Why, shown: int = 10) -> Iterator[str]:
    """Tell which cause explains how much of every effect."""
    yield f"why dataset {found.after} differs from dataset {found.before}:"
    if not found.causes:
        yield f"  {NOTHING}"
    header, rows = shares(found)
    if rows:
        yield from table(header, rows)
    yield from remarks(found, shown)


def shares(found: Why) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row an effect: its total, and each cause's part of it."""
    columns = _columns(found)
    rows = [
        [_WORDS[name], *(_value(name, effects[name]) for effects in columns.values())]
        for name in EFFECTS
        if any(abs(effects[name]) > 5e-4 for effects in columns.values())
    ]
    return ["effect", *columns], rows


def remarks(found: Why, shown: int = 10) -> Iterator[str]:
    """Say what could not be examined, a sentence a cause, and what is left for all together."""
    for name, reason in list(found.unexamined.items())[:shown]:
        yield f"not examined: pair {name}: {reason}"
    if len(found.unexamined) > shown:
        yield f"not examined: {len(found.unexamined) - shown:,} pairs more"
    for cause in found.causes:
        yield _sentence(cause, found.total)
    yield from _together(found)


def _columns(found: Why) -> dict[str, Mapping[str, float]]:
    columns = {"total": found.total}
    columns |= {each.name: each.effects for each in found.causes if each.effects is not None}
    if found.unexamined:
        columns[_UNEXAMINED] = found.unexamined_effects
    if len(found.causes) != 1 or any(found.combination.values()):
        columns[_TOGETHER] = found.combination
    return columns


def _value(name: str, value: float) -> str:
    if name.endswith("_seconds"):
        return f"{value:+,.3f} s"
    return f"{value:+,.0f}"


def _sentence(cause: Cause, total: Mapping[str, float]) -> str:
    if cause.effects is None:
        return f"{cause.told} cannot be applied alone: {cause.problem}."
    told = [
        f"{_value(name, cause.effects[name])} of {_value(name, total[name])} {_WORDS[name]}"
        for name in EFFECTS
        if abs(cause.effects[name]) > 5e-4
    ]
    if not told and not cause.pairs:
        return f"{cause.told} alone changes no pair."
    if not told:
        return f"{cause.told} alone changes {counted(cause.pairs, 'pair')}, but no sum."
    return f"{cause.told} explains {', '.join(told)} (in {counted(cause.pairs, 'pair')})."


def _together(found: Why) -> Iterator[str]:
    left = [
        f"{_value(name, value)} {_WORDS[name]}"
        for name, value in found.combination.items()
        if abs(value) > 5e-4
    ]
    alone = len(found.causes) < 2
    if left:
        yield f"Only their combination explains {', '.join(left)}."
    elif not alone:
        yield "Their effects add up: nothing is left for the combination."

"""A difference in words; the last line says what matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from corpuskit.diff import Difference, Measure, PairChange
from corpuskit.tables import counted, plain, table

__all__ = ["CHANGE_HEADER", "change_row", "difference", "total_row"]


def difference(found: Difference, shown: int = 10) -> Iterator[str]:
    """Tell how two versions differ; the last line says what matters."""
    yield f"dataset {found.before} -> dataset {found.after}"
    for setting in found.settings:
        yield f"  {setting.key}: {plain(setting.before)} -> {plain(setting.after)}"
    yield from _tiers(found.tiers, shown)
    yield (
        f"pairs: {len(found.added):,} added, {len(found.removed):,} removed, "
        f"{len(found.changed):,} changed, {found.unchanged:,} unchanged"
    )
    yield from _some("added", found.added, shown)
    yield from _some("removed", found.removed, shown)
    if found.changed:
        told = ", ".join(f"{name} {count:,}" for name, count in found.aspects.items())
        yield f"changed in: {told}"
    if found.changed or found.added or found.removed:
        yield from table(
            ["", found.before, found.after, "change"],
            [total_row(name, measure) for name, measure in found.totals.items()],
        )
    if found.changed:
        yield f"largest of {counted(len(found.changed), 'change')}:"
        yield from table(CHANGE_HEADER, [change_row(change) for change in found.changed[:shown]])
    yield found.sentence


def _tiers(tiers: Mapping[str, str], shown: int) -> Iterator[str]:
    """Name the recordings whose tiers a hand corrected in one version and not so in the other."""
    for what in ("added", "changed", "removed"):
        names = [name for name, change in tiers.items() if change == what]
        yield from _some(f"tiers by hand {what}", names, shown)


def _some(what: str, names: Sequence[str], shown: int) -> Iterator[str]:
    if names:
        more = f", and {len(names) - shown:,} more" if len(names) > shown else ""
        yield f"{what}: {', '.join(names[:shown])}{more}"


def total_row(name: str, measure: Measure) -> list[str]:
    """Return one quantity before and after, and its change."""
    unit = " s" if name.endswith("seconds") else ""
    digits = 0 if name.startswith("pairs") else 2
    words = name.replace("_seconds", "").replace("_", " ")
    return [
        words,
        f"{measure.before:,.{digits}f}{unit}",
        f"{measure.after:,.{digits}f}{unit}",
        f"{measure.change:+,.{digits}f}{unit}",
    ]


CHANGE_HEADER = ["pair", "speech", "trimmed", "silent", "phrases", "target frames", "changed in"]


def change_row(change: PairChange) -> list[str]:
    """Return what happened to one pair (CHANGE_HEADER)."""
    return [
        change.pair,
        f"{change.speech.change:+.2f} s",
        f"{change.trimmed.change:+.2f} s",
        f"{change.silent.change:+.2f} s",
        f"{change.phrases.before:.0f} -> {change.phrases.after:.0f}",
        f"{change.target_frames.before:.0f} -> {change.target_frames.after:.0f}",
        " ".join(change.aspects),
    ]

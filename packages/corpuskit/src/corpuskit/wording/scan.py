"""What a folder is, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from corpuskit.inspection import Inspection, Part
from corpuskit.tables import counted, length, table

__all__ = ["inspected"]


def inspected(found: Inspection, shown: int = 10) -> Iterator[str]:
    """Describe a folder; the last lines are the table that makes it a corpus."""
    for text in found.warnings:
        yield f"warning: {text}"
    rows = [_row(name, parts) for name, parts in _grouped(found)]
    header = ["subset" if found.layout in _KNOWN else "speaker", "speakers", "files", "length"]
    yield from table([*header, "rate", "format", "texts", "labels"], rows[: 3 * shown])
    if len(rows) > 3 * shown:
        yield f"and {len(rows) - 3 * shown:,} more"
    for finding in found.findings:
        names = _some(finding.recordings, shown)
        yield f"found: {counted(len(finding.recordings), 'recording')}: {finding.reason}: {names}"
    pairs = [f"{both.replace(' ', ' and ')} {n:,}" for both, n in found.common.items()]
    if pairs:
        yield f"sentences in common: {_some(pairs, shown)}"
    yield _closing(found)
    yield ""
    yield found.table
    yield ""


_KNOWN = ("jsut", "jsss", "jvs")


def _closing(found: Inspection) -> str:
    what = {
        "folder": "folders of recordings paired by file stem",
        "unknown": "recordings without a partner here (no file stem occurs twice)",
    }.get(found.layout, f"a {found.layout.upper()} corpus")
    return (
        f"{found.root}: {what}, {_voices(found)}, "
        f"{counted(found.files, 'file')}, {length(found.seconds)}."
    )


def _voices(found: Inspection) -> str:
    """Say who speaks; whispered, falsetto and repeated readings are speakers of their own."""
    speakers = counted(len(found.speakers), "speaker")
    if found.layout not in _KNOWN:
        return speakers
    people = len({name.split("_")[0] for name in found.speakers})
    if people == len(found.speakers):
        return speakers
    return f"{speakers} ({'1 person' if people == 1 else f'{people} people'})"


def _grouped(found: Inspection) -> list[tuple[str, list[Part]]]:
    """Group parts by subset where the layout has some, else by speaker."""
    groups: dict[str, list[Part]] = {}
    for part in found.parts:
        groups.setdefault(part.subset or part.speaker, []).append(part)
    return list(groups.items())


def _row(name: str, parts: Sequence[Part]) -> list[str]:
    formats = _most(part.depths for part in parts)
    channels: Counter[int] = sum((Counter(part.channels) for part in parts), Counter())
    if set(channels) - {1}:
        formats += ", " + " and ".join(f"{count} ch" for count in sorted(channels))
    return [
        name,
        f"{len({part.speaker for part in parts}):,}",
        f"{sum(part.files for part in parts):,}",
        length(sum(part.seconds for part in parts)),
        _most((part.rates for part in parts), " Hz"),
        formats,
        f"{sum(part.texts for part in parts):,}",
        f"{sum(part.labels for part in parts):,}",
    ]


def _most(counts: Iterable[Mapping[Any, int]], unit: str = "") -> str:
    """Name what occurs; how often, where it is not the same everywhere."""
    total: Counter[Any] = sum((Counter(each) for each in counts), Counter())
    if len(total) == 1:
        return f"{_plain(next(iter(total)))}{unit}"
    return ", ".join(f"{_plain(value)}{unit} ({n:,})" for value, n in total.most_common(4))


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _some(names: Sequence[str], shown: int) -> str:
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more

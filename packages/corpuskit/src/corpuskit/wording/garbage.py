"""Cleanings in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from corpuskit.config import to_mapping
from corpuskit.garbage import Listed
from corpuskit.tables import counted, size, table

__all__ = ["closing", "found", "found_json"]


def found(listed: Listed) -> Iterator[str]:
    """Show what nothing needs, kind by kind."""
    if listed.garbage:
        rows = [
            [each.kind, f"{each.count:,}", size(each.size), each.why] for each in listed.garbage
        ]
        yield from table(["what", "count", "disk", "of"], rows)


def closing(listed: Listed, freed: int | None) -> str:
    """Close a cleaning in one sentence; `freed` is None after a dry run."""
    stays = (
        f"{counted(listed.versions, 'dataset version')} and what they rest on stay: "
        f"{counted(listed.kept, 'object')}, {size(listed.kept_size)}."
    )
    if not listed.count:
        return f"Nothing to remove; {stays}"
    if freed is None:
        return f"Would remove {size(listed.size)}; {stays}"
    return f"Removed {size(freed)}; {stays}"


def found_json(listed: Listed, freed: int | None) -> dict[str, Any]:
    """Return a cleaning for scripts; `freed` is None after a dry run."""
    return {
        "garbage": [to_mapping(each) for each in listed.garbage],
        "count": listed.count,
        "size": listed.size,
        "freed": freed,
        "versions": listed.versions,
        "kept": listed.kept,
        "kept_size": listed.kept_size,
        "busy": listed.busy,
    }

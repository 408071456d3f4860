"""Runs of a version in words."""

from __future__ import annotations

from collections.abc import Iterator

from corpuskit.tables import counted, table
from corpuskit.trained import Found

__all__ = ["closing", "table_of"]


def table_of(found: Found) -> Iterator[str]:
    """List the runs, oldest first."""
    if found.runs:
        rows = [[r.tag, r.how, r.dataset, r.parent or "-", r.status, r.created] for r in found.runs]
        yield from table(["run", "how", "dataset", "parent", "status", "created"], rows)


def closing(name: str, found: Found) -> str:
    """Close in one sentence."""
    descended = sum(run.how.startswith("descends") for run in found.runs)
    return (
        f"Dataset {name} went into {counted(len(found.runs), 'run')} of {found.looked_at:,}: "
        f"{len(found.runs) - descended:,} trained on it or an equal version, "
        f"{descended:,} descended from those."
    )

"""Exports in words."""

from __future__ import annotations

from corpuskit.exports.registry import Exported
from corpuskit.tables import counted, size

__all__ = ["closing"]


def closing(name: str, form: str, made: Exported, seconds: float) -> str:
    """Close an export in one sentence."""
    return (
        f"Exported {name} to {made.folder} ({form}): {counted(made.pairs, 'pair')}, "
        f"{counted(made.files, 'file')}, {size(made.size)}, in {seconds:.1f} s."
    )

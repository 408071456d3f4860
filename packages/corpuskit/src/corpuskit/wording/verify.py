"""Verifications in words."""

from __future__ import annotations

from collections.abc import Sequence

from corpuskit.rebuild import Rebuilt
from corpuskit.tables import counted
from corpuskit.verify import Checked, Problem

__all__ = ["checked", "made_again", "problem"]


def problem(found: Problem, shown: int = 10) -> str:
    """Name a problem with its recordings and pairs."""
    parts = [found.what]
    if found.recordings:
        parts.append(f"recordings: {_listed(found.recordings, shown)}")
    if found.pairs:
        parts.append(f"pairs: {_listed(found.pairs, shown)}")
    return "; ".join(parts)


def _listed(names: Sequence[str], shown: int) -> str:
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def checked(name: str, counts: Checked | None, problems: int) -> str:
    """Close a verification in one sentence."""
    if counts is None:
        return (
            f"Dataset {name}: {counted(problems, 'problem')}; nothing it says can be trusted: "
            "remove the version's folder and build it again."
        )
    if problems:
        return (
            f"Dataset {name}: {counted(problems, 'problem')}; "
            "a build of the same name heals objects whose recordings are unchanged."
        )
    return (
        f"Dataset {name} is whole: {counted(counts.objects, 'object')} and "
        f"{counted(counts.recordings, 'recording')} are what they were."
    )


def made_again(found: Rebuilt) -> str:
    """Say how much was measured and aligned again."""
    return (
        f"Measured again from the audio: {counted(found.recordings, 'recording')}; segmented and "
        f"aligned again: {found.pairs:,} of {counted(found.of_pairs, 'pair')}."
    )

"""What somebody noted about a run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Remark"]


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One note."""

    text: str
    written: str  # UTC
    verdict: str = ""  # "good", "bad", or "" where none is given

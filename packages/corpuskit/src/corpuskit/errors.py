"""What can go wrong, as the user meets it.

    CorpuskitError            every error this package raises on purpose
      BadSetting              a configuration key or option value cannot be used
      UnknownName             a version (or tag, or speaker) that does not exist
      BadAudio                a recording that cannot be measured
      BadLabels               a label file or TextGrid that cannot be read or contradicts itself
      BadVersion              a stored version or object that is damaged
      Refused                 a request that would overwrite or escape something
      CheckFailed             a check that was asked for did not hold (exit 1, not 2)

Each carries one problem and, where there is one, the remedy; the command line
prints both in one line and exits with 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BadAudio",
    "BadLabels",
    "BadSetting",
    "BadVersion",
    "CheckFailed",
    "CorpuskitError",
    "Refused",
    "UnknownName",
    "nearest",
    "unknown",
]


class CorpuskitError(Exception):
    """A problem named in one line, with its remedy."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem


class BadSetting(CorpuskitError):
    """A configuration key or an option value that cannot be used."""


class UnknownName(CorpuskitError):
    """A name nothing answers to."""


class BadAudio(CorpuskitError):
    """A recording that cannot be measured; `problem` is the reason it is set aside with."""


class BadLabels(CorpuskitError):
    """A label file or TextGrid that cannot be read, or contradicts itself or its recording."""


class BadVersion(CorpuskitError):
    """A stored version or object that is damaged or unreadable."""


class Refused(CorpuskitError):
    """A request that would overwrite, escape or contradict what exists."""


class CheckFailed(CorpuskitError):
    """A check that was asked for (`build --strict`) did not hold."""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three of `known` that look most like `name`, best first."""
    candidates = sorted(set(known))
    by_folded = {candidate.lower(): candidate for candidate in reversed(candidates)}
    found = difflib.get_close_matches(name.lower(), list(by_folded), n=3, cutoff=0.5)
    return [by_folded[folded] for folded in found]


def unknown(what: str, name: str, known: Iterable[str]) -> UnknownName:
    """Build the error for an unknown name, naming the nearest existing ones."""
    everything = sorted(set(known))
    close = nearest(name, everything)
    if close:
        remedy = "did you mean " + " or ".join(close) + "?"
    elif everything:
        shown = ", ".join(everything[:5]) + (", ..." if len(everything) > 5 else "")
        remedy = f"there is {shown}"
    else:
        remedy = f"there is no {what} yet"
    return UnknownName(f"no {what} {name!r}", remedy)

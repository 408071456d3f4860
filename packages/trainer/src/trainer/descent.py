"""Which run comes from which, and what a verdict on one says of its descendants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from trainer.remarks import Remark

__all__ = ["Descended", "Verdict", "ordered_by_descent", "verdicts"]


class Descended(Protocol):
    """A run, as far as descent and verdicts need it."""

    @property
    def tag(self) -> str:
        """Its name."""

    @property
    def parent_tag(self) -> str | None:
        """The run it was fine-tuned from."""

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What was noted about it."""


Kin = TypeVar("Kin", bound=Descended)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What somebody found of a run, or of one it comes from."""

    what: str  # "good" or "bad"
    text: str  # the note it was given with
    inherited_from: str = ""  # the ancestor it was given to; empty where it is the run's own


def verdicts(runs: Sequence[Descended]) -> dict[str, Verdict]:
    """Return the verdict on each run that has one.

    A run's own last verdict counts; without one, it is bad where the run it was fine-tuned from
    is. That a parent is good says nothing of a child.
    """
    by_tag = {run.tag: run for run in runs}
    found: dict[str, Verdict | None] = {}

    def verdict(tag: str) -> Verdict | None:
        if tag not in found:
            found[tag] = None  # a circle, which only a damaged record could make, ends here
            found[tag] = _own(by_tag[tag]) or inherited(by_tag[tag])
        return found[tag]

    def inherited(run: Descended) -> Verdict | None:
        parent = run.parent_tag
        if parent is None or parent not in by_tag:
            return None
        theirs = verdict(parent)
        if theirs is None or theirs.what != "bad":
            return None
        origin = theirs.inherited_from or parent
        return Verdict(what="bad", text=theirs.text, inherited_from=origin)

    for tag in by_tag:
        verdict(tag)
    return {tag: each for tag, each in found.items() if each is not None}


def _own(run: Descended) -> Verdict | None:
    given = [remark for remark in run.remarks if remark.verdict]
    return Verdict(what=given[-1].verdict, text=given[-1].text) if given else None


def ordered_by_descent(
    runs: Sequence[Kin], above: Callable[[Kin], str | None] = lambda run: run.parent_tag
) -> Iterator[tuple[Kin, int]]:
    """Give every run after the one it comes from, with its depth; roots and siblings in order.

    `above` tells the tag of what a run stands below: its parent's, unless told otherwise.
    """
    tags = {run.tag for run in runs}
    children: dict[str, list[Kin]] = {}
    roots = []
    for run in runs:
        parent = above(run)
        if parent is not None and parent in tags:
            children.setdefault(parent, []).append(run)
        else:
            roots.append(run)
    seen: set[str] = set()
    # What only a circle holds, which a damaged record could make, comes last.
    for root in (*roots, *runs):
        yield from _below(root, 0, children, seen)


def _below(
    run: Kin, depth: int, children: Mapping[str, Sequence[Kin]], seen: set[str]
) -> Iterator[tuple[Kin, int]]:
    if run.tag in seen:
        return
    seen.add(run.tag)
    yield run, depth
    for child in children.get(run.tag, ()):
        yield from _below(child, depth + 1, children, seen)

"""The best run so far, and which dataset versions it was never held against.

A run is beaten only on its own ground: by a lower dev loss over the same pairs, cut and normalised
alike. A run on another version beats nothing until the best so far was trained on that version,
too: when a dataset is rebuilt, it is first compared with the best.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from corpuskit.config import family_of
from corpuskit.files import canonical
from trainer.config import with_defaults
from trainer.descent import Verdict
from trainer.runs import CONVERSION, Run

__all__ = ["best_of", "unseen"]


def best_of(runs: Iterable[Run], verdicts: Mapping[str, Verdict], family: str) -> Run | None:
    """Return the best conversion run on any version of a family; None if no epoch was finished.

    The last one somebody found good, else the one that was not beaten on its own ground.
    """
    fit = [
        run
        for run in sorted(runs, key=lambda run: run.record.created)
        if run.record.kind == CONVERSION
        and family_of(run.record.dataset.name) == family
        and run.record.best_loss is not None
        and not (run.tag in verdicts and verdicts[run.tag].what == "bad")
    ]
    good = [run for run in fit if _found_good(run, verdicts)]
    if good:
        return max(good, key=_judged)
    if not fit:
        return None
    best, *later = [_Entry.of(run) for run in fit]
    lowest = _lowest([best, *later])
    for entry in later:
        # The same way again, or on another version, beats nothing.
        if entry.way != best.way and entry.loss < lowest.get((best.way, entry.ground), -math.inf):
            best = entry
    return best.run


def unseen(best: Run, runs: Iterable[Run], versions: Sequence[str]) -> tuple[str, ...]:
    """Return the versions of its family the best run was neither trained nor scored on."""
    way = _way(best)
    family = family_of(best.record.dataset.name)
    models = [
        run
        for run in runs
        if run.record.kind == CONVERSION and family_of(run.record.dataset.name) == family
    ]
    seen = {run.record.dataset.name for run in models if _way(run) == way}
    seen |= {result["dataset"] for result in best.record.results.values()}
    return tuple(name for name in versions if family_of(name) == family and name not in seen)


def _found_good(run: Run, verdicts: Mapping[str, Verdict]) -> bool:
    return run.tag in verdicts and verdicts[run.tag].what == "good"


def _judged(run: Run) -> str:
    """Return when the last verdict on a run was given."""
    return [remark.written for remark in run.remarks if remark.verdict][-1]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A run that may be the best, with what is compared of it: worked out once a run."""

    run: Run
    way: str
    ground: tuple[str, ...]
    loss: float

    @classmethod
    def of(cls, run: Run) -> _Entry:
        loss = run.record.best_loss
        assert loss is not None
        return cls(run=run, way=_way(run), ground=_ground(run), loss=loss)


def _lowest(entries: Iterable[_Entry]) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the lowest loss of each way on each ground."""
    lowest: dict[tuple[str, tuple[str, ...]], float] = {}
    for entry in entries:
        place = entry.way, entry.ground
        lowest[place] = min(entry.loss, lowest.get(place, math.inf))
    return lowest


def _way(run: Run) -> str:
    """Return what a run is trained with, whatever the data and the seed."""
    config = with_defaults(run.record.parts["config"])
    del config["train"]["seed"]
    parent = run.record.parent
    return canonical([config, [parent.tag, parent.epoch] if parent else None])


def _ground(run: Run) -> tuple[str, ...]:
    """Return what makes dev losses of two runs comparable."""
    parts = run.record.parts
    return (
        parts["dataset"],
        parts["split"],
        parts["statistics"]["values"],
        run.record.best_by,
    )

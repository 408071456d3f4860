"""The best run so far, and which dataset versions it was never held against.

A run is beaten only on its own ground: by a lower dev loss over the same pairs, cut and normalised
alike. A run on another version beats nothing until the best so far was trained on that version,
too: when a dataset is rebuilt, it is first compared with the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
        return max(good, key=lambda run: run.remarks[-1].written)
    best: Run | None = None
    for run in fit:
        if best is None or _beats(run, best, fit):
            best = run
    return best


def unseen(best: Run, runs: Iterable[Run], versions: Sequence[str]) -> tuple[str, ...]:
    """Return the versions of its family the best run was neither trained nor scored on."""
    way = _way(best)
    models = [run for run in runs if run.record.kind == CONVERSION]
    seen = {run.record.dataset.name for run in models if _way(run) == way}
    seen |= {result["dataset"] for result in best.record.results.values()}
    family = family_of(best.record.dataset.name)
    return tuple(name for name in versions if family_of(name) == family and name not in seen)


def _found_good(run: Run, verdicts: Mapping[str, Verdict]) -> bool:
    return run.tag in verdicts and verdicts[run.tag].what == "good"


def _beats(run: Run, best: Run, runs: Sequence[Run]) -> bool:
    way, ground = _way(best), _ground(run)
    if _way(run) == way:
        return False  # the same again, or on another version
    losses = [_loss(each) for each in runs if _way(each) == way and _ground(each) == ground]
    return bool(losses) and _loss(run) < min(losses)


def _loss(run: Run) -> float:
    assert run.record.best_loss is not None
    return run.record.best_loss


def _way(run: Run) -> str:
    """Return what a run is trained with, whatever the data and the seed."""
    config = with_defaults(run.record.parts["config"])
    del config["train"]["seed"]
    parent = run.record.parent
    return canonical([config, [parent.tag, parent.epoch] if parent else None])


def _ground(run: Run) -> str:
    """Return what makes dev losses of two runs comparable."""
    parts = run.record.parts
    shared = [parts["dataset"], parts["split"], parts["statistics"]["values"]]
    return canonical([*shared, run.record.best_by])

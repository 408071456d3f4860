"""All runs of a workspace: read, chosen, put in order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from corpuskit.errors import BadSetting, CorpuskitError
from trainer.descent import Verdict
from trainer.runs import Run, list_runs, open_run

__all__ = ["chosen", "read_all"]


def read_all(workspace: Path) -> tuple[list[Run], list[str]]:
    """Return all runs that can be read, and what is wrong with the others."""
    runs, damaged = [], []
    for tag in list_runs(workspace):
        try:
            runs.append(open_run(workspace, tag))
        except CorpuskitError as error:
            damaged.append(str(error))
    return runs, damaged


def chosen(
    runs: Sequence[Run], verdicts: Mapping[str, Verdict], only: Sequence[str], sort: str
) -> list[Run]:
    """Return the runs for which all of `only` ("dataset=N2C_4") hold, sorted.

    `sort` is tag (as they come), created, loss (the lowest first) or time (the longest first).

    Raises
    ------
    BadSetting
        A condition that is none.
    """
    wanted = [_condition(text) for text in only]
    found = [
        run for run in runs if all(_facts(run, verdicts).get(key) == value for key, value in wanted)
    ]
    if sort == "created":
        found.sort(key=lambda run: run.record.created)
    elif sort == "loss":
        found.sort(key=lambda run: math.inf if (b := run.record.best_loss) is None else b)
    elif sort == "time":
        found.sort(key=lambda run: -run.record.seconds)
    return found


_KEYS = ("dataset", "parent", "status", "verdict")


def _condition(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or key not in _KEYS:
        raise BadSetting(f"--only {text!r} is no condition", f"KEY=VALUE of {', '.join(_KEYS)}")
    return key, value


def _facts(run: Run, verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    parent, verdict = run.record.parent, verdicts.get(run.tag)
    return {
        "dataset": run.record.dataset.name,
        "parent": parent.tag if parent else "",
        "status": run.status,
        "verdict": verdict.what if verdict else "",
    }

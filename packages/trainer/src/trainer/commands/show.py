"""`trainer show`: everything about one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from corpuskit.console import (
    JsonOption,
    WorkspaceOption,
    print_json,
    print_lines,
    workspace_of,
)
from trainer.commands.options import TagArgument

if TYPE_CHECKING:
    from trainer.descent import Verdict

__all__ = ["show"]


def show(tag: TagArgument, as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """Describe a run: where it comes from, its settings, how it went, its results."""
    from trainer.catalogue import Line, read_catalogue
    from trainer.history import past_runs
    from trainer.runs import list_searches
    from trainer.wording.runs import line_as_mapping, past_shown

    where = workspace_of(workspace)
    if tag in list_searches(where):
        _show_search(where, tag, as_json=as_json)
        return
    if _is_without_run(where, tag):
        _show_trial(where, tag, as_json=as_json)
        return
    past = past_runs(where).get(tag)
    verdict = read_catalogue(where).judged.get(tag)
    if past is None:
        _show(where, tag, verdict, as_json=as_json)
    elif as_json:
        told = {
            "warm_up": past.run.warm_up,
            "max_lr_scale": past.run.max_lr_scale,
            "optimiser_kept": past.run.optimiser_kept,
            "run_time": past.run.run_time,
            "notes": past.run.notes,
            "lines": past.run.lines,
            "diary": past.diary,
        }
        print_json({**line_as_mapping(Line.of_past(past), verdict), **told})
    else:
        print_lines(past_shown(past, verdict))


def _show(where: Path, tag: str, verdict: Verdict | None, *, as_json: bool) -> None:
    """Describe a recorded run."""
    from trainer.checkpoint import listed
    from trainer.runs import metrics, open_run
    from trainer.wording.runs import as_mapping, shown

    found = open_run(where, tag, kind=None)
    rows = metrics(found.folder)
    checkpoints = [each.folder.name for each in listed(found.checkpoints)]
    if as_json:
        print_json({**as_mapping(found, verdict), "metrics": rows, "checkpoints": checkpoints})
    else:
        print_lines(shown(found, rows, checkpoints, verdict))


def _show_search(where: Path, tag: str, *, as_json: bool) -> None:
    """Describe a search: its trials, the best first, and what mattered."""
    import dataclasses

    from trainer.remarks import remarks_of_search
    from trainer.searches import open_search
    from trainer.study import trials
    from trainer.wording.runs import remark_lines
    from trainer.wording.search import searched

    made = open_search(where, tag)
    found, remarks = trials(made), remarks_of_search(made.folder)
    if as_json:
        told = {"tag": tag, "dataset": made.dataset, **made.space.as_mapping()}
        noted = [dataclasses.asdict(each) for each in remarks]
        print_json({**told, "trials": dataclasses.asdict(found), "remarks": noted})
    else:
        print_lines((*searched(made, found), *remark_lines(remarks)))


def _is_without_run(where: Path, tag: str) -> bool:
    """Tell whether this names a trial of a search that was not trained itself."""
    from trainer.runs import folder_of, list_searches

    search, mark, _ = tag.partition("#")
    return bool(mark) and search in list_searches(where) and not folder_of(where, tag).is_dir()


def _show_trial(where: Path, tag: str, *, as_json: bool) -> None:
    """Describe a trial that was skipped, or answered from the record."""
    import dataclasses

    from trainer.search import trial_named
    from trainer.wording.search import trial_shown

    made, trial = trial_named(where, tag)
    if as_json:
        print_json({"tag": tag, **dataclasses.asdict(trial)})
    else:
        print_lines(trial_shown(made, trial))

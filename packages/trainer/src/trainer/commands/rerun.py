"""`trainer rerun`: the best run's way on another dataset version, held against it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from corpuskit.console import QuietOption, WorkspaceOption, print_lines, say, workspace_of
from corpuskit.errors import Refused
from trainer.commands.evaluate import last_of
from trainer.commands.evaluate import show as show_evaluation
from trainer.commands.options import DeviceOption
from trainer.commands.training import joined_world, run_request

__all__ = ["rerun"]


def rerun(
    spk: Annotated[
        str, typer.Option("--spk", metavar="VERSION", help="Dataset version to try it on")
    ],
    tag: Annotated[
        str | None,
        typer.Argument(
            metavar="[TAG]",
            help="Run whose way is tried [default: the best so far of the version's family]",
        ),
    ] = None,
    rescore: Annotated[
        bool,
        typer.Option("--rescore", help="Train nothing: score the run on the version's eval split"),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs to train [default: the run's]", show_default=False),
    ] = None,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Hold the best run so far against another dataset version: train its way on it, or rescore it.

    Settings, parent and epochs are the run's; nothing is typed again. Ends with the comparison.
    """
    where = workspace_of(workspace)
    if rescore:
        _rescore(where, tag or _best(where, spk), spk, device, quiet=quiet)
        return
    from trainer.again import as_on
    from trainer.compare import compare
    from trainer.runs import open_run
    from trainer.wording.diff import compared

    with joined_world(device) as world:
        if not world.leads:
            return
        before = open_run(where, tag or _best(where, spk))
        run = run_request(as_on(before, spk, epochs, device), world, quiet=quiet)
        print_lines(compared(compare(where, before.tag, run.tag)))


def _best(where: Path, spk: str) -> str:
    from corpuskit.config import family_of
    from trainer.best import best_of
    from trainer.catalogue import read_catalogue

    known = read_catalogue(where)
    best = best_of(known.runs, known.judged, family_of(spk))
    if best is None:
        raise Refused(
            f"no run on a version of {family_of(spk)} has finished an epoch yet, so none is best",
            "name the run",
        )
    say(f"the best run so far is {best.tag}, on dataset {best.record.dataset.name}")
    return best.tag


def _rescore(where: Path, tag: str, spk: str, device: str, *, quiet: bool) -> None:
    from trainer.evaluate import evaluate

    events = evaluate(where, tag, spk=spk, device=device, jobs=os.cpu_count() or 1)
    show_evaluation(last_of(events, quiet=quiet), quiet=quiet)

"""`trainer list`: the runs of a workspace."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from corpuskit.console import (
    JsonOption,
    WorkspaceOption,
    print_json,
    print_lines,
    say,
    warn,
    workspace_of,
)

__all__ = ["list_"]


def list_(
    tree: Annotated[bool, typer.Option("--tree", help="Show each run below its parent")] = False,
    sort: Annotated[
        Literal["tag", "created", "loss", "time"], typer.Option(help="In which order")
    ] = "tag",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="KEY=VALUE",
            help="Runs of this dataset, parent, status or verdict, e.g. dataset=N2C_4",
        ),
    ] = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List the runs of the workspace: where they come from, how they went, what was noted."""
    from trainer.catalogue import chosen, read_all
    from trainer.descent import ordered_by_descent, verdicts
    from trainer.wording.runs import as_mapping, counted, listing

    where = workspace_of(workspace)
    runs, damaged = read_all(where)
    for problem in damaged:
        warn(problem)
    known = verdicts(runs)
    shown = chosen(runs, known, only or [], sort)
    if as_json:
        print_json([as_mapping(run, known.get(run.tag)) for run in shown])
        return
    placed = list(ordered_by_descent(shown)) if tree else [(run, 0) for run in shown]
    print_lines(listing(placed, known) if placed else ())
    of = f" of {len(runs):,}" if len(shown) < len(runs) else ""
    say(f"{counted(len(shown), 'run')}{of} in {where}.")

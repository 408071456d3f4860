"""`trainer list`: the runs of a workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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

if TYPE_CHECKING:
    from trainer.catalogue import Catalogue
    from trainer.descent import Verdict

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
            help="Runs of this dataset, kind, parent, status or verdict, e.g. dataset=N2C_4",
        ),
    ] = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List the runs of the workspace: where they come from, how they went, what was noted."""
    from trainer.catalogue import DIARY, SEARCH, chosen, read_catalogue
    from trainer.descent import ordered_by_descent
    from trainer.wording.runs import as_mapping, counted, line_as_mapping, listing

    where = workspace_of(workspace)
    known = read_catalogue(where)
    for problem in known.damaged:
        warn(problem)
    lines, judged = known.lines, known.judged
    shown = chosen(lines, judged, only or [], sort)
    if as_json:
        runs = {run.tag: run for run in known.runs}
        print_json(
            [
                line_as_mapping(line, judged.get(line.tag))
                if line.status in (DIARY, SEARCH)
                else as_mapping(runs[line.tag], judged.get(line.tag))
                for line in shown
            ]
        )
        return
    below = ordered_by_descent(shown, lambda line: line.above)
    placed = list(below) if tree else [(line, 0) for line in shown]
    print_lines(listing(placed, judged) if placed else ())
    of = f" of {len(lines):,}" if len(shown) < len(lines) else ""
    say(f"{counted(len(shown), 'run')}{of} in {where}.")
    print_lines(_never_seen(where, known, judged))


def _never_seen(where: Path, known: Catalogue, verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    """Name the versions that were never held against the best run so far."""
    from corpuskit.config import family_of, listed
    from trainer.best import best_of, unseen

    versions = listed(where / "versions", "version.json")
    for family in sorted({family_of(name) for name in versions}):
        best = best_of(known.runs, verdicts, family)
        if best is not None and (names := unseen(best, known.runs, versions)):
            yield (
                f"Of {family}, the best so far is run {best.tag}; never tried on dataset "
                f"{', '.join(names)}: `trainer rerun {best.tag} --spk {names[-1]}`."
            )

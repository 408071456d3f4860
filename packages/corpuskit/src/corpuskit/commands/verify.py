"""`corpuskit verify`: is a version still what it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corpuskit.commands.options import JobsOption, NameArgument, progress_bars
from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    print_json,
    print_lines,
    say,
    warn,
    workspace_of,
)
from corpuskit.errors import BadSetting

if TYPE_CHECKING:
    from corpuskit.rebuild import Rebuilt
    from corpuskit.verify import Checked, Problem

__all__ = ["verify"]


def verify(
    name: NameArgument,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Also measure and align again, and compare bit for bit"),
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="With --rebuild: so many pairs, always the same [default: all]"),
    ] = None,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Check that a version, its objects and its recordings are what they were (exit 1 if not)."""
    from corpuskit.config import to_mapping
    from corpuskit.wording.verify import problem

    if sample is not None and not rebuild:
        raise BadSetting("--sample belongs to --rebuild", "add --rebuild")
    where = workspace_of(workspace)
    problems, counts = _verified(where, name, jobs)
    again = None
    if rebuild and counts is not None:
        wrong, again = _rebuilt(where, name, sample, jobs, quiet=quiet)
        problems += wrong
    if as_json:
        print_json(
            {
                "name": name,
                "whole": not problems,
                "problems": [to_mapping(p) for p in problems],
                "checked": to_mapping(counts),
                "rebuilt": to_mapping(again),
            }
        )
    else:
        print_lines(map(problem, problems))
        _close(name, counts, again, len(problems), quiet=quiet)
    if problems:
        raise typer.Exit(1)


def _close(
    name: str, counts: Checked | None, again: Rebuilt | None, problems: int, *, quiet: bool
) -> None:
    from corpuskit.wording.verify import checked, made_again

    for root in counts.absent_roots if counts else ():
        warn(f"{root} is not on this machine: its recordings were not checked", quiet=quiet)
    if again is not None:
        say(made_again(again))
    say(checked(name, counts, problems))


def _verified(workspace: Path, name: str, jobs: int | None) -> tuple[list[Problem], Checked | None]:
    from corpuskit.verify import Problem, verify

    problems, counts = [], None
    for event in verify(workspace, name, jobs):
        if isinstance(event, Problem):
            problems.append(event)
        else:
            counts = event
    return problems, counts


def _rebuilt(
    workspace: Path, name: str, sample: int | None, jobs: int | None, *, quiet: bool
) -> tuple[list[Problem], Rebuilt]:
    from corpuskit.rebuild import Again, Rebuilt, rebuild
    from corpuskit.versions import open_version

    found: list[Problem] = []
    with progress_bars(quiet=quiet) as show:
        for event in rebuild(open_version(workspace, name), sample, jobs):
            if isinstance(event, Rebuilt):
                return found, event
            if isinstance(event, Again):
                show(event.stage, event.done, event.total)
            else:
                found.append(event)
    raise AssertionError("a rebuilding ends with Rebuilt")

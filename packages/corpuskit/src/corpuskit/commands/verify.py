"""`corpuskit verify`: is a version still what it was."""

from __future__ import annotations

import typer

from corpuskit.commands.options import JobsOption, NameArgument
from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    print_json,
    say,
    warn,
    workspace_of,
)

__all__ = ["verify"]


def verify(
    name: NameArgument,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Check that a version, its objects and its recordings are what they were (exit 1 if not)."""
    from corpuskit.config import to_mapping
    from corpuskit.verify import Problem, verify
    from corpuskit.wording.verify import checked, problem

    problems, counts = [], None
    for event in verify(workspace_of(workspace), name, jobs):
        if isinstance(event, Problem):
            problems.append(event)
            if not as_json:
                say(problem(event))
        else:
            counts = event
    if as_json:
        print_json(
            {
                "name": name,
                "whole": not problems,
                "problems": [to_mapping(p) for p in problems],
                "checked": to_mapping(counts),
            }
        )
    else:
        for root in counts.absent_roots if counts else ():
            warn(f"{root} is not on this machine: its recordings were not checked", quiet=quiet)
        say(checked(name, counts, len(problems)))
    if problems:
        raise typer.Exit(1)

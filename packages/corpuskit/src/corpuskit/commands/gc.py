"""`corpuskit gc`: remove what no version needs."""

from __future__ import annotations

from typing import Annotated

import typer

from corpuskit.commands.options import progress_bars
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

__all__ = ["gc"]


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; change nothing")
    ] = False,
    older_than: Annotated[
        float,
        typer.Option("--older-than", min=0, metavar="DAYS", help="Keep objects made since then"),
    ] = 0.0,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Remove what no dataset version needs: unused objects, leftovers of killed builds."""
    from corpuskit.garbage import Cleaned, Listed, Progress, clean
    from corpuskit.wording.garbage import closing, found, found_json

    where = workspace_of(workspace)
    listed, freed = None, None
    with progress_bars(quiet=quiet) as show:
        for event in clean(where, dry_run=dry_run, older_than=older_than):
            if isinstance(event, Listed):
                listed = event
                if event.busy:
                    warn("a build is running: what it will need is listed too", quiet=quiet)
                if not as_json:
                    print_lines(found(event))
            elif isinstance(event, Progress):
                show(event.stage, event.done, event.total)
            elif isinstance(event, Cleaned):
                freed = event.size
    assert listed is not None, "a cleaning begins with Listed"
    if as_json:
        print_json(found_json(listed, freed))
    else:
        say(closing(listed, freed))

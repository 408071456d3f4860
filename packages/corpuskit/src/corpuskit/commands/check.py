"""`corpuskit check`: which pairs to listen to before a training does."""

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
    workspace_of,
)

if TYPE_CHECKING:
    from corpuskit.checks import Checked
    from corpuskit.versions import Version

__all__ = ["check"]


def check(
    name: NameArgument,
    top: Annotated[int, typer.Option(min=1, help="How many suspect pairs to show")] = 20,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if any pair is suspect")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write it as a page to read and to hear")
    ] = None,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Rank the pairs of a version whose sides do not seem to say the same, with reasons."""
    from corpuskit.config import to_mapping
    from corpuskit.versions import open_version
    from corpuskit.wording.check import checked

    version = open_version(workspace_of(workspace), name)
    found = _follow(version, jobs, quiet=quiet)
    if html is not None:
        from corpuskit.pages.check_page import write_check

        write_check(html, version, found, top)
    print_json(to_mapping(found)) if as_json else print_lines(checked(found, top))
    if strict and found.suspects:
        raise typer.Exit(1)


def _follow(version: Version, jobs: int | None, *, quiet: bool) -> Checked:
    from corpuskit.checks import Checked, check

    with progress_bars(quiet=quiet) as show:
        for event in check(version, jobs):
            if isinstance(event, Checked):
                return event
            show("check", event.done, event.total)
    raise AssertionError("a check ends with Checked")

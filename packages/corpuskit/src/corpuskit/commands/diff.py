"""`corpuskit diff`: how two versions differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corpuskit.commands.options import JobsOption, progress_bars
from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    print_json,
    print_lines,
    workspace_of,
)

if TYPE_CHECKING:
    from corpuskit.versions import Version
    from corpuskit.why import Why

__all__ = ["diff"]


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="Dataset version")],
    after: Annotated[str, typer.Argument(metavar="B", help="Dataset version compared with A")],
    html: Annotated[
        Path | None, typer.Option(help="Also write it as a page to read and to hear")
    ] = None,
    why: Annotated[
        bool, typer.Option("--why", help="Apply each change alone: which explains how much")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="With --why: tell settings of features apart by measuring the audio"
        ),
    ] = False,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 when the versions differ")
    ] = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show exactly how version B differs from version A."""
    from corpuskit.config import to_mapping
    from corpuskit.diff import diff_versions
    from corpuskit.versions import open_version
    from corpuskit.wording.diff import difference

    where = workspace_of(workspace)
    versions = open_version(where, before), open_version(where, after)
    found = diff_versions(*versions)
    causes = _explained(versions, jobs, measure=measure, quiet=quiet) if why else None
    if html is not None:
        from corpuskit.pages.diff_page import write_diff

        write_diff(html, *versions, found, causes)
    if as_json:
        print_json(to_mapping(found) | ({"why": to_mapping(causes)} if causes else {}))
    else:
        print_lines(difference(found))
        if causes:
            from corpuskit.wording.why import why as words

            print_lines(words(causes))
    if exit_code and not found.identical:
        raise typer.Exit(1)


def _explained(
    versions: tuple[Version, Version], jobs: int | None, *, measure: bool, quiet: bool
) -> Why:
    from corpuskit.why import Why, explain

    with progress_bars(quiet=quiet) as show:
        for event in explain(*versions, can_measure=measure, jobs=jobs):
            if isinstance(event, Why):
                return event
            show(event.stage, event.done, event.total)
    raise AssertionError("an explanation ends with Why")

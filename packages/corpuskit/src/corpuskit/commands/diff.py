"""`corpuskit diff`: how two versions differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    print_json,
    print_lines,
    workspace_of,
)

__all__ = ["diff"]


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="Dataset version")],
    after: Annotated[str, typer.Argument(metavar="B", help="Dataset version compared with A")],
    html: Annotated[
        Path | None, typer.Option(help="Also write it as a page to read and to hear")
    ] = None,
    as_json: JsonOption = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 when the versions differ")
    ] = False,
    workspace: WorkspaceOption = None,
    _quiet: QuietOption = False,
) -> None:
    """Show exactly how version B differs from version A."""
    from corpuskit.config import to_mapping
    from corpuskit.diff import diff_versions
    from corpuskit.versions import open_version
    from corpuskit.wording.diff import difference

    where = workspace_of(workspace)
    versions = open_version(where, before), open_version(where, after)
    found = diff_versions(*versions)
    if html is not None:
        from corpuskit.pages.diff_page import write_diff

        write_diff(html, *versions, found)
    if as_json:
        print_json(to_mapping(found))
    else:
        print_lines(difference(found))
    if exit_code and not found.identical:
        raise typer.Exit(1)

"""`trainer diff`: why one run differs from another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from corpuskit.console import (
    JsonOption,
    WorkspaceOption,
    print_json,
    print_lines,
    workspace_of,
)

__all__ = ["diff"]


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A run, e.g. N2C_5")],
    after: Annotated[str, typer.Argument(metavar="B", help="The run that differs from it")],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write it as a page, with the curves")
    ] = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Say why run B differs from run A: causes, then results where they are comparable."""
    from trainer.compare import compare
    from trainer.wording.diff import compared

    where = workspace_of(workspace)
    found = compare(where, before, after)
    if html is not None:
        from trainer.pages.diff_page import write_diff

        write_diff(html, where, found)
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        print_lines(compared(found))

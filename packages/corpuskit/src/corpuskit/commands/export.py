"""`corpuskit export`: a version in the form another program reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from corpuskit.commands.options import JobsOption, NameArgument, progress_bars
from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    print_json,
    say,
    warn,
    workspace_of,
)

__all__ = ["export"]


def export(
    name: NameArgument,
    out: Annotated[Path, typer.Argument(help="Folder to write; new, or empty")],
    form: Annotated[
        str, typer.Option("--to", help="textgrid, lhotse, hf, npy or audio", metavar="FORMAT")
    ],
    split: Annotated[
        list[str] | None,
        typer.Option("--split", help="train, dev or eval; repeatable [default: all]"),
    ] = None,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write a dataset version to the folder OUT in the form another program reads."""
    from corpuskit.engine import job_count
    from corpuskit.exports.registry import Exported, export
    from corpuskit.exports.request import SPLITS, Means, Note
    from corpuskit.versions import open_version
    from corpuskit.wording.export import closing

    started = time.perf_counter()
    means = Means(splits=tuple(split or SPLITS), jobs=job_count(jobs))
    version = open_version(workspace_of(workspace), name)
    with progress_bars(quiet=quiet) as show:
        for event in export(version, form, out, means):
            if isinstance(event, Note):
                warn(event.text, quiet=quiet)
            elif not isinstance(event, Exported):
                show(event.stage, event.done, event.total)
    assert isinstance(event, Exported), "an export ends with Exported"
    if as_json:
        print_json({**vars(event), "folder": str(event.folder), "name": name, "format": form})
    else:
        say(closing(name, form, event, time.perf_counter() - started))

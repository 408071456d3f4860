"""`corpuskit init`: write the definition of a private pair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corpuskit.commands.options import JobsOption
from corpuskit.console import QuietOption, print_lines, warn

__all__ = ["init"]


def init(
    name: Annotated[str, typer.Argument(help="Name of the new dataset family, e.g. N2C")],
    source: Annotated[Path, typer.Option(help="Folder of the voice that will be converted")],
    target: Annotated[Path, typer.Option(help="Folder of the voice to be reached")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write [default: configs/datasets/NAME.toml]", show_default=False
        ),
    ] = None,
    jobs: JobsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write a ready, commented dataset definition for two folders paired by file stem."""
    from corpuskit.draft import draft, write_draft
    from corpuskit.engine import job_count
    from corpuskit.wording.init import written

    file = out or Path("configs") / "datasets" / f"{name}.toml"
    made = draft(name, source, target, file, job_count(jobs))
    write_draft(made, file)
    for text in made.warnings:
        warn(text, quiet=quiet)
    print_lines(written(name, file, made))

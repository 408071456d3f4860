"""`corpuskit scan`: tell what a folder is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corpuskit.commands.options import JobsOption
from corpuskit.console import JsonOption, QuietOption, print_json, print_lines

__all__ = ["scan"]


def scan(
    root: Annotated[Path, typer.Argument(help="Folder of an unpacked corpus, or of recordings")],
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    _quiet: QuietOption = False,
) -> None:
    """Tell what a folder is: layout, speakers, hours, formats, defects; changes nothing."""
    from corpuskit.config import to_mapping
    from corpuskit.engine import job_count
    from corpuskit.inspection import inspect_folder
    from corpuskit.wording.scan import inspected

    corpora = inspect_folder(root, job_count(jobs))
    if as_json:
        print_json([{**to_mapping(found), "root": str(found.root)} for found in corpora])
        return
    for found in corpora:
        print_lines(inspected(found))

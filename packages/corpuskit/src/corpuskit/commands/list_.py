"""`corpuskit list`: the versions of the workspace."""

from __future__ import annotations

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
from corpuskit.errors import CorpuskitError

__all__ = ["list_"]


def list_(
    as_json: JsonOption = False, workspace: WorkspaceOption = None, quiet: QuietOption = False
) -> None:
    """List the dataset versions of the workspace."""
    from corpuskit.tables import counted, table
    from corpuskit.versions import describe, list_versions
    from corpuskit.wording.versions import VERSION_HEADER, version_row

    where = workspace_of(workspace)
    descriptions = []
    for name in list_versions(where):
        try:
            descriptions.append(describe(where, name))
        except CorpuskitError as error:
            warn(str(error), quiet=quiet)
    if as_json:
        print_json(descriptions)
    elif descriptions:
        print_lines(table(VERSION_HEADER, [version_row(d) for d in descriptions]))
    if not as_json:
        say(f"{counted(len(descriptions), 'dataset version')} in {where}.")

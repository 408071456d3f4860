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
    """List the dataset versions of the workspace, with the disk they use alone and share."""
    from corpuskit.config import to_mapping
    from corpuskit.tables import counted, table
    from corpuskit.versions import describe, disk_use, inventory, list_versions
    from corpuskit.wording.versions import VERSION_HEADER, version_row

    where = workspace_of(workspace)
    found = {}
    for name in list_versions(where):
        try:
            found[name] = (describe(where, name), inventory(where, name))
        except CorpuskitError as error:
            warn(str(error), quiet=quiet)
    disk = disk_use(where, {name: stock for name, (_, stock) in found.items()})
    if as_json:
        print_json([{**told, "disk": to_mapping(disk[name])} for name, (told, _) in found.items()])
    elif found:
        rows = [version_row(told, disk[name]) for name, (told, _) in found.items()]
        print_lines(table(VERSION_HEADER, rows))
    if not as_json:
        say(f"{counted(len(found), 'dataset version')} in {where}.")

"""`trainer list`: the runs of a workspace."""

from __future__ import annotations

from corpuskit.console import (
    JsonOption,
    WorkspaceOption,
    print_json,
    print_lines,
    say,
    warn,
    workspace_of,
)
from corpuskit.errors import CorpuskitError

__all__ = ["list_"]


def list_(as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """List the runs of the workspace."""
    from trainer.runs import list_runs, open_run
    from trainer.wording.runs import as_mapping, counted, listing

    where = workspace_of(workspace)
    found = []
    for tag in list_runs(where):
        try:
            found.append(open_run(where, tag))
        except CorpuskitError as error:
            warn(str(error))
    if as_json:
        print_json([as_mapping(each) for each in found])
        return
    print_lines(listing(found) if found else ())
    say(f"{counted(len(found), 'run')} in {where}.")

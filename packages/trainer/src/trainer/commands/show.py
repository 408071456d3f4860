"""`trainer show`: everything about one run."""

from __future__ import annotations

from corpuskit.console import (
    JsonOption,
    WorkspaceOption,
    print_json,
    print_lines,
    workspace_of,
)
from trainer.commands.options import TagArgument

__all__ = ["show"]


def show(tag: TagArgument, as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """Describe a run: where it comes from, its settings, how it went, its results."""
    from trainer.catalogue import read_all
    from trainer.checkpoint import listed
    from trainer.descent import verdicts
    from trainer.runs import metrics, open_run
    from trainer.wording.runs import as_mapping, shown

    found = open_run(workspace_of(workspace), tag)
    rows = metrics(found.folder)
    verdict = verdicts(read_all(found.workspace)[0]).get(tag)
    checkpoints = [each.folder.name for each in listed(found.checkpoints)]
    if as_json:
        print_json({**as_mapping(found, verdict), "metrics": rows, "checkpoints": checkpoints})
    else:
        print_lines(shown(found, rows, checkpoints, verdict))

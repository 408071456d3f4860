"""`corpuskit runs`: which runs a version went into."""

from __future__ import annotations

from corpuskit.commands.options import NameArgument
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

__all__ = ["runs"]


def runs(
    name: NameArgument,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """List the runs trained on NAME or on an equal version, and all that descend from them."""
    from corpuskit.config import to_mapping
    from corpuskit.trained import runs_on
    from corpuskit.versions import describe
    from corpuskit.wording.runs import closing, table_of

    where = workspace_of(workspace)
    found = runs_on(where, name, describe(where, name)["fingerprint"])
    for tag, problem in found.damaged.items():
        warn(f"run {tag}: {problem}; whether it used dataset {name} is unknown", quiet=quiet)
    if as_json:
        print_json({"name": name, **to_mapping(found)})
    else:
        print_lines(table_of(found))
        say(closing(name, found))

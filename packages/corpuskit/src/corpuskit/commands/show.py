"""`corpuskit show`: everything about one version."""

from __future__ import annotations

from corpuskit.commands.options import NameArgument
from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    print_json,
    print_lines,
    workspace_of,
)

__all__ = ["show"]


def show(
    name: NameArgument,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    _quiet: QuietOption = False,
) -> None:
    """Describe a dataset version: settings, totals, and everything set aside with its reason."""
    from corpuskit.config import to_mapping
    from corpuskit.versions import describe, open_version
    from corpuskit.wording.versions import version

    where = workspace_of(workspace)
    made = open_version(where, name)
    if as_json:
        aside = [to_mapping(row) for row in made.set_aside]
        recordings = [to_mapping(r) for r in made.remarkable if r.state != "used"]
        print_json(
            {
                **describe(where, name),
                "set_aside": {"pairs": aside, "recordings": recordings},
                "tiers": {recording: hand.digest for recording, hand in made.tiers.items()},
            }
        )
    else:
        print_lines(version(made))

"""`corpuskit lock`: a version as one small file for version control."""

from __future__ import annotations

from corpuskit.commands.options import NameArgument
from corpuskit.console import QuietOption, WorkspaceOption, print_json, workspace_of

__all__ = ["lock"]


def lock(
    name: NameArgument, workspace: WorkspaceOption = None, _quiet: QuietOption = False
) -> None:
    """Print what NAME was made of; `build --locked` makes the same from it elsewhere."""
    from corpuskit.config import to_mapping
    from corpuskit.lockfile import lock_of
    from corpuskit.versions import open_version

    print_json(to_mapping(lock_of(open_version(workspace_of(workspace), name).whole())))

"""`trainer export`: a run's model for programs without a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corpuskit.console import WorkspaceOption, say, workspace_of
from trainer.commands.options import PlaceArgument, place_of

__all__ = ["export"]


def export(
    place: PlaceArgument,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; new, or empty")],
    workspace: WorkspaceOption = None,
) -> None:
    """Write a run's model as programs that numpy and torch alone can run."""
    from trainer.exporting import write
    from trainer.runs import open_run

    tag, checkpoint = place_of(place)
    run = open_run(workspace_of(workspace), tag)
    written = write(run, run.checkpoint(checkpoint), out)
    say(
        f"Exported run {tag} to {out}: {len(written.programs)} programs, "
        f"{written.size / 1e6:.1f} MB."
    )

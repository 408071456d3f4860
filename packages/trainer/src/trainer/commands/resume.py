"""`trainer resume`: go on with a run where it stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from corpuskit.console import QuietOption, WorkspaceOption, workspace_of
from trainer.commands.options import DeviceOption, TagArgument
from trainer.commands.training import joined_world, show_notes, train

__all__ = ["resume"]


def resume(
    tag: TagArgument,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs in all [default: as many as the run asked for]", show_default=False
        ),
    ] = None,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Go on with a run exactly where it stopped, or up to more epochs."""
    from trainer.session import resume

    with joined_world(device) as world:
        if world.leads:
            resumed = resume(workspace_of(workspace), tag, epochs, device, world.size)
            show_notes(resumed.notes, quiet=quiet)
            train(resumed.run, resumed.version, resumed.device, None, world, quiet=quiet)

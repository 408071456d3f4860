"""`trainer promote`: a full run with the settings of a search's trial."""

from __future__ import annotations

from typing import Annotated

import typer

from corpuskit.console import QuietOption, WorkspaceOption, workspace_of
from trainer.commands.options import DeviceOption, EpochsOption
from trainer.commands.training import joined_world, run_request

__all__ = ["promote"]


def promote(
    trial: Annotated[
        str, typer.Argument(metavar="SEARCH#TRIAL", help="A trial of a search, e.g. N2C_11#3")
    ],
    epochs: EpochsOption = None,
    tag: Annotated[
        str | None,
        typer.Option(
            help="Name of the run [default: the family's next free number]", show_default=False
        ),
    ] = None,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train a run with all the settings of a trial; it remembers where they come from."""
    from trainer.search import promotion

    with joined_world(device) as world:
        if world.leads:
            request = promotion(workspace_of(workspace), trial, epochs, tag, device)
            run_request(request, world, quiet=quiet)

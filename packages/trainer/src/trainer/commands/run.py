"""`trainer run`: train a model on a dataset version, or fine-tune another run's."""

from __future__ import annotations

from typing import Annotated

import typer

from corpuskit.console import QuietOption, WorkspaceOption, workspace_of
from trainer.commands.options import (
    DeviceOption,
    EpochsOption,
    KeepLeaksOption,
    KeepOptimOption,
    LikeOption,
    ModelOption,
    PrecisionOption,
    PretrainOption,
    SettingsOption,
    SpkOption,
)
from trainer.commands.training import joined_world, run_request

__all__ = ["run"]


def run(
    spk: SpkOption,
    pretrain: PretrainOption = None,
    keep_optim: KeepOptimOption = False,
    tag: Annotated[
        str | None,
        typer.Option(
            help="Name of the run [default: the family's next free number]", show_default=False
        ),
    ] = None,
    like: LikeOption = None,
    model: ModelOption = None,
    settings: SettingsOption = None,
    epochs: EpochsOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = "auto",
    again: Annotated[
        bool, typer.Option("--again", help="Train even though a run of this identity exists")
    ] = False,
    keep_leaks: KeepLeaksOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train a model on a dataset version; with --pretrain, fine-tune another run's.

    Ctrl-C or SIGTERM finishes the step, saves, and exits with 0; `trainer resume` goes on.
    """
    from trainer.plan import Request

    request = Request(
        workspace=workspace_of(workspace),
        spk=spk,
        pretrain=pretrain,
        keep_optim=keep_optim,
        tag=tag,
        like=like,
        model=model,
        usual=True,
        settings=tuple(settings or ()),
        epochs=epochs,
        precision=precision,
        device=device,
        again=again,
        keep_leaks=keep_leaks,
    )
    with joined_world(device) as world:
        if world.leads:
            run_request(request, world, quiet=quiet)

"""`trainer run`: train a model on a dataset version, or fine-tune another run's."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from corpuskit.console import QuietOption, WorkspaceOption, workspace_of
from trainer.commands.options import DeviceOption
from trainer.commands.training import joined_world, run_request

__all__ = ["run"]


def run(
    spk: Annotated[
        str, typer.Option("--spk", metavar="VERSION", help="Dataset version to train on")
    ],
    pretrain: Annotated[
        str | None,
        typer.Option(
            metavar="TAG[@EPOCH]",
            help="Fine-tune: start from this run's weights; an epoch, best or last [default: best]",
            show_default=False,
        ),
    ] = None,
    keep_optim: Annotated[
        bool,
        typer.Option(
            "--keep-optim/--reset-optim",
            help="With --pretrain: go on with the parent's optimiser and schedule, "
            "or start them anew [default: reset-optim]",
            show_default=False,
        ),
    ] = False,
    tag: Annotated[
        str | None,
        typer.Option(
            help="Name of the run [default: the family's next free number]", show_default=False
        ),
    ] = None,
    like: Annotated[
        str | None, typer.Option(metavar="TAG", help="Start from the settings of this run")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="TOML",
            help="Settings file, or its name in configs/models "
            "[default: the parent's settings with --pretrain, else fs2vc]",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override any setting, e.g. train.batch_size=32"
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs to train [default: train.epochs, 50]", show_default=False),
    ] = None,
    precision: Annotated[
        Literal["bf16", "fp16", "fp32"] | None,
        typer.Option(
            help="Arithmetic of the forward pass [default: bf16 on CUDA, fp32 on CPU]",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
    again: Annotated[
        bool, typer.Option("--again", help="Train even though a run of this identity exists")
    ] = False,
    keep_leaks: Annotated[
        bool,
        typer.Option(
            "--keep-leaks",
            help="Score dev pairs too whose sentence the parent was trained on in the same voice",
        ),
    ] = False,
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

"""`trainer vocoder`: train what turns mels into sound."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from corpuskit.console import QuietOption, WorkspaceOption, workspace_of
from corpuskit.errors import BadSetting
from trainer.commands.options import (
    AllEpochsOption,
    DeviceOption,
    KeepLeaksOption,
    PrecisionOption,
    SettingsOption,
    SpkOption,
    TagArgument,
)
from trainer.commands.training import joined_world, resume_run, run_vocoder

__all__ = ["vocoder"]

vocoder = typer.Typer(
    no_args_is_help=True, help="Train a vocoder, and go on with one that was stopped."
)


@vocoder.command()
def run(
    spk: SpkOption,
    pretrain: Annotated[
        str | None,
        typer.Option(
            metavar="TAG[@EPOCH]",
            help="Fine-tune: start from this vocoder's weights and its discriminators' "
            "[default epoch: best]",
            show_default=False,
        ),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(
            help="Name of the run [default: the family's next free number]", show_default=False
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="TOML",
            help="Settings file, or its name in configs/vocoders "
            "[default: the parent's settings with --pretrain, else HiFi-GAN V1]",
            show_default=False,
        ),
    ] = None,
    mels: Annotated[
        str | None,
        typer.Option(
            metavar="TAG[@EPOCH]",
            help="Learn from the mels this conversion model makes of the pairs under teacher "
            "forcing (train.mels) [default: the recordings' own]",
            show_default=False,
        ),
    ] = None,
    settings: SettingsOption = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs to train [default: train.epochs, 1000]", show_default=False
        ),
    ] = None,
    precision: PrecisionOption = None,
    device: DeviceOption = "auto",
    again: Annotated[
        bool, typer.Option("--again", help="Train even though a run of this identity exists")
    ] = False,
    keep_leaks: KeepLeaksOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train HiFi-GAN on the recordings of a dataset version; its tag names a vocoder.

    Ctrl-C or SIGTERM finishes the step, saves, and exits with 0; `trainer resume` goes on.
    """
    from trainer.plan import Request

    request = Request(
        workspace=workspace_of(workspace),
        spk=spk,
        pretrain=pretrain,
        tag=tag,
        model=model,
        settings=(*(settings or ()), *([f"train.mels={json.dumps(mels)}"] if mels else [])),
        epochs=epochs,
        precision=precision,
        device=device,
        again=again,
        keep_leaks=keep_leaks,
    )
    with joined_world(device) as world:
        if world.size > 1:
            raise BadSetting("a vocoder is trained by one process", "leave torchrun out")
        run_vocoder(request, world, quiet=quiet)


@vocoder.command()
def resume(
    tag: TagArgument,
    epochs: AllEpochsOption = None,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Go on with a vocoder exactly where it stopped, or up to more epochs."""
    from trainer.runs import VOCODER

    resume_run(workspace_of(workspace), tag, epochs, device, quiet=quiet, kind=VOCODER)

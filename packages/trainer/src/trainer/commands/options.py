"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

__all__ = [
    "AllEpochsOption",
    "DeviceOption",
    "EpochsOption",
    "KeepLeaksOption",
    "KeepOptimOption",
    "LikeOption",
    "ModelOption",
    "PlaceArgument",
    "PrecisionOption",
    "PretrainOption",
    "SettingsOption",
    "SpkOption",
    "TagArgument",
    "VocoderOption",
    "place_of",
]

DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto takes CUDA if there")
]
SpkOption = Annotated[
    str, typer.Option("--spk", metavar="VERSION", help="Dataset version to train on")
]
PretrainOption = Annotated[
    str | None,
    typer.Option(
        metavar="TAG[@EPOCH]",
        help="Fine-tune: start from this run's weights; an epoch, best or last [default: best]",
        show_default=False,
    ),
]
KeepOptimOption = Annotated[
    bool,
    typer.Option(
        "--keep-optim/--reset-optim",
        help="With --pretrain: go on with the parent's optimiser and schedule, "
        "or start them anew [default: reset-optim]",
        show_default=False,
    ),
]
LikeOption = Annotated[
    str | None, typer.Option(metavar="TAG", help="Start from the settings of this run")
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="TOML",
        help="Settings file, or its name in configs/models "
        "[default: the parent's settings with --pretrain, `few` for up to 15 min of speech, "
        "else fs2vc]",
        show_default=False,
    ),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override any setting, e.g. train.batch_size=32"
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Epochs to train [default: train.epochs, 50]", show_default=False),
]
PrecisionOption = Annotated[
    Literal["bf16", "fp16", "fp32"] | None,
    typer.Option(
        help="Arithmetic of the forward pass [default: bf16 on CUDA, fp32 on CPU]",
        show_default=False,
    ),
]
KeepLeaksOption = Annotated[
    bool,
    typer.Option(
        "--keep-leaks",
        help="Score dev pairs too whose sentence the parent was trained on in the same voice",
    ),
]
VocoderOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What makes sound: world, griffinlim, hifigan:PATH or a vocoder run's TAG "
        "[default: the run's train.vocoder]",
        show_default=False,
    ),
]
TagArgument = Annotated[str, typer.Argument(metavar="TAG", help="Tag of a run, e.g. N2C_28")]
AllEpochsOption = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        min=1,
        help="Epochs in all [default: as many as the run asked for]",
        show_default=False,
    ),
]
PlaceArgument = Annotated[
    str,
    typer.Argument(
        metavar="TAG[@EPOCH]",
        help="Run, and which of its checkpoints: an epoch, best or last [default: best]",
    ),
]


def place_of(text: str) -> tuple[str, str]:
    """Take TAG[@EPOCH] apart."""
    tag, _, epoch = text.partition("@")
    return tag, epoch or "best"

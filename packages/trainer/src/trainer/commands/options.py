"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

__all__ = ["DeviceOption", "PlaceArgument", "TagArgument", "place_of"]

DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto takes CUDA if there")
]
TagArgument = Annotated[str, typer.Argument(metavar="TAG", help="Tag of a run, e.g. N2C_28")]
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

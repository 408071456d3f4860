"""`trainer lr`: the learning rate of a training, seen before it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    print_json,
    print_lines,
    warn,
    workspace_of,
)
from corpuskit.errors import BadSetting

if TYPE_CHECKING:
    from trainer.course import Course

__all__ = ["lr"]


def lr(
    tag: Annotated[str | None, typer.Argument(metavar="[TAG]", help="A run, e.g. N2C_28")] = None,
    spk: Annotated[
        str | None,
        typer.Option(
            "--spk", metavar="VERSION", help="Dataset version to train on [default: the run's]"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="TOML", help="Settings file, or its name in configs/models"),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any setting")
    ] = None,
    like: Annotated[str | None, typer.Option(metavar="TAG", help="A run to compare with")] = None,
    match: Annotated[
        str | None,
        typer.Option(
            metavar="TAG", help="Propose settings that keep this run's rates for the batch size"
        ),
    ] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into a PNG")] = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show a learning rate's course before training: peak, rise, cap, in steps and samples.

    Of a run, of a model file, or of what `run` would take, with --set laid over.
    """
    from trainer.course import proposals, warnings
    from trainer.courses import courses
    from trainer.wording.lr import as_mapping, described

    where = workspace_of(workspace)
    asked = courses(where, tag, spk, model, settings or [], like or match)
    wanted = proposals(asked.other, asked.own.batch_size) if match and asked.other else []
    if png is not None:
        from trainer.pictures import draw_courses

        draw_courses(png, asked.named())
    if as_json:
        print_json(as_mapping(asked, wanted))
    else:
        print_lines(described(asked, wanted))
    for text in warnings(asked.own, asked.other):
        warn(text, quiet=quiet)
    _hold(asked.own, asked.limit)


def _hold(course: Course, limit: float) -> None:
    rate, step = course.peak
    if rate > limit:
        raise BadSetting(
            f"the learning rate would peak at {rate:.2e} at step {step}, above optim.lr_limit "
            f"{limit:.2e}: `trainer run` refuses it",
            "raise optim.warm_up or set optim.max_lr_scale, e.g. --set optim.max_lr_scale=0.016",
        )

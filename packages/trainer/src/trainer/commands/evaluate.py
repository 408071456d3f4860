"""`trainer evaluate`: score a run on the eval split."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    is_quiet,
    print_json,
    progress_hidden,
    say,
    workspace_of,
)
from trainer.commands.options import DeviceOption, PlaceArgument, VocoderOption, place_of

if TYPE_CHECKING:
    from trainer.scores import Evaluation

__all__ = ["evaluate", "last_of", "show"]


def evaluate(
    place: PlaceArgument,
    spk: Annotated[
        str | None,
        typer.Option(
            "--spk",
            metavar="VERSION",
            help="Dataset version whose eval split is scored [default: the run's own]",
            show_default=False,
        ),
    ] = None,
    keep_leaks: Annotated[
        bool,
        typer.Option(
            "--keep-leaks",
            help="Score pairs too whose sentence the run or an ancestor was trained on "
            "in the same voice",
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that measure [default: all cores]", show_default=False),
    ] = None,
    vocoder: VocoderOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Score a run on the eval split: converted and unconverted side by side."""
    from trainer.evaluate import evaluate
    from trainer.scores import as_mapping

    tag, checkpoint = place_of(place)
    events = evaluate(
        workspace_of(workspace),
        tag,
        spk=spk,
        checkpoint=checkpoint,
        device=device,
        vocoder=vocoder,
        keep_leaks=keep_leaks,
        jobs=jobs or os.cpu_count() or 1,
    )
    evaluation = last_of(events, quiet=quiet)
    if as_json:
        print_json(as_mapping(evaluation))
        return
    show(evaluation, quiet=quiet)


def show(evaluation: Evaluation, *, quiet: bool) -> None:
    """Print an evaluation: its table, and a sentence."""
    from trainer.scores import table
    from trainer.wording.runs import evaluated

    if not is_quiet(quiet):
        say(table(evaluation))
        say(f"listen: {evaluation.sounds}")
    say(evaluated(evaluation))


def last_of(events: Iterable[Any], *, quiet: bool) -> Evaluation:
    """Show on a terminal how many utterances were measured; return the evaluation."""
    from tqdm import tqdm

    from trainer.scores import Evaluation

    hidden = progress_hidden(quiet)
    *_, last = tqdm(events, desc="evaluate", unit="pair", disable=hidden, leave=False)
    assert isinstance(last, Evaluation)
    return last

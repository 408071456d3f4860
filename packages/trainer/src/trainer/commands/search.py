"""`trainer search`: try settings of a space, each in a short run of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corpuskit.console import (
    QuietOption,
    WorkspaceOption,
    is_quiet,
    print_lines,
    say,
    workspace_of,
)
from corpuskit.errors import BadSetting
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
from trainer.commands.training import advance, progress_bar, show_notes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trainer.search import Outcome, Training
    from trainer.searches import Search

__all__ = ["search"]


def search(
    spk: SpkOption,
    space: Annotated[
        Path,
        typer.Option(metavar="TOML", help="Settings to search, and the losses to search by"),
    ],
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Results to have in all, those of earlier calls included "
            "[default: search.trials of the TOML, 20]",
            show_default=False,
        ),
    ] = None,
    pretrain: PretrainOption = None,
    keep_optim: KeepOptimOption = False,
    tag: Annotated[
        str | None,
        typer.Option(
            help="Name of the search [default: the same search's, else the family's next number]",
            show_default=False,
        ),
    ] = None,
    like: LikeOption = None,
    model: ModelOption = None,
    settings: SettingsOption = None,
    epochs: EpochsOption = None,
    precision: PrecisionOption = None,
    device: DeviceOption = "auto",
    keep_leaks: KeepLeaksOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Search settings: optuna draws them from a space, each trial is a run of the search's own.

    The same command goes on with a search that exists, and several at once share its trials.
    """
    from trainer.plan import Request
    from trainer.search import search
    from trainer.search_pictures import draw_search
    from trainer.searches import begin
    from trainer.signals import on_signals
    from trainer.space import read_space
    from trainer.study import trials as read
    from trainer.wording.search import began, summary

    _check_alone()
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
        keep_leaks=keep_leaks,
    )
    begun = begin(request, read_space(space))
    made = begun.search
    show_notes(begun.notes, quiet=quiet)
    if not is_quiet(quiet):
        print_lines(began(begun))
    with on_signals() as stop:
        _follow(made, search(made, trials or made.space.config.trials, stop), quiet=quiet)
    found = read(made)
    drawn = draw_search(made.folder, made.space.config.objectives, found)
    print_lines(summary(made, found, drawn, stop.reason))


def _follow(made: Search, events: Iterable[Training | Outcome], *, quiet: bool) -> None:
    """Show events as they come; what is noted of each trial is noted once."""
    from trainer.loop import Note, Progress
    from trainer.search import Outcome
    from trainer.wording.search import ended

    noted: set[str] = set()
    with progress_bar(quiet=quiet) as bar:
        for each in events:
            if isinstance(each, Outcome):
                bar.clear()  # what is printed now would stand behind it
                if not is_quiet(quiet):
                    say(ended(made, each))
            elif isinstance(each.event, Progress):
                advance(bar, each.event, f"#{each.number} ")
            elif isinstance(each.event, Note) and each.event.text not in noted:
                noted.add(each.event.text)
                show_notes([each.event.text], quiet=quiet)


def _check_alone() -> None:
    """Refuse to search in processes that train one model together."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadSetting(
            "a search trains each trial in one process",
            "start the same command several times: they share the trials",
        )

"""`trainer listen`: a blind listening test of runs, and what listeners answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    print_json,
    print_lines,
    progress_hidden,
    say,
    warn,
    workspace_of,
)
from corpuskit.errors import BadSetting
from trainer.commands.options import DeviceOption, place_of

if TYPE_CHECKING:
    from trainer.listening.making import Made, Request

__all__ = ["listen"]


def listen(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="TAG[@EPOCH]...", help="Runs to listen to; with --score, files of answers"
        ),
    ],
    html: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the page of the test goes")
    ] = None,
    scored: Annotated[
        bool, typer.Option("--score", help="Say what listeners answered, and keep it with the runs")
    ] = False,
    screen: Annotated[
        bool,
        typer.Option(
            "--screen",
            help="With --score: leave out who scored the hidden reference below the anchor",
        ),
    ] = False,
    test: Annotated[
        Literal["preference", "score", "both"], typer.Option(help="What listeners are asked")
    ] = "both",
    sentences: Annotated[
        int, typer.Option(min=1, max=200, help="How many held-out sentences are heard")
    ] = 10,
    seed: Annotated[int, typer.Option(help="Which ones they are")] = 0,
    spk: Annotated[
        str | None,
        typer.Option(
            "--spk",
            metavar="VERSION",
            help="Dataset version whose eval split is heard [default: the first run's own]",
            show_default=False,
        ),
    ] = None,
    vocoder: Annotated[
        list[str] | None,
        typer.Option(
            "--vocoder",
            metavar="NAME",
            help="What makes sound, for all; or one for each run, in their order "
            "[default: each run's train.vocoder]",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare runs by ear: write a blind test as a page, or score what listeners sent back."""
    where = workspace_of(workspace)
    if scored:
        if html is not None:
            raise BadSetting("--html and --score contradict each other", "give one of them")
        _score(where, [Path(name) for name in what], screen=screen, as_json=as_json, quiet=quiet)
        return
    if html is None:
        raise BadSetting("there is no place for the test", "--html DIR, or --score FILES")
    from trainer.listening.making import Request

    request = Request(
        workspace=where,
        places=tuple(place_of(each) for each in what),
        sentences=sentences,
        seed=seed,
        spk=spk,
        test=test,
        vocoders=tuple(vocoder or ()),
        device=device,
    )
    _write(request, html, as_json=as_json, quiet=quiet)


def _write(request: Request, folder: Path, *, as_json: bool, quiet: bool) -> None:
    """Make a test and write its page and its key."""
    from trainer.listening.design import key_path
    from trainer.pages.listening_page import check_free, write_test
    from trainer.wording.listening import heavy, made_as_mapping, missing_sentences, written

    check_free(folder)
    made = _made(request, quiet=quiet)
    path = write_test(folder, request.workspace, made)
    for line in (*missing_sentences(made), *heavy(path)):
        warn(line, quiet=quiet)
    key = key_path(request.workspace, made.key.test)
    if as_json:
        print_json(made_as_mapping(made, path, key))
    else:
        print_lines(written(made, path, key))


def _made(request: Request, *, quiet: bool) -> Made:
    from tqdm import tqdm

    from trainer.listening.making import Made, make

    hidden = progress_hidden(quiet)
    *_, last = tqdm(make(request), desc="listen", unit="sentence", disable=hidden, leave=False)
    assert isinstance(last, Made)
    return last


def _score(where: Path, files: Sequence[Path], *, screen: bool, as_json: bool, quiet: bool) -> None:
    """Score answers, and keep the result with the runs."""
    from trainer.listening.answers import gather
    from trainer.listening.scoring import keep, score
    from trainer.wording.listening import as_mapping, scored_lines

    found = score(gather(where, files), screen=screen)
    if as_json:
        print_json(as_mapping(found))
    else:
        print_lines(scored_lines(found))
    kept = keep(where, found, lambda problem: warn(problem, quiet=quiet))
    if not as_json:
        say(f"Kept with run {', '.join(dict.fromkeys(kept))}." if kept else "Kept with no run.")

"""What all that trains shares: joining other processes, and a session shown as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from corpuskit.console import is_quiet, print_lines, progress_hidden, say, warn
from corpuskit.errors import CorpuskitError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from corpuskit.versions import Version
    from trainer.data import Splits
    from trainer.distributed import World
    from trainer.loop import Ended, Event, Progress
    from trainer.plan import Request
    from trainer.runs import Run
    from trainer.vocoder_data import VocoderSplits

__all__ = [
    "advance",
    "joined_world",
    "progress_bar",
    "resume_run",
    "run_request",
    "run_vocoder",
    "show_notes",
    "train",
]


@contextmanager
def joined_world(device: str) -> Iterator[World]:
    """Join the processes torchrun started; those that do not lead take part here, to the end."""
    from trainer.device import libraries, pick
    from trainer.distributed import joined

    with joined(device) as world:
        if world.size > 1:
            from trainer.identity import code_digest

            place = pick(device)
            world.check_same(
                {"the device": place.type, "the trainer's code": code_digest(), **libraries()}
            )
        if not world.leads:
            _follow_lead(place, world)
        yield world


def _follow_lead(device: torch.device, world: World) -> None:
    """Take part in a training; what ends it is rank 0's to say, unless that is gone."""
    from trainer.errors import LostProcess
    from trainer.session import Work, follow
    from trainer.signals import on_signals

    work: Work | None = world.give()
    if work is None:
        return
    try:
        with on_signals() as stop:
            follow(work, device, stop, world)
    except LostProcess:
        raise
    except CorpuskitError:
        raise typer.Exit(2) from None


def run_request(request: Request, world: World, *, quiet: bool) -> Run:
    """Plan, start and train what was asked for; returns the run."""
    from trainer.plan import load, plan
    from trainer.start import start

    made = plan(request)
    show_notes(made.notes, quiet=quiet)
    splits = load(made)  # what cannot be trained on leaves no run behind
    run = start(made, world.size)
    return train(run, made.version, made.device, splits, world, quiet=quiet)


def run_vocoder(request: Request, world: World, *, quiet: bool) -> Run:
    """Plan, start and train the vocoder that was asked for; returns its run."""
    from trainer.vocoder_plan import load_vocoder, mels_for, plan_vocoder, start_vocoder

    made = plan_vocoder(request)
    show_notes(made.notes, quiet=quiet)
    mels = mels_for(made)
    sounds = load_vocoder(made, mels)  # what cannot be trained on leaves no run behind
    run = start_vocoder(made, mels)
    return train(run, made.version, made.device, sounds, world, quiet=quiet)


def resume_run(
    workspace: Path,
    tag: str,
    epochs: int | None,
    device: str,
    *,
    quiet: bool,
    kind: str | None = None,
) -> None:
    """Go on with a run, which must be of this kind (None: any)."""
    from trainer.session import resume

    with joined_world(device) as world:
        if world.leads:
            resumed = resume(workspace, tag, epochs, device, world.size, kind)
            show_notes(resumed.notes, quiet=quiet)
            train(resumed.run, resumed.version, resumed.device, None, world, quiet=quiet)


def train(
    run: Run,
    version: Version,
    device: torch.device,
    splits: Splits | VocoderSplits | None,
    world: World,
    *,
    quiet: bool,
) -> Run:
    """Go through a session: say what it is, show it, close with a sentence; returns the run."""
    from trainer.runs import open_run
    from trainer.session import session
    from trainer.signals import on_signals
    from trainer.wording.runs import began, closing

    if not is_quiet(quiet):
        print_lines(began(run))
    with on_signals() as stop:
        events = session(run, version, device, stop, splits, world)
        ended = _follow(events, run.record.epochs, quiet=quiet)
    speech = sum(
        pair.source.kept_seconds + pair.target.kept_seconds for pair in version.split("train")
    )
    now = open_run(run.workspace, run.tag, kind=None)
    say(closing(now, ended, speech))
    return now


def _follow(events: Iterator[Event], epochs: int, *, quiet: bool) -> Ended:
    """Show events as they come; return the last one."""
    from trainer.loop import Ended, EpochDone, Note, Progress
    from trainer.wording.runs import epoch_line

    with progress_bar(quiet=quiet) as bar:
        for event in events:
            if isinstance(event, Progress):
                advance(bar, event)
                continue
            bar.clear()  # what is printed now would stand behind it
            if isinstance(event, Note):
                show_notes([event.text], quiet=quiet)
            elif isinstance(event, EpochDone) and not is_quiet(quiet):
                say(epoch_line(event.row, epochs, best=event.best))
            elif isinstance(event, Ended):
                return event
    raise AssertionError("a training ends with Ended")


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Any]:
    """Give a bar of steps on stderr, unseen unless that is a terminal."""
    from tqdm import tqdm

    bar = tqdm(disable=progress_hidden(quiet), leave=False, unit="step")
    try:
        yield bar
    finally:
        bar.close()


def advance(bar: Any, step: Progress, whose: str = "") -> None:
    """Move the bar to a step; a new epoch begins a new one."""
    if step.batch <= bar.n or bar.total != step.batches:
        bar.reset(total=step.batches)
        bar.set_description(f"{whose}epoch {step.epoch}/{step.epochs}", refresh=False)
    if step.loss is not None:
        bar.set_postfix(loss=f"{step.loss:.3f}", refresh=False)
    bar.update(step.batch - bar.n)


def show_notes(texts: Iterable[str], *, quiet: bool) -> None:
    """Print what the user should read."""
    for text in texts:
        warn(text, quiet=quiet, label="note: ")

"""The command line: each command reads its options, calls the library, prints its events.

Heavy imports happen inside the commands, so that `--help` answers at once. Results go to
stdout; progress and warnings go to stderr. Exit 0: done, also when Ctrl-C or SIGTERM stopped a
training and all was saved; 2: wrong usage or unusable input; 130: a second Ctrl-C.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    is_quiet,
    new_app,
    print_json,
    print_lines,
    progress_hidden,
    remember,
    run_app,
    say,
    show_version,
    warn,
    workspace_of,
)
from corpuskit.errors import CorpuskitError
from trainer import __version__

if TYPE_CHECKING:
    import torch

    from corpuskit.versions import Version
    from trainer.data import Splits
    from trainer.distributed import World
    from trainer.loop import Ended, Event, Progress
    from trainer.plan import Request
    from trainer.runs import Run

app = new_app(
    "Train, fine-tune and apply voice-conversion models on corpuskit dataset versions, "
    "and keep the lineage of runs."
)

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


def _version(wanted: bool) -> None:
    show_version("trainer", __version__, wanted=wanted)


@app.callback()
def _given(
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    remember(workspace, quiet=quiet)


# -------------------------------------------------------------------- training


@app.command()
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
    with _world(device) as world:
        if world.leads:
            _run(request, world, quiet=quiet)


def _run(request: Request, world: World, *, quiet: bool) -> None:
    from trainer.plan import load, plan
    from trainer.start import start

    made = plan(request)
    _notes(made.notes, quiet=quiet)
    splits = load(made)  # what cannot be trained on leaves no run behind
    _train(start(made, world.size), made.version, made.device, splits, world, quiet=quiet)


@app.command()
def resume(
    tag: TagArgument,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs in all [default: as many as the run asked for]", show_default=False
        ),
    ] = None,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Go on with a run exactly where it stopped, or up to more epochs."""
    from trainer.session import resume

    with _world(device) as world:
        if world.leads:
            resumed = resume(workspace_of(workspace), tag, epochs, device, world.size)
            _notes(resumed.notes, quiet=quiet)
            _train(resumed.run, resumed.version, resumed.device, None, world, quiet=quiet)


@contextmanager
def _world(device: str) -> Iterator[World]:
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
    from trainer.session import follow
    from trainer.signals import on_signals

    try:
        with on_signals() as stop:
            follow(device, stop, world)
    except LostProcess:
        raise
    except CorpuskitError:
        raise typer.Exit(2) from None


def _train(
    run: Run,
    version: Version,
    device: torch.device,
    splits: Splits | None,
    world: World,
    *,
    quiet: bool,
) -> None:
    """Go through a session: say what it is, show it, close with a sentence."""
    from trainer.runs import open_run
    from trainer.session import session
    from trainer.signals import on_signals
    from trainer.wording import began, closing

    if not is_quiet(quiet):
        print_lines(began(run))
    with on_signals() as stop:
        events = session(run, version, device, stop, splits, world)
        ended = _follow(events, run.record.epochs, quiet=quiet)
    speech = sum(
        pair.source.kept_seconds + pair.target.kept_seconds for pair in version.split("train")
    )
    say(closing(open_run(run.workspace, run.tag), ended, speech))


def _follow(events: Iterator[Event], epochs: int, *, quiet: bool) -> Ended:
    """Show events as they come; return the last one."""
    from trainer.loop import Ended, EpochDone, Note, Progress
    from trainer.wording import epoch_line

    with _bar(quiet=quiet) as bar:
        for event in events:
            if isinstance(event, Progress):
                _advance(bar, event)
                continue
            bar.clear()  # what is printed now would stand behind it
            if isinstance(event, Note):
                _notes([event.text], quiet=quiet)
            elif isinstance(event, EpochDone) and not is_quiet(quiet):
                say(epoch_line(event.row, epochs, best=event.best))
            elif isinstance(event, Ended):
                return event
    raise AssertionError("a training ends with Ended")


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Any]:
    """Give a bar of steps on stderr, unseen unless that is a terminal."""
    from tqdm import tqdm

    bar = tqdm(disable=progress_hidden(quiet), leave=False, unit="step")
    try:
        yield bar
    finally:
        bar.close()


def _advance(bar: Any, step: Progress) -> None:
    """Move the bar to a step; a new epoch begins a new one."""
    if step.batch <= bar.n or bar.total != step.batches:
        bar.reset(total=step.batches)
        bar.set_description(f"epoch {step.epoch}/{step.epochs}", refresh=False)
    if step.loss is not None:
        bar.set_postfix(loss=f"{step.loss:.3f}", refresh=False)
    bar.update(step.batch - bar.n)


def _notes(texts: Iterable[str], *, quiet: bool) -> None:
    for text in texts:
        warn(text, quiet=quiet, label="note: ")


# ------------------------------------------------------------------ list, show


@app.command("list")
def list_(as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """List the runs of the workspace."""
    from trainer.runs import list_runs, open_run
    from trainer.wording import as_mapping, counted, listing

    where = workspace_of(workspace)
    found = []
    for tag in list_runs(where):
        try:
            found.append(open_run(where, tag))
        except CorpuskitError as error:
            warn(str(error))
    if as_json:
        print_json([as_mapping(each) for each in found])
        return
    print_lines(listing(found) if found else ())
    say(f"{counted(len(found), 'run')} in {where}.")


@app.command()
def show(tag: TagArgument, as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """Describe a run: where it comes from, its settings, how it went, its results."""
    from trainer.checkpoint import listed
    from trainer.runs import metrics, open_run
    from trainer.wording import as_mapping, shown

    found = open_run(workspace_of(workspace), tag)
    rows = metrics(found.folder)
    checkpoints = [each.folder.name for each in listed(found.checkpoints)]
    if as_json:
        print_json({**as_mapping(found), "metrics": rows, "checkpoints": checkpoints})
    else:
        print_lines(shown(found, rows, checkpoints))


# ----------------------------------------------------------- evaluate, convert


@app.command()
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
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Score a run on the eval split: converted and unconverted side by side."""
    from trainer.evaluate import evaluate
    from trainer.scores import Evaluation, as_mapping, table
    from trainer.wording import evaluated

    tag, checkpoint = _place(place)
    events = evaluate(
        workspace_of(workspace),
        tag,
        spk=spk,
        checkpoint=checkpoint,
        device=device,
        keep_leaks=keep_leaks,
        jobs=jobs or os.cpu_count() or 1,
    )
    evaluation = _last(events, quiet=quiet)
    assert isinstance(evaluation, Evaluation)
    if as_json:
        print_json(as_mapping(evaluation))
        return
    if not is_quiet(quiet):
        say(table(evaluation))
        say(f"listen: {evaluation.sounds}")
    say(evaluated(evaluation))


def _place(text: str) -> tuple[str, str]:
    """Take TAG[@EPOCH] apart."""
    tag, _, epoch = text.partition("@")
    return tag, epoch or "best"


def _last(events: Iterable[Any], *, quiet: bool) -> Any:
    """Show on a terminal how many events came; return the last."""
    from tqdm import tqdm

    hidden = progress_hidden(quiet)
    *_, last = tqdm(events, desc="evaluate", unit="pair", disable=hidden, leave=False)
    return last


@app.command()
def convert(
    place: PlaceArgument,
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN.wav...",
            help="Recordings to convert, of any rate and format, or folders of .wav and .flac",
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT.wav",
            help="Where the conversion is written; for several, a folder, named as they are",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            metavar="SPEAKER", help="Voice to convert to; needed where the run knows several"
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SPEAKER",
            help="Voice the recording is taken for [default: the run's only one, or its first]",
            show_default=False,
        ),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="How freely phrases' prosody is drawn (wgmm); 0: the likeliest, 1: as learnt",
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of that draw")] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads that measure and make sound [default: all cores]",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Convert recordings into a run's target voice."""
    from trainer.convert import Converter
    from trainer.many import convert_all, outcomes, written
    from trainer.prosody import Draw
    from trainer.wording import converted

    tag, checkpoint = _place(place)
    wanted = outcomes(recordings, out)
    converter = Converter.open(workspace_of(workspace), tag, checkpoint=checkpoint, device=device)
    draw = Draw(temperature=temperature, seed=seed)
    began = time.perf_counter()
    made = convert_all(converter, list(wanted), target, source, draw, jobs or os.cpu_count() or 1)
    done = []
    for path, result in _counted(written(made, wanted), len(wanted), "recording", quiet=quiet):
        if isinstance(result, CorpuskitError):
            if len(wanted) == 1:
                raise result
            warn(str(result), quiet=False)
        else:
            done.append((path, result))
    if done:
        say(converted(done, out, time.perf_counter() - began))
    if len(done) < len(wanted):
        raise CorpuskitError(
            f"{len(wanted) - len(done)} of {len(wanted)} recordings could not be converted",
            "they are named above, with the reason",
        )


def _counted(events: Iterable[Any], total: int, unit: str, *, quiet: bool) -> Iterable[Any]:
    """Show on a terminal how many of `total` events came."""
    from tqdm import tqdm

    hidden = progress_hidden(quiet) or total == 1
    return tqdm(events, total=total, unit=unit, disable=hidden, leave=False)


def main() -> None:
    """Run the command line."""
    run_app(app, "stopped at once; the last checkpoint is whole, `trainer resume` goes on from it")


if __name__ == "__main__":
    main()

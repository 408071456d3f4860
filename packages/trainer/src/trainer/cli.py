"""The command line: each command reads its options, calls the library, prints its events.

Heavy imports happen inside the commands, so that `--help` answers at once. Results go to
stdout; progress and warnings go to stderr. Exit 0: done, also when Ctrl-C or SIGTERM stopped a
training and all was saved; 2: wrong usage or unusable input; 130: a second Ctrl-C.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from corpuskit.errors import CorpuskitError

if TYPE_CHECKING:
    import torch

    from corpuskit.versions import Version
    from trainer.loop import Ended, Event, Progress
    from trainer.runs import Run

app = typer.Typer(
    help="Train, fine-tune and apply voice-conversion models on corpuskit dataset versions, "
    "and keep the lineage of runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        help="Folder that holds objects, versions and runs "
        "[default: $CORPUSKIT_WORKSPACE, else ./workspace]",
        show_default=False,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print results and errors only")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout")]
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


class _Globals:
    """What was given before the command's name."""

    workspace: Path | None = None
    quiet: bool = False


def _version(show: bool) -> None:
    if show:
        from trainer import __version__

        print(f"trainer {__version__}")
        raise typer.Exit


@app.callback()
def _globals(
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    _Globals.workspace, _Globals.quiet = workspace, quiet


def _workspace(option: Path | None) -> Path:
    from corpuskit.config import workspace_path

    return workspace_path(option or _Globals.workspace)


def print(*values: object, file: Any = None) -> None:  # noqa: A001
    """Print at once, also into a pipe: a training's lines are watched as they come."""
    import builtins

    builtins.print(*values, file=file or sys.stdout, flush=True)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True))


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
    from trainer.plan import Request, plan
    from trainer.start import start

    made = plan(
        Request(
            workspace=_workspace(workspace),
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
    )
    _warn(made.notes, quiet=quiet)
    _train(start(made), made.version, made.device, quiet=quiet)


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

    resumed = resume(_workspace(workspace), tag, epochs, device)
    _warn(resumed.notes, quiet=quiet)
    _train(resumed.run, resumed.version, resumed.device, quiet=quiet)


def _train(run: Run, version: Version, device: torch.device, *, quiet: bool) -> None:
    """Go through a session: say what it is, show it, close with a sentence."""
    from trainer.session import session
    from trainer.signals import on_signals
    from trainer.wording import began, closing

    started = time.perf_counter()
    if not (quiet or _Globals.quiet):
        _print_lines(began(run))
    with on_signals() as stop:
        ended = _follow(session(run, version, device, stop), run.record.epochs, quiet=quiet)
    speech = sum(
        pair.source.kept_seconds + pair.target.kept_seconds for pair in version.split("train")
    )
    print(closing(run, ended, time.perf_counter() - started, speech))


def _follow(events: Iterator[Event], epochs: int, *, quiet: bool) -> Ended:
    """Show events as they come; return the last one."""
    from trainer.loop import Ended, EpochDone, Note, Progress
    from trainer.wording import epoch_line

    hidden = quiet or _Globals.quiet
    with _bar(hidden=hidden) as show:
        for event in events:
            if isinstance(event, Progress):
                show(event)
            elif isinstance(event, Note):
                _warn([event.text], quiet=quiet)
            elif isinstance(event, EpochDone) and not hidden:
                print(epoch_line(event.row, epochs, best=event.best))
            elif isinstance(event, Ended):
                return event
    raise AssertionError("a training ends with Ended")


@contextmanager
def _bar(*, hidden: bool) -> Iterator[Any]:
    """Give a function that shows a step on stderr when that is a terminal."""
    from tqdm import tqdm

    bar = tqdm(disable=hidden or not sys.stderr.isatty(), leave=False, unit="step")

    def show(step: Progress) -> None:
        if step.batch <= bar.n or bar.total != step.batches:
            bar.reset(total=step.batches)
            bar.set_description(f"epoch {step.epoch}/{step.epochs}")
        bar.update(step.batch - bar.n)
        if step.loss is not None:
            bar.set_postfix(loss=f"{step.loss:.3f}", refresh=False)

    try:
        yield show
    finally:
        bar.close()


def _warn(texts: Iterable[str], *, quiet: bool) -> None:
    for text in texts if not (quiet or _Globals.quiet) else ():
        print(f"note: {text}", file=sys.stderr)


# ------------------------------------------------------------------ list, show


@app.command("list")
def list_(as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """List the runs of the workspace."""
    from trainer.runs import list_runs, open_run
    from trainer.wording import as_mapping, listing

    where = _workspace(workspace)
    found = []
    for tag in list_runs(where):
        try:
            found.append(open_run(where, tag))
        except CorpuskitError as error:
            print(f"warning: {error}", file=sys.stderr)
    if as_json:
        _print_json([as_mapping(each) for each in found])
        return
    _print_lines(listing(found) if found else ())
    print(f"{len(found)} runs in {where}.")


@app.command()
def show(tag: TagArgument, as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """Describe a run: where it comes from, its settings, how it went, its results."""
    from trainer.checkpoint import listed
    from trainer.runs import metrics, open_run
    from trainer.wording import as_mapping, shown

    found = open_run(_workspace(workspace), tag)
    rows = metrics(found.folder)
    checkpoints = [each.folder.name for each in listed(found.checkpoints)]
    if as_json:
        _print_json({**as_mapping(found), "metrics": rows, "checkpoints": checkpoints})
    else:
        _print_lines(shown(found, rows, checkpoints))


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
        _workspace(workspace),
        tag,
        spk=spk,
        checkpoint=checkpoint,
        device=device,
        keep_leaks=keep_leaks,
        jobs=jobs or os.cpu_count() or 1,
    )
    evaluation = _last(events, hidden=quiet or _Globals.quiet)
    assert isinstance(evaluation, Evaluation)
    if as_json:
        _print_json(as_mapping(evaluation))
        return
    if not (quiet or _Globals.quiet):
        print(table(evaluation))
        print(f"listen: {evaluation.sounds}")
    print(evaluated(evaluation))


def _place(text: str) -> tuple[str, str]:
    """Take TAG[@EPOCH] apart."""
    tag, _, epoch = text.partition("@")
    return tag, epoch or "best"


def _last(events: Iterable[Any], *, hidden: bool) -> Any:
    """Show how many events came on stderr when that is a terminal; return the last."""
    from tqdm import tqdm

    off = hidden or not sys.stderr.isatty()
    *_, last = tqdm(events, desc="evaluate", unit="pair", disable=off, leave=False)
    return last


@app.command()
def convert(
    place: PlaceArgument,
    recording: Annotated[
        Path, typer.Argument(metavar="IN.wav", help="Recording to convert, of any rate and format")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.wav", help="Where the conversion is written")],
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
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
) -> None:
    """Convert a recording into a run's target voice."""
    from corpuskit.audio import write_wav
    from trainer.convert import Converter
    from trainer.wording import converted

    tag, checkpoint = _place(place)
    converter = Converter.open(_workspace(workspace), tag, checkpoint=checkpoint, device=device)
    result = converter.convert(recording, target, source)
    write_wav(out, result.samples, result.rate)
    print(converted(result, str(out)))


def main() -> None:
    """Run the command line; turn what is wrong into one message and an exit code."""
    try:
        app()
    except CorpuskitError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "stopped at once: the last checkpoint is whole, `trainer resume` goes on from it",
            file=sys.stderr,
        )
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()

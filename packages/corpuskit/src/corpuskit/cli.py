"""The command line: each command reads its options, calls the library, prints its events.

Heavy imports happen inside the commands, so that `--help` answers at once. Results go to
stdout; progress and warnings go to stderr. Exit 0: done; 1: a check failed; 2: wrong
usage or unusable input.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from corpuskit import __version__
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
from corpuskit.errors import BadSetting, CorpuskitError

if TYPE_CHECKING:
    from corpuskit.build import Built, Event, Planned
    from corpuskit.config import DatasetConfig

app = new_app(
    "Turn parallel corpora into reproducible, named dataset versions, "
    "and show exactly how two differ."
)

JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Processes [default: all cores]")
]
NameArgument = Annotated[str, typer.Argument(help="Name of a dataset version, e.g. N2C_4")]


def _version(wanted: bool) -> None:
    show_version("corpuskit", __version__, wanted=wanted)


@app.callback()
def _given(
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    remember(workspace, quiet=quiet)


# -------------------------------------------------------------------- commands


@app.command()
def build(
    name: NameArgument,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Dataset definition [default: configs/datasets/FAMILY.toml]", show_default=False
        ),
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="Start from the settings of this built version")
    ] = None,
    silence_thresh: Annotated[
        float | None, typer.Option(help="Silence threshold of tail and inside, dBFS")
    ] = None,
    head_thresh: Annotated[
        float | None, typer.Option(help="Silence threshold of the head, dBFS")
    ] = None,
    min_silence_len: Annotated[
        int | None, typer.Option(help="A silence this long ends a phrase, ms")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any setting")
    ] = None,
    jobs: JobsOption = None,
    backend: Annotated[
        Literal["loky", "threading"], typer.Option(help="joblib backend for measuring")
    ] = "loky",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail (exit 1) if anything would be set aside")
    ] = False,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Build the dataset version NAME and freeze it."""
    from corpuskit.build import Request, build
    from corpuskit.wording import built as report
    from corpuskit.wording import closing, planned

    started = time.perf_counter()
    flags = {
        "silence.thresh": silence_thresh,
        "silence.head_thresh": head_thresh,
        "silence.min_silence_len": min_silence_len,
    }
    overrides = [*(settings or ()), *(f"{k}={v}" for k, v in flags.items() if v is not None)]
    where = workspace_of(workspace)
    request = Request(
        name=name,
        settings=_settings(name, config, like, overrides, where),
        workspace=where,
        jobs=jobs,
        backend=backend,
        strict=strict,
        dry_run=dry_run,
    )
    result = _follow(build(request), quiet=quiet)
    from corpuskit.build import Planned

    if isinstance(result, Planned):
        print_json(vars(result)) if as_json else say(planned(result))
        return
    if as_json:
        print_json(_built_json(result))
        return
    if not is_quiet(quiet):
        print_lines(report(result))
    say(closing(result, time.perf_counter() - started))


def _settings(
    name: str, config: Path | None, like: str | None, overrides: list[str], workspace: Path
) -> DatasetConfig:
    from corpuskit.config import (
        DatasetConfig,
        check_name,
        find_config,
        from_mapping,
        load_dataset,
        to_mapping,
        with_settings,
    )

    check_name(name)
    if like is None:
        return load_dataset(find_config(name, config), overrides)
    if config is not None:
        raise BadSetting("--like and --config both name the settings to start from", "give one")
    from corpuskit.versions import open_version

    start = to_mapping(open_version(workspace, like).settings)
    return from_mapping(DatasetConfig, with_settings(start, overrides), f"dataset {like} + --set")


def _follow(events: Iterator[Event], *, quiet: bool) -> Built | Planned:
    """Show events as they come; return the last one."""
    from corpuskit.build import Built, Note, Planned

    with _bars(quiet=quiet) as show:
        for event in events:
            if isinstance(event, (Built, Planned)):
                return event
            if isinstance(event, Note):
                warn(event.text, quiet=quiet, label="warning: " if event.serious else "")
            else:
                show(event.stage, event.done, event.total)
    raise AssertionError("a build ends with Built or Planned")


@contextmanager
def _bars(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that shows progress on stderr when that is a terminal."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}
    hidden = progress_hidden(quiet)

    def show(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            for bar in bars.values():
                bar.close()
            bars[stage] = tqdm(total=total, desc=stage, disable=hidden, leave=False)
        bars[stage].update(done - bars[stage].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()


def _built_json(result: Built) -> dict[str, Any]:
    made = result.version
    return {
        "name": made.name,
        "new": result.new,
        "fingerprint": made.fingerprint,
        "totals": made.totals,
        "warnings": list(made.warnings),
        "measured": result.measured,
        "aligned": result.aligned,
        "previous": result.previous.sentence if result.previous else None,
    }


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="Dataset version")],
    after: Annotated[str, typer.Argument(metavar="B", help="Dataset version compared with A")],
    as_json: JsonOption = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 when the versions differ")
    ] = False,
    workspace: WorkspaceOption = None,
    _quiet: QuietOption = False,
) -> None:
    """Show exactly how version B differs from version A."""
    from corpuskit.config import to_mapping
    from corpuskit.diff import diff_versions
    from corpuskit.versions import open_version
    from corpuskit.wording import difference

    where = workspace_of(workspace)
    found = diff_versions(open_version(where, before), open_version(where, after))
    if as_json:
        print_json(to_mapping(found))
    else:
        print_lines(difference(found))
    if exit_code and not found.identical:
        raise typer.Exit(1)


@app.command("list")
def list_(
    as_json: JsonOption = False, workspace: WorkspaceOption = None, quiet: QuietOption = False
) -> None:
    """List the dataset versions of the workspace."""
    from corpuskit.tables import table
    from corpuskit.versions import describe, list_versions
    from corpuskit.wording import VERSION_HEADER, version_row

    where = workspace_of(workspace)
    descriptions = []
    for name in list_versions(where):
        try:
            descriptions.append(describe(where, name))
        except CorpuskitError as error:
            warn(str(error), quiet=quiet)
    if as_json:
        print_json(descriptions)
    elif descriptions:
        print_lines(table(VERSION_HEADER, [version_row(d) for d in descriptions]))
    if not as_json:
        say(f"{len(descriptions)} dataset versions in {where}.")


@app.command()
def show(
    name: NameArgument,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    _quiet: QuietOption = False,
) -> None:
    """Describe a dataset version: settings, totals, and everything set aside with its reason."""
    from corpuskit.config import to_mapping
    from corpuskit.versions import describe, open_version
    from corpuskit.wording import version

    where = workspace_of(workspace)
    made = open_version(where, name)
    if as_json:
        aside = [to_mapping(row) for row in made.set_aside]
        recordings = [to_mapping(r) for r in made.recordings if r.state != "used"]
        print_json(
            {**describe(where, name), "set_aside": {"pairs": aside, "recordings": recordings}}
        )
    else:
        print_lines(version(made))


@app.command()
def verify(
    name: NameArgument,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Check that a version, its objects and its recordings are what they were (exit 1 if not)."""
    from corpuskit.config import to_mapping
    from corpuskit.verify import Problem, verify
    from corpuskit.wording import checked, problem

    problems, counts = [], None
    for event in verify(workspace_of(workspace), name, jobs):
        if isinstance(event, Problem):
            problems.append(event)
            if not as_json:
                say(problem(event))
        else:
            counts = event
    if as_json:
        print_json(
            {
                "name": name,
                "whole": not problems,
                "problems": [to_mapping(p) for p in problems],
                "checked": to_mapping(counts),
            }
        )
    else:
        for root in counts.absent_roots if counts else ():
            warn(f"{root} is not on this machine: its recordings were not checked", quiet=quiet)
        say(checked(name, counts, len(problems)))
    if problems:
        raise typer.Exit(1)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write it into")],
    sentences: Annotated[int, typer.Option(help="Sentences of the pair N and C, at most 60")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of pauses and noise")] = 0,
    jobs: JobsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Speak a small corpus to try everything on: a pair of voices, and four more to pretrain on."""
    from corpuskit.demo import Begun, Finished, make_demo

    with _bars(quiet=quiet) as show:
        done = total = 0
        for event in make_demo(folder, count=sentences, seed=seed, jobs=jobs):
            if isinstance(event, Finished):
                say(str(event))
            elif isinstance(event, Begun):
                done, total = event.kept, event.recordings
            else:
                done += 1
                show("speaking", done, total)


def main() -> None:
    """Run the command line."""
    if threading.current_thread() is threading.main_thread():
        # As Ctrl-C: killed at once, it would leave its worker processes waiting for minutes.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    run_app(app, "stopped: nothing half-written is left; run it again to go on")


if __name__ == "__main__":
    main()

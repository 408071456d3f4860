"""The command line: each command reads its options, calls the library, prints its events.

Heavy imports happen inside the commands, so that `--help` answers at once. Results go to
stdout; progress and warnings go to stderr. Exit 0: done; 1: a check failed; 2: wrong
usage or unusable input.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from corpuskit.errors import BadSetting, CheckFailed, CorpuskitError

if TYPE_CHECKING:
    from corpuskit.build import Built, Event, Planned
    from corpuskit.config import DatasetConfig

T = TypeVar("T")

app = typer.Typer(
    help="Turn parallel corpora into reproducible, named dataset versions, "
    "and show exactly how two differ.",
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
JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Processes [default: all cores]")
]
NameArgument = Annotated[str, typer.Argument(help="Name of a dataset version, e.g. N2C_4")]


class _Globals:
    """What was given before the command's name."""

    workspace: Path | None = None
    quiet: bool = False


def _version(show: bool) -> None:
    if show:
        from corpuskit import __version__

        print(f"corpuskit {__version__}")
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
    """Print, so that a closed pipe (`| head`) ends the command quietly."""
    import builtins

    builtins.print(*values, file=file or sys.stdout)


def _warn(text: str, *, quiet: bool, serious: bool = True) -> None:
    if not (quiet or _Globals.quiet):
        print(f"warning: {text}" if serious else text, file=sys.stderr)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True))


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
    where = _workspace(workspace)
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
        print(planned(result))
        return
    if as_json:
        _print_json(_built_json(result))
        return
    if not (quiet or _Globals.quiet):
        _print_lines(report(result))
    print(closing(result, time.perf_counter() - started))


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
                _warn(event.text, quiet=quiet, serious=event.serious)
            else:
                show(event.stage, event.done, event.total)
    raise AssertionError("a build ends with Built or Planned")


@contextmanager
def _bars(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that shows progress on stderr when that is a terminal."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}
    hidden = quiet or _Globals.quiet or not sys.stderr.isatty()

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
) -> None:
    """Show exactly how version B differs from version A."""
    from corpuskit.config import to_mapping
    from corpuskit.diff import diff_versions
    from corpuskit.versions import open_version
    from corpuskit.wording import difference

    where = _workspace(workspace)
    found = diff_versions(open_version(where, before), open_version(where, after))
    if as_json:
        _print_json(to_mapping(found))
    else:
        _print_lines(difference(found))
    if exit_code and not found.identical:
        raise typer.Exit(1)


@app.command("list")
def list_(as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """List the dataset versions of the workspace."""
    from corpuskit.versions import describe, list_versions
    from corpuskit.wording import VERSION_HEADER, table, version_row

    where = _workspace(workspace)
    descriptions = []
    for name in list_versions(where):
        try:
            descriptions.append(describe(where, name))
        except CorpuskitError as error:
            _warn(str(error), quiet=False)
    if as_json:
        _print_json(descriptions)
    elif descriptions:
        _print_lines(table(VERSION_HEADER, [version_row(d) for d in descriptions]))
    if not as_json:
        print(f"{len(descriptions)} dataset versions in {where}.")


@app.command()
def show(
    name: NameArgument, as_json: JsonOption = False, workspace: WorkspaceOption = None
) -> None:
    """Describe a dataset version: settings, totals, and everything set aside with its reason."""
    from corpuskit.config import to_mapping
    from corpuskit.versions import describe, open_version
    from corpuskit.wording import version

    where = _workspace(workspace)
    made = open_version(where, name)
    if as_json:
        aside = [to_mapping(row) for row in made.set_aside]
        recordings = [to_mapping(r) for r in made.recordings if r.state != "used"]
        _print_json(
            {**describe(where, name), "set_aside": {"pairs": aside, "recordings": recordings}}
        )
    else:
        _print_lines(version(made))


@app.command()
def verify(
    name: NameArgument,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Check that a version, its objects and its recordings are what they were (exit 1 if not)."""
    from corpuskit.config import to_mapping
    from corpuskit.verify import Problem, verify
    from corpuskit.wording import checked, problem

    problems, counts = [], None
    for event in verify(_workspace(workspace), name, jobs):
        if isinstance(event, Problem):
            problems.append(event)
            if not as_json:
                print(problem(event))
        else:
            counts = event
    if as_json:
        _print_json(
            {
                "name": name,
                "whole": not problems,
                "problems": [to_mapping(p) for p in problems],
                "checked": to_mapping(counts),
            }
        )
    else:
        for root in counts.absent_roots if counts else ():
            _warn(f"{root} is not on this machine: its recordings were not checked", quiet=False)
        print(checked(name, counts, len(problems)))
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
                print(event)
            elif isinstance(event, Begun):
                done, total = event.kept, event.recordings
            else:
                done += 1
                show("speaking", done, total)


def main() -> None:
    """Run the command line; turn what is wrong into one message and an exit code."""
    try:
        app()
    except CheckFailed as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(1)
    except CorpuskitError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped: nothing half-written is left; run it again to go on", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()

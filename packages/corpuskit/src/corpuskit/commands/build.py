"""`corpuskit build`: build a version and freeze it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from corpuskit.commands.options import JobsOption, NameArgument, progress_bars
from corpuskit.console import (
    JsonOption,
    QuietOption,
    WorkspaceOption,
    is_quiet,
    print_json,
    print_lines,
    say,
    warn,
    workspace_of,
)
from corpuskit.errors import BadSetting

if TYPE_CHECKING:
    from corpuskit.build import Built, Event, Planned
    from corpuskit.config import DatasetConfig
    from corpuskit.lockfile import Lock

__all__ = ["build"]


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
    tiers: Annotated[
        Path | None,
        typer.Option(help="Folder of TextGrids corrected by hand (from `export --to textgrid`)"),
    ] = None,
    locked: Annotated[
        Path | None,
        typer.Option(help="Make the very version a file of `corpuskit lock` tells, or nothing"),
    ] = None,
    jobs: JobsOption = None,
    backend: Annotated[
        Literal["loky", "threading", "dask", "ray"], typer.Option(help="What measures in parallel")
    ] = "loky",
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask scheduler or Ray cluster to use "
            "[default: $DASK_SCHEDULER_ADDRESS or $RAY_ADDRESS, else one on this machine]",
            show_default=False,
        ),
    ] = None,
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
    from corpuskit.wording.build import built as report
    from corpuskit.wording.build import closing, planned

    started = time.perf_counter()
    flags = {
        "silence.thresh": silence_thresh,
        "silence.head_thresh": head_thresh,
        "silence.min_silence_len": min_silence_len,
    }
    overrides = [*(settings or ()), *(f"{k}={v}" for k, v in flags.items() if v is not None)]
    if tiers is not None:
        overrides.append(f"tiers.folder={json.dumps(str(tiers.absolute()))}")
    where = workspace_of(workspace)
    lock = _lock(locked, like)
    request = Request(
        name=name,
        settings=_locked(name, lock, config, overrides)
        if lock
        else _settings(name, config, like, overrides, where),
        locked=lock,
        workspace=where,
        jobs=jobs,
        backend=backend,
        cluster=cluster,
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


def _lock(path: Path | None, like: str | None) -> Lock | None:
    if path is None:
        return None
    if like is not None:
        raise BadSetting("--like and --locked both give the settings", "give one")
    from corpuskit.lockfile import read_lock

    return read_lock(path)


def _locked(name: str, lock: Lock, config: Path | None, overrides: list[str]) -> DatasetConfig:
    """Return the lock's settings; folders come from --set and from a definition, if any."""
    from corpuskit.config import check_name, find_config
    from corpuskit.lockfile import locked_settings

    check_name(name)
    with contextlib.suppress(BadSetting):
        config = find_config(name, config)
    return locked_settings(lock, config, overrides)


def _follow(events: Iterator[Event], *, quiet: bool) -> Built | Planned:
    """Show events as they come; return the last one."""
    from corpuskit.build import Built, Note, Planned

    with progress_bars(quiet=quiet) as show:
        for event in events:
            if isinstance(event, (Built, Planned)):
                return event
            if isinstance(event, Note):
                warn(event.text, quiet=quiet, label="warning: " if event.serious else "")
            else:
                show(event.stage, event.done, event.total)
    raise AssertionError("a build ends with Built or Planned")


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

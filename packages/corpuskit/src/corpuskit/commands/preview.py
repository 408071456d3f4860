"""`corpuskit preview`: what thresholds would do, before anything is built."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corpuskit.commands.options import JobsOption, progress_bars
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
    from corpuskit.config import DatasetConfig
    from corpuskit.preview.survey import Event, Previewed

__all__ = ["preview"]

USUAL = "-100,-80,-60,-50,-40"  # dBFS


def preview(
    name: Annotated[
        str | None,
        typer.Argument(help="Dataset version or family, e.g. N2C; not needed with --config"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Dataset definition [default: the version's settings, "
            "else configs/datasets/FAMILY.toml]",
            show_default=False,
        ),
    ] = None,
    silence_thresh: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DB[,DB]...",
            help="Silence thresholds to try, dBFS [default: -100,-80,-60,-50,-40]",
        ),
    ] = None,
    head_thresh: Annotated[
        float | None, typer.Option(help="Silence threshold of the head, dBFS [default: as defined]")
    ] = None,
    min_silence_len: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MS[,MS]...",
            help="Lengths of silence that end a phrase, ms [default: as defined]",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any setting")
    ] = None,
    sample: Annotated[
        str, typer.Option(metavar="N|all", help="Pairs to look at, the same ones every time")
    ] = "200",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page to look at and listen to")
    ] = None,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show what silence thresholds would cut, and which to take, before anything is built."""
    from corpuskit.preview.survey import Request, preview
    from corpuskit.wording.preview import as_json as plain
    from corpuskit.wording.preview import previewed

    where = workspace_of(workspace)
    request = Request(
        name=_shown_name(name, config),
        settings=_settings(name, config, settings or [], where),
        workspace=where,
        thresholds=_thresholds(silence_thresh or [USUAL]),
        head_thresh=head_thresh,
        min_silence_lens=tuple(map(round, _numbers("--min-silence-len", min_silence_len or []))),
        sample=_count(sample),
        jobs=jobs,
    )
    found = _follow(preview(request), quiet=quiet)
    if html is not None:
        from corpuskit.pages.preview_page import write_preview

        write_preview(html, found)
    if as_json:
        print_json(plain(found))
        return
    print_lines(previewed(found))
    if html is not None:
        print_lines([f"page: {html}"])


def _shown_name(name: str | None, config: Path | None) -> str:
    if name is None and config is None:
        raise BadSetting("nothing to look at", "give a dataset's name, or its TOML with --config")
    return name or (config.stem if config else "")


def _settings(
    name: str | None, config: Path | None, overrides: list[str], workspace: Path
) -> DatasetConfig:
    """Return the settings of a built version of that name, else those of the definition."""
    from corpuskit.config import (
        DatasetConfig,
        check_name,
        find_config,
        from_mapping,
        load_dataset,
        to_mapping,
        with_settings,
    )
    from corpuskit.versions import list_versions, open_version

    if name is not None:
        check_name(name)
    if name is None or config is not None or name not in list_versions(workspace):
        return load_dataset(find_config(name or "", config), overrides)
    start = to_mapping(open_version(workspace, name).settings)
    return from_mapping(DatasetConfig, with_settings(start, overrides), f"dataset {name} + --set")


def _thresholds(texts: list[str]) -> tuple[float, ...]:
    levels = tuple(_numbers("--silence-thresh", texts))
    if not levels:
        raise BadSetting("--silence-thresh names no threshold", f"e.g. {USUAL}")
    return levels


def _numbers(option: str, texts: list[str]) -> Iterator[float]:
    """Read an option that may be given several times, each time with several numbers."""
    seen = set()
    for part in filter(None, (part.strip() for text in texts for part in text.split(","))):
        try:
            value = float(part)
        except ValueError:
            value = float("nan")
        if not math.isfinite(value):
            raise BadSetting(f"{option}: {part!r} is not a number", "separate numbers by commas")
        if value not in seen:
            seen.add(value)
            yield value


def _count(sample: str) -> int | None:
    if sample == "all":
        return None
    if not sample.isdecimal() or int(sample) < 1:
        raise BadSetting(f"--sample {sample!r} is not a number of pairs", "give 1 or more, or all")
    return int(sample)


def _follow(events: Iterator[Event], *, quiet: bool) -> Previewed:
    """Show events as they come; return the last one."""
    from corpuskit.preview.survey import Note, Previewed

    with progress_bars(quiet=quiet) as show:
        for event in events:
            if isinstance(event, Previewed):
                return event
            if isinstance(event, Note):
                warn(event.text, quiet=quiet)
            else:
                show(event.stage, event.done, event.total)
    raise AssertionError("a preview ends with Previewed")

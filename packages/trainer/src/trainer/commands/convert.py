"""`trainer convert`: recordings into a run's target voice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from corpuskit.console import (
    QuietOption,
    WorkspaceOption,
    progress_hidden,
    say,
    warn,
    workspace_of,
)
from corpuskit.errors import CorpuskitError
from trainer.commands.options import DeviceOption, PlaceArgument, VocoderOption, place_of

__all__ = ["convert"]


def convert(
    place: PlaceArgument,
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN.wav...",
            help="Recordings to convert, of any rate and format, or folders: all below them",
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT.wav",
            help="Where the conversion is written; for several, a folder, named as they are; "
            "never over a recording",
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
            max=2.0,
            help="How freely phrases' prosody is drawn (wgmm); 0: the likeliest, 1: as learnt",
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of that draw")] = 0,
    pitch_shift: Annotated[
        float,
        typer.Option(
            metavar="SEMITONES",
            help="Speak higher, or lower with a minus; by a vocoder that takes F0 (world)",
        ),
    ] = 0.0,
    speed: Annotated[
        float,
        typer.Option(metavar="FACTOR", help="Speak this many times faster; the pitch stays"),
    ] = 1.0,
    level: Annotated[
        str,
        typer.Option(
            metavar="match|keep|DBFS",
            help="How loud: as the target in training, as the recording, or e.g. -23 "
            "(dBFS, RMS over speech)",
        ),
    ] = "match",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads that measure and make sound [default: all cores]",
            show_default=False,
        ),
    ] = None,
    vocoder: VocoderOption = None,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Convert recordings into a run's target voice."""
    from trainer.convert import Converter
    from trainer.manner import Manner, level_of
    from trainer.many import convert_all, outcomes, written
    from trainer.prosody import Draw
    from trainer.wording.runs import converted, remarked

    manner = Manner(pitch_shift=pitch_shift, speed=speed, level=level_of(level))
    tag, checkpoint = place_of(place)
    wanted = outcomes(recordings, out)
    converter = Converter.open(
        workspace_of(workspace), tag, checkpoint=checkpoint, device=device, vocoder=vocoder
    )
    draw = Draw(temperature=temperature, seed=seed)
    began = time.perf_counter()
    jobs = jobs or os.cpu_count() or 1
    made = convert_all(converter, list(wanted), target, source, draw, jobs, manner)
    places = {place: path for path, place in wanted.items()}
    done = []
    for path, result in _counted(written(made, wanted), len(wanted), "recording", quiet=quiet):
        if isinstance(result, CorpuskitError):
            if len(wanted) == 1:
                raise result
            warn(str(result), quiet=False)
        else:
            done.append((path, result.without_sound()))
    for line in remarked([(places[path], result) for path, result in done]):
        warn(line, quiet=quiet)
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

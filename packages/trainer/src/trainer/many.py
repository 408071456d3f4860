"""Convert many recordings: measured and made audible in threads, the model on whole batches.

    wanted = outcomes([Path("recordings")], Path("converted"))
    for path, made in written(convert_all(converter, list(wanted), jobs=2), wanted):
        print(path, made)

A recording's conversion is what `Converter.convert` makes of it alone (to 1e-5 of the mel: sums
are rounded otherwise in another batch). Long recordings are converted one by one, in pieces.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from corpuskit.audio import EXTENSIONS, write_wav
from corpuskit.errors import BadSetting, CorpuskitError, Refused
from trainer.convert import Converted, Converter, Measured, Ready
from trainer.manner import Manner

if TYPE_CHECKING:
    from trainer.prosody import Draw
    from trainer.vocoders.speech import Speech

__all__ = ["batches_of", "convert_all", "outcomes", "written"]

Outcome = Converted | CorpuskitError
Written = tuple[Path, Outcome]
CHUNK = 64  # recordings held at a time
LONGEST_BATCH = 12_000  # frames, with padding: two minutes; more only costs memory
# What is taken from a folder: a file that turns out to be unreadable is named, not passed over.
FORMATS = (*EXTENSIONS, ".aif", ".aiff", ".m4a", ".mp3", ".ogg", ".opus")


def outcomes(recordings: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return where each recording's conversion goes: recording -> file.

    Folders stand for the recordings in them and below, which keep their places: what is in
    `in/tuesday/` goes to `out/tuesday/`. One file goes to `out` itself unless that is a folder;
    several go into the folder `out`, with their own names.

    Raises
    ------
    BadSetting
        A folder without recordings, two that would be one file, or `out` is no place for what is
        asked.
    Refused
        A conversion would overwrite one of the recordings.
    """
    if len(recordings) == 1 and not recordings[0].is_dir() and not out.is_dir():
        wanted = {recordings[0]: _as_wav(out)}
    else:
        wanted = _into_folder(recordings, out)
    _keep_apart(wanted)
    return wanted


def _as_wav(out: Path) -> Path:
    """Refuse a name that says another format than conversions have."""
    if out.suffix.lower() in FORMATS and out.suffix.lower() != ".wav":
        raise BadSetting(
            f"{out} would be no {out.suffix}: conversions are written as .wav",
            f"name it {out.with_suffix('.wav')}",
        )
    return out


def _into_folder(recordings: Sequence[Path], out: Path) -> dict[Path, Path]:
    if out.exists() and not out.is_dir():
        raise BadSetting(f"{out} is a file, but there are several recordings", "name a folder")
    wanted: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for recording in recordings:
        folder = recording if recording.is_dir() else recording.parent
        for path in _inside(recording, out) if recording.is_dir() else [recording]:
            place = out / path.relative_to(folder).with_suffix(".wav")
            other = taken.setdefault(place, path)
            if other != path:
                raise BadSetting(f"{other} and {path} would both be {place}", "convert them apart")
            wanted[path] = place
    return wanted


def _inside(folder: Path, out: Path) -> list[Path]:
    """Return the recordings of a folder and the folders below it, in order.

    What is hidden is left alone, and so is `out`: it holds conversions, where there are any.
    """
    found = list[Path]()
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = [
            each for each in folders if not each.startswith(".") and not _is_same(here / each, out)
        ]
        found += [here / each for each in names if not each.startswith(".")]
    found = sorted(each for each in found if each.suffix.lower() in FORMATS)
    if not found:
        known = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise BadSetting(f"{folder} holds no {known}", "name the recordings")
    return found


def _is_same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _keep_apart(wanted: Mapping[Path, Path]) -> None:
    """Refuse to write a conversion where one of the recordings is, by whatever name."""
    own = {found: path for path in wanted for found in (_file(path), _file(path, at_link=True))}
    own.pop(None, None)
    for path, place in wanted.items():
        lost = own.get(_file(place, at_link=True))  # a link is replaced, what it leads to is not
        if lost is not None:
            raise Refused(
                f"the conversion of {path} would overwrite the recording {lost}",
                "name another file or folder to write to",
            )


def _file(path: Path, *, at_link: bool = False) -> tuple[int, int] | None:
    """Return what tells a file from every other; None where there is none."""
    try:
        found = path.lstat() if at_link else path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def written(made: Iterable[tuple[Path, Outcome]], wanted: Mapping[Path, Path]) -> Iterator[Written]:
    """Write conversions as they come; yields where each went, or why it is none."""
    for path, result in made:
        place = wanted[path]
        if not isinstance(result, CorpuskitError):
            write_wav(place, result.samples, result.rate)
        yield place, result


def convert_all(
    converter: Converter,
    recordings: Sequence[Path],
    target: str | None = None,
    source: str | None = None,
    draw: Draw | None = None,
    jobs: int = 1,
    manner: Manner | None = None,
) -> Iterator[tuple[Path, Outcome]]:
    """Convert recordings, in their order; what cannot be converted comes with its error.

    The parameters are those of `Converter.convert`; `jobs` threads measure and make audible.

    Raises
    ------
    BadSetting, UnknownName, BadRun
        As `Converter.convert`, where the fault is no recording's.
    """
    manner = manner or Manner()
    between = converter.agreed(source, target, draw, manner)
    with ThreadPoolExecutor(jobs) as threads:
        for long, group in itertools.groupby(recordings, converter.may_be_long):
            paths = list(group)
            if long:
                for path in paths:
                    yield path, _alone(converter, path, between, draw, manner, threads)
                continue
            for start in range(0, len(paths), CHUNK):
                chunk = paths[start : start + CHUNK]
                yield from _chunk(converter, chunk, between, draw, manner, threads)


def _alone(
    converter: Converter,
    path: Path,
    between: tuple[str, str],
    draw: Draw | None,
    manner: Manner,
    threads: Executor,
) -> Outcome:
    source, target = between
    try:
        return converter.convert(path, target, source, draw, manner, threads)
    except CorpuskitError as error:
        return error


def _chunk(
    converter: Converter,
    recordings: Sequence[Path],
    between: tuple[str, str],
    draw: Draw | None,
    manner: Manner,
    threads: Executor,
) -> Iterator[tuple[Path, Outcome]]:
    """Convert some recordings, a stage after the other."""

    def ready(path: Path) -> Ready | CorpuskitError:
        try:
            return converter.ready(path, between[0])
        except CorpuskitError as error:
            return error

    def sounding(made: tuple[Ready, Speech]) -> Outcome:
        try:
            return converter.sounding(*made, between, manner)
        except CorpuskitError as error:
            return error

    found = list(threads.map(ready, recordings))
    measured = {
        k: (each, each.measured)
        for k, each in enumerate(found)
        if isinstance(each, Ready) and isinstance(each.measured, tuple)
    }
    made = _made(converter, measured, between, draw, manner)
    heard = dict(zip(made, threads.map(sounding, made.values()), strict=True))
    for position, path in enumerate(recordings):
        failed = found[position]
        yield path, failed if isinstance(failed, CorpuskitError) else heard[position]


def _made(
    converter: Converter,
    ready: Mapping[int, tuple[Ready, Measured]],
    between: tuple[str, str],
    draw: Draw | None,
    manner: Manner,
) -> dict[int, tuple[Ready, Speech]]:
    """Return what is made of each recording, by its position."""
    found = {}
    keys = list(ready)
    for batch in batches_of([len(ready[key][1][0]) for key in keys]):
        began = time.perf_counter()
        chosen = [ready[keys[position]] for position in batch]
        made = converter.made([each for _, each in chosen], *between, draw, manner)
        share = (time.perf_counter() - began) / len(batch)
        for position, (each, _), one in zip(batch, chosen, made, strict=True):
            found[keys[position]] = (replace(each, took=each.took + share), one.speech)
    return found


def batches_of(lengths: Sequence[int]) -> list[list[int]]:
    """Return positions in batches of like length, each padded to `LONGEST_BATCH` frames at most.

    What is longer than that is a batch of its own.
    """
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        fits = batches and (len(batches[-1]) + 1) * lengths[position] <= LONGEST_BATCH
        if fits:
            batches[-1].append(position)
        else:
            batches.append([position])
    return batches

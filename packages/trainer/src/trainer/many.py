"""Convert many recordings: measured and made audible in threads, the model on whole batches.

    wanted = outcomes([Path("recordings")], Path("converted"))
    for path, made in written(convert_all(converter, list(wanted), jobs=2), wanted):
        print(path, made)

A recording's conversion is what `Converter.convert` makes of it alone (to 1e-5 of the mel: sums
are rounded otherwise in another batch).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from corpuskit.audio import EXTENSIONS, write_wav
from corpuskit.errors import BadSetting, CorpuskitError
from trainer.convert import Converted, Converter, Measured

if TYPE_CHECKING:
    from trainer.prosody import Draw
    from trainer.vocoders.speech import Speech

__all__ = ["batches_of", "convert_all", "outcomes", "written"]

Outcome = Converted | CorpuskitError
Written = tuple[Path, Outcome]
CHUNK = 64  # recordings held at a time
LONGEST_BATCH = 12_000  # frames, with padding: two minutes; more only costs memory


def outcomes(recordings: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return where each recording's conversion goes: recording -> file.

    Folders stand for the recordings in them. One file goes to `out` itself unless that is a
    folder; several go into the folder `out`, with their own names.

    Raises
    ------
    BadSetting
        A folder without recordings, two that would be one file, or `out` is a file.
    """
    if len(recordings) == 1 and not recordings[0].is_dir() and not out.is_dir():
        return {recordings[0]: out}
    if out.exists() and not out.is_dir():
        raise BadSetting(f"{out} is a file, but there are several recordings", "name a folder")
    wanted: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for recording in recordings:
        for path in _inside(recording) if recording.is_dir() else [recording]:
            place = out / f"{path.stem}.wav"
            other = taken.setdefault(place, path)
            if other != path:
                raise BadSetting(f"{other} and {path} would both be {place}", "convert them apart")
            wanted[path] = place
    return wanted


def _inside(folder: Path) -> list[Path]:
    """Return the recordings of a folder, in order."""
    names = sorted(each for each in folder.iterdir() if each.suffix.lower() in EXTENSIONS)
    found = [each for each in names if not each.name.startswith(".")]
    if not found:
        raise BadSetting(f"{folder} holds no {' or '.join(EXTENSIONS)}", "name the recordings")
    return found


def written(made: Iterable[tuple[Path, Outcome]], wanted: Mapping[Path, Path]) -> Iterator[Written]:
    """Write conversions as they come; yields where each went, or why it is none."""
    for path, result in made:
        place = wanted[path]
        if not isinstance(result, CorpuskitError):
            write_wav(place, result.samples, result.rate)
        yield place, result


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A measured recording, and how long that took."""

    path: Path
    measured: Measured
    seconds: float

    def __len__(self) -> int:
        return len(self.measured[0])


def convert_all(
    converter: Converter,
    recordings: Sequence[Path],
    target: str | None = None,
    source: str | None = None,
    draw: Draw | None = None,
    jobs: int = 1,
) -> Iterator[tuple[Path, Outcome]]:
    """Convert recordings, in their order; what cannot be converted comes with its error.

    The parameters are those of `Converter.convert`; `jobs` threads measure and make audible.

    Raises
    ------
    BadSetting, UnknownName, BadRun
        As `Converter.convert`, where the fault is no recording's.
    """
    between = converter.agreed(source, target, draw)
    with ThreadPoolExecutor(jobs) as threads:
        for start in range(0, len(recordings), CHUNK):
            chunk = recordings[start : start + CHUNK]
            yield from _chunk(converter, chunk, between, draw, threads)


def _chunk(
    converter: Converter,
    recordings: Sequence[Path],
    between: tuple[str, str],
    draw: Draw | None,
    threads: Executor,
) -> Iterator[tuple[Path, Outcome]]:
    """Convert some recordings, a stage after the other."""

    def measured(path: Path) -> _Ready | CorpuskitError:
        began = time.perf_counter()
        try:
            ready = converter.measured(path, between[0])
        except CorpuskitError as error:
            return error
        return _Ready(path=path, measured=ready, seconds=time.perf_counter() - began)

    def sounding(made: tuple[Path, Speech, float]) -> Outcome:
        path, speech, seconds = made
        try:
            heard = converter.sounding(str(path), speech, between, time.perf_counter())
        except CorpuskitError as error:
            return error
        return replace(heard, took=heard.took + seconds)

    found = dict(enumerate(threads.map(measured, recordings)))
    ready = {k: each for k, each in found.items() if isinstance(each, _Ready)}
    made = _made(converter, ready, between, draw)
    heard = dict(zip(made, threads.map(sounding, made.values()), strict=True))
    for position, path in enumerate(recordings):
        failed = found[position]
        yield path, failed if isinstance(failed, CorpuskitError) else heard[position]


def _made(
    converter: Converter, ready: dict[int, _Ready], between: tuple[str, str], draw: Draw | None
) -> dict[int, tuple[Path, Speech, float]]:
    """Return path, frames and seconds so far of each recording, by its position."""
    found = {}
    keys = list(ready)
    for batch in batches_of([len(ready[key]) for key in keys]):
        began = time.perf_counter()
        chosen = [ready[keys[position]] for position in batch]
        made = converter.made([each.measured for each in chosen], *between, draw)
        share = (time.perf_counter() - began) / len(batch)
        for position, each, one in zip(batch, chosen, made, strict=True):
            found[keys[position]] = (each.path, one.speech, each.seconds + share)
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

"""The cut recordings and a table of the pairs.

wav/SPEAKER/NAME.wav     the kept part; rate, depth and channels of the recording
pairs.csv                one pair a line, paths below the folder
"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from corpuskit.exports.request import Means, Progress, file_name, in_threads, used_sides
from corpuskit.exports.sound import cut
from corpuskit.files import fill_file
from corpuskit.versions import Pair, Recording, Side, Version

__all__ = ["COLUMNS", "write_audio"]

COLUMNS = (
    "id",
    "split",
    "sentence",
    "source",
    "target",
    "source_wav",
    "target_wav",
    "source_seconds",
    "target_seconds",
    "text",
)


def write_audio(version: Version, out: Path, means: Means) -> Iterator[Progress]:
    """Write every kept part once, sample for sample, and the table of pairs."""
    pairs = means.pairs(version)
    sides = used_sides(version, pairs)
    for speaker in {side.speaker for side, _ in sides}:
        (out / "wav" / speaker).mkdir(parents=True)
    paths = {recording.id: _path(recording) for _, recording in sides}
    task = functools.partial(_write_recording, version, out)
    for done, _ in in_threads(task, sides, means):
        yield Progress(stage="audio", done=done, total=len(sides))
    texts = {recording.id: recording.text for _, recording in sides}
    fill_file(out / "pairs.csv", _table(pairs, paths, texts))


def _path(recording: Recording) -> str:
    return f"wav/{recording.speaker}/{file_name(recording.sentence)}.wav"


def _write_recording(version: Version, out: Path, used: tuple[Side, Recording]) -> None:
    side, recording = used
    fill_file(out / _path(recording), cut(version, side, recording).wav())


def _table(pairs: Sequence[Pair], paths: dict[str, str], texts: dict[str, str]) -> bytes:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for pair in pairs:
        source, target = pair.source, pair.target
        table.writerow(
            [
                pair.id,
                pair.split,
                pair.sentence,
                source.speaker,
                target.speaker,
                paths[source.recording],
                paths[target.recording],
                f"{source.kept_seconds:.6f}",
                f"{target.kept_seconds:.6f}",
                texts[target.recording] or texts[source.recording],
            ]
        )
    return text.getvalue().encode()

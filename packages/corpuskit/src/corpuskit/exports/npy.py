"""The tree of .npy files that FastSpeech-style repositories read.

    mel/SPEAKER-mel-NAME.npy           (T, bands) float32, natural log
    pitch/SPEAKER-pitch-NAME.npy       (T,) float32, Hz, 0 where unvoiced
    energy/SPEAKER-energy-NAME.npy     (T,) float32, L2 norm of the magnitude frame
    duration/SOURCE-TARGET-duration-NAME.npy   (T_source // r,) int32, reduced target frames
    train.txt, val.txt, test.txt       NAME|SOURCE|TARGET|TEXT, one pair a line
    speakers.json, stats.json

Names, shapes and units are those of ming024/FastSpeech2's preprocessor with frame-level,
unnormalised pitch and energy; a voice-conversion pair adds the second speaker. T are the kept
frames. Every recording is written once, whatever the number of its pairs.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpuskit.exports.request import Means, Progress, file_name, in_threads, used_sides
from corpuskit.features import Features
from corpuskit.files import fill_file
from corpuskit.versions import Pair, Recording, Side, Version

__all__ = ["LISTS", "write_npy"]

LISTS = {"train": "train.txt", "dev": "val.txt", "eval": "test.txt"}
Range = tuple[float, float]


def write_npy(version: Version, out: Path, means: Means) -> Iterator[Progress]:
    """Write features of every recording, durations of every pair, lists and statistics."""
    pairs = means.pairs(version)
    sides = used_sides(version, pairs)
    for folder in ("mel", "pitch", "energy", "duration"):
        (out / folder).mkdir()
    ranges: dict[str, tuple[Range, Range]] = {}
    task = functools.partial(_write_recording, version, out)
    for done, (name, pitch, energy) in in_threads(task, sides, means):
        ranges[name] = (pitch, energy)
        yield Progress(stage="features", done=done, total=len(sides))
    for done, pair in enumerate(pairs, start=1):
        _save(out / "duration" / _duration_name(pair), version.durations(pair))
        yield Progress(stage="durations", done=done, total=len(pairs))
    texts = {recording.id: recording.text for _, recording in sides}
    for split, listed in LISTS.items():
        lines = [f"{_line(pair, texts)}\n" for pair in pairs if pair.split == split]
        fill_file(out / listed, "".join(lines).encode())
    numbers = {speaker: number for number, speaker in enumerate(version.speakers)}
    _write_json(out / "speakers.json", numbers)
    _write_json(out / "stats.json", _stats(pairs, ranges))


def _write_recording(
    version: Version, out: Path, used: tuple[Side, Recording]
) -> tuple[str, Range, Range]:
    side, recording = used
    features = version.features(side)
    named = _named(features)
    for kind, array in named.items():
        name = f"{side.speaker}-{kind}-{file_name(recording.sentence)}.npy"
        _save(out / kind / name, array)
    return recording.id, _range(named["pitch"]), _range(named["energy"])


def _named(features: Features) -> dict[str, npt.NDArray[np.float32]]:
    return {"mel": features.mel, "pitch": features.f0, "energy": features.energy}


def _range(values: npt.NDArray[np.float32]) -> Range:
    return float(values.min()), float(values.max())


def _duration_name(pair: Pair) -> str:
    speakers = f"{pair.source.speaker}-{pair.target.speaker}"
    return f"{speakers}-duration-{file_name(pair.sentence)}.npy"


def _line(pair: Pair, texts: Mapping[str, str]) -> str:
    text = texts[pair.target.recording] or texts[pair.source.recording]
    told = " ".join(text.replace("|", " ").split())  # the reader splits lines and columns
    return f"{file_name(pair.sentence)}|{pair.source.speaker}|{pair.target.speaker}|{told}"


def _stats(pairs: Iterable[Pair], ranges: dict[str, tuple[Range, Range]]) -> dict[str, list[float]]:
    """Return [min, max, mean, std] as the reader's denormalisation wants them.

    Mean 0 and standard deviation 1 say that nothing was normalised; the ranges are those of
    the train split, or of everything when it was not chosen.
    """
    pairs = list(pairs)
    train = [pair for pair in pairs if pair.split == "train"] or pairs
    names = {side.recording for pair in train for side in (pair.source, pair.target)}
    result = {}
    for index, kind in enumerate(("pitch", "energy")):
        lows, highs = zip(*(ranges[name][index] for name in names), strict=True)
        result[kind] = [min(lows), max(highs), 0.0, 1.0]
    return result


def _write_json(path: Path, value: object) -> None:
    fill_file(path, f"{json.dumps(value, ensure_ascii=False, indent=1)}\n".encode())


def _save(path: Path, array: npt.NDArray[np.generic]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    fill_file(path, buffer.getvalue())

"""Versions made by hand: every number in them is chosen, so what is said of them can be worked out.

The grid is round: recordings of 16 kHz, frames of 160 samples (10 ms), two of them a reduced frame.
A recording is 1 s long and kept from 0.1 s to 0.9 s, unless a test says otherwise.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpuskit.config import DatasetConfig, family_of, from_mapping, to_mapping, with_settings
from corpuskit.inventory import Inventory
from corpuskit.statistics import SideStatistics, Statistics
from corpuskit.totals import totals_of
from corpuskit.versions import (
    SCHEMA,
    Pair,
    Recording,
    SetAside,
    Side,
    Version,
    fingerprint,
    objects_of,
    open_version,
    write_version,
)

RATE, HOP, REDUCTION = 16000, 160, 2
FRAME = HOP / RATE  # seconds
Span = tuple[int, int]


def settings(*changes: str) -> DatasetConfig:
    """The settings of a hand-made version, with `changes` as for --set."""
    mapping = {
        "corpora": {"N2C": {"root": "N2C", "speakers": {"N": "source", "C": "target"}}},
        "pairs": [{"source": "N", "target": "C"}],
        "audio": {"rate": RATE},
        "features": {"hop_length": HOP},
        "align": {"reduction": REDUCTION},
        "split": {"dev": 0, "eval": 0},
    }
    return from_mapping(DatasetConfig, with_settings(mapping, changes), "by hand")


def side(speaker: str, sentence: str, **changes: Any) -> Side:
    """One side of a pair; frames and phrases follow from `samples` unless they are given."""
    samples: Span = changes.get("samples", (1600, 14400))
    frames: Span = changes.get("frames", (-(-samples[0] // HOP), -(-samples[1] // HOP)))
    values: dict[str, Any] = {
        "speaker": speaker,
        "recording": f"{speaker}/{sentence}",
        "object": f"features of {speaker}/{sentence}",
        "rate": RATE,
        "length": RATE,
        "samples": samples,
        "frames": frames,
        "silences": (),
        "phrases": ((frames[1] - frames[0]) // REDUCTION,),
    }
    return Side(**(values | changes))


def pair(sentence: str, **changes: Any) -> Pair:
    """A pair of N and C; `source` and `target` are changes of the sides."""
    values: dict[str, Any] = {
        "id": f"N>C/{sentence}",
        "sentence": sentence,
        "split": "train",
        "breaks": (0, 0),
        "merged": 0,
        "alignment": f"alignment of {sentence}",
        "durations": (0, 0),
    }
    sides = {
        "source": side("N", sentence, **changes.pop("source", {})),
        "target": side("C", sentence, **changes.pop("target", {})),
    }
    return Pair(**(values | sides | changes))


def recording(side: Side, **changes: Any) -> Recording:
    """The used recording of a side; its digest is its id unless it is given."""
    speaker, _, sentence = side.recording.partition("/")
    values: dict[str, Any] = {
        "id": side.recording,
        "speaker": speaker,
        "sentence": sentence,
        "corpus": "N2C",
        "path": f"{speaker}/{sentence}.wav",
        "digest": f"samples of {side.recording}",
        "rate": side.rate,
        "samples": side.length,
        "levels": f"levels of {side.recording}",
        "features": side.object,
        "state": "used",
        "reason": "",
    }
    return Recording(**(values | changes))


def aside(speaker: str, sentence: str, reason: str) -> Recording:
    """A recording that is not used."""
    return recording(
        side(speaker, sentence), state="set aside", reason=reason, digest="", levels="", features=""
    )


def even_durations(pair: Pair) -> list[int]:
    """Durations of a pair whose target frames are spread evenly over its source frames."""
    sources, targets = (
        (each.frames[1] - each.frames[0]) // REDUCTION for each in (pair.source, pair.target)
    )
    return np.diff(np.arange(sources + 1) * targets // sources).tolist()


def version(
    workspace: Path,
    name: str,
    pairs: Sequence[Pair],
    *,
    config: DatasetConfig | None = None,
    durations: Mapping[str, Sequence[int]] | None = None,
    recordings: Sequence[Recording] | None = None,
    others: Sequence[Recording] = (),
    set_aside: Sequence[SetAside] = (),
    warnings: Sequence[str] = (),
) -> Version:
    """Write a version as a build does, and open it.

    `durations` by sentence (even ones by default); `others` are recordings that are not used.
    """
    config = config or settings()
    placed, flat = _placed(pairs, durations or {})
    if recordings is None:
        used = {each.recording: each for p in placed for each in (p.source, p.target)}
        recordings = [recording(used[name]) for name in sorted(used)]
    everything = sorted([*recordings, *others], key=lambda r: r.id)
    bands = (0.0,) * config.features.mels
    stated = SideStatistics(
        mel_mean=bands,
        mel_var=bands,
        pitch_mean=5.0,
        pitch_var=0.1,
        energy_mean=1.0,
        energy_var=1.0,
        frames=1,
    )
    description = {
        "schema": SCHEMA,
        "name": name,
        "family": family_of(name),
        "fingerprint": fingerprint(config, everything, placed, flat),
        "created": "2024-01-01T00:00:00+00:00",
        "settings": to_mapping(config),
        "libraries": {"numpy": "2"},
        "speakers": sorted({each.speaker for p in placed for each in (p.source, p.target)}),
        "statistics": to_mapping(Statistics(source=stated, target=stated)),
        "voices": [],
        "totals": totals_of(placed, everything, set_aside, config),
        "warnings": list(warnings),
    }
    arrays = {"durations": flat, "cost": np.zeros(len(placed), dtype=np.float32)}
    stock = _stock(objects_of(placed, everything))
    write_version(workspace, description, placed, everything, set_aside, arrays, stock)
    return open_version(workspace, name)


def _stock(names: Iterable[str]) -> Inventory:
    """Objects of 100 bytes each; their names, which are words here, are hashed."""
    rows = sorted(hashlib.sha256(name.encode()).digest() for name in names)
    return Inventory(
        names=np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, 32),
        sizes=np.full(len(rows), 100, dtype=np.int64),
    )


def _placed(
    pairs: Sequence[Pair], durations: Mapping[str, Sequence[int]]
) -> tuple[list[Pair], np.ndarray]:
    """Pairs in order, each with the place of its durations in the flat array."""
    placed, flat = [], []
    for each in sorted(pairs, key=lambda p: p.id):
        own = durations.get(each.sentence, even_durations(each))
        placed.append(dataclasses.replace(each, durations=(len(flat), len(own))))
        flat.extend(own)
    return placed, np.array(flat, dtype=np.int32)

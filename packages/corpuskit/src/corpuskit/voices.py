"""Who speaks in a version, and how: seconds, phrases, F0 and levels of every voice on each side.

Frames are counted by F0 and windows by level when a recording is measured or aligned, so that a
voice's figures are sums of counts, made without opening a recording again.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.levels import Levels, profile
from corpuskit.statistics import F0_CENTRES
from corpuskit.versions import Pair, Side

__all__ = ["voices_of"]

_EDGES = {"low": 0.05, "median": 0.5, "high": 0.95}  # shares of the voiced frames below


def voices_of(
    pairs: Sequence[Pair],
    f0: Mapping[str, npt.NDArray[np.int32]],
    heard: Mapping[str, Levels],
) -> list[dict[str, Any]]:
    """Describe every voice on each side (plain values for version.json).

    Parameters
    ----------
    pairs : the used pairs
    f0 : kept frames counted by F0, (2, F0_BINS) for source and target, by pair
    heard : windows counted by level, by recording

    A recording that stands in several pairs is counted once, but for `pairs`.

    """
    found = []
    for place, role in enumerate(("source", "target")):
        by_voice: dict[str, list[tuple[Pair, Side]]] = {}
        for pair in pairs:
            side = getattr(pair, role)
            by_voice.setdefault(side.speaker, []).append((pair, side))
        for speaker in sorted(by_voice):
            once = {side.recording: (pair, side) for pair, side in by_voice[speaker]}
            sides = [side for _, side in once.values()]
            counts = sum(f0[pair.id][place].astype(np.int64) for pair, _ in once.values())
            found.append(
                {
                    "speaker": speaker,
                    "side": role,
                    "pairs": len(by_voice[speaker]),
                    "recordings": len(sides),
                    "seconds": _total(side.length / side.rate for side in sides),
                    "kept_seconds": _total(side.kept_seconds for side in sides),
                    "phrases": sum(len(side.phrases) for side in sides),
                    "f0": _f0(counts, sum(side.frames[1] - side.frames[0] for side in sides)),
                    "levels": _levels([heard[name] for name in once if name in heard]),
                }
            )
    return found


def _total(seconds: Iterable[float]) -> float:
    return round(math.fsum(seconds), 6)


def _f0(counts: npt.NDArray[np.int64], frames: int) -> dict[str, float]:
    """Return the F0 (Hz) below which some shares of the voiced frames lie, and their own share."""
    running = np.cumsum(counts)
    places = {name: np.searchsorted(running, share * running[-1]) for name, share in _EDGES.items()}
    hertz = {name: round(float(F0_CENTRES[place]), 1) for name, place in places.items()}
    return {**hertz, "voiced": round(int(running[-1]) / max(1, frames), 4)}


def _levels(heard: Sequence[Levels]) -> dict[str, float | None]:
    """Return levels in dBFS (floor: None without any noise) and the share of digital zero."""
    told = profile(functools.reduce(operator.add, heard)) if heard else None
    if told is None:
        return {"speech": None, "quietest": None, "floor": None, "zero_share": None}
    return {
        "speech": round(told.speech, 1),
        "quietest": round(told.quietest, 1),
        "floor": None if told.floor is None else round(told.floor, 1),
        "zero_share": round(told.zero_share, 4),
    }

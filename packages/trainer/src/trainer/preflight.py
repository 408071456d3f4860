"""What is wrong with the data, said before the first step and pair by pair.

A training does not fail on most of this: it learns something else. The diary this project grew
from lost runs because "pitch was all zero" and nobody looked; here nothing is learnt from pairs
that cannot teach, and statistics that do not fit are told with the worst band.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainer.errors import BadData

if TYPE_CHECKING:
    from corpuskit.features import Features
    from corpuskit.versions import Pair

__all__ = ["Drift", "check", "faults", "refused"]

FAR = 3.0  # deviations the mean of a split may lie from the statistics' mean
WIDE = 4.0  # times the spread of a split may be the statistics', either way
SHOWN = 5  # pairs named of each fault

Float64 = npt.NDArray[np.float64]


def faults(
    pair: Pair,
    source: Features,
    target: Features,
    durations: npt.NDArray[np.integer],
    reduction: int,
    *,
    search: bool = False,
) -> list[str]:
    """Return why nothing can be learnt from a pair; empty when it can.

    Parameters
    ----------
    source, target : the kept frames of either side, (T,) and (T, bands)
    durations : (T_source // reduction,) reduced target frames of each reduced source frame
    search : whether the model searches the alignment itself
    """
    found = [*_side("source", source, reduction), *_side("target", target, reduction)]
    if found:
        return found
    lengths = len(source.f0) // reduction, len(target.f0) // reduction
    if search and lengths[0] > lengths[1] * reduction:
        found.append(
            "source has more reduced frames than the target has frames (too long for "
            "model.align = search)"
        )
    if len(durations) != lengths[0]:
        found.append(f"{len(durations)} durations for {lengths[0]} reduced source frames")
    elif durations.min() < 0:
        found.append("a duration is negative")
    if durations.sum() != lengths[1]:
        found.append(
            f"durations sum to {durations.sum()}, the target has {lengths[1]} reduced frames"
        )
    for role, side, length in zip(
        ("source", "target"), (pair.source, pair.target), lengths, strict=True
    ):
        if min(side.phrases, default=0) < 1:
            found.append(f"{role} has an empty phrase")
        elif sum(side.phrases) != length:
            found.append(f"{role}'s phrases sum to {sum(side.phrases)}, not to {length}")
    return found


def _side(role: str, features: Features, reduction: int) -> list[str]:
    length = len(features.f0)
    if length < reduction:
        return [f"{role} has {length} frames, a reduced frame needs {reduction}"]
    named = {"mel": features.mel, "F0": features.f0, "energy": features.energy}
    found = [
        f"{role}'s {name} holds values that are no numbers"
        for name, values in named.items()
        if not np.isfinite(values).all()
    ]
    if not np.any(features.f0 > 0):
        found.append(f"{role}'s F0 is zero throughout")
    found += [
        f"{role}'s {name} never changes"
        for name in ("mel", "energy")
        if length > 1 and not np.ptp(named[name], axis=0).any()
    ]
    return found


def refused(dataset: str, found: Sequence[tuple[str, str]]) -> BadData:
    """Return the error that names every fault with its pairs; `found` is (pair id, fault)."""
    by_fault: dict[str, list[str]] = {}
    for pair, fault in found:
        by_fault.setdefault(fault, []).append(pair)
    told = []
    for fault, pairs in sorted(by_fault.items(), key=lambda each: -len(each[1])):
        more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
        told.append(f"{fault} in {', '.join(pairs[:SHOWN])}{more}")
    return BadData(
        f"nothing can be learnt from {len({pair for pair, _ in found})} pairs of dataset "
        f"{dataset}: {'; '.join(told)}",
        f"`corpuskit verify {dataset}`, then mend or remove these recordings and build again",
    )


# ------------------------------------------------------------------------- statistics


@dataclass(frozen=True, kw_only=True)
class _Moments:
    """Sums over frames of normalised values (values,)."""

    count: int
    total: Float64
    squares: Float64


class Drift:
    """How far a split lies from the statistics that normalise it, per side and feature."""

    def __init__(self) -> None:
        self._held: dict[str, _Moments] = {}

    def add(self, side: str, frames: Mapping[str, npt.NDArray[np.floating]]) -> None:
        """Count the normalised features of one recording, (T,) or (T, bands) each."""
        for name, array in frames.items():
            values = np.asarray(array, dtype=np.float64).reshape(len(array), -1)
            new = _Moments(count=len(values), total=values.sum(0), squares=np.square(values).sum(0))
            key = f"{side} {name}"
            old = self._held.get(key)
            self._held[key] = new if old is None else _merged(old, new)

    def notes(self) -> list[str]:
        """Say which features do not fit the statistics."""
        return [text for key, held in self._held.items() if (text := _far(key, held))]


def _merged(one: _Moments, other: _Moments) -> _Moments:
    return _Moments(
        count=one.count + other.count,
        total=one.total + other.total,
        squares=one.squares + other.squares,
    )


def _far(key: str, held: _Moments) -> str:
    mean = held.total / held.count
    spread = np.sqrt(np.maximum(held.squares / held.count - mean**2, 0))
    worst = int(np.argmax(np.abs(mean)))
    where = f"{key}, band {worst + 1}" if len(mean) > 1 else key
    if abs(mean[worst]) > FAR:
        return (
            f"{where}: the training pairs lie {mean[worst]:+.1f} deviations from the mean that "
            "normalises them (train.statistics): other recordings, or other levels, than it was of"
        )
    typical = float(np.median(spread))
    if typical > WIDE or typical < 1 / WIDE:
        return (
            f"{key}: the training pairs vary {typical:.2g} times as much as those of the "
            "statistics that normalise them (train.statistics)"
        )
    return ""


def check(found: Iterable[tuple[str, str]], dataset: str) -> None:
    """Refuse a dataset with faults.

    Raises
    ------
    BadData
        There is a fault; each is named with its pairs.
    """
    listed = list(found)
    if listed:
        raise refused(dataset, listed)

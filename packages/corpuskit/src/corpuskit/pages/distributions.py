"""Distributions of two versions side by side: lengths, trims, phrases, durations, F0, energy.

Lengths and phrases are those of all pairs; durations, F0 and energy, which have to be read
pair by pair, are those of pairs drawn evenly from the version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.errors import BadVersion
from corpuskit.report.histogram import counted, histogram
from corpuskit.report.markup import Html, joined
from corpuskit.report.parts import columns, details, paragraph, table
from corpuskit.totals import silent_seconds, speech_seconds
from corpuskit.versions import Pair, Side, Version

__all__ = ["distributions"]

Floats = npt.NDArray[np.float64]
SIDES = ("source", "target")
ALIGNED, HEARD = 2000, 60  # pairs whose durations, and whose F0 and energy, are read
EDGES = (0.5, 99.5)  # percentiles between which a histogram is drawn
MOST_COUNTED = 12  # phrases or frames; more count there


def distributions(versions: Sequence[Version]) -> Html:
    """Return histograms and a table of percentiles of each version."""
    drawn: list[Html] = []
    rows: list[list[str]] = []
    for title, unit, measured in _measured(versions):
        drawn.append(_histogram(title, unit, measured))
        rows.extend(_row(title, unit, name, values) for name, values in measured.items())
    phrases = {v.name: Counter(len(p.target.phrases) for p in v.pairs) for v in versions}
    drawn.append(_counted("Phrases per target utterance", "phrases", phrases))
    durations = {v.name: _durations(v) for v in versions}
    drawn.append(_counted("Target frames of a source frame", "reduced frames", durations))
    return joined(
        columns(*drawn),
        details(
            "The same in numbers",
            table(["", "dataset", "5 % below", "median", "5 % above"], rows),
        ),
        paragraph(
            f"Durations are those of at most {ALIGNED:,} pairs, F0 and energy those of at most "
            f"{HEARD} pairs, drawn evenly. What lies outside a drawing counts at its edge.",
            faint=True,
        ),
    )


def _measured(versions: Sequence[Version]) -> Iterator[tuple[str, str, dict[str, Floats]]]:
    for title, quantity in LENGTHS.items():
        for side in SIDES:
            found = {v.name: _of_sides(v, side, quantity) for v in versions}
            yield f"{title}, {side}", "seconds", found
    tracks = {(v.name, side): _tracks(v, side) for v in versions for side in SIDES}
    for place, (title, unit) in enumerate((("F0", "Hz"), ("Energy", "natural log"))):
        for side in SIDES:
            yield f"{title}, {side}", unit, {v.name: tracks[v.name, side][place] for v in versions}


LENGTHS: Mapping[str, Callable[[Side, float], float]] = {
    "Speech kept": speech_seconds,
    "Cut at head and tail": lambda side, _: side.head_seconds + side.tail_seconds,
    "Silence inside": silent_seconds,
}


def _of_sides(version: Version, side: str, quantity: Callable[[Side, float], float]) -> Floats:
    second = version.settings.features.hop_length / version.settings.audio.rate
    return np.array([quantity(getattr(pair, side), second) for pair in version.pairs])


def _evenly(pairs: Sequence[Pair], most: int) -> Sequence[Pair]:
    return pairs[:: -(-len(pairs) // most)] if pairs else pairs


def _durations(version: Version) -> Counter[int]:
    counts: Counter[int] = Counter()
    for pair in _evenly(version.pairs, ALIGNED):
        found = np.bincount(version.durations(pair))
        counts.update({number: int(count) for number, count in enumerate(found) if count})
    return counts


def _tracks(version: Version, side: str) -> tuple[Floats, Floats]:
    """Return F0 of voiced kept frames and log energy of all kept frames."""
    f0, energy = [np.zeros(0)], [np.zeros(0)]
    for pair in _evenly(version.pairs, HEARD):
        try:
            features = version.features(getattr(pair, side))
        except BadVersion:
            continue  # what is left is still drawn; `verify` names what is damaged
        f0.append(features.f0[features.f0 > 0].astype(np.float64))
        energy.append(np.log(features.energy.astype(np.float64)))
    return np.concatenate(f0), np.concatenate(energy)


def _histogram(title: str, unit: str, measured: Mapping[str, Floats]) -> Html:
    pooled = np.concatenate([*measured.values(), np.zeros(0)])
    limits = None
    if len(pooled):
        low, high = (float(edge) for edge in np.percentile(pooled, EDGES))
        limits = (low, high) if high > low else None
    return joined(
        paragraph(title),
        histogram(measured, label=f"{title}: distribution", unit=unit, limits=limits),
    )


def _counted(title: str, unit: str, counts: Mapping[str, Mapping[int, int]]) -> Html:
    highest = max((number for each in counts.values() for number in each), default=1)
    lowest = min((number for each in counts.values() for number in each), default=0)
    limits = (lowest, max(lowest, min(highest, MOST_COUNTED)))
    return joined(
        paragraph(title), counted(counts, label=f"{title}: distribution", unit=unit, limits=limits)
    )


def _row(title: str, unit: str, name: str, values: Any) -> list[str]:
    told = np.percentile(values, (5, 50, 95)) if len(values) else []
    short = {"seconds": "s", "natural log": ""}.get(unit, unit)
    cells = [f"{value:.2f} {short}".strip() for value in told] or ["", "", ""]
    return [title, name, *cells]

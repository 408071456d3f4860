"""Histograms: one distribution, or several side by side (before and after)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.report.markup import Html, joined
from corpuskit.report.svg import Axes, bars, legend, plot

__all__ = ["counted", "histogram"]

Floats = npt.NDArray[np.float64]
COLOURS = ("first", "second", "third", "fourth")


def histogram(
    groups: Mapping[str, Sequence[float] | Floats],
    *,
    label: str,
    unit: str,
    bins: int = 24,
    limits: tuple[float, float] | None = None,
) -> Html:
    """Return the distribution of each group of values over common bins, at most four groups.

    Heights are shares of the group, so that groups of different size compare; the legend
    gives the sizes. `limits` default to the values' own; what lies outside counts at the edge.
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in groups.items()}
    low, high = limits or _limits(np.concatenate([*arrays.values(), np.zeros(0)]))
    edges = np.linspace(low, high, bins + 1)
    shares = {
        name: np.histogram(np.clip(values, low, high), edges)[0] / max(1, len(values))
        for name, values in arrays.items()
    }
    words = {name: f"{name} ({len(values):,})" for name, values in arrays.items()}
    return _grouped(edges, shares, words, label=label, unit=unit)


def counted(
    groups: Mapping[str, Mapping[int, int]],
    *,
    label: str,
    unit: str,
    limits: tuple[int, int] | None = None,
) -> Html:
    """Return counts of whole numbers (phrases per utterance), one bar a number and group."""
    numbers = [number for counts in groups.values() for number in counts] or [0]
    low, high = limits or (min(numbers), max(numbers))
    edges: Floats = np.arange(low, high + 2, dtype=np.float64) - 0.5
    shares = {}
    words = {}
    for name, counts in groups.items():
        total = sum(counts.values())
        heights = np.zeros(high - low + 1)
        for number, count in counts.items():
            heights[min(max(number, low), high) - low] += count
        shares[name] = heights / max(1, total)
        words[name] = f"{name} ({total:,})"
    ticks = [(float(number), str(number)) for number in range(low, high + 1)]
    step = max(1, len(ticks) // 16)
    return _grouped(edges, shares, words, label=label, unit=unit, x_ticks=ticks[::step])


def _limits(values: Floats) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _grouped(
    edges: Floats,
    shares: Mapping[str, Floats],
    words: Mapping[str, str],
    *,
    label: str,
    unit: str,
    **means: Any,
) -> Html:
    top = max([float(heights.max(initial=0.0)) for heights in shares.values()] + [1e-9])
    axes = Axes(x=(float(edges[0]), float(edges[-1])), y=(0.0, top * 1.08))
    left, width = edges[:-1], np.diff(edges)
    slot = 0.9 / max(1, len(shares))
    shapes = []
    for place, heights in enumerate(shares.values()):
        begin = left + width * (0.05 + place * slot)
        intervals = list(zip(begin.tolist(), (begin + width * slot).tolist(), strict=True))
        shapes.append(bars(axes, intervals, heights, colour=COLOURS[place % len(COLOURS)]))
    marks = [0.0, top / 2, top]
    drawn = plot(
        axes,
        *shapes,
        label=label,
        unit=unit,
        y_ticks=[(mark, f"{100 * mark:.0f} %") for mark in marks],
        **means,
    )
    told = [(COLOURS[k % len(COLOURS)], words[name]) for k, name in enumerate(shares)]
    return joined(legend(told), drawn)

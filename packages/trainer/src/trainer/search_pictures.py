"""What a search found, drawn: results by trial, and how much each setting mattered."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.files import write_file
from trainer.study import Trial, Trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_history", "draw_importance", "draw_search"]

_WIDE = 20  # times the smallest value, from which an axis is logarithmic
_MARKS = {
    "pruned": ("v", "ended early"),
    "skipped": ("x", "skipped"),
    "diverged": ("P", "diverged"),
}


def draw_search(folder: Path, names: Sequence[str], found: Trials) -> list[Path]:
    """Draw history.png and, where something is known of it, importance.png; returns the files.

    `names` are the objectives.

    Raises
    ------
    CorpuskitError
        A file cannot be written.
    """
    drawn = {}
    if any(each.values for each in found.all):
        drawn["history.png"] = draw_history(names, found)
    if found.importances:
        drawn["importance.png"] = draw_importance(found.importances)
    for name, figure in drawn.items():
        held = io.BytesIO()
        figure.savefig(held, format="png", dpi=110)
        write_file(folder / name, held.getvalue())
    return [folder / name for name in drawn]


def draw_history(names: Sequence[str], found: Trials) -> Figure:
    """Draw each objective over the trials, and two objectives over each other."""
    from matplotlib.figure import Figure

    panels = len(names) + (len(names) == 2)
    figure = Figure(figsize=(5.5 * panels, 4), layout="constrained")
    axes: list[Any] = list(figure.subplots(1, panels, squeeze=False)[0])
    done = [each for each in found.all if each.values]
    for place, name in enumerate(names):
        _history(axes[place], place, done, found)
        axes[place].set_ylabel(f"dev loss {name}")
    if len(names) == 2:
        _front(axes[-1], names, done, found.best)
    axes[0].legend(fontsize="small")
    return figure


def _history(axis: Axes, place: int, done: Sequence[Trial], found: Trials) -> None:
    from matplotlib.ticker import MaxNLocator

    numbers = [each.number for each in done]
    values = [each.values[place] for each in done]
    axis.plot(numbers, values, "o", color="C0", label="trained", zorder=3)
    if len(done[0].values) == 1:
        axis.step(numbers, list(accumulate(values, min)), "C1", where="post", label="best so far")
    for each in done:
        if each.number in found.best:
            _name(axis, each, each.number, each.values[place])
    for state, (mark, label) in _MARKS.items():
        there = [each.number for each in found.all if each.state == state]
        if there:  # they have no value: along the lower edge
            heights = [0.02] * len(there)
            across = axis.get_xaxis_transform()
            axis.plot(there, heights, mark, color="0.6", transform=across, label=label, ms=5)
    _scale(axis, values)
    axis.margins(x=0.1)  # room for the names of the best
    axis.set_xlabel("trial")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)


def _front(axis: Axes, names: Sequence[str], done: Sequence[Trial], best: Sequence[int]) -> None:
    """Draw two objectives over each other: what nothing beats in both is the front."""
    front = sorted((each for each in done if each.number in best), key=lambda each: each.values)
    axis.plot(*zip(*(each.values for each in done), strict=True), "o", color="C0")
    axis.step(*zip(*(each.values for each in front), strict=True), "C1", where="post")
    for each in front:
        _name(axis, each, *each.values)
    axis.margins(x=0.1)
    axis.set_xlabel(f"dev loss {names[0]}")
    axis.set_ylabel(f"dev loss {names[1]}")
    axis.grid(alpha=0.3)


def _name(axis: Axes, trial: Trial, x: float, y: float) -> None:
    axis.annotate(
        f"#{trial.number}", (x, y), textcoords="offset points", xytext=(5, 5), fontsize="small"
    )


def _scale(axis: Axes, values: Sequence[float]) -> None:
    if min(values) > 0 and max(values) > _WIDE * min(values):
        axis.set_yscale("log")


def draw_importance(importances: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw how much of each objective's variance each setting explains."""
    from matplotlib.figure import Figure

    keys = list(_ranked(importances))
    figure = Figure(figsize=(8, 1.2 + 0.4 * len(keys)), layout="constrained")
    axis = figure.subplots()
    height = 0.8 / len(importances)
    for place, (name, shares) in enumerate(importances.items()):
        heights = [row + (place - (len(importances) - 1) / 2) * height for row in range(len(keys))]
        bars = axis.barh(heights, [shares.get(key, 0.0) for key in keys], height, label=name)
        axis.bar_label(bars, fmt="{:.0%}", padding=3, fontsize="small")
    axis.set_yticks(range(len(keys)), keys)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.1)
    axis.set_xlabel("share of the variance between trials (fANOVA)")
    axis.legend(fontsize="small", title="dev loss", loc="lower right")
    return figure


def _ranked(importances: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Give the settings, the most important first."""
    keys = dict.fromkeys(key for shares in importances.values() for key in shares)
    yield from sorted(
        keys, key=lambda key: -sum(shares.get(key, 0.0) for shares in importances.values())
    )

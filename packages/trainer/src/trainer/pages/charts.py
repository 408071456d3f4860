"""Charts of trainings: losses over epochs, learning rates over samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corpuskit.report.markup import Html, element, joined
from corpuskit.report.svg import Axes, Tick, legend, line, plot, rule
from trainer.course import Course

__all__ = ["COLOURS", "colour_of", "loss_charts", "rate_chart"]

COLOURS = ("third", "second", "fourth", "pitch", "cut", "first")
POINTS = 400  # of a learning rate's curve


def colour_of(number: int) -> str:
    """Return the colour of the run of this number."""
    return COLOURS[number % len(COLOURS)]


def loss_charts(
    runs: Sequence[tuple[str, Sequence[Mapping[str, Any]], int | None]], *, train: bool
) -> Html:
    """Draw every dev loss of some (name, rows, best epoch) over epochs, on a logarithmic scale.

    `train` draws what was measured while learning, too, with dropout.
    """
    names = list(dict.fromkeys(name for _, rows, _ in runs for row in rows for name in row["dev"]))
    entries = [(colour_of(number), f"{name}, dev") for number, (name, _, _) in enumerate(runs)]
    if train:
        entries.append(("wave", "while learning, with dropout"))
    entries.append(("ink", "best epoch"))
    charts = [_loss_chart(name, runs, train=train) for name in ("total", *_without(names))]
    return joined(legend(entries), element("div", *charts, class_="columns"))


def _without(names: Sequence[str]) -> list[str]:
    return [name for name in names if name != "total"]


def _loss_chart(
    name: str, runs: Sequence[tuple[str, Sequence[Mapping[str, Any]], int | None]], *, train: bool
) -> Html:
    curves, marks = [], []
    for number, (_, rows, best) in enumerate(runs):
        if train:
            curves.append(("wave", *_curve(rows, "train", name)))
        curves.append((colour_of(number), *_curve(rows, "dev", name)))
        if best is not None:
            marks.append(best)
    values = np.concatenate([y for _, _, y in curves] or [np.zeros(0)])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return Html("")
    low, high = math.log10(values.min()), math.log10(values.max())
    room = max(0.02, 0.05 * (high - low))
    last = max(float(x.max(initial=1)) for _, x, _ in curves)
    axes = Axes(x=(1.0, max(last, 2.0)), y=(low - room, high + room))
    shapes = [line(axes, x, _log(y), colour=colour) for colour, x, y in curves]
    shapes += [rule(axes, x=best, colour="ink") for best in marks]
    return element(
        "figure",
        element("figcaption", name),
        plot(
            axes,
            *shapes,
            label=f"loss {name} over epochs",
            y_ticks=_decades(*axes.y),
            unit="epoch",
        ),
    )


def _curve(
    rows: Sequence[Mapping[str, Any]], which: str, name: str
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    found = [(row["epoch"], row[which][name]) for row in rows if name in row[which]]
    x, y = zip(*found, strict=True) if found else ((), ())
    return np.array(x, dtype=float), np.array(y, dtype=float)


def _log(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the logarithm; NaN, which breaks a curve, where there is none."""
    return np.log10(np.where(values > 0, values, np.nan))


def _decades(low: float, high: float) -> list[Tick]:
    """Return 1, 2, 5 and their decades between two logarithms; all 1 to 9 where that is few."""
    for steps in ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)):
        values = [
            step * 10.0**power
            for power in range(math.floor(low), math.ceil(high) + 1)
            for step in steps
        ]
        found = [(math.log10(each), f"{each:.3g}") for each in values]
        found = [each for each in found if low <= each[0] <= high]
        if len(found) >= 2:
            return found
    return [(low, f"{10**low:.3g}"), (high, f"{10**high:.3g}")]


def rate_chart(courses: Sequence[tuple[str, Course]]) -> Html:
    """Draw learning rates over the pairs seen."""
    last = max(course.samples_at(course.steps) for _, course in courses)
    top = max(course.rates(_steps(course)).max() for _, course in courses)
    axes = Axes(x=(0.0, float(last)), y=(0.0, 1.05 * float(top)))
    shapes = []
    for number, (_, course) in enumerate(courses):
        steps = _steps(course)
        seen = (steps - course.first_step) * course.batch_size
        shapes.append(line(axes, seen.astype(float), course.rates(steps), colour=colour_of(number)))
    entries = [(colour_of(number), name) for number, (name, _) in enumerate(courses)]
    return joined(
        legend(entries),
        plot(axes, *shapes, label="learning rate over pairs seen", unit="pairs seen"),
    )


def _steps(course: Course) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.unique(np.linspace(course.first_step + 1, course.steps, POINTS).astype(np.int64))

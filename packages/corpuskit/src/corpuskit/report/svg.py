"""Plots: shapes in a stretched drawing, labels as text around it.

The drawing has no text and stretches with the window, so a plot reads equally on a phone
and on a wide screen. Shapes take their colour from a name of `palette.COLOURS`; both themes
follow. Coordinates are rounded, so equal data gives equal bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.report.markup import Html, element

__all__ = [
    "WIDTH",
    "Axes",
    "bars",
    "layer",
    "legend",
    "line",
    "picture",
    "plot",
    "rule",
    "spans",
    "ticks",
    "waveform",
]

WIDTH, HEIGHT = 1000, 200  # units of the stretched drawing
Floats = npt.NDArray[np.float64]
Tick = tuple[float, str]


@dataclass(frozen=True, kw_only=True)
class Axes:
    """The ranges a drawing shows; what lies outside is drawn on its edge."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, values: object) -> Floats:
        """Return x values as units of the drawing, 0 at the left."""
        return WIDTH * _share(values, self.x)

    def down(self, values: object) -> Floats:
        """Return y values as units of the drawing, 0 at the top."""
        return HEIGHT * (1 - _share(values, self.y))


def _share(values: object, limits: tuple[float, float]) -> Floats:
    low, high = limits
    width = high - low if high > low else 1.0
    return np.clip((np.asarray(values, dtype=np.float64) - low) / width, 0.0, 1.0)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _mark(colour: str) -> str:
    return f"--mark:var(--{colour})"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)


# -------------------------------------------------------------------- shapes


def waveform(axes: Axes, samples: Floats, rate: int, *, colour: str = "wave") -> Html:
    """Return the envelope of (n,) samples from 0 s on: lowest and highest in each column."""
    if not len(samples):
        return Html("")
    columns = min(WIDTH, len(samples))
    starts = np.arange(columns) * len(samples) // columns
    middles = (starts + len(samples) / columns / 2) / rate
    xs = axes.across(middles)
    highs = axes.down(np.maximum.reduceat(samples, starts))
    lows = axes.down(np.minimum.reduceat(samples, starts))
    there = list(zip(xs.tolist(), highs.tolist(), strict=True))
    back = list(zip(xs.tolist(), lows.tolist(), strict=True))[::-1]
    return element("path", d=_path([*there, *back]) + "Z", class_="outline", style=_mark(colour))


def line(axes: Axes, x: Floats, y: Floats, *, colour: str) -> Html:
    """Return a curve through (n,) points; it is broken where y is NaN (an unvoiced frame)."""
    pieces = []
    for first, stop in _runs(np.isfinite(np.asarray(y, dtype=np.float64))):
        xs, ys = axes.across(x[first:stop]).tolist(), axes.down(y[first:stop]).tolist()
        pieces.append(_path(_thinned(list(zip(xs, ys, strict=True)))))
    return element("path", d="".join(pieces), class_="stroke", style=_mark(colour))


def _runs(good: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good.astype(np.int8), [0]))))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep, of all points in one column, the first, lowest, highest and last."""
    if len(points) <= 2 * WIDTH:
        return points if len(points) > 1 else points * 2  # a single point shows as a dot
    kept: list[tuple[float, float]] = []
    column: list[tuple[float, float]] = []
    for point in points:
        if column and int(point[0]) != int(column[0][0]):
            kept.extend(_extremes(column))
            column = []
        column.append(point)
    return kept + _extremes(column)


def _extremes(column: list[tuple[float, float]]) -> list[tuple[float, float]]:
    lowest = min(range(len(column)), key=lambda k: column[k][1])
    highest = max(range(len(column)), key=lambda k: column[k][1])
    return [column[k] for k in sorted({0, lowest, highest, len(column) - 1})]


def spans(
    axes: Axes,
    where: Sequence[tuple[float, float]],
    *,
    colour: str,
    band: tuple[float, float] = (0.0, 1.0),
    solid: bool = False,
) -> Html:
    """Return shaded spans of x; `band` is the part of the height, 0 the bottom, 1 the top."""
    if not where:
        return Html("")
    edges = axes.across(where)
    bottom, top = HEIGHT * (1 - band[0]), HEIGHT * (1 - band[1])
    shape = "".join(
        f"M{_number(a)} {_number(bottom)}V{_number(top)}H{_number(b)}V{_number(bottom)}Z"
        for a, b in edges.tolist()
    )
    return element("path", d=shape, class_="area" if solid else "shade", style=_mark(colour))


def rule(axes: Axes, *, x: float | None = None, y: float | None = None, colour: str) -> Html:
    """Return a dashed line across the drawing at a value of x or of y."""
    if y is not None:
        at = float(axes.down(y))
        shape = f"M0 {_number(at)}H{WIDTH}"
    else:
        at = float(axes.across(x))
        shape = f"M{_number(at)} 0V{HEIGHT}"
    return element("path", d=shape, class_="rule", fill="none", style=_mark(colour))


def bars(axes: Axes, edges: Sequence[tuple[float, float]], heights: Floats, *, colour: str) -> Html:
    """Return bars from the bottom: each an interval of x and a height."""
    bottom = float(axes.down(axes.y[0]))
    tops = axes.down(heights).tolist()
    shape = "".join(
        f"M{_number(a)} {_number(bottom)}V{_number(top)}H{_number(b)}V{_number(bottom)}Z"
        for (a, b), top, height in zip(axes.across(edges).tolist(), tops, heights, strict=True)
        if height > axes.y[0]
    )
    return element("path", d=shape, class_="area", style=_mark(colour))


def picture(axes: Axes, uri: str, x: tuple[float, float], y: tuple[float, float]) -> Html:
    """Return an image (a data URI) stretched over a range of x and y."""
    (left, right), (low, high) = axes.across(x).tolist(), axes.down(y).tolist()
    return element(
        "image",
        href=uri,
        x=_number(left),
        y=_number(high),
        width=_number(right - left),
        height=_number(low - high),
        preserveAspectRatio="none",
    )


def layer(*shapes: Html) -> Html:
    """Return shapes as one group."""
    return element("g", *shapes)


# ------------------------------------------------------------------ the plot


def plot(
    axes: Axes,
    *shapes: Html,
    label: str,
    height: int = 110,
    x_ticks: Sequence[Tick] | None = None,
    y_ticks: Sequence[Tick] | None = None,
    unit: str = "",
    sound: str = "",
) -> Html:
    """Return shapes in a frame with ticks.

    Parameters
    ----------
    label : what is seen, for those who cannot
    height : pixels
    x_ticks, y_ticks : (value, text); chosen by themselves when None
    unit : said below the plot
    sound : id of a player; a click on the plot plays from there (x in seconds)

    """
    across = ticks(*axes.x) if x_ticks is None else x_ticks
    upward = ticks(*axes.y, most=5) if y_ticks is None else y_ticks
    grid = "".join(f"M0 {_number(float(axes.down(value)))}H{WIDTH}" for value, _ in upward)
    drawing = element(
        "svg",
        element("path", d=grid, class_="grid", fill="none"),
        *shapes,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
    field = element(
        "div",
        drawing,
        class_="field",
        style=f"height:{height}px",
        data_sound=sound or None,
        data_range=json.dumps(list(axes.x)) if sound else None,
    )
    xs = [_label(text, "left", 100 * float(_share(value, axes.x))) for value, text in across]
    ys = [_label(text, "top", 100 - 100 * float(_share(value, axes.y))) for value, text in upward]
    return element(
        "div",
        element("div", *ys, class_="ys", aria_hidden="true"),
        field,
        element("div", *xs, class_="xs", aria_hidden="true"),
        element("div", unit, class_="unit") if unit else "",
        class_="plot",
    )


def _label(text: str, side: str, percent: float) -> Html:
    # At the edges the text stays inside: left-most, right-most, top-most, bottom-most.
    low, high = ("first", "last") if side == "left" else ("last", "first")
    place = low if percent < 3 else high if percent > 97 else None
    return element("span", text, style=f"{side}:{percent:.2f}%", class_=place)


def legend(entries: Sequence[tuple[str, str]], *, shaded: bool = False) -> Html:
    """Return what the colours mean: (colour, words) each."""
    return element(
        "ul",
        *(
            element(
                "li",
                element(
                    "i", class_="span" if shaded else None, style=_mark(colour), aria_hidden="true"
                ),
                words,
            )
            for colour, words in entries
        ),
        class_="legend",
    )


def ticks(low: float, high: float, most: int = 8) -> list[Tick]:
    """Return round values between low and high, at most `most` of them, with their text."""
    if not high > low:
        return [(low, f"{low:g}")]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 2.5, 5, 10) if power * k >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    values = [round((first + k) * step, 10) + 0.0 for k in range(count)]
    return [(value, f"{value:,.6g}") for value in values]

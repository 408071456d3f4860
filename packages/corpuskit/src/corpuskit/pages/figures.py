"""One recording drawn: waveform and level, one or two segmentations over both, players below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corpuskit.pages.marks import Marks
from corpuskit.pages.recordings import QUIETEST, Shown, levels_of
from corpuskit.report.markup import Html, element, joined
from corpuskit.report.parts import paragraph
from corpuskit.report.sound import excerpt, gain_for, player, players
from corpuskit.report.svg import Axes, legend, line, plot, rule, spans, waveform

__all__ = ["LEGEND", "Excerpt", "figure", "key"]

Seconds = tuple[float, float]
LEGEND = (
    ("cut", "cut off at head and tail"),
    ("silent", "silent inside"),
    ("break", "a phrase ends"),
)
RULES = ("first", "second")  # colours of the thresholds of before and after


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A button below a recording."""

    label: str
    spans: tuple[Seconds, ...]
    louder: bool = False  # bring what may be too quiet up to a level that can be judged


def key(*more: tuple[str, str]) -> Html:
    """Return the legend of the figures."""
    return legend([*LEGEND, *more], shaded=True)


def figure(
    name: str,
    shown: Shown,
    caption: str,
    marks: Mapping[str, Marks],
    *,
    thresholds: Sequence[float] = (),
    excerpts: Sequence[Excerpt] = (),
    noted: Sequence[Seconds] = (),
) -> Html:
    """Return the figure of a recording.

    Parameters
    ----------
    name : id in the page
    marks : one segmentation, or two of which the first is drawn above the second
    thresholds : dBFS, drawn into the level curve
    excerpts : what can be heard besides the whole recording
    noted : spans to be pointed at

    """
    seconds = shown.seconds
    wave, level = (Axes(x=(0.0, seconds), y=y) for y in ((-1.0, 1.0), (QUIETEST, 0.0)))
    sound = name if shown.sound is not None else ""
    parts = []
    if shown.sound is not None:
        peak = max(float(np.abs(shown.sound.samples).max(initial=0.0)), 1e-9)
        parts.append(
            plot(
                wave,
                waveform(wave, shown.sound.samples / peak, shown.sound.rate),
                *_drawn(wave, marks, noted),
                label=f"Waveform of {caption}",
                height=96 if len(marks) > 1 else 72,
                x_ticks=[] if shown.curve else None,
                y_ticks=_rows(marks, wave),
                sound=sound,
            )
        )
    if shown.curve is not None:
        over = [] if shown.sound is not None else list(_drawn(level, marks, noted))
        parts.append(
            plot(
                level,
                line(level, *levels_of(shown.curve), colour="level"),
                *over,
                *(rule(level, y=t, colour=c) for t, c in zip(thresholds, RULES, strict=False)),
                label=f"Level of {caption}",
                height=70 if shown.sound is not None else 110,
                y_ticks=[(QUIETEST, f"{QUIETEST:g}"), (-50.0, "-50"), (0.0, "0")],
                unit="seconds; dBFS",
                sound=sound,
            )
        )
    return element(
        "figure", element("figcaption", caption), *parts, _below(name, shown, caption, excerpts)
    )


def _rows(marks: Mapping[str, Marks], axes: Axes) -> list[tuple[float, str]]:
    if len(marks) < 2:
        return []
    low, high = axes.y
    return [
        (high - (high - low) * (place + 0.5) / len(marks), label)
        for place, label in enumerate(marks)
    ]


def _drawn(axes: Axes, marks: Mapping[str, Marks], noted: Sequence[Seconds]) -> Iterator[Html]:
    """Draw each segmentation into its own band of the height, the first above."""
    count = max(1, len(marks))
    hair = 0.0015 * (axes.x[1] - axes.x[0])  # seconds; half the width of a phrase's end
    for place, each in enumerate(marks.values()):
        band = (1 - (place + 1) / count, 1 - place / count)
        yield spans(axes, each.cut, colour="cut", band=band)
        yield spans(axes, each.silent, colour="silent", band=band)
        ends = [(at - hair, at + hair) for at in each.breaks]
        yield spans(axes, ends, colour="break", band=band, solid=True)
    if count > 1:
        yield rule(axes, y=sum(axes.y) / 2, colour="faint")
    yield spans(axes, noted, colour="accent", band=(0.0, 0.06), solid=True)


def _below(name: str, shown: Shown, caption: str, excerpts: Sequence[Excerpt]) -> Html:
    if shown.sound is None:
        return paragraph(f"Cannot be played: {shown.why}.", faint=True)
    samples, rate = shown.sound.samples, shown.sound.rate
    buttons = [
        excerpt(
            name,
            each.spans,
            label=each.label,
            gain=gain_for(samples, rate, each.spans) if each.louder else 0.0,
        )
        for each in excerpts
        if each.spans
    ]
    return players(player(name, samples, rate, label=f"Recording of {caption}"), joined(*buttons))

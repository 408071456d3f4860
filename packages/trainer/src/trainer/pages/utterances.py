"""Utterances on a page: players, mels above each other, F0 contours, alignments."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from corpuskit.report.markup import Html, element, joined
from corpuskit.report.parts import heading, paragraph
from corpuskit.report.sound import player, players
from corpuskit.report.svg import Axes, legend, line, picture, plot
from trainer.examples import Conversion, Example, Voice
from trainer.pages.charts import colour_of

__all__ = ["utterances"]

SOURCE, TARGET = "first", "ink"


def utterances(examples: Sequence[Example]) -> Html:
    """Show each example."""
    return joined(*(_utterance(number, each) for number, each in enumerate(examples)))


def _utterance(number: int, example: Example) -> Html:
    return joined(
        heading(f"{example.pair} ({example.split})"),
        players(*_players(number, example)),
        _mels(number, example),
        element("div", _contours(example), _alignment(example), class_="columns"),
    )


def _players(number: int, example: Example) -> list[Html]:
    sounds: list[tuple[str, str, tuple[npt.NDArray[np.floating], int] | None]] = [
        ("source", f"{example.source.speaker}, the source", example.source.sound),
        *(
            (f"run{place}", f"{_of(example)} by {_by(each)}", each.sound)
            for place, each in enumerate(example.conversions)
        ),
        ("target", f"{example.target.speaker}, the real target", example.target.sound),
    ]
    found = []
    for name, label, sound in sounds:
        if sound is None:
            found.append(paragraph(f"{label}: its recording is gone", faint=True))
            continue
        samples, rate = sound
        heard = player(f"{name}-{number}", samples.astype(np.float64), rate, label=label)
        found.append(element("span", element("span", label), heard))
    return found


def _of(example: Example) -> str:
    return f"{example.source.speaker} as {example.target.speaker}"


def _by(conversion: Conversion) -> str:
    return f"run {conversion.run} ({conversion.checkpoint}, {conversion.vocoder})"


def _mels(number: int, example: Example) -> Html:
    """Draw the mels on one time axis and one scale, that of the target's."""
    mels = [
        (f"{example.source.speaker}, the source", example.source.mel, f"source-{number}"),
        *(
            (f"by {_by(each)}", each.mel, f"run{place}-{number}")
            for place, each in enumerate(example.conversions)
        ),
        (f"{example.target.speaker}, the real target", example.target.mel, f"target-{number}"),
    ]
    longest = max(len(mel) for _, mel, _ in mels) * example.frame
    limits = float(example.target.mel.min()), float(example.target.mel.max())
    playable = {
        f"source-{number}": example.source.sound,
        f"target-{number}": example.target.sound,
    }
    figures = []
    for label, mel, sound in mels:
        axes = Axes(x=(0.0, longest), y=(0.0, float(mel.shape[1])))
        seen = (0.0, len(mel) * example.frame)
        image = picture(axes, _heat(mel, limits), seen, axes.y)
        figures.append(
            element(
                "figure",
                element("figcaption", label),
                plot(
                    axes,
                    image,
                    label=f"mel of {label}",
                    height=90,
                    y_ticks=[],
                    sound=sound if playable.get(sound, True) is not None else "",
                ),
            )
        )
    return joined(*figures)


def _heat(mel: npt.NDArray[np.float32], limits: tuple[float, float]) -> str:
    """Return (T, bands) as a PNG, low bands at the bottom, as a data URI."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    low, high = limits
    picture = np.clip((mel.T[::-1] - low) / max(high - low, 1e-6), 0, 1)
    imsave(buffer, picture, cmap="magma", vmin=0, vmax=1, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _contours(example: Example) -> Html:
    """Draw F0 of source, conversions and target, in Hz on a logarithmic scale."""
    voices: list[tuple[str, str, Voice | Conversion]] = [
        (SOURCE, "source", example.source),
        *(
            (colour_of(place), f"by run {each.run}", each)
            for place, each in enumerate(example.conversions)
        ),
        (TARGET, "target", example.target),
    ]
    heard = np.concatenate([each.contour.f0 for _, _, each in voices])
    heard = heard[np.isfinite(heard)]
    if not len(heard):
        return paragraph("no voiced frame on either side", faint=True)
    longest = max(float(each.contour.times.max(initial=0.1)) for _, _, each in voices)
    low, high = np.log2(heard.min() * 0.95), np.log2(heard.max() * 1.05)
    axes = Axes(x=(0.0, longest), y=(float(low), float(high)))
    steps = [value for value in (50, 75, 100, 150, 200, 300, 400, 600, 800) if value > 0]
    marks = [
        (float(np.log2(value)), str(value)) for value in steps if low <= np.log2(value) <= high
    ]
    lines = [
        line(axes, each.contour.times, np.log2(each.contour.f0), colour=colour)
        for colour, _, each in voices
    ]
    return element(
        "figure",
        element("figcaption", "F0 in Hz over seconds"),
        legend([(colour, words) for colour, words, _ in voices]),
        plot(axes, *lines, label="F0 of source, conversions and target", y_ticks=marks),
    )


def _alignment(example: Example) -> Html:
    """Draw where each moment of the source comes in the conversion, and in the real target."""
    paths = [
        *(
            (colour_of(place), f"by run {each.run}", each.path)
            for place, each in enumerate(example.conversions)
        ),
    ]
    if example.path is not None:
        paths.append((TARGET, "the dataset's alignment", example.path))
    step = example.reduction * example.frame
    longest = max(len(path) for _, _, path in paths) * step
    highest = max(float(path[-1]) for _, _, path in paths)
    axes = Axes(x=(0.0, longest), y=(0.0, max(highest, step)))
    lines = [
        line(axes, np.arange(len(path), dtype=np.float64) * step, path, colour=colour)
        for colour, _, path in paths
    ]
    return element(
        "figure",
        element("figcaption", "seconds of the target over seconds of the source"),
        legend([(colour, words) for colour, words, _ in paths]),
        plot(axes, *lines, label="alignment of source and target"),
    )

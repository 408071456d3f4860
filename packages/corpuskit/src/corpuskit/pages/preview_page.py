"""A preview as one page: the recommendation, the tables, and sample utterances to hear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from corpuskit.audio import Sound, resample
from corpuskit.config import SilenceConfig
from corpuskit.errors import BadAudio
from corpuskit.layouts import Found
from corpuskit.levels import CENTRES, STEP
from corpuskit.pages.recordings import QUIETEST, levels_of
from corpuskit.pairs import Candidate
from corpuskit.preview.rows import Row
from corpuskit.preview.survey import Previewed
from corpuskit.preview.words import (
    PHRASES_HEADER,
    THRESHOLDS_HEADER,
    VOICES_HEADER,
    command,
    findings,
    label_of,
    phrases_row,
    rows_of,
    threshold_row,
    voice_row,
    voices_of,
)
from corpuskit.recordings import opened
from corpuskit.report.choice import chooser, when
from corpuskit.report.histogram import counted
from corpuskit.report.markup import Html, element, joined
from corpuskit.report.page import Page, Section, write_page
from corpuskit.report.parts import columns, heading, notice, paragraph, table
from corpuskit.report.sound import excerpt, gain_for, player, players
from corpuskit.report.svg import Axes, legend, line, plot, rule, spans, waveform
from corpuskit.silence import LevelCurve, Segmentation, analyse, level_curve
from corpuskit.tables import counted as how_many

__all__ = ["preview_page", "write_preview"]

Span = tuple[float, float]  # seconds

GROUP = "threshold"  # of what the buttons choose
DRAWN, DISPUTED = 5, 3  # pairs shown: drawn by chance, and those the thresholds change most
LISTENING_RATE = 24000  # Hz; what has more is brought down to it to keep the page small
MOST_PHRASES = 12  # in a histogram; more are counted with these
VOICE_COLOURS = ("first", "second", "third", "fourth")


def write_preview(path: Path, found: Previewed) -> None:
    """Write a preview as one self-contained page."""
    write_page(path, preview_page(found))


def preview_page(found: Previewed) -> Page:
    """Return the page of a preview; recordings of the sample pairs are read for it."""
    looked = len(found.looked.pairs)
    return Page(
        title=f"Silence thresholds of {found.request.name}",
        lead=f"{looked:,} of {how_many(found.candidates, 'pair')} looked at. "
        f"Recommended: {command(found)}",
        sections=[
            Section(title="Recommendation", body=_recommendation(found)),
            Section(title="What each threshold does", short="Thresholds", body=_tables(found)),
            Section(title="Levels of each voice", short="Levels", body=_levels(found)),
            Section(title="Phrases per utterance", short="Phrases", body=_phrases(found)),
            Section(title="Utterances", body=_utterances(found)),
        ],
        footer="Levels are RMS in dBFS. Nothing was built or changed for this page.",
    )


# --------------------------------------------------------------------- words


def _recommendation(found: Previewed) -> Html:
    best = found.recommended
    notices = [
        notice(
            "good" if best.fits else "warning",
            f"Take {command(found)}",
            *(f"Because {t}." for t in best.reasons),
        )
    ]
    told = [f"{text[0].upper()}{text[1:]}." for text in findings(found)]
    if told:
        notices.append(notice("plain", "What the levels tell", *told))
    for row in found.rows:
        if row.warnings:
            warned = (f"It {text}." for text in row.warnings)
            notices.append(notice("warning", f"{row.thresh:g} dBFS", *warned))
    if found.set_aside:
        count = f"{how_many(len(found.set_aside), 'recording')} cannot be used"
        shown = [f"{name} {why}" for name, why in list(found.set_aside.items())[:5]]
        notices.append(notice("warning", count, *shown))
    return joined(*notices)


def _tables(found: Previewed) -> Html:
    rows = rows_of(found)
    cells = [threshold_row(found, row, side) for row in rows for side in ("source", "target")]
    last = len(cells) - 1
    return joined(
        table(
            THRESHOLDS_HEADER,
            cells,
            caption="Seconds cut off at the ends and marked silent inside, over all pairs",
            marked=[last - 1, last],
        ),
        table(
            PHRASES_HEADER,
            [phrases_row(found, row, each) for row in rows for each in row.phrases],
            caption="Phrases: a silence this long ends one; the last column is phrases:utterances",
        ),
    )


def _levels(found: Previewed) -> Html:
    shown = voices_of(found, len(VOICE_COLOURS))
    axes = Axes(x=(QUIETEST, 0.0), y=(0.0, 1.0))
    curves = []
    for colour, name in zip(VOICE_COLOURS, shown, strict=False):
        counts = np.convolve(found.looked.levels[name].all, np.ones(4) / 4, mode="same")
        heights = np.sqrt(counts / max(1.0, float(counts.max())))
        curves.append(line(axes, CENTRES + STEP / 2, heights, colour=colour))
    rules = [rule(axes, x=row.thresh, colour="cut") for row in found.rows]
    best = rule(axes, x=found.recommended.thresh, colour="good")
    marks = [*zip(VOICE_COLOURS, shown, strict=False), ("cut", "asked"), ("good", "recommended")]
    return joined(
        table(VOICES_HEADER, [voice_row(found, name) for name in found.profiles]),
        paragraph(
            "How often each level occurs in windows of 50 ms, digital zero left out (square "
            "root, to show the noise beside the speech). A threshold belongs into the valley "
            "between noise (left) and speech (right)."
        ),
        legend(marks),
        plot(
            axes,
            *curves,
            *rules,
            best,
            label=f"Distribution of levels of {', '.join(shown)}",
            height=170,
            y_ticks=[],
            unit="dBFS",
        ),
    )


def _phrases(found: Previewed) -> Html:
    rows = rows_of(found)
    most = max(max((*p.source, *p.target), default=1) for row in rows for p in row.phrases)
    parts = []
    plotted = [(label_of(found, row), phrases) for row in rows for phrases in row.phrases]
    for label, each in plotted:
        title = f"{label}, silences of {each.min_silence_len} ms"
        drawn = counted(
            {"source": each.source, "target": each.target},
            label=f"Phrases per utterance: {title}",
            unit="phrases",
            limits=(1, min(most, MOST_PHRASES)),
        )
        parts.append(joined(heading(title), drawn))
    return columns(*parts)


# ---------------------------------------------------------------- utterances


def _utterances(found: Previewed) -> Html:
    rows = rows_of(found)
    options = [(str(place), label_of(found, row)) for place, row in enumerate(rows)]
    drawn, disputed = _shown(found)
    return joined(
        chooser(GROUP, "Threshold, dBFS", options, options[-1][0]),
        paragraph(
            "Choose a threshold (arrow keys work); listen to what it keeps and to what it throws "
            "away. Quiet parts are played louder, by the decibels told. A click on a plot plays "
            "from there."
        ),
        legend(
            (
                ("cut", "cut off at head and tail"),
                ("silent", "silent inside (kept, marked)"),
                ("break", f"a silence of {found.grid[0][0].min_silence_len} ms: a phrase ends"),
            ),
            shaded=True,
        ),
        *(_pair(found, pair, rows, number) for number, pair in enumerate(drawn)),
        heading("Where the thresholds differ most") if disputed else "",
        *(_pair(found, pair, rows, len(drawn) + n) for n, pair in enumerate(disputed)),
    )


def _shown(found: Previewed) -> tuple[list[Candidate], list[Candidate]]:
    """Return pairs drawn by chance, and of the others those the thresholds change most."""
    pairs = found.looked.pairs
    others = sorted(pairs[DRAWN:], key=lambda pair: (-found.looked.disputed(pair), pair.id))
    return list(pairs[:DRAWN]), others[:DISPUTED]


def _pair(found: Previewed, pair: Candidate, rows: Sequence[Row], number: int) -> Html:
    sides = ((pair.source, "source"), (pair.target, "target"))
    return joined(
        "\n",
        heading(pair.sentence),
        paragraph(pair.source.text) if pair.source.text else "",
        columns(*(_side(found, each, side, rows, f"{side}-{number}") for each, side in sides)),
    )


def _side(found: Previewed, recording: Found, side: str, rows: Sequence[Row], name: str) -> Html:
    sound, curve = _opened(recording)
    seconds = sound.seconds
    grid = [*found.grid, *found.recommended_grid]
    decided = [_decided(analyse(curve, settings[0]), curve) for settings in grid]
    selected = str(len(rows) - 1)
    wave = Axes(x=(0.0, seconds), y=(-1.0, 1.0))
    level = Axes(x=(0.0, seconds), y=(QUIETEST, 0.0))
    peak = max(float(np.abs(sound.samples).max()), 1e-9)
    label = f"{recording.speaker} ({side}), {seconds:.2f} s"

    def shaded(axes: Axes) -> Iterator[Html]:
        for place, each in enumerate(decided):
            yield when(GROUP, str(place), selected, *_marks(axes, each), name="g")

    thresholds = (
        when(GROUP, str(place), selected, *_rules(level, settings[0]), name="g")
        for place, settings in enumerate(grid)
    )
    return element(
        "figure",
        element("figcaption", label),
        plot(
            wave,
            waveform(wave, sound.samples / peak, sound.rate),
            *shaded(wave),
            label=f"Waveform of {label}",
            height=64,
            x_ticks=[],
            y_ticks=[],
            sound=name,
        ),
        plot(
            level,
            line(level, *levels_of(curve), colour="level"),
            *shaded(level),
            *thresholds,
            label=f"Level of {label}",
            height=90,
            y_ticks=[(QUIETEST, f"{QUIETEST:g}"), (-50.0, "-50"), (0.0, "0")],
            unit="seconds; dBFS",
            sound=name,
        ),
        players(
            player(name, sound.samples, sound.rate, label=f"Recording of {label}"),
            *(
                when(GROUP, str(place), selected, *_excerpts(name, each, sound))
                for place, each in enumerate(decided)
            ),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Decided:
    """A segmentation as spans in seconds of the recording."""

    kept: Sequence[Span]
    cut: Sequence[Span]
    silences: Sequence[Span]
    breaks: Sequence[Span]


def _decided(found: Segmentation, curve: LevelCurve) -> _Decided:
    ends = [(0, found.start), (found.stop, curve.samples)]

    def seconds(spans: Iterable[tuple[int, int]]) -> list[Span]:
        return [(first / curve.rate, stop / curve.rate) for first, stop in spans if stop > first]

    return _Decided(
        kept=seconds([(found.start, found.stop)]),
        cut=seconds([(0, curve.samples)] if found.empty else ends),
        silences=seconds(found.silences),
        breaks=seconds(found.breaks),
    )


def _marks(axes: Axes, decided: _Decided) -> Iterator[Html]:
    yield spans(axes, decided.cut, colour="cut")
    yield spans(axes, decided.silences, colour="silent")
    yield spans(axes, decided.breaks, colour="break", band=(0.94, 1.0), solid=True)


def _rules(axes: Axes, settings: SilenceConfig) -> Iterator[Html]:
    yield rule(axes, y=max(settings.thresh, QUIETEST), colour="cut")


def _excerpts(name: str, decided: _Decided, sound: Sound) -> Iterator[Html]:
    yield excerpt(name, decided.kept, label="kept")
    for label, where in (("cut off", decided.cut), ("silent inside", decided.silences)):
        gain = gain_for(sound.samples, sound.rate, where)
        yield excerpt(name, where, label=label, gain=gain)


def _opened(recording: Found) -> tuple[Sound, LevelCurve]:
    """Return a recording as it is listened to, and its level curve as it is decided on."""
    try:
        sound, _ = opened(recording.path, recording.clip)
    except BadAudio as error:
        raise BadAudio(f"{recording.id} {error.problem}", "did it change just now?") from None
    curve = level_curve(sound)
    if sound.rate > LISTENING_RATE:
        samples = resample(sound.samples, sound.rate, LISTENING_RATE)
        sound = replace(sound, samples=samples, rate=LISTENING_RATE)
    return sound, curve

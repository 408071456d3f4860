"""A few held-out utterances as some runs convert them: sounds, mels, F0 and alignments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.errors import CorpuskitError
from corpuskit.features import extract, for_voice
from corpuskit.versions import Pair, Version, open_version
from trainer.convert import Converter
from trainer.heldout import drawn, held_out
from trainer.originals import original
from trainer.runs import Run
from trainer.vocoders.speech import aloud

__all__ = ["Contour", "Conversion", "Example", "Voice", "examples"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
SPLITS = ("eval", "dev")  # where examples are taken from, in order


@dataclass(frozen=True, kw_only=True)
class Contour:
    """F0 over time."""

    times: Float64  # (T,) seconds
    f0: Float64  # (T,) Hz, NaN where unvoiced


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One side of an utterance, as it was recorded."""

    speaker: str
    mel: Float32  # (T, bands) natural log
    contour: Contour
    sound: tuple[npt.NDArray[np.float64], int] | None  # samples and rate; None where it is gone


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """An utterance as one run converts it."""

    run: str
    checkpoint: str
    vocoder: str
    mel: Float32  # (T', bands) natural log
    contour: Contour  # measured on the sound
    sound: tuple[Float32, int]
    path: Float64  # (S + 1,) seconds of the target at the end of each reduced source frame


@dataclass(frozen=True, kw_only=True)
class Example:
    """One utterance: the source, its conversions, the real target."""

    pair: str
    split: str
    frame: float  # seconds of a frame
    reduction: int  # frames in a reduced one
    source: Voice
    target: Voice
    conversions: tuple[Conversion, ...]
    path: Float64 | None  # as that of a conversion, of the dataset's own durations


def examples(
    runs: Sequence[tuple[Run, str]],
    count: int,
    seed: int = 0,
    device: str = "auto",
    vocoder: str | None = None,
) -> Iterator[Example | str]:
    """Convert `count` utterances with each of (run, checkpoint); a text says why there are fewer.

    They are those of the first run's dataset that no run was trained on, drawn by a hash of their
    names and `seed`: the same ones every time. `vocoder` None: each run's own.
    """
    if not count:
        return
    first = runs[0][0]
    try:
        version = open_version(first.workspace, first.record.dataset.name)
    except CorpuskitError as error:
        yield f"no utterances: {error}"
        return
    converters, problems = _converters(runs, version, device, vocoder)
    yield from problems
    pairs = _chosen(version, [run for run, _ in runs if run.tag in converters], count, seed)
    if not pairs:
        yield f"no utterances: dataset {version.name} has no held-out pair these runs can convert"
    for pair in pairs if converters else ():
        yield _example(version, pair, converters)


def _converters(
    runs: Sequence[tuple[Run, str]], version: Version, device: str, vocoder: str | None
) -> tuple[dict[str, tuple[Converter, str]], list[str]]:
    """Load each run's checkpoint; say which cannot be heard on these utterances."""
    found, problems = {}, []
    for run, which in runs:
        try:
            place = run.checkpoint(which)
            if run.settings.features != version.settings.features:
                raise CorpuskitError("it was trained on other features than these utterances'")
            found[run.tag] = (Converter.of(run, place, device, vocoder), place.folder.name)
        except CorpuskitError as error:
            problems.append(f"run {run.tag} converts nothing here: {error}")
    return found, problems


def _chosen(version: Version, runs: Sequence[Run], count: int, seed: int) -> list[Pair]:
    for split in SPLITS:
        pairs, _ = held_out(version, runs, split)
        if pairs:
            return sorted(drawn(pairs, seed)[:count], key=lambda pair: pair.id)
    return []


def _example(
    version: Version, pair: Pair, converters: Mapping[str, tuple[Converter, str]]
) -> Example:
    settings = version.settings
    frame = settings.features.hop_length / settings.audio.rate
    reduction = settings.align.reduction
    return Example(
        pair=pair.id,
        split=pair.split,
        frame=frame,
        reduction=reduction,
        source=_voice(version, pair, "source", frame),
        target=_voice(version, pair, "target", frame),
        conversions=tuple(
            _conversion(version, pair, tag, *each) for tag, each in converters.items()
        ),
        path=_path(version.durations(pair), reduction * frame),
    )


def _voice(version: Version, pair: Pair, which: str, frame: float) -> Voice:
    side = getattr(pair, which)
    features = version.features(side)
    recordings = {each.id: each for each in version.recordings}
    try:
        sound = original(version, recordings[side.recording], side).read()
    except CorpuskitError:
        sound = None
    return Voice(
        speaker=side.speaker, mel=features.mel, contour=_contour(features.f0, frame), sound=sound
    )


def _conversion(
    version: Version, pair: Pair, tag: str, converter: Converter, checkpoint: str
) -> Conversion:
    source, target = pair.source, pair.target
    given = (version.features(source), tuple(source.silences))
    (made,) = converter.made([given], source.speaker, target.speaker)
    samples = aloud(converter.vocoder, made.speech)
    settings = version.settings
    rate, frame = settings.audio.rate, settings.features.hop_length / settings.audio.rate
    search = for_voice(settings.features, converter.f0_ranges.get(target.speaker))
    return Conversion(
        run=tag,
        checkpoint=checkpoint,
        vocoder=converter.vocoder.name,
        mel=made.mel,
        contour=_contour(extract(samples.astype(np.float64), rate, search).f0, frame),
        sound=(samples, rate),
        path=_path(made.durations, settings.align.reduction * frame),
    )


def _contour(f0: Float32, frame: float) -> Contour:
    return Contour(
        times=np.arange(len(f0), dtype=np.float64) * frame,
        f0=np.where(f0 > 0, f0, np.nan).astype(np.float64),
    )


def _path(durations: npt.NDArray[np.integer], step: float) -> Float64:
    return np.concatenate(([0], np.cumsum(durations))).astype(np.float64) * step

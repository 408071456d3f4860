"""What is decided about one recording and about one pair, from stored measurements only.

No audio is opened here. A decision that was made before is found in the store under the
key of everything it depends on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit import align, silence
from corpuskit.config import DatasetConfig
from corpuskit.errors import BadVersion
from corpuskit.features import Features, continuous_log_f0, for_voice, frame_count, log_energy
from corpuskit.layouts import Found
from corpuskit.levels import Levels
from corpuskit.objects import Key, Store, libraries
from corpuskit.pairs import Candidate
from corpuskit.recordings import Facts, load_heard, object_names
from corpuskit.statistics import counted_f0, moments
from corpuskit.tiers import HandTiers
from corpuskit.versions import Side

__all__ = ["Aligned", "Segmented", "align_pair", "alignment_key", "segment"]

Int32 = npt.NDArray[np.int32]
Float64 = npt.NDArray[np.float64]
Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Segmented:
    """A measured recording and what is kept of it."""

    facts: Facts
    levels: str
    features: str
    segmentation: silence.Segmentation | None  # None when the recording has a problem
    heard: Levels | None = None  # how loud it is, window by window
    hand: HandTiers | None = None  # where the segmentation is a hand's, not the thresholds'


@dataclass(frozen=True, kw_only=True)
class Aligned:
    """One pair with every decision but its split."""

    source: Side
    target: Side
    breaks: Span
    merged: int
    alignment: str
    durations: Int32
    cost: float
    moments: Float64  # (2, 2, bands + 2): side, sum and sum of squares, feature
    f0: Int32  # (2, F0_BINS): side, kept frames counted by F0
    fresh: bool  # aligned now, not found in the store


def segment(
    store: Store,
    settings: DatasetConfig,
    facts: Facts,
    f0_range: tuple[float, float] | None = None,
    hand: HandTiers | None = None,
) -> Segmented | None:
    """Decide what is kept of a measured recording; None when its objects are not whole.

    `f0_range` (Hz) is the speaker's, as in `features.for_voice`. What a hand decided
    overrules the thresholds; where both agree, nothing is by hand.
    """
    if facts.problem:
        return Segmented(facts=facts, levels="", features="", segmentation=None)
    levels, features = object_names(facts, settings.audio, for_voice(settings.features, f0_range))
    try:
        curve, heard = load_heard(store, levels, facts)
    except BadVersion:
        return None
    if not store.sound(features):
        return None
    automatic = silence.analyse(curve, settings.silence)
    corrected = hand is not None and hand.segmentation != automatic
    return Segmented(
        facts=facts,
        levels=levels,
        features=features,
        segmentation=hand.segmentation if hand is not None else automatic,
        heard=heard,
        hand=hand if corrected else None,
    )


def align_pair(
    segmented: Mapping[str, Segmented],
    store: Store,
    settings: DatasetConfig,
    candidate: Candidate,
) -> Aligned | str:
    """Align one pair, from the store where it was aligned before; or say why it cannot be."""
    kept: list[Span] = []
    sides = (segmented[candidate.source.id], segmented[candidate.target.id])
    for role, side in zip(("source", "target"), sides, strict=True):
        problem, frames = _usable(side, settings)
        if problem:
            return f"{role} {problem}"
        kept.append(frames)
    silences = tuple(
        _to_frames(side, "silences", frames, settings)
        for side, frames in zip(sides, kept, strict=True)
    )
    key = alignment_key(sides, kept, silences, settings)
    arrays, fresh = _stored_alignment(store, key, sides, kept, silences, settings)
    for role, voiced in zip(("source", "target"), arrays["voiced"], strict=True):
        if not voiced:
            return f"{role} has no voiced frame"
    breaks = tuple(
        _to_frames(side, "breaks", frames, settings)
        for side, frames in zip(sides, kept, strict=True)
    )
    durations = arrays["durations"]
    phrases = align.phrase_lengths(
        [begin for begin, _ in breaks[1]], durations, settings.align.reduction
    )
    return Aligned(
        source=_side(candidate.source, sides[0], kept[0], silences[0], phrases.source),
        target=_side(candidate.target, sides[1], kept[1], silences[1], phrases.target),
        breaks=(len(breaks[0]), len(breaks[1])),
        merged=phrases.merged,
        alignment=key.hex(),
        durations=durations,
        cost=float(arrays["cost"][0]),
        moments=arrays["moments"],
        f0=arrays["f0"],
        fresh=fresh,
    )


def _usable(side: Segmented, settings: DatasetConfig) -> tuple[str, Span]:
    """Return what is wrong with a side (empty when nothing) and its kept frames."""
    facts, segmentation = side.facts, side.segmentation
    if segmentation is None:
        return facts.problem, (0, 0)
    if segmentation.empty:
        return "is below the silence thresholds from end to end", (0, 0)
    working, hop = settings.audio.rate, settings.features.hop_length
    samples = -(-facts.samples * working // facts.rate)
    frames = silence.kept_frames(
        segmentation, facts.samples, facts.rate, frame_count(samples, hop), (working, hop)
    )
    if frames[1] - frames[0] < settings.align.reduction:
        return "keeps less than one reduced frame after trimming", frames
    return "", frames


def _to_frames(
    side: Segmented, which: str, kept: Span, settings: DatasetConfig
) -> tuple[Span, ...]:
    return silence.spans_to_frames(
        getattr(side.segmentation, which),
        kept,
        side.facts.rate,
        (settings.audio.rate, settings.features.hop_length),
    )


def alignment_key(
    sides: Sequence[Segmented],
    kept: Sequence[Span],
    silences: Sequence[Sequence[Span]],
    settings: DatasetConfig,
) -> Key:
    """Return the key of one pair's alignment: both features, what is kept of them, settings."""
    return Key(
        stage="alignment",
        version=align.VERSION,
        inputs={
            "source": sides[0].features,
            "target": sides[1].features,
            "source_frames": list(kept[0]),
            "target_frames": list(kept[1]),
            "source_silences": [list(span) for span in silences[0]],
            "target_silences": [list(span) for span in silences[1]],
        },
        settings={
            "method": settings.align.method,
            "normalise": settings.align.normalise,
            "reduction": settings.align.reduction,
            "energy_gate": settings.features.energy_gate,
        },
        libraries=libraries("numpy", "numba"),
    )


def _stored_alignment(
    store: Store,
    key: Key,
    sides: Sequence[Segmented],
    kept: Sequence[Span],
    silences: Sequence[Sequence[Span]],
    settings: DatasetConfig,
) -> tuple[Mapping[str, npt.NDArray[Any]], bool]:
    try:
        return store.get(key.hex()), False
    except BadVersion:
        pass
    views = [
        _load_features(store, side.features).cut(*frames)
        for side, frames in zip(sides, kept, strict=True)
    ]
    gate, reduction = settings.features.energy_gate, settings.align.reduction
    alignment = align.align(
        views[0].mel,
        views[1].mel,
        silences[0],
        reduction,
        target_silences=silences[1],
        normalise=settings.align.normalise,
    )
    pitches = [continuous_log_f0(view.f0, view.energy, gate) for view in views]
    energies = [log_energy(view.energy, gate) for view in views]
    arrays: dict[str, npt.NDArray[Any]] = {
        "durations": alignment.durations,
        "cost": np.array([alignment.cost], dtype=np.float32),
        "moments": np.stack(
            [moments(*each) for each in zip(views, pitches, energies, strict=True)]
        ),
        "f0": np.stack([counted_f0(view.f0) for view in views]),
        "voiced": np.array([pitch.any() for pitch in pitches], dtype=np.int32),
    }
    store.put(key, arrays)
    return arrays, True


def _load_features(store: Store, name: str) -> Features:
    arrays = store.get(name)
    return Features(f0=arrays["f0"], energy=arrays["energy"], mel=arrays["mel"])


def _side(
    found: Found,
    side: Segmented,
    kept: Span,
    silences: tuple[Span, ...],
    phrases: tuple[int, ...],
) -> Side:
    segmentation = side.segmentation
    assert segmentation is not None
    return Side(
        speaker=found.speaker,
        recording=found.id,
        object=side.features,
        rate=side.facts.rate,
        length=side.facts.samples,
        samples=(segmentation.start, segmentation.stop),
        frames=kept,
        silences=silences,
        phrases=phrases,
    )

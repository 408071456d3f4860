"""One pair as it would be under other settings, from stored measurements only.

A `World` is what decides about a pair: settings, and from which of two versions its inputs
come. Where a world decides about a pair as one of the versions did, that version's own outcome
is taken; else the pair is segmented and aligned in memory. Nothing is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpuskit import silence
from corpuskit.config import DatasetConfig, FeatureConfig
from corpuskit.decisions import Aligned, Segmented, align_pair
from corpuskit.errors import BadVersion
from corpuskit.features import for_voice
from corpuskit.layouts import Found
from corpuskit.objects import Arrays, Key, Store
from corpuskit.pairs import Candidate
from corpuskit.recordings import Facts, load_levels, object_names
from corpuskit.tiers import HandTiers
from corpuskit.totals import silent_seconds, speech_seconds
from corpuskit.versions import Pair, Recording, Side, Version

__all__ = ["Outcome", "Pairs", "Unknown", "World", "extraction"]

Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class World:
    """What decides about pairs; False takes A's inputs, True B's."""

    settings: DatasetConfig
    selection: bool = False  # which pairs are candidates
    audio: bool = False  # samples and F0 ranges of the recordings both know
    tiers: bool = False  # what was corrected by hand
    code: bool = False  # outcomes where nothing else decides otherwise


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one used pair, in the units effects are told in (both sides added)."""

    speech: float  # seconds
    head: float
    tail: float
    silent: float
    phrases: int  # of the target
    disagrees: bool
    frames: int  # reduced target frames
    durations: str  # digest
    sentence: str
    decisions: str  # digest of all the above and where it lies


@dataclass(frozen=True)
class Unknown:
    """Why it cannot be told what would become of a pair."""

    reason: str


@dataclass(frozen=True)
class _Reading(Store):
    """A store nothing is written to."""

    def put(self, key: Key, arrays: Arrays) -> str:  # noqa: ARG002 - a store's signature
        return key.hex()


def extraction(settings: DatasetConfig) -> tuple[int, FeatureConfig]:
    """Return what measured features depend on (the gate works on them, not in them)."""
    from dataclasses import replace

    return settings.audio.rate, replace(settings.features, energy_gate=0.0)


class Pairs:
    """The pairs of two versions of one workspace, in any world between them."""

    def __init__(self, before: Version, after: Version) -> None:
        self._versions = (before, after)
        self._store = _Reading(before.workspace)
        self._recordings = tuple({r.id: r for r in v.recordings} for v in self._versions)
        self._pairs = tuple({p.id: p for p in v.pairs} for v in self._versions)
        self._segmentations: dict[object, silence.Segmentation] = {}

    @cached_property
    def candidates(self) -> tuple[frozenset[str], frozenset[str]]:
        """The ids of all candidate pairs of A and of B."""
        before, after = (
            frozenset([*(p.id for p in v.pairs), *(s.pair for s in v.set_aside)])
            for v in self._versions
        )
        return before, after

    def ends(self) -> tuple[World, World]:
        """Return the worlds of A and of B themselves."""
        before, after = (v.settings for v in self._versions)
        return World(settings=before), World(
            settings=after, selection=True, audio=True, tiers=True, code=True
        )

    def recording(self, world: World, name: str) -> Recording:
        """Return a recording as the world has it."""
        first, second = self._recordings[::-1] if world.audio else self._recordings
        found = first.get(name)
        return found if found is not None and (found.digest or name not in second) else second[name]

    def outcome(self, world: World, pair: str) -> Outcome | Unknown | None:
        """Return what becomes of a pair; None when it is not used."""
        if pair not in self.candidates[world.selection]:
            return None
        for which in (1, 0) if world.code else (0, 1):
            if pair in self.candidates[which] and self._as_in(world, self.ends()[which], pair):
                return self.stored(which, pair)
        try:
            return self._computed(world, pair)
        except BadVersion as error:
            return Unknown(error.problem)

    def stored(self, which: int, pair: str) -> Outcome | None:
        """Return what a version (0: A, 1: B) says became of a pair."""
        version, kept = self._versions[which], self._pairs[which].get(pair)
        if kept is None:
            return None
        return _outcome(kept, version.durations(kept), version.settings)

    def _sides(self, pair: str) -> tuple[str, str]:
        speakers, _, sentence = pair.partition("/")
        source, _, target = speakers.partition(">")
        return f"{source}/{sentence}", f"{target}/{sentence}"

    def _as_in(self, world: World, other: World, pair: str) -> bool:
        """Tell whether two worlds decide about a pair from equal segments and features."""
        one, two = world.settings, other.settings
        if (one.align, one.features.energy_gate) != (two.align, two.features.energy_gate):
            return False
        return all(self._same_side(world, other, name) for name in self._sides(pair))

    def _same_side(self, world: World, other: World, name: str) -> bool:
        first, second = (self.recording(each, name) for each in (world, other))
        if (first.digest, first.f0_range) != (second.digest, second.f0_range):
            return False
        if extraction(world.settings) != extraction(other.settings):
            return False
        if not first.digest or self._decider(world, name) == self._decider(other, name):
            return True
        try:
            segments = [self._segmentation(each, name) for each in (world, other)]
        except BadVersion:
            return False
        return segments[0] == segments[1]

    def _hand(self, world: World, name: str) -> HandTiers | None:
        return self._versions[world.tiers].tiers.get(name)

    def _decider(self, world: World, name: str) -> object:
        """Return what decides about a recording's segments beside its samples."""
        hand = self._hand(world, name)
        return world.settings.silence if hand is None else hand.digest

    def _segmentation(self, world: World, name: str) -> silence.Segmentation:
        hand = self._hand(world, name)
        if hand is not None:
            return hand.segmentation
        recording = self.recording(world, name)
        key = (recording.digest, world.settings.silence)
        if key not in self._segmentations:
            curve = load_levels(self._store, recording.levels, _facts(recording))
            self._segmentations[key] = silence.analyse(curve, world.settings.silence)
        return self._segmentations[key]

    def _computed(self, world: World, pair: str) -> Outcome | None:
        names = self._sides(pair)
        recordings = [self.recording(world, name) for name in names]
        if not all(recording.digest for recording in recordings):
            return None
        segmented = {
            name: Segmented(
                facts=_facts(recording),
                levels=recording.levels,
                features=self.features(world, recording),
                segmentation=self._segmentation(world, name),
                hand=self._hand(world, name),
            )
            for name, recording in zip(names, recordings, strict=True)
        }
        source, target = map(_found, recordings)
        candidate = Candidate(source=source, target=target)
        aligned = align_pair(segmented, self._store, world.settings, candidate)
        if isinstance(aligned, str):
            return None
        return _outcome(_pair(candidate, aligned), aligned.durations, world.settings)

    def features(self, world: World, recording: Recording) -> str:
        """Return the name of a recording's features: a version's own, where they are meant."""
        for version, known in zip(self._versions, self._recordings, strict=True):
            own = known.get(recording.id)
            if (
                own is not None
                and own.features
                and (own.digest, own.f0_range) == (recording.digest, recording.f0_range)
                and extraction(version.settings) == extraction(world.settings)
            ):
                return own.features
        settings = world.settings
        voice = for_voice(settings.features, recording.f0_range)
        return object_names(_facts(recording), settings.audio, voice)[1]


def _facts(recording: Recording) -> Facts:
    return Facts(digest=recording.digest, rate=recording.rate, samples=recording.samples)


def _found(recording: Recording) -> Found:
    return Found(
        id=recording.id,
        speaker=recording.speaker,
        sentence=recording.sentence,
        corpus=recording.corpus,
        relative=recording.path,
        path=Path(recording.path),
    )


def _pair(candidate: Candidate, aligned: Aligned) -> Pair:
    return Pair(
        id=candidate.id,
        sentence=candidate.sentence,
        split="",
        source=aligned.source,
        target=aligned.target,
        breaks=aligned.breaks,
        merged=aligned.merged,
        alignment=aligned.alignment,
        durations=(0, len(aligned.durations)),
    )


def _outcome(pair: Pair, durations: Int32, settings: DatasetConfig) -> Outcome:
    second = settings.features.hop_length / settings.audio.rate
    sides: Sequence[Side] = (pair.source, pair.target)
    digest = hashlib.sha256(durations.astype("<i4").tobytes()).hexdigest()
    decided = [(s.samples, s.frames, s.silences, s.phrases) for s in sides]
    everything = repr((decided, pair.breaks, pair.merged, digest)).encode()
    return Outcome(
        speech=sum(speech_seconds(side, second) for side in sides),
        head=sum(side.head_seconds for side in sides),
        tail=sum(side.tail_seconds for side in sides),
        silent=sum(silent_seconds(side, second) for side in sides),
        phrases=len(pair.target.phrases),
        disagrees=pair.breaks[0] != pair.breaks[1],
        frames=int(durations.sum()),
        durations=digest,
        sentence=pair.sentence,
        decisions=hashlib.sha256(everything).hexdigest(),
    )

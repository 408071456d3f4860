"""Is what is stored what the recordings give: measured and aligned again, compared bit for bit.

A sample is of pairs, drawn by a hash of the fingerprint and the pair's id, so that it is the
same wherever it is drawn; its recordings are measured from the audio, its pairs are segmented and
aligned from what is stored. Nothing is written.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit import engine, silence
from corpuskit.audio import Sound, decode, digest, resample
from corpuskit.config import DatasetConfig
from corpuskit.decisions import Segmented, align_pair
from corpuskit.errors import BadAudio, BadVersion
from corpuskit.features import extract, for_voice
from corpuskit.layouts import Found
from corpuskit.levels import level_arrays
from corpuskit.objects import Arrays, Key, Store, libraries
from corpuskit.pairs import Candidate
from corpuskit.recordings import Facts, load_levels
from corpuskit.verify import Problem
from corpuskit.versions import Pair, Recording, Version

__all__ = ["Again", "Rebuilt", "rebuild", "sampled"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Again:
    """`done` of `total` recordings or pairs were made again."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """How much was made again and compared."""

    recordings: int
    pairs: int
    of_pairs: int  # that the version has


@dataclass(frozen=True)
class _Aligning(Store):
    """A store that knows what was measured of a pair, but no alignment, and takes none."""

    measured: frozenset[str]

    def get(self, name: str) -> dict[str, Array]:
        if name not in self.measured:
            raise BadVersion("to be made again")
        return super().get(name)

    def put(self, key: Key, arrays: Arrays) -> str:  # noqa: ARG002 - a store's signature
        return key.hex()


def sampled(version: Version, count: int | None) -> list[Pair]:
    """Return `count` pairs of a version (None: all), the same ones on every machine."""

    def rank(pair: Pair) -> bytes:
        return hashlib.sha256(f"{version.fingerprint}/{pair.id}".encode()).digest()

    if count is None or count >= len(version.pairs):
        return list(version.pairs)
    return sorted(sorted(version.pairs, key=rank)[:count], key=lambda pair: pair.id)


def rebuild(
    version: Version, count: int | None = None, jobs: int | None = None, backend: str = "loky"
) -> Iterator[Problem | Again | Rebuilt]:
    """Make the objects of `count` pairs (None: all) again; yield what differs, then `Rebuilt`.

    Recordings whose corpus is not on this machine, or whose file changed, are not compared:
    `verify` tells them.
    """
    pairs = sampled(version, count)
    wanted = {side.recording for pair in pairs for side in (pair.source, pair.target)}
    roots = {name: Path(corpus.root) for name, corpus in version.settings.corpora.items()}
    recordings = [r for r in version.recordings if r.id in wanted and roots[r.corpus].is_dir()]
    uses: dict[str, list[str]] = {}
    for pair in version.pairs:
        for side in (pair.source, pair.target):
            uses.setdefault(side.recording, []).append(pair.id)
    task = functools.partial(_measured, store=Store(version.workspace), settings=version.settings)
    items = [(version.source_path(recording), recording) for recording in recordings]
    compared = 0
    measured = engine.run(task, items, engine.job_count(jobs), backend)
    for done, (index, told) in enumerate(measured, start=1):
        compared += told is not None
        name = recordings[index].id
        for text in told or ():
            yield Problem(what=text, recordings=(name,), pairs=tuple(sorted(uses[name])))
        yield Again(stage="measure again", done=done, total=len(items))
    by_id = {recording.id: recording for recording in version.recordings}
    for done, pair in enumerate(pairs, start=1):
        for text in _aligned(version, by_id, pair):
            names = (pair.source.recording, pair.target.recording)
            yield Problem(what=text, recordings=names, pairs=(pair.id,))
        yield Again(stage="align again", done=done, total=len(pairs))
    yield Rebuilt(recordings=compared, pairs=len(pairs), of_pairs=len(version.pairs))


# ------------------------------------------------------------------ recordings


def _measured(
    item: tuple[Path, Recording], *, store: Store, settings: DatasetConfig
) -> list[str] | None:
    """Measure a recording and say what differs from the store; None when it cannot be told."""
    path, recording = item
    try:
        sound = decode(path, recording.clip)
        if digest(sound) != recording.digest:
            return None
        stored = [store.get(name) for name in (recording.levels, recording.features)]
    except (BadAudio, BadVersion):
        return None
    told = []
    for name, kind, before, now in zip(
        (recording.levels, recording.features),
        ("level curve", "features"),
        stored,
        _made(sound, recording, settings),
        strict=True,
    ):
        different = _differences(before, now)
        if different:
            told.append(f"{kind} of {recording.id}: {different}{_libraries(store, name)}")
    return told


def _made(
    sound: Sound, recording: Recording, settings: DatasetConfig
) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    rate = settings.audio.rate
    voice = for_voice(settings.features, recording.f0_range)
    found = extract(resample(sound.samples, sound.rate, rate), rate, voice)
    return (
        level_arrays(silence.level_curve(sound)),
        {"f0": found.f0, "energy": found.energy, "mel": found.mel},
    )


def _differences(before: Mapping[str, Array], now: Mapping[str, Array]) -> str:
    """Say which arrays differ in any bit, and by how much at most; empty when none."""
    told = []
    for name in sorted(before.keys() | now.keys()):
        if name not in before or name not in now:
            told.append(f"{name} is {'not stored' if name in now else 'stored, but not made'}")
            continue
        old, new = np.asarray(before[name]), np.asarray(now[name])
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            told.append(f"{name} is {old.dtype}{old.shape}, not {new.dtype}{new.shape}")
        elif old.tobytes() != new.tobytes():
            apart = np.abs(old.astype(np.float64) - new.astype(np.float64))
            told.append(f"{name} differs by up to {np.max(apart):.3g} in {_many(old, new)}")
    return ", ".join(told)


def _many(old: Array, new: Array) -> str:
    return f"{int(np.sum(old != new)):,} of {old.size:,} values"


def _libraries(store: Store, name: str) -> str:
    """Say which libraries an object was made with that are other ones here."""
    made: Mapping[str, str] = store.key_parts(name)["libraries"]
    here = libraries(*made)
    other = [f"{each} {made[each]}, here {here[each]}" for each in made if made[each] != here[each]]
    return f" (made with {'; '.join(other)})" if other else ""


# ----------------------------------------------------------------------- pairs


def _aligned(version: Version, recordings: Mapping[str, Recording], pair: Pair) -> Iterator[str]:
    """Segment and align a pair from what is stored, and say what is decided otherwise."""
    sides = [recordings[side.recording] for side in (pair.source, pair.target)]
    measured = frozenset(name for each in sides for name in (each.levels, each.features))
    store = _Aligning(version.workspace, measured)
    try:
        segmented = {each.id: _segmented(version, store, each) for each in sides}
        stored = Store(version.workspace).get(pair.alignment)
        source, target = map(_found, sides)
        now = align_pair(
            segmented, store, version.settings, Candidate(source=source, target=target)
        )
    except BadVersion:
        return  # told by verify
    if isinstance(now, str):
        yield f"alignment of {pair.id}: {now}"
        return
    for side, before, after in zip(
        ("source", "target"), (pair.source, pair.target), (now.source, now.target), strict=True
    ):
        for field in ("samples", "frames", "silences", "phrases"):
            if getattr(before, field) != getattr(after, field):
                yield f"{pair.id}: the {side}'s {field} are decided otherwise"
    arrays: dict[str, Array] = {
        "durations": now.durations,
        "cost": np.array([now.cost], dtype=np.float32),
        "moments": now.moments,
        "f0": now.f0,
    }
    different = _differences({name: stored[name] for name in arrays}, arrays)
    if different:
        libraries_ = _libraries(Store(version.workspace), pair.alignment)
        yield f"alignment of {pair.id}: {different}{libraries_}"
    if not np.array_equal(version.durations(pair), now.durations):
        yield f"{pair.id}: the version's durations are decided otherwise"


def _segmented(version: Version, store: Store, recording: Recording) -> Segmented:
    facts = Facts(digest=recording.digest, rate=recording.rate, samples=recording.samples)
    hand = version.tiers.get(recording.id)
    automatic = silence.analyse(
        load_levels(store, recording.levels, facts), version.settings.silence
    )
    return Segmented(
        facts=facts,
        levels=recording.levels,
        features=recording.features,
        segmentation=automatic if hand is None else hand.segmentation,
        hand=hand,
    )


def _found(recording: Recording) -> Found:
    return Found(
        id=recording.id,
        speaker=recording.speaker,
        sentence=recording.sentence,
        corpus=recording.corpus,
        relative=recording.path,
        path=Path(recording.path),
    )

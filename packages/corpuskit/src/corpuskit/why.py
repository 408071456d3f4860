"""Which change did what: every cause of a difference is applied alone to version A.

    effect of A -> B  =  effects of the causes alone  +  what could not be examined
                         +  what only the combination explains

A cause is one setting that differs, or one of: other candidate pairs, other samples, other
tiers by hand, other code or libraries. All pairs are looked at, also those on which two causes
cancel each other. Nothing is written, but features measured on request (`measure`).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from corpuskit import engine
from corpuskit.config import DatasetConfig, from_mapping, to_mapping
from corpuskit.diff import SettingChange, diff_settings, diff_tiers
from corpuskit.errors import BadSetting
from corpuskit.features import for_voice
from corpuskit.objects import Store
from corpuskit.pairs import split_sentences
from corpuskit.recordings import measure
from corpuskit.tables import counted, plain
from corpuskit.versions import Version
from corpuskit.whatif import Outcome, Pairs, Unknown, World, extraction

__all__ = ["EFFECTS", "Cause", "Looked", "Why", "explain"]

EFFECTS = (
    *("speech_seconds", "head_seconds", "tail_seconds", "silent_seconds", "phrases"),
    *("pairs_without_break", "pairs_that_disagree", "target_frames", "pairs_with_other_durations"),
    *("pairs_added", "pairs_removed", "pairs_in_another_split"),
)
Outcomes = Mapping[str, Outcome | None]
Effects = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """`done` of `total` pairs were looked at with one cause applied."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One change between the versions and what it does alone."""

    name: str  # a setting's key, "candidates", "samples", "tiers" or "code"
    told: str  # "silence.thresh -80 -> -50"
    effects: Effects | None  # by EFFECTS; None when it could not be applied alone
    pairs: int = 0  # decided otherwise than in A
    problem: str = ""  # why it could not be applied alone


@dataclass(frozen=True, kw_only=True)
class Why:
    """Which cause explains how much of a difference."""

    before: str
    after: str
    total: Effects  # by EFFECTS
    causes: tuple[Cause, ...]
    combination: Effects  # what the causes only do together
    unexamined: Mapping[str, str]  # pair -> why it could not be examined
    unexamined_effects: Effects  # their part of the total


@dataclass(frozen=True, kw_only=True)
class _Change:
    """A cause before it is applied."""

    name: str
    told: str
    world: World | None
    problem: str = ""


def explain(
    before: Version, after: Version, *, can_measure: bool = False, jobs: int | None = None
) -> Iterator[Looked | Why]:
    """Apply every cause alone to `before`, yielding progress; the last is `Why`.

    Settings of the measured features that differ together are one cause, told from B's
    stored features; `can_measure` measures them one by one, from the audio.

    Raises
    ------
    BadSetting
        The versions lie in different workspaces.

    """
    if before.workspace.resolve() != after.workspace.resolve():
        raise BadSetting("the versions lie in different workspaces", "compare two of one workspace")
    pairs = Pairs(before, after)
    names = sorted(pairs.candidates[0] | pairs.candidates[1])
    base: Outcomes = {name: pairs.stored(0, name) for name in names}
    final: Outcomes = {name: pairs.stored(1, name) for name in names}
    changes = list(_changes(before, after, pairs, can_measure=can_measure))
    unexamined: dict[str, str] = {}
    found: list[tuple[_Change, Outcomes]] = []
    for change in changes:
        if change.world is not None:
            if can_measure:
                yield from _measure(before, pairs, change)
            found.append((change, (yield from _applied(pairs, change, names, unexamined, jobs))))
    ends = (base, final)
    yield _explained(before, after, ends, changes, found, unexamined, pairs.candidates)


# ---------------------------------------------------------------------- causes


def _changes(
    before: Version, after: Version, pairs: Pairs, *, can_measure: bool
) -> Iterator[_Change]:
    start = World(settings=before.settings)
    settings = diff_settings(before.settings, after.settings)
    chosen = [s for s in settings if s.key == "pairs" or s.key.startswith("corpora.")]
    measured = [s for s in settings if _measures(before.settings, after.settings, s)]
    own = [s for s in settings if s not in chosen and s not in measured]
    groups = [[s] for s in own]
    groups += [[s] for s in measured] if can_measure or len(measured) < 2 else [measured]
    for group in groups:
        yield _setting(start, after, group)
    if pairs.candidates[0] != pairs.candidates[1]:
        told = ", ".join(s.key for s in chosen) or "recordings found"
        more = len(pairs.candidates[1] - pairs.candidates[0])
        fewer = len(pairs.candidates[0] - pairs.candidates[1])
        yield _Change(
            name="candidates",
            told=f"other candidate pairs ({told}): {more:,} more, {fewer:,} fewer",
            world=replace(start, selection=True),
        )
    yield from _inputs(before, after, start)
    yield _code(before, after, start)


def _measures(before: DatasetConfig, after: DatasetConfig, setting: SettingChange) -> bool:
    return (
        setting.key.startswith(("audio.", "features."))
        and setting.key != "features.energy_gate"
        and extraction(before) != extraction(after)
    )


def _setting(start: World, after: Version, group: Sequence[SettingChange]) -> _Change:
    mapping: dict[str, Any] = to_mapping(start.settings)
    for setting in group:
        table, _, key = setting.key.partition(".")
        mapping[table][key] = setting.after
    name = ", ".join(setting.key for setting in group)
    told = ", ".join(f"{s.key} {plain(s.before)} -> {plain(s.after)}" for s in group)
    try:
        settings = from_mapping(DatasetConfig, mapping, f"dataset {after.name}")
    except BadSetting as error:
        return _Change(name=name, told=told, world=None, problem=error.problem)
    return _Change(name=name, told=told, world=replace(start, settings=settings))


def _inputs(before: Version, after: Version, start: World) -> Iterator[_Change]:
    old = {r.id: (r.digest, r.f0_range) for r in before.recordings if r.digest}
    new = {r.id: (r.digest, r.f0_range) for r in after.recordings if r.digest}
    other = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    if other:
        yield _Change(
            name="samples",
            told=f"other samples or F0 range: {_some(other)}",
            world=replace(start, audio=True),
        )
    tiers = diff_tiers(before.tiers, after.tiers)
    if tiers:
        yield _Change(
            name="tiers",
            told=f"corrected by hand: {_some(list(tiers))}",
            world=replace(start, tiers=True),
        )


def _code(before: Version, after: Version, start: World) -> _Change:
    names = sorted(before.libraries.keys() | after.libraries.keys())
    versions = [(name, before.libraries.get(name), after.libraries.get(name)) for name in names]
    told = ", ".join(f"{name} {plain(a)} -> {plain(b)}" for name, a, b in versions if a != b)
    return _Change(
        name="code",
        told=f"other code or libraries ({told})" if told else "other code",
        world=replace(start, code=True),
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{counted(len(names), 'recording')}, {', '.join(names[:3])}{more}"


# -------------------------------------------------------------------- applying


def _applied(
    pairs: Pairs,
    change: _Change,
    names: Sequence[str],
    unexamined: dict[str, str],
    jobs: int | None,
) -> Generator[Looked, None, Outcomes]:
    assert change.world is not None
    world = change.world
    result: dict[str, Outcome | None] = {}
    outcomes = engine.threads(
        lambda name: pairs.outcome(world, name), names, engine.job_count(jobs)
    )
    for done, (name, outcome) in enumerate(zip(names, outcomes, strict=True), start=1):
        if isinstance(outcome, Unknown):
            unexamined.setdefault(name, outcome.reason)
        else:
            result[name] = outcome
        if done % 50 == 0 or done == len(names):
            yield Looked(stage=change.name, done=done, total=len(names))
    return result


def _measure(before: Version, pairs: Pairs, change: _Change) -> Iterator[Looked]:
    """Measure the features a cause needs and the store does not hold."""
    assert change.world is not None
    world, store = change.world, Store(before.workspace)
    todo = [
        recording
        for recording in (pairs.recording(world, each.id) for each in before.recordings)
        if recording.digest and not store.sound(pairs.features(world, recording))
    ]
    settings = world.settings
    for done, recording in enumerate(todo, start=1):
        voice = for_voice(settings.features, recording.f0_range)
        clip = _milliseconds(recording.clip, recording.rate)
        path = before.source_path(recording)
        measure(path, store, settings.audio, voice, clip)
        yield Looked(stage=f"measure {change.name}", done=done, total=len(todo))


def _milliseconds(clip: tuple[int, int] | None, rate: int) -> tuple[int, int | None] | None:
    """Return a clip in ms, which it was given in; its end is rounded down to samples."""
    if clip is None:
        return None
    return round(clip[0] * 1000 / rate), math.ceil(clip[1] * 1000 / rate)


# ------------------------------------------------------------------- adding up


def _explained(
    before: Version,
    after: Version,
    ends: tuple[Outcomes, Outcomes],
    changes: Sequence[_Change],
    found: Sequence[tuple[_Change, Outcomes]],
    unexamined: Mapping[str, str],
    candidates: tuple[frozenset[str], frozenset[str]],
) -> Why:
    splits = [{p.id: p.split for p in version.pairs} for version in (before, after)]
    base, final = ends
    total = _effects(base, final, list(base), *splits)
    known = [name for name in base if name not in unexamined]
    lost = _effects(base, final, sorted(unexamined), *splits)
    causes = []
    for change in changes:
        outcomes = next((each for own, each in found if own is change), None)
        cause = _cause(change, outcomes, base, known, splits[0], candidates)
        if cause.name != "code" or cause.pairs:
            causes.append(cause)
    shares = [cause.effects for cause in causes if cause.effects is not None]
    return Why(
        before=before.name,
        after=after.name,
        total=total,
        causes=tuple(causes),
        combination={
            name: _rounded(total[name] - lost[name] - math.fsum(each[name] for each in shares))
            for name in EFFECTS
        },
        unexamined=dict(sorted(unexamined.items())),
        unexamined_effects=lost,
    )


def _cause(
    change: _Change,
    outcomes: Outcomes | None,
    base: Outcomes,
    known: Sequence[str],
    before: Mapping[str, str],
    candidates: tuple[frozenset[str], frozenset[str]],
) -> Cause:
    name, told, world = change.name, change.told, change.world
    if world is None or outcomes is None:
        return Cause(name=name, told=told, effects=None, problem=change.problem)
    used = {pair: each for pair, each in outcomes.items() if each is not None}
    sentences = [pair.partition("/")[2] for pair in candidates[world.selection]]
    try:
        places = split_sentences(sentences, world.settings.split)
    except BadSetting as error:
        return Cause(name=name, told=told, effects=None, problem=error.problem)
    splits = {pair: places[each.sentence] for pair, each in used.items()}
    effects = _effects(base, outcomes, known, before, splits)
    changed = sum(
        _decided(base[pair], before.get(pair)) != _decided(outcomes[pair], splits.get(pair))
        for pair in known
    )
    return Cause(name=name, told=told, effects=effects, pairs=changed)


def _decided(outcome: Outcome | None, split: str | None) -> object:
    return outcome and (outcome.decisions, split)


def _effects(
    before: Outcomes,
    after: Outcomes,
    names: Sequence[str],
    old_splits: Mapping[str, str],
    new_splits: Mapping[str, str],
) -> Effects:
    old = [each for name in names if (each := before[name]) is not None]
    new = [each for name in names if (each := after[name]) is not None]
    sums = [_sums(each) for each in (old, new)]
    both = [(name, a, b) for name in names if (a := before[name]) and (b := after[name])]
    return {
        **{name: _rounded(sums[1][name] - sums[0][name]) for name in sums[0]},
        "pairs_with_other_durations": sum(a.durations != b.durations for _, a, b in both),
        "pairs_added": len(new) - len(both),
        "pairs_removed": len(old) - len(both),
        "pairs_in_another_split": sum(old_splits[n] != new_splits[n] for n, _, _ in both),
    }


def _sums(outcomes: Sequence[Outcome]) -> dict[str, float]:
    return {
        "speech_seconds": math.fsum(each.speech for each in outcomes),
        "head_seconds": math.fsum(each.head for each in outcomes),
        "tail_seconds": math.fsum(each.tail for each in outcomes),
        "silent_seconds": math.fsum(each.silent for each in outcomes),
        "phrases": sum(each.phrases for each in outcomes),
        "pairs_without_break": sum(each.phrases == 1 for each in outcomes),
        "pairs_that_disagree": sum(each.disagrees for each in outcomes),
        "target_frames": sum(each.frames for each in outcomes),
    }


def _rounded(value: float) -> float:
    return round(value, 6) + 0.0  # no minus zero

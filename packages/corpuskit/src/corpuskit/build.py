"""Build a version: the one place where corpuskit's stages meet.

    layouts -> recordings -> silence -> pairs -> alignment -> split -> statistics -> version

`build` yields events (stages, progress, notes) and ends with `Built`. Everything it
stores before the last step is content-addressed cache, so a build that is killed leaves
nothing half-written and the next one goes on from what is whole.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit import engine, silence
from corpuskit.bookkeeping import (
    check_strict,
    left_apart,
    nothing_left,
    nothing_to_pair,
    states_of_recordings,
)
from corpuskit.config import DatasetConfig, check_name, family_of, to_mapping
from corpuskit.decisions import Aligned, Segmented, align_pair, segment
from corpuskit.diff import Difference, diff_settings, diff_versions
from corpuskit.directions import directions
from corpuskit.errors import BadVersion, CheckFailed, CorpuskitError, Refused, UnknownName
from corpuskit.features import for_voice
from corpuskit.files import remove_leftovers
from corpuskit.handwork import (
    closing_remarks,
    decided_by_hand,
    involved,
    other_tiers,
    read_hands,
    remarks,
)
from corpuskit.inventory import take_stock
from corpuskit.layouts import Found, Scan, scan
from corpuskit.lockfile import Lock, differences
from corpuskit.locks import at_work, is_cleaned
from corpuskit.objects import Store, libraries
from corpuskit.pairs import Candidate, candidates, split_sentences
from corpuskit.recordings import Facts, Index, measure, object_names, stamp_of
from corpuskit.repeats import find_repeats, repeat_warnings
from corpuskit.statistics import Statistics, pooled
from corpuskit.tables import counted
from corpuskit.tiers import HandTiers
from corpuskit.totals import totals_of
from corpuskit.versions import (
    SCHEMA,
    Pair,
    Recording,
    SetAside,
    Version,
    describe,
    fingerprint,
    list_versions,
    objects_of,
    open_version,
    write_version,
)
from corpuskit.voices import voices_of

__all__ = ["Built", "Event", "Note", "Planned", "Progress", "Request", "build", "next_name"]

Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be built, and with what means."""

    name: str
    settings: DatasetConfig
    workspace: Path
    jobs: int | None = None
    backend: str = "loky"
    cluster: str | None = None  # address, for the backends dask and ray
    strict: bool = False  # any recording or pair set aside is an error
    dry_run: bool = False  # say what would be done, change nothing
    locked: Lock | None = None  # freeze the version it tells, or nothing


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`done` of `total` units of a stage are finished."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something the user should read; `serious` notes are warnings."""

    text: str
    serious: bool = True


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The end of a dry run."""

    candidates: int  # pairs
    recordings: int  # that belong to them
    unmeasured: int  # of those, to be decoded and measured


@dataclass(frozen=True, kw_only=True)
class Built:
    """The end of a build."""

    version: Version
    new: bool  # False when the same version existed
    measured: int  # recordings of which levels or features were made in this build
    aligned: int  # pairs aligned in this build
    previous: Difference | None  # against the family's last version


Event = Progress | Note | Planned | Built


def build(request: Request) -> Iterator[Event]:
    """Build a version, yielding events; the last is `Built` (`Planned` for a dry run).

    Raises
    ------
    BadSetting
        A setting cannot work with these recordings, or no pair is left.
    Refused
        The name exists with another outcome; the difference is told.
    CheckFailed
        `strict`, and something was set aside.
    CorpuskitError
        The disk refused.

    """
    check_name(request.name)
    engine.check_backend(request.backend, request.cluster)
    settings, jobs = request.settings, engine.job_count(request.jobs)
    for text in silence.threshold_warnings(settings.silence):
        yield Note(text=text)
    ways = directions(settings)
    scanned = scan(settings.corpora)
    wanted = candidates(scanned.recordings, ways)
    if not wanted:
        raise nothing_to_pair(scanned, settings)
    for text in (*scanned.warnings, *left_apart(scanned, settings)):
        yield Note(text=text)

    if not request.dry_run and is_cleaned(request.workspace):
        yield Note(text="waiting for a cleaning of the workspace to end", serious=False)
    # From here on the build relies on what the store holds, of which a cleaning knows nothing.
    with contextlib.nullcontext() if request.dry_run else at_work(request.workspace):
        yield from _made(request, scanned, wanted, jobs)


def _made(
    request: Request, scanned: Scan, wanted: Sequence[Candidate], jobs: int
) -> Iterator[Event]:
    """Measure, align and write."""
    settings = request.settings
    given = read_hands(settings.tiers.folder, wanted, _index(request))
    yield from (Note(text=text, serious=serious) for text, serious in remarks(given))
    hands = given.by_hand
    segmented: dict[str, Segmented] = {}
    unmeasured = yield from _segment_known(request, wanted, hands, segmented)
    if request.dry_run:
        yield Planned(
            candidates=len(wanted),
            recordings=len(segmented) + len(unmeasured),
            unmeasured=len(unmeasured),
        )
        return
    remove_leftovers(request.workspace / "versions")
    measured = yield from _measure(request, unmeasured, hands, segmented, jobs)

    aligned, reasons = yield from _align(request, wanted, segmented)
    recordings = states_of_recordings(scanned, wanted, segmented, aligned, reasons, settings)
    if request.strict:
        check_strict(recordings, reasons)
    if not aligned:
        raise nothing_left(reasons)
    tiers = decided_by_hand(recordings, segmented)
    for text, serious in closing_remarks(hands, tiers, recordings):
        yield Note(text=text, serious=serious)
    yield from _finish(request, wanted, segmented, aligned, reasons, recordings, tiers, measured)


# ---------------------------------------------------------------- recordings


def _segment_known(
    request: Request,
    wanted: Sequence[Candidate],
    hands: Mapping[str, HandTiers],
    segmented: dict[str, Segmented],
) -> Generator[Event, None, list[Found]]:
    """Segment what the index knows and the store holds whole; return the other recordings."""
    found_by_id = involved(wanted)
    todo = [found_by_id[name] for name in sorted(found_by_id)]
    index = _index(request)
    known = functools.partial(_segment, index, Store(request.workspace), request.settings, hands)
    unmeasured = []
    for found, outcome in zip(todo, map(known, todo), strict=True):
        if outcome is None:
            unmeasured.append(found)
        else:
            segmented[found.id] = outcome
    yield from _explain(request, unmeasured, index)
    return unmeasured


def _index(request: Request) -> Index:
    return Index(request.workspace, [c.root for c in request.settings.corpora.values()])


def _segment(
    index: Index,
    store: Store,
    settings: DatasetConfig,
    hands: Mapping[str, HandTiers],
    found: Found,
) -> Segmented | None:
    """Segment a recording from its stored level curve, or return None if it must be measured."""
    facts = index.get(found.path, found.clip)
    if facts is None:
        return None
    return segment(store, settings, facts, found.f0_range, hands.get(found.id))


def _explain(request: Request, unmeasured: Sequence[Found], index: Index) -> Iterator[Event]:
    """Say why recordings the family has seen before must be measured again."""
    if not unmeasured:
        return
    previous = _readable(request, request.name) or _previous(request)
    if previous is None:
        return
    before = {recording.digest: recording for recording in previous.recordings}
    for found in unmeasured:
        facts = index.get(found.path, found.clip)
        old = before.get(facts.digest) if facts else None
        if facts is None or old is None or not old.features:
            continue
        store = Store(request.workspace)
        settings = request.settings
        _, name = object_names(facts, settings.audio, for_voice(settings.features, found.f0_range))
        if name == old.features:
            text = f"stored objects of {found.id} and possibly others are damaged or missing"
        else:
            changed = ", ".join(
                f"{s.key} {s.before} -> {s.after}"
                for s in diff_settings(previous.settings, settings)
                if s.key.startswith(("audio.", "features."))
            )
            text = changed or f"libraries changed ({_libraries_changed(store, old.features)})"
        yield Note(
            text=f"measuring {counted(len(unmeasured), 'recording')} again: {text}", serious=False
        )
        return


def _libraries_changed(store: Store, name: str) -> str:
    try:
        old = store.key_parts(name)["libraries"]
    except BadVersion as error:
        return error.problem
    now = libraries(*old)
    return ", ".join(f"{n} {old[n]} -> {now[n]}" for n in old if old[n] != now[n]) or "extractor"


def _measure(
    request: Request,
    unmeasured: Sequence[Found],
    hands: Mapping[str, HandTiers],
    segmented: dict[str, Segmented],
    jobs: int,
) -> Generator[Event, None, int]:
    """Decode and measure recordings in processes, long files first.

    Returns of how many an object had to be made.
    """
    if not unmeasured:
        return 0
    for folder in (request.workspace / "index", *Store(request.workspace).folders()):
        remove_leftovers(folder)
    measured = 0
    settings, store = request.settings, Store(_workspace(request))
    order = sorted(unmeasured, key=lambda found: -_size(found.path))
    stamps = [stamp_of(found.path) for found in order]
    index = _index(request)
    task = functools.partial(_measure_found, store=store, settings=settings)
    try:
        for done, (position, (facts, made)) in enumerate(
            engine.run(task, order, jobs, request.backend, _cluster(request)), start=1
        ):
            found = order[position]
            index.put(found.path, stamps[position], facts, found.clip)
            if done % 200 == 0:
                index.save()
            hand = hands.get(found.id)
            segmented[found.id] = _just_measured(store, request, facts, found, hand)
            measured += made
            yield Progress(stage="measure", done=done, total=len(order))
    finally:
        index.save()
        if request.backend in engine.CLUSTERS:  # workers may have died on the way
            for folder in store.folders():
                remove_leftovers(folder)
    return measured


def _measure_found(found: Found, *, store: Store, settings: DatasetConfig) -> tuple[Facts, bool]:
    features = for_voice(settings.features, found.f0_range)
    return measure(found.path, store, settings.audio, features, found.clip)


def _workspace(request: Request) -> Path:
    """Return the workspace as workers find it, whatever folder they were started in."""
    elsewhere = request.backend in engine.CLUSTERS
    return request.workspace.absolute() if elsewhere else request.workspace


def _cluster(request: Request) -> engine.Cluster:
    roots = tuple(Path(corpus.root) for corpus in request.settings.corpora.values())
    return engine.Cluster(address=request.cluster, workspace=request.workspace, roots=roots)


def _just_measured(
    store: Store, request: Request, facts: Facts, found: Found, hand: HandTiers | None
) -> Segmented:
    look = functools.partial(segment, store, request.settings, facts, found.f0_range, hand)
    outcome = engine.eventually(look) if request.backend in engine.CLUSTERS else look()
    if outcome is None:
        raise CorpuskitError(
            f"the objects of {found.id} were damaged or removed while the dataset was built",
            "is another process cleaning this workspace, or the disk failing? build again",
        )
    return outcome


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


# ------------------------------------------------------------------- version


def _align(
    request: Request,
    wanted: Sequence[Candidate],
    segmented: Mapping[str, Segmented],
) -> Generator[Event, None, tuple[dict[str, Aligned], dict[str, str]]]:
    """Align every candidate pair; return those that can be used and why the others cannot."""
    aligned: dict[str, Aligned] = {}
    reasons: dict[str, str] = {}
    task = functools.partial(align_pair, segmented, Store(request.workspace), request.settings)
    for done, (candidate, outcome) in enumerate(
        zip(wanted, map(task, wanted), strict=True), start=1
    ):
        if isinstance(outcome, str):
            reasons[candidate.id] = outcome
        else:
            aligned[candidate.id] = outcome
        if done % 50 == 0 or done == len(wanted):
            yield Progress(stage="align", done=done, total=len(wanted))
    return aligned, reasons


def _finish(
    request: Request,
    wanted: Sequence[Candidate],
    segmented: Mapping[str, Segmented],
    aligned: Mapping[str, Aligned],
    reasons: Mapping[str, str],
    recordings: Sequence[Recording],
    tiers: Sequence[HandTiers],
    measured: int,
) -> Iterator[Event]:
    settings = request.settings
    splits = split_sentences((candidate.sentence for candidate in wanted), settings.split)
    pairs, durations = _assemble(wanted, aligned, splits)
    aside = [SetAside(pair=name, reason=reasons[name]) for name in sorted(reasons)]
    print_ = fingerprint(settings, recordings, pairs, durations, tiers)
    twice = repeat_warnings(find_repeats(pairs, recordings))
    yield from (Note(text=text) for text in twice)
    yield from _hold_to_lock(request, print_, recordings, pairs, tiers)
    previous = _previous(request)
    existing = request.name in list_versions(request.workspace)
    if not existing:
        for name in _equals(request, print_, previous):
            text = f"dataset {name} is the same version: the fingerprints are equal"
            yield Note(text=text, serious=False)
        description = {
            **_description(request, print_, pairs, recordings, aside, aligned),
            "warnings": [*silence.threshold_warnings(settings.silence), *twice],
            "voices": _voices(pairs, segmented, aligned),
        }
        arrays = {
            "durations": durations,
            "cost": np.array([aligned[pair.id].cost for pair in pairs], dtype=np.float32),
        }
        stock = take_stock(Store(request.workspace), objects_of(pairs, recordings))
        try:
            write_version(
                request.workspace, description, pairs, recordings, aside, arrays, stock, tiers
            )
        except Refused:
            if request.name not in list_versions(request.workspace):
                raise  # a folder of that name that is no version
            existing = True  # another build of this name was first: same outcome or refused below
    version = open_version(request.workspace, request.name).whole()
    if version.fingerprint != print_:
        raise _refused(request, version, pairs, recordings, tiers)
    yield Built(
        version=version,
        new=not existing,
        measured=measured,
        aligned=sum(pair.fresh for pair in aligned.values()),
        previous=diff_versions(previous, version) if previous and not existing else None,
    )


def _hold_to_lock(
    request: Request,
    print_: str,
    recordings: Sequence[Recording],
    pairs: Sequence[Pair],
    tiers: Sequence[HandTiers],
) -> Iterator[Event]:
    """Say what differs from the lock; fail where that makes another version."""
    lock = request.locked
    if lock is None:
        return
    told = list(differences(lock, request.settings, recordings, len(pairs), tiers, _made_by()))
    same = lock.fingerprint == print_
    if not same:
        raise CheckFailed(
            f"this build is not dataset {lock.dataset} as it was locked "
            f"(fingerprint {print_[:12]}, not {lock.fingerprint[:12]}): "
            f"{'; '.join(told) or 'other decisions from equal inputs, settings and libraries'}",
            "nothing was frozen; mend what differs, or build without --locked",
        )
    for text in told:
        yield Note(text=f"{text}; the fingerprint is the locked one", serious=False)


def _made_by() -> dict[str, str]:
    return libraries(
        "numpy", "scipy", "numba", "librosa", "pyworld", "soxr", "soundfile", "corpuskit"
    )


def _assemble(
    wanted: Sequence[Candidate], aligned: Mapping[str, Aligned], splits: Mapping[str, str]
) -> tuple[list[Pair], Int32]:
    pairs: list[Pair] = []
    parts: list[Int32] = []
    offset = 0
    for candidate in wanted:
        outcome = aligned.get(candidate.id)
        if outcome is None:
            continue
        length = len(outcome.durations)
        pairs.append(
            Pair(
                id=candidate.id,
                sentence=candidate.sentence,
                split=splits[candidate.sentence],
                source=outcome.source,
                target=outcome.target,
                breaks=outcome.breaks,
                merged=outcome.merged,
                alignment=outcome.alignment,
                durations=(offset, length),
            )
        )
        parts.append(outcome.durations)
        offset += length
    return pairs, np.concatenate(parts)


def _description(
    request: Request,
    print_: str,
    pairs: Sequence[Pair],
    recordings: Sequence[Recording],
    aside: Sequence[SetAside],
    aligned: Mapping[str, Aligned],
) -> dict[str, Any]:
    settings = request.settings
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return {
        "schema": SCHEMA,
        "name": request.name,
        "family": family_of(request.name),
        "fingerprint": print_,
        "created": now.isoformat(),
        "settings": to_mapping(settings),
        "libraries": _made_by(),
        "speakers": sorted({side.speaker for p in pairs for side in (p.source, p.target)}),
        "statistics": to_mapping(_statistics(pairs, aligned)),
        "totals": totals_of(pairs, recordings, aside, settings),
    }


def _voices(
    pairs: Sequence[Pair], segmented: Mapping[str, Segmented], aligned: Mapping[str, Aligned]
) -> list[dict[str, Any]]:
    heard = {name: each.heard for name, each in segmented.items() if each.heard is not None}
    return voices_of(pairs, {name: pair.f0 for name, pair in aligned.items()}, heard)


def _statistics(pairs: Sequence[Pair], aligned: Mapping[str, Aligned]) -> Statistics:
    train = [pair for pair in pairs if pair.split == "train"]

    def side(index: int, name: str) -> Any:
        spans = [getattr(pair, name).frames for pair in train]
        return pooled(
            (aligned[pair.id].moments[index] for pair in train),
            sum(stop - first for first, stop in spans),
        )

    return Statistics(source=side(0, "source"), target=side(1, "target"))


def _previous(request: Request) -> Version | None:
    """Return the family's last other version that can be read."""
    family = family_of(request.name)
    for name in reversed(list_versions(request.workspace)):
        if name != request.name and family_of(name) == family:
            version = _readable(request, name)
            if version is not None:
                return version
    return None


def _equals(request: Request, print_: str, previous: Version | None) -> Iterator[str]:
    """Name the other versions of this fingerprint; the previous one is compared with anyway."""
    for name in list_versions(request.workspace):
        if previous is None or name != previous.name:
            with contextlib.suppress(BadVersion, UnknownName):
                if describe(request.workspace, name)["fingerprint"] == print_:
                    yield name


def _readable(request: Request, name: str) -> Version | None:
    """Return a version that exists and is whole, or None."""
    try:
        return open_version(request.workspace, name).whole()
    except (BadVersion, UnknownName):
        return None


def next_name(workspace: Path, family: str) -> str:
    """Return the family's next free version name: "N2C", then "N2C_2", "N2C_3", ..."""
    taken = [name for name in list_versions(workspace) if family_of(name) == family]
    if not taken:
        return family
    numbers = [int(name.removeprefix(f"{family}_")) for name in taken if name != family]
    return f"{family}_{max([1, *numbers]) + 1}"


def _refused(
    request: Request,
    version: Version,
    pairs: Sequence[Pair],
    recordings: Sequence[Recording],
    tiers: Sequence[HandTiers],
) -> Refused:
    """Explain how this build differs from the version that has its name."""
    changed = [
        f"{s.key} {s.before} -> {s.after}"
        for s in diff_settings(version.settings, request.settings)
    ]
    before = {pair.id for pair in version.pairs}
    now = {pair.id for pair in pairs}
    if now - before or before - now:
        changed.append(f"{counted(len(now - before), 'pair')} more, {len(before - now)} fewer")
    changed.extend(_other_samples(version, recordings))
    changed.extend(other_tiers(version, tiers))
    told = ", ".join(changed) or "other decisions from the same recordings and settings"
    free = next_name(request.workspace, version.family)
    return Refused(
        f"dataset {request.name} exists and is frozen, and this build differs: {told}",
        f"build it under the next free name: corpuskit build {free}",
    )


def _other_samples(version: Version, recordings: Sequence[Recording]) -> Iterator[str]:
    """Name the recordings used before and now that hold other samples than before."""
    before = {recording.id: recording.digest for recording in version.recordings}
    other = [
        recording.id
        for recording in recordings
        if recording.state == "used" and before.get(recording.id, "") not in ("", recording.digest)
    ]
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        yield f"other samples in {', '.join(other[:3])}{more}"

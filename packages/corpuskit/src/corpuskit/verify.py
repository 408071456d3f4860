"""Is a version still what it was: its files, its objects, its recordings.

Nothing is trusted because it exists: every file and object is read and held against its
digest, the fingerprint is computed again, and every recording still on disk is decoded.
"""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpuskit import engine
from corpuskit.audio import decode, digest
from corpuskit.columns import gathered
from corpuskit.errors import BadAudio, BadVersion
from corpuskit.objects import Store
from corpuskit.recordings import damaged
from corpuskit.versions import Recording, Version, describe, fingerprint, inventory, open_version

__all__ = ["Checked", "Problem", "fingerprint_of", "verify"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is not what it was."""

    what: str
    recordings: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Checked:
    """How much was looked at."""

    objects: int
    recordings: int  # source files decoded
    absent_roots: tuple[str, ...]  # corpora that are not on this machine


def verify(
    workspace: Path, name: str, jobs: int | None = None, backend: str = "loky"
) -> Iterator[Problem | Checked]:
    """Yield every problem found, then `Checked`.

    Raises
    ------
    UnknownName
        No such version.

    """
    jobs = engine.job_count(jobs)
    try:
        files = describe(workspace, name)["files"]
        broken = list(_files(workspace / "versions" / name, files))
        yield from broken
        if broken:
            return
        version = open_version(workspace, name)
    except BadVersion as error:
        yield Problem(what=error.problem)
        return
    yield from _fingerprint(version)
    yield from _columns(version)
    pairs = _pairs_of(version)
    objects = _objects(version, pairs)
    if set(inventory(workspace, name).hex()) != set(objects):
        yield Problem(what="objects.safetensors lists other objects than the version rests on")
    yield from _check_objects(version, objects, jobs)
    recordings, absent = _on_disk(version)
    yield from _check_audio(version, recordings, pairs, jobs, backend)
    yield Checked(objects=len(objects), recordings=len(recordings), absent_roots=absent)


def _files(folder: Path, digests: Mapping[str, str]) -> Iterator[Problem]:
    for name, expected in sorted(digests.items()):
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            yield Problem(what=f"{name} cannot be read: {error.strerror}")
            continue
        if found != expected:
            yield Problem(what=f"{name} is damaged: its content does not fit its digest")


def fingerprint_of(version: Version) -> str:
    """Compute a version's fingerprint again from what it holds."""
    return fingerprint(
        version.settings,
        version.recordings,
        version.pairs,
        version.flat_durations,
        version.tiers.values(),
    )


def _fingerprint(version: Version) -> Iterator[Problem]:
    found = fingerprint_of(version)
    if found != version.fingerprint:
        yield Problem(what=f"the fingerprint is {found[:12]}, not {version.fingerprint[:12]}")


def _columns(version: Version) -> Iterator[Problem]:
    audio = {recording.id: recording.digest for recording in version.recordings}
    if not version.columns.same_as(gathered(version.pairs, version.speakers, audio)):
        yield Problem(what="columns.safetensors says other than manifest.jsonl")


def _pairs_of(version: Version) -> dict[str, list[str]]:
    """Map a recording to the pairs that use it."""
    result: dict[str, list[str]] = defaultdict(list)
    for pair in version.pairs:
        result[pair.source.recording].append(pair.id)
        result[pair.target.recording].append(pair.id)
    return result


def _objects(
    version: Version, pairs_of: Mapping[str, Sequence[str]]
) -> dict[str, tuple[set[str], set[str]]]:
    """Map every object the version rests on to its (recordings, pairs)."""
    objects: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for recording in version.recordings:
        for name in (recording.levels, recording.features):
            if name:
                objects[name][0].add(recording.id)
                objects[name][1].update(pairs_of.get(recording.id, ()))
    for pair in version.pairs:
        objects[pair.alignment][0].update((pair.source.recording, pair.target.recording))
        objects[pair.alignment][1].add(pair.id)
    return objects


def _check_objects(
    version: Version, objects: Mapping[str, tuple[set[str], set[str]]], jobs: int
) -> Iterator[Problem]:
    names = sorted(objects)
    check = functools.partial(damaged, Store(version.workspace))
    for name, problem in zip(names, engine.threads(check, names, jobs), strict=True):
        if problem:
            recordings, pairs = objects[name]
            yield Problem(
                what=problem, recordings=tuple(sorted(recordings)), pairs=tuple(sorted(pairs))
            )


def _on_disk(version: Version) -> tuple[list[Recording], tuple[str, ...]]:
    """Return the decoded recordings whose corpus is on this machine, and the absent roots."""
    corpora = version.settings.corpora
    absent = sorted(name for name, corpus in corpora.items() if not Path(corpus.root).is_dir())
    present = [r for r in version.recordings if r.digest and r.corpus not in absent]
    return present, tuple(corpora[name].root for name in absent)


def _check_audio(
    version: Version,
    recordings: Sequence[Recording],
    pairs_of: Mapping[str, Sequence[str]],
    jobs: int,
    backend: str,
) -> Iterator[Problem]:
    parts = [(version.source_path(recording), recording.clip) for recording in recordings]
    for index, found in engine.run(_digest, parts, jobs, backend):
        recording = recordings[index]
        if found != recording.digest:
            what = f"{recording.path} {found or 'holds other samples than when it was measured'}"
            if len(found) == 64 and " " not in found:
                what = f"{recording.path} holds other samples than when it was measured"
            yield Problem(
                what=what,
                recordings=(recording.id,),
                pairs=tuple(sorted(pairs_of.get(recording.id, ()))),
            )


def _digest(part: tuple[Path, tuple[int, int] | None]) -> str:
    """Return the digest of a file or of its clip, or what is wrong with it."""
    try:
        return digest(decode(*part))
    except BadAudio as error:
        return error.problem

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from corpuskit.objects import Key, Store
from corpuskit.verify import Checked, Problem, verify
from corpuskit.versions import Version
from fullbuilds import built
from synthetic import write_pair_corpus


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    root = tmp_path_factory.mktemp("verify")
    return built(write_pair_corpus(root / "corpus", count=4), root / "w").version


def found(version: Version) -> list[Problem]:
    events = verify(version.workspace, version.name, jobs=1)
    return [event for event in events if isinstance(event, Problem)]


@pytest.fixture
def restored(version: Version) -> Iterator[Version]:
    """The version, with every stored byte put back afterwards."""
    before = {p: p.read_bytes() for p in version.workspace.rglob("*") if p.is_file()}
    yield version
    for path, data in before.items():
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
    assert found(version) == []


def flipped(path: Path, position: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1 << (position % 8)
    path.write_bytes(raw)


def test_a_whole_version_has_no_problem_and_is_wholly_checked(version: Version) -> None:
    *_, last = verify(version.workspace, version.name, jobs=1)

    assert last == Checked(objects=4 * 5, recordings=8, absent_roots=())


@pytest.mark.parametrize("kind", ["levels", "object", "alignment"])
def test_any_flipped_byte_of_any_object_is_found_and_named(restored: Version, kind: str) -> None:
    pair = restored.pairs[1]
    recordings = {recording.id: recording for recording in restored.recordings}
    name = {
        "levels": recordings[pair.source.recording].levels,
        "object": pair.source.object,
        "alignment": pair.alignment,
    }[kind]
    path = Store(restored.workspace).path(name)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    chosen = random.Random(7).sample(range(header, len(whole)), 40)
    positions = [*range(0, header, 3), header - 1, *chosen, len(whole) - 1]
    for position in positions:
        flipped(path, position)
        problems = found(restored)
        assert len(problems) == 1, position
        assert pair.source.recording in problems[0].recordings
        assert problems[0].pairs == (pair.id,)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "name", ["version.json", "manifest.jsonl", "recordings.jsonl", "set_aside", "arrays"]
)
def test_any_flipped_byte_of_the_versions_own_files_is_found(restored: Version, name: str) -> None:
    path = next(restored.folder.glob(f"{name}*"))
    whole = path.read_bytes()
    if not whole:
        path.write_bytes(b"x")
        assert found(restored)
        return
    for position in random.Random(3).sample(range(len(whole)), min(40, len(whole))):
        flipped(path, position)
        changed = path.read_bytes()
        assert found(restored) or (name == "version.json" and blank(whole, changed)), position
        path.write_bytes(whole)


def blank(one: bytes, other: bytes) -> bool:
    """Whether two JSON texts differ in nothing but white space between their parts."""
    return b"".join(one.split()) == b"".join(other.split())


def test_zeroed_features_with_a_digest_of_their_own_are_found(restored: Version) -> None:
    pair, store = restored.pairs[0], Store(restored.workspace)
    arrays = {name: np.zeros_like(a) for name, a in store.get(pair.target.object).items()}
    key = Key(stage="features", version=1, inputs={}, settings={}, libraries={})
    other = store.path(store.put(key, arrays))
    other.replace(store.path(pair.target.object))
    problems = found(restored)

    assert [problem.pairs for problem in problems] == [(pair.id,)]


def test_a_missing_object_is_named(restored: Version) -> None:
    pair = restored.pairs[2]
    Store(restored.workspace).path(pair.source.object).unlink()

    assert [(p.recordings, p.pairs) for p in found(restored)] == [
        ((pair.source.recording,), (pair.id,))
    ]


def test_changed_and_removed_recordings_are_named(version: Version) -> None:
    recordings = {recording.id: recording for recording in version.recordings}
    one = version.source_path(recordings["N/utt_001"])
    two = version.source_path(recordings["C/utt_002"])
    kept = {path: path.read_bytes() for path in (one, two)}
    samples, rate = sf.read(one, dtype="int16")
    samples[1000] += 1
    sf.write(one, samples, rate, subtype="PCM_16")
    two.unlink()
    problems = {problem.recordings: problem for problem in found(version)}
    for path, data in kept.items():
        path.write_bytes(data)

    assert "holds other samples" in problems["N/utt_001",].what
    assert "does not exist" in problems["C/utt_002",].what
    assert problems["N/utt_001",].pairs == ("N>C/utt_001",)
    assert len(problems) == 2


def test_absent_roots_are_told_not_failed(version: Version, tmp_path: Path) -> None:
    root = Path(version.settings.corpora["test"].root)
    away = root.rename(tmp_path / "away")
    *problems, last = verify(version.workspace, version.name, jobs=1)
    away.rename(root)

    assert problems == []
    assert last == Checked(objects=20, recordings=0, absent_roots=(str(root),))


def test_files_digests_are_sha256(version: Version) -> None:
    import json

    said = json.loads((version.folder / "version.json").read_text())["files"]
    for name, digest in said.items():
        assert hashlib.sha256((version.folder / name).read_bytes()).hexdigest() == digest

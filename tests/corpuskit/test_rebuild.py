"""`verify --rebuild`: stored arrays against the audio, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from building import built, contents, corpuskit, quick_corpus, settings
from corpuskit import objects
from corpuskit.objects import Key, Store
from corpuskit.rebuild import sampled
from corpuskit.versions import Version


@pytest.fixture
def version(tmp_path: Path) -> Version:
    return built(tmp_path / "w", settings(quick_corpus(tmp_path / "corpus", 4).root)).version


def rebuilt(version: Version, *more: str) -> tuple[int, dict[str, object]]:
    said = corpuskit(
        *("verify", version.name, "--rebuild", "--json", "--jobs", "1"),
        *("--workspace", version.workspace, *more),
    )
    return said.code, json.loads(said.out)


def tampered(version: Version, name: str, field: str, change: float) -> None:
    """Store an object with one changed value, whole by every digest."""
    store = Store(version.workspace)
    parts, arrays = store.key_parts(name), store.get(name)
    array = arrays[field].copy()
    array.flat[array.size // 2] += np.asarray(change, dtype=array.dtype)
    assert store.put(Key(**parts), {**arrays, field: array}) == name


def test_a_version_as_it_was_built_is_rebuilt_and_nothing_written(version: Version) -> None:
    was = contents(version.workspace)

    code, told = rebuilt(version)

    assert (code, told["problems"]) == (0, [])
    assert told["rebuilt"] == {"recordings": 8, "pairs": 4, "of_pairs": 4}
    assert contents(version.workspace) == was


@pytest.mark.parametrize("field", ["f0", "energy", "mel"])
def test_one_changed_value_of_features_is_found(version: Version, field: str) -> None:
    recording = version.recordings[0]
    tampered(version, recording.features, field, 0.5)

    code, told = rebuilt(version)

    assert code == 1
    first = told["problems"][0]  # type: ignore[index]
    assert first["what"].startswith(
        f"features of {recording.id}: {field} differs by up to 0.5 in 1"
    )
    assert first["recordings"] == [recording.id]


def test_one_changed_level_and_duration_are_found(version: Version) -> None:
    recording, pair = version.recordings[0], version.pairs[1]
    tampered(version, recording.levels, "forward", 1e-9)
    tampered(version, pair.alignment, "durations", 1)

    code, told = rebuilt(version)

    assert code == 1
    whats = [each["what"] for each in told["problems"]]  # type: ignore[attr-defined]
    assert any(what.startswith(f"level curve of {recording.id}: forward") for what in whats)
    assert any(what.startswith(f"alignment of {pair.id}: durations differs") for what in whats)


def test_other_libraries_are_named(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = version.recordings[0]
    tampered(version, recording.features, "mel", 0.5)
    real = objects.libraries
    monkeypatch.setattr(
        "corpuskit.rebuild.libraries",
        lambda *names: {**real(*names), **({"librosa": "99"} if "librosa" in names else {})},
    )

    _, told = rebuilt(version)

    assert "here 99)" in told["problems"][0]["what"]  # type: ignore[index]


def test_a_sample_is_the_same_every_time_and_grows(version: Version) -> None:
    two, three = sampled(version, 2), sampled(version, 3)

    assert [pair.id for pair in two] == [pair.id for pair in sampled(version, 2)]
    assert {pair.id for pair in two} < {pair.id for pair in three}
    assert sampled(version, None) == list(version.pairs)
    code, told = rebuilt(version, "--sample", "2")
    assert code == 0
    assert told["rebuilt"] == {"recordings": 4, "pairs": 2, "of_pairs": 4}


def test_a_sample_without_rebuilding_is_refused(version: Version) -> None:
    said = corpuskit("verify", "N2C", "--sample", "2", "--workspace", version.workspace)

    assert said.code == 2
    assert "--rebuild" in said.err

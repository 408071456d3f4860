"""Columns say what the manifest says: against the pairs themselves, and against damage."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import corpuskit.versions
from corpuskit.columns import SPLITS, gathered, short_hash
from corpuskit.verify import Problem, verify
from corpuskit.versions import Version, open_version, own_digest, written
from handmade import pair, version


@pytest.fixture
def made(tmp_path: Path) -> Version:
    pairs = [
        pair("a", source={"silences": ((10, 20), (50, 60)), "phrases": (20, 20)}, breaks=(2, 1)),
        pair("b", split="dev", target={"samples": (0, 16000), "frames": (0, 101)}, merged=3),
        pair("声", split="eval", target={"silences": ((30, 40),), "phrases": (15, 25)}),
    ]
    return version(tmp_path, "N2C", pairs)


def test_every_number_is_the_manifests(made: Version) -> None:
    columns = made.columns

    assert columns.names() == [each.id for each in made.pairs]
    for place, each in enumerate(made.pairs):
        assert columns.id(place) == each.id
        assert SPLITS[columns.split[place]] == each.split
        assert tuple(columns.breaks[place]) == each.breaks
        assert columns.merged[place] == each.merged
        assert tuple(columns.durations[place]) == each.durations
        for side, own in enumerate((each.source, each.target)):
            assert made.speakers[columns.speaker[place, side]] == own.speaker
            assert columns.rate[place, side] == own.rate
            assert columns.length[place, side] == own.length
            assert tuple(columns.samples[place, side]) == own.samples
            assert tuple(columns.frames[place, side]) == own.frames
            begin = columns.silence_starts[place, side]
            spans = columns.silences[begin : begin + columns.silence_counts[place, side]]
            assert tuple(map(tuple, spans.tolist())) == own.silences
            begin = columns.phrase_starts[place, side]
            lengths = columns.phrases[begin : begin + columns.phrase_counts[place, side]]
            assert tuple(lengths.tolist()) == own.phrases
            assert columns.recording[place, side] == short_hash(own.recording)
            assert columns.object[place, side] == short_hash(own.object)
            assert columns.audio[place, side] == short_hash(f"samples of {own.recording}")


def test_short_hashes_are_the_first_bytes_of_sha256() -> None:
    first = hashlib.sha256("声".encode()).digest()[:8]

    assert np.array([short_hash("声")], dtype="<u8").tobytes() == first


def test_splits_are_found_by_column(made: Version) -> None:
    for split in (*SPLITS, "other"):
        assert made.split(split) == tuple(each for each in made.pairs if each.split == split)


def test_pairs_that_stand_in_no_file_have_columns_too(made: Version) -> None:
    held = dataclasses.replace(made, pairs=tuple(made.pairs))

    assert held.columns.same_as(made.columns)
    assert held.split("dev") == made.split("dev")


def test_no_pairs_have_no_columns() -> None:
    assert len(gathered([], ["N"], {})) == 0
    assert gathered([], ["N"], {}).names() == []


def test_large_files_are_mapped_and_say_the_same(
    made: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpuskit.versions, "_LOADED", 0)

    mapped = open_version(tmp_path, "N2C")

    assert mapped.columns.same_as(made.columns)
    assert mapped.durations(mapped.pairs[1]).tolist() == made.durations(made.pairs[1]).tolist()


def test_columns_that_say_other_than_the_manifest_are_found(made: Version, tmp_path: Path) -> None:
    columns = {name: array.copy() for name, array in made.columns.arrays().items()}
    columns["silences"][0, 1] += 1
    data = safetensors.numpy.save(columns)
    (made.folder / "columns.safetensors").write_bytes(data)
    path = made.folder / "version.json"
    said = json.loads(path.read_text())
    said["files"]["columns.safetensors"] = hashlib.sha256(data).hexdigest()
    said["digest"] = own_digest(said)
    path.write_bytes(written(said))

    found = [event.what for event in verify(tmp_path, "N2C", 1) if isinstance(event, Problem)]

    assert "columns.safetensors says other than manifest.jsonl" in found

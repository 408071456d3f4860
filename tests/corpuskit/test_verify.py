"""`verify` through the command line: whatever is not what it was is named, and exit 1 says so.

The readers of objects and versions, byte by byte, are in test_objects.py and test_versions.py.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from building import Said, built, corpuskit, quick_corpus, settings
from corpuskit.objects import Store
from corpuskit.versions import Pair, Version
from thorough import thoroughly

VERSION_FILES = (
    "version.json",
    "manifest.jsonl",
    "recordings.jsonl",
    "set_aside.jsonl",
    "arrays.safetensors",
    "columns.safetensors",
    "objects.safetensors",
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with one bad recording."""
    corpus = quick_corpus(tmp_path_factory.mktemp("verify") / "corpus", 4)
    (corpus.source / "utt_009.wav").write_bytes(b"")
    shutil.copy(corpus.target / "utt_001.wav", corpus.target / "utt_009.wav")
    return corpus.root


@pytest.fixture
def version(original: Path, tmp_path: Path) -> Version:
    """N2C of a copy of it, to be broken."""
    shutil.copytree(original, tmp_path / "corpus")
    return built(tmp_path / "w", settings(tmp_path / "corpus")).version


def verified(version: Version, *more: str) -> Said:
    return corpuskit("verify", version.name, "--workspace", version.workspace, "--jobs", "1", *more)


def report(version: Version) -> tuple[int, list[dict[str, Any]]]:
    said = verified(version, "--json")
    assert said.err == ""
    told = json.loads(said.out)
    assert (said.code, told["whole"]) in ((0, True), (1, False))
    assert told["whole"] == (not told["problems"])
    return said.code, told["problems"]


def damages(whole: bytes, positions: list[int], seed: int) -> Iterator[tuple[int, bytes]]:
    draw = random.Random(seed)
    for position in positions:
        mask = draw.choice([1, 2, 4, 8, 16, 32, 64, 128, draw.randrange(1, 256)])
        yield (
            position,
            whole[:position] + bytes([whole[position] ^ mask]) + whole[position + 1 :],
        )


# ----------------------------------------------------------------------------- objects


def kinds(version: Version, pair: Pair) -> dict[str, tuple[str, list[str]]]:
    """Kind -> (object, the recordings that rest on it), of one pair."""
    by_id = {recording.id: recording for recording in version.recordings}
    source, target = pair.source.recording, pair.target.recording
    return {
        "source levels": (by_id[source].levels, [source]),
        "target levels": (by_id[target].levels, [target]),
        "source features": (pair.source.object, [source]),
        "target features": (pair.target.object, [target]),
        "alignment": (pair.alignment, [target, source]),
    }


@thoroughly(
    "kind",
    ["source features", "alignment", "source levels", "target levels", "target features"],
    quick=2,
)
def test_a_flipped_byte_anywhere_in_an_object_names_recording_and_pair(
    version: Version, kind: str
) -> None:
    pair = version.pairs[1]
    name, recordings = kinds(version, pair)[kind]
    path = Store(version.workspace).path(name)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    draw = random.Random(kind)
    tensors = [header + start for start in offsets(whole)]
    positions = [
        *range(8),  # the header's length
        *draw.sample(range(8, header), 25),
        *tensors,
        *draw.sample(range(header, len(whole)), 25),
        len(whole) - 1,
    ]

    for position, damaged in damages(whole, positions, 1):
        path.write_bytes(damaged)
        code, found = report(version)
        assert code == 1, position
        assert [(p["recordings"], p["pairs"]) for p in found] == [(recordings, [pair.id])], position
        assert f"object {name[:12]} is damaged" in found[0]["what"]
    path.write_bytes(whole)

    assert report(version) == (0, [])


def offsets(whole: bytes) -> list[int]:
    """Where each tensor begins, behind the header."""
    return [int(start) for start in re.findall(rb'"data_offsets":\[(\d+),', whole)]


def test_a_problem_is_one_line_with_its_names(version: Version) -> None:
    path = Store(version.workspace).path(version.pairs[0].source.object)
    path.write_bytes(path.read_bytes()[:-1])

    said = verified(version)

    name = version.pairs[0].source.object[:12]
    assert (said.code, said.err) == (1, "")
    assert said.out.splitlines() == [
        f"object {name} is damaged: its content does not fit its digest; "
        "recordings: N/utt_001; pairs: N>C/utt_001",
        "Dataset N2C: 1 problem; "
        "a build of the same name heals objects whose recordings are unchanged.",
    ]


def test_exchanged_objects_are_found_on_both_sides(version: Version) -> None:
    store = Store(version.workspace)
    one, two = (store.path(pair.target.object) for pair in version.pairs[:2])
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)

    code, found = report(version)

    assert code == 1
    assert sorted(p["pairs"] for p in found) == [["N>C/utt_001"], ["N>C/utt_002"]]
    assert all("it holds another object's content" in p["what"] for p in found)


def test_all_that_is_wrong_is_told_at_once(version: Version, tmp_path: Path) -> None:
    store = Store(version.workspace)
    store.path(version.pairs[0].alignment).unlink()
    path = store.path(version.pairs[1].source.object)
    path.write_bytes(b"")
    (tmp_path / "corpus" / "target" / "utt_003.wav").unlink()

    code, found = report(version)

    assert code == 1
    assert sorted((p["recordings"], p["pairs"]) for p in found) == [
        (["C/utt_001", "N/utt_001"], ["N>C/utt_001"]),
        (["C/utt_003"], ["N>C/utt_003"]),
        (["N/utt_002"], ["N>C/utt_002"]),
    ]


def test_objects_of_other_versions_do_not_matter(version: Version, tmp_path: Path) -> None:
    other = built(
        version.workspace, settings(tmp_path / "corpus", "features.mels=16"), "N2C_2"
    ).version
    mine = {name for pair in version.pairs for name in (pair.source.object, pair.target.object)}
    for pair in other.pairs:
        assert pair.source.object not in mine
        Store(version.workspace).path(pair.source.object).unlink()

    assert report(version) == (0, [])
    assert report(other)[0] == 1


# ---------------------------------------------------------------------- the version's files


@thoroughly("name", VERSION_FILES, quick=2)
def test_a_flipped_byte_anywhere_in_a_versions_file_names_the_file(
    version: Version, name: str
) -> None:
    path = version.folder / name
    whole = path.read_bytes()
    positions = random.Random(name).sample(range(len(whole)), min(80, len(whole)))

    for position, damaged in damages(whole, [0, *positions, len(whole) - 1], 2):
        path.write_bytes(damaged)
        code, found = report(version)
        assert code == 1, position
        assert [name in p["what"] for p in found] == [True], (position, found)
    path.write_bytes(whole)

    assert report(version) == (0, [])


@pytest.mark.parametrize("name", VERSION_FILES[1:])
def test_a_missing_file_is_named(version: Version, name: str) -> None:
    (version.folder / name).unlink()

    said = verified(version)

    assert said.code == 1
    assert said.out.splitlines() == [
        f"{name} cannot be read: No such file or directory",
        "Dataset N2C: 1 problem; nothing it says can be trusted: "
        "remove the version's folder and build it again.",
    ]


def test_several_damaged_files_are_all_named(version: Version) -> None:
    for name in VERSION_FILES[1:]:
        with (version.folder / name).open("ab") as file:
            file.write(b"\n")

    assert sorted(p["what"].split()[0] for p in report(version)[1]) == sorted(VERSION_FILES[1:])


# ------------------------------------------------------------------------- recordings


def test_one_changed_sample_names_the_recording(version: Version, tmp_path: Path) -> None:
    path = tmp_path / "corpus" / "source" / "utt_004.wav"
    samples, rate = sf.read(path, dtype="int16")
    samples[len(samples) // 2] ^= 1
    sf.write(path, samples, rate, subtype="PCM_16")

    code, [found] = report(version)

    assert code == 1
    assert found == {
        "what": "source/utt_004.wav holds other samples than when it was measured",
        "recordings": ["N/utt_004"],
        "pairs": ["N>C/utt_004"],
    }


@pytest.mark.parametrize(
    ("data", "told"), [(b"", "is an empty file"), (b"RIFF", "cannot be decoded"), (None, "exist")]
)
def test_a_spoiled_recording_is_named(
    version: Version, tmp_path: Path, data: bytes | None, told: str
) -> None:
    path = tmp_path / "corpus" / "target" / "utt_002.wav"
    path.unlink()
    if data is not None:
        path.write_bytes(data)

    code, [found] = report(version)

    assert code == 1
    assert told in found["what"]
    assert (found["recordings"], found["pairs"]) == (["C/utt_002"], ["N>C/utt_002"])


def test_the_same_samples_in_another_file_are_no_problem(version: Version, tmp_path: Path) -> None:
    path = tmp_path / "corpus" / "target" / "utt_002.wav"
    samples, rate = sf.read(path)
    sf.write(path, samples, rate, subtype="PCM_24")

    assert report(version) == (0, [])


def test_an_absent_corpus_is_a_warning(version: Version, tmp_path: Path) -> None:
    (tmp_path / "corpus").rename(tmp_path / "away")

    said = verified(version)

    assert said.code == 0
    assert said.err == (
        f"warning: {tmp_path / 'corpus'} is not on this machine: its recordings were not checked\n"
    )
    assert said.out == ("Dataset N2C is whole: 20 objects and 0 recordings are what they were.\n")
    assert verified(version, "--quiet").err == ""


def test_what_was_set_aside_is_watched_too(version: Version, tmp_path: Path) -> None:
    # C/utt_009 was measured before its partner turned out to be empty: it is part of the record.
    aside = next(r for r in version.recordings if r.id == "C/utt_009")
    assert (aside.state, aside.reason) == (
        "set aside",
        "its pair is set aside: source is an empty file",
    )
    path = tmp_path / "corpus" / "target" / "utt_009.wav"
    sf.write(path, np.ones(8000) * 0.1, 8000, subtype="PCM_16")

    assert [(p["recordings"], p["pairs"]) for p in report(version)[1]] == [(["C/utt_009"], [])]

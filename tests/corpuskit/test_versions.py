"""A version on disk: what is written is what is read, and what is not whole is not opened."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import handmade
from corpuskit.config import DatasetConfig, to_mapping
from corpuskit.errors import BadVersion, Refused, UnknownName
from corpuskit.objects import Key, Store
from corpuskit.statistics import SideStatistics, Statistics
from corpuskit.versions import (
    SCHEMA,
    Pair,
    Recording,
    SetAside,
    Side,
    Version,
    describe,
    fingerprint,
    list_versions,
    open_version,
    own_digest,
    portable,
    written,
)
from handmade import aside, pair, recording, settings, version

FORMAT = Path(__file__).resolve().parents[2] / "docs" / "version-format.md"
BROKEN = "remove the version's folder and build it again"


@pytest.fixture
def made(tmp_path: Path) -> Version:
    """Two pairs with a little of everything, and one that is set aside."""
    return version(
        tmp_path,
        "N2C_4",
        [
            pair(
                "a",
                breaks=(2, 1),
                merged=1,
                source={"silences": ((10, 20), (50, 60)), "phrases": (20, 20)},
                target={"samples": (0, 16000), "frames": (0, 101)},
            ),
            pair("b", split="dev", target={"silences": ((30, 40),), "phrases": (15, 25)}),
        ],
        others=[aside("C", "c", "is an empty file")],
        set_aside=[SetAside(pair="N>C/c", reason="target is an empty file")],
        warnings=["one"],
    )


# ---------------------------------------------------------------- writing and reading


def test_what_was_written_is_read(made: Version, tmp_path: Path) -> None:
    again = open_version(tmp_path, "N2C_4")

    assert again == made
    assert (again.name, again.family) == ("N2C_4", "N2C")
    assert again.settings == settings()
    assert again.speakers == ("C", "N")
    assert again.warnings == ("one",)
    assert again.workspace == tmp_path
    first = again.pairs[0]
    assert (first.id, first.breaks, first.merged) == ("N>C/a", (2, 1), 1)
    assert first.source.silences == ((10, 20), (50, 60))
    assert first.target.frames == (0, 101)
    assert [each.id for each in again.recordings] == ["C/a", "C/b", "C/c", "N/a", "N/b"]
    assert again.set_aside == (SetAside(pair="N>C/c", reason="target is an empty file"),)


def test_rows_are_hashable_and_stay_as_they_are(made: Version) -> None:
    # Tuples all the way down: a list would not hash, and could be changed.
    assert len({*made.pairs, *made.recordings, *made.set_aside}) == 2 + 5 + 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.pairs[0].merged = 3  # type: ignore[misc]


def test_durations_and_costs_go_to_their_pairs(tmp_path: Path) -> None:
    durations = {"a": [2] * 20 + [0] * 20, "b": [1] * 40}
    made = version(tmp_path, "N2C", [pair("b"), pair("a")], durations=durations)

    for each in made.pairs:
        assert made.durations(each).tolist() == durations[each.sentence]
        assert made.durations(each).dtype == np.int32
        assert made.cost(each) == 0.0


def test_features_are_the_kept_frames(made: Version, tmp_path: Path) -> None:
    first, stop = made.pairs[0].source.frames
    whole = {
        "f0": np.arange(101, dtype=np.float32),
        "energy": np.ones(101, dtype=np.float32),
        "mel": np.arange(202, dtype=np.float32).reshape(101, 2),
    }
    key = Key(stage="features", version=1, inputs={}, settings={}, libraries={})
    name = Store(tmp_path).put(key, whole)
    side = dataclasses.replace(made.pairs[0].source, object=name)

    found = made.features(side)

    assert found.f0.tolist() == list(range(first, stop))
    np.testing.assert_array_equal(found.mel, whole["mel"][first:stop])
    assert len(found.energy) == stop - first


def test_missing_features_name_their_recording(made: Version) -> None:
    with pytest.raises(BadVersion, match=r"recording N/a: object .* is missing"):
        made.features(dataclasses.replace(made.pairs[0].source, object="ab" * 32))


def test_seconds_of_a_side() -> None:
    side = handmade.side("N", "a", samples=(1600, 12000))  # of 16000 at 16 kHz

    assert (side.head_seconds, side.kept_seconds, side.tail_seconds) == (0.1, 0.65, 0.25)


def test_splits_and_sources(made: Version) -> None:
    assert [each.id for each in made.split("dev")] == ["N>C/b"]
    assert made.split("eval") == ()
    assert made.source_path(made.recordings[0]) == Path("N2C/C/a.wav")


@pytest.mark.parametrize("sentence", ["あ", "a b", "line\u2028end", "line\x85end", "\x1c", 'q"\\'])
def test_any_sentence_can_be_written(tmp_path: Path, sentence: str) -> None:
    version(tmp_path, "N2C", [pair(sentence)])

    made = open_version(tmp_path, "N2C").whole()

    assert made.pairs[0].sentence == sentence
    assert made.recordings[0].id == f"C/{sentence}"


def test_an_existing_name_is_refused_and_kept(made: Version, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="N2C_4 exists already"):
        version(tmp_path, "N2C_4", [pair("z")])

    assert open_version(tmp_path, "N2C_4") == made


# --------------------------------------------------------------------------- names


def test_versions_are_listed_by_family_and_number(tmp_path: Path) -> None:
    for name in ("N2C_10", "N2C_2", "N2C", "A_1", "N2C_b", "Z"):
        version(tmp_path, name, [pair("a")])
    (tmp_path / "versions" / ".tmp-here-1-aa").mkdir()
    shutil.copy(
        tmp_path / "versions" / "Z" / "version.json", tmp_path / "versions" / ".tmp-here-1-aa"
    )
    (tmp_path / "versions" / "no version").mkdir()

    assert list_versions(tmp_path) == ["A_1", "N2C", "N2C_2", "N2C_10", "N2C_b", "Z"]
    assert list_versions(tmp_path / "nowhere") == []


def test_an_unknown_version_names_the_nearest(made: Version, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="no dataset 'N2C_5'; did you mean N2C_4"):
        open_version(tmp_path, "N2C_5")
    with pytest.raises(UnknownName, match="there is no dataset yet"):
        open_version(tmp_path / "nowhere", "N2C")


@pytest.mark.parametrize("name", ["../x", "", ".", "a/b", "/etc", ".hidden", "a\n", "a" * 200])
def test_what_is_no_name_is_refused(made: Version, tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="is not a dataset name"):
        open_version(tmp_path, name)


def test_a_renamed_folder_is_not_taken_for_another_version(made: Version, tmp_path: Path) -> None:
    shutil.copytree(made.folder, made.folder.with_name("N2C_5"))

    with pytest.raises(BadVersion, match="holds dataset N2C_4, not N2C_5; name it N2C_4 again"):
        open_version(tmp_path, "N2C_5")


# -------------------------------------------------------------------------- damage


def other_bytes(whole: bytes, position: int, draw: random.Random) -> Iterator[bytes]:
    """The file with one byte replaced: by its neighbours in ASCII, a bit flip, and at random."""
    old = whole[position]
    for new in {old ^ 1, old ^ 32, draw.randrange(256), ord(" "), ord("\n"), ord("9")} - {old}:
        yield whole[:position] + bytes([new]) + whole[position + 1 :]


def test_any_other_byte_in_version_json_is_refused(made: Version, tmp_path: Path) -> None:
    path, draw = made.folder / "version.json", random.Random(5)
    whole = path.read_bytes()
    numbers = [each.start() for each in re.finditer(rb"[-+e.]|\d\d", whole)]  # 1e-05 -> 1e905
    for position in {*draw.sample(range(len(whole)), 150), *draw.sample(numbers, 60)}:
        for damaged in other_bytes(whole, position, draw):
            path.write_bytes(damaged)
            with pytest.raises(BadVersion):
                describe(tmp_path, "N2C_4")
    path.write_bytes(whole)
    assert open_version(tmp_path, "N2C_4") == made


def test_numbers_without_end_in_version_json_are_refused(made: Version, tmp_path: Path) -> None:
    path = made.folder / "version.json"
    whole = path.read_text()
    for word in ("1e905", "-1e905", "NaN", "Infinity"):
        damaged = whole.replace("1e-05", word)
        assert damaged != whole
        path.write_text(damaged)
        with pytest.raises(BadVersion, match="dataset N2C_4 is damaged"):
            describe(tmp_path, "N2C_4")


@pytest.mark.parametrize("text", ["", "{", "[]", "[1, 2]", "3", "null", '"x"', "{}", "\xff"])
def test_what_is_no_description_is_refused(made: Version, tmp_path: Path, text: str) -> None:
    (made.folder / "version.json").write_bytes(text.encode("latin-1"))

    with pytest.raises(BadVersion, match=f"version.json cannot be read; {BROKEN}"):
        open_version(tmp_path, "N2C_4")


def read_all(workspace: Path) -> Version:
    return open_version(workspace, "N2C_4").whole()


@pytest.mark.parametrize(
    "name",
    [
        "manifest.jsonl",
        "recordings.jsonl",
        "set_aside.jsonl",
        "arrays.safetensors",
        "columns.safetensors",
        "objects.safetensors",
    ],
)
def test_a_damaged_file_is_never_read(made: Version, tmp_path: Path, name: str) -> None:
    path, draw = made.folder / name, random.Random(name)
    whole = path.read_bytes()
    for position in draw.sample(range(len(whole)), min(len(whole), 60)):
        for damaged in other_bytes(whole, position, draw):
            path.write_bytes(damaged)
            with pytest.raises(BadVersion, match=f"{name} does not fit its digest; {BROKEN}"):
                read_all(tmp_path)
    for damaged in (b"", whole[:-1], whole + b"\n"):
        path.write_bytes(damaged)
        with pytest.raises(BadVersion, match=name):
            read_all(tmp_path)
    path.unlink()
    with pytest.raises(BadVersion, match=f"{name} cannot be read"):
        read_all(tmp_path)
    path.write_bytes(whole)
    assert read_all(tmp_path) == made


def test_a_damaged_manifest_is_not_even_opened(made: Version, tmp_path: Path) -> None:
    path = made.folder / "manifest.jsonl"
    path.write_text(path.read_text().replace('"split":"dev"', '"split":"train"'))

    with pytest.raises(BadVersion, match=r"manifest\.jsonl does not fit its digest"):
        open_version(tmp_path, "N2C_4")


def rewritten(made: Version, **changes: Any) -> None:
    """Change version.json and give it a digest that fits, as another release might."""
    description = json.loads((made.folder / "version.json").read_text())
    description |= changes
    description["digest"] = own_digest(description)
    (made.folder / "version.json").write_bytes(written(description))


def test_another_schema_is_refused_with_its_number(made: Version, tmp_path: Path) -> None:
    rewritten(made, schema=SCHEMA + 1)

    with pytest.raises(BadVersion, match=f"has schema {SCHEMA + 1}, this release reads {SCHEMA}"):
        open_version(tmp_path, "N2C_4")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"statistics": {"source": {}}}, "a field is missing or unknown"),
        ({"settings": {**to_mapping(settings()), "rms": 1}}, "unknown key 'rms'"),
    ],
)
def test_fields_that_do_not_fit_are_named(
    made: Version, tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    rewritten(made, **changes)

    with pytest.raises(BadVersion, match=problem):
        open_version(tmp_path, "N2C_4")


# --------------------------------------------------------------------- fingerprint


def print_of(
    pairs: list[Pair] | None = None,
    recordings: list[Recording] | None = None,
    config: DatasetConfig | None = None,
    durations: tuple[int, ...] = (1, 2),
) -> str:
    first = pair("a")
    return fingerprint(
        config or settings(),
        recordings if recordings is not None else [recording(first.source)],
        pairs or [first],
        np.array(durations, dtype=np.int32),
    )


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, tuple):
        return (*value, (3, 4)) if not value or isinstance(value[0], tuple) else (*value[:-1], 77)
    return value + 1 if isinstance(value, int) else f"{value}x"


OUTSIDE = {"alignment", "object"}  # names of objects: library versions are part of them


@pytest.mark.parametrize(
    "name", [f.name for f in dataclasses.fields(Pair) if f.name not in ("source", "target")]
)
def test_every_decision_about_a_pair_counts(name: str) -> None:
    first = pair("a")
    changed = dataclasses.replace(first, **{name: other(getattr(first, name))})

    assert (print_of([changed]) != print_of()) == (name not in OUTSIDE)


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Side)])
def test_every_decision_about_a_side_counts(role: str, name: str) -> None:
    first = pair("a")
    side = getattr(first, role)
    side = dataclasses.replace(side, **{name: other(getattr(side, name))})

    changed = dataclasses.replace(first, **{role: side})

    assert (print_of([changed]) != print_of()) == (name not in OUTSIDE)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Recording)])
def test_of_a_used_recording_its_id_and_samples_count(name: str) -> None:
    first = recording(pair("a").source)
    changed = dataclasses.replace(first, **{name: other(getattr(first, name))})

    # "usedx" is not "used": a recording that is not used does not count at all
    assert (print_of(recordings=[changed]) != print_of()) == (
        name in ("id", "digest", "state", "f0_range")
    )


def test_recordings_that_are_set_aside_do_not_count() -> None:
    used = recording(pair("a").source)

    assert print_of(recordings=[used, aside("N", "z", "is an empty file")]) == print_of()


def test_settings_durations_and_the_order_of_pairs_count() -> None:
    prints = [
        print_of(),
        print_of(config=settings("silence.thresh=-70")),
        print_of(durations=(2, 1)),
        print_of([pair("a"), pair("b")]),
        print_of([pair("b"), pair("a")]),
    ]

    assert len(set(prints)) == len(prints)


def test_folders_do_not_count() -> None:
    moved = settings("corpora.N2C.root=elsewhere", 'corpora.N2C.speakers={C = "y", N = "x"}')

    assert print_of(config=moved) == print_of()
    assert portable(moved) == portable(settings())
    assert portable(moved)["corpora"]["N2C"]["speakers"] == ["C", "N"]


def test_the_fingerprint_is_the_stated_hash() -> None:
    def line(value: Any) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    first = pair("a")
    row = to_mapping(first)
    for part in (row, row["source"], row["target"]):
        for name in OUTSIDE:
            part.pop(name, None)
    stated = line({"schema": SCHEMA, "settings": portable(settings())})
    stated += line([first.source.recording, recording(first.source).digest, None])
    stated += line(row) + b"\1\0\0\0\2\0\0\0"

    assert print_of() == hashlib.sha256(stated).hexdigest()


# ------------------------------------------------------------------- the documentation


def section(title: str) -> str:
    """The text of one section of the format's description."""
    return FORMAT.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def tables(text: str) -> list[list[str]]:
    """The names in the first column of every table."""
    return [
        re.findall(r"`([^`]+)`", "\n".join(row.split("|")[1] for row in block.splitlines()))
        for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    ]


def names_of(cls: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def test_every_field_on_disk_is_documented(made: Version) -> None:
    said = json.loads((made.folder / "version.json").read_text())
    [description] = tables(section("version.json"))
    assert sorted(description) == sorted(said)

    manifest = json.loads((made.folder / "manifest.jsonl").read_text().splitlines()[0])
    pairs, sides = tables(section("manifest.jsonl"))
    assert pairs == names_of(Pair)
    assert sides == names_of(Side)
    assert sorted(manifest) == sorted(pairs)
    assert sorted(manifest["source"]) == sorted(sides)

    for name, cls in (("recordings", Recording), ("set_aside", SetAside)):
        row = json.loads((made.folder / f"{name}.jsonl").read_text().splitlines()[0])
        told = re.findall(r"`([^`]+)`", section(f"{name}.jsonl"))
        assert told == names_of(cls)
        assert sorted(row) == sorted(told)

    for name in ("arrays.safetensors", "columns.safetensors"):
        arrays = safetensors.numpy.load_file(made.folder / name)
        [tensors] = tables(section(name))
        assert sorted(tensors) == sorted(arrays)


def test_statistics_and_totals_are_documented(made: Version) -> None:
    text = section("version.json")
    [statistics] = re.findall(r"\| `statistics` \|(.*)", text)
    told = re.findall(r"`([^`]+)`", statistics)
    assert told == [*names_of(Statistics), *names_of(SideStatistics)]

    totals = json.loads((made.folder / "version.json").read_text())["totals"]
    words = set(re.findall(r"`(?:totals\.)?(\w+)`", text.split("\n\n")[-1]))
    documented = set(totals) - {"splits"} | {key for part in totals.values() for key in part}
    assert documented - words - {"train", "dev", "eval", "used"} == set()


def test_every_stage_of_objects_is_documented() -> None:
    [stages] = tables(section("Objects"))

    assert stages[::1].count("levels") == 1
    assert {"levels", "features", "alignment"} <= set(stages)

"""Exports as such: whole or not at all, refused by name; each format has a file of its own."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building import (
    Said,
    built,
    contents,
    corpuskit,
    ended,
    litter,
    quick_corpus,
    settings,
    started,
)
from corpuskit import files
from corpuskit.exports.registry import FORMATS
from corpuskit.exports.request import file_name
from corpuskit.objects import Store
from corpuskit.versions import Version


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    corpus = quick_corpus(tmp_path_factory.mktemp("exports") / "corpus", 4)
    return built(corpus.root.parent / "w", settings(corpus.root)).version


def exported(version: Version, form: str, out: Path, *more: str) -> Said:
    words = ("export", version.name, "--to", form, out, "--workspace", version.workspace)
    return corpuskit(*words, "--jobs", "2", *more)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_what_it_wrote_and_from_what(
    version: Version, form: str, tmp_path: Path
) -> None:
    said = exported(version, form, tmp_path / "out", "--json")

    assert (said.code, said.err) == (0, "")
    told = json.loads(said.out)
    written = contents(tmp_path / "out")
    assert told["pairs"] == 4
    assert told["files"] == len(written)
    assert told["size"] == sum(len(data) for data in written.values())
    card = json.loads(written["export.json"])
    assert (card["dataset"], card["format"]) == ("N2C", form)
    assert card["fingerprint"] == version.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("form", FORMATS)
def test_the_number_of_threads_changes_nothing(version: Version, form: str, tmp_path: Path) -> None:
    exported(version, form, tmp_path / "out", "--jobs", "1")
    alone = contents(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    exported(version, form, tmp_path / "out", "--jobs", "4")

    assert contents(tmp_path / "out") == alone


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_object_is_named_and_nothing_is_left(form: str, tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    version = built(tmp_path / "w", settings(corpus.root)).version
    for pair in version.pairs[:1]:
        Store(version.workspace).path(pair.source.object).unlink()
        Store(version.workspace).path(version.recordings[-1].levels).unlink()
        version.source_path(version.recordings[-1]).unlink()
    before = sorted(tmp_path.iterdir())

    said = exported(version, form, tmp_path / "out")

    assert said.code == 2
    assert version.pairs[0].source.recording in said.err or version.recordings[-1].id in said.err
    assert len(said.err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_an_empty_folder_is_taken(version: Version, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    assert exported(version, "npy", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "export.json").is_file()


def test_folders_above_are_made(version: Version, tmp_path: Path) -> None:
    assert exported(version, "npy", tmp_path / "a" / "b").code == 0


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda out: (out.mkdir(), (out / "mine.txt").write_text("mine")), "is not empty"),
        (lambda out: out.write_text("mine"), "is a file"),
    ],
)
def test_what_is_there_stays(
    version: Version, tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    out = tmp_path / "out"
    make(out)
    before = contents(tmp_path)

    said = exported(version, "npy", out)

    assert said.code == 2
    assert told in said.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("place", ["versions/N2C_5", "objects", "runs/N2C_1/out"])
def test_the_workspaces_own_folders_are_no_place(version: Version, place: str) -> None:
    before = contents(version.workspace)

    said = exported(version, "npy", version.workspace / place)

    assert said.code == 2
    assert "export elsewhere" in said.err
    assert contents(version.workspace) == before


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_cannot_grow_is_one_message(
    version: Version, form: str, tmp_path: Path
) -> None:
    """A real refusal of the system, whichever library writes."""
    words = ("export", version.name, "--to", form, tmp_path / "out")
    process = started(
        *words,
        *("--workspace", version.workspace, "--jobs", "2"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    said = ended(process)

    assert said.code == 2
    assert said.err == (
        f"error: cannot write {tmp_path / 'out'}: {os.strerror(errno.EFBIG)}; "
        "free some space or export elsewhere; nothing of this export is left\n"
    )
    assert list(tmp_path.iterdir()) == []


WRITE_ALL = """
import sys
from pathlib import Path
from corpuskit.exports.registry import FORMATS, export
from corpuskit.exports.request import Means
from corpuskit.versions import open_version
version = open_version(Path(sys.argv[1]), "N2C")
for form in FORMATS:
    list(export(version, form, Path(sys.argv[2]) / form, Means()))
print(sorted({"torch", "lhotse", "datasets"} & set(sys.modules)))
"""


def test_no_export_loads_torch_or_the_library_it_writes_for(
    version: Version, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", WRITE_ALL, str(version.workspace), str(tmp_path)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)

    assert said.stdout == "[]\n"


def test_an_unknown_format_or_split_names_the_nearest(version: Version, tmp_path: Path) -> None:
    said = exported(version, "npz", tmp_path / "out")
    assert (said.code, "did you mean npy?" in said.err) == (2, True)

    said = exported(version, "npy", tmp_path / "out", "--split", "trian")
    assert (said.code, "did you mean train?" in said.err) == (2, True)

    assert not (tmp_path / "out").exists()


def test_a_split_without_pairs_is_refused(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    version = built(tmp_path / "w", settings(corpus.root, "split.eval=0")).version

    said = exported(version, "npy", tmp_path / "out", "--split", "eval")

    assert said.code == 2
    assert "no pair in eval" in said.err


@pytest.mark.parametrize("broken", ["_write", "_sync", "_rename"])
def test_a_full_disk_leaves_nothing(
    version: Version, tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, broken, full)
    said = exported(version, "npy", tmp_path / "out")

    assert said.code == 2
    assert said.err == (
        f"error: cannot write {tmp_path / 'out'}: {os.strerror(errno.ENOSPC)}; "
        "free some space or export elsewhere; nothing of this export is left\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_export_go_with_the_next(version: Version, tmp_path: Path) -> None:
    dead = tmp_path / files._hidden_name().replace(f"-{os.getpid()}-", "-999999999-")
    (dead / "mel").mkdir(parents=True)

    exported(version, "npy", tmp_path / "out")

    assert litter(tmp_path) == []


@given(st.text(min_size=1))
def test_a_file_name_is_plain_and_short(text: str) -> None:
    name = file_name(text)

    assert not set(name) & set('/\\|:*?"<>\0\n ')
    assert len(name.encode()) <= 160
    assert not name.startswith(".")


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_texts_have_different_file_names(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


def test_a_plain_name_stays() -> None:
    assert file_name("BASIC5000_0001") == "BASIC5000_0001"
    assert file_name("会話_1") == "会話_1"

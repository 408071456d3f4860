"""Corpora on disk: which files are recordings, whose, of what, and which cannot be told apart."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path

import pytest

from corpuskit.config import CorpusConfig
from corpuskit.layouts import Found, Scan, scan


def touch(root: Path, *names: str) -> None:
    """Empty files: a scan opens nothing."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def scanned(root: Path, **speakers: str) -> Scan:
    return scan({"N2C": CorpusConfig(root=str(root), speakers=speakers or {"N": "source"})})


def ids(found: Scan) -> list[str]:
    return [recording.id for recording in found.recordings]


def test_a_recording_is_a_speaker_and_a_stem(tmp_path: Path) -> None:
    touch(tmp_path, "source/a.wav", "target/a.flac", "target/deep/er/b.wav")

    found = scanned(tmp_path, N="source", C="target")

    assert found.warnings == ()
    assert found.recordings[1] == Found(
        id="C/b",
        speaker="C",
        sentence="b",
        corpus="N2C",
        relative="target/deep/er/b.wav",
        path=tmp_path / "target/deep/er/b.wav",
    )
    assert ids(found) == ["C/a", "C/b", "N/a"]


def test_what_is_no_visible_recording_is_passed_over(tmp_path: Path) -> None:
    touch(
        tmp_path / "source",
        *("a.wav", "B.WAV", "c.Flac", "d.e.wav"),
        *("a.txt", "wav", "a.wav.bak", "notes.mp3", ".hidden.wav", "._a.wav", ".wav"),
        *(".Trashes/t.wav", "sub/.AppleDouble/a.wav", "sub/f.wav"),
    )

    assert ids(scanned(tmp_path)) == ["N/B", "N/a", "N/c", "N/d.e", "N/f"]


def test_the_order_is_that_of_the_ids_whatever_the_file_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(
        tmp_path / "source",
        *(f"{folder}/{name}.wav" for folder, name in zip("zya", "bca", strict=True)),
    )
    walk = os.walk

    def backwards(top: str, **options: object):
        for folder, subfolders, files in walk(top, **options):
            subfolders.reverse()
            yield folder, subfolders, files[::-1]

    forwards = scanned(tmp_path)
    monkeypatch.setattr(os, "walk", backwards)

    assert ids(forwards) == ["N/a", "N/b", "N/c"]
    assert scanned(tmp_path) == forwards


def test_stems_that_occur_twice_are_named_apart_and_have_a_problem(tmp_path: Path) -> None:
    touch(tmp_path / "source", "x/a.wav", "y/a.wav", "b.wav", "b.flac", "b.WAV", "c.wav")

    found = scanned(tmp_path)

    assert {recording.id: recording.problem for recording in found.recordings} == {
        "N/b.WAV": "shares its stem with 2 other files",
        "N/b.flac": "shares its stem with 2 other files",
        "N/b.wav": "shares its stem with 2 other files",
        "N/c": "",
        "N/x/a.wav": "shares its stem with another file",
        "N/y/a.wav": "shares its stem with another file",
    }
    assert {r.sentence for r in found.recordings} == {"a", "b", "c"}


def test_composed_and_decomposed_names_are_one_sentence(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "がぎ_é")
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    touch(tmp_path, f"source/{composed}.wav", f"target/{decomposed}.wav")

    found = scanned(tmp_path, N="source", C="target")

    assert [r.sentence for r in found.recordings] == [composed, composed]
    assert ids(found) == [f"C/{composed}", f"N/{composed}"]
    assert all(r.path.exists() for r in found.recordings)


def test_both_forms_of_a_name_in_one_folder_are_two_of_one_stem(tmp_path: Path) -> None:
    touch(
        tmp_path / "source",
        *(f"{unicodedata.normalize(form, 'が')}.wav" for form in ("NFC", "NFD")),
    )

    found = scanned(tmp_path)

    assert len(set(ids(found))) == 2
    told = "shares its stem with another file, but for Unicode's two ways to write a letter"
    assert all(r.problem == f"{told} (NFC, NFD)" for r in found.recordings)


def test_a_name_that_is_no_utf8_is_spelt_out_and_has_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    touch(folder, "a.wav")
    shift_jis = os.fsencode(folder) + b"/" + "声".encode("shift-jis") + b".wav"
    try:
        os.close(os.open(shift_jis, os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")

    found = scanned(tmp_path)

    bad, good = found.recordings
    assert (good.id, good.problem) == ("N/a", "")
    assert bad.problem == "has a file name that is not UTF-8 text"
    assert bad.sentence == r"\x90\xba"
    for text in (bad.id, bad.sentence, bad.relative):
        text.encode("utf-8")  # what is written into a version must be text
    assert bad.path.exists()


def test_links_are_followed_but_never_in_a_circle(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/b.wav", "source/sub/a.wav")
    (tmp_path / "source/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source/sub/up").symlink_to(tmp_path / "source")
    (tmp_path / "elsewhere/itself").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source/c.wav").symlink_to(tmp_path / "elsewhere/b.wav")

    found = scanned(tmp_path)

    assert {r.id: r.relative for r in found.recordings} == {
        "N/a": "source/sub/a.wav",
        "N/b": "source/link/b.wav",
        "N/c": "source/c.wav",
    }
    assert all(not r.problem for r in found.recordings)


def test_a_folder_reached_by_two_ways_counts_once(tmp_path: Path) -> None:
    touch(tmp_path, "source/real/a.wav")
    (tmp_path / "source/also").symlink_to(tmp_path / "source/real")

    assert [r.relative for r in scanned(tmp_path).recordings] == ["source/also/a.wav"]


def test_a_dangling_link_is_found_and_left_to_the_decoder(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a.wav").symlink_to(tmp_path / "gone.wav")

    assert ids(scanned(tmp_path)) == ["N/a"]


@pytest.mark.parametrize(
    ("what", "told"), [("nothing", "does not exist"), ("file", "is not a folder")]
)
def test_a_missing_folder_is_named_and_the_others_are_read(
    tmp_path: Path, what: str, told: str
) -> None:
    touch(tmp_path, "target/a.wav")
    if what == "file":
        touch(tmp_path, "source")

    found = scanned(tmp_path, N="source", C="target")

    assert ids(found) == ["C/a"]
    assert found.warnings == (f"speaker N: folder {tmp_path / 'source'} {told}",)


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "source/a.wav", "source/locked/b.wav")
    listed = os.scandir

    def locked(path: str):  # for root every folder is readable
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", locked)

    found = scanned(tmp_path)

    assert ids(found) == ["N/a"]
    assert found.warnings == (
        f"folder {tmp_path / 'source' / 'locked'} cannot be read: Permission denied",
    )


def test_corpora_are_scanned_together_in_the_order_of_ids(tmp_path: Path) -> None:
    touch(tmp_path, "one/v/x.wav", "two/w/x.wav")
    found = scan(
        {
            "b": CorpusConfig(root=str(tmp_path / "one"), speakers={"V": "v"}),
            "a": CorpusConfig(root=str(tmp_path / "two"), speakers={"U": "w"}),
        }
    )

    assert [(r.id, r.corpus, r.relative) for r in found.recordings] == [
        ("U/x", "a", "w/x.wav"),
        ("V/x", "b", "v/x.wav"),
    ]

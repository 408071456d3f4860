"""A lock made on one machine, and builds elsewhere that are held to it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from building import Said, corpuskit, quick_corpus, written_toml
from corpuskit.versions import list_versions, open_version

CHANGES = ("silence.thresh=-50", "silence.min_silence_len=200")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_corpus(tmp_path_factory.mktemp("lock") / "corpus", 4).root


@pytest.fixture
def here(original: Path, tmp_path: Path) -> Path:
    """One machine: a corpus, a version of it, its lock."""
    folder = tmp_path / "here"
    shutil.copytree(original, folder / "corpus")
    toml = written_toml(folder / "N2C.toml", folder / "corpus", *CHANGES)
    words = ("--config", toml, "--workspace", folder / "w", "--jobs", "1")
    assert corpuskit("build", "N2C", *words).code == 0
    said = corpuskit("lock", "N2C", "--workspace", folder / "w")
    assert said.code == 0
    (folder / "N2C.lock.json").write_text(said.out, encoding="utf-8")
    return folder


@pytest.fixture
def there(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another machine: the same corpus elsewhere; no definition of it lies where we stand."""
    folder = tmp_path / "there"
    shutil.copytree(original, folder / "audio")
    monkeypatch.chdir(folder)
    return folder


def locked(here: Path, there: Path, *more: object) -> Said:
    return corpuskit(
        *("build", "N2C", "--locked", here / "N2C.lock.json", "--workspace", there / "w"),
        *("--jobs", "1", *more),
    )


def at(there: Path) -> tuple[str, str]:
    return "--set", f"corpora.N2C.root={there / 'audio'}"


def changed(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields), encoding="utf-8")


def test_two_folders_agree(here: Path, there: Path) -> None:
    assert locked(here, there, *at(there)).code == 0

    versions = [open_version(folder / "w", "N2C") for folder in (here, there)]
    assert versions[0].fingerprint == versions[1].fingerprint
    locks = [corpuskit("lock", "N2C", "--workspace", f / "w").out for f in (here, there)]
    assert locks[0] == locks[1]


def test_a_definition_gives_folders_and_the_lock_all_else(here: Path, there: Path) -> None:
    for side in ("source", "target"):
        (there / "audio" / side).rename(there / "audio" / f"my_{side}")
    toml = written_toml(there / "N2C.toml", there / "audio", "silence.thresh=-80")
    text = toml.read_text(encoding="utf-8")
    toml.write_text(
        text.replace('"source"', '"my_source"', 1).replace('"target"', '"my_target"', 1),
        encoding="utf-8",
    )

    said = locked(here, there, "--config", toml)

    assert said.code == 0, said.err
    assert open_version(there / "w", "N2C").settings.silence.thresh == -50


def test_a_lock_tells_no_path_and_a_recording_a_line(here: Path) -> None:
    text = (here / "N2C.lock.json").read_text(encoding="utf-8")

    assert str(here) not in text
    assert sum("N/utt_" in line for line in text.splitlines()) == 4


def test_other_missing_and_more_recordings_are_named_and_nothing_is_frozen(
    here: Path, there: Path
) -> None:
    source, target = there / "audio" / "source", there / "audio" / "target"
    shutil.copy(source / "utt_002.wav", source / "utt_001.wav")
    (source / "utt_003.wav").unlink()
    for side in (source, target):
        shutil.copy(side / "utt_004.wav", side / "utt_900.wav")

    said = locked(here, there, *at(there))

    assert said.code == 1
    assert "other content here: 1: N/utt_001" in said.err
    assert "missing here: 2: C/utt_003 (has no partner), N/utt_003" in said.err
    assert "not locked: 2: C/utt_900, N/utt_900" in said.err
    assert list_versions(there / "w") == []


def test_libraries_are_named_where_the_fingerprint_differs(here: Path, there: Path) -> None:
    file = here / "N2C.lock.json"
    made_by = json.loads(file.read_text())["libraries"] | {"pyworld": "0.0.1"}
    changed(file, fingerprint="0" * 64, libraries=made_by)

    said = locked(here, there, *at(there))

    assert said.code == 1
    assert "library pyworld: 0.0.1 locked" in said.err
    assert list_versions(there / "w") == []


def test_equal_makings_and_another_fingerprint_are_other_decisions(here: Path, there: Path) -> None:
    changed(here / "N2C.lock.json", fingerprint="0" * 64)

    said = locked(here, there, *at(there))

    assert said.code == 1
    assert "decisions" in said.err
    assert list_versions(there / "w") == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--like", "N2C"), "--like"),
        (("--silence-thresh", "-40"), "silence.thresh"),
        (("--set", "split.dev=2"), "split.dev"),
        ((), "where corpus N2C lies"),
    ],
)
def test_what_contradicts_a_lock_is_refused(
    here: Path, there: Path, words: tuple[str, ...], told: str
) -> None:
    said = locked(here, there, *words)

    assert said.code == 2
    assert told in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"lock": 1}', b"\xff\xfe", b"[" * 9])
def test_what_is_no_lock_is_refused(here: Path, there: Path, content: bytes) -> None:
    (here / "N2C.lock.json").write_bytes(content)

    said = locked(here, there, *at(there))

    assert said.code == 2
    assert "N2C.lock.json" in said.err
    assert "Traceback" not in said.err

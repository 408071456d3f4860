"""Hundreds of malformed inputs: used or refused by name; no traceback, no hang, nothing lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import building
import hostile
from building import corpuskit, ended, litter, quick_corpus, settings, started, written_toml
from corpuskit.versions import Version, open_version
from hostile import Input
from thorough import thoroughly

PARTNER = hostile.encoded(hostile.voice(0.5, seed=7))
ODD = {True: "used", False: "set aside"}


def write_hostile(root: Path, kinds: Mapping[str, list[Input]]) -> int:
    """Add the inputs to N's recordings, and a sound partner of each to C's; return how many."""
    count = 0
    for kind, inputs in kinds.items():
        for each in inputs:
            path = root / "source" / kind / each.name
            path.parent.mkdir(parents=True, exist_ok=True)
            each.write(path)
            partner = root / "target" / kind / each.name
            partner.parent.mkdir(parents=True, exist_ok=True)
            partner.with_suffix(".wav").write_bytes(PARTNER)
            count += 1
    return count


def assert_accounted_for(version: Version, kinds: Mapping[str, list[Input]], count: int) -> None:
    recordings, pairs = version.totals["recordings"], version.totals["pairs"]
    assert recordings["found"] == count == len(version.recordings)
    assert recordings["found"] == recordings["used"] + sum(recordings["set_aside"].values())
    assert pairs["candidates"] == pairs["used"] + sum(pairs["set_aside"].values())
    by_path = {recording.path: recording for recording in version.recordings}
    for kind, inputs in kinds.items():
        for each in inputs:
            name = os.fsencode(f"source/{kind}/{each.name}").decode("utf-8", "backslashreplace")
            recording = by_path[name]
            assert (recording.state == "used") == (recording.reason == ""), name
            if each.used is not None:
                assert recording.state == ODD[each.used], (name, recording.reason)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sound pairs, built as N2C and N2C_2 in w; not to be changed."""
    root = tmp_path_factory.mktemp("robust")
    quick_corpus(root / "corpus")
    building.built(root / "w", settings(root / "corpus"))
    building.built(root / "w", settings(root / "corpus", "silence.thresh=-40"), "N2C_2")
    return root


# ------------------------------------------------------------------------- recordings


@pytest.mark.parametrize("scale", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_every_malformed_recording_is_used_or_set_aside(tmp_path: Path, scale: int) -> None:
    quick_corpus(tmp_path / "corpus")
    kinds = hostile.kinds(scale)
    count = write_hostile(tmp_path / "corpus", kinds)
    toml = written_toml(tmp_path / "N2C.toml", tmp_path / "corpus")
    said = ended(
        started(
            *("build", "N2C", "--config", toml, "--workspace", tmp_path / "w", "--jobs", "1"),
            environment={"PYTHONWARNINGS": "error"},
        )
    )

    assert said.code == 0, said.err[-2000:]
    assert "Traceback" not in said.err
    version = open_version(tmp_path / "w", "N2C")
    assert_accounted_for(version, kinds, 2 * (count + 4))
    sound = {f"N>C/utt_{number:03d}" for number in range(1, 5)}
    assert sound <= {pair.id for pair in version.pairs}
    assert litter(tmp_path / "w") == []
    for command in ("show", "verify", "check"):
        again = ended(started(command, "N2C", "--workspace", tmp_path / "w"))
        assert again.code == 0, again.err[-2000:]


def test_what_a_folder_of_malformed_recordings_is_can_be_told(tmp_path: Path) -> None:
    write_hostile(tmp_path, hostile.kinds())
    hostile.folders_and_circles(tmp_path / "more")
    for words in (["scan", tmp_path], ["scan", tmp_path, "--json"]):
        said = ended(started(*words))
        assert said.code in (0, 2)
        assert "Traceback" not in said.err
        if "--json" in words and said.code == 0:
            json.loads(said.out)


def test_folders_named_like_recordings_and_circles_of_links(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus")
    hostile.folders_and_circles(corpus.root / "source" / "more")
    version = building.built(tmp_path / "w", settings(corpus.root)).version

    # A link to the folder above leads to recordings that were seen already.
    assert {recording.id for recording in version.recordings} == {
        f"{speaker}/utt_{number:03d}" for speaker in "NC" for number in range(1, 5)
    }


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder anyone may enter; chmod is obeyed below it, also where tests are run by root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = os.geteuid() == 0
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for locked in folder.rglob("*"):
            if locked.is_dir():
                locked.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("locked", ["corpus/source/utt_001.wav", "corpus/source", "corpus", "."])
def test_what_may_not_be_read_is_named(unprivileged: Path, locked: str) -> None:
    quick_corpus(unprivileged / "corpus")
    toml = written_toml(unprivileged / "N2C.toml", unprivileged / "corpus")
    workspace = unprivileged / "w"
    workspace.mkdir()
    workspace.chmod(0o777)
    build = ("build", "N2C", "--config", toml, "--jobs", "1", "--workspace")
    assert corpuskit(*build, unprivileged / "first").code == 0  # everything is imported now
    (unprivileged / locked).chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)
    said = corpuskit(*build, workspace)
    if os.getuid() == 0:
        os.seteuid(0)

    if locked.endswith(".wav"):
        assert said.code == 0
        assert "cannot be read (Permission denied)" in said.out
    else:
        assert said.code == 2
        assert said.err.count("error: ") == 1
        assert "Permission denied" in said.err or "permission" in said.err


# ------------------------------------------------------------------------ definitions


def fuzz_definitions(root: Path, count: int, seed: int) -> dict[int, int]:
    """Run damaged definitions; return how many ended with which code."""
    rng = random.Random(seed)
    toml = written_toml(root / f"fuzz_{seed}.toml", root / "corpus")
    whole = toml.read_text(encoding="utf-8")
    codes: dict[int, int] = {}
    for number in range(count):
        text = hostile.damaged_text(whole, rng)
        toml.write_bytes(text.encode("utf-8") if number % 20 else text.encode("utf-16"))
        said = corpuskit("build", "N2C_9", "--config", toml, "--dry-run", "--workspace", root / "w")
        assert said.code in (0, 2), (text, said)
        assert "Traceback" not in said.err, (text, said)
        if said.code == 2:
            assert said.err.splitlines()[-1].startswith("error: "), (text, said)
        codes[said.code] = codes.get(said.code, 0) + 1
    return codes


@pytest.mark.parametrize(
    ("count", "seed"), [(100, 1), pytest.param(3000, 2, marks=pytest.mark.slow)]
)
def test_damaged_definitions_are_read_or_refused(corpus: Path, count: int, seed: int) -> None:
    codes = fuzz_definitions(corpus, count, seed)

    assert codes[2] > count / 4


# ---------------------------------------------------------------------- what is stored


def damage_versions(root: Path, count: int, seed: int) -> None:
    rng = random.Random(seed)
    files = sorted(path for path in (root / "w" / "versions" / "N2C").iterdir() if path.is_file())
    for _ in range(count):
        path = rng.choice(files)
        whole = path.read_bytes()
        data = hostile.damaged_bytes(whole, rng)
        try:
            path.write_bytes(data)
            for words in (["list"], ["show", "N2C"], ["diff", "N2C", "N2C_2"], ["verify", "N2C"]):
                said = corpuskit(*words, "--workspace", root / "w")
                told = (path.name, data[:80], words, said)
                assert said.code in (0, 1, 2), told
                assert "Traceback" not in said.err, told
                if words[0] == "verify":
                    assert (said.code == 0) == (data == whole), told
        finally:
            path.write_bytes(whole)


@pytest.mark.parametrize(("count", "seed"), [(25, 1), pytest.param(500, 2, marks=pytest.mark.slow)])
def test_damaged_versions_are_found_and_nothing_crashes(
    corpus: Path, count: int, seed: int
) -> None:
    damage_versions(corpus, count, seed)

    assert corpuskit("verify", "N2C", "--workspace", corpus / "w").code == 0


@pytest.mark.parametrize(("count", "seed"), [(10, 1), pytest.param(200, 2, marks=pytest.mark.slow)])
def test_damaged_objects_are_found_and_healed(
    corpus: Path, tmp_path: Path, count: int, seed: int
) -> None:
    shutil.copytree(corpus / "w", tmp_path / "w")
    rng = random.Random(seed)
    before = open_version(tmp_path / "w", "N2C").fingerprint
    objects = sorted((tmp_path / "w" / "objects").rglob("*.safetensors"))
    for _ in range(count):
        path = rng.choice(objects)
        whole = path.read_bytes()
        path.write_bytes(hostile.damaged_bytes(whole, rng))
        if path.read_bytes() == whole:
            continue
        again = building.built(tmp_path / "w", settings(corpus / "corpus"))
        assert again.version.fingerprint == before
        both = [corpuskit("verify", name, "--workspace", tmp_path / "w") for name in ("N2C",)]
        assert [said.code for said in both] == [0]


# -------------------------------------------------------------------- a disk that is full


@pytest.mark.parametrize("kilobytes", [8, 64, pytest.param(100, marks=pytest.mark.slow)])
def test_a_full_disk_ends_in_one_line_and_the_next_build_goes_on(
    corpus: Path, tmp_path: Path, kilobytes: int
) -> None:
    toml = written_toml(tmp_path / "N2C.toml", corpus / "corpus")
    expected = open_version(corpus / "w", "N2C").fingerprint
    try:
        with hostile.small_disk(tmp_path / "disk", kilobytes) as disk:
            words = ("build", "N2C", "--config", toml, "--jobs", "1", "--workspace", disk / "w")
            said = corpuskit(*words)
            assert said.code == 2, said
            assert said.err.splitlines()[-1].startswith("error: cannot write ")
            assert "No space left on device" in said.err
            assert litter(disk) == []
            assert not list((disk / "w").glob("versions/*"))
            hostile.enlarge(disk, 8192)
            assert corpuskit(*words).code == 0
            assert open_version(disk / "w", "N2C").fingerprint == expected
            assert corpuskit("verify", "N2C", "--workspace", disk / "w").code == 0
    except OSError as error:
        pytest.skip(str(error))


# ------------------------------------------------------------------ two builds at once


@thoroughly("names", [("N2C", "N2C"), ("N2C", "N2C_2")])
def test_two_builds_at_once(corpus: Path, tmp_path: Path, names: tuple[str, str]) -> None:
    toml = written_toml(tmp_path / "N2C.toml", corpus / "corpus")
    running = [
        started("build", name, "--config", toml, "--jobs", "1", "--workspace", tmp_path / "w")
        for name in names
    ]
    said = [ended(process) for process in running]

    assert [each.code for each in said] == [0, 0], said
    expected = open_version(corpus / "w", "N2C").fingerprint
    for name in names:
        assert open_version(tmp_path / "w", name).fingerprint == expected
        assert corpuskit("verify", name, "--workspace", tmp_path / "w").code == 0
    assert litter(tmp_path / "w") == []

"""Whole or not at all: every write, sync and rename fails in turn, and nothing half-done shows."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building import built, contents, litter, quick_corpus, settings
from corpuskit import files
from corpuskit.errors import CorpuskitError, Refused
from corpuskit.files import (
    append_line,
    canonical,
    publish_folder,
    read_json,
    remove_leftovers,
    temporary_folder,
    write_file,
    write_json,
)
from corpuskit.verify import Checked, verify
from corpuskit.versions import list_versions

STEPS = ("_write", "_sync", "_rename")


class FailingDisk:
    """Lets the first `healthy` calls of one step through and refuses the next one."""

    def __init__(self, step: str, healthy: int, number: int) -> None:
        self.step, self.healthy, self.number = step, healthy, number
        self.refused = False
        self._real: Callable[..., None] = getattr(files, step)

    def __call__(self, *given: object) -> None:
        if self.healthy or self.refused:
            self.healthy -= not self.refused  # only one call is refused
            self._real(*given)
            return
        self.refused = True
        if self.step == "_write":  # a full disk takes a part first
            descriptor, data = given
            os.write(descriptor, data[: len(data) // 2])
        raise OSError(self.number, os.strerror(self.number))

    def __enter__(self) -> FailingDisk:
        self._patch = mock.patch.object(files, self.step, self)
        self._patch.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._patch.__exit__(*raised)


def failures(number: int = errno.ENOSPC) -> Iterator[tuple[str, Iterator[FailingDisk]]]:
    """For every step, disks that refuse its first call, its second, ..."""
    for step in STEPS:
        yield step, (FailingDisk(step, healthy, number) for healthy in itertools.count())


@contextlib.contextmanager
def refusal() -> Iterator[list[str]]:
    """Collects the problem of the one clear error that a refusing disk may lead to."""
    told: list[str] = []
    try:
        yield told
    except CorpuskitError as error:
        told.append(error.problem)


# ---------------------------------------------------------------------- a file


@given(data=st.binary(max_size=300))
def test_a_file_holds_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("f") / "deep" / "er" / "file"

    write_file(path, b"before" * 100)
    write_file(path, data)

    assert path.read_bytes() == data
    assert [each.name for each in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("durable", [True, False])
def test_a_refused_file_leaves_the_old_or_the_new_one(
    tmp_path: Path, number: int, durable: bool
) -> None:
    path, refused = tmp_path / "file", 0
    for _, disks in failures(number):
        for disk in disks:
            path.write_bytes(b"old")
            with disk, refusal() as told:
                write_file(path, b"new", durable=durable)
            assert (f"cannot write {path}: {os.strerror(number)}" in told) == disk.refused
            assert path.read_bytes() in (b"old", b"new")
            assert litter(tmp_path) == []
            if not disk.refused:
                break
            refused += 1
    # a write and a rename; with syncs of the file and of its folder besides
    assert refused == (4 if durable else 2)


def test_an_interrupted_file_leaves_nothing(tmp_path: Path) -> None:
    with (
        mock.patch.object(files, "_rename", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        write_file(tmp_path / "file", b"new")

    assert list(tmp_path.iterdir()) == []


def test_a_file_is_synced_before_it_has_its_name_and_its_folder_after(tmp_path: Path) -> None:
    done: list[str] = []
    real = {step: getattr(files, step) for step in STEPS}

    def noted(step: str) -> Callable[..., None]:
        def call(*given: object) -> None:
            done.append(step)
            real[step](*given)

        return call

    with mock.patch.multiple(files, **{step: noted(step) for step in STEPS}):
        write_file(tmp_path / "file", b"data")

    assert done == ["_write", "_sync", "_rename", "_sync"]


def test_a_short_write_is_continued(tmp_path: Path) -> None:
    real = os.write

    with mock.patch.object(os, "write", lambda descriptor, data: real(descriptor, data[:3])):
        write_file(tmp_path / "file", b"eleven bytes")

    assert (tmp_path / "file").read_bytes() == b"eleven bytes"


def test_a_place_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(CorpuskitError, match=r"cannot write .*file.below: .*; free some space"):
        write_file(tmp_path / "file" / "below", b"data")


def test_writers_at_once_leave_one_of_their_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = [bytes([65 + k]) * 50_000 for k in range(8)]
    threads = [threading.Thread(target=write_file, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert path.read_bytes() in texts
    assert litter(tmp_path) == []


# ------------------------------------------------------------------------ JSON


def test_json_is_readable_sorted_and_ends_its_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, 2.5], "a": "あ"})

    assert (tmp_path / "a.json").read_text("utf-8") == (
        '{\n "a": "あ",\n "b": [\n  1,\n  2.5\n ]\n}\n'
    )
    assert read_json(tmp_path / "a.json") == {"b": [1, 2.5], "a": "あ"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_word_for_these(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", value)
    with pytest.raises(ValueError):
        canonical(value)
    assert list(tmp_path.iterdir()) == []


def test_canonical_text_knows_no_order_of_keys() -> None:
    assert canonical({"b": 1, "a": {"d": [1, "é"], "c": None}}) == (
        '{"a":{"c":null,"d":[1,"é"]},"b":1}'
    )
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


def test_lines_are_appended_whole(tmp_path: Path) -> None:
    path = tmp_path / "log" / "lines"
    threads = [
        threading.Thread(target=lambda k=k: [append_line(path, f"{k}-" * 200) for _ in range(20)])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = path.read_text().splitlines()
    assert sorted(lines) == sorted(f"{k}-" * 200 for k in range(4) for _ in range(20))


# ---------------------------------------------------------------------- a folder


def published(parent: Path, name: str = "final") -> None:
    with temporary_folder(parent) as folder:
        (folder / "inner").mkdir()
        write_file(folder / "one", b"1")
        write_file(folder / "inner" / "two", b"2")
        publish_folder(folder, parent / name)


def test_a_published_folder_is_whole_and_alone(tmp_path: Path) -> None:
    published(tmp_path)

    assert contents(tmp_path) == {"final/one": b"1", "final/inner/two": b"2"}
    assert [each.name for each in tmp_path.iterdir()] == ["final"]


def test_a_refused_folder_is_whole_or_absent(tmp_path: Path) -> None:
    refused = 0
    for step, disks in failures():
        for number, disk in enumerate(disks):
            parent = tmp_path / f"{step}{number}"
            with disk, refusal() as told:
                published(parent)
            assert [text.endswith("No space left on device") for text in told] == [True] * (
                disk.refused
            )
            assert contents(parent) in ({}, {"final/one": b"1", "final/inner/two": b"2"})
            assert litter(parent) == []
            if not disk.refused:
                break
            refused += 1
    # 2 writes, 2 x 2 syncs of files and folders, 3 of the folder and its parent, 3 renames
    assert refused == 12


@pytest.mark.parametrize("occupied", ["file", "folder", "empty folder"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, occupied: str) -> None:
    final = tmp_path / "final"
    if occupied == "file":
        final.write_bytes(b"mine")
    else:
        final.mkdir()
        if occupied == "folder":
            (final / "mine").write_bytes(b"mine")
    before = contents(tmp_path)

    with pytest.raises(Refused, match="final exists already"):
        published(tmp_path)

    assert contents(tmp_path) == before
    assert litter(tmp_path) == []


def test_a_name_taken_in_the_last_moment_is_refused(tmp_path: Path) -> None:
    real = files._rename

    def late(source: Path, target: Path) -> None:
        if target.name == "final":
            target.mkdir()
            (target / "mine").write_bytes(b"mine")
        real(source, target)

    with mock.patch.object(files, "_rename", late), pytest.raises(Refused, match="exists already"):
        published(tmp_path)

    assert contents(tmp_path) == {"final/mine": b"mine"}


def test_a_folder_that_is_not_published_is_gone(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        write_file(folder / "one", b"1")

    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------- leftovers


def test_only_what_dead_processes_of_this_machine_left_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    here = socket.gethostname()
    names = {
        f".tmp-{here}-{dead.pid}-01234567": "goes",
        f".tmp-{here}-{dead.pid}-01234567-name.safetensors": "goes",
        f".tmp-{here}-{os.getpid()}-01234567": "stays: its writer lives",
        f".tmp-{here}-1-01234567": "stays: its writer lives",
        f".tmp-not{here}-{dead.pid}-01234567": "stays: another machine's",
        f".tmp-{here}-x-01234567": "stays: not one of ours",
        "N2C": "stays: a version",
    }
    for number, name in enumerate(names):
        if number % 2:
            (tmp_path / name).write_bytes(b"")
        else:
            (tmp_path / name).mkdir()
            (tmp_path / name / "version.json").write_bytes(b"")

    assert remove_leftovers(tmp_path) == 2

    stay = sorted(name for name, why in names.items() if why.startswith("stays"))
    assert sorted(path.name for path in tmp_path.iterdir()) == stay
    assert remove_leftovers(tmp_path / "nowhere") == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell")
def test_what_a_killed_process_left_goes_before_anybody_waits_for_it(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    left = tmp_path / f".tmp-{socket.gethostname()}-{killed.pid}-01234567-name.safetensors"
    left.write_bytes(b"half")
    assert remove_leftovers(tmp_path) == 0  # it lives

    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # dead, its number still taken

    assert remove_leftovers(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    killed.wait()


# ------------------------------------------------------------------ a whole build


@pytest.mark.parametrize(
    ("step", "number"),
    [("_write", errno.ENOSPC), ("_sync", errno.EIO), ("_rename", errno.EROFS)],
)
def test_a_build_survives_a_disk_that_refuses_any_one_call(
    tmp_path: Path, step: str, number: int
) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 2)
    config = settings(corpus.root, "split.dev=0", "split.eval=0")
    reference = built(tmp_path / "reference", config).version.fingerprint
    failed = 0

    for healthy in itertools.count():
        workspace = tmp_path / str(healthy)
        with FailingDisk(step, healthy, number) as disk, refusal() as told:
            assert built(workspace, config).version.fingerprint == reference
        for text in told:
            assert text.endswith(os.strerror(number))
            assert "\n" not in text
        failed += len(told)
        assert litter(workspace) == []
        for name in list_versions(workspace):
            assert [type(event) for event in verify(workspace, name, jobs=1)] == [Checked]

        assert built(workspace, config).version.fingerprint == reference
        assert list_versions(workspace) == ["N2C"]
        if not disk.refused:
            break

    # 8 measured and 2 aligned objects, 8 files of the version; the index is a cache that may fail.
    # Those files lie in a folder nobody sees yet: it is renamed, they are only synced.
    objects, files = 8 + 2, 8
    expected = {"_write": objects + files, "_rename": objects + 1, "_sync": files + 2}
    assert failed == expected[step]


def test_a_disk_that_stays_full_lets_nothing_through(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 2)
    config = settings(corpus.root, "split.dev=0", "split.eval=0")

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        mock.patch.object(files, "_write", full),
        pytest.raises(CorpuskitError, match=r"cannot write .*: No space left on device"),
    ):
        built(tmp_path / "workspace", config, jobs=2, backend="threading")

    assert list(contents(tmp_path / "workspace")) == [".lock"]

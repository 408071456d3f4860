"""Builds share a workspace; a cleaning has it alone. Seen from other processes, as it matters."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpuskit.errors import CorpuskitError, Refused
from corpuskit.locks import alone, at_work, is_busy, is_cleaned

HOLD = """
import sys
from pathlib import Path
from corpuskit.locks import alone, at_work
with {which}(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def held(which: str, workspace: Path) -> subprocess.Popen[str]:
    """Another process that holds the workspace until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(which=which), str(workspace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_many_may_be_at_work(tmp_path: Path) -> None:
    with held("at_work", tmp_path) as other, at_work(tmp_path), at_work(tmp_path):
        other.communicate("")


def test_a_cleaning_is_refused_while_something_is_at_work(tmp_path: Path) -> None:
    with held("at_work", tmp_path) as other:
        with pytest.raises(Refused, match="a build is running"), alone(tmp_path):
            pass
        other.communicate("")

    with alone(tmp_path):
        pass


def test_it_can_be_asked_who_is_there(tmp_path: Path) -> None:
    assert (is_busy(tmp_path / "none"), is_cleaned(tmp_path / "none")) == (False, False)
    assert not (tmp_path / "none").exists()
    with at_work(tmp_path):
        assert (is_busy(tmp_path), is_cleaned(tmp_path)) == (True, False)
    with alone(tmp_path):
        assert (is_busy(tmp_path), is_cleaned(tmp_path)) == (True, True)
    assert (is_busy(tmp_path), is_cleaned(tmp_path)) == (False, False)


def test_a_lock_another_user_made_holds_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with at_work(tmp_path):
        pass
    opened = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)

    with at_work(tmp_path), pytest.raises(Refused), alone(tmp_path):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with held("at_work", tmp_path) as other:
        other.kill()
        other.communicate()

    with alone(tmp_path):
        pass


def test_work_waits_for_a_cleaning(tmp_path: Path) -> None:
    with alone(tmp_path):
        waiting = subprocess.Popen(
            [sys.executable, "-c", HOLD.format(which="at_work"), str(tmp_path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
    out, _ = waiting.communicate(timeout=60)

    assert out == "held\n"


def test_without_locks_work_goes_on_and_cleaning_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", unsupported)

    with at_work(tmp_path):
        pass
    with pytest.raises(CorpuskitError, match="without locks"), alone(tmp_path):
        pass


def test_where_nothing_can_be_written_work_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with at_work(tmp_path / "file"):
        pass
    with pytest.raises(CorpuskitError, match="cannot write"), alone(tmp_path / "file"):
        pass

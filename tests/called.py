"""What a command line did, and what is expected of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Command", "Result", "refused"]


class Result(NamedTuple):
    """What a command line did."""

    exit_code: int
    stdout: str
    stderr: str


Command = Callable[..., Result]


def refused(result: Result) -> str:
    """The one line of an error."""
    assert result.exit_code == 2, result
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]

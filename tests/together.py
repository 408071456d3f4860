"""Processes that train together on this machine, started as torchrun starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PATIENCE = 120  # seconds until all are killed


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    stdout: str
    stderr: str


class Group:
    """Some processes, by rank."""

    def __init__(self, started: list[subprocess.Popen[str]], folder: Path) -> None:
        self.started = started
        self._folder = folder

    def said(self, rank: int, stream: str = "out") -> str:
        """What a process has printed up to now."""
        return (self._folder / f"{rank}.{stream}").read_text()

    def end(self) -> list[Ended]:
        """Wait for all of them."""
        codes = [each.wait(PATIENCE) for each in self.started]
        return [
            Ended(code, self.said(rank), self.said(rank, "err")) for rank, code in enumerate(codes)
        ]


@contextmanager
def group(size: int, *command: str) -> Iterator[Group]:
    """Start `python COMMAND` in `size` processes; none outlives the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            for rank in range(size):
                own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
                out, err = (folder / f"{rank}.{each}" for each in ("out", "err"))
                with out.open("w") as told, err.open("w") as complained:
                    started.append(
                        subprocess.Popen(
                            [sys.executable, *command],
                            env={**os.environ, **shared, **own},
                            stdout=told,
                            stderr=complained,
                            text=True,
                        )
                    )
            yield Group(started, folder)
        finally:
            for each in started:
                each.kill()
                each.wait()


def together(size: int, *command: str) -> list[Ended]:
    """Run `python COMMAND` in `size` processes, to their end."""
    with group(size, *command) as started:
        return started.end()

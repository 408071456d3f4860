"""Which process trains a run, and whether it lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from corpuskit.processes import is_alive, stat_fields

__all__ = ["Process", "start_of", "this_process"]


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process that cannot be mistaken for a later one of the same number."""

    host: str
    pid: int
    started: str  # boot and clock tick of its start, where the system tells

    @property
    def alive(self) -> bool | None:
        """Whether it runs; None when it is another machine's."""
        if self.host != socket.gethostname():
            return None
        return is_alive(self.pid) and self.started == start_of(self.pid)


def this_process() -> Process:
    """Describe the process that calls."""
    pid = os.getpid()
    return Process(host=socket.gethostname(), pid=pid, started=start_of(pid))


def start_of(pid: int) -> str:
    """Return boot id and start tick of a process; empty where the system does not tell."""
    fields = stat_fields(pid)
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return f"{boot}:{fields[19]}" if fields else ""

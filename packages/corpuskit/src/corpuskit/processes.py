"""Whether a process of this machine still does anything."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["is_alive", "stat_fields"]


def is_alive(pid: int) -> bool:
    """Tell whether process `pid` of this machine runs.

    A killed process that its parent has not waited for keeps its number and takes
    signals, for ever where nobody waits (a container whose first process does not), but
    never does anything again: it counts as dead where the system tells (Linux).
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return stat_fields(pid)[:1] not in (["Z"], ["X"])


def stat_fields(pid: int) -> list[str]:
    """Return what Linux tells of a process after its name, its state first (proc(5)).

    Empty where the system does not tell, or of no process.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    # The name, in brackets, is any text: the last bracket ends it.
    return re.sub(r".*\)", "", stat, count=1, flags=re.DOTALL).split()

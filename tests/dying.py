"""Functions for worker processes, which must be able to import them; some end the process."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def square(number: int) -> int:
    return number * number


def refuse_seven(number: int) -> int:
    if number == 7:
        raise ValueError("seven")
    return number


def threads_of_blas(_: int) -> set[int]:
    """How many threads each loaded numeric library would use."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.eye(3) @ np.eye(3)
    return {library["num_threads"] for library in threadpool_info()}


def interrupted(number: int) -> int:
    """Be sent what the terminal sends to every process of a command at Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)
    return number


def die_once(task: tuple[int, Path]) -> int:
    """Kill the process that is given number 7, the first time."""
    number, marker = task
    if number == 7:
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            return number
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_at_seven(number: int) -> int:
    """Kill every process that is given number 7."""
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number

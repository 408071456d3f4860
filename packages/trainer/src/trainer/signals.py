"""SIGINT and SIGTERM as a request: the step in hand is finished and saved first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "on_signals"]


class Stop:
    """Whether to stop, asked by the loop between two steps."""

    def __init__(self) -> None:
        self.reason = ""

    @property
    def requested(self) -> bool:
        """True once somebody asked."""
        return bool(self.reason)

    def request(self, reason: str) -> None:
        """Ask the loop to save and return at the next step."""
        self.reason = reason


@contextmanager
def on_signals() -> Iterator[Stop]:
    """Give a `Stop` that SIGINT and SIGTERM set; a second signal aborts at once.

    Outside the main thread signals cannot be caught, and the `Stop` only answers to
    `request`.

    Raises
    ------
    KeyboardInterrupt
        On the second signal.
    """
    stop = Stop()
    asked = False  # here: another process of the training may have asked before

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        stop.request(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""SIGINT and SIGTERM: the first asks, the second aborts."""

from __future__ import annotations

import signal
import threading

import pytest

from trainer.signals import Stop, on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_aborts(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    with on_signals() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        assert stop.reason == number.name
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)

    assert signal.getsignal(number) is before


def test_handlers_are_put_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(ValueError, match="x"), on_signals():
        raise ValueError("x")

    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_a_stop_can_be_asked_for_by_name_only() -> None:
    stops: list[Stop] = []

    def work() -> None:
        with on_signals() as stop:
            stop.request("the test")
            stops.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert stops[0].reason == "the test"

"""The learning rate against the figures of the lab's notes and of the formula written out."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.schedule import lr, peak, set_lr

# warm_up, cap, peak as written in the notes, its step
TABLE = [
    (4000, None, "9.9e-4", 4000),
    (250, None, "3.95e-3", 250),
    (250, 0.016, "1.0e-3", 63),
    (1000, 0.016, "1.0e-3", 506),
    (2000, 0.016, "1.0e-3", 1431),
    (500, 0.016, "1.0e-3", 179),
    (1000, None, "1.98e-3", 1000),
]
CAPS = st.none() | st.just(0.0) | st.floats(0.002, 0.5)


@pytest.mark.parametrize(("warm_up", "cap", "written", "step"), TABLE)
def test_peaks_are_those_of_the_notes(
    warm_up: int, cap: float | None, written: str, step: int
) -> None:
    found = peak(warm_up, cap)

    half_a_digit = 0.5 * 10 ** (int(written[-2:]) - len(written.split("e")[0].split(".")[1]))
    assert found.lr == pytest.approx(float(written), abs=half_a_digit)
    assert found.step == step


@given(warm_up=st.integers(1, 600), cap=CAPS)
def test_the_peak_is_the_highest_of_all_steps(warm_up: int, cap: float | None) -> None:
    rates = [lr(step, warm_up, cap) for step in range(1, 2 * warm_up + 3)]

    highest = max(rates)

    assert peak(warm_up, cap).lr == highest
    assert rates[peak(warm_up, cap).step - 1] == highest


@pytest.mark.parametrize("step", [1, 10, 63, 64, 250, 251, 4000, 100_000])
def test_without_a_cap_it_is_noams_formula(step: int) -> None:
    expected = 256**-0.5 * min(step**-0.5, step * 250**-1.5)

    assert lr(step, 250, None) == pytest.approx(expected, rel=1e-12)
    assert lr(step, 250, 0) == lr(step, 250, None)


def test_a_cap_the_rise_never_meets_changes_nothing() -> None:
    for step in (1, 3999, 4000, 4001, 50_000):
        assert lr(step, 4000, 0.016) == lr(step, 4000, None)


def test_beyond_the_cap_it_falls_from_where_the_rise_met_it() -> None:
    met = 0.016 * 1000**1.5

    for step in (506, 600, 1000, 1001, 20_000):
        expected = 256**-0.5 * 0.016 * math.sqrt(met / step)
        assert lr(step, 1000, 0.016) == pytest.approx(expected, rel=1e-12)


def test_with_the_cap_a_longer_warm_up_also_slows_the_whole_decay() -> None:
    late = 30_000

    assert lr(late, 2000, 0.016) / lr(late, 1000, 0.016) == pytest.approx(2**0.75)


@given(warm_up=st.integers(1, 5000), cap=CAPS, step=st.integers(1, 20_000))
def test_it_never_jumps(warm_up: int, cap: float | None, step: int) -> None:
    here, there = lr(step, warm_up, cap), lr(step + 1, warm_up, cap)

    assert 0.7 < there / here <= 2  # at most the first step's doubling, at worst sqrt(1 / 2)


def test_there_is_no_step_zero() -> None:
    with pytest.raises(ValueError, match="the first is 1"):
        lr(0, 4000, None)


def test_it_drives_torchs_own_scheduler_from_the_step_alone() -> None:
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda t: lr(t + 1, 50, 0.016))

    for step in range(1, 80):
        assert optimiser.param_groups[0]["lr"] == lr(step, 50, 0.016)
        optimiser.step()
        torchs.step()


def test_set_lr_reaches_every_group() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    optimiser = torch.optim.Adam(groups)

    set_lr(optimiser, 0.25)

    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]

"""Preferences and means against scipy, and against what is worked out by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from trainer.listening.figures import mean_of, preference, sign_test, wilson


@pytest.mark.parametrize(("wins", "of"), [(0, 1), (1, 1), (0, 20), (7, 10), (30, 60), (999, 1000)])
def test_the_interval_is_wilsons(wins: int, of: int) -> None:
    truth = scipy.stats.binomtest(wins, of).proportion_ci(0.95, method="wilson")

    assert wilson(wins, of) == pytest.approx((truth.low, truth.high), abs=1e-12)


@pytest.mark.parametrize(("wins", "of"), [(0, 0), (-1, 3), (4, 3)])
def test_there_is_no_share_of_nothing(wins: int, of: int) -> None:
    with pytest.raises(ValueError):
        wilson(wins, of)


def test_the_test_is_two_sided() -> None:
    # Nine or ten of ten, or none or one: 22 of 1,024 outcomes.
    assert sign_test(9, 1) == pytest.approx(22 / 1024)
    assert sign_test(1, 9) == pytest.approx(22 / 1024)
    assert sign_test(5, 5) == 1.0


def test_ties_decide_nothing() -> None:
    found = preference({"anna": (3, 1, 2), "ben": (0, 2, 4), "carl": (0, 0, 6), "dora": (0, 0, 0)})

    assert (found.wins, found.losses, found.ties) == (3, 3, 12)
    assert found.share == 0.5
    assert (found.low, found.high) == pytest.approx(wilson(3, 6))
    assert found.p == 1.0
    assert (found.listeners, found.listeners_for, found.listeners_against) == (3, 1, 1)


def test_nothing_decided_has_no_share() -> None:
    found = preference({"anna": (0, 0, 4)})

    assert (found.share, found.low, found.high, found.p) == (None, None, None, None)
    assert found.ties == 4


def test_a_mean_is_over_listeners_and_so_is_its_interval() -> None:
    by_listener = {"anna": [5, 4, 5], "ben": [3, 3], "carl": [2, 4, 3, 3], "dora": []}
    means = [14 / 3, 3.0, 3.0]

    found = mean_of(by_listener)

    low, high = scipy.stats.t.interval(0.95, 2, np.mean(means), scipy.stats.sem(means))
    assert found.mean == pytest.approx(np.mean(means))
    assert found.ci95 == pytest.approx((high - low) / 2)
    assert (found.listeners, found.answers) == (3, 9)


def test_one_listener_has_no_interval_and_none_no_mean() -> None:
    assert mean_of({"anna": [4, 5]}).ci95 is None
    assert mean_of({"anna": [4, 5]}).mean == 4.5
    assert mean_of({"anna": []}).mean is None


# ------------------------------------------------------------- how many listeners, in the docs

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "listening.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("share", "needed"), re.findall(r"^\| (\d+) % \| (\d+) \|$", GUIDE, re.M))
def test_the_guides_numbers_of_answers_find_what_they_promise(share: str, needed: str) -> None:
    s, n = int(share) / 100, int(needed)

    spread = 1.96 * 0.5 + 0.8416 * math.sqrt(s * (1 - s))
    assert math.ceil((spread / (s - 0.5)) ** 2 + 1 / (s - 0.5) - 1e-9) == n
    # The exact power: the chance that what is drawn at the true share is significant.
    wins = np.arange(n + 1)
    found = np.array([sign_test(k, n - k) < 0.05 for k in wins])
    power = scipy.stats.binom.pmf(wins, n, s)[found].sum()
    assert 0.8 <= power < 0.85


@pytest.mark.parametrize(
    "row", re.findall(r"^\| (0\.\d) \| (\d+) \| (\d+) \| (\d+) \|$", GUIDE, re.M)
)
def test_the_guides_numbers_of_listeners_find_what_they_promise(row: tuple[str, ...]) -> None:
    difference, *needed = map(float, row)
    for sentences, listeners in zip((5, 10, 20), needed, strict=True):
        variance = 0.3**2 + 1 / sentences
        assert math.ceil(7.85 * variance / difference**2 + 2) == listeners
        # The exact power of Student's test over listeners.
        apart = difference / math.sqrt(variance / listeners)
        least = scipy.stats.t.ppf(0.975, listeners - 1)
        assert 0.79 < scipy.stats.nct.sf(least, listeners - 1, apart) < 0.9

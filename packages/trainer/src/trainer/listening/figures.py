"""Preferences and mean scores, with their intervals. Pure numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Mean", "Preference", "mean_of", "preference", "sign_test", "wilson"]


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean over listeners."""

    mean: float | None  # None without an answer
    ci95: float | None  # half the 95 % confidence interval; None below two listeners
    listeners: int
    answers: int


@dataclass(frozen=True, kw_only=True)
class Preference:
    """How often the first of two was preferred to the second."""

    wins: int
    losses: int
    ties: int
    share: float | None  # wins among what was decided; None where nothing was
    low: float | None  # 95 % interval of the share
    high: float | None
    p: float | None  # two-sided; of a coin that is fair
    listeners: int
    listeners_for: int  # who chose the first more often
    listeners_against: int


def wilson(successes: int, trials: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Return the score interval of a share (Wilson, 1927); `z` is that of 95 %.

    Raises
    ------
    ValueError
        No trial, or more successes than trials.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} of {trials}")
    share, square = successes / trials, z * z
    centre = share + square / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def sign_test(wins: int, losses: int) -> float:
    """Return how likely a fair coin is at least as uneven: the two-sided binomial test."""
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses).pvalue)


def preference(by_listener: Mapping[str, tuple[int, int, int]]) -> Preference:
    """Add up each listener's (wins, losses, ties)."""
    wins, losses, ties = (sum(each[k] for each in by_listener.values()) for k in range(3))
    decided = wins + losses
    low, high = wilson(wins, decided) if decided else (None, None)
    return Preference(
        wins=wins,
        losses=losses,
        ties=ties,
        share=wins / decided if decided else None,
        low=low,
        high=high,
        p=sign_test(wins, losses) if decided else None,
        listeners=sum(any(each) for each in by_listener.values()),
        listeners_for=sum(won > lost for won, lost, _ in by_listener.values()),
        listeners_against=sum(won < lost for won, lost, _ in by_listener.values()),
    )


def mean_of(by_listener: Mapping[str, Sequence[float]]) -> Mean:
    """Average each listener's values, then the listeners; the interval is Student's over these.

    One listener's answers are not independent of each other, so it is listeners that are counted.
    """
    from scipy.special import stdtrit

    means = [sum(values) / len(values) for values in by_listener.values() if values]
    count = len(means)
    if not count:
        return Mean(mean=None, ci95=None, listeners=0, answers=0)
    mean = math.fsum(means) / count
    half = None
    if count > 1:
        variance = math.fsum((each - mean) ** 2 for each in means) / (count - 1)
        half = float(stdtrit(count - 1, 0.975)) * math.sqrt(variance / count)
    return Mean(mean=mean, ci95=half, listeners=count, answers=sum(map(len, by_listener.values())))

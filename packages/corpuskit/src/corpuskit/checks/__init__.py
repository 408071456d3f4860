"""Do the two sides of a pair say the same? Measured, compared with what is usual, ranked.

measures     what one pair amounts to: pure functions of its features and alignment
partners     whether another recording fits a side better than its own partner
suspicion    what is unusual for two speakers, by how much, and the ranking
"""

from __future__ import annotations

from corpuskit.checks.measures import Lapse, Measures, measure
from corpuskit.checks.partners import BetterPartner
from corpuskit.checks.suspicion import (
    REASONS,
    Checked,
    Culprit,
    Finding,
    Group,
    Measured,
    Suspect,
    check,
    distinct,
)

__all__ = [
    "REASONS",
    "BetterPartner",
    "Checked",
    "Culprit",
    "Finding",
    "Group",
    "Lapse",
    "Measured",
    "Measures",
    "Suspect",
    "check",
    "distinct",
    "measure",
]

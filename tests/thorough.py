"""Cases of which a few are tried in every run and all in the slow one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

__all__ = ["thoroughly"]


def thoroughly(names: str, values: Iterable[Any], quick: int = 1) -> pytest.MarkDecorator:
    """Parametrise like pytest, but mark all cases after the first `quick` ones as slow."""
    several = "," in names
    cases = []
    for number, value in enumerate(values):
        marks = () if number < quick else pytest.mark.slow
        cases.append(pytest.param(*(value if several else (value,)), marks=marks))
    return pytest.mark.parametrize(names, cases)

"""The trainer's errors are errors of the house: one line, with a remedy."""

from __future__ import annotations

import trainer.errors
from corpuskit.errors import CorpuskitError, Refused
from trainer.errors import BadRun, Diverged, SameRun


def test_all_errors_are_listed_and_in_the_tree() -> None:
    defined = {
        name
        for name, value in vars(trainer.errors).items()
        if isinstance(value, type) and value.__module__ == "trainer.errors"
    }

    assert defined == set(trainer.errors.__all__)
    assert all(issubclass(getattr(trainer.errors, name), CorpuskitError) for name in defined)
    assert issubclass(SameRun, Refused)
    assert not issubclass(BadRun, Diverged)


def test_a_same_run_carries_its_tag() -> None:
    error = SameRun("N2C_5", "this is run N2C_5", "--again")

    assert error.tag == "N2C_5"
    assert str(error) == "this is run N2C_5; --again"

"""Which run is best so far, and which versions it was never held against."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from pathlib import Path

import pytest

from trainer.best import best_of, unseen
from trainer.descent import verdicts
from trainer.remarks import Remark
from trainer.runs import Record, Run
from training import started


@pytest.fixture
def record(workspace: Path) -> Record:
    return started(workspace, tag="model").record


def run(
    record: Record,
    number: int,
    dataset: str,
    loss: float | None,
    *,
    warm_up: int = 20,
    seed: int = 0,
    verdict: str = "",
) -> Run:
    """Run N2C_<number> of a made-up history, on a version of its own fingerprint."""
    parts = copy.deepcopy(dict(record.parts))
    parts["dataset"], parts["split"] = dataset, dataset
    parts["config"]["optim"]["warm_up"] = warm_up
    parts["config"]["train"]["seed"] = seed
    noted = (Remark(text="heard", written=f"2026-01-{number:05d}", verdict=verdict),)
    changed = replace(
        record,
        tag=f"N2C_{number}",
        created=f"2026-01-{number:05d}",
        parts=parts,
        dataset=replace(record.dataset, name=dataset, fingerprint=dataset),
        best_loss=loss,
        remarks=noted if verdict else (),
    )
    return Run(folder=Path("runs") / changed.tag, record=changed)


def best(*runs: Run, family: str = "N2C") -> str | None:
    found = best_of(runs, verdicts(runs), family)
    return found.tag if found else None


def test_a_lower_loss_on_the_same_ground_beats(record: Record) -> None:
    first, second = run(record, 1, "N2C", 1.0), run(record, 2, "N2C", 0.9, warm_up=30)

    assert best(first, second) == "N2C_2"
    assert best(second, first) == "N2C_2"
    assert best(first, run(record, 2, "N2C", 1.1, warm_up=30)) == "N2C_1"


def test_a_lower_loss_on_another_version_beats_nothing_until_the_best_was_tried_there(
    record: Record,
) -> None:
    old = run(record, 1, "N2C", 1.0)
    new = run(record, 2, "N2C_2", 0.5, warm_up=30)
    assert best(old, new) == "N2C_1"

    tried = run(record, 3, "N2C_2", 0.7)
    assert best(old, new, tried) == "N2C_2"
    assert best(old, new, run(record, 3, "N2C_2", 0.4)) == "N2C_1"


def test_what_was_found_bad_is_never_best_and_what_was_found_good_is(record: Record) -> None:
    bad = run(record, 1, "N2C", 0.1, verdict="bad")
    plain = run(record, 2, "N2C", 1.0)
    good = run(record, 3, "N2C_2", 2.0, warm_up=30, verdict="good")

    assert best(bad, plain) == "N2C_2"
    assert best(bad, plain, good) == "N2C_3"
    assert best(bad) is None
    assert best(run(record, 4, "N2C", None)) is None
    assert best(plain, family="other") is None


def test_the_last_verdict_counts_not_the_last_note(record: Record) -> None:
    first = run(record, 1, "N2C", 1.0, verdict="good")
    last = run(record, 2, "N2C", 2.0, warm_up=30, verdict="good")
    later = Remark(text="sent to the client", written="2026-02")
    first = Run(folder=first.folder, record=replace(first.record, remarks=(*first.remarks, later)))

    assert best(first, last) == "N2C_2"


def test_thousands_of_runs_are_looked_through_once(record: Record) -> None:
    runs = [run(record, n, f"N2C_{1 + n % 3}", 1 + n % 977, warm_up=n) for n in range(1, 2001)]
    given = verdicts(runs)
    began = time.process_time()

    found = best_of(runs, given, "N2C")
    assert found is not None
    assert unseen(found, runs, ["N2C_1", "N2C_2", "N2C_3"])

    assert time.process_time() - began < 3  # runs times runs would be minutes


def test_versions_the_best_was_never_tried_on(record: Record) -> None:
    old, other = run(record, 1, "N2C", 1.0), run(record, 2, "N2C_2", 0.9, warm_up=30)
    versions = ["N2C", "N2C_2", "N2C_3", "N2D"]

    assert unseen(old, [old, other], versions) == ("N2C_2", "N2C_3")

    again = run(record, 3, "N2C_2", 1.2, seed=5)  # another seed is the same way
    assert unseen(old, [old, other, again], versions) == ("N2C_3",)

    scored = replace(old.record, results={"N2C_3-epoch-0001": {"dataset": "N2C_3"}})
    assert unseen(Run(folder=old.folder, record=scored), [old, again], versions) == ()

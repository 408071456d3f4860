"""Which run comes from which, and how far a verdict reaches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from corpuskit.errors import BadSetting, UnknownName
from trainer.catalogue import Line, chosen
from trainer.descent import ordered_by_descent, verdicts
from trainer.remarks import Remark
from trainer.runs import Parent, Record, Run, add_remark, open_run, read_all, update
from training import started


@pytest.fixture
def record(workspace: Path) -> Record:
    return started(workspace, tag="model").record


def run(record: Record, tag: str, parent: str = "", *remarks: tuple[str, str]) -> Run:
    """A run of a made-up lineage."""
    from_ = Parent(tag=parent, epoch=1, digest="", optimiser="reset", loaded=1, left=())
    noted = tuple(Remark(text=text, written="", verdict=verdict) for text, verdict in remarks)
    changed = replace(record, tag=tag, parent=from_ if parent else None, remarks=noted)
    return Run(folder=Path("runs") / tag, record=changed)


def test_a_bad_run_marks_all_that_come_from_it(record: Record) -> None:
    runs = [
        run(record, "a"),
        run(record, "b", "a", ("pitch was all zero", "bad")),
        run(record, "c", "b"),
        run(record, "d", "c", ("only words", "")),
        run(record, "e", "a"),
    ]

    found = verdicts(runs)

    assert {tag: (each.what, each.inherited_from) for tag, each in found.items()} == {
        "b": ("bad", ""),
        "c": ("bad", "b"),
        "d": ("bad", "b"),
    }
    assert found["d"].text == "pitch was all zero"


def test_a_runs_own_last_verdict_counts(record: Record) -> None:
    runs = [
        run(record, "a", "", ("hm", "bad"), ("a mistake of mine", "good")),
        run(record, "b", "a"),
        run(record, "c", "b", ("no", "bad")),
        run(record, "d", "c", ("listened again", "good")),
        run(record, "e", "d"),
    ]

    found = {tag: each.what for tag, each in verdicts(runs).items()}

    assert found == {"a": "good", "c": "bad", "d": "good"}


def test_a_parent_that_is_gone_or_a_circle_says_nothing(record: Record) -> None:
    runs = [run(record, "a", "gone"), run(record, "b", "c"), run(record, "c", "b")]

    assert verdicts(runs) == {}


def test_runs_stand_below_their_parents(record: Record) -> None:
    runs = [
        run(record, "a", "d"),
        run(record, "b"),
        run(record, "c", "b"),
        run(record, "d", "b"),
        run(record, "e", "elsewhere"),
    ]

    placed = [(each.tag, depth) for each, depth in ordered_by_descent(runs)]

    assert placed == [("b", 0), ("c", 1), ("d", 1), ("a", 2), ("e", 0)]


def test_runs_in_a_circle_are_still_listed(record: Record) -> None:
    runs = [run(record, "a", "b"), run(record, "b", "a"), run(record, "c")]

    assert sorted(each.tag for each, _ in ordered_by_descent(runs)) == ["a", "b", "c"]


def test_notes_are_kept_in_order_beside_everything_else(workspace: Path) -> None:
    before = started(workspace, tag="one").record

    add_remark(workspace, "one", "first")
    add_remark(workspace, "one", "second", "good")

    after = open_run(workspace, "one").record
    assert [(each.text, each.verdict) for each in after.remarks] == [
        ("first", ""),
        ("second", "good"),
    ]
    assert replace(after, remarks=()) == before
    with pytest.raises(UnknownName):
        add_remark(workspace, "two", "third")


def test_runs_are_chosen_and_sorted(workspace: Path) -> None:
    for number, loss in enumerate((2.0, None, 1.0), start=1):
        made = started(workspace, f"train.seed={number}", tag=f"N2C_{number}")
        update(made, best_loss=loss, seconds=10.0 * number)
    add_remark(workspace, "N2C_3", "no", "bad")
    (workspace / "runs" / "N2C_2" / "run.json").write_text("{")

    runs, damaged = read_all(workspace)

    lines = [Line.of_run(run) for run in runs]
    known = verdicts(lines)
    assert [each.tag for each in lines] == ["N2C_1", "N2C_3"]
    assert len(damaged) == 1
    assert "N2C_2" in damaged[0]
    assert [each.tag for each in chosen(lines, known, [], "loss")] == ["N2C_3", "N2C_1"]
    assert [each.tag for each in chosen(lines, known, [], "time")] == ["N2C_3", "N2C_1"]
    assert [each.tag for each in chosen(lines, known, ["verdict=bad"], "tag")] == ["N2C_3"]
    assert [each.tag for each in chosen(lines, known, ["verdict="], "tag")] == ["N2C_1"]
    assert chosen(lines, known, ["dataset=N2C", "parent=N2C_9"], "tag") == []


@pytest.mark.parametrize("condition", ["verdict", "loss=1", "=bad"])
def test_a_condition_that_is_none_is_refused(condition: str) -> None:
    with pytest.raises(BadSetting, match="KEY=VALUE of dataset, kind, parent, status, verdict"):
        chosen([], {}, [condition], "tag")

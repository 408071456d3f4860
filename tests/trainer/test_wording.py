"""Runs and results in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from corpuskit.config import to_mapping
from trainer.catalogue import Line
from trainer.checkpoint import State
from trainer.config import ModelConfig
from trainer.descent import Verdict
from trainer.loop import Ended
from trainer.remarks import Remark
from trainer.runs import Parent, Run, StatisticsPart, update
from trainer.wording.runs import (
    as_mapping,
    began,
    closing,
    counted,
    epoch_line,
    listing,
    model_in_short,
    shown,
)
from training import started

ROW = {
    "epoch": 3,
    "step": 1200,
    "lr": 1.234e-4,
    "train": {"total": 1.5},
    "dev": {"total": 1.75, "postnet": 0.5},
}


@pytest.fixture
def run(workspace: Path) -> Run:
    made = started(workspace, epochs=50)
    parent = Parent(
        tag="J_1", epoch=7, digest="d", optimiser="reset", loaded=90, left=("a.b: new",)
    )
    return update(
        made,
        parent=parent,
        statistics=StatisticsPart(choice="parent", dataset="J"),
        epoch=3,
        best_epoch=2,
        best_loss=1.61803,
        seconds=93.0,
    )


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 epochs"), (1, "1 epoch"), (1200, "1,200 epochs")]
)
def test_one_is_not_many(count: int, words: str) -> None:
    assert counted(count, "epoch") == words


def test_an_epoch_is_one_line() -> None:
    line = epoch_line(ROW, 50, best=True)

    assert (
        line
        == "epoch  3/50  step 1,200  lr 1.23e-04  train 1.5000  dev 1.7500  postnet 0.5000  best"
    )


def test_a_beginning_says_from_what_and_what_was_left(run: Run) -> None:
    lines = list(began(run))

    assert lines[0] == "run N2C_1: dataset N2C (10 train, 2 dev, 2 eval pairs)"
    assert any("from run J_1, epoch 7: 90 tensors taken over" in line for line in lines)
    assert "  a.b: new" in lines
    assert "normalised by the parent's statistics (of dataset J)" in lines


def test_a_training_closes_in_one_sentence(run: Run) -> None:
    state = State(epoch=50, step=1200, best_loss=1.61803, best_epoch=43)

    sentence = closing(run, Ended(state=state, stopped=""), 3600.0)

    assert sentence == (
        "Trained run N2C_1: 50 epochs, 1,200 steps over 10 pairs (1.00 h of speech), "
        "best dev loss postnet 1.6180 at epoch 43, in 1.6 min."
    )


def test_a_stop_says_how_to_go_on(run: Run) -> None:
    state = State(epoch=3, batch=2, step=14)

    sentence = closing(run, Ended(state=state, stopped="SIGINT"), 1.0)

    assert sentence == (
        "Stopped run N2C_1 by SIGINT after 3 epochs and 2 batches of the next: "
        "all is saved, `trainer resume N2C_1` goes on."
    )


def test_runs_are_a_table(run: Run) -> None:
    header, line = listing([(Line.of_run(run), 0)], {})

    assert header.split("  ")[0] == "run"
    # 93 s for three epochs are 1,550 s for fifty.
    told = "N2C_1 N2C J_1@7 fs2vc 3 x 2 running 3/50 @2 1.6180 - - - 25.8 min"
    assert line.split() == told.split()


def test_a_note_and_a_verdict_stand_beside_their_run(run: Run) -> None:
    said = Remark(text="the sound\nis  good, but " + "very " * 20, written="2026-01-02T03:04:05Z")
    run = update(run, remarks=(said,))
    verdict = Verdict(what="bad", text="pitch was all zero", inherited_from="J_1")

    line = list(listing([(Line.of_run(run), 2)], {run.tag: verdict}))[-1]
    told = "\n".join(shown(run, [], [], verdict))

    assert line.startswith("    N2C_1  ")
    assert line.endswith("bad (J_1)  the sound is good, but very very very v…")
    assert "verdict bad, given to run J_1: pitch was all zero" in told
    assert "note 2026-01-02: the sound\nis  good" in told


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "fs2vc"),
        ({"pitch_ar": "on", "align": "search"}, "fs2vc ar search"),
        ({"pitch_ar": "phrase", "prosody": "wgmm"}, "fs2vc ar=phrase wgmm"),
    ],
)
def test_a_model_is_named_by_what_is_not_plain(settings: dict[str, str], name: str) -> None:
    assert model_in_short({"kind": "fs2vc", **settings}) == name
    assert model_in_short(to_mapping(ModelConfig(**settings))) == name


def test_a_run_is_shown_with_its_best_and_last_epochs_and_results(run: Run) -> None:
    result = {"unconverted": {"mcd": 8.0}, "converted": {"mcd": None}}
    run = update(run, results={"N2C-epoch-0002": result}, problem="it burst", status="failed")
    rows = [{**ROW, "epoch": epoch} for epoch in range(1, 8)]

    text = "\n".join(shown(run, rows, ["epoch-0007"]))

    assert "status failed: it burst" in text
    assert run.record.identity in text
    assert "train.batch_size = 3" in text
    assert [epoch for epoch in range(1, 8) if f"epoch  {epoch}/50" in text] == [2, 5, 6, 7]
    assert "evaluated N2C-epoch-0002: mcd 8.000 -> -" in text


def test_json_has_the_status_as_it_is_now(run: Run) -> None:
    gone = dataclasses.replace(run.process, started="earlier")
    session = dataclasses.replace(run.record.sessions[0], process=gone)
    run = update(run, sessions=(session,))

    assert run.record.status == "running"
    assert as_mapping(run)["status"] == "stopped"
    assert as_mapping(run)["verdict"] is None
    assert as_mapping(run, Verdict(what="good", text="at last"))["verdict"]["what"] == "good"

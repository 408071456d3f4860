"""Averages with their confidence intervals, and the table that shows them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from trainer.metrics import DEFINITIONS, Distances
from trainer.scores import (
    COLUMNS,
    Evaluation,
    Utterance,
    as_mapping,
    as_result,
    summarise,
    table,
)


def distances(mcd: float, rmse: float | None = 0.1) -> Distances:
    return Distances(
        mcd=mcd,
        log_f0_rmse=rmse,
        log_f0_correlation=0.5,
        voicing_error=0.05,
        duration_error=0.2,
    )


def utterance(name: str, mcd: float, rmse: float | None = 0.1) -> Utterance:
    return Utterance(pair=name, distances=dict.fromkeys(COLUMNS, distances(mcd, rmse)))


def evaluation(*utterances: Utterance) -> Evaluation:
    return Evaluation(
        run="N2C_5",
        checkpoint="epoch-0050",
        checkpoint_digest="0" * 64,
        dataset="N2C_4",
        fingerprint="f" * 64,
        split="eval",
        vocoder="griffinlim48",
        figures=summarise(utterances),
        utterances=utterances,
        definitions=DEFINITIONS,
        file=Path("runs/N2C_5/evaluations/N2C_4-epoch-0050.json"),
        sounds=Path("runs/N2C_5/samples/eval/N2C_4-epoch-0050"),
    )


def test_the_interval_is_students() -> None:
    values = [7.1, 6.4, 8.0, 6.9]

    figure = summarise([utterance(f"p{v}", v) for v in values])["converted"]["mcd"]

    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert figure.mean == pytest.approx(np.mean(values))
    assert figure.ci95 == pytest.approx((high - low) / 2)
    assert figure.utterances == 4


def test_one_utterance_has_a_mean_and_no_interval() -> None:
    figure = summarise([utterance("a", 7.0)])["converted"]["mcd"]

    assert (figure.mean, figure.ci95, figure.utterances) == (7.0, None, 1)


def test_a_missing_value_is_not_averaged() -> None:
    figures = summarise([utterance("a", 7.0, None), utterance("b", 6.0, 0.2)])["converted"]

    assert figures["log_f0_rmse"].mean == 0.2
    assert figures["log_f0_rmse"].utterances == 1
    assert figures["mcd"].utterances == 2


def test_what_is_left_out_counts_in_no_column() -> None:
    left_out = Utterance(pair="b", distances={}, reason="leak")

    figures = summarise([utterance("a", 7.0), left_out])

    assert {figures[column]["mcd"].utterances for column in COLUMNS} == {1}


def test_nothing_measured_gives_no_figure_instead_of_a_zero() -> None:
    figure = summarise([])["converted"]["mcd"]

    assert (figure.mean, figure.ci95, figure.utterances) == (None, None, 0)


def test_the_json_names_every_definition_and_what_was_compared() -> None:
    mapping = json.loads(json.dumps(as_mapping(evaluation(utterance("a", 7.0)))))

    assert mapping["definitions"] == DEFINITIONS
    assert mapping["vocoder"] == "griffinlim48"
    assert (mapping["dataset"], mapping["fingerprint"]) == ("N2C_4", "f" * 64)
    assert mapping["figures"]["converted"]["mcd"]["mean"] == 7.0
    assert mapping["utterances"][0]["distances"]["unconverted"]["mcd"] == 7.0
    assert "runs/" not in json.dumps(mapping)  # a moved run still tells the truth


def test_the_record_keeps_means_under_their_definitions_names() -> None:
    result = as_result(evaluation(utterance("a", 7.0)))

    assert result["converted"][DEFINITIONS["mcd"]] == 7.0
    assert result["utterances"] == 1


def test_the_table_has_a_row_a_metric_and_tells_what_is_left_out() -> None:
    shown = table(
        evaluation(
            utterance("a", 7.0),
            utterance("b", 6.0, None),
            Utterance(pair="c", distances={}, reason="leak: heard"),
        )
    )

    lines = shown.splitlines()
    assert lines[0].startswith("run N2C_5 (epoch-0050) on dataset N2C_4: 2 of 3 eval utterances")
    mcd = next(line for line in lines if line.startswith("MCD"))
    assert "6.50 ± 6.35" in mcd
    assert DEFINITIONS["mcd"] in mcd
    assert "(n=1)" in next(line for line in lines if line.startswith("log F0 RMSE"))
    assert lines[-1] == "Left out: 1, leak: heard"

"""Why runs differ, on runs whose differences are known."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from corpuskit.errors import UnknownName
from corpuskit.files import write_json
from corpuskit.versions import open_version
from synthetic import PairCorpus
from trainer import runs
from trainer.compare import Comparison, Result, compare
from trainer.metrics import DEFINITIONS
from trainer.runs import Run
from trainer.scores import COLUMNS
from trainer.wording.diff import compared
from training import trained
from untrained import built, dataset_settings


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def causes(found: Comparison) -> dict[str, str]:
    return {cause.what: cause.told for cause in found.causes}


def reasons(found: Comparison) -> set[str]:
    return {result.reason for result in found.results}


def test_the_same_training_twice_differs_in_nothing(workspace: Path) -> None:
    trained(workspace, tag="one", epochs=1)
    trained(workspace, tag="two", epochs=1, again=True)

    found = compare(workspace, "one", "two")

    assert found.same
    assert found.causes == ()
    assert {result.before == result.after for result in found.results} == {True}
    assert "one identity: the same training twice" in list(compared(found))


def test_a_changed_setting_is_the_only_cause_and_losses_compare(workspace: Path) -> None:
    trained(workspace, tag="one", epochs=1)
    trained(workspace, "train.seed=3", "model.dropout=0.1", tag="two", epochs=1)

    found = compare(workspace, "one", "two")

    assert list(causes(found).items()) == [
        ("model.dropout", "0.2 -> 0.1"),
        ("train.seed", "0 -> 3"),
    ]
    assert reasons(found) == {""}
    assert {result.pairs for result in found.results} == {2}


def test_another_batch_size_is_another_learning_rate(workspace: Path) -> None:
    trained(workspace, tag="one", epochs=1)
    trained(workspace, "train.batch_size=5", tag="two", epochs=1)

    told = causes(compare(workspace, "one", "two"))

    assert list(told) == ["batch size", "learning rate"]
    assert told["batch size"] == "3 -> 5 pairs a step (4 -> 2 steps an epoch)"
    peaks = "peak 8.46e-04 at step 2 (sample 6) -> 8.46e-04 at step 2 (sample 10)"
    assert peaks in told["learning rate"]
    assert "at the same sample apart by up to" in told["learning rate"]


def test_another_threshold_is_told_and_its_losses_are_not_comparable(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    split = {"dev": 2, "eval": 2}
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split=split, silence={"thresh": -25.0}))
    trained(workspace, tag="one", epochs=1)
    trained(workspace, tag="two", spk="N2C_2", epochs=1)

    found = compare(workspace, "one", "two")

    told = causes(found)
    assert next(iter(told)) == "dataset"
    assert "silence.thresh -50 -> -25" in told["dataset"]
    assert "split" not in told
    assert told["normalisation"] == "statistics of dataset N2C -> of dataset N2C_2"
    assert reasons(found) == {"normalised by other statistics"}
    assert any(line.startswith("not comparable: dev loss") for line in compared(found))


def test_other_dev_pairs_are_counted(workspace: Path, n2c_corpus: PairCorpus) -> None:
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split={"dev": 4, "eval": 2}))
    trained(workspace, tag="one", epochs=1)
    trained(workspace, tag="two", spk="N2C_2", epochs=1)
    own = runs.open_run(workspace, "two")
    parts = {
        **own.record.parts,
        "statistics": runs.open_run(workspace, "one").record.parts["statistics"],
    }
    runs.update(own, parts=parts)

    found = compare(workspace, "one", "two")

    assert causes(found)["split"] == "2 pairs moved to another split, 0 left out, 0 new"
    assert reasons(found) == {"other dev pairs (2 and 4, 2 of them the same)"}


def test_a_dataset_that_is_gone_is_told_by_its_settings(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    silence = {"thresh": -25.0}
    split = {"dev": 2, "eval": 2}
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split=split, silence=silence))
    trained(workspace, tag="one", epochs=1)
    trained(workspace, tag="two", spk="N2C_2", epochs=1)
    shutil.rmtree(workspace / "versions" / "N2C_2")

    told = causes(compare(workspace, "one", "two"))

    assert told["dataset"] == (
        "N2C -> N2C_2: silence.thresh -50.0 -> -25.0 (N2C_2 as trained on is not in the workspace)"
    )


def test_a_parent_is_a_cause(workspace: Path) -> None:
    trained(workspace, tag="one", epochs=2)
    trained(workspace, tag="two", epochs=1, pretrain="one@2", keep_leaks=True)

    told = causes(compare(workspace, "one", "two"))

    assert told["parent"] == "none -> run one at epoch 2"
    assert told["epochs trained"] == "2 -> 1"


def test_a_kept_optimiser_is_told_of_parent_and_learning_rate(workspace: Path) -> None:
    trained(workspace, tag="one", epochs=2)
    trained(workspace, tag="reset", epochs=1, pretrain="one@2", keep_leaks=True)
    trained(workspace, tag="kept", epochs=1, pretrain="one@2", keep_leaks=True, keep_optim=True)

    told = causes(compare(workspace, "reset", "kept"))

    assert told["parent"] == "run one at epoch 2 -> run one at epoch 2, optimiser kept"
    assert told["learning rate"].startswith("begins after step 0 -> 8 of the schedule; ")
    assert "-> 8.46e-04 at step 2 (before it began)" in told["learning rate"]


def test_code_libraries_and_device_come_last(workspace: Path) -> None:
    trained(workspace, tag="one", epochs=1)
    run = trained(workspace, "train.seed=1", tag="two", epochs=1)
    session = run.record.sessions[-1]
    other = replace(session, device="NVIDIA H100", libraries={**session.libraries, "torch": "1.0"})
    runs.update(run, sessions=(other,), parts={**run.record.parts, "code": "0" * 64})

    told = causes(compare(workspace, "one", "two"))

    assert list(told) == ["train.seed", "code", "library torch", "device"]
    assert told["library torch"].endswith("-> 1.0")


def test_durations_of_a_search_are_not_compared_with_others(workspace: Path) -> None:
    trained(workspace, tag="one", epochs=1)
    trained(workspace, "model.align=search", tag="two", epochs=1)

    found = compare(workspace, "one", "two")

    told = {result.name: result.reason for result in found.results}
    assert told["dev loss mel"] == ""
    assert told["dev loss duration"].startswith("durations are the model's own")
    assert told["dev loss total"] == told["dev loss duration"]


# --------------------------------------------------------------------- metrics


def evaluated(run: Run, values: dict[str, float], **changes: Any) -> None:
    """Write an evaluation whose every metric of a pair has the given value."""
    figure = {
        "mean": float(np.mean(list(values.values()))),
        "ci95": None,
        "utterances": len(values),
    }
    mapping = {
        "schema": 1,
        "dataset": run.record.dataset.name,
        "fingerprint": run.record.dataset.fingerprint,
        "checkpoint": "epoch-0001",
        "vocoder": "griffinlim48",
        "definitions": dict(DEFINITIONS),
        "figures": {column: dict.fromkeys(DEFINITIONS, figure) for column in COLUMNS},
        "utterances": [
            {"pair": name, "distances": {"converted": dict.fromkeys(DEFINITIONS, value)}}
            for name, value in values.items()
        ],
        **changes,
    }
    name = f"{mapping['dataset']}-{mapping['checkpoint']}.json"
    write_json(run.folder / "evaluations" / name, mapping)


def metric(found: Comparison) -> Result:
    return next(each for each in found.results if each.name.startswith("mcd"))


def test_metrics_are_compared_utterance_by_utterance(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    built(workspace, "E", dataset_settings(n2c_corpus, split={"dev": 2, "eval": 5}))
    names = [pair.id for pair in open_version(workspace, "E").split("eval")]
    one, two = (
        trained(workspace, f"train.seed={seed}", tag=f"run{seed}", spk="E", epochs=1)
        for seed in range(2)
    )
    before, after = np.array([5.0, 6.0, 7.5, 5.5]), np.array([4.5, 6.1, 6.9, 5.0])
    evaluated(one, dict(zip(names, before, strict=False)))
    evaluated(two, {**dict(zip(names, after, strict=False)), names[4]: 99.0})  # in one only

    found = metric(compare(workspace, "run0", "run1"))

    interval = stats.ttest_rel(after, before).confidence_interval()
    assert (found.before, found.after) == pytest.approx((before.mean(), after.mean()))
    assert found.pairs == 4
    assert found.half == pytest.approx((interval.high - interval.low) / 2)
    assert found.reason == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vocoder": "world"}, "vocoder griffinlim48 and world"),
        ({"definitions": {**DEFINITIONS, "mcd": "mcd13"}}, "another definition (mcd13)"),
    ],
)
def test_metrics_of_another_kind_are_not_compared(
    workspace: Path, changes: dict[str, Any], reason: str
) -> None:
    names = [pair.id for pair in open_version(workspace, "N2C").split("eval")]
    one, two = (
        trained(workspace, f"train.seed={seed}", tag=f"run{seed}", epochs=1) for seed in range(2)
    )
    evaluated(one, dict.fromkeys(names, 5.0))
    evaluated(two, dict.fromkeys(names, 4.0), **changes)

    found = metric(compare(workspace, "run0", "run1"))

    assert found.reason == reason
    assert found.half is None


@pytest.fixture
def on_two_versions(workspace: Path, n2c_corpus: PairCorpus) -> tuple[Run, Run]:
    """Two runs whose versions cut every utterance otherwise."""
    split = {"dev": 2, "eval": 2}
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split=split, silence={"thresh": -100.0}))
    one = trained(workspace, tag="one", epochs=1)
    return one, trained(workspace, tag="two", spk="N2C_2", epochs=1)


def test_runs_on_two_versions_are_compared_on_the_one_both_were_evaluated_on(
    workspace: Path, on_two_versions: tuple[Run, Run]
) -> None:
    one, two = on_two_versions
    names = [pair.id for pair in open_version(workspace, "N2C").split("eval")]
    evaluated(one, dict.fromkeys(names, 5.0))
    evaluated(two, dict.fromkeys(names, 7.0))
    apart = compare(workspace, "one", "two")
    assert "no eval utterance is the same recording" in metric(apart).reason
    assert apart.commands == ("trainer evaluate two --spk N2C",)

    there = {"dataset": "N2C", "fingerprint": one.record.dataset.fingerprint}
    evaluated(two, dict.fromkeys(names, 4.0), **there)
    evaluated(two, dict.fromkeys(names, 9.0), **there, checkpoint="epoch-0000")

    found = compare(workspace, "one", "two")
    assert (metric(found).before, metric(found).after, metric(found).pairs) == (5.0, 4.0, 2)
    assert (metric(found).reason, metric(found).on) == ("", "dataset N2C")
    assert found.commands == ()
    assert any(line.endswith("2 pairs of dataset N2C") for line in compared(found))


def test_a_checkpoint_that_is_not_the_best_is_named(workspace: Path) -> None:
    names = [pair.id for pair in open_version(workspace, "N2C").split("eval")]
    one, two = (
        trained(workspace, f"train.seed={seed}", tag=f"run{seed}", epochs=1) for seed in range(2)
    )
    evaluated(one, dict.fromkeys(names, 5.0))
    evaluated(two, dict.fromkeys(names, 4.0), checkpoint="epoch-0007")

    assert metric(compare(workspace, "run0", "run1")).on == "dataset N2C, run1 at epoch-0007"


def test_what_would_make_results_comparable_is_told_where_nothing_is(
    workspace: Path, on_two_versions: tuple[Run, Run]
) -> None:
    found = compare(workspace, "one", "two")

    assert found.commands == ("trainer evaluate one", "trainer evaluate two --spk N2C")
    assert list(compared(found))[-1] == (
        "to compare them on the same utterances: `trainer evaluate one`, "
        "`trainer evaluate two --spk N2C`, then `trainer diff` again"
    )

    shutil.rmtree(workspace / "versions" / "N2C")  # the other version is left
    assert compare(workspace, "one", "two").commands[0] == "trainer evaluate one --spk N2C_2"


def test_an_unknown_run_is_refused(workspace: Path) -> None:
    with pytest.raises(UnknownName, match="N2C_7"):
        compare(workspace, "N2C_7", "N2C_8")

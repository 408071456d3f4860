"""In what a training differs from runs that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthetic import PairCorpus
from trainer.near import told
from trainer.plan import plan
from trainer.runs import update
from training import asked, started, trained
from untrained import built, dataset_settings


def near(workspace: Path, *settings: str, **options: object) -> list[str]:
    """What is pointed out of a training that nearly exists."""
    notes = plan(asked(workspace, *settings, **options)).notes
    return [note for note in notes if note.startswith("differs from run")]


def test_settings_that_differ_are_told_with_both_values(workspace: Path) -> None:
    started(workspace)

    assert near(workspace, "optim.warm_up=30", "train.seed=1") == [
        "differs from run N2C_1 only in: optim.warm_up 20 -> 30; train.seed 0 -> 1"
    ]


def test_whether_the_parents_optimiser_was_kept_is_told(workspace: Path) -> None:
    trained(workspace, tag="model", epochs=1)
    trained(workspace, pretrain="model@1", keep_leaks=True, epochs=1)

    notes = near(workspace, pretrain="model@1", keep_leaks=True, keep_optim=True)

    told = "parent run model at epoch 1 -> run model at epoch 1, optimiser kept"
    assert f"differs from run N2C_1 only in: {told}" in notes


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("optim.lr_limit=0.2", "optim.lr_limit"),
        ("model.prosody_size=64", "model.prosody_size"),
        ("model.align_weight=3", "model.align_weight"),
        ("optim.max_lr_scale=1000", "optim.max_lr_scale"),  # W = 20: the cap acts below 0.22
    ],
)
def test_a_setting_that_changes_no_number_is_nothing_that_matters(
    workspace: Path, setting: str, key: str
) -> None:
    started(workspace, "optim.max_lr_scale=0", "optim.lr_limit=0.1")

    wanted = ("optim.max_lr_scale=0", "optim.lr_limit=0.1", setting)

    assert near(workspace, *wanted) == [
        f"differs from run N2C_1 in nothing that matters (without effect: {key})"
    ]


@pytest.mark.parametrize("setting", ["model.prosody_size=64", "model.prosody_weight=0.1"])
def test_the_same_setting_matters_where_it_acts(workspace: Path, setting: str) -> None:
    started(workspace, "model.prosody=wgmm")

    (note,) = near(workspace, "model.prosody=wgmm", setting)

    assert note.startswith(f"differs from run N2C_1 only in: {setting.partition('=')[0]} ")


def test_trained_again_on_purpose_it_differs_in_nothing(workspace: Path) -> None:
    started(workspace)

    assert near(workspace, again=True) == ["differs from run N2C_1 in nothing that matters"]


def test_another_version_is_told_by_its_settings(workspace: Path, n2c_corpus: PairCorpus) -> None:
    started(workspace)
    changed = dataset_settings(
        n2c_corpus, split={"dev": 2, "eval": 2}, silence={"thresh": -30.0, "min_silence_len": 100}
    )
    built(workspace, "N2C_2", changed)

    (note,) = near(workspace, spk="N2C_2")

    assert note.startswith("differs from run N2C_1 only in: dataset N2C -> N2C_2 (")
    assert "silence.min_silence_len 500 -> 100" in note
    assert "silence.thresh -50 -> -30" in note


def test_another_parent_is_named(workspace: Path) -> None:
    trained(workspace, epochs=1)
    trained(workspace, "train.seed=7", epochs=1)
    started(workspace, pretrain="N2C_1@1")

    note, _ = near(workspace, "train.seed=0", pretrain="N2C_2@1")

    assert note == (
        "differs from run N2C_3 only in: parent run N2C_1 at epoch 1 -> run N2C_2 at epoch 1"
    )


def test_other_code_is_named_and_the_nearest_alone_are_shown(workspace: Path) -> None:
    run = started(workspace)
    update(run, parts={**run.record.parts, "code": "other"}, identity="other")
    started(workspace, "train.seed=1", "model.dropout=0.1", "train.group_size=3")

    assert near(workspace) == ["differs from run N2C_1 only in: the code of the model and loop"]


def test_a_damaged_run_is_passed_over(workspace: Path) -> None:
    run = started(workspace)
    assert near(workspace, "train.seed=1")

    (run.folder / "run.json").write_text("{")

    assert near(workspace, "train.seed=1") == []


def test_a_setting_that_came_later_counts_with_its_default(workspace: Path) -> None:
    run = started(workspace)
    config = {name: dict(table) for name, table in run.record.parts["config"].items()}
    del config["train"]["accumulate"]
    update(run, parts={**run.record.parts, "config": config}, identity="older")

    assert near(workspace) == ["differs from run N2C_1 in nothing that matters"]


def test_a_note_is_a_sentence() -> None:
    from trainer.near import Near

    assert told(Near(tag="x", matters=("a 1 -> 2", "b"), idle=("c",))) == (
        "differs from run x only in: a 1 -> 2; b"
    )

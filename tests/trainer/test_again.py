"""The same training once more, and a run's way on another version."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from called import Command, refused
from corpuskit.errors import Refused
from synthetic import PairCorpus
from trainer.again import reproduction
from trainer.runs import open_run, update
from training import outcome, trained
from untrained import built, dataset_settings


def test_a_run_is_reproduced_bit_for_bit(command: Command, workspace: Path) -> None:
    trained(workspace, epochs=1)
    before = trained(workspace, "train.seed=3", "model.dropout=0.1", pretrain="N2C_1@1", epochs=2)

    result = command("reproduce", "N2C_2", "--device", "cpu")

    assert result.exit_code == 0, result.stderr
    assert "not as it was" not in result.stderr
    lines = result.stdout.splitlines()
    assert any(line.startswith("as it was: dataset N2C, fingerprint ") for line in lines)
    assert "as it was: parent run N2C_1 at epoch 1, its weights" in lines
    assert lines[-1] == "Reproduced run N2C_2 as N2C_3: the weights are the same, bit for bit."
    after = open_run(workspace, "N2C_3")
    assert after.record.again_of == "N2C_2"
    assert after.record.identity == before.record.identity
    assert outcome(after)["weights"] == outcome(before)["weights"]


def test_the_command_it_tells_is_the_whole_truth(command: Command, workspace: Path) -> None:
    """What is printed, typed by hand, trains the same."""
    trained(workspace, epochs=1)
    trained(workspace, "train.seed=3", pretrain="N2C_1@1", keep_optim=True, epochs=1)
    told = command("reproduce", "N2C_2", "--dry-run").stdout.splitlines()[-1]
    assert told == (
        "trainer run --spk N2C --pretrain N2C_1@1 --like N2C_2 --epochs 1 --precision fp32 "
        "--keep-optim --again"
    )

    result = command(*shlex.split(told)[1:], "--quiet")

    assert result.exit_code == 0, result.stderr
    assert open_run(workspace, "N2C_3").record.again_of == "N2C_2"


def test_what_is_not_as_it_was_is_said(command: Command, workspace: Path) -> None:
    run = trained(workspace, epochs=1)
    (first,) = run.record.sessions
    from dataclasses import replace

    older = replace(
        first, device="NVIDIA H100", processes=2, libraries={**first.libraries, "torch": "2.0"}
    )
    parts = {**run.record.parts, "code": "other"}
    update(run, sessions=(older,), parts=parts, identity="other")

    told = command("reproduce", "N2C_1", "--dry-run", "--device", "cpu").stderr

    assert "not as it was: code: that of the model and loop" in told
    assert "not as it was: library torch: 2.0 -> " in told
    assert "not as it was: device: NVIDIA H100 -> cpu" in told
    assert "not as it was: processes: 2 -> 1" in told
    result = command("reproduce", "N2C_1", "--device", "cpu", "--quiet")
    assert result.stdout.splitlines()[-1].startswith("Reproduced run N2C_1 as N2C_2")


def test_another_dataset_or_parent_is_another_training(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    import shutil

    trained(workspace, epochs=1)
    child = trained(workspace, "train.seed=1", pretrain="N2C_1@1", epochs=1)
    assert child.record.parent is not None
    update(child, parent=type(child.record.parent)(**{**vars(child.record.parent), "digest": "x"}))
    with pytest.raises(Refused, match=r"run N2C_1 at epoch 1 has other weights"):
        reproduction(workspace, "N2C_2")

    shutil.rmtree(workspace / "versions" / "N2C")
    with pytest.raises(Refused, match=r"dataset N2C, which cannot be opened: no dataset 'N2C'"):
        reproduction(workspace, "N2C_1")
    built(workspace, "N2C", dataset_settings(n2c_corpus, split={"dev": 3, "eval": 2}))
    with pytest.raises(Refused, match=r"is not the one run N2C_1 was trained on"):
        reproduction(workspace, "N2C_1")


def test_the_best_run_is_tried_on_another_version(
    command: Command, workspace: Path, n2c_corpus: PairCorpus
) -> None:
    trained(workspace, "train.seed=5", epochs=1)
    other = dataset_settings(
        n2c_corpus, split={"dev": 2, "eval": 2}, silence={"min_silence_len": 100}
    )
    built(workspace, "N2C_2", other)
    told = command("list").stdout.splitlines()[-1]
    assert told == (
        "Of N2C, the best so far is run N2C_1; never tried on dataset N2C_2: "
        "`trainer rerun N2C_1 --spk N2C_2`."
    )

    result = command("rerun", "--spk", "N2C_2", "--device", "cpu")

    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "the best run so far is N2C_1, on dataset N2C"
    assert "run N2C_1 -> run N2C_2" in lines
    made = open_run(workspace, "N2C_2").record
    assert (made.dataset.name, made.parts["config"]["train"]["seed"]) == ("N2C_2", 5)
    assert command("list").stdout.splitlines()[-1] == f"2 runs in {workspace}."


def test_rescoring_trains_nothing(
    command: Command, workspace: Path, n2c_corpus: PairCorpus
) -> None:
    trained(workspace, epochs=1)
    other = dataset_settings(
        n2c_corpus, split={"dev": 2, "eval": 2}, silence={"min_silence_len": 100}
    )
    built(workspace, "N2C_2", other)

    result = command("rerun", "N2C_1", "--spk", "N2C_2", "--rescore")

    assert result.exit_code == 0, result.stderr
    assert "on 2 eval pairs of dataset N2C_2" in result.stdout
    assert command("list").stdout.splitlines()[-1] == f"1 run in {workspace}."


def test_without_a_run_there_is_no_best(command: Command) -> None:
    told = refused(command("rerun", "--spk", "N2C"))

    assert "no run on a version of N2C has finished an epoch yet" in told

"""A full run with the settings of a trial, and what it remembers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from called import Command, refused
from corpuskit.config import to_mapping
from corpuskit.errors import CorpuskitError, Refused
from synthetic import PairCorpus
from trainer.config import TrainConfig
from trainer.runs import metrics, open_run
from trainer.search import promotion, search
from trainer.searches import Search, begin
from trainer.signals import Stop
from trainer.space import space_of
from trainer.study import trials
from training import asked, started, trained
from untrained import built, dataset_settings


def searched(workspace: Path, wanted: int, *settings: str, **options: Any) -> Search:
    """A search of warm-up and dropout that has so many results."""
    space = {
        "optim.warm_up": {"low": 2, "high": 8},
        "model.dropout": {"low": 0.0, "high": 0.4},
    }
    request = asked(workspace, "optim.warm_up=2", *settings, **options)
    made = begin(request, space_of({"space": space}, "the test")).search
    list(search(made, wanted, Stop()))
    return made


def rows(workspace: Path, tag: str) -> list[dict[str, Any]]:
    """What a run measured, but for how long it took."""
    found = metrics(open_run(workspace, tag).folder)
    return [{key: row[key] for key in row if key != "seconds"} for row in found]


def test_a_promoted_run_is_the_trial_in_full(command: Command, workspace: Path) -> None:
    """The same settings and so the same training: its first epochs are the trial's, bit for bit."""
    searched(workspace, 2, "train.samples=1", "train.save_every=7", "train.seed=4")

    result = command("promote", "N2C_1#1", "--epochs", "3", "--device", "cpu")

    assert result.exit_code == 0, result.stderr
    run, trial = open_run(workspace, "N2C_2"), open_run(workspace, "N2C_1#1")
    assert run.record.origin == "N2C_1#1"
    assert run.record.identity == trial.record.identity
    assert (run.record.epoch, trial.record.epoch) == (3, 2)
    assert rows(workspace, "N2C_2")[:2] == rows(workspace, "N2C_1#1")
    assert run.config.model == trial.config.model
    assert run.config.optim == trial.config.optim
    train = run.config.train
    assert (train.samples, train.save_every, train.seed) == (1, 7, 4)


def test_it_is_shown_where_it_came_from(command: Command, workspace: Path) -> None:
    searched(workspace, 1)
    command("promote", "N2C_1#0", "--epochs", "1", "--tag", "N2C_9", "--device", "cpu")

    assert "promoted from trial N2C_1#0" in command("show", "N2C_9").stdout.splitlines()
    lines = command("list", "--tree").stdout.splitlines()
    assert lines[1].startswith("N2C_1 ")
    assert lines[2].startswith("  N2C_9 ")
    assert "(N2C_1#0)" in lines[2]


def test_a_fine_tuned_trial_keeps_its_parent(command: Command, workspace: Path) -> None:
    trained(workspace, "train.seed=8", epochs=1)
    searched(workspace, 1, pretrain="N2C_1", keep_leaks=True)

    result = command("promote", "N2C_2#0", "--epochs", "1", "--device", "cpu")

    assert result.exit_code == 0, result.stderr
    record = open_run(workspace, "N2C_3").record
    assert record.parent is not None
    assert (record.parent.tag, record.parent.epoch) == ("N2C_1", 1)
    assert record.leaks.kept
    lines = command("list", "--tree").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["N2C_1", "N2C_2", "N2C_3"]
    assert lines[3].startswith("  N2C_3 ")
    assert "N2C_1@1 (N2C_2#0)" in lines[3]


def test_a_verdict_on_a_trial_reaches_what_was_fine_tuned_from_it(
    command: Command, workspace: Path
) -> None:
    searched(workspace, 1)
    started(workspace, pretrain="N2C_1#0", keep_leaks=True)
    started(workspace, "train.seed=5")

    noted = command("note", "N2C_1#0", "it hums", "--bad").stdout

    assert noted == "Noted run N2C_1#0 as bad, and with it 1 descendant: N2C_2.\n"
    (row,) = command("list", "--only", "verdict=bad").stdout.splitlines()[1:-1]
    assert row.split()[0] == "N2C_2"
    assert "bad (N2C_1#0)" in row
    shutil.rmtree(workspace / "searches")
    assert command("list").exit_code == 0


def test_epochs_are_those_of_a_run(workspace: Path) -> None:
    searched(workspace, 1)

    assert promotion(workspace, "N2C_1#0", None, None).epochs == TrainConfig().epochs
    assert promotion(workspace, "N2C_1#0", 7, None).epochs == 7


def test_the_same_trial_twice_is_the_same_run(command: Command, workspace: Path) -> None:
    searched(workspace, 1)
    command("promote", "N2C_1#0", "--epochs", "1", "--device", "cpu")

    told = refused(command("promote", "N2C_1#0", "--epochs", "2", "--device", "cpu"))

    assert "this is run N2C_2 (finished after epoch 1" in told
    assert "`trainer resume N2C_2 --epochs 2` goes on" in told


def test_an_answered_trial_is_promoted_by_its_settings(workspace: Path) -> None:
    space = {"space": {"optim.warm_up": [3]}}
    made = begin(asked(workspace), space_of(space, "the test")).search
    list(search(made, 2, Stop()))
    assert trials(made).all[1].told == "as run N2C_1#0, not trained again"

    first, second = (promotion(workspace, f"N2C_1#{number}", 1, None) for number in (0, 1))

    assert first.settings == second.settings
    assert (first.origin, second.origin) == ("N2C_1#0", "N2C_1#1")


def test_what_cannot_be_promoted_is_refused_by_name(command: Command, workspace: Path) -> None:
    space = {"space": {"model.heads": [2, 3]}, "search": {"sampler": "random"}}
    made = begin(asked(workspace, "optim.warm_up=2"), space_of(space, "the test")).search
    list(search(made, 3, Stop()))
    skipped = next(each.number for each in trials(made).all if each.state == "skipped")
    last = len(trials(made).all) - 1

    told = refused(command("promote", f"N2C_1#{skipped}"))
    assert f"trial N2C_1#{skipped} was skipped: " in told
    assert "model.attention_dim is 16 with 3 heads" in told
    assert f"search N2C_1 has no trial #99; it has #0 to #{last}" in refused(
        command("promote", "N2C_1#99")
    )
    assert "no search 'N2C_3'; did you mean N2C_1?" in refused(command("promote", "N2C_3#0"))
    assert "'N2C_1' names no trial; e.g. N2C_11#3" in refused(command("promote", "N2C_1"))
    assert "names no trial" in refused(command("promote", "N2C_1#x"))


def test_a_trial_in_the_middle_is_not_promoted(workspace: Path) -> None:
    class AtOnce(Stop):
        looks = 0

        @property
        def requested(self) -> bool:
            self.looks += 1
            self.reason = "SIGTERM" if self.looks > 3 else ""
            return bool(self.reason)

    space = {"space": {"optim.warm_up": [3]}}
    made = begin(asked(workspace), space_of(space, "the test")).search
    list(search(made, 1, AtOnce()))

    with pytest.raises(CorpuskitError, match=r"trial N2C_1#0 is still running"):
        promotion(workspace, "N2C_1#0", None, None)


def test_a_trial_keeps_the_settings_it_was_drawn_with(workspace: Path) -> None:
    made = searched(workspace, 1)

    request = promotion(workspace, "N2C_1#0", 1, None)

    drawn = trials(made).all[0].settings
    config = to_mapping(open_run(workspace, "N2C_1#0").config)
    for key, value in drawn.items():
        table, _, name = key.partition(".")
        assert config[table][name] == value
        assert f"{key}={value}" in request.settings


def test_another_dataset_of_the_name_is_another_training(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    searched(workspace, 1)
    shutil.rmtree(workspace / "versions" / "N2C")
    built(workspace, "N2C", dataset_settings(n2c_corpus, split={"dev": 3, "eval": 2}))

    with pytest.raises(Refused, match=r"dataset N2C is not the one search N2C_1 was trained on"):
        promotion(workspace, "N2C_1#0", None, None)

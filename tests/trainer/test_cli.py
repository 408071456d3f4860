"""The command line: every command by hand, every mistake in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import trainer.cli
from called import Command, refused
from corpuskit.audio import decode
from synthetic import PairCorpus
from trainer.runs import open_run
from training import TINY, started, trained
from untrained import built, dataset_settings

SETTINGS = [part for setting in TINY for part in ("--set", setting)]


def test_run_resume_list_show(command: Command, workspace: Path) -> None:
    result = command("run", "--spk", "N2C", "--epochs", "2", *SETTINGS)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "run N2C_1: dataset N2C (10 train, 2 dev, 2 eval pairs)"
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == ["1/2", "2/2"]
    assert lines[-1].startswith("Trained run N2C_1: 2 epochs, 8 steps over 10 pairs (")

    result = command("resume", "N2C_1", "--epochs", "3", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
    assert result.stdout.startswith("Trained run N2C_1: 3 epochs, 12 steps")

    result = command("list")
    assert result.stdout.splitlines()[-1] == f"1 run in {workspace}."
    row = result.stdout.splitlines()[1].split()
    assert row[:8] == ["N2C_1", "N2C", "-", "fs2vc", "3", "x", "2", "finished"]
    (row,) = json.loads(command("list", "--json").stdout)
    assert (row["tag"], row["status"], row["epoch"]) == ("N2C_1", "finished", 3)

    result = command("show", "N2C_1")
    assert "train.batch_size = 3" in result.stdout
    shown = json.loads(command("show", "N2C_1", "--json").stdout)
    assert [row["epoch"] for row in shown["metrics"]] == [1, 2, 3]
    assert "epoch-0003" in shown["checkpoints"]


def test_a_fine_tuning_says_what_it_took_over(
    command: Command, workspace: Path, n2c_corpus: PairCorpus
) -> None:
    trained(workspace, epochs=1)
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split={"dev": 5, "eval": 2}))

    result = command(
        "run", "--spk", "N2C_2", "--pretrain", "N2C_1@1", "--epochs", "1", "--set", "model.width=32"
    )

    assert result.exit_code == 0, result.stderr
    assert "fine-tuned from run N2C_1, epoch 1:" in result.stdout
    assert "the parent's is" in result.stdout
    assert "normalised by the parent's statistics (of dataset N2C)" in result.stdout
    assert "note: leak: the parent or its ancestors were trained on 3 dev" in result.stderr
    assert result.stdout.splitlines()[-1].startswith("Trained run N2C_2:")


def test_evaluate_and_convert(
    command: Command, workspace: Path, n2c_corpus: PairCorpus, tmp_path: Path
) -> None:
    trained(workspace, epochs=1)

    result = command("evaluate", "N2C_1", "--jobs", "1")
    assert result.exit_code == 0, result.stderr
    assert "unconverted" in result.stdout
    closing = result.stdout.splitlines()[-1]
    assert closing.startswith("Evaluated run N2C_1 on 2 eval pairs of dataset N2C: MCD ")
    result = command("evaluate", "N2C_1@last", "--jobs", "1", "--json")
    evaluation = json.loads(result.stdout)
    assert evaluation["run"] == "N2C_1"
    assert "evaluated N2C-epoch-0001" in command("show", "N2C_1").stdout

    recording = next(n2c_corpus.source.iterdir())
    out = tmp_path / "out.wav"
    result = command("convert", "N2C_1", str(recording), str(out))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"Converted N -> C: {out}, ")
    assert "x real time" in result.stdout
    assert decode(out).rate == 22050


def test_the_same_training_is_refused_unless_again(command: Command, workspace: Path) -> None:
    trained(workspace, epochs=1)
    options = ["run", "--spk", "N2C", "--epochs", "1", *SETTINGS]

    told = refused(command(*options))
    assert "this is run N2C_1 (finished after epoch 1, best dev loss" in told
    assert "--again" in told

    result = command(*options, "--again")
    assert result.exit_code == 0
    assert "again: the same training as run N2C_1" in result.stdout
    assert open_run(workspace, "N2C_2").record.again_of == "N2C_1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "--spk", "N2D"], "no dataset 'N2D'; did you mean N2C?"),
        (["run", "--spk", "../N2C"], "'../N2C' is not a dataset name"),
        (["run", "--spk", "N2C", "--tag", "../x"], "'../x' is not a run name"),
        (["run", "--spk", "N2C", "--tag", "N2C_1"], "run N2C_1 exists already; the next free"),
        (["run", "--spk", "N2C", "--pretrain", "N2C_2"], "no run 'N2C_2'; did you mean N2C_1?"),
        (["run", "--spk", "N2C", "--pretrain", "N2C_1@7"], "it keeps best, last, and epochs 0"),
        (["run", "--spk", "N2C", "--model", "tyni"], "no model 'tyni'"),
        (["run", "--spk", "N2C", "--set", "train.sed=1"], "did you mean 'train.seed'?"),
        (["run", "--spk", "N2C", "--set", "optim.max_lr_scale=1", "--set", "optim.warm_up=9"],
         "above optim.lr_limit"),
        (["run", "--spk", "N2C", "--device", "cuda"], "torch sees no CUDA device"),
        (["resume", "N2C_2"], "no run 'N2C_2'; did you mean N2C_1?"),
        (["resume", "N2C_1"], "is being trained by process"),
        (["show", "N2C_l"], "no run 'N2C_l'; did you mean N2C_1?"),
        (["show", "../N2C_1"], "is not a run name"),
        (["evaluate", "N2C_2"], "no run 'N2C_2'"),
        (["evaluate", "N2C_1", "--spk", "N2D"], "no dataset 'N2D'"),
        (["convert", "N2C_1", "absent.wav", "out.wav"], "absent.wav does not exist"),
        (["convert", "N2C_1@9", "absent.wav", "out.wav"], "keeps no checkpoint of epoch 9"),
        (["convert", "N2C_1", "absent.wav", "out.wav", "--target", "X"], "no target speaker 'X'"),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_line(
    command: Command, workspace: Path, arguments: list[str], told: str
) -> None:
    started(workspace)  # run N2C_1, "in training" by this very process

    assert told in refused(command(*arguments))


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "--spk"], ["rn"], ["run", "--spk", "N2C", "--precision", "fp8"]]
)
def test_wrong_usage_exits_with_2(command: Command, arguments: list[str]) -> None:
    result = command(*arguments)

    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_a_damaged_run_is_listed_as_a_warning(command: Command, workspace: Path) -> None:
    (started(workspace).folder / "run.json").write_text("{")

    result = command("list")

    assert result.exit_code == 0
    assert result.stdout == f"0 runs in {workspace}.\n"
    assert "warning: run N2C_1: run.json is damaged" in result.stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"parts": {"config": {}}}, "parts.config has no model.kind"),
        ({"parts": None}, "subscriptable"),
        ({"sessions": []}, "it has no session"),
        ({"epoch": "three"}, "epoch is no whole number"),
        ({"best_losses": {"mel": "low"}}, "a loss or time is no number"),
        ({"dataset": None}, "must be a mapping"),
    ],
)
def test_a_record_of_another_shape_hides_no_other_run(
    command: Command, workspace: Path, changes: dict[str, Any], told: str
) -> None:
    path = started(workspace).folder / "run.json"
    started(workspace, "train.seed=1")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    result = command("list")

    assert (result.exit_code, result.stdout.splitlines()[1].split()[0]) == (0, "N2C_2")
    assert told in result.stderr
    assert f"move {path.parent} elsewhere" in result.stderr
    for other in (["list", "--tree"], ["memo"], ["show", "N2C_2"], ["note", "N2C_2", "x"]):
        assert command(*other).exit_code == 0
    for own in (["show", "N2C_1"], ["note", "N2C_1", "x"], ["diff", "N2C_1", "N2C_2"]):
        assert command(*own).exit_code == 2


def test_a_run_moved_under_another_name_goes_by_that(command: Command, workspace: Path) -> None:
    folder = started(workspace).folder
    folder.rename(folder.with_name("theirs_1"))

    command("note", "theirs_1", "from the other machine")

    (row,) = command("list").stdout.splitlines()[1:-1]
    assert row.split()[0] == "theirs_1"
    assert row.endswith("from the other machine")
    assert command("show", "theirs_1").stdout.startswith("run theirs_1: ")


def options_of(name: str) -> dict[str, str]:
    group = typer.main.get_command(trainer.cli.app)
    parameters = group.commands[name].params  # type: ignore[attr-defined]
    return {
        option: getattr(parameter, "help", None) or ""
        for parameter in parameters
        for option in (*parameter.opts, *parameter.secondary_opts)
    }


def test_the_commands_are_those_of_the_design() -> None:
    group = typer.main.get_command(trainer.cli.app)

    assert set(group.commands) == {  # type: ignore[attr-defined]
        "run", "resume", "rerun", "reproduce", "search", "promote", "list", "show", "note", "memo",
        "diff", "lr", "report", "evaluate", "listen", "convert", "export", "vocoder",
    }  # fmt: skip
    assert set(options_of("run")) >= {
        "--spk", "--pretrain", "--reset-optim", "--keep-optim", "--tag", "--like", "--model",
        "--set", "--epochs", "--precision", "--device", "--again", "--keep-leaks", "--workspace",
        "--quiet",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        *("run", "resume", "rerun", "reproduce", "search", "promote", "list", "show", "note"),
        *("memo", "diff", "lr", "report", "evaluate", "convert", "export"),
    ],
)
def test_every_option_has_help(name: str) -> None:
    assert all(len(text) > 10 for text in options_of(name).values())


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['trainer', '--help']\n"
        "from trainer.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'librosa', 'scipy', 'joblib', 'tqdm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command_line", [["list"], ["show", "N2C_1"]])
def test_looking_at_runs_loads_no_torch(workspace: Path, command_line: list[str]) -> None:
    started(workspace)
    code = (
        "import sys\nfrom trainer.cli import main\n"
        f"sys.argv = ['trainer', '--workspace', {str(workspace)!r}, *{command_line!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

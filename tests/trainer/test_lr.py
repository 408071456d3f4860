"""`trainer lr`: what is told of a learning rate before anything is trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib import image

from trainer.course import Course
from trainer.wording.lr import HEIGHT, WIDTH, drawing
from training import started

NOAM = ("--set", "optim.warm_up=250", "--set", "optim.max_lr_scale=0")


def lr(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainer", "--workspace", str(workspace), "lr", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_run_is_described_and_compared(workspace: Path) -> None:
    started(workspace, tag="small", epochs=60)
    started(workspace, "train.batch_size=5", tag="large", epochs=60)

    said = lr(workspace, "large", "--like", "small")

    assert said.returncode == 0
    assert "* run large" in said.stdout
    rows = {line.split("  ")[0]: line for line in said.stdout.splitlines()}
    assert "2 steps an epoch" in rows["batch"]
    assert "4 steps an epoch" in rows["batch"]
    assert "batch size 3 -> 5 with the same settings is another schedule" in said.stderr


def test_a_match_is_proposed_for_another_batch_size(workspace: Path) -> None:
    started(workspace, "optim.warm_up=400", tag="small", epochs=500)

    said = lr(workspace, "--set", "train.batch_size=6", "--match", "small", "--json")

    told = json.loads(said.stdout)
    nearest, *_ = told["proposals"]
    assert nearest["keeps"] == "the rate at every sample"
    assert nearest["settings"] == ["optim.warm_up=252"]  # 400 * 2 ** (-2 / 3), the cap as it is
    assert nearest["apart"] < 1.01 < told["apart"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "optim.warm_up=250"], "depends on the dataset; name it with --spk, or a run"),
        (
            ["--spk", "N2C", "--set", "optim.warm_up=250", "--set", "optim.max_lr_scale=0"],
            "3.95e-03",
        ),
        (["N2C_9"], "N2C_9"),
        (["--spk", "N2C_7"], "N2C_7"),
        (["--spk", "N2C", "--set", "optim.warmup=3"], "warm_up"),
    ],
)
def test_what_cannot_be_shown_or_trained_is_told(
    workspace: Path, words: list[str], told: str
) -> None:
    said = lr(workspace, *words)

    assert said.returncode == 2
    assert said.stderr.count("error: ") == 1
    assert told in said.stderr
    assert "Traceback" not in said.stderr


def test_a_png_is_drawn(workspace: Path, tmp_path: Path) -> None:
    started(workspace, tag="small")

    said = lr(workspace, "small", "--png", str(tmp_path / "lr.png"))

    assert said.returncode == 0
    picture = image.imread(tmp_path / "lr.png")
    assert picture.shape[0] > 200
    assert picture.std() > 0.05  # something is drawn


def test_a_drawing_rises_to_its_peak_and_falls() -> None:
    course = Course(warm_up=250, cap=0.016, batch_size=8, pairs=800, epochs=10)

    lines = list(drawing([course]))

    grid = [line[10:].ljust(WIDTH) for line in lines[:HEIGHT]]
    tops = [min(row for row in range(HEIGHT) if grid[row][x] == "*") for x in range(WIDTH)]
    peak = round(WIDTH * course.peak.step / course.steps)
    assert min(tops) == tops[peak] == 0
    assert tops[:peak] == sorted(tops[:peak], reverse=True)
    assert tops[peak:] == sorted(tops[peak:])
    assert lines[-2].split() == ["step", "0", "250", "500", "750", "1,000"]
    assert lines[-1].split() == ["epoch", "0", "2.5", "5", "7.5", "10"]

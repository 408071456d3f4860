"""A stretch of training leaves a true record, however it ends."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from corpuskit.audio import decode
from corpuskit.errors import CorpuskitError, Refused, UnknownName
from corpuskit.versions import open_version
from synthetic import PairCorpus
from trainer import checkpoint, runs
from trainer.learner import Learner
from trainer.loop import Ended, EpochDone, Note
from trainer.runs import metrics, open_run
from trainer.session import resume, session
from trainer.signals import Stop
from training import CPU, TINY, go, outcome, resumed, started, trained, watched
from untrained import built, dataset_settings


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_finished_run_says_so_with_its_result(workspace: Path) -> None:
    run = trained(workspace, epochs=3)

    rows = metrics(run.folder)
    best = min(rows, key=lambda row: row["dev"]["postnet"])
    assert run.status == "finished"
    assert (run.record.epoch, run.record.step) == (3, 12)
    assert run.record.best_epoch == best["epoch"]
    assert run.record.best_loss == best["dev"]["postnet"]
    assert run.record.best_by == "postnet"
    assert run.record.seconds > 0


def test_a_stopped_run_can_be_resumed_to_the_epochs_it_asked_for(workspace: Path) -> None:
    run = go(started(workspace, epochs=3), stop_after=5)
    assert (run.status, run.record.epoch, run.record.step) == ("stopped", 1, 5)

    done = resumed(run)

    assert (done.status, done.record.epoch, done.record.epochs) == ("finished", 3, 3)
    assert [(each.epoch, each.batch) for each in done.record.sessions] == [(0, 0), (1, 1)]


def test_more_epochs_are_written_into_the_settings(workspace: Path) -> None:
    run = resumed(trained(workspace, epochs=1), epochs=2)

    assert run.config.train.epochs == run.record.epochs == 2
    assert run.record.epoch == 2


def test_a_run_that_has_its_epochs_is_not_resumed(workspace: Path) -> None:
    run = trained(workspace, epochs=2)

    for epochs in (None, 1, 2):
        with pytest.raises(Refused, match=r"has its 2 epochs already; .*--epochs N"):
            resume(workspace, run.tag, epochs, "cpu")


@pytest.mark.parametrize("epochs", [2, 3])
def test_what_was_killed_between_saving_and_writing_down_is_caught_up(
    workspace: Path, epochs: int
) -> None:
    """Killed right after a checkpoint: record, samples and curves are one epoch behind."""
    run = trained(workspace, "train.samples=1", "train.save_every=2", epochs=2)
    truth = run.record
    shutil.rmtree(run.folder / "samples")
    gone = replace(truth.sessions[0], process=replace(truth.sessions[0].process, started="x"))
    behind = {"epoch": 1, "step": 4, "best_epoch": 1, "best_loss": 9.0}
    runs.update(run, **behind, status="running", sessions=(gone,))

    done = resumed(open_run(workspace, run.tag), epochs=epochs)

    assert (done.status, done.record.epoch) == ("finished", epochs)
    assert [row["epoch"] for row in metrics(done.folder)] == list(range(1, epochs + 1))
    assert (run.folder / "samples" / "epoch-0002").is_dir()
    if epochs == 2:
        assert done.record.best_loss == truth.best_loss
        assert done.record.best_epoch == truth.best_epoch


def test_a_damaged_newest_checkpoint_does_not_stop_a_resume(workspace: Path) -> None:
    whole = outcome(trained(workspace, "train.save_every=1", tag="whole", epochs=3))
    run = trained(workspace, "train.save_every=1", tag="cut", epochs=2, again=True)
    (run.checkpoints / "epoch-0002" / "state.json").write_text("{")

    done = resumed(run, epochs=3)

    assert {**outcome(done), "kept": None} == {**whole, "kept": None}


def test_a_run_in_training_is_not_resumed(workspace: Path) -> None:
    run = started(workspace)

    with pytest.raises(Refused, match="is being trained by process"):
        resume(workspace, run.tag, None, "cpu")


def test_a_run_whose_dataset_changed_is_not_resumed(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    run = go(started(workspace, epochs=3), stop_after=2)
    (workspace / "versions" / "N2C").rename(workspace / "versions" / "old")
    built(workspace, "N2C", dataset_settings(n2c_corpus, split={"dev": 3, "eval": 2}))

    with pytest.raises(Refused, match="dataset N2C is not the one run N2C_1 was trained on"):
        resume(workspace, run.tag, None, "cpu")


def test_a_run_whose_dataset_is_gone_names_it(workspace: Path) -> None:
    run = go(started(workspace, epochs=3), stop_after=2)
    (workspace / "versions" / "N2C").rename(workspace / "versions" / "N2C_7")

    with pytest.raises(UnknownName, match="no dataset 'N2C'; did you mean N2C_7"):
        resume(workspace, run.tag, None, "cpu")


def test_what_makes_a_resume_inexact_is_told(workspace: Path) -> None:
    run = go(started(workspace, epochs=3), stop_after=2)
    before = replace(
        run.record.sessions[0],
        device="NVIDIA H100",
        libraries={**run.record.sessions[0].libraries, "torch": "2.0", "trainer": "0.0"},
        code="other",
    )
    runs.update(run, sessions=(before,))

    (note,) = resume(workspace, run.tag, None, "cpu").notes

    assert "device NVIDIA H100 -> cpu" in note
    assert f"torch 2.0 -> {torch.__version__}" in note
    assert "the code of the model and loop" in note
    assert "trainer" not in note  # its version says less than the digest of its code


def test_an_exact_resume_has_no_remarks(workspace: Path) -> None:
    run = go(started(workspace, epochs=3), stop_after=2)

    assert resume(workspace, run.tag, None, "cpu").notes == ()


def test_an_abandoned_session_is_stopped(workspace: Path) -> None:
    run = started(workspace)
    events = session(run, open_version(workspace, "N2C"), CPU, Stop())
    next(events)

    events.close()

    assert open_run(workspace, run.tag).status == "stopped"


def test_a_finished_session_may_be_dropped(workspace: Path) -> None:
    run = started(workspace, epochs=1)
    events = session(run, open_version(workspace, "N2C"), CPU, Stop())

    while not isinstance(next(events), Ended):
        pass
    events.close()

    assert open_run(workspace, run.tag).status == "finished"


def test_a_second_signal_leaves_a_stopped_run(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(workspace)

    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(Learner, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        watched(run)

    assert open_run(workspace, run.tag).status == "stopped"


@pytest.mark.parametrize(
    ("error", "raised", "problem"),
    [
        (torch.OutOfMemoryError("CUDA"), CorpuskitError, "out of memory with train.batch_size 3"),
        (RuntimeError("a bug"), RuntimeError, "a bug"),
        (OSError(28, "No space left on device"), CorpuskitError, "No space left on device"),
        (CorpuskitError("cannot write x: No space left"), CorpuskitError, "No space left"),
    ],
)
def test_a_failed_run_says_why(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    raised: type[Exception],
    problem: str,
) -> None:
    run = started(workspace, epochs=2)

    def failing(*_: object) -> object:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Learner, "step", failing)
        with pytest.raises(raised, match=problem):
            watched(run)

    failed = open_run(workspace, run.tag)
    assert failed.status == "failed"
    assert problem in failed.record.problem
    taken = resume(workspace, run.tag, None, "cpu")
    assert taken.notes[0].startswith("it failed before: ")
    assert (taken.run.status, taken.run.record.problem) == ("running", "")


def test_samples_are_made_at_kept_checkpoints(workspace: Path) -> None:
    run = trained(workspace, "train.samples=1", "train.save_every=2", epochs=3)

    folders = sorted(path.name for path in (run.folder / "samples").iterdir())
    assert folders == ["epoch-0002", "epoch-0003"]
    pair = open_version(workspace, "N2C").split("dev")[0]
    sample = run.folder / "samples" / "epoch-0003" / f"{pair.sentence}.N-C"
    with np.load(f"{sample}.npz") as held:
        assert held["mel"].shape[1] == held["target"].shape[1] == 80
    assert decode(Path(f"{sample}.wav")).rate == 22050


def test_samples_change_nothing_of_the_training(workspace: Path) -> None:
    without = outcome(trained(workspace, tag="a", epochs=2))

    run = trained(workspace, "train.samples=2", "train.save_every=1", tag="b", epochs=2, again=True)

    assert {**outcome(run), "kept": None} == {**without, "kept": None}


def test_a_model_that_cannot_convert_yet_goes_on_training(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.convert import Converter
    from trainer.errors import BadRun

    def made(self: Converter, *arguments: object) -> object:
        raise BadRun("gives values that are no numbers")

    monkeypatch.setattr(Converter, "made", made)
    events = watched(started(workspace, "train.samples=1", epochs=1))

    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == ["no samples of epoch 1: gives values that are no numbers"]
    assert open_run(workspace, "N2C_1").status == "finished"


def test_leaked_pairs_are_not_scored(workspace: Path, n2c_corpus: PairCorpus) -> None:
    trained(workspace, epochs=1)
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split={"dev": 5, "eval": 2}))

    scores = {}
    for keep in (False, True):
        run = started(workspace, spk="N2C_2", pretrain="N2C_1", epochs=1, keep_leaks=keep)
        assert (len(run.record.leaks.pairs), run.record.leaks.kept) == (3, keep)
        (done,) = (event for event in watched(run) if isinstance(event, EpochDone))
        scores[keep] = done.row

    assert scores[False]["train"] == scores[True]["train"]
    assert scores[False]["dev"] != scores[True]["dev"]


# ------------------------------------------------------------- other processes

TRAIN = """
import sys, torch
torch.set_num_threads(1)
sys.argv = ["trainer", *sys.argv[1:]]
from trainer.cli import main
main()
"""


def train(workspace: Path, *options: str) -> subprocess.Popen[str]:
    """Start `trainer` in another process."""
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, "--workspace", str(workspace), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_options(tag: str, epochs: int) -> list[str]:
    settings = [part for setting in TINY for part in ("--set", setting)]
    full = str(Path(__file__).resolve().parents[2] / "configs" / "models" / "fs2vc.toml")
    return [
        "run",
        "--spk",
        "N2C",
        "--model",
        full,
        "--tag",
        tag,
        "--epochs",
        str(epochs),
        "--again",
        *settings,
    ]


def wait_for_epoch(workspace: Path, tag: str, epoch: int, process: subprocess.Popen[str]) -> None:
    path = workspace / "runs" / tag / "metrics.jsonl"
    while process.poll() is None and not (
        path.exists() and len(path.read_text().splitlines()) >= epoch
    ):
        time.sleep(0.01)


@pytest.mark.slow
def test_a_signal_stops_cleanly_and_a_kill_loses_no_whole_epoch(workspace: Path) -> None:
    """SIGTERM, kill -9, and resumes: all as if nothing had happened."""
    whole = outcome(trained(workspace, tag="whole", epochs=12))
    process = train(workspace, *run_options("killed", 12))
    wait_for_epoch(workspace, "killed", 1, process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "Stopped run killed by SIGTERM after" in out
    assert "`trainer resume killed` goes on" in out
    assert open_run(workspace, "killed").status == "stopped"

    process = train(workspace, "resume", "killed", "--quiet")
    wait_for_epoch(workspace, "killed", 5, process)
    process.kill()
    process.communicate()
    assert open_run(workspace, "killed").status == "stopped"

    done = resumed(open_run(workspace, "killed"))

    assert [row["epoch"] for row in metrics(done.folder)] == list(range(1, 13))
    assert outcome(done) == whole


def test_what_a_killed_session_left_half_written_is_removed(workspace: Path) -> None:
    run = started(workspace, epochs=1)
    gone = f".tmp-{socket.gethostname()}-999999999-abc"
    (run.checkpoints / gone).mkdir()
    (run.folder / f"{gone}-run.json").write_text("{")

    go(run)

    assert not list(run.folder.rglob(".tmp-*"))


@pytest.mark.slow
def test_two_trainings_at_once_take_different_tags(workspace: Path) -> None:
    processes = [
        train(
            workspace,
            "run",
            "--spk",
            "N2C",
            "--epochs",
            "1",
            "--set",
            f"train.seed={seed}",
            *[part for setting in TINY for part in ("--set", setting)],
        )
        for seed in (1, 2)
    ]
    for process in processes:
        assert process.communicate()
        assert process.returncode == 0

    seeds = {
        json.loads((path / "run.json").read_text())["parts"]["config"]["train"]["seed"]
        for path in (workspace / "runs" / "N2C_1", workspace / "runs" / "N2C_2")
    }
    assert seeds == {1, 2}
    for tag in ("N2C_1", "N2C_2"):
        checkpoint.load(open_run(workspace, tag).checkpoint("best"))


def test_the_best_epoch_is_that_of_the_loss_that_was_named(workspace: Path) -> None:
    run = trained(workspace, "train.best_by=duration", epochs=4)

    rows = metrics(run.folder)
    best = min(rows, key=lambda row: row["dev"]["duration"])
    assert (run.record.best_epoch, run.record.best_by) == (best["epoch"], "duration")
    assert run.record.best_loss == best["dev"]["duration"]


def test_a_run_from_before_there_was_a_choice_goes_on_by_its_total(workspace: Path) -> None:
    run = go(started(workspace, "train.best_by=total", epochs=3), stop_after=5)
    text = (run.folder / "config.toml").read_text(encoding="utf-8")
    (run.folder / "config.toml").write_text(
        text.replace('best_by = "total"\n', ""), encoding="utf-8"
    )
    record = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    del record["best_by"]
    (run.folder / "run.json").write_text(json.dumps(record), encoding="utf-8")

    after = resumed(run)

    best = min(metrics(after.folder), key=lambda row: row["dev"]["total"])
    assert (after.record.best_epoch, after.record.best_by) == (best["epoch"], "total")

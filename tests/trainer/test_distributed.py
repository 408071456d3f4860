"""Several processes take the steps of one, and end together."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.errors import BadSetting
from together import group, together
from trainer import checkpoint
from trainer.distributed import ALONE, World, joined
from trainer.runs import Run, metrics, open_run
from trainer.signals import Stop
from training import TINY, outcome, resumed, trained

FULL = Path(__file__).resolve().parents[2] / "configs" / "models" / "fs2vc.toml"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def options(workspace: Path, *settings: str) -> list[str]:
    """What makes a command line a tiny training."""
    pairs = [part for each in (*TINY, *settings) for part in ("--set", each)]
    return [*pairs, "--device", "cpu", "--workspace", str(workspace)]


def run_command(workspace: Path, tag: str, *settings: str, epochs: int = 2) -> list[str]:
    """The command line of a tiny training."""
    return [
        *("-m", "trainer", "run", "--spk", "N2C", "--tag", tag, "--epochs", str(epochs), "--again"),
        *("--model", str(FULL)),  # what `trained` trains, too: not the settings for few pairs
        *options(workspace, *settings),
    ]


def same_course(one: Run, other: Run) -> None:
    """Two runs that were computed in the same parts; sums over them may be added otherwise."""
    ours, theirs = outcome(one), outcome(other)
    assert ours["weights"] == theirs["weights"]
    assert ours["kept"] == theirs["kept"]
    for row, wanted in zip(metrics(one.folder), metrics(other.folder), strict=True):
        assert (row["step"], row["lr"]) == (wanted["step"], wanted["lr"])
        assert row["train"] == pytest.approx(wanted["train"], rel=1e-6)
        assert row["dev"] == pytest.approx(wanted["dev"], rel=1e-6)


@pytest.mark.slow
@pytest.mark.alone
def test_two_processes_take_the_steps_of_one(workspace: Path) -> None:
    """Dropout on, the last batch of one pair: the same weights to the bit."""
    alone = trained(workspace, "train.accumulate=2", tag="alone")

    first, second = together(2, *run_command(workspace, "both"))

    assert (first.code, second.code) == (0, 0), first.stderr + second.stderr
    both = open_run(workspace, "both")
    same_course(both, alone)
    assert both.status == "finished"
    assert both.record.sessions[0].processes == 2
    assert both.record.identity != alone.record.identity  # in train.accumulate alone
    assert first.stdout.splitlines()[-1].startswith("Trained run both: 2 epochs, 8 steps")
    assert (second.stdout, second.stderr) == ("", "")


@given(size=st.integers(1, 9), each=st.integers(1, 4), parts=st.integers(1, 36))
def test_every_part_is_one_process_own(size: int, each: int, parts: int) -> None:
    parts = min(parts, size * each)
    worlds = [World.__new__(World) for _ in range(size)]
    for rank, world in enumerate(worlds):
        world.rank, world.size = rank, size
    owned = [part for world in worlds for part in world.own(parts, each)]

    assert owned == list(range(parts))


def test_alone_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")  # of something else
    stop = Stop()

    with joined("cpu") as world:
        assert world is ALONE
    assert (world.leads, world.size, list(world.own(3, 3))) == (True, 1, [0, 1, 2])
    assert world.give({"a": 1}) == {"a": 1}
    assert world.gather("here") == ["here"]
    assert torch.equal(world.sum(torch.ones(2)), torch.ones(2))
    assert not world.stops(stop, look=False)
    stop.request("SIGTERM")
    assert world.stops(stop, look=False)
    world.check_same({"torch": "2"})


# ------------------------------------------------------------------ all of it, at length


STILL = ("model.dropout=0.0", "model.variance_dropout=0.0", "model.postnet_dropout=0.0")


def near(one: Run, other: Run) -> None:
    """Two courses without dropout, computed in other parts: alike but for rounding."""
    rows, wanted = metrics(one.folder), metrics(other.folder)
    assert [row["step"] for row in rows] == [row["step"] for row in wanted]
    for row, other_row in zip(rows, wanted, strict=True):
        assert row["train"] == pytest.approx(other_row["train"], rel=1e-4)
        assert row["dev"] == pytest.approx(other_row["dev"], rel=1e-4)


def resume_command(workspace: Path, tag: str, *more: str) -> list[str]:
    where = ("--device", "cpu", "--workspace", str(workspace))
    return ["-m", "trainer", "resume", tag, *more, *where]


@pytest.mark.slow
@pytest.mark.alone
def test_torchrun_starts_them(workspace: Path) -> None:
    alone = trained(workspace, "train.accumulate=2", tag="alone")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")

    with group(1, *torchrun, *run_command(workspace, "both")) as launched:
        (ended,) = launched.end()

    assert ended.code == 0, ended.stderr
    same_course(open_run(workspace, "both"), alone)
    assert ended.stdout.count("Trained run both") == 1


@pytest.mark.slow
@pytest.mark.alone
def test_a_run_goes_on_with_any_number_of_processes(workspace: Path) -> None:
    """1, 2, 1, 2 and 3 processes, against one all along."""
    alone = trained(workspace, *STILL, tag="alone", epochs=5)
    run = trained(workspace, *STILL, tag="moved", epochs=1, again=True)

    for size, epochs in ((2, 2), (1, 3), (2, 4), (3, 5)):
        if size == 1:
            run = resumed(run, epochs=epochs)
            continue
        ended = together(size, *resume_command(workspace, "moved", "--epochs", str(epochs)))
        assert [each.code for each in ended] == [0] * size, ended
        assert f"-> {size}" in ended[0].stderr  # not bit for bit, because of that
        assert all(each[1:] == ("", "") for each in ended[1:])

    run = open_run(workspace, "moved")
    near(run, alone)
    assert [each.processes for each in run.record.sessions] == [1, 2, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_stops_all_after_the_same_step(workspace: Path, rank: int) -> None:
    alone = trained(workspace, "train.accumulate=2", tag="alone", epochs=12)

    with group(2, *run_command(workspace, "both", epochs=12)) as processes:
        wait_for(lambda: " 1/12 " in processes.said(0))
        processes.started[rank].send_signal(signal.SIGTERM)
        ended = processes.end()

    assert [each.code for each in ended] == [0, 0], ended
    both = open_run(workspace, "both")
    assert both.status == "stopped"
    assert checkpoint.last(both.checkpoints).epoch < 12
    ended = together(2, *resume_command(workspace, "both"))
    assert [each.code for each in ended] == [0, 0], ended
    same_course(open_run(workspace, "both"), alone)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("rank", [0, 1])
def test_who_is_killed_takes_the_others_along(workspace: Path, rank: int) -> None:
    with group(2, *run_command(workspace, "both", epochs=2000)) as processes:
        wait_for(lambda: " 1/2000 " in processes.said(0))
        processes.started[rank].kill()
        ended = processes.end()

    left = ended[1 - rank]
    assert left.code == 2
    (line,) = [each for each in left.stderr.splitlines() if not each.startswith("note:")]
    assert line.startswith(f"error: process {1 - rank} of 2")
    assert "lost another one" in line
    both = open_run(workspace, "both")
    assert both.status == ("stopped" if rank == 0 else "failed")
    assert checkpoint.last(both.checkpoints).epoch >= 1


@pytest.mark.slow
@pytest.mark.alone
def test_frames_in_mapped_files_are_mapped_by_all(workspace: Path) -> None:
    alone = trained(workspace, "train.accumulate=2", tag="alone")

    ended = together(2, *run_command(workspace, "both", "train.memory=disk"))

    assert [each.code for each in ended] == [0, 0], ended
    same_course(open_run(workspace, "both"), alone)


IMPATIENT = """
from datetime import timedelta
import trainer.distributed
from trainer.cli import main
trainer.distributed.STEP = timedelta(seconds=4)
main()
"""


@pytest.mark.slow
@pytest.mark.alone
def test_who_hangs_is_given_up(workspace: Path) -> None:
    with group(2, "-c", IMPATIENT, *run_command(workspace, "both", epochs=2000)[2:]) as processes:
        wait_for(lambda: " 1/2000 " in processes.said(0))
        processes.started[1].send_signal(signal.SIGSTOP)
        code = processes.started[0].wait(60)

        assert code == 2
        assert "error: process 0 of 2" in processes.said(0, "err")
    assert open_run(workspace, "both").status == "failed"


DRIFTING = """
import os, torch
from trainer.cli import main
from trainer.learner import Learner

real = Learner.step

def step(self, parts, index, cut):
    if os.environ["RANK"] == "1" and index == 2:
        with torch.no_grad():
            self.parameters[0].view(-1)[0] += 1e-6
    return real(self, parts, index, cut)

Learner.step = step
main()
"""


@pytest.mark.slow
@pytest.mark.alone
def test_weights_that_drift_apart_are_found_out(workspace: Path) -> None:
    first, second = together(2, "-c", DRIFTING, *run_command(workspace, "both")[2:])

    assert (first.code, second.code) == (2, 2)
    assert "in epoch 1 the sum of the weights is" in first.stderr
    assert (second.stdout, second.stderr) == ("", "")
    assert checkpoint.last(open_run(workspace, "both").checkpoints).epoch == 0


POISONED = """
import math, os
from dataclasses import replace
from trainer.cli import main
from trainer.learner import Learner

real = Learner.step

def step(self, parts, index, cut):
    if os.environ["RANK"] == "1" and index == 2:
        parts = [replace(each, target_mel=each.target_mel * math.inf) for each in parts]
    return real(self, parts, index, cut)

Learner.step = step
main()
"""


@pytest.mark.slow
@pytest.mark.alone
def test_divergence_anywhere_ends_all_with_one_message(workspace: Path) -> None:
    first, second = together(2, "-c", POISONED, *run_command(workspace, "both")[2:])

    assert (first.code, second.code) == (2, 2)
    (line,) = [each for each in first.stderr.splitlines() if not each.startswith("note:")]
    assert line.startswith("error: run both diverged at step 3 (epoch 1, batch 3): the loss is")
    assert (second.stdout, second.stderr) == ("", "")
    both = open_run(workspace, "both")
    assert both.status == "failed"
    assert checkpoint.last(both.checkpoints).epoch == 0


@pytest.mark.parametrize("lost", [False, True])
def test_who_refuses_leaves_the_others_before_it_ends(
    monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """Else a thread of the group may outlive Python, which aborts: no exit code, no one message.

    Where another is lost already an exchange may hang, and with it whoever waits for its end.
    """
    done = []

    def broadcast(*_: object) -> None:
        if lost:
            raise RuntimeError("Connection closed by peer")
        done.append("told")

    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name, act in {
        "init_process_group": lambda *_, **__: None,
        "new_group": lambda *_, **__: None,
        "broadcast_object_list": broadcast,
        "destroy_process_group": lambda: done.append("left"),
    }.items():
        monkeypatch.setattr(torch.distributed, name, act)

    with pytest.raises(BadSetting, match="no dataset"), joined("cpu"):
        raise BadSetting("no dataset", "build one")

    assert done == ([] if lost else ["told", "left"])


@pytest.mark.slow
@pytest.mark.alone
def test_what_is_refused_is_refused_once(workspace: Path) -> None:
    first, second = together(2, "-m", "trainer", "run", "--spk", "N2D", *options(workspace))

    assert first.code == 2
    assert first.stderr.count("error: ") == 1
    assert "N2C" in first.stderr
    assert (second.code, second.stdout, second.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_takes_the_same_steps(workspace: Path, precision: str) -> None:
    """With fp16 also the steps that are skipped."""
    alone = trained(workspace, "train.accumulate=2", tag="alone", precision=precision)

    command = run_command(workspace, "both", f"train.precision={precision}")
    ended = together(2, *command)

    assert [each.code for each in ended] == [0, 0], ended
    both = open_run(workspace, "both")
    same_course(both, alone)
    states = [checkpoint.last(each.checkpoints).state() for each in (both, alone)]
    assert states[0].scaler == states[1].scaler
    assert both.record.precision == precision


KINDS = {
    "wgmm": (
        *("model.prosody=wgmm", "model.prosody_size=8", "model.prosody_components=2"),
        *("model.pitch_ar=phrase", "optim.ema=0.9"),
    ),
    "search": ("model.align=search", "train.patience=5"),
}


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_take_the_same_steps_on_three(workspace: Path, kind: str) -> None:
    alone = trained(workspace, *KINDS[kind], "train.accumulate=3", tag="alone")

    ended = together(3, *run_command(workspace, "three", *KINDS[kind]))

    assert [each.code for each in ended] == [0, 0, 0], ended
    three = open_run(workspace, "three")
    for row, wanted in zip(metrics(three.folder), metrics(alone.folder), strict=True):
        assert row["train"] == pytest.approx(wanted["train"], rel=1e-4)
        assert row["dev"] == pytest.approx(wanted["dev"], rel=1e-4)


EXCHANGE = """
import torch
from trainer.distributed import joined
from corpuskit.errors import CorpuskitError
with joined("cpu") as world:
    kinds = (torch.float64, torch.int64, torch.bool, torch.bfloat16, torch.uint8)
    mine = {
        "rows": [torch.arange(6).view(2, 3).t().to(kind) for kind in kinds],
        "one": torch.ones(()),
        "none": torch.zeros(0, 3),
        "text": "ä",
    }
    given = world.give(mine if world.leads else None)
    assert given["text"] == "ä" and given["one"].shape == () and given["none"].shape == (0, 3)
    for ours, theirs in zip(mine["rows"], given["rows"], strict=True):
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
    assert world.gather(world.rank * 10) == [0, 10, 20]
    try:
        world.check_same({"torch": "2.0" if world.rank < 2 else "2.1"})
    except CorpuskitError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.alone
def test_what_they_tell_each_other_arrives(workspace: Path) -> None:
    ended = together(3, "-c", EXCHANGE)

    for each in ended:
        assert each.code == 0, each.stderr
        assert "torch is 2.0 in process 0 and 2.1 in process 2" in each.stdout


def wait_for(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)

"""The loop: going on is the same as never having stopped, and what diverges is stopped."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import corpuskit.files
from corpuskit.errors import CorpuskitError
from corpuskit.versions import open_version
from thorough import thoroughly
from trainer import checkpoint, runs
from trainer.batches import Batch, epoch_order
from trainer.convert import Converter
from trainer.data import Normaliser, load
from trainer.errors import Diverged
from trainer.learner import Cut, Learner
from trainer.loop import Ended, EpochDone, Progress, score
from trainer.losses import batch_loss, sums
from trainer.model import FS2VC
from trainer.runs import metrics, open_run
from trainer.schedule import lr
from trainer.signals import Stop
from training import CPU, kinds, outcome, resumed, started, trained, watched

STEPS = 4  # an epoch has: 10 pairs in batches of 3


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def whole(workspace: Path) -> dict[str, object]:
    """What four epochs in one go make."""
    return outcome(trained(workspace, tag="whole", epochs=4))


def test_resuming_equals_never_having_stopped_bit_for_bit(
    workspace: Path, whole: dict[str, object]
) -> None:
    run = trained(workspace, tag="halves", epochs=2, again=True)

    assert outcome(resumed(run, epochs=4)) == whole


@thoroughly("steps", [STEPS + 2, STEPS, 1, 3, 2 * STEPS, 4 * STEPS - 1], quick=2)
def test_an_interruption_after_any_step_changes_nothing(
    workspace: Path, whole: dict[str, object], steps: int
) -> None:
    run = started(workspace, tag="cut", epochs=4, again=True)

    watched(run, stop_after=steps)
    cut = open_run(workspace, "cut")

    assert cut.status == "stopped"
    assert outcome(resumed(cut)) == whole


def test_many_interruptions_change_nothing(workspace: Path, whole: dict[str, object]) -> None:
    run = started(workspace, tag="cut", epochs=4, again=True)
    watched(run, stop_after=1)
    for _ in range(4):
        run = resumed(open_run(workspace, "cut"), stop_after=2)

    assert outcome(resumed(run)) == whole


def test_a_stop_while_scoring_is_saved_too(workspace: Path, whole: dict[str, object]) -> None:
    run = started(workspace, tag="cut", epochs=4, again=True)

    # the fourth step is the epoch's last: the stop is seen before the dev split is scored
    watched(run, stop_after=STEPS)

    newest = checkpoint.last(run.checkpoints)
    assert (newest.epoch, newest.batch) == (0, STEPS)
    assert metrics(run.folder) == []
    assert outcome(resumed(open_run(workspace, "cut"))) == whole


def test_rows_beyond_the_last_checkpoint_are_written_once(
    workspace: Path, whole: dict[str, object]
) -> None:
    run = trained(workspace, tag="killed", epochs=3, again=True)
    # killed between the row and the checkpoint of epoch 4, in the middle of a line
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(metrics_line(4) + "\n" + metrics_line(5)[:20])

    done = resumed(run, epochs=4)

    assert [row["epoch"] for row in metrics(done.folder)] == [1, 2, 3, 4]
    assert outcome(done) == whole


def metrics_line(epoch: int) -> str:
    return f'{{"epoch": {epoch}, "step": 999, "seconds": 1}}'


def test_a_damaged_checkpoint_is_named_and_the_one_before_goes_on(
    workspace: Path, whole: dict[str, object]
) -> None:
    run = trained(workspace, "train.save_every=1", tag="damaged", epochs=3, again=True)
    path = run.checkpoints / "epoch-0003" / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)

    again = runs.take_over(workspace, "damaged", run.record.sessions[0], 4)
    events = watched(again)

    assert "epoch-0003: weights.safetensors is damaged" in str(events[0])
    after = outcome(open_run(workspace, "damaged"))
    assert {**after, "kept": whole["kept"]} == whole


def test_events_are_steps_epochs_and_an_end(workspace: Path) -> None:
    events = watched(started(workspace, epochs=2))

    assert kinds(events) == ["EpochDone", "EpochDone", "Ended"]
    steps = [event for event in events if isinstance(event, Progress)]
    assert [(each.epoch, each.batch) for each in steps] == [
        (epoch, batch) for epoch in (1, 2) for batch in range(1, STEPS + 1)
    ]
    assert all(each.batches == STEPS and each.loss is not None for each in steps)
    assert isinstance(events[-1], Ended)
    assert events[-1].stopped == ""
    assert events[-1].state.step == 2 * STEPS


def test_a_row_holds_the_schedule_and_losses_that_are_means_over_real_frames(
    workspace: Path,
) -> None:
    run = trained(workspace, epochs=2)

    rows = metrics(run.folder)

    assert [row["step"] for row in rows] == [STEPS, 2 * STEPS]
    assert rows[1]["lr"] == lr(2 * STEPS, 20, 0.016)
    assert rows[1]["train"].keys() == rows[1]["dev"].keys()
    assert 0 <= rows[1]["padding_share"] < 1
    for split in ("train", "dev"):
        parts = dict(rows[1][split])
        assert parts.pop("total") == pytest.approx(sum(parts.values()))


def test_the_dev_loss_does_not_depend_on_batches(workspace: Path) -> None:
    run = started(workspace)
    version = open_version(workspace, "N2C")
    data = load(version, version.pairs, Normaliser(run.statistics, -5.0), run.speakers, CPU)
    torch.manual_seed(3)
    model = FS2VC(run.config.model, 2)

    scores = [score(model, data.packed, size, Stop()) for size in (1, 3, len(data.pairs))]

    first, *others = [each for each in scores if each is not None]
    assert len(others) == 2
    for other in others:
        assert other.losses == pytest.approx(first.losses, rel=1e-5)
        assert other.pace == pytest.approx(first.pace, rel=1e-9)


def test_the_pace_is_the_length_that_is_said_over_the_true_one(workspace: Path) -> None:
    run = trained(workspace, epochs=2)
    version = open_version(workspace, "N2C")
    dev = load(version, version.split("dev"), Normaliser(run.statistics, -5.0), run.speakers, CPU)
    model = FS2VC(run.config.model, 2)
    model.load_state_dict(checkpoint.load_weights(checkpoint.last(run.checkpoints)))
    said = true = 0
    with torch.no_grad():
        for i in range(len(dev.pairs)):
            batch = dev.packed.gather([i])
            predicted = model.eval()(batch).log_duration[0, : batch.lengths[0]]
            said += int(sum(max(0, round(math.exp(x) - 1)) for x in predicted.tolist()))
            true += int(batch.target_lengths[0])

    expected = (said + 100) / (true + 100)  # an utterance at the right pace is taken for granted
    assert checkpoint.last(run.checkpoints).state().pace == pytest.approx(expected, abs=1e-9)
    assert metrics(run.folder)[-1]["pace"] == pytest.approx(expected, abs=1e-6)
    converter = Converter.of(run, checkpoint.last(run.checkpoints), "cpu")
    assert converter.pace == min(max(expected, 0.8), 1.25)


def test_the_best_checkpoint_has_the_lowest_dev_loss_and_stays(workspace: Path) -> None:
    run = trained(workspace, "train.save_every=100", epochs=5)

    losses = {row["epoch"]: row["dev"]["postnet"] for row in metrics(run.folder)}
    best = min(losses, key=lambda epoch: losses[epoch])
    assert run.record.best_epoch == best
    assert run.record.best_loss == losses[best]
    kept = [each.epoch for each in checkpoint.listed(run.checkpoints)]
    assert kept == sorted({best, 5})


def test_checkpoints_are_kept_every_so_many_epochs(workspace: Path) -> None:
    run = trained(workspace, "train.save_every=2", epochs=5)

    kept = {each.epoch for each in checkpoint.listed(run.checkpoints)}
    assert {2, 4, 5} <= kept <= {2, 4, 5, run.record.best_epoch}


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_divergence_names_step_batch_rate_and_last_good_checkpoint(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    run = started(workspace, epochs=3)
    poisoned = STEPS + 2  # the second batch of the second epoch
    calls = 0
    real = Learner.step

    def step(self: Learner, parts: list[Batch], index: int, cut: Cut) -> object:
        nonlocal calls
        calls += 1
        if calls == poisoned:
            if what == "loss":
                parts = [replace(each, target_mel=each.target_mel * math.inf) for each in parts]
            else:  # a finite loss whose gradient overflows
                self.parameters[0].register_hook(lambda gradient: gradient * math.inf)
        return real(self, parts, index, cut)

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(Diverged) as raised:
        watched(run)

    version = open_version(workspace, "N2C")
    train = load(
        version, version.split("train"), Normaliser(run.statistics, -5.0), run.speakers, CPU
    )
    batch = epoch_order(train.packed.lengths, 3, 2, 0, 2)[1]
    told = str(raised.value)
    assert f"diverged at step {poisoned} (epoch 2, batch 2)" in told
    assert ("the loss is" if what == "loss" else "the gradient's norm is") in told
    assert f"learning rate {lr(poisoned, 20, 0.016):.2e}" in told
    assert ", ".join(train.ids(batch)) in told
    assert "last good checkpoint epoch-0001" in told
    assert "optim.max_lr_scale" in told
    after = open_run(workspace, run.tag)
    assert after.status == "failed"
    assert after.record.problem in told
    assert checkpoint.last(run.checkpoints).epoch == 1


def test_numbers_that_are_none_are_never_saved(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop asked for in the very step that diverges saves nothing of it."""
    run = started(workspace)
    monkeypatch.setattr("trainer.loop.LOOK_EVERY", 1000)
    monkeypatch.setattr(Learner, "last_loss", lambda _: None)
    real = Learner.step

    def step(self: Learner, parts: list[Batch], index: int, cut: Cut) -> object:
        poisoned = [replace(each, target_mel=each.target_mel * math.nan) for each in parts]
        return real(self, poisoned, index, cut)

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(Diverged):
        watched(run, stop_after=1)

    assert [each.folder.name for each in checkpoint.listed(run.checkpoints)] == ["epoch-0000"]


def test_a_full_disk_stops_with_one_message_and_resume_goes_on(
    workspace: Path, whole: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(workspace, tag="full", epochs=4, again=True)
    calls = 0
    real = corpuskit.files._write

    def full(descriptor: int, data: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise OSError(28, "No space left on device")
        real(descriptor, data)

    with monkeypatch.context() as broken:
        broken.setattr("corpuskit.files._write", full)
        with pytest.raises(CorpuskitError, match="No space left on device"):
            watched(run)

    assert open_run(workspace, "full").status in ("failed", "running")
    again = runs.take_over(workspace, "full", replace_process(run), 4)
    watched(again)
    assert outcome(open_run(workspace, "full")) == whole


def replace_process(run: runs.Run) -> runs.Session:
    """The run's first session, as if its process had ended."""
    runs.update(run, status="failed")
    return run.record.sessions[0]


def test_fp16_trains_on_the_cpu_with_its_scaler_saved(workspace: Path) -> None:
    whole = outcome(trained(workspace, tag="h1", epochs=2, precision="fp16"))
    run = trained(workspace, tag="h2", epochs=1, precision="fp16", again=True)

    assert outcome(resumed(run, epochs=2)) == whole
    state = whole["state"]
    skipped = 2 * STEPS - state.step  # while it looks for a scale; the schedule waits
    assert state.scaler["scale"] == 65536.0 / 2**skipped
    assert json.loads(whole["rows"])[-1]["lr"] == lr(state.step, 20, 0.016)


def test_bf16_trains_on_the_cpu(workspace: Path) -> None:
    run = trained(workspace, epochs=1, precision="bf16")

    row = metrics(run.folder)[0]
    assert np.isfinite([*row["train"].values(), *row["dev"].values()]).all()
    assert run.record.precision == "bf16"


def test_training_makes_the_losses_smaller(workspace: Path) -> None:
    events = watched(started(workspace, "optim.warm_up=50", epochs=12))

    totals = [event.row["dev"]["total"] for event in events if isinstance(event, EpochDone)]
    assert totals[-1] < 0.8 * totals[0]


def test_the_step_loss_is_the_one_that_is_minimised(workspace: Path) -> None:
    run = started(
        workspace,
        "model.dropout=0",
        "model.variance_dropout=0",
        "model.postnet_dropout=0",
        epochs=1,
    )
    events = watched(run)
    first = next(event for event in events if isinstance(event, Progress))

    version = open_version(workspace, "N2C")
    data = load(
        version, version.split("train"), Normaliser(run.statistics, -5.0), run.speakers, CPU
    )
    torch.manual_seed(0)
    model = FS2VC(run.config.model, 2)
    batch = data.packed.gather(epoch_order(data.packed.lengths, 3, 2, 0, 1)[0])
    loss = batch_loss(sums(model(batch), batch)).item()
    assert first.loss == pytest.approx(loss, rel=1e-5)


# ------------------------------------------------------------------ parts, means, patience


def test_the_course_does_not_depend_on_how_a_batch_is_computed(workspace: Path) -> None:
    still = ("model.dropout=0.0", "model.variance_dropout=0.0", "model.postnet_dropout=0.0")
    rows = [
        metrics(trained(workspace, *still, f"train.accumulate={n}", tag=f"in_{n}").folder)
        for n in (1, 3)
    ]

    for one, other in zip(*rows, strict=True):
        assert other["dev"] == pytest.approx(one["dev"], rel=1e-4)
        assert other["train"] == pytest.approx(one["train"], rel=1e-4)
        assert (other["step"], other["lr"]) == (one["step"], one["lr"])


@thoroughly("steps", [STEPS + 2, 1, STEPS])
def test_a_running_mean_of_weights_survives_an_interruption(workspace: Path, steps: int) -> None:
    whole = outcome(trained(workspace, "optim.ema=0.9", tag="mean", epochs=3))
    cut = started(workspace, "optim.ema=0.9", tag="cut", epochs=3, again=True)
    watched(cut, stop_after=steps)

    assert outcome(resumed(cut)) == whole


def test_dev_scores_are_of_the_weights_that_are_kept(workspace: Path) -> None:
    run = trained(workspace, "optim.ema=0.9", tag="mean")
    version = open_version(workspace, "N2C")
    model = FS2VC(run.config.model, 2)
    model.load_state_dict(checkpoint.load_weights(checkpoint.last(run.checkpoints)))
    dev = load(version, version.split("dev"), Normaliser(run.statistics, -5.0), run.speakers, CPU)

    scored = score(model, dev.packed, 3, Stop())

    assert scored is not None
    assert scored.losses == pytest.approx(metrics(run.folder)[-1]["dev"], rel=1e-6)


def test_training_ends_when_the_dev_loss_stays_above_its_best(workspace: Path) -> None:
    """A learning rate that shakes everything: the first epochs stay the best."""
    wild = ("optim.max_lr_scale=0.0", "optim.warm_up=8", "optim.lr_limit=1.0", "train.patience=2")
    run = started(workspace, *wild, tag="wild", epochs=40)

    *_, end = watched(run)

    assert isinstance(end, Ended)
    assert end.in_vain == 2
    assert not end.stopped
    assert end.state.epoch == end.state.best_epoch + 2 < 40
    after = open_run(workspace, "wild")
    assert after.status == "finished"
    with pytest.raises(CorpuskitError, match=r"2 epochs without a lower dev loss"):
        resumed(after, epochs=60)

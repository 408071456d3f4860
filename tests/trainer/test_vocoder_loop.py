"""A vocoder's training: it learns, and going on is the same as never having stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from corpuskit.versions import open_version
from thorough import thoroughly
from trainer import checkpoint
from trainer.errors import Diverged
from trainer.loop import EpochDone, Progress
from trainer.runs import metrics, open_run
from trainer.vocoder_data import load_sounds
from trainer.vocoder_learner import LOSSES, VocoderLearner
from trainer.vocoders.generator import samples_of
from trainer.vocoders.mel import MelSpectrum
from training import CPU, outcome, resumed, watched
from vocoding import STEPS, started, trained


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def whole(workspace: Path) -> dict[str, object]:
    """What two epochs in one go make."""
    return outcome(trained(workspace, tag="whole"))


# ------------------------------------------------------------------- going on


@thoroughly("steps", [STEPS + 2, 1, STEPS])
def test_an_interruption_after_any_step_changes_nothing(
    workspace: Path, whole: dict[str, object], steps: int
) -> None:
    run = started(workspace, tag="cut", again=True)

    watched(run, stop_after=steps)
    cut = open_run(workspace, "cut", kind=None)

    assert cut.status == "stopped"
    assert outcome(resumed(cut)) == whole


def test_more_epochs_are_what_they_would_have_been(
    workspace: Path, whole: dict[str, object]
) -> None:
    run = trained(workspace, tag="halves", epochs=1, again=True)

    assert outcome(resumed(run, epochs=2)) == whole


def test_the_same_training_gives_the_same_bytes(workspace: Path, whole: dict[str, object]) -> None:
    assert outcome(trained(workspace, tag="again", again=True)) == whole


# -------------------------------------------------------------------- learning


def test_held_out_recordings_are_copied_better_and_better(workspace: Path) -> None:
    run = trained(workspace, epochs=8)

    rows = metrics(run.folder)
    dev = [row["dev"]["mel"] for row in rows]
    assert dev[-1] < 0.8 * dev[0]
    assert run.record.best_loss == min(dev)
    assert run.record.best_epoch == 1 + int(np.argmin(dev))
    assert [row["step"] for row in rows] == [STEPS * epoch for epoch in range(1, 9)]
    for epoch, row in enumerate(rows):
        assert row["lr"] == pytest.approx(2e-3 * 0.999**epoch)
        assert set(row["train"]) == set(LOSSES)


def test_the_dev_loss_is_that_of_the_saved_weights(workspace: Path) -> None:
    run = trained(workspace, epochs=1)
    version = open_version(workspace, "N2C")
    dev = load_sounds(version, (), CPU, 8).dev
    learner = VocoderLearner(run.vocoder_config, run.settings, CPU, "fp32")
    _, weights, tensors = checkpoint.load(checkpoint.last(run.checkpoints))
    learner.load(weights, tensors)
    spectrum = MelSpectrum(run.settings.features, 22050)

    errors = []  # of every frame
    for index in range(len(dev)):
        mel = dev.mel[dev.rows_of(index)].T
        with torch.no_grad():  # under weight norm, and all at once
            made = samples_of(learner.generator, run.vocoder_config.generator, mel, 10_000)
        found = spectrum.whole(made[None])[0]
        errors.append((found - mel).abs().mean(dim=0))

    (row,) = metrics(run.folder)
    assert row["dev"]["mel"] == pytest.approx(float(torch.cat(errors).mean()), rel=1e-4)


def test_every_recording_gives_its_segments_in_every_epoch(workspace: Path) -> None:
    run = started(workspace, "train.segments=2", epochs=1)

    events = watched(run)

    assert [each.batches for each in events if isinstance(each, Progress)] == [5] * 5  # 40 / 8
    assert sum(isinstance(each, EpochDone) for each in events) == 1


@thoroughly("precision", ["fp32", "bf16", "fp16"])
def test_both_sides_learn_in_every_precision(workspace: Path, precision: str) -> None:
    run = started(workspace)
    learner = VocoderLearner(run.vocoder_config, run.settings, CPU, precision)
    before = {name: value.clone() for name, value in learner.weights().items()}
    judges = [each.detach().clone() for each in learner.discriminators.parameters()]
    version = open_version(workspace, "N2C")
    train = load_sounds(version, (), CPU, 8).train
    mel, samples = train.cut(torch.from_numpy(train.first[:4]), 8)

    losses = torch.stack([learner.step(mel, samples, index) for index in range(20)])

    assert losses.isfinite().all()
    assert losses[-1, LOSSES.index("mel")] < losses[0, LOSSES.index("mel")]
    assert all(not torch.equal(before[name], value) for name, value in learner.weights().items())
    after = learner.discriminators.parameters()
    assert not any(torch.equal(*each) for each in zip(judges, after, strict=True))
    assert 10 <= learner.steps <= 20  # fp16 skips some while it looks for its scale
    assert learner.fault() is None


def test_what_diverges_is_stopped_and_nothing_of_it_is_saved(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(workspace)
    step = VocoderLearner.step

    def broken(self: VocoderLearner, mel: torch.Tensor, *rest: object) -> torch.Tensor:
        return step(self, mel * torch.nan, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(VocoderLearner, "step", broken)

    with pytest.raises(Diverged, match=r"epoch 1, batch 1: a loss is no number"):
        watched(run)
    failed = open_run(workspace, run.tag, kind=None)
    assert failed.status == "failed"
    assert checkpoint.last(failed.checkpoints).epoch == 0


# ----------------------------------------------------------------------- kept


def test_its_weights_are_a_public_generators(workspace: Path) -> None:
    run = trained(workspace, epochs=1)

    weights = checkpoint.load_weights(checkpoint.last(run.checkpoints))

    assert {"conv_pre.weight_g", "conv_pre.weight_v", "resblocks.0.convs.1.bias"} <= set(weights)
    assert {name.rsplit(".", 1)[1] for name in weights} == {"weight_g", "weight_v", "bias"}


def test_copies_of_dev_targets_are_kept_to_be_heard(workspace: Path) -> None:
    run = trained(workspace, "train.samples=1", "train.save_every=1", epochs=2)

    target = open_version(workspace, "N2C").split("dev")[0]
    kept = sorted(path.relative_to(run.folder / "samples") for path in run.folder.rglob("*.wav"))
    assert list(map(str, kept)) == [f"epoch-000{epoch}/{target.sentence}.C.wav" for epoch in (1, 2)]

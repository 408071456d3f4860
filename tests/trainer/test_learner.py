"""One step: clipped, scaled, scheduled, and watched."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from corpuskit.versions import open_version
from trainer.batches import Batch
from trainer.config import ModelConfig, OptimConfig, RunConfig
from trainer.data import Normaliser, load
from trainer.learner import MOST_SKIPPED, Learner
from trainer.schedule import lr
from training import CPU

SMALL = ModelConfig(
    width=16,
    attention_dim=16,
    encoder_layers=1,
    decoder_layers=1,
    variance_channels=16,
    pitch_layers=1,
    postnet_channels=16,
    postnet_layers=2,
)


@pytest.fixture(scope="module")
def batch(n2c_workspace: Path) -> Batch:
    version = open_version(n2c_workspace, "N2C")
    data = load(
        version,
        version.split("dev"),
        Normaliser(version.statistics, -5.0),
        version.speakers,
        CPU,
    )
    return data.packed.gather([0, 1])


def learner(precision: str = "fp32", **optim: float) -> Learner:
    torch.manual_seed(0)
    config = RunConfig(model=SMALL, optim=OptimConfig(warm_up=20, **optim))  # type: ignore[arg-type]
    return Learner(config, 2, CPU, precision, last_step=50)


def test_each_step_uses_its_learning_rate(batch: Batch) -> None:
    made = learner()

    rates = []
    for index in range(8):
        made.step(batch, index)
        rates.append(float(made.optimiser.param_groups[0]["lr"]))

    wanted = [lr(step, 20, 0.016) for step in range(1, 9)]
    assert rates == pytest.approx(wanted, rel=1e-6)
    assert made.steps == 8


def test_a_step_is_adams_on_the_clipped_gradient(batch: Batch) -> None:
    """Held against torch's plain Adam, fed by hand."""
    made, other = learner(clip=0.5), learner(clip=0.5)
    plain = torch.optim.Adam(other.model.parameters(), betas=(0.9, 0.98), eps=1e-9, foreach=False)
    from trainer.losses import batch_loss, sums

    for step in range(1, 4):
        torch.manual_seed(step)
        made.step(batch, step)
        torch.manual_seed(step)
        batch_loss(sums(other.model(batch), batch)).backward()
        norm = torch.sqrt(sum(p.grad.square().sum() for p in other.model.parameters()))
        assert norm > 0.5
        for parameter in other.model.parameters():
            parameter.grad *= 0.5 / (norm + 1e-6)
        plain.param_groups[0]["lr"] = lr(step, 20, 0.016)
        plain.step()
        plain.zero_grad()

    for ours, theirs in zip(made.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_step_the_loss_scaler_skips_moves_neither_weights_nor_schedule(batch: Batch) -> None:
    made = learner("fp16")
    made.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    made.step(batch, 0)
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    hook = made.parameters[0].register_hook(lambda gradient: gradient * math.inf)

    made.step(batch, 1)
    hook.remove()

    assert made.steps == 1
    assert made.scaler.get_scale() == 2.0**7
    after = made.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert made.fault() is None
    made.step(batch, 2)
    assert made.steps == 2
    assert float(made.optimiser.param_groups[0]["lr"]) == pytest.approx(lr(2, 20, 0.016))


def test_gradients_without_end_at_any_loss_scale_are_a_fault(batch: Batch) -> None:
    made = learner("fp16")
    made.parameters[0].register_hook(lambda gradient: gradient * math.inf)

    for index in range(MOST_SKIPPED - 1):
        made.step(batch, index)
    assert made.fault() is None
    made.step(batch, MOST_SKIPPED - 1)

    fault = made.fault()
    assert fault is not None
    assert fault.batch == MOST_SKIPPED - 1
    assert "whatever the loss scale" in fault.what


def test_the_first_fault_is_remembered(batch: Batch) -> None:
    made = learner()
    made.step(batch, 0)
    made.step(replace(batch, target_energy=batch.target_energy * math.nan), 1)
    made.step(batch, 2)

    fault = made.fault()
    assert fault is not None
    assert fault.batch == 1
    assert fault.what == "the loss is nan"


def test_without_steps_there_is_neither_loss_nor_fault() -> None:
    made = learner()

    assert (made.steps, made.last_loss(), made.fault()) == (0, None, None)

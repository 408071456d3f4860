"""One step: clipped, scaled, scheduled, and watched."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from corpuskit.errors import BadSetting
from corpuskit.versions import open_version
from trainer.batches import Batch
from trainer.config import ModelConfig, OptimConfig, RunConfig, TrainConfig
from trainer.data import Normaliser, SplitData, load
from trainer.learner import MOST_SKIPPED, Cut, Learner
from trainer.losses import shares
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
def data(n2c_workspace: Path) -> SplitData:
    version = open_version(n2c_workspace, "N2C")
    return load(
        version,
        version.split("train"),
        Normaliser(version.statistics, -5.0),
        version.speakers,
        CPU,
    )


@pytest.fixture(scope="module")
def batch(data: SplitData) -> Batch:
    return data.packed.gather([0, 1])


def learner(
    precision: str = "fp32",
    model: ModelConfig = SMALL,
    freeze: tuple[str, ...] = (),
    **optim: float,
) -> Learner:
    torch.manual_seed(0)
    config = RunConfig(
        model=model,
        optim=OptimConfig(warm_up=20, **optim),  # type: ignore[arg-type]
        train=TrainConfig(freeze=freeze),
    )
    return Learner(config, 2, CPU, precision, last_step=50)


def test_each_step_uses_its_learning_rate(batch: Batch) -> None:
    made = learner()

    rates = []
    for index in range(8):
        made.step([batch], index)
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
        made.step([batch], step)
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
    made.step([batch], 0)
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    hook = made.parameters[0].register_hook(lambda gradient: gradient * math.inf)

    made.step([batch], 1)
    hook.remove()

    assert made.steps == 1
    assert made.scaler.get_scale() == 2.0**7
    after = made.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert made.fault() is None
    made.step([batch], 2)
    assert made.steps == 2
    assert float(made.optimiser.param_groups[0]["lr"]) == pytest.approx(lr(2, 20, 0.016))


def test_gradients_without_end_at_any_loss_scale_are_a_fault(batch: Batch) -> None:
    made = learner("fp16")
    made.parameters[0].register_hook(lambda gradient: gradient * math.inf)

    for index in range(MOST_SKIPPED - 1):
        made.step([batch], index)
    assert made.fault() is None
    made.step([batch], MOST_SKIPPED - 1)

    fault = made.fault()
    assert fault is not None
    assert fault.batch == MOST_SKIPPED - 1
    assert "whatever the loss scale" in fault.what


def test_the_first_fault_is_remembered(batch: Batch) -> None:
    made = learner()
    made.step([batch], 0)
    made.step([replace(batch, target_energy=batch.target_energy * math.nan)], 1)
    made.step([batch], 2)

    fault = made.fault()
    assert fault is not None
    assert fault.batch == 1
    assert fault.what == "the loss is nan"


def test_without_steps_there_is_neither_loss_nor_fault() -> None:
    made = learner()

    assert (made.steps, made.last_loss(), made.fault()) == (0, None, None)


# ------------------------------------------------------------------ parts of a batch

STILL = replace(SMALL, dropout=0.0, variance_dropout=0.0, postnet_dropout=0.0)


@pytest.mark.parametrize("parts", [[[0], [1, 2, 3]], [[0], [1], [2], [3]]])
def test_a_batch_in_parts_is_the_same_step(data: SplitData, parts: list[list[int]]) -> None:
    """Without dropout, whose draws depend on the shape they are drawn for."""
    whole, cut = learner(model=STILL), learner(model=STILL)

    told = whole.step([data.packed.gather([0, 1, 2, 3])], 0)
    added = cut.step(
        [data.packed.gather(part) for part in parts],
        0,
        Cut(
            shares=shares([data.packed.counts(part) for part in parts]),
            keys=[(0, number) for number in range(len(parts))],
        ),
    )

    for name, term in told.items():
        torch.testing.assert_close(added[name], term, rtol=1e-5, atol=1e-5)
    assert cut.last_loss() == pytest.approx(whole.last_loss(), rel=1e-6)
    moments = [
        {n: one.optimiser.state[p]["exp_avg"] for n, p in one.model.named_parameters()}
        for one in (whole, cut)
    ]
    for name in moments[0]:
        torch.testing.assert_close(moments[1][name], moments[0][name], rtol=1e-4, atol=1e-7)


# ------------------------------------------------------------------ the running mean


def test_the_model_used_is_the_running_mean_of_the_weights(batch: Batch) -> None:
    """Held against the definition: mean += (1 - decay) * (weights - mean), faster while young."""
    made = learner(ema=0.9)
    wanted: dict[str, torch.Tensor] = {}

    for index in range(20):
        made.step([batch], index)
        now = {name: value.detach().clone() for name, value in made.model.named_parameters()}
        decay = min(0.9, (1 + index) / (10 + index)) if index else 0.0
        wanted = {k: v * (1 - decay) + wanted.get(k, v) * decay for k, v in now.items()}

    used = dict(made.used.named_parameters())
    for name, value in wanted.items():
        torch.testing.assert_close(used[name], value, rtol=1e-5, atol=1e-6)
    assert any(not torch.equal(used[name], now[name]) for name in now)


def test_without_a_running_mean_the_last_weights_are_used(batch: Batch) -> None:
    made = learner()

    assert made.used is made.model
    assert made.last_weights() == {}


# ------------------------------------------------------------------ freezing


def test_frozen_parts_stay_and_the_rest_learns(batch: Batch) -> None:
    made = learner(freeze=("encoder", "variance.pitch"))
    before = {name: value.clone() for name, value in made.model.state_dict().items()}

    for index in range(3):
        made.step([batch], index)

    after = made.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    still = {n for n in before if n.startswith(("encoder.", "variance.pitch."))}
    assert still
    assert not moved & still
    assert {"mel_in.weight", "variance.duration.out.weight", "mel_out.weight"} <= moved


def test_an_unknown_part_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadSetting, match=r"'encodr'.*did you mean 'encoder'"):
        learner(freeze=("encodr",))


def test_freezing_everything_is_refused() -> None:
    whole = ("mel_in", "source_speakers", "encoder", "variance")

    with pytest.raises(BadSetting, match="nothing to learn"):
        learner(freeze=(*whole, "target_speakers", "decoder", "mel_out", "postnet"))

"""Shapes that repeat change no number, and a step asks the device nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from shaped import KINDS, SMALL, pairs
from thorough import thoroughly
from trainer import learner as learner_module
from trainer.batches import Batch, PackedSet, _step_up
from trainer.config import ModelConfig, OptimConfig, RunConfig, TrainConfig
from trainer.layers import StackedLSTM
from trainer.learner import Learner
from trainer.losses import batch_loss, sums, weights_of
from trainer.model import FS2VC

every_kind = pytest.mark.parametrize("kind", KINDS)
META = torch.device("meta")
# Their deterministic forms, which CUDA is asked for, copy strides from the host.
COPYING = ("aten.scatter_add", "aten.scatter_reduce", "aten.put")


@pytest.fixture(scope="module")
def packed() -> PackedSet:
    return PackedSet.build(pairs(), reduction=3)


def losses(model: FS2VC, batch: Batch) -> dict[str, float]:
    terms = sums(model(batch), batch)
    return {name: float(term.summed.detach() / term.counted) for name, term in terms.items()}


# ----------------------------------------------------------------------- sizes


@given(st.integers(1, 10**6), st.sampled_from([1, 2, 4, 8]))
def test_sizes_step_up_to_few_values(size: int, steps: int) -> None:
    found = _step_up(size, steps)

    octave = 2 ** math.floor(math.log2(found))
    assert size <= found <= size * (1 + 1 / steps) + 1
    assert (found - octave) * steps % octave == 0 or found < 2 * steps
    assert _step_up(found, steps) == found


@every_kind
@pytest.mark.parametrize("training", [True, False])
def test_rounded_sizes_change_no_loss_and_no_gradient(
    packed: PackedSet, kind: str, training: bool
) -> None:
    torch.manual_seed(0)
    model = FS2VC(ModelConfig(**SMALL, **KINDS[kind]), 2).train(training)
    if kind != "plain":
        for module in model.modules():
            if isinstance(module, StackedLSTM):
                module.between.share = 0.0
    chosen = [3, 0, 4, 1]
    exact, rounded = packed.gather(chosen), packed.gather(chosen, rounded=True)
    assert rounded.target_mel.shape[1] > exact.target_mel.shape[1]
    assert (rounded.room or 0) > (exact.total or 0)

    gradients = []
    for batch in (exact, rounded):
        model.zero_grad()
        batch_loss(sums(model(batch), batch), weights=weights_of(model.config)).backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])

    assert losses(model, rounded) == pytest.approx(losses(model, exact), rel=1e-6, abs=1e-6)
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of its own tracing
def test_torch_compile_takes_the_plain_model_whole_and_changes_no_loss(packed: PackedSet) -> None:
    torch.manual_seed(0)
    model = FS2VC(ModelConfig(**SMALL), 2).train()
    batch = packed.gather([0, 1], rounded=True)
    wanted = losses(model, batch)

    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)

    assert losses(compiled, batch) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


# -------------------------------------------------------- nothing waits for the device


class Watch(TorchDispatchMode):
    """Notes what would make the host wait for a device, or the device for the host."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        name = str(func)
        flat = [x for each in args for x in (each if isinstance(each, list | tuple) else [each])]
        devices = {x.device.type for x in flat if isinstance(x, Tensor) and x.dim()}
        if "local_scalar" in name or "nonzero" in name or "unique" in name or len(devices) > 1:
            self.waits.append(f"{name} {sorted(devices)}")
        if "lift_fresh" in name or (name.startswith("aten._to_copy") and "cpu" in devices):
            self.waits.append(name)
        if name.startswith(COPYING):
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


class _StillAdam(torch.optim.Adam):
    """Adam as the learner sees it, on a device that has none: it takes no step."""

    def __init__(self, params: Any, lr: Tensor, fused: bool, **options: Any) -> None:
        del fused
        super().__init__(params, lr=0.0, **options)
        self.param_groups[0]["lr"] = lr

    def step(self, closure: Any = None) -> None:
        """Have the state a step leaves."""
        del closure
        for each in self.param_groups[0]["params"]:
            self.state.setdefault(each, {"step": torch.zeros((), device=each.device)})


def on_meta(value: Any) -> Any:
    """The same on a device that has shapes and no numbers: whatever asks for one raises."""
    if isinstance(value, Tensor):
        return value.to(META)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        each = dataclasses.fields(value)
        return dataclasses.replace(
            value, **{field.name: on_meta(getattr(value, field.name)) for field in each}
        )
    return value


@pytest.fixture
def meta_device(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = torch.autocast

    def autocast(device: str, **options: Any) -> Any:
        return contextlib.nullcontext() if device == "meta" else plain(device, **options)

    monkeypatch.setattr(torch, "autocast", autocast)
    monkeypatch.setattr(learner_module.torch.optim, "Adam", _StillAdam)


@pytest.mark.usefixtures("meta_device")
@thoroughly("kind", KINDS)
@pytest.mark.parametrize("rounded", [False, True])
def test_a_step_waits_for_nothing(packed: PackedSet, kind: str, rounded: bool) -> None:
    shape = {**SMALL, "dropout": 0.2, "variance_dropout": 0.5, "postnet_dropout": 0.5}
    model = ModelConfig(**shape, **KINDS[kind])
    config = RunConfig(model=model, optim=OptimConfig(ema=0.9), train=TrainConfig(seed=1))
    made = Learner(config, 2, META, "fp32", last_step=10)
    batch = on_meta(packed).gather([0, 1, 2], rounded=rounded)

    with Watch() as watch:
        for index in range(2):
            made.step([batch], index)

    assert watch.waits == []


def test_the_watch_sees_waits() -> None:
    with Watch() as watch:
        ones = torch.ones(3)
        float(ones.sum())
        torch.nonzero(ones)
        torch.tensor(2.0)
        ones.requires_grad_().gather(0, torch.zeros(3, dtype=torch.int64)).sum().backward()

    assert len(watch.waits) == 4


@every_kind
def test_no_recurrence_drops_out_by_itself(kind: str) -> None:
    """cuDNN seeds that dropout by a number of the device's own, for which the host would wait."""
    model = FS2VC(ModelConfig(**SMALL, **KINDS[kind]), 2)

    assert not [each for each in model.modules() if isinstance(each, nn.RNNBase) and each.dropout]

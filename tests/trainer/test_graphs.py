"""Steps that are recorded and replayed learn what plain steps learn, and failing is survived.

The recorder here records nothing: it runs the step anew on the recorded batch. What is tested is
everything around a CUDA graph: shapes, filling the recorded batch, state, and the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from shaped import KINDS, SMALL, pairs
from thorough import thoroughly
from trainer.batches import PackedSet
from trainer.config import ModelConfig, OptimConfig, RunConfig, TrainConfig
from trainer.device import deterministic, pick_compile
from trainer.graphs import Recorder, Took, cuda_recorder, shape_of
from trainer.learner import Cut, Learner
from trainer.losses import WHOLE

CPU = torch.device("cpu")
ORDER = [[0, 1], [2, 3], [0, 1], [1, 0], [3, 2], [0, 1], [2, 3], [4, 0], [1, 0]]


class Again:
    """Runs a recorded step anew; counts."""

    def __init__(self) -> None:
        self.state: Callable[[], list[Tensor]] = list
        self.plain = self.recorded = self.replayed = 0
        self.fault: Callable[[], None] = lambda: None
        self.lie = 1.0

    def run(self, step: Callable[[], Took]) -> Took:
        self.plain += 1
        return step()

    def record(self, step: Callable[[], Took]) -> tuple[Callable[[], None], Took]:
        self.fault()
        self.recorded += 1
        before = [each.detach().clone() for each in self.state()]
        with torch.random.fork_rng([]):
            took = step()
        with torch.no_grad():
            for tensor, value in zip(self.state(), before, strict=True):
                tensor.copy_(value)

        def replay() -> None:
            self.replayed += 1
            new = step()
            took.loss.copy_(new.loss * self.lie)
            took.norm.copy_(new.norm)
            for name, term in new.terms.items():
                for place, value in zip(took.terms[name], term, strict=True):
                    place.copy_(value)

        return replay, took


def learner(recorder: Recorder | None, **model: Any) -> Learner:
    torch.manual_seed(0)
    config = RunConfig(
        model=ModelConfig(**{**SMALL, "dropout": 0.2}, **model),
        optim=OptimConfig(warm_up=5, ema=0.5),
        train=TrainConfig(seed=1),
    )
    made = Learner(config, 2, CPU, "fp32", last_step=50, recorder=recorder)
    if isinstance(recorder, Again):
        recorder.state = made._changed_by_a_step
    return made


def trained(recorder: Recorder | None, **model: Any) -> tuple[Learner, list[dict[str, float]]]:
    made = learner(recorder, **model)
    return made, taken(made)


def taken(made: Learner) -> list[dict[str, float]]:
    """The losses of every step of ORDER."""
    data = PackedSet.build(pairs(), reduction=3, device=made.device)
    torch.manual_seed(7)
    losses = []
    for index, chosen in enumerate(ORDER):
        terms = made.step([data.gather(chosen, rounded=True)], index)
        losses.append({name: float(term.summed) for name, term in terms.items()})
    return losses


def assert_learnt_the_same(one: Learner, other: Learner) -> None:
    for ours, theirs in zip(one.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(one.used.parameters(), other.used.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert one.steps == other.steps == len(ORDER)


@thoroughly("kind", KINDS)
def test_replayed_steps_learn_what_plain_steps_learn(kind: str) -> None:
    recorder = Again()

    replayed, losses = trained(recorder, **KINDS[kind])
    plain, wanted = trained(None, **KINDS[kind])

    assert losses == wanted
    assert_learnt_the_same(replayed, plain)
    assert recorder.recorded >= 1
    assert recorder.replayed > recorder.recorded
    assert replayed.problem == ""


def test_a_step_that_cannot_be_recorded_is_taken_as_it_is() -> None:
    recorder = Again()

    def fail() -> None:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    recorder.fault = fail

    made, losses = trained(recorder)
    plain, wanted = trained(None)

    assert losses == wanted
    assert_learnt_the_same(made, plain)
    assert recorder.replayed == 0
    assert made.problem.startswith("CUDA graphs are off: a step cannot be recorded (operation not")
    assert "\n" not in made.problem


def test_a_step_that_broke_off_while_it_was_recorded_leaves_nothing() -> None:
    """It breaks off with some of the gradients there, which hold no numbers."""
    recorder = Again()
    made = learner(recorder)

    def break_off() -> None:
        for each in made.parameters:
            each.grad = torch.full_like(each, torch.nan)
        raise RuntimeError("operation not permitted when stream is capturing")

    recorder.fault = break_off

    losses = taken(made)
    plain, wanted = trained(None)

    assert losses == wanted
    assert_learnt_the_same(made, plain)
    assert made.problem


def test_replays_that_give_other_numbers_are_found_out() -> None:
    recorder = Again()
    recorder.lie = 1.01

    made, losses = trained(recorder)
    plain, wanted = trained(None)

    assert losses == wanted
    assert_learnt_the_same(made, plain)
    assert recorder.replayed == 1
    assert "another loss" in made.problem


def test_batches_of_other_shapes_are_not_taken_for_each_other() -> None:
    data = PackedSet.build(pairs(), reduction=3)

    assert shape_of(data.gather([0, 1], rounded=True)) == shape_of(
        data.gather([1, 0], rounded=True)
    )
    assert shape_of(data.gather([0, 1], rounded=True)) != shape_of(data.gather([0], rounded=True))
    assert shape_of(data.gather([0, 1])) != shape_of(data.gather([2, 3]))


@pytest.mark.parametrize(
    ("setting", "device", "found"),
    [
        ("auto", "cpu", "off"),
        ("graphs", "cpu", "off"),
        ("auto", "cuda", "graphs"),
        ("graphs", "cuda", "graphs"),
        ("off", "cuda", "off"),
    ],
)
def test_steps_are_recorded_on_cuda_unless_told_otherwise(
    setting: str, device: str, found: str
) -> None:
    assert pick_compile(setting, torch.device(device)) == found


ON_CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.cuda,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        # of kernels without a deterministic form
        pytest.mark.filterwarnings("ignore::UserWarning"),
    ],
)


@pytest.mark.parametrize("name", ["cpu", ON_CUDA])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@thoroughly("kind", KINDS)
def test_steps_are_recorded_as_the_loop_takes_them(kind: str, precision: str, name: str) -> None:
    """With random numbers seeded anew before each; on CUDA these are real graphs."""
    device = torch.device(name)
    config = RunConfig(
        model=ModelConfig(**{**SMALL, "dropout": 0.2}, **KINDS[kind]),
        optim=OptimConfig(warm_up=5, ema=0.5),
        train=TrainConfig(seed=1),
    )
    losses = []
    with deterministic(device):
        for recorder in (Again() if name == "cpu" else cuda_recorder(device), None):
            torch.manual_seed(0)
            made = Learner(config, 2, device, precision, last_step=50, recorder=recorder)
            if isinstance(recorder, Again):
                recorder.state = made._changed_by_a_step
            data = PackedSet.build(pairs(), reduction=3, device=device)
            for index, chosen in enumerate(ORDER):
                cut = Cut(shares=[WHOLE], keys=[(0, index)])
                made.step([data.gather(chosen, rounded=True)], index, cut)
                losses.append(made.last_loss())
            assert made.problem == ""
            assert made.fault() is None

    bound = 0 if name == "cpu" else 0.02
    assert losses[: len(ORDER)] == pytest.approx(losses[len(ORDER) :], rel=bound)

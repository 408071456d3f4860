"""The learning rate over a whole training: in steps, in epochs, and in samples (pairs seen).

Two trainings of other batch sizes meet the same pair at other steps, so that what compares them
is the rate per sample. `schedule` says what a step's rate is; here is what a training makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from trainer.config import RunConfig
from trainer.schedule import FACTOR, Peak, lr, peak

__all__ = ["Course", "Proposal", "apart", "course_of", "proposals", "warnings"]

Float64 = npt.NDArray[np.float64]
_POINTS = 2000  # at which two courses are compared


@dataclass(frozen=True, kw_only=True)
class Course:
    """A schedule, and how long and in which batches it is followed."""

    warm_up: int  # steps
    cap: float | None  # of s(t)
    batch_size: int  # pairs a step
    pairs: int  # of the train split
    epochs: int
    first_step: int = 0  # steps the optimiser had behind it before

    @property
    def steps_an_epoch(self) -> int:
        """Optimiser steps an epoch takes."""
        return math.ceil(self.pairs / self.batch_size)

    @property
    def steps(self) -> int:
        """The last step."""
        return self.first_step + self.steps_an_epoch * self.epochs

    @cached_property
    def peak(self) -> Peak:
        """The highest rate of the schedule, and its step, whether it is reached or not."""
        return peak(self.warm_up, self.cap)

    @property
    def slope(self) -> float:
        """How much the rate rises a step while it rises."""
        return FACTOR / math.pow(self.warm_up, 1.5)

    @property
    def capped_from(self) -> int | None:
        """The first step at which the cap holds the rate down; None where it never does."""
        turning = (self.cap or math.inf) * math.pow(self.warm_up, 1.5)
        return math.floor(turning) + 1 if turning < self.warm_up else None

    def rate(self, step: int) -> float:
        """Return the rate of a step, the first being 1."""
        return lr(step, self.warm_up, self.cap)

    def rates(self, steps: npt.NDArray[np.int64]) -> Float64:
        """Return the rates of some steps."""
        return np.array([self.rate(int(step)) for step in steps])

    def rates_at(self, samples: npt.NDArray[np.int64]) -> Float64:
        """Return the rates with which so many pairs were taken in, from the first step on."""
        return self.rates(self.first_step + np.maximum(1, samples // self.batch_size))

    @property
    def peaks_before(self) -> bool:
        """Whether the peak was behind a kept optimiser before this training began."""
        return self.peak.step <= self.first_step

    @cached_property
    def area(self) -> float:
        """The sum of the rates of all steps: how far a training can move."""
        return math.fsum(self.rate(step) for step in range(self.first_step + 1, self.steps + 1))

    def epoch_at(self, step: int) -> float:
        """Return how many epochs are behind a step."""
        return (step - self.first_step) / self.steps_an_epoch

    def samples_at(self, step: int) -> int:
        """Return how many pairs were seen up to a step."""
        return (step - self.first_step) * self.batch_size


def course_of(config: RunConfig, pairs: int, first_step: int = 0) -> Course:
    """Return the course of a training on so many pairs."""
    return Course(
        warm_up=config.optim.warm_up,
        cap=config.optim.cap,
        batch_size=config.train.batch_size,
        pairs=pairs,
        epochs=config.train.epochs,
        first_step=first_step,
    )


def apart(one: Course, other: Course) -> float:
    """Return the largest ratio of two courses' rates at the same sample (1: they are the same).

    They are compared where both end a step, up to the end of the shorter training.
    """
    common = math.lcm(one.batch_size, other.batch_size)
    last = min(one.samples_at(one.steps), other.samples_at(other.steps)) // common
    times = np.unique(np.geomspace(1, max(1, last), _POINTS).round().astype(np.int64))
    rates = [each.rates_at(times * common) for each in (one, other)]
    ratio = rates[0] / rates[1]
    return float(np.maximum(ratio, 1 / ratio).max())


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Settings that bring a course near another one of another batch size."""

    what: str  # is kept
    course: Course
    settings: tuple[str, ...]  # "optim.warm_up=1000"
    apart: float  # largest ratio of the two rates at the same sample


def proposals(wanted: Course, batch_size: int) -> list[Proposal]:
    """Return how `wanted` can be kept with another batch size, the nearest first.

    With k times the batch, t steps become t / k. The rise t W^-1.5 stays what it is per sample with
    W k^-2/3; where a cap m ends it, peak and decay m (m W^1.5 / t)^1/2 then stay with the same m.
    Without a cap the peak is W^-1/2, which serves as m. Where the uncapped decay t^-1/2 would come
    first (smaller batches without a cap), only the length of the warm-up can be kept.
    """
    ratio = batch_size / wanted.batch_size
    made = []
    cap = wanted.cap if wanted.capped_from else 1 / math.sqrt(wanted.warm_up)
    exact = max(1, round(wanted.warm_up * ratio ** (-2 / 3)))
    for what, warm_up, held in (
        ("the rate at every sample", exact, cap),
        ("the samples of the warm-up", max(1, round(wanted.warm_up / ratio)), wanted.cap),
    ):
        course = replace(wanted, warm_up=warm_up, cap=held, batch_size=batch_size, first_step=0)
        settings = [f"optim.warm_up={warm_up}"]
        if held != wanted.cap:
            settings.append(f"optim.max_lr_scale={held:.4g}")
        distance = apart(course, replace(wanted, first_step=0))
        made.append(Proposal(what=what, course=course, settings=tuple(settings), apart=distance))
    return sorted(made, key=lambda each: each.apart)


def warnings(course: Course, other: Course | None = None) -> Iterator[str]:
    """Say what of a course, or of how it differs from another, is easily overlooked."""
    if course.steps < course.peak.step:
        yield (
            f"the training ends at step {course.steps:,}, before the rate peaks "
            f"(step {course.peak.step:,})"
        )
    if other is None or course.batch_size == other.batch_size:
        return
    if (course.warm_up, course.cap) == (other.warm_up, other.cap):
        ratio = course.batch_size / other.batch_size
        yield (
            f"batch size {other.batch_size} -> {course.batch_size} with the same settings is "
            f"another schedule: the warm-up lasts {ratio:g} times as many samples, and at the "
            f"same sample the rate differs by up to {apart(course, other):.2g} times"
        )

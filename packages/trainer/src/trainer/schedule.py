"""The learning rate's course, a function of the step alone.

    lr(t) = 256^-0.5 * s(t)      s(t) = min(t^-0.5, t * W^-1.5)      W = warm_up

With a cap m (`max_lr_scale`), once s exceeds m it stays on m * sqrt(t0 / t), t0 = m * W^1.5. The
factor is 256^-0.5 whatever the model's width: a schedule means the same for every model.

Nothing is kept between steps, so nothing can be lost on resume: count the optimiser's real steps
(not those a loss scaler skipped) and set the rate before each.

    set_lr(optimiser, lr(step + 1, warm_up=4000, max_lr_scale=0.016))

Imports no torch, so that `trainer lr` answers at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

__all__ = ["Peak", "lr", "peak", "set_lr"]

FACTOR = 1 / math.sqrt(256)


class Peak(NamedTuple):
    """The largest learning rate of a schedule and the step it comes at."""

    lr: float
    step: int


def lr(step: int, warm_up: int, max_lr_scale: float | None) -> float:
    """Return the learning rate of optimiser step `step`, the first being 1.

    `warm_up` counts steps. `max_lr_scale` caps s(t); None or 0 means no cap.

    Raises
    ------
    ValueError
        `step` is below 1.
    """
    if step < 1:
        raise ValueError(f"step is {step}, the first is 1")
    turning = _capped_from(warm_up, max_lr_scale)
    if turning is not None and max_lr_scale and step > turning:
        return FACTOR * max_lr_scale * math.sqrt(turning / step)
    return FACTOR * min(1 / math.sqrt(step), step / math.pow(warm_up, 1.5))


def peak(warm_up: int, max_lr_scale: float | None) -> Peak:
    """Return the highest learning rate and its step: where the rise ends."""
    turning = _capped_from(warm_up, max_lr_scale) or float(warm_up)
    around = {max(1, math.floor(turning)), math.ceil(turning)}
    return max(Peak(lr(step, warm_up, max_lr_scale), step) for step in sorted(around))


def set_lr(optimiser: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of all parameter groups."""
    for group in optimiser.param_groups:
        group["lr"] = value


def _capped_from(warm_up: int, max_lr_scale: float | None) -> float | None:
    """Return t0, where the rise meets the cap; None if it ends at W before that."""
    if not max_lr_scale or max_lr_scale >= 1 / math.sqrt(warm_up):
        return None
    return max_lr_scale * math.pow(warm_up, 1.5)

"""A running mean of a model's weights, kept on its device without ever waiting for it."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

__all__ = ["RunningMean"]

Model = TypeVar("Model", bound=nn.Module)


class RunningMean(Generic[Model]):
    """The mean; `module` is a copy of the model that holds it.

    The decay is `decay`, less while the mean is young: (1 + n) / (10 + n) after n updates, as
    TensorFlow's ExponentialMovingAverage has it. The first update takes the weights as they are.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.module = copy.deepcopy(model)
        for each in self.module.modules():
            if isinstance(each, nn.RNNBase):
                each.flatten_parameters()  # a copy's weights lie apart, which cuDNN remarks on
        self._count = torch.zeros((), device=next(model.parameters()).device)  # of updates
        self._decay = decay

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Move the mean towards the weights of `model`."""
        young = (1 + self._count) / (10 + self._count)
        share = 1 - young.clamp(max=self._decay) * (self._count > 0)
        mean = [each.detach() for each in self.module.parameters()]
        apart = torch._foreach_sub([each.detach() for each in model.parameters()], mean)
        torch._foreach_mul_(apart, share)
        torch._foreach_add_(mean, apart)
        self._count += 1

    def count_from(self, updates: int) -> None:
        """Go on as after so many updates."""
        self._count.fill_(updates)

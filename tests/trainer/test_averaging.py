"""The running mean of weights, held against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.averaging import RunningMean


def test_it_is_the_mean_its_definition_says() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    made = RunningMean(model, 0.4)
    wanted: list[torch.Tensor] = []

    for step in range(6):
        with torch.no_grad():
            for each in model.parameters():
                each += torch.randn_like(each)
        made.update(model)
        decay = 0.0 if step == 0 else min(0.4, (1 + step) / (10 + step))
        now = [each.detach().clone() for each in model.parameters()]
        wanted = [
            decay * mean + (1 - decay) * new for mean, new in zip(wanted or now, now, strict=True)
        ]

    for ours, mean in zip(made.module.parameters(), wanted, strict=True):
        torch.testing.assert_close(ours.detach(), mean)


def test_it_goes_on_as_after_so_many_updates() -> None:
    model = nn.Linear(3, 2)
    one, other = RunningMean(model, 0.9), RunningMean(model, 0.9)
    one.update(model)
    one.update(model)
    other.count_from(2)

    with torch.no_grad():
        model.weight += 1
    one.update(model)
    other.update(model)

    assert torch.equal(one.module.weight, other.module.weight)


def test_recurrent_weights_of_the_copy_are_laid_end_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy's lie apart; cuDNN would copy them together, and remark on it, at every call."""
    laid: list[nn.Module] = []
    model = nn.Sequential(nn.Linear(2, 2), nn.GRU(2, 2))
    monkeypatch.setattr(nn.GRU, "flatten_parameters", lambda self: laid.append(self))

    made = RunningMean(model, 0.9)

    assert laid == [made.module[1]]

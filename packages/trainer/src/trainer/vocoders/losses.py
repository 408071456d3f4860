"""HiFi-GAN's losses (Kong et al., 2020, arXiv:2010.05646, equations 1 to 5).

Means are taken over batch and positions; discriminators, and their layers, are summed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.vocoders.discriminators import Opinion

__all__ = ["adversarial_loss", "discriminator_loss", "feature_loss"]


def discriminator_loss(recorded: Sequence[Opinion], made: Sequence[Opinion]) -> Tensor:
    """Least squares (Mao et al., 2017): recorded speech should score 1, made speech 0."""
    return torch.stack(
        [
            (real.scores.float() - 1).square().mean() + fake.scores.float().square().mean()
            for real, fake in zip(recorded, made, strict=True)
        ]
    ).sum()


def adversarial_loss(made: Sequence[Opinion]) -> Tensor:
    """The generator's side of it: made speech should score 1."""
    return torch.stack([(each.scores.float() - 1).square().mean() for each in made]).sum()


def feature_loss(recorded: Sequence[Opinion], made: Sequence[Opinion]) -> Tensor:
    """Mean absolute difference of what each layer sees (Larsen et al., 2016), summed."""
    return torch.stack(
        [
            (theirs.detach() - ours).abs().float().mean()
            for real, fake in zip(recorded, made, strict=True)
            for theirs, ours in zip(real.features, fake.features, strict=True)
        ]
    ).sum()

"""What HiFi-GAN is trained against: networks that tell recorded from made samples.

Kong, Kim and Bae, "HiFi-GAN" (2020, arXiv:2010.05646), section 2.3: some see every p-th sample,
some the waveform at falling rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from trainer.vocoders.config import DiscriminatorConfig

__all__ = ["Discriminators", "Opinion"]

SLOPE = 0.1  # of the leaky rectifiers
PERIOD_CHANNELS = (32, 128, 512, 1024, 1024)
# channels, kernel, stride and groups of a scale's layers
SCALE_LAYERS = (
    (128, 15, 1, 1),
    (128, 41, 2, 4),
    (256, 41, 2, 16),
    (512, 41, 4, 16),
    (1024, 41, 4, 16),
    (1024, 41, 1, 16),
    (1024, 5, 1, 1),
)
Norm = Callable[..., Any]  # of a convolution


class Opinion(NamedTuple):
    """What one discriminator makes of a batch of samples."""

    scores: Tensor  # (batch, positions); recorded speech should score 1, made speech 0
    features: list[Tensor]  # of every layer, the scores' own last


class Discriminators(nn.Module):
    """All of them over samples (batch, n)."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.periods = nn.ModuleList(_Period(each, config.narrow) for each in config.periods)
        # The waveform as it is gets the stronger norm: it was found to need it.
        norms: list[Norm] = [spectral_norm, *([weight_norm] * (config.scales - 1))]
        self.scales = nn.ModuleList(_Scale(norm, config.narrow) for norm in norms)

    def forward(self, samples: Tensor) -> list[Opinion]:
        """Return the opinion of each: periods first, then scales from the full rate down."""
        opinions = [judge(samples) for judge in self.periods]
        for number, judge in enumerate(self.scales):
            if number:
                samples = functional.avg_pool1d(samples[:, None], 4, 2, padding=2)[:, 0]
            opinions.append(judge(samples))
        return opinions


class _Period(nn.Module):
    """Sees every p-th sample: the waveform folded into p columns, which never meet."""

    def __init__(self, period: int, narrow: int) -> None:
        super().__init__()
        self._period = period
        channels = (1, *(each // narrow for each in PERIOD_CHANNELS))
        strides = (3, 3, 3, 3, 1)
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (stride, 1), padding=(2, 0)))
            for (a, b), stride in zip(pairwise(channels), strides, strict=True)
        )
        self.conv_post = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, samples: Tensor) -> Opinion:
        missing = -samples.shape[1] % self._period
        whole = functional.pad(samples[:, None], (0, missing), mode="reflect")
        folded = whole.view(len(samples), 1, -1, self._period)
        return _opinion(folded, self.convs, self.conv_post)


class _Scale(nn.Module):
    """Sees the waveform through strided convolutions in groups."""

    def __init__(self, norm: Norm, narrow: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        before = 1
        for channels, kernel, stride, groups in SCALE_LAYERS:
            after = channels // narrow
            self.convs.append(
                norm(
                    nn.Conv1d(
                        before,
                        after,
                        kernel,
                        stride,
                        padding=kernel // 2,
                        groups=math.gcd(groups, before, after),
                    )
                )
            )
            before = after
        self.conv_post = norm(nn.Conv1d(before, 1, 3, padding=1))

    def forward(self, samples: Tensor) -> Opinion:
        return _opinion(samples[:, None], self.convs, self.conv_post)


def _opinion(x: Tensor, convs: nn.ModuleList, last: nn.Module) -> Opinion:
    features = []
    for conv in convs:
        x = functional.leaky_relu(conv(x), SLOPE)
        features.append(x)
    x = last(x)
    return Opinion(scores=torch.flatten(x, 1), features=[*features, x])

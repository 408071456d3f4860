"""HiFi-GAN's generator: transposed convolutions up to the sample, residual blocks at every rate.

Kong, Kim and Bae, "HiFi-GAN" (2020, arXiv:2010.05646). Names of parameters are those of the
public checkpoints, without weight normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.vocoders.config import GeneratorConfig

__all__ = ["Generator", "reach", "samples_of"]

SLOPE = 0.1  # of the leaky rectifiers, but the last
LAST_SLOPE = 0.01
EDGE = 3  # half of the outer convolutions' kernels


class Generator(nn.Module):
    """Mel (batch, bands, T), natural log -> samples (batch, T * hop) between -1 and 1."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        channels = config.upsample_initial_channel
        block = _TwiceBlock if config.resblock == "1" else _OnceBlock
        self.conv_pre = nn.Conv1d(config.num_mels, channels, 2 * EDGE + 1, padding=EDGE)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        shapes = list(
            zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True)
        )
        for rate, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True):
            self.ups.append(
                nn.ConvTranspose1d(
                    channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2
                )
            )
            channels //= 2
            self.resblocks.extend(block(channels, size, dilations) for size, dilations in shapes)
        self.conv_post = nn.Conv1d(channels, 1, 2 * EDGE + 1, padding=EDGE)
        self._blocks_a_rate = len(shapes)

    def forward(self, mel: Tensor) -> Tensor:
        """Make samples of a natural-log mel."""
        x = self.conv_pre(mel)
        for stage, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, SLOPE))
            first = stage * self._blocks_a_rate
            blocks = self.resblocks[first : first + self._blocks_a_rate]
            x = torch.stack([block(x) for block in blocks]).mean(dim=0)
        x = self.conv_post(functional.leaky_relu(x, LAST_SLOPE))
        return torch.tanh(x).squeeze(1)


class _TwiceBlock(nn.Module):
    """Residual block 1: each dilated convolution is followed by a plain one."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_same(channels, kernel, each) for each in dilations)
        self.convs2 = nn.ModuleList(_same(channels, kernel, 1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            y = dilated(functional.leaky_relu(x, SLOPE))
            x = x + plain(functional.leaky_relu(y, SLOPE))
        return x


class _OnceBlock(nn.Module):
    """Residual block 2: dilated convolutions alone."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_same(channels, kernel, each) for each in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for dilated in self.convs:
            x = x + dilated(functional.leaky_relu(x, SLOPE))
        return x


def _same(channels: int, kernel: int, dilation: int) -> nn.Conv1d:
    """Return a convolution that changes neither channels nor length."""
    padding = dilation * (kernel - 1) // 2
    return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding)


def reach(config: GeneratorConfig) -> int:
    """Return how many frames to either side of a frame its hop of samples depends on.

    From the samples back to the mel: what range of inputs each layer reads for a range of outputs.
    """
    first, last = -EDGE, config.hop - 1 + EDGE  # of what `conv_post` reads for frame 0
    widest = max(
        _block_reach(config, kernel, dilations)
        for kernel, dilations in zip(
            config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
        )
    )
    stages = zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)
    for rate, kernel in reversed(list(stages)):
        padding = (kernel - rate) // 2
        first = -((kernel - 1 - padding - (first - widest)) // rate)  # rounded up
        last = (last + widest + padding) // rate
    return max(EDGE - first, last + EDGE)


def _block_reach(config: GeneratorConfig, kernel: int, dilations: Sequence[int]) -> int:
    plain = len(dilations) if config.resblock == "1" else 0
    return (sum(dilations) + plain) * (kernel - 1) // 2


def samples_of(generator: nn.Module, config: GeneratorConfig, mel: Tensor, chunk: int) -> Tensor:
    """Turn a mel (bands, T) into ((T - 1) * hop,) samples, frame k centred on sample k * hop.

    It is made `chunk` frames at a time, each with as many frames around it as reach into it, so
    that every chunk is what it would be in the whole.
    """
    hop, around, total = config.hop, reach(config), mel.shape[1]
    made = []
    for start in range(0, total, chunk):
        stop = min(start + chunk, total)
        first, last = max(0, start - around), min(total, stop + around)
        part = generator(mel[None, :, first:last])[0]
        made.append(part[(start - first) * hop : (stop - first) * hop])
    # A generator's hop of samples lies around its frame's centre: half a hop is before the first.
    return torch.cat(made)[hop // 2 : hop // 2 + (total - 1) * hop]

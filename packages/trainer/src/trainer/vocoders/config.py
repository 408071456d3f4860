"""Settings of a HiFi-GAN generator, under the names its public config.json has for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from corpuskit.errors import BadSetting

__all__ = ["GeneratorConfig"]


def _require(good: bool, key: str, problem: str, remedy: str) -> None:
    if not good:
        raise BadSetting(f"{key} {problem}", remedy)


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """The generator of Kong, Kim and Bae (2020, arXiv:2010.05646); the defaults are its V1."""

    num_mels: int = 80  # bands
    upsample_rates: tuple[int, ...] = (8, 8, 2, 2)  # their product is the hop
    upsample_kernel_sizes: tuple[int, ...] = (16, 16, 4, 4)  # one a rate
    upsample_initial_channel: int = 512  # halved by every upsampling
    resblock: Literal["1", "2"] = "1"  # 1: each dilated convolution is followed by a plain one
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)  # of the blocks that are averaged
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))

    def __post_init__(self) -> None:
        _require(self.num_mels >= 1, "num_mels", f"is {self.num_mels}", "use at least 1")
        self._check_upsampling()
        self._check_blocks()

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return math.prod(self.upsample_rates)

    def _check_upsampling(self) -> None:
        rates, kernels = self.upsample_rates, self.upsample_kernel_sizes
        _require(
            0 < len(rates) == len(kernels),
            "upsample_kernel_sizes",
            f"holds {len(kernels)} sizes for {len(rates)} upsample_rates",
            "give one size a rate",
        )
        for rate, kernel in zip(rates, kernels, strict=True):
            _require(
                1 <= rate <= kernel and (kernel - rate) % 2 == 0,
                "upsample_kernel_sizes",
                f"holds {kernel} for a rate of {rate}",
                "a kernel must be its rate, or larger by an even number",
            )
        channels, halvings = self.upsample_initial_channel, 2 ** len(rates)
        _require(
            channels >= halvings and channels % halvings == 0,
            "upsample_initial_channel",
            f"is {channels}, to be halved {len(rates)} times",
            f"use a multiple of {halvings}",
        )

    def _check_blocks(self) -> None:
        kernels, dilations = self.resblock_kernel_sizes, self.resblock_dilation_sizes
        _require(
            0 < len(kernels) == len(dilations) and all(dilations),
            "resblock_dilation_sizes",
            f"holds {len(dilations)} lists for {len(kernels)} resblock_kernel_sizes",
            "give one list, of at least one dilation, a kernel",
        )
        for kernel in kernels:
            _require(
                kernel >= 1 and kernel % 2 == 1,
                "resblock_kernel_sizes",
                f"holds {kernel}",
                "use odd numbers, so that samples stay in place",
            )
        for each in dilations:
            _require(min(each) >= 1, "resblock_dilation_sizes", f"holds {min(each)}", "use 1 up")

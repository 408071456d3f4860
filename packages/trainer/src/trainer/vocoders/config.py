"""Settings of HiFi-GAN: its generator, and how a vocoder run trains one.

    [generator]        what makes samples, under the names a public config.json has for its sizes
    [discriminators]   what it is trained against
    [optim]            how both are optimised
    [train]            how long, on what segments, from what seed

`configs/vocoders/*.toml` hold such tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from corpuskit.config import to_mapping
from corpuskit.errors import BadSetting

__all__ = [
    "CADENCE",
    "DiscriminatorConfig",
    "GeneratorConfig",
    "VocoderConfig",
    "VocoderOptimConfig",
    "VocoderTrainConfig",
    "determining",
]

# [train] keys that change no weight at a given step
CADENCE = ("epochs", "save_every", "samples", "patience")


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


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """What tells made from recorded speech; the defaults are the paper's."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples; one discriminator each
    scales: int = 3  # discriminators of the waveform as it is, at half the rate, at a quarter, ...
    narrow: int = 1  # the paper's channels are divided by this

    def __post_init__(self) -> None:
        _require(
            bool(self.periods) and min(self.periods) >= 1,
            "discriminators.periods",
            f"are {list(self.periods)}",
            "use at least one, of 1 or more samples",
        )
        _require(self.scales >= 1, "discriminators.scales", f"is {self.scales}", "use at least 1")
        _require(
            self.narrow in (1, 2, 4, 8, 16, 32),
            "discriminators.narrow",
            f"is {self.narrow}",
            "use 1, 2, 4, 8, 16 or 32",
        )


@dataclass(frozen=True, kw_only=True)
class VocoderOptimConfig:
    """AdamW for both sides, and what the losses weigh."""

    lr: float = 2e-4
    decay: float = 0.999  # of the learning rate, per epoch
    betas: tuple[float, float] = (0.8, 0.99)
    weight_decay: float = 0.01
    mel_weight: float = 45.0
    feature_weight: float = 2.0  # of matching what the discriminators see
    mel_fmax: float = 0.0  # Hz; highest of the mel in the loss, 0 = half the rate

    def __post_init__(self) -> None:
        _require(self.lr > 0, "optim.lr", f"is {self.lr}", "use a positive rate")
        _require(0 < self.decay <= 1, "optim.decay", f"is {self.decay}", "use 1.0 or a bit less")
        for beta in self.betas:
            _require(0 <= beta < 1, "optim.betas", f"hold {beta}", "use 0.0 up to below 1.0")
        for key in ("weight_decay", "mel_weight", "feature_weight", "mel_fmax"):
            value = getattr(self, key)
            _require(value >= 0, f"optim.{key}", f"is {value}", "use 0 or more")


@dataclass(frozen=True, kw_only=True)
class VocoderTrainConfig:
    """Length, segments, randomness and precision of a vocoder's training."""

    epochs: int = 1000
    batch_size: int = 16  # segments a step
    segment: int = 8192  # samples
    segments: int = 1  # that each recording gives an epoch
    mels: str = ""  # TAG or TAG@EPOCH: a model's of the train pairs, see forced.py; "" = recorded
    seed: int = 0
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"  # auto: bf16 on CUDA, else fp32
    save_every: int = 100  # epochs between kept checkpoints; last and best are always kept
    samples: int = 2  # dev recordings made again at every kept checkpoint
    patience: int = 0  # epochs without a lower dev loss before training ends; 0 = all epochs

    def __post_init__(self) -> None:
        for key in ("epochs", "batch_size", "segment", "segments", "save_every"):
            value = getattr(self, key)
            _require(value >= 1, f"train.{key}", f"is {value}", "use at least 1")
        for key in ("seed", "samples", "patience"):
            value = getattr(self, key)
            _require(value >= 0, f"train.{key}", f"is {value}", "use 0 or more")

    @property
    def best_by(self) -> str:
        """The dev loss that says which epoch is best."""
        return "mel"


@dataclass(frozen=True, kw_only=True)
class VocoderConfig:
    """Everything about a vocoder run that is a setting."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    optim: VocoderOptimConfig = field(default_factory=VocoderOptimConfig)
    train: VocoderTrainConfig = field(default_factory=VocoderTrainConfig)

    def __post_init__(self) -> None:
        hop, segment = self.generator.hop, self.train.segment
        _require(
            segment % hop == 0,
            "train.segment",
            f"is {segment}, no multiple of the generator's hop of {hop}",
            f"use {max(1, segment // hop) * hop}",
        )


def determining(config: VocoderConfig) -> dict[str, Any]:
    """Return the settings that determine a run's weights at a given step, as plain values."""
    mapping: dict[str, Any] = to_mapping(config)
    for key in (*CADENCE, "mels"):  # whose mels are in the identity with their weights
        del mapping["train"][key]
    return mapping

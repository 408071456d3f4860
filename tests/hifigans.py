"""HiFi-GAN checkpoints in the public format, written without the trainer's own generator.

Names and shapes are listed here as the published files have them: weight norm stores every
convolution as a direction `weight_v` and one length a row, `weight_g`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

MELS = {
    "sampling_rate": 22050,
    "n_fft": 1024,
    "hop_size": 256,
    "win_size": 1024,
    "num_mels": 80,
    "fmin": 0,
    "fmax": 8000,
}
# As published, with a few of the keys that only training reads.
V1: dict[str, Any] = {
    **MELS,
    "resblock": "1",
    "batch_size": 16,
    "learning_rate": 0.0002,
    "upsample_rates": [8, 8, 2, 2],
    "upsample_kernel_sizes": [16, 16, 4, 4],
    "upsample_initial_channel": 512,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "segment_size": 8192,
    "fmax_for_loss": None,
}
V2 = {**V1, "upsample_initial_channel": 128}
V3 = {
    **V1,
    "resblock": "2",
    "upsample_rates": [8, 8, 4],
    "upsample_kernel_sizes": [16, 16, 8],
    "upsample_initial_channel": 256,
    "resblock_kernel_sizes": [3, 5, 7],
    "resblock_dilation_sizes": [[1, 2], [2, 6], [3, 12]],
}
SMALL = {**V1, "upsample_initial_channel": 16}  # as deep as V1, seconds faster

Shapes = dict[str, tuple[int, ...]]


def shapes_of(config: dict[str, Any]) -> Shapes:
    """Name and shape of every tensor of a published generator."""
    channels = config["upsample_initial_channel"]
    shapes = convolution("conv_pre", channels, config["num_mels"], 7)
    block = 0
    for stage, kernel in enumerate(config["upsample_kernel_sizes"]):
        # a transposed convolution's first dimension is what comes in
        shapes |= convolution(f"ups.{stage}", channels, channels // 2, kernel, bias=channels // 2)
        channels //= 2
        for size, dilations in zip(
            config["resblock_kernel_sizes"], config["resblock_dilation_sizes"], strict=True
        ):
            for number, _ in enumerate(dilations):
                for kind in ("convs1", "convs2") if config["resblock"] == "1" else ("convs",):
                    name = f"resblocks.{block}.{kind}.{number}"
                    shapes |= convolution(name, channels, channels, size)
            block += 1
    return shapes | convolution("conv_post", 1, channels, 7)


def convolution(name: str, rows: int, columns: int, kernel: int, bias: int | None = None) -> Shapes:
    return {
        f"{name}.bias": (rows if bias is None else bias,),
        f"{name}.weight_g": (rows, 1, 1),
        f"{name}.weight_v": (rows, columns, kernel),
    }


def weights_of(config: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights that neither fade nor saturate."""
    generator = torch.Generator().manual_seed(seed)

    def value(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        if name.endswith("weight_g"):
            return 0.5 + torch.rand(shape, generator=generator)
        scale = 0.1 if name.endswith("bias") else 1.0
        return scale * torch.randn(shape, generator=generator)

    return {name: value(name, shape) for name, shape in shapes_of(config).items()}


def spoken(config: dict[str, Any], weights: dict[str, Tensor], mel: Tensor) -> Tensor:
    """What a published generator says of a mel (bands, T), as the paper has it: (T * hop,).

    Written down from sections 2.1 and 2.2 and appendix A.1, plain functions over the file's own
    tensors; nothing of it is the trainer's.
    """

    def weight(name: str) -> Tensor:
        direction = weights[f"{name}.weight_v"]
        length = direction.flatten(1).norm(dim=1).view(-1, 1, 1)
        return weights[f"{name}.weight_g"] * direction / length

    def leaky(x: Tensor, slope: float = 0.1) -> Tensor:
        return torch.where(x > 0, x, slope * x)

    def same(name: str, x: Tensor, dilation: int = 1) -> Tensor:
        kernel = weight(name)
        padding = dilation * (kernel.shape[2] - 1) // 2
        bias = weights[f"{name}.bias"]
        return functional.conv1d(x, kernel, bias, padding=padding, dilation=dilation)

    def block(name: str, dilations: list[int], x: Tensor) -> Tensor:
        for number, dilation in enumerate(dilations):
            if config["resblock"] == "2":
                x = x + same(f"{name}.convs.{number}", leaky(x), dilation)
                continue
            inner = same(f"{name}.convs1.{number}", leaky(x), dilation)
            x = x + same(f"{name}.convs2.{number}", leaky(inner))
        return x

    x = same("conv_pre", mel[None])
    blocks = config["resblock_dilation_sizes"]
    stages = zip(config["upsample_rates"], config["upsample_kernel_sizes"], strict=True)
    for stage, (rate, kernel) in enumerate(stages):
        name = f"ups.{stage}"
        x = functional.conv_transpose1d(
            leaky(x), weight(name), weights[f"{name}.bias"], rate, (kernel - rate) // 2
        )
        first = stage * len(blocks)
        made = [block(f"resblocks.{first + k}", each, x) for k, each in enumerate(blocks)]
        x = sum(made[1:], made[0]) / len(made)
    return torch.tanh(same("conv_post", leaky(x, 0.01)))[0, 0]


def published(
    folder: Path,
    config: dict[str, Any],
    weights: dict[str, torch.Tensor] | None = None,
    name: str = "g_02500000",
) -> Path:
    """Write a checkpoint as it would be published; returns the path of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=4))
    torch.save({"generator": weights_of(config) if weights is None else weights}, folder / name)
    return folder / name

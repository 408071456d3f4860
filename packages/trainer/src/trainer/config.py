"""Settings of a run: TOML -> frozen dataclasses, every default visible here.

    [model]   what is trained
    [optim]   how it is optimised
    [train]   how long, on what batches, from what seed

`configs/models/*.toml` hold such tables; `--set train.batch_size=32` overrides one key. The
resolved settings are copied into the run as config.toml.
"""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from corpuskit.config import from_mapping, load_toml, to_mapping, with_settings
from corpuskit.errors import BadSetting
from trainer.schedule import peak

__all__ = [
    "CADENCE",
    "FEW",
    "FITTED_SPEAKERS",
    "ModelConfig",
    "OptimConfig",
    "RunConfig",
    "TrainConfig",
    "determining",
    "find_model",
    "idle",
    "resolve",
    "with_defaults",
]

# [train] keys that change no weight at a given step
CADENCE = ("epochs", "memory", "best_by", "save_every", "samples", "patience", "vocoder")

FITTED_SPEAKERS = 8  # with model.linear or model.kernel: every direction has weights of its own

# configs/models/few.toml, for workspaces that have no such file
FEW: dict[str, dict[str, Any]] = {
    "model": {
        "width": 96,
        "attention_dim": 96,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "feed_forward": 2,
        "dropout": 0.1,
        "variance_channels": 96,
        "variance_dropout": 0.3,
        "pitch_layers": 3,
        "postnet_layers": 3,
        "postnet_channels": 96,
        "postnet_dropout": 0.2,
        "kernel": 0.95,
    },
    "optim": {"warm_up": 400, "max_lr_scale": 0.03, "ema": 0.995},
    "train": {
        "epochs": 300,
        "batch_size": 4,
        "group_size": 4,
        "save_every": 50,
        "patience": 60,
    },
}


def _require(good: bool, key: str, problem: str, remedy: str) -> None:
    if not good:
        raise BadSetting(f"{key} {problem}", remedy)


def _require_positive(table: str, settings: object, *keys: str) -> None:
    for key in keys:
        value = getattr(settings, key)
        _require(value >= 1, f"{table}.{key}", f"is {value}", "use at least 1")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network; sizes are channels unless a comment says otherwise."""

    kind: Literal["fs2vc"] = "fs2vc"
    reduction: int = 3  # frames stacked into one; equal to the version's align.reduction
    mels: int = 80  # bands; equal to the version's features.mels
    width: int = 256
    attention_dim: int = 384
    heads: int = 2
    encoder_layers: int = 4  # Conformer blocks
    decoder_layers: int = 4  # Conformer blocks
    feed_forward: int = 4  # times the width
    conv_kernel: int = 7  # reduced frames
    dropout: float = 0.2
    variance_channels: int = 256
    variance_dropout: float = 0.5
    duration_layers: int = 2  # kernel 3
    pitch_layers: int = 5
    pitch_kernel: int = 5  # reduced frames
    pitch_ar: Literal["off", "on", "phrase"] = "off"  # autoregressive; phrase: anew in each
    energy_layers: int = 2
    energy_kernel: int = 3  # reduced frames
    postnet_layers: int = 5
    postnet_channels: int = 512
    postnet_kernel: int = 5  # frames
    postnet_dropout: float = 0.5
    align: Literal["dtw", "search"] = "dtw"  # durations: the dataset's, or found by the model
    align_weight: float = 2.0  # of the search in the loss
    prosody: Literal["none", "wgmm"] = "none"  # wgmm: vectors of phrases from Gaussian mixtures
    prosody_size: int = 256  # of a vector
    prosody_components: int = 10  # Gaussians of a phrase's mixture
    prosody_global_components: int = 10  # of an utterance's
    prosody_weight: float = 0.02  # of the phrases' likelihood in the loss
    prosody_global_weight: float = 0.02  # of the utterances'
    linear: float = 0.0  # share of a linear conversion in the mel that is scored and used
    kernel: float = 0.0  # share of a kernel regression there
    target_speaker: Literal["decoder", "variance"] = "decoder"  # where its voice enters first
    detach_pitch: bool = True  # the pitch predictor's loss does not reach the encoder
    detach_energy: bool = False
    detach_duration: bool = False

    def __post_init__(self) -> None:
        _require_positive(
            "model",
            self,
            *("reduction", "mels", "width", "heads", "encoder_layers", "decoder_layers"),
            *("feed_forward", "variance_channels", "duration_layers", "pitch_layers"),
            *("energy_layers", "postnet_layers", "postnet_channels"),
            *("prosody_components", "prosody_global_components"),
        )
        _require(
            self.prosody_size >= 2 and self.prosody_size % 2 == 0,
            "model.prosody_size",
            f"is {self.prosody_size}",
            "use an even number: half of it is heard forwards, half backwards",
        )
        for key in ("align_weight", "prosody_weight", "prosody_global_weight"):
            weight = getattr(self, key)
            _require(weight >= 0, f"model.{key}", f"is {weight}", "use 0 or more")
        _require(
            self.attention_dim >= 1 and self.attention_dim % (2 * self.heads) == 0,
            "model.attention_dim",
            f"is {self.attention_dim} with {self.heads} heads",
            "use a multiple of twice model.heads: positions are rotations of channel pairs",
        )
        for key in ("conv_kernel", "pitch_kernel", "energy_kernel", "postnet_kernel"):
            kernel = getattr(self, key)
            _require(
                kernel >= 1 and kernel % 2 == 1,
                f"model.{key}",
                f"is {kernel}",
                "use an odd number, so that frames stay in place",
            )
        for key in ("linear", "kernel"):
            share = getattr(self, key)
            _require(0 <= share <= 1, f"model.{key}", f"is {share}", "use 0.0 to 1.0")
        _require(
            self.linear + self.kernel <= 1,
            "model.kernel",
            f"is {self.kernel} beside model.linear = {self.linear}",
            "use shares that sum to 1.0 at most",
        )
        for key in ("dropout", "variance_dropout", "postnet_dropout"):
            share = getattr(self, key)
            _require(0 <= share < 1, f"model.{key}", f"is {share}", "use 0.0 up to below 1.0")


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """Adam and the learning rate's course; steps are optimiser steps."""

    warm_up: int = 4000  # steps; keep warm_up * train.batch_size constant
    max_lr_scale: float = 0.016  # cap of the schedule before its factor 256^-0.5; 0 = no cap
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    clip: float = 1.0  # largest gradient norm
    lr_limit: float = 2e-3  # a schedule that peaks above this is refused
    ema: float = 0.0  # decay per step of the running mean of weights that is used; 0 = the last

    def __post_init__(self) -> None:
        _require_positive("optim", self, "warm_up")
        _require(
            self.max_lr_scale >= 0,
            "optim.max_lr_scale",
            f"is {self.max_lr_scale}",
            "use a positive scale, or 0 for no cap",
        )
        for beta in self.betas:
            _require(0 <= beta < 1, "optim.betas", f"hold {beta}", "use 0.0 up to below 1.0")
        for key in ("eps", "clip", "lr_limit"):
            value = getattr(self, key)
            _require(value > 0, f"optim.{key}", f"is {value}", "use a positive number")
        _require(
            0 <= self.ema < 1,
            "optim.ema",
            f"is {self.ema}",
            "use 0 (off) up to below 1, e.g. 0.999",
        )

    @property
    def cap(self) -> float | None:
        """The schedule's cap, None when there is none."""
        return self.max_lr_scale or None


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Length, batches, randomness and precision of a training."""

    epochs: int = 50
    batch_size: int = 8  # pairs a step
    group_size: int = 4  # batches drawn together and sorted by length
    accumulate: int = 1  # parts a batch is computed in: the same step in less memory
    freeze: tuple[str, ...] = ()  # parts of a fine-tuned model that stay as the parent's
    seed: int = 0
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"  # auto: bf16 on CUDA, else fp32
    compile: Literal["auto", "graphs", "off"] = "auto"  # auto: steps as CUDA graphs on CUDA
    memory: Literal["auto", "device", "disk"] = "auto"  # where frames stand; disk: mapped files
    best_by: Literal["total", "mel", "postnet", "duration", "pitch", "energy"] = "postnet"  # of dev
    save_every: int = 10  # epochs between kept checkpoints; last and best are always kept
    statistics: Literal["auto", "parent", "own"] = "auto"  # auto: the parent's when fine-tuning
    samples: int = 2  # dev pairs drawn (and heard) at every kept checkpoint
    vocoder: str = "world"  # what makes sound: world, griffinlim, hifigan:PATH, a tag
    patience: int = 0  # epochs without a lower best_by before training ends; 0 = all epochs

    def __post_init__(self) -> None:
        _require_positive("train", self, "epochs", "batch_size", "group_size", "save_every")
        _require(
            1 <= self.accumulate <= self.batch_size,
            "train.accumulate",
            f"is {self.accumulate} with train.batch_size {self.batch_size}",
            "use 1 (all at once) up to the batch size",
        )
        for key in ("seed", "samples", "patience"):
            value = getattr(self, key)
            _require(value >= 0, f"train.{key}", f"is {value}", "use 0 or more")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything about a run that is a setting."""

    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


def resolve(start: Mapping[str, Any], settings: Sequence[str], where: str) -> RunConfig:
    """Lay "key=value" settings over plain tables and check the whole.

    Raises
    ------
    BadSetting
        Unknown key (the nearest known one is named), wrong type or value out of range.
    """
    return from_mapping(RunConfig, with_settings(start, settings), where)


def determining(config: RunConfig) -> dict[str, Any]:
    """Return the settings that determine a run's weights at a given step, as plain values."""
    mapping: dict[str, Any] = to_mapping(config)
    for key in CADENCE:
        del mapping["train"][key]
    return mapping


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's settings; one that came later has its default, which is what was done then."""
    usual = _defaults()
    return {name: {**usual[name], **mine} for name, mine in config.items()}


@functools.cache
def _defaults() -> Mapping[str, Mapping[str, Any]]:
    usual: Mapping[str, Mapping[str, Any]] = to_mapping(RunConfig())
    return usual


def idle(config: Mapping[str, Any]) -> set[str]:
    """Name the settings that change no number of a training with these settings."""
    model, optim = config["model"], config["optim"]
    keys = {"optim.lr_limit"}
    if model["prosody"] == "none":
        keys |= {f"model.{key}" for key in model if key.startswith("prosody_")}
    if model["align"] == "dtw":
        keys.add("model.align_weight")
    if peak(optim["warm_up"], optim["max_lr_scale"]) == peak(optim["warm_up"], None):
        keys.add("optim.max_lr_scale")  # the cap never acts
    return keys


def find_model(option: str, kind: str = "models") -> tuple[dict[str, Any], str]:
    """Return the tables of `--model` and where they came from.

    `option` is a path to a TOML, or a bare name looked up in configs/models/ (or another `kind`);
    "few" is known without a file, too.

    Raises
    ------
    BadSetting
        There is no such file; the nearest bare name is told.
    """
    folder = Path("configs") / kind
    named = folder / f"{option}.toml"
    if "/" not in option and not option.endswith(".toml") and named.is_file():
        return load_toml(named), str(named)
    path = Path(option)
    if path.is_file():
        return load_toml(path), str(path)
    if option == "few" and kind == "models":
        return copy.deepcopy(FEW), option
    known = sorted(each.stem for each in folder.glob("*.toml")) if folder.is_dir() else []
    close = difflib.get_close_matches(Path(option).stem, known, n=1, cutoff=0.5)
    raise BadSetting(
        f"no model {option!r}: neither a TOML file nor a name in {folder}",
        f"did you mean {close[0]}?" if close else "known here: " + (", ".join(known) or "none"),
    )

"""Public HiFi-GAN checkpoints: weights under the published names, config.json beside them.

    generator_v1, g_02500000, ...    a torch file {"generator": {name: tensor}}, or safetensors
    config.json                      the generator's sizes, and the mels it was trained on

Nothing in a file is run: what would need code to be loaded is refused.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from corpuskit.config import FeatureConfig, from_mapping, to_mapping
from corpuskit.errors import BadSetting
from corpuskit.files import canonical, read_json
from trainer.errors import BadVocoder
from trainer.vocoders.config import GeneratorConfig
from trainer.vocoders.generator import Generator

__all__ = ["MelConfig", "Public", "fused", "public_names", "read"]

_RENAMED = {
    ".parametrizations.weight.original0": ".weight_g",
    ".parametrizations.weight.original1": ".weight_v",
}


@dataclass(frozen=True, kw_only=True)
class MelConfig:
    """The mels a vocoder was trained on, under the names of its config.json."""

    sampling_rate: int  # Hz
    n_fft: int  # samples
    hop_size: int  # samples
    win_size: int  # samples
    num_mels: int  # bands
    fmin: float  # Hz
    fmax: float | None  # Hz; None: half the rate

    def check(
        self,
        settings: FeatureConfig,
        rate: int,
        label: str,
        remedy: str = "use a vocoder trained on such mels",
    ) -> None:
        """Make sure that mels made with `settings` at `rate` Hz are such mels.

        Raises
        ------
        BadSetting
            They are not; every field that differs is named, with both values.
        """
        highest = self.sampling_rate / 2 if self.fmax is None else self.fmax
        pairs = {
            "sampling_rate": (self.sampling_rate, "audio.rate", rate),
            "n_fft": (self.n_fft, "features.n_fft", settings.n_fft),
            "hop_size": (self.hop_size, "features.hop_length", settings.hop_length),
            "win_size": (self.win_size, "features.win_length", settings.win_length),
            "num_mels": (self.num_mels, "features.mels", settings.mels),
            "fmin": (self.fmin, "features.fmin", settings.fmin),
            "fmax": (highest, "features.fmax", settings.fmax),
        }
        other = {name: each for name, each in pairs.items() if each[0] != each[2]}
        if other:
            told = ", ".join(
                f"{name} {theirs:g} (the dataset's {key} is {ours:g})"
                for name, (theirs, key, ours) in other.items()
            )
            wanted = " ".join(f"--set {key}={theirs:g}" for theirs, key, _ in other.values())
            raise BadSetting(
                f"{label} was trained on other mels: {told}",
                f"{remedy}, or build a version with {wanted}",
            )


@dataclass(frozen=True, kw_only=True)
class Public:
    """A checkpoint as read: sizes, mels and weights that fit each other."""

    config: GeneratorConfig
    mels: MelConfig
    weights: Mapping[str, Tensor]  # of `Generator(config)`, float32 on the CPU

    @property
    def digest(self) -> str:
        """SHA-256 of sizes and weights: equal however they were stored."""
        hasher = hashlib.sha256(canonical(to_mapping(self.config)).encode())
        for name in sorted(self.weights):
            hasher.update(f"\n{name}\n".encode())
            hasher.update(self.weights[name].contiguous().numpy().tobytes())
        return hasher.hexdigest()


def read(path: Path) -> Public:
    """Read a public checkpoint and the config.json beside it.

    Raises
    ------
    BadVocoder
        A file is missing, damaged, no generator's, or needs code to be loaded; or the weights do
        not fit the configuration.
    BadSetting
        config.json lacks a key, or holds a value that is no generator's.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise BadVocoder(f"vocoder {path} {what}", "name the file of the generator's weights")
    config, mels = _read_config(path.parent / "config.json", path)
    weights = fused(_generator_part(_tensors(path), path), f"vocoder {path}")
    _check_fit(config, weights, path)
    return Public(config=config, mels=mels, weights=weights)


# ------------------------------------------------------------------ configuration


def _read_config(path: Path, weights: Path) -> tuple[GeneratorConfig, MelConfig]:
    if not path.is_file():
        raise BadVocoder(
            f"vocoder {weights} has no config.json beside it",
            "put the one it was published with there: it says which mels it was trained on",
        )
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise BadVocoder(f"{path} cannot be read ({error})", "fetch it again") from None
    if not isinstance(found, dict):
        raise BadVocoder(f"{path} is no table of settings", "fetch it again")
    if isinstance(found.get("resblock"), int):
        found["resblock"] = str(found["resblock"])
    sizes = _known(GeneratorConfig, found, path)
    mels = from_mapping(MelConfig, _known(MelConfig, {"fmax": None, **found}, path), str(path))
    config = from_mapping(GeneratorConfig, sizes, str(path))
    if config.hop != mels.hop_size:
        raise BadSetting(
            f"{path}: upsample_rates multiply to {config.hop}, hop_size is {mels.hop_size}",
            "fetch the config.json these weights were published with",
        )
    return config, mels


def _known(cls: type, found: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Pick the keys of `cls`: a config.json also says how the vocoder was trained."""
    names = [each.name for each in fields(cls)]
    for name in names:
        if name not in found:
            raise BadSetting(
                f"{path}: {name} is missing", "fetch the config.json these weights came with"
            )
    return {name: found[name] for name in names}


# ------------------------------------------------------------------------ weights


def _tensors(path: Path) -> Any:
    """Load what a file holds, without running anything in it."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise _damaged(path, error) from None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "nsupported" in str(error):  # a class or operation that is no tensor's
            raise BadVocoder(
                f"vocoder {path} needs code of its own to be loaded, which could do anything",
                "use a file of tensors alone, best a .safetensors",
            ) from None
        raise _damaged(path, error) from None
    except Exception as error:  # torch tells damage by many kinds, down to AttributeError
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> BadVocoder:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return BadVocoder(f"vocoder {path} is damaged or no checkpoint ({first})", "fetch it again")


def _generator_part(loaded: Any, path: Path) -> dict[str, Tensor]:
    """Return the generator's tensors of what a file holds, under the names of weight norm."""
    found = loaded.get("generator", loaded) if isinstance(loaded, Mapping) else None
    if not (
        isinstance(found, Mapping)
        and found
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items())
    ):
        held = ", ".join(map(str, loaded)) if isinstance(loaded, Mapping) else "something else"
        raise BadVocoder(
            f"vocoder {path} holds no generator (it holds {_few([held])})",
            "name the generator's file, g_... or generator_...",
        )
    odd = {name for name, value in found.items() if not _is_plain(value)}
    if odd:
        raise BadVocoder(
            f"vocoder {path} holds {_few(odd)} in a form that is no generator's "
            "(sparse, quantised or complex)",
            "store plain tensors",
        )
    return public_names(found)


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_complex())


def public_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under weight norm's published names, `weight_g` and `weight_v`."""

    def renamed(name: str) -> str:
        for ending, usual in _RENAMED.items():
            name = name.replace(ending, usual)
        return name

    return {renamed(name): value for name, value in tensors.items()}


def fused(tensors: Mapping[str, Tensor], label: str) -> dict[str, Tensor]:
    """Return float32 weights without weight normalisation: v scaled to norm g, row by row.

    Salimans and Kingma, "Weight normalization" (2016); a row is of the first dimension.

    Raises
    ------
    BadVocoder
        There are not as many norms as rows.
    """
    weights = {name: value.float() for name, value in tensors.items()}
    for name in [name for name in weights if name.endswith(".weight_v")]:
        part = name.removesuffix("_v")
        norms = weights.pop(f"{part}_g", None)
        if norms is not None:
            rows = weights.pop(name).flatten(1)
            weights[part] = _scaled(rows, norms, f"{label}: {part}").view(tensors[name].shape)
    return weights


def _scaled(rows: Tensor, norms: Tensor, part: str) -> Tensor:
    if norms.numel() != len(rows):
        raise BadVocoder(
            f"{part}_g holds {norms.numel()} norms for {len(rows)} rows",
            "fetch it again",
        )
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows * (norms.view(-1, 1) / lengths)


def _check_fit(config: GeneratorConfig, weights: Mapping[str, Tensor], path: Path) -> None:
    """Make sure that weights are those of the generator config.json describes."""
    remedy = "use the config.json these weights were published with"
    try:
        with torch.device("meta"):
            expected = {name: value.shape for name, value in Generator(config).state_dict().items()}
    except RuntimeError:  # sizes that overflow
        raise BadVocoder(
            f"vocoder {path}: config.json describes a generator too large for any machine", remedy
        ) from None
    missing = expected.keys() - weights.keys()
    if missing:
        raise BadVocoder(f"vocoder {path} lacks {_few(missing)}", remedy)
    more = weights.keys() - expected.keys()
    if more:
        problem = f"vocoder {path} holds {_few(more)}, which config.json has no place for"
        raise BadVocoder(problem, remedy)
    for name, shape in expected.items():
        if weights[name].shape != shape:
            found, wanted = (tuple(each) for each in (weights[name].shape, shape))
            raise BadVocoder(
                f"vocoder {path}: {name} has shape {found}, config.json wants {wanted}", remedy
            )
        if not weights[name].isfinite().all():
            raise BadVocoder(
                f"vocoder {path}: {name} holds values that are no numbers", "fetch it again"
            )


def _few(names: Iterable[str]) -> str:
    first = sorted(names)
    return ", ".join(first[:3]) + (f" and {len(first) - 3} more" if len(first) > 3 else "")

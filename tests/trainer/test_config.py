"""Settings of a run: what is wrong is named, and what determines a run is told apart."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from corpuskit.config import dump_toml, from_mapping, to_mapping
from corpuskit.errors import BadSetting
from trainer.config import (
    CADENCE,
    ModelConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
    determining,
    find_model,
    resolve,
)

TABLES = {"model": ModelConfig, "optim": OptimConfig, "train": TrainConfig}
# a second, allowed value of every setting
OTHER = {
    "model.kind": None,  # there is one kind only
    "model.attention_dim": 64,
    "model.conv_kernel": 9,
    "model.linear": 0.5,
    "model.kernel": 0.5,
    "model.pitch_ar": "phrase",
    "model.align": "search",
    "model.prosody": "wgmm",
    "model.prosody_size": 64,
    "model.target_speaker": "variance",
    "model.pitch_kernel": 7,
    "model.energy_kernel": 5,
    "model.postnet_kernel": 3,
    "optim.betas": [0.8, 0.99],
    "optim.ema": 0.999,
    "train.best_by": "total",
    "train.vocoder": "griffinlim",
    "train.freeze": ["encoder"],
    "train.precision": "fp32",
    "train.compile": "off",
    "train.memory": "disk",
    "train.statistics": "own",
}
FIELDS = [
    f"{table}.{field.name}" for table, cls in TABLES.items() for field in dataclasses.fields(cls)
]


def changed(key: str) -> RunConfig:
    """The defaults with one setting changed."""
    table, name = key.split(".")
    value = getattr(getattr(RunConfig(), table), name)
    if key in OTHER:
        new = OTHER[key]
    elif isinstance(value, bool):
        new = not value
    elif isinstance(value, int):
        new = value + 1
    else:
        new = value / 2
    if key == "model.heads":
        new = 4
    return from_mapping(RunConfig, {table: {name: new}}, "the test")


@pytest.mark.parametrize("key", [key for key in FIELDS if key != "model.kind"])
def test_every_setting_but_the_cadence_determines_a_run(key: str) -> None:
    same = determining(changed(key)) == determining(RunConfig())

    assert same == (key in {f"train.{name}" for name in CADENCE})


def test_the_resolved_settings_survive_toml() -> None:
    config = resolve({}, ["train.batch_size=32", "optim.max_lr_scale=0"], "the test")

    again = from_mapping(RunConfig, tomllib.loads(dump_toml(to_mapping(config))), "the test")

    assert again == config
    assert config.train.batch_size == 32
    assert config.optim.cap is None


def test_options_are_laid_over_a_file() -> None:
    config = resolve({"train": {"seed": 4, "epochs": 7}}, ["train.seed=5"], "x.toml")

    assert (config.train.seed, config.train.epochs) == (5, 7)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("train.batchsize=3", "did you mean 'train.batch_size'"),
        ("optm.clip=1", "did you mean 'optim'"),
        ("train.batch_size=0", "use at least 1"),
        ("train.batch_size=eight", "must be a whole number"),
        ("train.precision=fp8", "it can be 'auto', 'bf16', 'fp16', 'fp32'"),
        ("train.seed=-1", "use 0 or more"),
        ("model.kind=fs2", "did you mean 'fs2vc'"),
        ("model.dropout=1.0", "up to below 1.0"),
        ("model.conv_kernel=8", "use an odd number"),
        ("model.attention_dim=30", "twice model.heads"),
        ("model.heads=0", "use at least 1"),
        ("optim.betas=[0.9]", "must have 2 values"),
        ("optim.betas=[0.9, 1.0]", "up to below 1.0"),
        ("optim.clip=0", "use a positive number"),
        ("optim.clip=nan", "must be a finite number"),
        ("optim.max_lr_scale=-1", "or 0 for no cap"),
        ("train.epochs", "is not KEY=VALUE"),
    ],
)
def test_what_cannot_be_used_is_named_with_a_remedy(setting: str, told: str) -> None:
    with pytest.raises(BadSetting) as raised:
        resolve({}, [setting], "the defaults + options")

    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs" / "models"
    folder.mkdir(parents=True)
    (folder / "tiny.toml").write_text("[model]\nwidth = 32\n")
    return folder


def test_a_model_is_found_by_name_or_path(models: Path) -> None:
    (models.parent.parent / "mine.toml").write_text("[model]\nwidth = 64\n")

    assert find_model("tiny") == ({"model": {"width": 32}}, "configs/models/tiny.toml")
    assert find_model("mine.toml")[0] == {"model": {"width": 64}}
    assert find_model(str(models / "tiny.toml"))[0] == {"model": {"width": 32}}


@pytest.mark.parametrize("name", ["tyni", "./tyni.toml", "configs/models/tyni.toml"])
def test_an_unknown_model_names_the_nearest(models: Path, name: str) -> None:
    with pytest.raises(BadSetting, match="did you mean tiny"):
        find_model(name)


def test_without_any_model_file_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(BadSetting, match="known here: none"):
        find_model("tiny")

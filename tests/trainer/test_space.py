"""The TOML of a search: what it may say, and what is refused by name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from corpuskit.config import to_mapping
from corpuskit.errors import BadSetting
from trainer.config import ModelConfig, RunConfig, resolve
from trainer.losses import TOTAL, reported_weights
from trainer.space import (
    LOSSES,
    Choice,
    Range,
    SearchConfig,
    Space,
    read_space,
    setting,
    space_of,
)

ROOT = Path(__file__).resolve().parents[2]


def read(folder: Path, text: str) -> Space:
    (folder / "space.toml").write_text(text, encoding="utf-8")
    return read_space(folder / "space.toml")


def test_all_a_space_can_say(tmp_path: Path) -> None:
    space = read(
        tmp_path,
        """
        [search]
        objectives = ["pitch", "postnet"]
        trials = 40
        sampler = "nsga2"
        [space]
        "optim.warm_up" = { low = 500, high = 8000, log = true }
        optim.max_lr_scale = { low = 0, high = 1 }
        [space.train]
        batch_size = { low = 4, high = 17, step = 4 }
        [space.model]
        pitch_ar = ["off", "on"]
        dropout = { low = 0.1, high = 0.45, step = 0.1 }
        detach_pitch = [true, false]
        """,
    )

    assert space.config.objectives == ("pitch", "postnet")
    assert (space.config.trials, space.config.sampler) == (40, "nsga2")
    found = {each.key: each for each in space.parameters}
    assert found == {
        "optim.warm_up": Range(key="optim.warm_up", low=500, high=8000, log=True, whole=True),
        "optim.max_lr_scale": Range(key="optim.max_lr_scale", low=0, high=1),
        "model.pitch_ar": Choice(key="model.pitch_ar", values=("off", "on")),
        "train.batch_size": Range(key="train.batch_size", low=4, high=16, step=4, whole=True),
        "model.dropout": Range(key="model.dropout", low=0.1, high=0.4, step=0.1),
        "model.detach_pitch": Choice(key="model.detach_pitch", values=(True, False)),
    }


def test_what_is_kept_reads_back_as_it_was(tmp_path: Path) -> None:
    text = """
        [search]
        prune = "mel"
        [space]
        optim.warm_up = { low = 500, high = 8000 }
        model.dropout = { low = 0, high = 0.4, step = 0.1 }
        model.heads = [1, 2]
    """
    space = read(tmp_path, text)

    assert space_of(space.as_mapping(), "search.json") == space


def test_known_losses_are_those_that_are_measured() -> None:
    everything = ModelConfig(align="search", prosody="wgmm")
    assert set(LOSSES) == {TOTAL, *reported_weights(everything)}


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"optim.warmup": [1, 2]}, "no setting 'optim.warmup'; did you mean 'optim.warm_up'?"),
        ({"optim": {"warmup": [1, 2]}}, "no setting 'optim.warmup'; did you mean 'optim.warm_up'"),
        ({"warm_up": [1, 2]}, "no setting 'warm_up'; did you mean 'optim.warm_up'?"),
        ({"optim.warm_up": 4}, "optim.warm_up is 4; give a list of values, or a table"),
        ({"optim.warm_up": []}, "optim.warm_up has no value"),
        ({"optim.warm_up": [5, 5]}, "optim.warm_up lists a value twice"),
        ({"optim.warm_up": [5, 5.5]}, "optim.warm_up must be a whole number, not 5.5"),
        ({"optim.betas": [[0.9, 0.98]]}, "optim.betas may not be [0.9, 0.98]"),
        ({"model.pitch_ar": ["of"]}, "model.pitch_ar is 'of'; did you mean 'off'?"),
        ({"model.pitch_ar": {"low": 1, "high": 2}}, "model.pitch_ar is no number"),
        ({"model.detach_pitch": {"low": 0, "high": 1}}, "model.detach_pitch is no number"),
        ({"optim.warm_up": {"low": 1}}, "optim.warm_up needs a number for 'high'"),
        ({"optim.warm_up": {"low": 1, "high": True}}, "needs a number for 'high'"),
        ({"optim.warm_up": {"low": 1.5, "high": 3}}, "optim.warm_up is a whole number"),
        ({"optim.warm_up": {"low": 9, "high": 3}}, "low 9 is not below high 3"),
        ({"optim.warm_up": {"low": 0, "high": 3, "log": True}}, "log needs a low above 0"),
        ({"optim.warm_up": {"low": 1, "high": 3, "log": 1}}, "has log = 1; use true or false"),
        ({"optim.warm_up": {"low": 1, "high": 9, "stpe": 2}}, "no 'stpe'; did you mean step?"),
        ({"optim.warm_up": {"low": 1, "high": 9, "step": 9}}, "step 9 does not fit"),
        (
            {"optim.warm_up": {"low": 1, "high": 9, "log": True, "step": 2}},
            "log and step do not go together",
        ),
        ({"model.dropout": {"low": 0, "high": float("inf")}}, "high = inf; use a finite number"),
        ({"train.epochs": [1, 2]}, "train.epochs changes no weight"),
        ({"train.statistics": ["own", "parent"]}, "changes the units of the losses"),
        ({}, "[space] names no setting"),
    ],
)
def test_what_is_no_space_is_refused_by_name(space: dict[str, Any], told: str) -> None:
    with pytest.raises(BadSetting) as caught:
        space_of({"space": space}, "s.toml")

    assert str(caught.value).startswith("s.toml: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"objective": ["mel"]}, "unknown key 'objective'; did you mean 'objectives'?"),
        ({"objectives": ["post"]}, "there is no loss 'post'; did you mean postnet?"),
        ({"objectives": []}, "search.objectives is empty"),
        ({"objectives": ["mel", "mel"]}, "names a loss twice"),
        ({"prune": "picth"}, "there is no loss 'picth'; did you mean pitch?"),
        ({"objectives": ["mel", "pitch"], "prune": "mel"}, "does not go with several objectives"),
        ({"sampler": "tpa"}, "sampler is 'tpa'; did you mean 'tpe'?"),
        ({"pruner": "mean"}, "pruner is 'mean'; did you mean 'median'?"),
        ({"trials": 0}, "search.trials is 0; use 1 or more"),
        ({"startup": 1}, "search.startup is 1; use 2 or more"),
        ({"seed": -1}, "search.seed is -1; use 0 or more"),
    ],
)
def test_what_is_no_search_is_refused_by_name(search: dict[str, Any], told: str) -> None:
    with pytest.raises(BadSetting) as caught:
        space_of({"search": search, "space": {"optim.warm_up": [1, 2]}}, "s.toml")

    assert told in str(caught.value)


def test_unknown_tables_and_files(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"there is no table \[spaces\]; did you mean \[space\]\?"):
        read(tmp_path, '[spaces]\n"optim.warm_up" = [1, 2]')
    with pytest.raises(BadSetting, match=r"missing\.toml does not exist"):
        read_space(tmp_path / "missing.toml")


def test_a_value_only_the_others_forbid_is_left_to_the_trials() -> None:
    """3 heads do not go with the default's channels, but may with others that are drawn."""
    space = space_of({"space": {"model.heads": [2, 5], "model.attention_dim": [384, 400]}}, "t")
    assert [each.key for each in space.parameters] == ["model.heads", "model.attention_dim"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optim.warm_up", 300),
        ("model.dropout", 0.30000000000000004),
        ("optim.eps", 1e-9),
        ("model.pitch_ar", "on"),
        ("model.detach_pitch", False),
    ],
)
def test_a_drawn_value_arrives_as_it_was_drawn(key: str, value: Any) -> None:
    table, name = key.split(".")
    assert to_mapping(resolve({}, [setting(key, value)], "t"))[table][name] == value


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "searches").glob("*.toml")), ids=str)
def test_the_spaces_that_come_along_can_be_read(path: Path) -> None:
    space = read_space(path)
    settings = to_mapping(RunConfig())
    for each in space.parameters:
        table, name = each.key.split(".")
        assert name in settings[table]


def test_the_docs_name_every_key_with_its_default() -> None:
    text = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", text, re.MULTILINE))
    defaults = to_mapping(SearchConfig())
    assert {key: json.loads(value) for key, value in rows.items()} == defaults

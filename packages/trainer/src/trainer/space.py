"""The space of a search: a TOML that names settings, what each may be, and what is looked for.

[search]
objectives = ["postnet"]     # dev losses, the lower the better; several: a Pareto front
prune = "postnet"            # the loss by which hopeless trials are ended early; "" = none

[space]
"model.prosody_components" = [3, 5, 10]
"model.prosody_weight" = { low = 1e-4, high = 0.1, log = true }
"train.batch_size" = { low = 4, high = 16, step = 4 }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit.config import from_mapping, load_toml, to_mapping
from corpuskit.errors import BadSetting, nearest
from trainer.config import CADENCE, resolve

__all__ = [
    "LOSSES",
    "Choice",
    "Range",
    "SearchConfig",
    "Space",
    "Value",
    "read_space",
    "setting",
    "space_of",
]

LOSSES = (
    *("total", "mel", "postnet", "duration", "pitch", "energy"),
    *("align", "path", "phrase", "global"),
)
Value = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What is looked for, and how."""

    objectives: tuple[str, ...] = ("postnet",)  # dev losses
    prune: str = ""  # the loss a trial is ended by when it lags; "" = none is
    prune_after: int = 5  # trials, and epochs of each, before any is ended
    startup: int = 10  # trials drawn at random before the sampler learns from them
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.objectives:
            raise BadSetting("search.objectives is empty", "name a dev loss, e.g. postnet")
        for key, names in (("objectives", self.objectives), ("prune", (self.prune,))):
            for name in names:
                if name and name not in LOSSES:
                    close = nearest(name, LOSSES)
                    raise BadSetting(
                        f"search.{key}: there is no loss {name!r}",
                        f"did you mean {close[0]}?" if close else f"use {', '.join(LOSSES)}",
                    )
        if len(set(self.objectives)) < len(self.objectives):
            raise BadSetting("search.objectives names a loss twice", "name each once")
        if self.prune and len(self.objectives) > 1:
            raise BadSetting(
                "search.prune does not go with several objectives: no one of them says that a "
                "trial is hopeless",
                'set prune = ""',
            )
        for key in ("prune_after", "startup", "seed"):
            if getattr(self, key) < 0:
                raise BadSetting(f"search.{key} is {getattr(self, key)}", "use 0 or more")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of some values."""

    key: str
    values: tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number between two, both included."""

    key: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False  # an integer


@dataclass(frozen=True, kw_only=True)
class Space:
    """A search's TOML."""

    config: SearchConfig
    parameters: tuple[Choice | Range, ...]

    def as_mapping(self) -> dict[str, Any]:
        """Return it as plain values, to be compared and kept."""
        return {
            "search": to_mapping(self.config),
            "space": {each.key: _plain(each) for each in self.parameters},
        }


def read_space(path: Path) -> Space:
    """Read the space of a search.

    Raises
    ------
    BadSetting
        It cannot be read; a key, loss or setting nobody knows, with the nearest; a value a
        setting cannot have.
    """
    return space_of(load_toml(path), str(path))


def space_of(tables: Mapping[str, Any], where: str) -> Space:
    """Build a space from its tables."""
    for name in tables:
        if name not in ("search", "space"):
            raise BadSetting(f"{where}: there is no table [{name}]", "use [search] and [space]")
    config = from_mapping(SearchConfig, tables.get("search", {}), f"{where} [search]")
    wanted = tables.get("space", {})
    if not isinstance(wanted, Mapping) or not wanted:
        raise BadSetting(
            f"{where}: [space] names no setting", 'e.g. "optim.warm_up" = [1000, 2000, 4000]'
        )
    return Space(
        config=config,
        parameters=tuple(_parameter(key, value, where) for key, value in wanted.items()),
    )


def _parameter(key: str, value: Any, where: str) -> Choice | Range:
    if isinstance(value, list):
        return _choice(key, value, where)
    if not isinstance(value, Mapping):
        raise BadSetting(
            f"{where}: {key} is {value!r}", "give a list of values, or a table { low, high }"
        )
    for name in value:
        if name not in ("low", "high", "log", "step"):
            raise BadSetting(f"{where}: {key} has no {name!r}", "use low, high, log, step")
    low, high = (_number(key, value, name, where) for name in ("low", "high"))
    step = _number(key, value, "step", where) if "step" in value else None
    log = bool(value.get("log", False))
    whole = all(isinstance(value[name], int) for name in ("low", "high"))
    if whole and step is not None and not step.is_integer():
        raise BadSetting(f"{where}: {key} has whole bounds and step {step:g}", "use a whole step")
    _check_range(f"{where}: {key}", low, high, step, log=log)
    for edge in (low, high):
        _check_fits(key, int(edge) if whole else edge, where)
    return Range(key=key, low=low, high=high, log=log, step=step, whole=whole)


def _choice(key: str, values: list[Any], where: str) -> Choice:
    if not values:
        raise BadSetting(f"{where}: {key} has no value", "list what it may be")
    for each in values:
        if not isinstance(each, (bool, int, float, str)):
            raise BadSetting(f"{where}: {key} may not be {each!r}", "list numbers or words")
        _check_fits(key, each, where)
    if len({str(each) for each in values}) < len(values):
        raise BadSetting(f"{where}: {key} lists a value twice", "list each once")
    return Choice(key=key, values=tuple(values))


def _number(key: str, table: Mapping[str, Any], name: str, where: str) -> float:
    value = table.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadSetting(f"{where}: {key} needs a number for {name!r}", "{ low = 1, high = 8 }")
    return float(value)


def _check_range(what: str, low: float, high: float, step: float | None, *, log: bool) -> None:
    if not low < high:
        raise BadSetting(f"{what}: low {low:g} is not below high {high:g}", "exchange them")
    if log and low <= 0:
        raise BadSetting(f"{what}: log needs a low above 0", "raise low, or leave log out")
    if log and step is not None:
        raise BadSetting(f"{what}: log and step do not go together", "leave one out")
    if step is not None and step <= 0:
        raise BadSetting(f"{what}: step is {step:g}", "use more than 0")


def _check_fits(key: str, value: Value, where: str) -> None:
    """Refuse a setting nobody knows, and a value it can never have.

    Whether it fits the others is seen when a trial has them all.
    """
    if key.removeprefix("train.") in CADENCE:
        raise BadSetting(f"{where}: {key} changes no weight, so there is nothing to find")
    try:
        resolve({}, [setting(key, value)], where)
    except BadSetting as error:
        told = f"{error.problem} {error.remedy}"
        if any(sign in told for sign in ("unknown key", " must be ", "it can be ", "no table")):
            raise


def setting(key: str, value: Value) -> str:
    """Return a value as `--set` takes it."""
    return f"{key}={str(value).lower() if isinstance(value, bool) else value}"


def _plain(parameter: Choice | Range) -> Any:
    """Return a parameter as the TOML gives it."""
    if isinstance(parameter, Choice):
        return list(parameter.values)
    numbers = {key: getattr(parameter, key) for key in ("low", "high", "step")}
    told = {
        key: int(value) if parameter.whole else value
        for key, value in numbers.items()
        if value is not None
    }
    return {**told, "log": parameter.log}

"""The space of a search: a TOML that names settings, what each may be, and what is looked for.

[search]
objectives = ["postnet"]     # dev losses, the lower the better; several: a Pareto front
prune = "pitch"              # the loss by which hopeless trials are ended early; "" = none
sampler = "tpe"

[space]
"model.prosody_components" = [3, 5, 10]
"model.prosody_weight" = { low = 1e-4, high = 0.1, log = true }
"train.batch_size" = { low = 4, high = 16, step = 4 }

Settings have the names they have in `--set`; what is a whole number there is drawn as one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from corpuskit.config import from_mapping, load_toml, to_mapping
from corpuskit.errors import BadSetting, nearest
from trainer.config import CADENCE, RunConfig, resolve

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
    trials: int = 20  # results to have in all
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    startup: int = 10  # trials before the sampler learns from them; nsga2: of a generation
    seed: int = 0  # of the sampler
    prune: str = ""  # the loss a trial is ended by when it lags; "" = none is
    pruner: Literal["median", "hyperband"] = "median"
    prune_after: int = 5  # epochs a trial has at least; median: and trials before any is ended
    keep: Literal["best", "all"] = "best"  # whose checkpoints are kept

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
        for key, least in (("trials", 1), ("prune_after", 0), ("startup", 2), ("seed", 0)):
            if getattr(self, key) < least:
                raise BadSetting(f"search.{key} is {getattr(self, key)}", f"use {least} or more")


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
        """Return it as plain values, to be kept."""
        return {"search": to_mapping(self.config), **self._drawn_from()}

    def asked(self) -> dict[str, Any]:
        """Return what makes it another search: what is drawn from, what is told to the sampler."""
        told = {"objectives": list(self.config.objectives), "prune": self.config.prune}
        return {"search": told, **self._drawn_from()}

    def _drawn_from(self) -> dict[str, Any]:
        return {"space": {each.key: _plain(each) for each in self.parameters}}


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
            close = nearest(name, ("search", "space"))
            raise BadSetting(
                f"{where}: there is no table [{name}]",
                f"did you mean [{close[0]}]?" if close else "use [search] and [space]",
            )
    config = from_mapping(SearchConfig, tables.get("search", {}), f"{where} [search]")
    wanted = tables.get("space", {})
    if not isinstance(wanted, Mapping) or not wanted:
        raise BadSetting(
            f"{where}: [space] names no setting", 'e.g. "optim.warm_up" = [1000, 2000, 4000]'
        )
    return Space(
        config=config,
        parameters=tuple(_parameter(key, value, where) for key, value in _by_name(wanted)),
    )


def _by_name(wanted: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give settings by their dotted names, whether written "optim.warm_up" or in [space.optim]."""
    tables = to_mapping(RunConfig())
    for name, value in wanted.items():
        if name in tables and isinstance(value, Mapping):
            yield from ((f"{name}.{key}", each) for key, each in value.items())
        else:
            yield name, value


def _parameter(key: str, value: Any, where: str) -> Choice | Range:
    if isinstance(value, list):
        return _choice(key, value, where)
    if not isinstance(value, Mapping):
        raise BadSetting(
            f"{where}: {key} is {value!r}", "give a list of values, or a table { low, high }"
        )
    return _range(key, value, where)


def _range(key: str, value: Mapping[str, Any], where: str) -> Range:
    _check_known(key, where)
    known = ("low", "high", "log", "step")
    for name in value:
        if name not in known:
            close = nearest(name, known)
            raise BadSetting(
                f"{where}: {key} has no {name!r}",
                f"did you mean {close[0]}?" if close else f"use {', '.join(known)}",
            )
    usual = _usual(key)
    if isinstance(usual, bool) or not isinstance(usual, (int, float)):
        raise BadSetting(f"{where}: {key} is no number, so it has no range", "list its values")
    low, high = (_number(key, value, name, where) for name in ("low", "high"))
    step = _number(key, value, "step", where) if "step" in value else None
    log, whole = value.get("log", False), isinstance(usual, int)
    if not isinstance(log, bool):
        raise BadSetting(f"{where}: {key} has log = {log!r}", "use true or false")
    if whole and not all(each.is_integer() for each in (low, high, step or 1.0)):
        raise BadSetting(f"{where}: {key} is a whole number", "use whole bounds and steps")
    _check_range(f"{where}: {key}", low, high, step, log=log)
    for edge in (low, high):
        _check_fits(key, int(edge) if whole else edge, where)
    last = high if step is None else _last(low, high, step)
    return Range(key=key, low=low, high=last, log=log, step=step, whole=whole)


def _last(low: float, high: float, step: float) -> float:
    """Return the last step of a range; decimal, as it is written."""
    start, end, by = (Decimal(str(each)) for each in (low, high, step))
    return float(start + (end - start) // by * by)


def _choice(key: str, values: list[Any], where: str) -> Choice:
    _check_known(key, where)
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
    if not math.isfinite(value):
        raise BadSetting(f"{where}: {key} has {name} = {value}", "use a finite number")
    return float(value)


def _check_range(what: str, low: float, high: float, step: float | None, *, log: bool) -> None:
    if not low < high:
        raise BadSetting(f"{what}: low {low:g} is not below high {high:g}", "exchange them")
    if log and low <= 0:
        raise BadSetting(f"{what}: log needs a low above 0", "raise low, or leave log out")
    if log and step is not None:
        raise BadSetting(f"{what}: log and step do not go together", "leave one out")
    if step is not None and not 0 < step <= high - low:
        raise BadSetting(f"{what}: step {step:g} does not fit between low and high", "change it")


def _check_known(key: str, where: str) -> None:
    """Refuse a setting nobody knows, and one with which trials would not be what they seem."""
    table, _, name = key.partition(".")
    tables = to_mapping(RunConfig())
    if name not in tables.get(table, ()):
        known = [f"{table}.{name}" for table, keys in tables.items() for name in keys]
        close = nearest(key, known)
        told = f"did you mean {close[0]!r}?" if close else "names are those of --set"
        raise BadSetting(f"{where}: there is no setting {key!r}", told)
    if table == "train" and name in CADENCE:
        raise BadSetting(
            f"{where}: {key} changes no weight, so there is nothing to find", "leave it out"
        )
    if key == "train.statistics":
        raise BadSetting(
            f"{where}: {key} changes the units of the losses, so trials would not compare",
            "make a search of each",
        )


def _usual(key: str) -> Any:
    """Return a setting's default."""
    table, _, name = key.partition(".")
    return getattr(getattr(RunConfig(), table), name)


def _check_fits(key: str, value: Value, where: str) -> None:
    """Refuse a value a setting can never have.

    Whether it fits the others is seen when a trial has them all.
    """
    try:
        resolve({}, [setting(key, value)], where)
    except BadSetting as error:
        told = f"{error.problem} {error.remedy}"
        if any(sign in told for sign in (" must be ", "it can be ")):
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

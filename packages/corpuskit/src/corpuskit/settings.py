"""TOML <-> frozen dataclasses, for any package's settings.

An unknown key, a wrong type or a value out of range is an error that names the key, the
problem and the nearest known key.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import sys
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from corpuskit.errors import BadSetting

__all__ = [
    "dump_toml",
    "from_mapping",
    "load_toml",
    "to_mapping",
    "toml_key",
    "toml_text",
    "with_settings",
]

T = TypeVar("T")


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """Build the frozen dataclass `cls` from plain TOML or JSON values.

    `where` names the origin in messages (a file, or "the command line").

    Raises
    ------
    BadSetting
        Unknown key (the nearest known one is named), missing key, or a value of
        a wrong type or out of range.

    """
    return typing.cast(T, _build(cls, mapping, where, ""))


def _build(cls: Any, value: Any, where: str, key: str) -> Any:
    if not isinstance(value, Mapping):
        raise BadSetting(f"{where}: {key or 'the file'} must be a table, not {value!r}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for name in value:
        if name not in fields:
            raise BadSetting(f"{where}: unknown key {_join(key, name)!r}", _hint(name, key, fields))
    missing = [
        name
        for name, f in fields.items()
        if name not in value
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise BadSetting(f"{where}: {_join(key, missing[0])} is missing", "add it")
    values = {
        name: _convert(hints[name], item, where, _join(key, name)) for name, item in value.items()
    }
    try:
        return cls(**values)
    except BadSetting as error:
        raise BadSetting(f"{where}: {error.problem}", error.remedy) from None


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _hint(name: str, key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    if close:
        return f"did you mean {_join(key, close[0])!r}?"
    return "known here: " + ", ".join(sorted(known))


def _convert(hint: Any, value: Any, where: str, key: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where, key)
    if origin is Literal:
        return _convert_choice(hint, value, where, key)
    if origin is types.UnionType or origin is typing.Union:
        return _convert_union(hint, value, where, key)
    if origin is tuple:
        return _convert_tuple(hint, value, where, key)
    if origin is dict:
        return _convert_dict(hint, value, where, key)
    return _convert_plain(hint, value, where, key)


def _convert_choice(hint: Any, value: Any, where: str, key: str) -> Any:
    choices = typing.get_args(hint)
    if value in choices:
        return value
    close = difflib.get_close_matches(str(value), [str(c) for c in choices], n=1, cutoff=0.4)
    meant = f"did you mean {close[0]!r}? " if close else ""
    raise BadSetting(
        f"{where}: {key} is {value!r}", meant + "it can be " + ", ".join(map(repr, choices))
    )


def _convert_union(hint: Any, value: Any, where: str, key: str) -> Any:
    options = typing.get_args(hint)
    if value is None and type(None) in options:
        return None
    for option in options:  # the exact type first, so that 3 stays an int in int | float
        if option is not type(None) and _shape(option) in (
            type(value),
            *_SAME.get(type(value), ()),
        ):
            return _convert(option, value, where, key)
    first = next(option for option in options if option is not type(None))
    return _convert(first, value, where, key)


_SAME: Mapping[type, tuple[type, ...]] = {list: (tuple,)}  # TOML and JSON know lists only


def _shape(option: Any) -> Any:
    return typing.get_origin(option) or option


def _convert_tuple(hint: Any, value: Any, where: str, key: str) -> Any:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise BadSetting(f"{where}: {key} must be a list, not {value!r}")
    arguments = typing.get_args(hint)
    if arguments[-1] is Ellipsis:
        return tuple(
            _convert(arguments[0], item, where, f"{key}[{i}]") for i, item in enumerate(value)
        )
    if len(value) != len(arguments):
        raise BadSetting(f"{where}: {key} must have {len(arguments)} values, not {len(value)}")
    return tuple(
        _convert(option, item, where, f"{key}[{i}]")
        for i, (option, item) in enumerate(zip(arguments, value, strict=True))
    )


def _convert_dict(hint: Any, value: Any, where: str, key: str) -> Any:
    if not isinstance(value, Mapping):
        raise BadSetting(f"{where}: {key} must be a table, not {value!r}")
    option = typing.get_args(hint)[1]
    return {
        str(name): _convert(option, item, where, _join(key, str(name)))
        for name, item in value.items()
    }


def _convert_plain(hint: Any, value: Any, where: str, key: str) -> Any:
    whole = hint is float and type(value) is int
    if not whole and type(value) is not hint:
        raise BadSetting(f"{where}: {key} must be {_TYPE_NAMES[hint]}, not {value!r}")
    if hint is float and not abs(value) <= sys.float_info.max:  # NaN compares false as well
        raise BadSetting(f"{where}: {key} must be a finite number, not {value!r}")
    return float(value) if whole else value


_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
}


def to_mapping(value: Any) -> Any:
    """Turn a settings dataclass into plain JSON values, every default included."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_mapping(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: to_mapping(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_mapping(item) for item in value]
    return value


def with_settings(mapping: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Return a copy of `mapping` with each "table.key=VALUE" laid over it.

    VALUE is read as a TOML value; what is none (a bare word) is taken as text.
    """
    result: dict[str, Any] = _copy(mapping)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise BadSetting(f"--set {setting!r} is not KEY=VALUE", "e.g. --set silence.thresh=-80")
        *tables, last = name.strip().split(".")
        table = result
        for key in tables:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise BadSetting(f"--set {setting!r}: {key!r} is not a table")
        table[last] = _parse_value(text.strip())
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copy(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value


def _parse_value(text: str) -> Any:
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return read["value"] if len(read) == 1 else text  # several lines are no single value


# ------------------------------------------------------------------ TOML files


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    BadSetting
        The file is missing, unreadable or not TOML (the line is named).

    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadSetting(f"{path} does not exist", "check the path") from None
    except OSError as error:
        raise BadSetting(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{path} is not UTF-8 text", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{path} is not valid TOML: {error}") from None


def dump_toml(mapping: Mapping[str, Any]) -> str:
    """Write plain values as TOML text; keys without a value (None) are left out."""
    import tomli_w

    def without_none(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: without_none(v) for k, v in value.items() if v is not None}
        if isinstance(value, list):
            return [without_none(item) for item in value]
        return value

    text: str = tomli_w.dumps(without_none(to_mapping(mapping)))
    return text


def toml_key(name: str) -> str:
    """Return a name as a TOML key, quoted where it must be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_text(name)


def toml_text(text: str) -> str:
    """Return a text as a TOML string: JSON's escapes are all valid there."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""TOML to dataclasses and back: what fits is taken exactly, what does not is named."""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.errors import BadSetting
from corpuskit.settings import dump_toml, from_mapping, load_toml, to_mapping, with_settings


@dataclass(frozen=True, kw_only=True)
class Inner:
    level: float = -80.0
    length: int = 50
    mode: Literal["float", "int16"] = "float"

    def __post_init__(self) -> None:
        if self.length < 1:
            raise BadSetting(f"inner.length is {self.length}", "use at least 1")


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    share: int | float = 0.1
    cap: float | None = None
    flag: bool = False
    betas: tuple[float, float] = (0.9, 0.98)
    sizes: tuple[int, ...] = ()
    folders: dict[str, str] = field(default_factory=dict)
    many: dict[str, Inner] = field(default_factory=dict)
    rows: tuple[Inner, ...] = ()


def built(**mapping: Any) -> Outer:
    return from_mapping(Outer, {"name": "x"} | mapping, "a.toml")


def refused(**mapping: Any) -> BadSetting:
    with pytest.raises(BadSetting) as caught:
        built(**mapping)
    return caught.value


# ------------------------------------------------------------------- what is taken


def test_what_is_left_out_has_its_default() -> None:
    assert built() == Outer(name="x")


def test_tables_lists_and_rows_become_frozen_values() -> None:
    found = built(
        inner={"level": -60.5, "mode": "int16"},
        betas=[0.5, 1],
        sizes=[1, 2, 3],
        folders={"N": "source"},
        many={"a": {"length": 7}},
        rows=[{"length": 8}, {}],
    )

    assert found == Outer(
        name="x",
        inner=Inner(level=-60.5, mode="int16"),
        betas=(0.5, 1.0),
        sizes=(1, 2, 3),
        folders={"N": "source"},
        many={"a": Inner(length=7)},
        rows=(Inner(length=8), Inner()),
    )
    assert isinstance(found.betas, tuple)
    assert type(found.betas[1]) is float


def test_a_whole_number_is_taken_for_a_number_and_keeps_its_kind_where_both_fit() -> None:
    found = built(inner={"level": -80}, share=3, cap=2)

    assert (type(found.inner.level), found.inner.level) == (float, -80.0)
    assert (type(found.share), found.share) == (int, 3)
    assert (type(found.cap), found.cap) == (float, 2.0)
    assert type(built(share=0.5).share) is float
    assert built(cap=None).cap is None


# ----------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("mapping", "problem", "remedy"),
    [
        ({"shar": 1}, "unknown key 'shar'", "did you mean 'share'?"),
        ({"inner": {"lenght": 1}}, "unknown key 'inner.lenght'", "did you mean 'inner.length'?"),
        ({"many": {"a": {"mod": 1}}}, "unknown key 'many.a.mod'", "did you mean 'many.a.mode'?"),
        ({"inner": {"zzz": 1}}, "unknown key 'inner.zzz'", "known here: length, level, mode"),
        ({"name": 3}, "name must be a text, not 3", ""),
        ({"flag": 1}, "flag must be true or false, not 1", ""),
        ({"flag": "true"}, "flag must be true or false, not 'true'", ""),
        ({"inner": {"length": 3.0}}, "inner.length must be a whole number, not 3.0", ""),
        ({"inner": {"length": True}}, "inner.length must be a whole number, not True", ""),
        ({"inner": {"level": "-80"}}, "inner.level must be a number, not '-80'", ""),
        ({"inner": {"level": False}}, "inner.level must be a number, not False", ""),
        ({"inner": 3}, "inner must be a table, not 3", ""),
        ({"share": "half"}, "share must be a whole number, not 'half'", ""),
        ({"cap": True}, "cap must be a number, not True", ""),
        ({"betas": [0.9]}, "betas must have 2 values, not 1", ""),
        ({"betas": [0.9, "x"]}, "betas[1] must be a number, not 'x'", ""),
        ({"betas": "ab"}, "betas must be a list, not 'ab'", ""),
        ({"sizes": [1, 2.5]}, "sizes[1] must be a whole number, not 2.5", ""),
        ({"folders": ["N"]}, "folders must be a table, not ['N']", ""),
        ({"folders": {"N": 1}}, "folders.N must be a text, not 1", ""),
        ({"rows": {"length": 1}}, "rows must be a list, not {'length': 1}", ""),
        ({"rows": [{"length": "x"}]}, "rows[0].length must be a whole number, not 'x'", ""),
        ({"inner": {"length": 0}}, "inner.length is 0", "use at least 1"),
        (
            {"inner": {"mode": "int8"}},
            "inner.mode is 'int8'",
            "did you mean 'int16'? it can be 'float', 'int16'",
        ),
        ({"inner": {"mode": 7}}, "inner.mode is 7", "it can be 'float', 'int16'"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place_and_remedy(
    mapping: dict[str, Any], problem: str, remedy: str
) -> None:
    error = refused(**mapping)

    assert error.problem == f"a.toml: {problem}"
    assert error.remedy == remedy


def test_a_missing_key_is_named() -> None:
    with pytest.raises(BadSetting, match=r"^a.toml: name is missing; add it$"):
        from_mapping(Outer, {}, "a.toml")


def test_a_file_that_is_no_table_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"the file must be a table"):
        from_mapping(Outer, [1, 2], "a.json")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["inner.level", "cap", "share", "betas"])
def test_numbers_without_end_are_refused_wherever_they_stand(key: str, value: float) -> None:
    mappings: dict[str, Any] = {
        "inner.level": {"inner": {"level": value}},
        "cap": {"cap": value},
        "share": {"share": value},
        "betas": {"betas": [value, 0.9]},
    }

    problem = refused(**mappings[key]).problem

    assert problem.startswith(f"a.toml: {key}")
    assert "must be a finite number" in problem


def test_a_whole_number_too_large_for_a_number_is_refused() -> None:
    assert "must be a finite number" in refused(cap=10**400).problem
    assert built(share=10**400).share == 10**400  # whole numbers have no end


# ------------------------------------------------------------------- and back again

numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
inners = st.builds(
    Inner,
    level=numbers,
    length=st.integers(1, 10**6),
    mode=st.sampled_from(["float", "int16"]),
)
outers = st.builds(
    Outer,
    name=words,
    inner=inners,
    share=st.one_of(st.integers(0, 99), numbers),
    cap=st.one_of(st.none(), numbers),
    flag=st.booleans(),
    betas=st.tuples(numbers, numbers),
    sizes=st.lists(st.integers(0, 9)).map(tuple),
    folders=st.dictionaries(words, words, max_size=3),
    many=st.dictionaries(words, inners, max_size=2),
    rows=st.lists(inners, max_size=2).map(tuple),
)


@given(outers)
def test_settings_survive_json_and_toml(settings: Outer) -> None:
    mapping = to_mapping(settings)

    by_json = from_mapping(Outer, json.loads(json.dumps(mapping)), "json")
    by_toml = from_mapping(Outer, tomllib.loads(dump_toml(mapping)), "toml")

    assert by_json == by_toml == settings
    assert set(mapping) == {f.name for f in dataclasses.fields(Outer)}  # every default included


# ----------------------------------------------------------------------------- --set


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("inner.level=-100", {"inner": {"level": -100}}),
        ("inner.level = -62.5", {"inner": {"level": -62.5}}),
        ("inner.mode=int16", {"inner": {"mode": "int16"}}),
        ('inner.mode="int16"', {"inner": {"mode": "int16"}}),
        ("flag=true", {"flag": True}),
        ("cap=1e-3", {"cap": 1e-3}),
        ("betas=[0.5, 0.9]", {"betas": [0.5, 0.9]}),
        ('folders={ N = "a" }', {"folders": {"N": "a"}}),
        ("name=", {"name": ""}),
        ("name=a=b", {"name": "a=b"}),
        ("name=two words", {"name": "two words"}),
        ("name=1\nflag = true", {"name": "1\nflag = true"}),
        ("name=../声", {"name": "../声"}),
    ],
)
def test_a_setting_is_read_as_toml_or_else_as_text(setting: str, expected: dict[str, Any]) -> None:
    assert with_settings({}, [setting]) == expected


def test_settings_are_laid_over_a_copy_and_the_last_counts() -> None:
    mapping = {"inner": {"level": -80, "length": 50}, "rows": [{"length": 1}]}
    before = json.dumps(mapping)

    result = with_settings(mapping, ["inner.level=-60", "name=x", "inner.level=-50"])
    result["rows"][0]["length"] = 2

    assert result["inner"] == {"level": -50, "length": 50}
    assert result["name"] == "x"
    assert json.dumps(mapping) == before


@pytest.mark.parametrize("setting", ["", "inner.level", "=3", "  =3"])
def test_what_is_no_setting_is_refused(setting: str) -> None:
    with pytest.raises(BadSetting, match=r"is not KEY=VALUE; e\.g\. --set silence\.thresh=-80"):
        with_settings({}, [setting])


@pytest.mark.parametrize("setting", ["name.first=1", "rows.0.length=1"])
def test_a_key_below_what_is_no_table_is_refused(setting: str) -> None:
    with pytest.raises(BadSetting, match="is not a table"):
        with_settings({"name": "x", "rows": []}, [setting])


def test_an_unknown_setting_is_refused_like_a_key_of_the_file() -> None:
    with pytest.raises(BadSetting, match=r"unknown key 'inner.levl'; did you mean 'inner.level'"):
        from_mapping(Outer, with_settings({"name": "x"}, ["inner.levl=1"]), "a.toml")


# -------------------------------------------------------------------------- the file


def test_a_toml_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('name = "声"\n[inner]\nlevel = -1\n', encoding="utf-8")

    assert load_toml(path) == {"name": "声", "inner": {"level": -1}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"name = \n", "is not valid TOML: Invalid value (at line 1"),
        (b"a = 1\na = 2\n", "is not valid TOML: Cannot overwrite a value (at line 2"),
        ("name = '声'".encode("shift-jis"), "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_toml_says_where(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)

    with pytest.raises(BadSetting) as caught:
        load_toml(path)

    assert caught.value.problem.startswith(f"{path} {problem}")


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"gone\.toml does not exist"):
        load_toml(tmp_path / "gone.toml")
    with pytest.raises(BadSetting, match=f"cannot read {os.path.sep}.*: Is a directory"):
        load_toml(tmp_path)

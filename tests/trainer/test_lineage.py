"""What a run has heard, and which held-out pairs that spoils."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import BadRun
from trainer.lineage import find_leaks, heard_in, read_heard, union, without, write_heard


def pair(sentence: str, source: str = "N", target: str = "C") -> Any:
    """What lineage looks at of a pair."""
    return SimpleNamespace(
        id=f"{source}>{target}/{sentence}",
        sentence=sentence,
        source=SimpleNamespace(speaker=source),
        target=SimpleNamespace(speaker=target),
    )


def test_both_voices_of_a_pair_are_heard() -> None:
    heard = heard_in([pair("a"), pair("b"), pair("b", "M", "C")])

    assert heard == {"N": {"a", "b"}, "C": {"a", "b"}, "M": {"b"}}


def test_a_sentence_heard_in_one_of_the_pairs_voices_is_a_leak() -> None:
    heard = heard_in([pair("a", "N", "X"), pair("b", "Y", "C"), pair("c", "X", "Y")])

    leaks = find_leaks(heard, [pair("a"), pair("b"), pair("c"), pair("d")])

    assert leaks.pairs == ("N>C/a", "N>C/b")
    assert leaks.sentences == ("a", "b")
    assert leaks.other_voice == ("N>C/c",)


def test_a_sentence_may_hold_slashes() -> None:
    leaks = find_leaks({"N": frozenset({"x/1"})}, [pair("x/1")])

    assert leaks.sentences == ("x/1",)


def test_a_run_without_ancestors_leaks_nothing() -> None:
    leaks = find_leaks({}, [pair("a")])

    assert (leaks.pairs, leaks.other_voice) == ((), ())


def test_what_leaks_does_not_count() -> None:
    pairs = [pair("a"), pair("b")]

    assert without(pairs, ["N>C/a", "N>C/z"]) == (pairs[1],)


heard_maps = st.dictionaries(st.sampled_from("NCXY"), st.frozensets(st.sampled_from("abcdef")))


@given(heard_maps, heard_maps)
def test_a_union_holds_what_either_heard(one: Any, other: Any) -> None:
    both = union(one, other)

    for speaker in {*one, *other}:
        assert both[speaker] == one.get(speaker, frozenset()) | other.get(speaker, frozenset())


@given(heard_maps)
def test_what_was_heard_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory, heard: Any
) -> None:
    folder = tmp_path_factory.mktemp("heard")

    write_heard(folder, heard)

    assert read_heard(folder) == heard


@pytest.mark.parametrize("text", [None, "", "[]", '{"N": 3}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "trained_on.json").write_text(text)

    with pytest.raises(BadRun, match=r"trained_on\.json"):
        read_heard(tmp_path)

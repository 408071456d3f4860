"""Names that keep two recordings of one sentence apart are told; nothing is paired by guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from building import corpuskit, events, quick_corpus, settings, written_toml
from corpuskit.build import Built, Note
from corpuskit.stems import look_alike, plain_stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Utt_1", "utt_1"),
        ("utt-001", "utt_001"),
        ("BASIC 5000 0001", "basic5000_0001"),
        ("発話０１", "発話01"),
        ("ｶﾞ_1", "ガ1"),
    ],
)
def test_case_marks_and_widths_are_no_difference(one: str, other: str) -> None:
    assert plain_stem(one) == plain_stem(other)


@pytest.mark.parametrize(
    ("one", "other"), [("a_1_11", "a_11_1"), ("s1-2", "s12"), ("utt_1", "utt_01"), ("か", "が")]
)
def test_what_parts_two_numbers_is_a_difference(one: str, other: str) -> None:
    assert plain_stem(one) != plain_stem(other)


def test_only_what_has_no_partner_looks_like_another() -> None:
    assert look_alike(["A", "b", "c"], ["a", "b", "B", "d"]) == [("A", "a")]
    assert look_alike(["x"], ["X", "x"]) == []


def renamed(corpus: Path, *numbers: int) -> None:
    for number in numbers:
        path = corpus / f"target/utt_{number:03d}.wav"
        path.rename(path.with_name(f"Utt-{number:03d}.wav"))


def test_a_build_names_partners_of_another_name_and_pairs_the_rest(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 8)
    renamed(tmp_path / "corpus", 1, 2, 3, 4)

    told = events(tmp_path / "w", settings(tmp_path / "corpus"))

    assert isinstance(told[-1], Built)
    assert len(told[-1].version.pairs) == 4
    assert [each.text for each in told if isinstance(each, Note) and each.serious] == [
        "4 recordings without a partner, whose partner seems to have another name: "
        "C/Utt-001 and N/utt_001, C/Utt-002 and N/utt_002, C/Utt-003 and N/utt_003 and 1 more; "
        "names must be equal, rename one side"
    ]


def test_recordings_that_are_only_missing_are_no_near_misses(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 5)
    (tmp_path / "corpus/target/utt_001.wav").unlink()
    (tmp_path / "corpus/source/utt_002.wav").unlink()

    told = events(tmp_path / "w", settings(tmp_path / "corpus"))

    assert [each.text for each in told if isinstance(each, Note) and each.serious] == []


def test_a_build_without_any_pair_says_what_the_names_look_like(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 2)
    renamed(tmp_path / "corpus", 1, 2)
    toml = written_toml(tmp_path / "N2C.toml", tmp_path / "corpus")

    said = corpuskit("build", "N2C", "--config", toml, "--workspace", tmp_path / "w")

    assert said.code == 2
    assert "no file stem occurs on both sides; 2 recordings without a partner" in said.err
    assert "C/Utt-001 and N/utt_001" in said.err


def test_a_scan_says_it_before_anything_is_configured(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 5)
    renamed(tmp_path / "corpus", 1, 2, 3, 4, 5)

    said = corpuskit("scan", tmp_path / "corpus")

    assert said.code == 0
    assert (
        "warning: these differ in their stems, but look like one sentence: source/utt_001 and "
        "target/Utt-001, source/utt_002 and target/Utt-002, source/utt_003 and target/Utt-003 "
        "and 2 more; a pair's stems are equal"
    ) in said.out

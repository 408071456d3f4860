"""Columns and lengths: laid out so that every cell is there, in the units people use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.tables import counted, length, plain, size, table


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (12.34, "12.3 s"),
        (59.9, "59.9 s"),
        (60, "1.0 min"),
        (245, "4.1 min"),
        (3540, "59.0 min"),
        (3600, "1.00 h"),
        (8316, "2.31 h"),
        (360000, "100.00 h"),
    ],
)
def test_lengths_are_said_in_the_unit_people_use(seconds: float, said: str) -> None:
    assert length(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 pairs"), (1, "1 pair"), (2, "2 pairs"), (1180, "1,180 pairs")]
)
def test_counts_are_said_in_words_people_use(count: int, said: str) -> None:
    assert counted(count, "pair") == said


def test_wide_characters_take_two_columns_and_combining_ones_none() -> None:
    lines = list(table(["name", "n"], [["水をマレーシアから", "1"], ["e\u0301tude", "12"]]))

    assert lines == [
        "name                 n",
        "水をマレーシアから   1",
        "e\u0301tude               12",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "-"),
        (-80.0, "-80"),
        ("float", "float"),
        (False, "False"),
        (["C", "N"], "C, N"),
        (list("abcdefgh"), "a, b, c, d, e, f and 2 more"),
        (
            [{"source": "N", "target": ["C", "D"], "both": True, "salt": ""}],
            "{source N, target C, D, both True}",
        ),
    ],
)
def test_settings_are_said_without_the_marks_of_a_program(value: object, said: str) -> None:
    assert plain(value) == said


def test_columns_of_numbers_are_flush_right_and_others_left() -> None:
    lines = list(table(["name", "pairs", "note"], [["a", "1,180", "x"], ["long", "7", "20 y"]]))

    assert lines == [
        "name  pairs  note",
        "a     1,180  x",
        "long      7  20 y",
    ]


def test_a_table_without_rows_is_its_header() -> None:
    assert list(table(["name", "pairs"], [])) == ["name  pairs"]


cells = st.text("ab1 +-", min_size=1, max_size=6).filter(lambda cell: cell == cell.strip())


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=5))
def test_every_cell_of_a_table_is_there_and_no_line_ends_in_blanks(
    rows: list[tuple[str, str, str]],
) -> None:
    lines = list(table(["x", "y", "z"], rows))

    assert len(lines) == len(rows) + 1
    for line, row in zip(lines[1:], rows, strict=True):
        assert line == line.rstrip()
        at = 0
        for cell in row:
            at = line.index(cell, at) + len(cell)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_400, "999.4 kB"),
        (999_600, "1.0 MB"),
        (5_100_000, "5.1 MB"),
        (999_600_000, "1.00 GB"),
        (2_310_000_000_000, "2310.00 GB"),
    ],
)
def test_sizes_are_told_in_the_unit_people_use(count: int, told: str) -> None:
    assert size(count) == told

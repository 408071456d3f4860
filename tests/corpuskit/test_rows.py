"""Rows of a file, read as they are asked for: the same as reading all, and never a damaged one."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from corpuskit.errors import BadVersion
from corpuskit.rows import (
    Pair,
    Rows,
    SetAside,
    line_of,
    pair_of,
    recording_of,
    set_aside_of,
)
from handmade import pair, recording


def written(folder: Path, rows: list[Any], read: Any = set_aside_of) -> Rows[Any]:
    data = b"".join(map(line_of, rows))
    path = folder / "rows.jsonl"
    path.write_bytes(data)
    return Rows(path, hashlib.sha256(data).hexdigest(), read)


REASONS = ["", "plain", "line\u2028end", "a\nb", 'q"\\', "声", "\x1c\x85"]
ROWS = [SetAside(pair=f"N>C/{number}", reason=text) for number, text in enumerate(REASONS)]


def test_rows_are_a_sequence_of_what_was_written(tmp_path: Path) -> None:
    rows = written(tmp_path, ROWS)

    assert len(rows) == len(ROWS)
    assert list(rows) == ROWS
    assert rows == tuple(ROWS)
    assert rows != ROWS[:-1]
    assert rows != "no rows"
    assert [rows[i] for i in range(len(ROWS))] == ROWS
    assert rows[-1] == ROWS[-1]
    assert rows[1:6:2] == tuple(ROWS[1:6:2])
    assert rows.at([4, 0, 4]) == (ROWS[4], ROWS[0], ROWS[4])
    assert ROWS[2] in rows
    assert list(pickle.loads(pickle.dumps(rows))) == ROWS
    with pytest.raises(IndexError):
        rows[len(ROWS)]


def test_no_rows_are_none(tmp_path: Path) -> None:
    rows = written(tmp_path, [])

    assert (len(rows), list(rows), rows[:]) == (0, [], ())


def test_pairs_and_recordings_come_back_as_they_were() -> None:
    one = pair("a", breaks=(2, 1), source={"silences": ((10, 20), (50, 60)), "phrases": (20, 20)})
    for clip, f0_range in ((None, None), ((5, 1600), (60.0, 300.5))):
        each = recording(one.source, clip=clip, f0_range=f0_range, text="声")
        assert recording_of(line_of(each)) == each
        assert hash(recording_of(line_of(each))) == hash(each)
    assert pair_of(line_of(one)) == one
    assert hash(pair_of(line_of(one))) == hash(one)


@given(
    some.lists(
        some.tuples(some.integers(0, 2**31), some.integers(0, 2**31)).map(tuple), max_size=5
    ),
    some.text(min_size=1),
)
def test_any_pair_comes_back(silences: list[tuple[int, int]], sentence: str) -> None:
    one = pair(sentence, target={"silences": tuple(silences)})

    line = line_of(one)

    assert line.count(b"\n") == 1
    assert pair_of(line) == one


@pytest.mark.parametrize("change", [{"more": 1}, {"merged": None, "alignment": ...}])
def test_a_row_with_other_fields_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    fields = json.loads(line_of(pair("a"))) | change
    data = json.dumps({k: v for k, v in fields.items() if v is not ...}).encode() + b"\n"
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(data)
    rows: Rows[Pair] = Rows(path, hashlib.sha256(data).hexdigest(), pair_of)

    with pytest.raises(BadVersion, match=rf"dataset {tmp_path.name} is damaged: a field"):
        list(rows)


def test_a_file_that_is_not_what_it_was_is_refused(tmp_path: Path) -> None:
    written(tmp_path, ROWS)
    path = tmp_path / "rows.jsonl"

    with pytest.raises(BadVersion, match=r"rows\.jsonl does not fit its digest"):
        Rows(path, "0" * 64, set_aside_of)
    rows = Rows(path, hashlib.sha256(path.read_bytes()).hexdigest(), set_aside_of)
    path.unlink()
    for read in (lambda: rows[0], lambda: list(rows), lambda: Rows(path, "0" * 64, set_aside_of)):
        with pytest.raises(BadVersion, match=r"rows\.jsonl cannot be read"):
            read()


def test_long_files_are_read_in_parts(tmp_path: Path) -> None:
    many = [SetAside(pair=f"N>C/{n}", reason="x" * 3000) for n in range(1000)]  # 3 MB

    rows = written(tmp_path, many)

    assert len(rows) == 1000
    assert rows.at([0, 349, 350, 999]) == (many[0], many[349], many[350], many[999])

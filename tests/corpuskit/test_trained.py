"""Runs of a version, from run.json written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import handmade
from building import corpuskit
from corpuskit.trained import runs_on


def run(
    workspace: Path, tag: str, dataset: str, fingerprint: str, parent: str | None = None
) -> None:
    record: dict[str, Any] = {
        "tag": tag,
        "status": "finished",
        "created": f"2024-01-0{tag[-1]}T00:00:00+00:00",
        "dataset": {"name": dataset, "fingerprint": fingerprint, "pairs": {"train": 1}},
        "parent": {"tag": parent, "epoch": 3} if parent else None,
    }
    folder = workspace / "runs" / tag
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for number, (dataset, print_, parent) in enumerate(
        [
            ("A", "f", None),
            ("A_2", "f", None),  # an equal version
            ("B", "g", "R_1"),  # a child on another version
            ("B", "g", "R_3"),  # a grandchild
            ("B", "g", None),  # nothing to do with it
            ("A", "f", "R_5"),
        ],
        start=1,
    ):
        run(tmp_path, f"R_{number}", dataset, print_, parent)
    return tmp_path


def test_runs_equal_versions_and_descendants_are_found(workspace: Path) -> None:
    found = runs_on(workspace, "A", "f")

    assert {each.tag: each.how for each in found.runs} == {
        "R_1": "trained on it",
        "R_2": "trained on an equal version",
        "R_3": "descends from R_1",
        "R_4": "descends from R_3",
        "R_6": "trained on it",
    }
    assert found.looked_at == 6


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"null", b'{"dataset": 3}', b"\xff", b"[" * 100_000]
)
def test_damaged_records_are_named_and_the_others_told(workspace: Path, content: bytes) -> None:
    (workspace / "runs" / "R_2" / "run.json").write_bytes(content)

    found = runs_on(workspace, "A", "f")

    assert set(found.damaged) == {"R_2"}
    assert {each.tag for each in found.runs} == {"R_1", "R_3", "R_4", "R_6"}


def test_runs_that_are_their_own_ancestors_end(tmp_path: Path) -> None:
    run(tmp_path, "R_1", "A", "f", "R_2")
    run(tmp_path, "R_2", "B", "g", "R_1")

    found = runs_on(tmp_path, "A", "f")

    assert [each.tag for each in found.runs] == ["R_1", "R_2"]


def test_the_command_names_runs_and_damage(tmp_path: Path) -> None:
    made = handmade.version(tmp_path, "N2C", [handmade.pair("a")])
    run(tmp_path, "R_1", "N2C", made.fingerprint)
    run(tmp_path, "R_2", "X", "g", "R_1")
    run(tmp_path, "R_3", "X", "g")
    (tmp_path / "runs" / "R_3" / "run.json").write_text("{", encoding="utf-8")

    said = corpuskit("runs", "N2C", "--workspace", tmp_path)
    machine = json.loads(corpuskit("runs", "N2C", "--json", "--workspace", tmp_path).out)

    assert said.code == 0
    assert "run R_3: run.json is damaged" in said.err
    assert "2 runs of 2: 1 trained on it or an equal version, 1 descended" in said.out
    assert [row["tag"] for row in machine["runs"]] == ["R_1", "R_2"]

"""`gc`: exactly what no version needs goes, byte for byte; everything else stays whole."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from building import Said, built, contents, corpuskit, quick_corpus, settings
from corpuskit import files
from corpuskit.build import Built, Note, Progress, Request, build
from corpuskit.locks import alone, at_work
from corpuskit.objects import Store
from corpuskit.recordings import Index
from corpuskit.versions import list_versions, objects_of, open_version
from synthetic import PairCorpus


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[PairCorpus, Path]:
    """Two thresholds, other features, and a family of half the sentences."""
    root = tmp_path_factory.mktemp("garbage")
    corpus = quick_corpus(root / "corpus", 4)
    built(root / "w", settings(corpus.root))
    built(root / "w", settings(corpus.root, "silence.thresh=-30"), "N2C_2")
    built(root / "w", settings(corpus.root, "features.mels=12"), "N2C_3")
    return corpus, root / "w"


@pytest.fixture
def workspace(made: tuple[PairCorpus, Path], tmp_path: Path) -> Path:
    shutil.copytree(made[1], tmp_path / "w")
    return tmp_path / "w"


def cleaned(workspace: Path, *more: str) -> Said:
    return corpuskit("gc", "--workspace", workspace, *more)


def told(workspace: Path, *more: str) -> dict[str, Any]:
    said = cleaned(workspace, "--json", *more)
    assert (said.code, said.err) == (0, "")
    answer: dict[str, Any] = json.loads(said.out)
    return answer


def needed(workspace: Path) -> set[str]:
    versions = [open_version(workspace, name) for name in list_versions(workspace)]
    return set().union(*(objects_of(v.pairs, v.recordings) for v in versions))


def total(workspace: Path) -> int:
    return sum(len(data) for data in contents(workspace).values())


def without(workspace: Path, *names: str) -> None:
    for name in names:
        shutil.rmtree(workspace / "versions" / name)


def test_nothing_is_removed_where_everything_is_needed(workspace: Path) -> None:
    before = contents(workspace)

    said = cleaned(workspace)

    assert said.out.startswith("Nothing to remove; 3 dataset versions and what they rest on stay")
    assert {**contents(workspace), ".lock": b""} == {**before, ".lock": b""}


@pytest.mark.parametrize(
    "gone", [("N2C",), ("N2C_3",), ("N2C", "N2C_2"), ("N2C", "N2C_2", "N2C_3")]
)
def test_exactly_the_objects_of_no_version_go(workspace: Path, gone: tuple[str, ...]) -> None:
    without(workspace, *gone)
    stays = needed(workspace)
    before = total(workspace)

    answer = told(workspace)

    assert set(Store(workspace).names()) == stays
    assert answer["freed"] == answer["size"] == before - total(workspace) > 0
    assert answer["kept"] == len(stays)
    assert answer["kept_size"] == sum(Store(workspace).size(name) for name in stays)
    for name in list_versions(workspace):
        assert corpuskit("verify", name, "--workspace", workspace, "--jobs", "1").code == 0


def test_the_reasons_are_told_by_kind(workspace: Path) -> None:
    without(workspace, "N2C", "N2C_3")

    kinds = {(g["kind"], g["why"]): g["count"] for g in told(workspace)["garbage"]}

    assert kinds == {
        ("alignment", "pairs in use, with other thresholds or settings"): 4,
        ("alignment", "recordings or settings of no version"): 4,
        ("features", "recordings in use, with other settings or libraries"): 8,
    }
    without(workspace, "N2C_2")
    kinds = {(g["kind"], g["why"]): g["count"] for g in told(workspace)["garbage"]}
    assert kinds == {
        ("alignment", "recordings or settings of no version"): 4,
        ("features", "recordings of no version"): 8,
        ("levels", "recordings of no version"): 8,
    }


def test_a_dry_run_changes_nothing_and_foretells_the_bytes(workspace: Path) -> None:
    without(workspace, "N2C")
    before = contents(workspace)

    foretold = told(workspace, "--dry-run")

    assert contents(workspace) == before
    assert foretold["freed"] is None
    assert "Would remove" in cleaned(workspace, "--dry-run").out
    assert told(workspace)["freed"] == foretold["size"] > 0


def test_what_stays_is_not_measured_again(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    built(tmp_path / "w", settings(corpus.root))
    built(tmp_path / "w", settings(corpus.root, "silence.thresh=-30"), "N2C_2")
    without(tmp_path / "w", "N2C_2")

    told(tmp_path / "w")
    again = built(tmp_path / "w", settings(corpus.root))

    assert (again.new, again.measured, again.aligned) == (False, 0, 0)


def drop_schema(folder: Path) -> None:
    description = json.loads((folder / "version.json").read_text())
    (folder / "version.json").write_text(json.dumps({**description, "schema": 1}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "version.json").write_bytes(b"{"),
        lambda folder: (folder / "version.json").unlink(),
        lambda folder: (folder / "objects.safetensors").unlink(),
        lambda folder: (folder / "objects.safetensors").write_bytes(b""),
        drop_schema,
    ],
)
def test_nothing_is_removed_while_a_version_cannot_tell_what_it_needs(
    workspace: Path, damage: Callable[[Path], object]
) -> None:
    without(workspace, "N2C")
    damage(workspace / "versions" / "N2C_2")
    before = contents(workspace)

    for more in ([], ["--dry-run"]):
        said = cleaned(workspace, *more)

        assert said.code == 2
        assert "N2C_2" in said.err
        assert "nothing is removed" in said.err
        assert {**contents(workspace), ".lock": b""} == {**before, ".lock": b""}


def test_nothing_is_removed_while_a_build_runs(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    running = build(
        Request(name="N2C", settings=settings(corpus.root), workspace=tmp_path / "w", jobs=1)
    )
    for event in running:
        if isinstance(event, Progress):
            break

    said = cleaned(tmp_path / "w")
    foretold = cleaned(tmp_path / "w", "--dry-run")

    assert said.code == 2
    assert "a build is running" in said.err
    assert "a build is running" in foretold.err
    *_, _ = running
    assert {g["kind"] for g in told(tmp_path / "w")["garbage"]} <= {"index"}
    assert set(Store(tmp_path / "w").names()) == needed(tmp_path / "w")


def test_a_build_says_that_it_waits_for_a_cleaning(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    waiting = build(
        Request(name="N2C", settings=settings(corpus.root), workspace=tmp_path / "w", jobs=1)
    )
    with alone(tmp_path / "w"):
        note = next(event for event in waiting if isinstance(event, Note) and not event.serious)
    *_, last = waiting

    assert note.text == "waiting for a cleaning of the workspace to end"
    assert isinstance(last, Built)


def test_objects_of_a_build_that_was_stopped_go(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    stopped = build(
        Request(name="N2C", settings=settings(corpus.root), workspace=tmp_path / "w", jobs=1)
    )
    while not isinstance(next(stopped), Progress):
        pass
    stopped.close()  # type: ignore[attr-defined]

    assert told(tmp_path / "w")["count"] > 0
    assert list(Store(tmp_path / "w").names()) == []


def test_young_objects_can_be_kept(workspace: Path) -> None:
    without(workspace, "N2C", "N2C_2", "N2C_3")
    names = sorted(Store(workspace).names())
    old = time.time() - 3 * 86400
    for name in names[:5]:
        os.utime(Store(workspace).path(name), (old, old))

    assert told(workspace, "--older-than", "2")["count"] == 5
    assert sorted(Store(workspace).names()) == names[5:]


def test_leftovers_of_killed_builds_go(workspace: Path) -> None:
    dead = files._hidden_name().replace(f"-{os.getpid()}-", "-999999999-")
    alive = files._hidden_name()
    (workspace / "versions" / dead / "inner").mkdir(parents=True)
    (workspace / "versions" / dead / "inner" / "manifest.jsonl").write_bytes(b"x" * 70)
    for name in (dead, alive):
        (Store(workspace).folders()[0] / f"{name}-x.safetensors").write_bytes(b"x" * 7)

    answer = told(workspace)

    assert answer["garbage"] == [
        {"kind": "leftover", "why": "builds that were killed", "count": 2, "size": 77}
    ]
    assert [path.name for path in workspace.rglob(".tmp-*")] == [f"{alive}-x.safetensors"]


def test_a_damaged_object_nobody_needs_goes(workspace: Path) -> None:
    without(workspace, "N2C")
    [lost, *_] = sorted(set(Store(workspace).names()) - needed(workspace))
    Store(workspace).path(lost).write_bytes(b"not ours")

    kinds = {g["kind"]: g["count"] for g in told(workspace)["garbage"]}

    assert kinds["unreadable"] == 1
    assert set(Store(workspace).names()) == needed(workspace)


def test_a_damaged_object_somebody_needs_stays_for_verify_to_name(workspace: Path) -> None:
    [first, *_] = sorted(needed(workspace))
    Store(workspace).path(first).write_bytes(b"not ours")

    assert told(workspace)["count"] == 0
    assert Store(workspace).path(first).read_bytes() == b"not ours"


def test_files_that_are_no_objects_are_left_alone(workspace: Path) -> None:
    without(workspace, "N2C", "N2C_2", "N2C_3")
    folder = Store(workspace).folders()[0]
    (folder / "notes.txt").write_text("mine")
    (workspace / "runs" / "N2C_1").mkdir(parents=True)
    (workspace / "runs" / "N2C_1" / "run.json").write_text("{}")

    told(workspace)

    assert (folder / "notes.txt").read_text() == "mine"
    assert (workspace / "runs" / "N2C_1" / "run.json").read_text() == "{}"
    assert list(Store(workspace).names()) == []


def test_outdated_index_entries_go_and_the_others_serve(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    for path in corpus.root.rglob("*.wav"):
        os.utime(path, (1, 1))
    time.sleep(2.1)  # a file's entry is only written once the file has settled
    built(tmp_path / "w", settings(corpus.root))
    [index] = (tmp_path / "w" / "index").glob("*.json")
    before = index.stat().st_size
    (corpus.source / "utt_001.wav").unlink()

    answer = told(tmp_path / "w")

    [entry] = answer["garbage"]
    assert (entry["kind"], entry["count"]) == ("index", 1)
    assert answer["freed"] == before - index.stat().st_size > 0
    assert built(tmp_path / "w", settings(corpus.root), "N2C_2").measured == 0
    assert told(tmp_path / "w")["count"] == 0


def test_an_index_of_other_libraries_goes(workspace: Path) -> None:
    (workspace / "index" / "0123456789abcdef.json").write_bytes(b"x" * 9)

    assert told(workspace)["freed"] == 9
    assert not (workspace / "index" / "0123456789abcdef.json").exists()


def test_an_index_that_knows_nothing_yet_stays(workspace: Path) -> None:
    path = workspace / "index" / "0123456789abcdef.json"
    Index.at(path).save()

    assert told(workspace)["count"] == 0
    assert path.exists()


def test_entries_of_a_disk_that_is_not_there_today_stay(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    time.sleep(2.1)
    built(tmp_path / "w", settings(corpus.root))
    corpus.root.rename(tmp_path / "unplugged")

    assert told(tmp_path / "w")["count"] == 0


def test_no_workspace_is_nothing_to_clean(tmp_path: Path) -> None:
    assert cleaned(tmp_path / "w").code == 0
    assert not (tmp_path / "w").exists()


def test_a_disk_that_refuses_is_told(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(workspace, "N2C")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    said = cleaned(workspace)

    assert said.code == 2
    assert "cannot remove" in said.err
    assert "Permission denied" in said.err


def test_work_elsewhere_is_no_hindrance(workspace: Path, tmp_path: Path) -> None:
    with at_work(tmp_path / "other"):
        assert cleaned(workspace).code == 0
    with at_work(workspace):
        assert cleaned(workspace).code == 2

"""What versions use alone and share, against sets of names and against the disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from building import built, corpuskit, quick_corpus, settings
from corpuskit import build
from corpuskit.inventory import DiskUse, Inventory, take_stock, use_of
from corpuskit.objects import Store
from corpuskit.versions import inventory, objects_of, open_version


def stock(sizes: dict[int, int]) -> Inventory:
    """Objects named by small numbers, spread over all digits."""
    rows = sorted((number * 0x9E3779B97F4A7C15 % 2**64, size) for number, size in sizes.items())
    names = b"".join(name.to_bytes(8, "big") + bytes(24) for name, _ in rows)
    return Inventory(
        names=np.frombuffer(names, dtype=np.uint8).reshape(-1, 32),
        sizes=np.array([size for _, size in rows], dtype=np.int64),
    )


def test_own_and_shared_by_hand() -> None:
    stocks = {
        "a": stock({1: 10, 2: 20, 3: 40}),
        "b": stock({2: 20, 3: 40, 4: 80}),
        "c": stock({3: 40}),
    }

    assert use_of(stocks, {"a": 1, "b": 2, "c": 3}) == {
        "a": DiskUse(files=1, own=10, shared=60),
        "b": DiskUse(files=2, own=80, shared=60),
        "c": DiskUse(files=3, own=0, shared=40),
    }


def test_no_version_uses_nothing() -> None:
    assert use_of({}, {}) == {}


@given(st.lists(st.sets(st.integers(1, 40)), max_size=4))
def test_own_and_shared_are_those_of_sets(versions: list[set[int]]) -> None:
    stocks = {
        str(index): stock({number: number**2 for number in names})
        for index, names in enumerate(versions)
    }

    used = use_of(stocks, dict.fromkeys(stocks, 0))

    for index, names in enumerate(versions):
        others = set().union(*(n for i, n in enumerate(versions) if i != index), set())
        assert used[str(index)].own == sum(n**2 for n in names - others)
        assert used[str(index)].shared == sum(n**2 for n in names & others)


def test_stock_is_sorted_and_each_object_is_in_it_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    names = ["ff" * 32, "00" * 32, "7f" * 32]
    for size, name in enumerate(names, start=1):
        store.path(name).parent.mkdir(parents=True)
        store.path(name).write_bytes(b"x" * size)

    found = take_stock(store, [*names, *names, "ab" * 32])

    assert found.hex() == sorted([*names, "ab" * 32])
    assert found.sizes.tolist() == [2, 3, 0, 1]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """N2C and N2C_2, which differ in a threshold; other_1 is of two of the four sentences."""
    root = tmp_path_factory.mktemp("inventory")
    corpus = quick_corpus(root / "corpus", 4)
    built(root / "w", settings(corpus.root))
    built(root / "w", settings(corpus.root, "silence.thresh=-30"), "N2C_2")
    for number in (1, 2):
        (corpus.source / f"utt_00{number}.wav").unlink()
    built(root / "w", settings(corpus.root, "split.dev=0"), "other_1")
    return root / "w"


def on_disk(workspace: Path, names: set[str]) -> int:
    return sum(Store(workspace).path(name).stat().st_size for name in names)


def test_a_build_lists_every_object_it_rests_on(workspace: Path) -> None:
    for name in ("N2C", "N2C_2", "other_1"):
        version = open_version(workspace, name)
        listed = inventory(workspace, name)
        assert set(listed.hex()) == objects_of(version.pairs, version.recordings)
        assert listed.sizes.sum() == on_disk(workspace, set(listed.hex())) > 0


def test_list_tells_what_is_on_disk(workspace: Path) -> None:
    said = corpuskit("list", "--json", "--workspace", workspace)
    names = {
        name: objects_of(v.pairs, v.recordings)
        for name in ("N2C", "N2C_2", "other_1")
        for v in [open_version(workspace, name)]
    }

    for told in json.loads(said.out):
        others = set().union(*(names[name] for name in names if name != told["name"]))
        folder = workspace / "versions" / told["name"]
        assert told["disk"] == {
            "own": on_disk(workspace, names[told["name"]] - others),
            "shared": on_disk(workspace, names[told["name"]] & others),
            "files": sum(path.stat().st_size for path in folder.iterdir()),
        }
    assert "own disk" in corpuskit("list", "--workspace", workspace).out


def test_a_version_without_its_list_is_named_and_the_others_are_listed(
    workspace: Path, tmp_path: Path
) -> None:

    shutil.copytree(workspace, tmp_path / "w")
    (tmp_path / "w" / "versions" / "N2C" / "objects.safetensors").write_bytes(b"")

    said = corpuskit("list", "--workspace", tmp_path / "w")

    assert said.code == 0
    assert "dataset N2C is damaged: the content of objects.safetensors" in said.err
    assert "2 dataset versions" in said.out


def test_verify_holds_the_list_against_what_the_version_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    monkeypatch.setattr(build, "objects_of", lambda *given: sorted(objects_of(*given))[1:])
    built(tmp_path / "w", settings(corpus.root))

    said = corpuskit("verify", "N2C", "--workspace", tmp_path / "w", "--jobs", "1")

    assert said.code == 1
    assert "objects.safetensors lists other objects" in said.out

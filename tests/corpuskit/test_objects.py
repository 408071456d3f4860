"""The store: an object is what its key says, bit for bit, or it is not there."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from corpuskit.errors import BadVersion
from corpuskit.objects import Key, Store, libraries

KEY = Key(
    stage="levels",
    version=1,
    inputs={"audio": "ab" * 32},
    settings={"rate": 22050, "floor": 1e-5},
    libraries={"numpy": "2.0"},
)
ARRAYS = {
    "forward": np.arange(12, dtype=np.float64).reshape(3, 4),
    "backward": np.array([-1, 2**31 - 1], dtype=np.int32),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


# ------------------------------------------------------------------------- keys


def test_a_name_is_the_digest_of_the_keys_parts() -> None:
    text = (
        '{"inputs":{"audio":"' + "ab" * 32 + '"},"libraries":{"numpy":"2.0"},'
        '"settings":{"floor":1e-05,"rate":22050},"stage":"levels","version":1}'
    )

    assert KEY.hex() == hashlib.sha256(text.encode()).hexdigest()


CHANGES: dict[str, Any] = {
    "stage": "features",
    "version": 2,
    "inputs": {"audio": "cd" * 32},
    "settings": {"rate": 22050, "floor": 1e-6},
    "libraries": {"numpy": "2.1"},
}


@pytest.mark.parametrize("part", [field.name for field in dataclasses.fields(Key)])
def test_every_part_counts(part: str) -> None:
    assert dataclasses.replace(KEY, **{part: CHANGES[part]}).hex() != KEY.hex()


def test_the_order_of_settings_does_not_count() -> None:
    turned = dataclasses.replace(KEY, settings=dict(reversed(KEY.settings.items())))

    assert turned.hex() == KEY.hex()


def test_libraries_are_those_installed() -> None:
    assert libraries("numpy", "soxr") == {
        name: importlib.metadata.version(name) for name in ("numpy", "soxr")
    }


# ------------------------------------------------------------------- put and get


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8),
        st.sampled_from([np.float64, np.float32, np.int64, np.int32, np.int16, np.uint8]).flatmap(
            lambda dtype: arrays.arrays(
                dtype, arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)
            )
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_put_is_got(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    store = Store(tmp_path_factory.mktemp("w"))

    found = store.get(store.put(KEY, content))

    assert found.keys() == content.keys()
    for name, array in content.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_an_object_is_a_safetensors_file_with_its_key_inside(store: Store) -> None:
    name = store.put(KEY, ARRAYS)

    path = store.root / name[:2] / f"{name[2:]}.safetensors"
    assert store.path(name) == path
    for tensor, array in safetensors.numpy.load_file(path).items():
        np.testing.assert_array_equal(array, ARRAYS[tensor])
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    assert json.loads(metadata["key"]) == KEY.parts() == store.key_parts(name)
    blanked = path.read_bytes().replace(metadata["digest"].encode(), b"0" * 64)
    assert hashlib.sha256(blanked).hexdigest() == metadata["digest"]


def test_how_arrays_lie_in_memory_does_not_count(store: Store) -> None:
    found = store.get(store.put(KEY, {"a": ARRAYS["forward"].T, "b": ARRAYS["backward"][::-1]}))

    np.testing.assert_array_equal(found["a"], ARRAYS["forward"].T)
    np.testing.assert_array_equal(found["b"], ARRAYS["backward"][::-1])


def test_what_is_got_cannot_be_changed_by_accident(store: Store) -> None:
    found = store.get(store.put(KEY, ARRAYS))

    with pytest.raises(ValueError, match="read-only"):
        found["forward"][0] = 1


def test_all_objects_are_listed_and_nothing_half_written(store: Store) -> None:
    names = [store.put(dataclasses.replace(KEY, version=k), ARRAYS) for k in range(1, 6)]
    folder = store.path(names[0]).parent
    (folder / ".tmp-here-1-aa-name.safetensors").write_bytes(b"half")
    (store.root / "notes.txt").write_bytes(b"mine")

    assert list(store.names()) == sorted(names)
    assert store.folders() == sorted({store.path(name).parent for name in names})
    assert list(Store(store.workspace / "none").names()) == []


def test_writers_of_one_object_do_not_disturb_each_other(store: Store) -> None:
    threads = [threading.Thread(target=store.put, args=(KEY, ARRAYS)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.sound(KEY.hex())
    assert len(list(store.root.rglob("*.safetensors"))) == 1


# ------------------------------------------------------------------------ damage


def damaged(store: Store, name: str) -> None:
    assert not store.sound(name)
    with pytest.raises(BadVersion, match=f"object {name[:12]} is damaged"):
        store.get(name)
    with pytest.raises(BadVersion):
        store.key_parts(name)


def test_every_flipped_byte_is_found(store: Store) -> None:
    name = store.put(KEY, ARRAYS)
    path = store.path(name)
    whole = path.read_bytes()
    draw = np.random.default_rng(0)

    for position in range(len(whole)):
        for mask in (1, 128, int(draw.integers(1, 256))):
            raw = bytearray(whole)
            raw[position] ^= mask
            path.write_bytes(raw)
            damaged(store, name)

    path.write_bytes(whole)
    assert store.sound(name)


def test_every_torn_length_is_found(store: Store) -> None:
    name = store.put(KEY, ARRAYS)
    path = store.path(name)
    whole = path.read_bytes()

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        damaged(store, name)
        path.write_bytes(whole[:length] + bytes(len(whole) - length))  # a hole after a power cut
        assert store.sound(name) == (not any(whole[length:]))
    path.write_bytes(whole + b"\0")
    damaged(store, name)


def test_another_objects_content_is_found(store: Store) -> None:
    name = store.put(KEY, ARRAYS)
    other = store.put(dataclasses.replace(KEY, version=2), {"forward": np.zeros(3)})
    shutil.copyfile(store.path(other), store.path(name))

    assert not store.sound(name)
    with pytest.raises(BadVersion, match="it holds another object's content"):
        store.get(name)
    assert store.sound(other)


def test_a_safetensors_file_that_is_not_ours_is_found(store: Store) -> None:
    name = store.put(KEY, ARRAYS)
    safetensors.numpy.save_file(ARRAYS, store.path(name))

    damaged(store, name)


def test_a_missing_object_is_found(store: Store) -> None:
    with pytest.raises(BadVersion, match=f"object {KEY.hex()[:12]} is missing"):
        store.get(KEY.hex())
    assert not store.sound(KEY.hex())


def test_an_object_that_cannot_be_read_is_found(store: Store) -> None:
    store.path(KEY.hex()).mkdir(parents=True)

    with pytest.raises(BadVersion, match="cannot be read: Is a directory"):
        store.get(KEY.hex())
    assert not store.sound(KEY.hex())


def test_an_object_put_again_is_healed(store: Store) -> None:
    name = store.put(KEY, ARRAYS)
    store.path(name).write_bytes(b"")
    assert not store.sound(name)

    store.put(KEY, ARRAYS)

    assert store.sound(name)
    healed = store.get(name)
    assert healed.keys() == ARRAYS.keys()
    for tensor, values in ARRAYS.items():
        np.testing.assert_array_equal(healed[tensor], values)

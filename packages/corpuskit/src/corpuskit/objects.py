"""The content-addressed store: what was measured once, kept under the key that explains it.

An object is a safetensors file `objects/ab/cdef....safetensors`. Its name is the hash
of its key, and a key has named parts (stage, the stage's version constant, its inputs'
digests, its own settings, the numeric libraries' versions), so "why was this computed
again" is a comparison of fields. The file carries its key and a digest over all its
bytes: existence never counts as done, and one flipped bit is found on reading.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.errors import BadVersion
from corpuskit.files import canonical, write_file

__all__ = ["Key", "Store", "libraries", "tensors_of"]

Arrays = Mapping[str, npt.NDArray[Any]]

_BLANK = b"0" * 64
_CHUNK = 1 << 16  # bytes; a header is far smaller
_DIGEST = re.compile(rb'"digest":"([0-9a-f]{64})"')


@cache
def libraries(*names: str) -> dict[str, str]:
    """Return the installed versions of the named distributions."""
    return {name: importlib.metadata.version(name) for name in names}


@dataclass(frozen=True, kw_only=True)
class Key:
    """Everything that determines one object, part by part."""

    stage: str  # "levels", "features", "alignment"
    version: int  # raised when the stage's code changes its result
    inputs: Mapping[str, Any]  # digests of what goes in
    settings: Mapping[str, Any]  # the stage's own settings and nothing else
    libraries: Mapping[str, str]  # numeric libraries the result depends on

    def parts(self) -> dict[str, Any]:
        """Return the parts as plain values."""
        return {
            "inputs": dict(self.inputs),
            "libraries": dict(self.libraries),
            "settings": dict(self.settings),
            "stage": self.stage,
            "version": self.version,
        }

    def hex(self) -> str:
        """Return the object's name: SHA-256 of the canonical parts."""
        return hashlib.sha256(canonical(self.parts()).encode()).hexdigest()


@dataclass(frozen=True)
class Store:
    """The objects below one workspace."""

    workspace: Path

    @property
    def root(self) -> Path:
        """Folder of all objects."""
        return self.workspace / "objects"

    def path(self, name: str) -> Path:
        """Return where the object `name` (64 hex digits) lives."""
        return Path(self._location(name))

    def _location(self, name: str) -> str:
        return f"{self.workspace}/objects/{name[:2]}/{name[2:]}.safetensors"

    def put(self, key: Key, arrays: Arrays) -> str:
        """Store `arrays` under `key`; returns the object's name."""
        from safetensors.numpy import save

        metadata = {"digest": _BLANK.decode(), "key": canonical(key.parts())}
        raw = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
        digest = hashlib.sha256(raw).hexdigest().encode()
        before, blank, after = raw.partition(_BLANK)
        assert blank, "the digest's place is written by save()"
        name = key.hex()
        # Not synced one by one: the digest exposes a torn file, and the next build makes it again.
        write_file(self.path(name), before + digest + after, durable=False)
        return name

    def get(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Read an object whole and checked.

        Raises
        ------
        BadVersion
            It is missing or damaged (a digest, length or key that does not fit).

        """
        raw, header = self._checked(name)
        return _arrays(raw, header, name)

    def key_parts(self, name: str) -> dict[str, Any]:
        """Return the key an object was stored under (checked as in `get`)."""
        _, header = self._checked(name)
        parts: dict[str, Any] = json.loads(header["__metadata__"]["key"])
        return parts

    def sound(self, name: str) -> bool:
        """Tell whether an object exists and is undamaged, without keeping its content."""
        try:
            with open(self._location(name), "rb", buffering=0) as file:  # noqa: PTH123 - hot path
                first = file.read(_CHUNK)
                hasher, expected, header = _begin(first, name)
                while chunk := file.read(_CHUNK):
                    hasher.update(chunk)
        except (BadVersion, OSError):
            return False
        return hasher.hexdigest() == expected and _named(header) == name

    def size(self, name: str) -> int:
        """Return an object's size in bytes, 0 if it is missing."""
        try:
            return os.stat(self._location(name)).st_size  # noqa: PTH116 - hot path
        except OSError:
            return 0

    def header(self, name: str) -> dict[str, Any]:
        """Return the key an object says it has, unchecked; empty when it says none."""
        try:
            with open(self._location(name), "rb") as file:  # noqa: PTH123 - hot path
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(min(length, _CHUNK)))
            parts: dict[str, Any] = json.loads(header["__metadata__"]["key"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return parts if isinstance(parts, dict) else {}

    def folders(self) -> list[Path]:
        """Return the folders that hold objects, sorted."""
        return sorted(self.root.glob("[0-9a-f][0-9a-f]"))

    def names(self) -> Iterator[str]:
        """Yield the names of all objects present, sorted."""
        for folder in self.folders():
            for path in sorted(folder.glob("*.safetensors")):
                if not path.name.startswith("."):
                    yield path.parent.name + path.stem

    def _checked(self, name: str) -> tuple[bytes, dict[str, Any]]:
        """Read an object whole; return its bytes and its header."""
        try:
            with open(self._location(name), "rb", buffering=0) as file:  # noqa: PTH123 - hot path
                raw = file.readall()
        except FileNotFoundError:
            raise BadVersion(f"object {name[:12]} is missing") from None
        except OSError as error:
            raise BadVersion(f"object {name[:12]} cannot be read: {error.strerror}") from None
        hasher, expected, header = _begin(raw, name)
        if hasher.hexdigest() != expected:
            raise BadVersion(f"object {name[:12]} is damaged: its content does not fit its digest")
        if _named(header) != name:
            raise BadVersion(f"object {name[:12]} is damaged: it holds another object's content")
        return raw, header


def _begin(raw: bytes, name: str) -> tuple[Any, str, dict[str, Any]]:
    """Start hashing an object of which `raw` holds at least the header.

    Returns the hasher fed with `raw` (its own digest blanked), that digest, and the header.
    """
    header_end = 8 + int.from_bytes(raw[:8], "little")
    found = _DIGEST.search(raw, 8, header_end) if header_end <= len(raw) else None
    if found is None:
        raise BadVersion(f"object {name[:12]} is damaged: its header is not ours")
    hasher = hashlib.sha256(memoryview(raw)[: found.start(1)])
    hasher.update(_BLANK)
    hasher.update(memoryview(raw)[found.end(1) :])
    try:
        header: dict[str, Any] = json.loads(raw[8:header_end])
    except ValueError:
        raise BadVersion(f"object {name[:12]} is damaged: its header is not ours") from None
    return hasher, found.group(1).decode(), header


def _named(header: dict[str, Any]) -> str:
    """Return the name an object's own key asks for."""
    key = str(header.get("__metadata__", {}).get("key"))
    return hashlib.sha256(key.encode()).hexdigest()


_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "U64": np.uint64,
    "U8": np.uint8,
}


def _arrays(raw: bytes, header: dict[str, Any], name: str) -> dict[str, npt.NDArray[Any]]:
    """View the tensors of checked safetensors bytes without copying them."""
    header_end = 8 + int.from_bytes(raw[:8], "little")
    arrays = _viewed(np.frombuffer(raw, dtype=np.uint8), header, header_end)
    if not arrays:
        raise BadVersion(f"object {name[:12]} holds nothing")
    return arrays


def tensors_of(raw: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
    """View the tensors of a whole safetensors file, in memory or mapped, without copying them."""
    header_end = 8 + int.from_bytes(raw[:8].tobytes(), "little")
    return _viewed(raw, json.loads(raw[8:header_end].tobytes()), header_end)


def _viewed(
    raw: npt.NDArray[np.uint8], header: dict[str, Any], header_end: int
) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {}
    for tensor, entry in header.items():
        if tensor != "__metadata__":
            begin, end = (header_end + offset for offset in entry["data_offsets"])
            array = np.asarray(raw[begin:end]).view(_DTYPES[entry["dtype"]])
            arrays[tensor] = array.reshape(entry["shape"])
    return arrays

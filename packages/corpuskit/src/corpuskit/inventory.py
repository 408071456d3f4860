"""The objects a version rests on and their sizes, compact: a line a version in `list` is cheap.

names   uint8 (n, 32), sorted     an object's name is the 64 hex digits of its row
sizes   int64 (n,)                bytes of the object's file
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.objects import Store

__all__ = ["DiskUse", "Inventory", "short", "take_stock", "use_of"]


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Object names and file sizes, sorted by name."""

    names: npt.NDArray[np.uint8]  # (n, 32)
    sizes: npt.NDArray[np.int64]  # (n,) bytes

    def hex(self) -> list[str]:
        """Return the names as the store knows them."""
        whole = self.names.tobytes().hex()
        return [whole[at : at + 64] for at in range(0, len(whole), 64)]


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """Bytes of one version among others."""

    files: int  # the version's own folder
    own: int  # objects no other version needs
    shared: int  # objects other versions need too


def take_stock(store: Store, names: Iterable[str]) -> Inventory:
    """List objects with their present sizes (0 for one that is missing)."""
    ordered = sorted(set(names))
    rows = np.frombuffer(bytes.fromhex("".join(ordered)), dtype=np.uint8)
    sizes = np.array([store.size(name) for name in ordered], dtype=np.int64)
    return Inventory(names=rows.reshape(-1, 32), sizes=sizes)


def short(names: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return the first 64 bits of each name, (n,); two of a million share them by a freak."""
    return np.ascontiguousarray(names[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def use_of(inventories: Mapping[str, Inventory], files: Mapping[str, int]) -> dict[str, DiskUse]:
    """Tell for each version which bytes of objects are its own and which are shared."""
    keys = {name: short(inventory.names) for name, inventory in inventories.items()}
    found, counts = _counted(list(keys.values()))
    result = {}
    for name, inventory in inventories.items():
        alone = counts[np.searchsorted(found, keys[name])] == 1
        total = int(inventory.sizes.sum())
        own = int(inventory.sizes[alone].sum())
        result[name] = DiskUse(files=files[name], own=own, shared=total - own)
    return result


def _counted(
    keys: Sequence[npt.NDArray[np.uint64]],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.intp]]:
    together = np.concatenate(keys) if keys else np.empty(0, dtype=np.uint64)
    return np.unique(together, return_counts=True)

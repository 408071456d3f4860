"""What determines a run: settings, data, parent and code, hashed into one identity.

Equal identities give equal weights on one machine, so a second run of the same identity is
refused by name. What differs between two runs is found by comparing the parts.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.files import canonical

if TYPE_CHECKING:
    from corpuskit.versions import Pair

__all__ = [
    "CODE",
    "VOCODER_CODE",
    "code_digest",
    "differences",
    "digest_of",
    "normalised",
    "split_digest",
]

# The modules whose code changes what is learnt.
CODE = (
    "aligner",
    "averaging",
    "batches",
    "data",
    "device",
    "distributed",
    "finetune",
    "fitted",
    "graphs",
    "kernel",
    "layers",
    "learner",
    "linear",
    "loop",
    "losses",
    "model",
    "packing",
    "packs",
    "prosody",
    "schedule",
    "warping",
)
# The same for a vocoder.
VOCODER_CODE = (
    "device",
    "loop",
    "vocoder_data",
    "vocoder_learner",
    "vocoder_loop",
    "vocoders/config",
    "vocoders/discriminators",
    "vocoders/generator",
    "vocoders/losses",
    "vocoders/mel",
    "vocoders/public",
)


def digest_of(parts: Mapping[str, Any]) -> str:
    """Return the identity of a run described by plain values (64 hex digits)."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def split_digest(pairs: Iterable[Pair], left_out: Iterable[str]) -> str:
    """Return the digest of who is in which split; `left_out` pairs count in no score."""
    excluded = frozenset(left_out)
    rows = [[pair.id, pair.split, pair.id in excluded] for pair in pairs]
    return hashlib.sha256(canonical(sorted(rows)).encode()).hexdigest()


def code_digest(modules: Sequence[str] = CODE) -> str:
    """Return the digest of the code that determines the numbers; comments do not change it."""
    here = Path(__file__).parent
    hasher = hashlib.sha256()
    for name in modules:
        source = (here / f"{name}.py").read_text(encoding="utf-8")
        hasher.update(f"{name}\n{normalised(source)}\n".encode())
    return hasher.hexdigest()


@functools.lru_cache(maxsize=64)  # files; a search asks again for every trial
def normalised(source: str) -> str:
    """Return Python source without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and _is_text(first.value):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the parts in which two runs differ: {"config.optim.warm_up": (4000, 1000)}."""
    one, other = _flat(before), _flat(after)
    return {
        key: (one.get(key), other.get(key))
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key)
    }


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            rows |= _flat(value, f"{prefix}{key}.")
        else:
            rows[f"{prefix}{key}"] = value
    return rows

"""An identity changes with what determines the numbers, and with nothing else."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import trainer
from trainer import identity
from trainer.identity import (
    CODE,
    VOCODER_CODE,
    code_digest,
    differences,
    digest_of,
    normalised,
    split_digest,
)

# Modules the loop needs that change no number: where things are kept, how they are named, what
# is refused. What `lineage` leaves out of the scores is counted in the split's own digest.
NEUTRAL = {
    *("checkpoint", "config", "diary", "errors", "history", "identity", "lineage", "preflight"),
    *("processes", "record", "remarks", "runs", "signals", "vocoders/config"),
}


def test_comments_docstrings_and_layout_are_no_code() -> None:
    plain = "def f(x):\n    return x + 1\n\nclass A:\n    y = 2\n"
    told = (
        '"""A module."""\n# why\ndef f( x ):\n    """Add."""\n    return (x  # one\n        + 1)\n'
        '\nclass A:\n    """A class."""\n    y = 2\n'
    )

    assert normalised(told) == normalised(plain)
    assert normalised('def f():\n    """Only words."""\n') == normalised("def f():\n    pass\n")


@pytest.mark.parametrize(
    "other",
    ["def f(x):\n    return x + 2\n", "def f(x):\n    'no docstring' + x\n    return x + 1\n"],
)
def test_code_is_code(other: str) -> None:
    assert normalised(other) != normalised("def f(x):\n    return x + 1\n")


def test_every_module_that_can_change_the_numbers_is_counted() -> None:
    """All the loop reaches is either hashed or known to be neutral."""
    found = reached("loop", "finetune")

    assert set(CODE) == found - NEUTRAL
    assert found >= NEUTRAL


def test_every_module_that_can_change_a_vocoders_numbers_is_counted() -> None:
    """Of the loop that is the part all runs go through; what models need besides it is not."""
    found = reached("vocoder_loop", but=("loop",)) | {"loop"}

    # Settings are counted for what they mean; recordings are, by their digests, in the dataset's
    # fingerprint; `schedule` is for the settings of models.
    assert set(VOCODER_CODE) == found - (NEUTRAL - {"vocoders/config"}) - {"originals", "schedule"}


def reached(*roots: str, but: tuple[str, ...] = ()) -> set[str]:
    """Names of the trainer's modules that `roots` need, directly or not; `but` are not followed."""
    found, todo = set[str](), list(roots)
    while todo:
        name = todo.pop()
        if name in found or name in but:
            continue
        found.add(name)
        todo += imported(Path(trainer.__file__).parent / f"{name}.py")
    return found


def imported(path: Path) -> list[str]:
    """Names of the trainer's modules a module imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "trainer":
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trainer."):
            names.append(str(node.module).removeprefix("trainer.").replace(".", "/"))
    return names


def test_the_code_digest_follows_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_digest()
    for name in CODE:
        source = (Path(trainer.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(identity, "__file__", str(tmp_path / "identity.py"))
    assert code_digest() == before

    for name in CODE:
        path = tmp_path / f"{name}.py"
        source = path.read_text(encoding="utf-8")
        path.write_text(f"{source}\n# another comment\n", encoding="utf-8")
        assert code_digest() == before
        path.write_text(f"{source}\nANOTHER = 1\n", encoding="utf-8")
        assert code_digest() != before
        path.write_text(source, encoding="utf-8")


def row(name: str, split: str) -> Any:
    return SimpleNamespace(id=name, split=split)


def test_a_split_digest_is_of_who_is_where() -> None:
    pairs = [row("a", "train"), row("b", "dev"), row("c", "dev")]
    digest = split_digest(pairs, [])

    assert split_digest(reversed(pairs), []) == digest
    assert split_digest(pairs, ["b"]) != digest
    assert split_digest([row("a", "dev"), *pairs[1:]], []) != digest
    assert split_digest(pairs[:2], []) != digest


def test_an_identity_does_not_depend_on_order() -> None:
    one = digest_of({"a": 1, "b": {"c": 0.1, "d": None}})

    assert one == digest_of({"b": {"d": None, "c": 0.1}, "a": 1})
    assert one != digest_of({"a": 1, "b": {"c": 0.2, "d": None}})
    assert len(one) == 64


def test_differences_name_the_settings() -> None:
    before = {"config": {"optim": {"warm_up": 4000, "clip": 1.0}}, "parent": None}
    after = {"config": {"optim": {"warm_up": 1000, "clip": 1.0}}, "parent": {"weights": "ab"}}

    assert differences(before, after) == {
        "config.optim.warm_up": (4000, 1000),
        "parent.weights": (None, "ab"),
    }
    assert differences(before, before) == {}

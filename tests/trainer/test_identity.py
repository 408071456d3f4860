"""An identity changes with what determines the numbers, and with nothing else."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import trainer
from trainer import identity
from trainer.identity import CODE, code_digest, differences, digest_of, normalised, split_digest

# Modules the loop needs that change no number: where things are kept, how they are named, what
# is refused. What `lineage` leaves out of the scores is counted in the split's own digest.
NEUTRAL = {
    *("checkpoint", "config", "diary", "errors", "history", "identity", "lineage", "preflight"),
    *("processes", "record", "remarks", "runs", "signals"),
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
    folder = Path(trainer.__file__).parent
    reached, todo = set(), ["loop", "finetune"]
    while todo:
        name = todo.pop()
        if name in reached:
            continue
        reached.add(name)
        todo += imported(folder / f"{name}.py")

    assert set(CODE) == reached - NEUTRAL
    assert reached >= NEUTRAL


def imported(path: Path) -> list[str]:
    """Names of the trainer's modules a module imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "trainer":
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trainer."):
            names.append(str(node.module).removeprefix("trainer."))
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

"""The guide that tells the diary's lost weeks again: every command in it, and what it shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "lost-weeks.md"


class Step(NamedTuple):
    """A command of the guide, and the lines that are shown of what it says."""

    command: str
    refused: bool
    shown: tuple[str, ...]


def steps() -> Iterator[Step]:
    text = GUIDE.read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            plain, _, remark = command.partition("   # ")
            yield Step(plain, remark == "refused", tuple(shown))


def missing(shown: tuple[str, ...], said: str) -> str:
    """The first line of the guide that was not said after those before it; empty if all were."""
    lines = iter(said.splitlines())
    for wanted in shown:
        if wanted.strip() == "…":
            continue
        pattern = ".*".join(re.escape(piece.strip()) for piece in wanted.split("…"))
        if not any(re.fullmatch(rf"\s*{pattern}\s*", line) for line in lines):
            return wanted
    return ""


def test_what_is_missing_is_found() -> None:
    assert missing(("a", "…", "b … d"), "a\nx\nb c d\n") == ""
    assert missing(("a", "c"), "a\nb") == "c"
    assert missing(("b", "a"), "a\nb") == "a"
    assert missing(("b c",), "b c d") == "b c"


def test_the_guide_has_steps() -> None:
    found = list(steps())

    assert len(found) >= 15
    assert sum(step.refused for step in found) == 2
    assert {step.command.split()[0] for step in found} == {"corpuskit", "trainer"}


@pytest.mark.slow
@pytest.mark.alone
def test_every_command_of_the_guide_shows_what_it_says(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    environment.pop("CORPUSKIT_WORKSPACE", None)

    for step in steps():
        program, *arguments = shlex.split(step.command)
        done = subprocess.run(
            [sys.executable, "-m", f"{program}.cli", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == (2 if step.refused else 0), f"{step.command}\n{done.stdout}"
        lost = missing(step.shown, done.stdout)
        assert not lost, f"{step.command}\ndid not say: {lost}\nbut:\n{done.stdout}"

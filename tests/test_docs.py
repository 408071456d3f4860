"""What README, docs and the Justfile say must be what the commands do."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import corpuskit.cli
import trainer.cli
from corpuskit.config import DatasetConfig, from_mapping, load_toml, to_mapping

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
APPS: dict[str, Any] = {
    "corpuskit": typer.main.get_command(corpuskit.cli.app),
    "trainer": typer.main.get_command(trainer.cli.app),
}
COMMAND = re.compile(r"^(?:\$ )?((?:corpuskit|trainer) [a-z].*)$", re.MULTILINE)
INLINE = re.compile(r"`((?:corpuskit|trainer) [a-z][^`]*)`")


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL))
        told = [*COMMAND.findall(blocks), *INLINE.findall(text)]
        found += [(page.name, command.split("#")[0].strip()) for command in told]
    return found


@pytest.mark.parametrize(("page", "command"), commands())
def test_commands_in_the_docs_exist_with_their_options(page: str, command: str) -> None:
    program, name, *words = shlex.split(command.replace("[", "").replace("]", ""))
    app = APPS[program]
    assert name in app.commands, f"{page}: {command}"
    found = app.commands[name]
    if hasattr(found, "commands"):  # a group: `trainer vocoder run`
        assert words[0] in found.commands, f"{page}: {command}"
        found = found.commands[words[0]]
    known = {flag for option in found.params for flag in option.opts}
    known |= {flag for option in found.params for flag in option.secondary_opts}
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in known, f"{page}: {command}: {word}"


def test_the_docs_hold_commands_at_all() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize("program", APPS)
def test_every_command_and_option_has_help(program: str) -> None:
    app = APPS[program]
    for name, command in app.commands.items():
        assert command.help, name
        for option in command.params:
            assert getattr(option, "help", None), f"{program} {name} {option.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readmes_tree_is_the_repositorys() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^((?:packages|configs|docs|bench|tests|scripts)/\S*)", text, re.MULTILINE)
    assert len(named) >= 7
    for path in named:
        assert (ROOT / path).exists(), path


def test_just_recipes_named_in_the_readme_exist() -> None:
    recipes = set(re.findall(r"^([a-z-]+)[^:=\n]*:(?!=)", (ROOT / "Justfile").read_text(), re.M))
    assert {"setup", "demo", "test", "lint", "bench"} <= recipes
    for name in re.findall(r"just ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert name in recipes, name


def test_the_documented_definition_shows_every_setting_with_its_default() -> None:
    shown = load_toml(ROOT / "configs" / "datasets" / "N2C.toml")
    settings = from_mapping(DatasetConfig, shown, "N2C.toml")
    plain = to_mapping(DatasetConfig(corpora=settings.corpora, pairs=settings.pairs))
    for table in ("audio", "features", "silence", "align"):
        assert shown[table] == plain[table], table
    assert shown["split"].keys() == plain["split"].keys()


@pytest.mark.parametrize("program", APPS)
def test_help_imports_nothing_heavy(program: str) -> None:
    code = (
        f"import sys; from {program}.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'librosa', 'scipy', 'joblib', 'soundfile', 'matplotlib'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert said.rstrip().endswith("HEAVY []")

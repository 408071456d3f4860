"""The command as its users meet it: exit codes, one clear line, clean JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fullbuilds import command, write_definition
from synthetic import write_pair_corpus


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with T.toml, a corpus, and a workspace that holds T and T_2."""
    root = tmp_path_factory.mktemp("cli")
    toml = write_definition(write_pair_corpus(root / "corpus", count=4), root / "T.toml")
    for name, thresh in (("T", "-50"), ("T_2", "-45")):
        done = command(
            *("build", name, "--config", toml, "--silence-thresh", thresh),
            *("--workspace", root / "w", "--jobs", "1"),
        )
        assert done.returncode == 0, done.stderr
    return root


def call(place: Path, *arguments: str | Path, **how: Any) -> Any:
    env = {**os.environ, "CORPUSKIT_WORKSPACE": str(place / "w")}
    return command(*arguments, env=env, cwd=place, **how)


REFUSED = {
    "unknown version": (["show", "T_3"], "no dataset 'T_3'; did you mean T_2 or T?"),
    "a name that is none": (["build", "../x", "--config", "T.toml"], "not a dataset name"),
    "a hidden name": (["build", ".x", "--config", "T.toml"], "not a dataset name"),
    "no definition": (["build", "nothing"], "give its TOML with --config"),
    "a definition that is not there": (["build", "X", "--config", "no.toml"], "does not exist"),
    "a definition that is no TOML": (["build", "X", "--config", "bad.toml"], "not valid TOML"),
    "unknown key": (
        ["build", "X", "--config", "T.toml", "--set", "silence.tresh=-3"],
        "unknown key 'silence.tresh'; did you mean 'silence.thresh'?",
    ),
    "unknown value": (
        ["build", "X", "--config", "T.toml", "--set", "features.f0_method=harves"],
        "did you mean 'harvest'?",
    ),
    "wrong type": (
        ["build", "X", "--config", "T.toml", "--set", "audio.rate=fast"],
        "audio.rate must be a whole number",
    ),
    "out of range": (
        ["build", "X", "--config", "T.toml", "--silence-thresh", "3"],
        "silence.thresh is 3.0 dBFS",
    ),
    "split larger than the corpus": (
        ["build", "X", "--config", "T.toml", "--set", "split.dev=9"],
        "leave nothing to train on",
    ),
    "frozen": (["build", "T", "--like", "T_2"], "frozen, and this build differs"),
    "both starts": (["build", "X", "--like", "T", "--config", "T.toml"], "give one"),
    "unknown option": (["build", "X", "--confg", "T.toml"], "--config"),
    "unknown backend": (["build", "X", "--backend", "mpi"], "loky"),
    "no such command": (["bild"], "build"),
    "a speaker nobody is": (
        ["build", "X", "--config", "T.toml", "--set", 'pairs=[{source="N", target="K"}]'],
        "known speakers: C, N",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_wrong_usage_gets_one_message_and_exit_2(kind: str, place: Path) -> None:
    (place / "bad.toml").write_text("this is = = not TOML")
    arguments, said = REFUSED[kind]
    done = call(place, *arguments)

    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if done.stderr.startswith("error:"):
        assert len(done.stderr.splitlines()) == 1
    assert sorted(p.name for p in (place / "w" / "versions").iterdir()) == ["T", "T_2"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--json"],
        ["show", "T", "--json"],
        ["diff", "T", "T_2", "--json"],
        ["verify", "T", "--json"],
        ["build", "T", "--config", "T.toml", "--json"],
    ],
)
def test_json_is_alone_on_stdout(arguments: list[str], place: Path) -> None:
    done = call(place, *arguments)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_the_workspace_may_stand_on_either_side(place: Path, tmp_path: Path) -> None:
    before = command("--workspace", place / "w", "list", cwd=tmp_path)
    after = command("list", "--workspace", place / "w", cwd=tmp_path)

    assert before.stdout == after.stdout
    assert "T_2" in after.stdout


def test_diff_ends_with_the_sentence_that_matters(place: Path) -> None:
    last = call(place, "diff", "T", "T_2").stdout.splitlines()[-1]

    assert last.startswith("1 setting differs: silence.thresh -50 -> -45; ")


def test_diff_exit_code(place: Path) -> None:
    assert call(place, "diff", "T", "T_2").returncode == 0
    assert call(place, "diff", "T", "T_2", "--exit-code").returncode == 1
    assert call(place, "diff", "T", "T", "--exit-code").returncode == 0


def test_quiet_leaves_the_closing_sentence(place: Path) -> None:
    said = call(place, "--quiet", "build", "T", "--config", "T.toml")

    assert said.stderr == ""
    assert said.stdout.startswith("Dataset T is already built and unchanged")
    assert len(said.stdout.splitlines()) == 1


def test_strict_and_verify_exit_1(place: Path) -> None:
    (place / "corpus" / "source" / "alone.wav").write_bytes(b"")
    strict = call(place, "build", "T_9", "--config", "T.toml", "--strict")
    (place / "corpus" / "source" / "alone.wav").unlink()
    assert (strict.returncode, strict.stdout) == (1, "")
    assert "N/alone has no partner" in strict.stderr

    victim = next((place / "w" / "objects").rglob("*.safetensors"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1])
    verified = call(place, "verify", "T")
    victim.write_bytes(whole)
    assert verified.returncode == 1
    assert "damaged" in verified.stdout


def test_a_dry_run_makes_no_workspace(place: Path, tmp_path: Path) -> None:
    done = call(
        place, "build", "X", "--config", "T.toml", "--dry-run", "--workspace", tmp_path / "n"
    )

    assert done.returncode == 0
    assert done.stdout.startswith("Would build from 4 candidate pairs of 8 recordings")
    assert not (tmp_path / "n").exists()


def test_like_starts_from_a_versions_settings(place: Path, tmp_path: Path) -> None:
    done = call(place, "build", "T_5", "--like", "T_2", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Would build from 4 candidate pairs")


def test_a_file_where_the_workspace_should_be(place: Path, tmp_path: Path) -> None:
    (tmp_path / "w").write_text("a file")
    done = call(place, "build", "X", "--config", "T.toml", "--workspace", tmp_path / "w")

    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_is_no_error(place: Path) -> None:
    arguments = [sys.executable, "-m", "corpuskit.cli", "show", "T", "--workspace", place / "w"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()

        assert b"Traceback" not in process.stderr.read()

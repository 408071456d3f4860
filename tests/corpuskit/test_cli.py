"""The command line: streams, places, refusals, what is imported, what is written.

Most commands run in this process, through `corpuskit.cli.main`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import soundfile as sf

from building import (
    Said,
    built,
    contents,
    corpuskit,
    ended,
    litter,
    quick_corpus,
    settings,
    started,
    written_toml,
)
from corpuskit import files
from corpuskit.__main__ import main as command
from corpuskit.console import run_app
from corpuskit.versions import list_versions


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """corpus/, N2C.toml, and w/ that holds N2C and N2C_4 of them."""
    place = tmp_path_factory.mktemp("cli")
    corpus = quick_corpus(place / "corpus")
    written_toml(place / "N2C.toml", corpus.root)
    built(place / "w", settings(corpus.root))
    built(place / "w", settings(corpus.root, "silence.thresh=-40"), "N2C_4")
    return place


@pytest.fixture
def here(ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with the definition where commands look for it."""
    monkeypatch.delenv("CORPUSKIT_WORKSPACE", raising=False)
    folder = tmp_path / "configs" / "datasets"
    folder.mkdir(parents=True)
    shutil.copy(ground / "N2C.toml", folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_one_line(said: Said, code: int = 2) -> str:
    """The one clear message of a command that could not do what was asked."""
    assert said.code == code, said
    assert said.out == ""
    assert "Traceback" not in said.err
    [line] = said.err.splitlines()
    return line


# ------------------------------------------------------------------------- workspaces


def test_the_workspace_is_the_options_then_the_environments_then_here(
    ground: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = "2 dataset versions in"
    assert corpuskit("list").out == "0 dataset versions in workspace.\n"
    monkeypatch.setenv("CORPUSKIT_WORKSPACE", str(here / "empty"))
    assert corpuskit("list").out == f"0 dataset versions in {here / 'empty'}.\n"
    assert named in corpuskit("--workspace", ground / "w", "list").out
    assert named in corpuskit("list", "--workspace", ground / "w").out
    nearer = corpuskit("--workspace", here / "other", "list", "--workspace", ground / "w")
    assert named in nearer.out
    monkeypatch.setenv("CORPUSKIT_WORKSPACE", str(ground / "w"))
    assert named in corpuskit("list").out
    monkeypatch.setenv("CORPUSKIT_WORKSPACE", "")
    assert corpuskit("list").out == "0 dataset versions in workspace.\n"


def test_asking_makes_no_workspace(here: Path) -> None:
    before = contents(here)
    for words in (["list"], ["show", "N2C"], ["verify", "N2C"], ["diff", "N2C", "N2C_4"]):
        corpuskit(*words)

    assert contents(here) == before
    assert not (here / "workspace").exists()


def test_a_dry_run_writes_nothing_at_all(ground: Path, here: Path) -> None:
    before = contents(here), contents(ground)

    said = corpuskit("build", "N2C", "--dry-run")
    warm = corpuskit("build", "N2C_5", "--dry-run", "--workspace", ground / "w", "--jobs", "1")

    assert said.out == (
        "Would build from 4 candidate pairs of 8 recordings: 8 to be measured, 0 in the store.\n"
    )
    assert warm.out.startswith("Would build from 4 candidate pairs of 8 recordings: ")
    assert said.code == warm.code == 0
    assert (contents(here), contents(ground)) == before
    assert not (here / "workspace").exists()


def test_a_dry_run_in_json(here: Path) -> None:
    said = corpuskit("build", "N2C", "--dry-run", "--json")

    assert json.loads(said.out) == {"candidates": 4, "recordings": 8, "unmeasured": 8}


# ----------------------------------------------------------------------------- streams

ASKED = [
    ["list", "--json"],
    ["show", "N2C", "--json"],
    ["diff", "N2C", "N2C_4", "--json"],
    ["verify", "N2C", "--json", "--jobs", "1"],
    ["build", "N2C", "--json", "--jobs", "1"],
    ["build", "N2C_9", "--json", "--jobs", "1", "--silence-thresh", "-100", "--dry-run"],
]


@pytest.mark.parametrize("words", ASKED, ids=lambda words: words[0])
@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["", "quiet"])
def test_json_is_alone_on_stdout_and_quiet_is_quiet(
    ground: Path, here: Path, words: list[str], quiet: list[str]
) -> None:
    said = corpuskit(*words, *quiet, "--workspace", ground / "w")
    before = corpuskit(*quiet, *words, "--workspace", ground / "w")

    assert said.code == 0, said
    assert json.loads(said.out) == json.loads(before.out)
    if quiet:
        assert said.err == before.err == ""


def test_quiet_leaves_the_closing_sentence(ground: Path, here: Path) -> None:
    words = ("build", "N2C", "--jobs", "1", "--workspace", ground / "w")

    loud, quiet = corpuskit(*words), corpuskit(*words, "--quiet")

    assert len(loud.out.splitlines()) > 1
    [line] = quiet.out.splitlines()
    assert re.fullmatch(
        r"Dataset N2C is already built and unchanged: 4 pairs, fingerprint [0-9a-f]{12}, "
        r"checked in \d+\.\d s\.",
        line,
    )


def test_warnings_go_to_stderr(ground: Path, here: Path) -> None:
    words = ("build", "N2C", "--dry-run", "--silence-thresh", "-100")

    said = corpuskit(*words)
    assert re.fullmatch(r"warning: silence\.thresh -100 dBFS .* one setting\n", said.err)
    assert "warning" not in said.out
    assert corpuskit(*words, "--quiet").err == ""
    assert corpuskit("--quiet", *words).err == ""


def test_a_missing_folder_is_warned_of_and_the_rest_is_built(ground: Path, here: Path) -> None:
    shutil.copytree(ground / "corpus", here / "corpus")
    text = (here / "configs/datasets/N2C.toml").read_text()
    text = text.replace(str(ground), str(here)).replace('C = "target"', 'C = "target"\nD = "third"')
    (here / "more.toml").write_text(text)
    assert "third" in text

    said = corpuskit("build", "N2C", "--config", "more.toml", "--jobs", "1")

    assert said.code == 0, said
    assert said.err == f"warning: speaker D: folder {here}/corpus/third does not exist\n"
    assert "Built N2C: 4 pairs (train 2, dev 1, eval 1)" in said.out


def test_a_damaged_version_is_listed_as_a_warning(ground: Path, here: Path) -> None:
    shutil.copytree(ground / "w" / "versions", here / "workspace" / "versions")
    (here / "workspace" / "versions" / "N2C" / "version.json").write_text("{")

    said = corpuskit("list")

    assert said.code == 0
    assert said.err == (
        "warning: dataset N2C is damaged: version.json cannot be read; "
        "remove the version's folder and build it again\n"
    )
    assert re.search(r"^N2C_4 ", said.out, re.MULTILINE)
    assert not re.search(r"^N2C ", said.out, re.MULTILINE)
    assert in_one_line(corpuskit("show", "N2C")).startswith("error: dataset N2C is damaged")
    assert in_one_line(corpuskit("diff", "N2C", "N2C_4")).startswith("error: dataset N2C is")
    assert corpuskit("verify", "N2C").code == 1


def test_names_that_a_narrow_terminal_cannot_show_are_spelt_out(ground: Path, here: Path) -> None:
    shutil.copytree(ground / "corpus", here / "corpus")
    for side in ("source", "target"):
        (here / "corpus" / side / "utt_001.wav").rename(here / "corpus" / side / "あ.wav")
    (here / "corpus" / "source" / "い.wav").write_bytes(b"")
    written_toml(here / "N2C.toml", here / "corpus")
    narrow = {"PYTHONIOENCODING": "latin-1"}

    said = ended(started("build", "J", "--config", "N2C.toml", "--jobs", 1, environment=narrow))
    shown = ended(started("show", "J", environment=narrow))

    assert (said.code, shown.code) == (0, 0), (said, shown)
    assert "set aside: recording N/\\u3044: has no partner" in shown.out
    assert "set aside: recording N/い: has no partner" in corpuskit("show", "J").out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_stdout_is_told_in_one_line(ground: Path) -> None:
    with Path("/dev/full").open("w") as full:
        said = subprocess.run(
            [sys.executable, "-m", "corpuskit.cli", "show", "N2C", "--workspace", ground / "w"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert said.returncode == 2
    assert said.stderr == "error: No space left on device\n"


# ----------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "", "-", "a\nb", "/tmp/x", "N2C/"])
@pytest.mark.parametrize(
    "words",
    [
        ["build", "NAME"],
        ["build", "X", "--like", "NAME"],
        ["show", "NAME"],
        ["verify", "NAME"],
        ["diff", "NAME", "N2C"],
        ["diff", "N2C", "NAME"],
    ],
    ids=lambda words: " ".join(words),
)
def test_what_is_no_name_is_refused(ground: Path, here: Path, words: list[str], name: str) -> None:
    before = contents(here)
    given = [name if word == "NAME" else word for word in words]

    line = in_one_line(corpuskit("--workspace", ground / "w", *given))

    assert f"{name!r} is not a dataset name; use letters, digits" in line
    assert contents(here) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "N2D"], "no dataset 'N2D'; did you mean N2C"),
        (["verify", "n2c_4"], "no dataset 'n2c_4'; did you mean N2C_4"),
        (["diff", "N2C", "N2C_40"], "no dataset 'N2C_40'; did you mean N2C_4"),
        (["build", "X", "--like", "M2C"], "no dataset 'M2C'; did you mean N2C"),
        (["show", "zzz"], "no dataset 'zzz'; there is N2C, N2C_4"),
        (["build", "N2D"], "configs/datasets/N2D.toml does not exist; did you mean N2C?"),
        (["build", "N2C", "--set", "silence.threshold=-3"], "did you mean 'silence.thresh'?"),
        (["build", "N2C", "--set", "silense.thresh=-3"], "did you mean 'silence'?"),
        (["build", "N2C", "--set", "corpora.N2C.layout=foldr"], "did you mean 'folder'?"),
        (["build", "N2C", "--set", "align.normalise=means"], "did you mean 'mean'?"),
        (["build", "N2C", "--set", "silence=3"], "silence must be a table, not 3"),
        (["build", "N2C", "--set", "silence.thresh"], "is not KEY=VALUE"),
        (["build", "N2C", "--set", "silence.thresh=nan"], "must be a finite number"),
        (["build", "N2C", "--silence-thresh", "nan"], "must be a finite number"),
        (["build", "N2C", "--set", "split.dev=-1"], "split.dev is -1"),
        (["build", "N2C", "--min-silence-len", "0"], "silence.min_silence_len is 0 ms"),
        (
            ["build", "N2C", "--set", "split.dev=9"],
            "leave nothing to train on: there are 4 sentences",
        ),
        (["build", "N2C", "--set", "audio.rate=fast"], "audio.rate must be a whole number"),
        (["build", "N2C", "--set", 'pairs=[{source="N", target="K"}]'], "known speakers: C, N"),
        (["build", "N2C", "--config", "no.toml"], "no.toml does not exist"),
        (["build", "N2C", "--config", "bad.toml"], "bad.toml is not valid TOML"),
        (["build", "N2C", "--config", "configs"], "cannot read configs: Is a directory"),
        (["build", "N2C", "--like", "N2C", "--config", "x.toml"], "give one"),
        (["build", "N2C", "--silence-thresh", "0", "--jobs", "1"], "candidate pairs can be used"),
        (
            ["build", "N2C", "--set", "corpora.N2C.root=nowhere"],
            "no pair at all: speaker C: folder",
        ),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    ground: Path, here: Path, words: list[str], told: str
) -> None:
    before = contents(ground / "w" / "versions")
    (here / "bad.toml").write_text("this is = = not TOML")

    line = in_one_line(corpuskit("--workspace", ground / "w", *words))

    assert line.startswith("error: ")
    assert told in line
    assert contents(ground / "w" / "versions") == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["biuld", "N2C"], "build"),
        (["build", "N2C", "--silence-tresh", "-3"], "--silence-thresh"),
        (["build", "N2C", "--job", "3"], "--jobs"),
        (["build", "N2C", "--jobs", "0"], "--jobs"),
        (["build", "N2C", "--jobs", "many"], "--jobs"),
        (["build", "N2C", "--backend", "lokky"], "loky"),
        (["build", "N2C", "--silence-thresh", "loud"], "--silence-thresh"),
        (["build"], "name"),
        (["diff", "N2C"], "B"),
        (["list", "N2C"], "N2C"),
        ([], "build"),
    ],
)
def test_wrong_usage_names_what_is_near(
    ground: Path, here: Path, words: list[str], told: str
) -> None:
    said = corpuskit(*words)

    assert said.code == 2
    assert said.out == ""
    assert told in said.err
    assert "Traceback" not in said.err
    assert not (here / "workspace").exists()


def test_a_frozen_name_is_refused_with_the_difference_and_the_next_free_name(
    ground: Path, here: Path
) -> None:
    before = contents(ground / "w" / "versions")
    words = ("build", "N2C", "--workspace", ground / "w", "--jobs", "1")

    line = in_one_line(corpuskit(*words, "--silence-thresh", "-30", "--set", "align.reduction=2"))

    assert line == (
        "error: dataset N2C exists and is frozen, and this build differs: "
        "align.reduction 3 -> 2, silence.thresh -80.0 -> -30.0; "
        "build it under the next free name: corpuskit build N2C_5"
    )
    assert contents(ground / "w" / "versions") == before


def test_like_takes_everything_over_and_set_changes_one_thing(ground: Path, here: Path) -> None:
    shutil.copytree(ground / "w", here / "workspace")

    same = corpuskit("build", "N2C_4", "--like", "N2C_4", "--jobs", "1")
    said = corpuskit(
        *("build", "N2C_7", "--like", "N2C_4", "--set", "silence.min_silence_len=200"),
        *("--jobs", "1"),
    )

    assert same.out.splitlines()[-1].startswith("Dataset N2C_4 is already built and unchanged")
    assert said.code == 0
    last = corpuskit("diff", "N2C_4", "N2C_7").out.splitlines()[-1]
    assert last.startswith("1 setting differs: silence.min_silence_len 500 -> 200; ")


def test_a_flag_overrules_a_setting(here: Path) -> None:
    said = corpuskit(
        *("build", "N2C", "--jobs", "1", "--set", "silence.thresh=-70"),
        *("--silence-thresh", "-45", "--head-thresh", "-44", "--min-silence-len", "333"),
    )

    assert said.code == 0, said
    shown = json.loads(corpuskit("show", "N2C", "--json").out)["settings"]["silence"]
    assert (shown["thresh"], shown["head_thresh"], shown["min_silence_len"]) == (-45, -44, 333)


def test_strict_exits_1_with_one_line_and_freezes_nothing(ground: Path, here: Path) -> None:
    shutil.copytree(ground / "corpus", here / "corpus")
    sf.write(here / "corpus" / "source" / "utt_002.wav", [0.0] * 100, 8000)
    written_toml(here / "N2C.toml", here / "corpus")
    words = ("build", "N2C", "--config", "N2C.toml", "--jobs", "1")

    line = in_one_line(corpuskit(*words, "--strict"), 1)

    assert line == (
        "failed: --strict: 2 recordings and 1 pair would be set aside, first: "
        "C/utt_002 its pair is set aside: source is silent from end to end (every sample is zero); "
        "mend or remove them, or build without --strict"
    )
    assert list_versions(here / "workspace") == []
    loose = corpuskit(*words)
    assert loose.code == 0
    told = loose.out.splitlines()
    assert "set aside: 1 pair: source is silent from end to end (every sample is zero)" in told


def test_show_lists_what_was_set_aside_in_words_and_in_json(ground: Path, here: Path) -> None:
    shutil.copytree(ground / "corpus", here / "corpus")
    (here / "corpus" / "source" / "utt_002.wav").write_bytes(b"")
    (here / "corpus" / "target" / "alone.wav").write_bytes(b"")
    written_toml(here / "N2C.toml", here / "corpus")
    corpuskit("build", "N2C", "--config", "N2C.toml", "--jobs", "1")

    assert corpuskit("show", "N2C").out.splitlines()[-4:] == [
        "set aside: pair N>C/utt_002: source is an empty file",
        "set aside: recording C/alone: has no partner",
        "set aside: recording C/utt_002: its pair is set aside: source is an empty file",
        "set aside: recording N/utt_002: is an empty file",
    ]
    aside = json.loads(corpuskit("show", "N2C", "--json").out)["set_aside"]
    assert aside["pairs"] == [{"pair": "N>C/utt_002", "reason": "source is an empty file"}]
    assert [row["id"] for row in aside["recordings"]] == ["C/alone", "C/utt_002", "N/utt_002"]


def test_diff_exits_1_on_request_when_versions_differ(ground: Path) -> None:
    where = ("--workspace", ground / "w", "--exit-code")

    assert corpuskit("diff", "N2C", "N2C_4", *where).code == 1
    assert corpuskit("diff", "N2C", "N2C", *where).code == 0


# ----------------------------------------------------------------------- disks that refuse


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_refuses_is_told_in_one_line(
    here: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = mock.Mock(side_effect=OSError(number, os.strerror(number)))
    monkeypatch.setattr(files, "_write", refuse)

    line = in_one_line(corpuskit("build", "N2C", "--jobs", "1"))

    assert line.startswith("error: cannot write workspace/objects/")
    assert f": {os.strerror(number)}; free some space or write to another place" in line
    assert litter(here) == []
    assert corpuskit("list").out == "0 dataset versions in workspace.\n"


def test_a_place_that_cannot_be_written_is_told_in_one_line(here: Path) -> None:
    # Nobody may make a folder there, not even root.
    line = in_one_line(corpuskit("build", "N2C", "--jobs", "1", "--workspace", "/proc/nowhere"))

    assert line.startswith("error: cannot write /proc/nowhere/objects/")


def test_a_file_size_limit_is_a_full_disk(here: Path) -> None:
    # A limit of the system that no patch of ours takes part in; large objects meet it first.
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    said = ended(started("build", "N2C", "--jobs", 1, preexec_fn=limit))

    assert in_one_line(said).endswith(
        ": File too large; free some space or write to another place; "
        "what was whole before still is"
    )
    assert litter(here) == []
    assert corpuskit("build", "N2C", "--jobs", "1").code == 0
    assert corpuskit("verify", "N2C", "--jobs", "1").code == 0


@contextlib.contextmanager
def without_write_permission(folder: Path) -> Iterator[None]:
    modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")] if path.is_dir()}
    for path in modes:
        path.chmod(0o555)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_workspace_without_write_permission(ground: Path, here: Path) -> None:
    shutil.copytree(ground / "w", here / "workspace")
    with without_write_permission(here / "workspace"):
        asked = [corpuskit(*words) for words in (["list"], ["show", "N2C"], ["verify", "N2C"])]
        same = corpuskit("build", "N2C", "--jobs", "1")
        other = corpuskit("build", "N2C_6", "--jobs", "1", "--silence-thresh", "-30")

    assert [said.code for said in (*asked, same)] == [0, 0, 0, 0]
    assert "Permission denied" in in_one_line(other)


# -------------------------------------------------------------------------- interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_ends_in_one_line_and_the_next_goes_on(
    here: Path, number: signal.Signals
) -> None:
    process = started("build", "N2C", "--jobs", 1)
    while not list(here.glob("workspace/objects/*/*.safetensors")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    said = ended(process)

    if said.code != 0:  # it may have been quicker
        # Interrupted within an exec() of a library (dataclasses), Python ends by SIGINT itself, as
        # which a SIGTERM arrives there too; every shell tells it as 130 as well.
        line = in_one_line(said, -signal.SIGINT if said.code == -signal.SIGINT else 130)
        assert line == "stopped: nothing half-written is left; run it again to go on"
    assert litter(here) == []
    assert corpuskit("build", "N2C", "--jobs", "1").code == 0


WHILE_IMPORTING = """
import importlib.abc, os, signal, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv = ["corpuskit", "--version"]
from corpuskit.__main__ import main
main()
"""


@pytest.mark.parametrize("ignored", [False, True])
def test_ctrl_c_before_the_commands_are_there_is_no_traceback(ignored: bool) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL)

    said = subprocess.run(
        [sys.executable, "-c", WHILE_IMPORTING], capture_output=True, text=True, preexec_fn=ignore
    )

    assert said.stderr == ""
    assert said.returncode == (0 if ignored else -signal.SIGINT)
    assert said.stdout.startswith("corpuskit ") == ignored


def test_python_runs_the_package_as_the_command_does() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "corpuskit", "--version"], capture_output=True, text=True
    )

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("corpuskit ")


def test_ctrl_c_is_an_interruption_once_the_commands_run(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = []
    monkeypatch.setattr(
        "corpuskit.cli.main", lambda: handlers.append(signal.getsignal(signal.SIGINT))
    )

    command()

    assert handlers == [signal.default_int_handler]


def test_ctrl_c_while_a_command_line_is_made_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_app(interrupted, "stopped: nothing is left")  # type: ignore[arg-type]

    assert end.value.code == 130
    assert capsys.readouterr().err == "stopped: nothing is left\n"


# ------------------------------------------------------------------------------- imports


def test_help_needs_no_numbers_and_no_files(here: Path) -> None:
    # What takes long to import must stay inside the commands.
    for words in (["--help"], ["build", "--help"], ["verify", "--help"], ["--version"]):
        process = started(*words, environment={"PYTHONPROFILEIMPORTTIME": "1"})
        said = ended(process)
        imported = {line.rsplit("|", 1)[-1].strip() for line in said.err.splitlines()}

        assert said.code == 0
        assert "typer" in imported
        assert "corpuskit.cli" in imported or "corpuskit.console" in imported
        heavy = {"numpy", "scipy", "torch", "librosa", "numba", "joblib", "soundfile", "pyworld"}
        assert not imported & heavy
    assert sorted(path.name for path in here.iterdir()) == ["configs"]


def test_a_reader_that_goes_away_is_no_error_of_ours(ground: Path) -> None:
    process = started("show", "N2C", "--json", "--workspace", ground / "w")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read()
    process.stderr.close()

    assert process.wait() in (0, 141)  # 0: all of it fitted into the pipe before it was closed
    assert told == ""


def test_corpuskit_never_imports_torch(here: Path) -> None:
    said = ended(started("build", "N2C", "--jobs", 1, environment={"PYTHONPROFILEIMPORTTIME": "1"}))
    imported = {line.rsplit("|", 1)[-1].strip() for line in said.err.splitlines()}

    assert said.code == 0
    assert "numpy" in imported
    assert not imported & {"torch", "trainer", "tensorboard", "matplotlib"}

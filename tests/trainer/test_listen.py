"""`trainer listen` as it is typed, and what of a test stands with its runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pages
from called import Command, refused
from listeners import export, saved
from trainer.listening.design import Key, Stimulus, key_path, list_tests, read_key
from trainer.runs import open_run
from training import started


@pytest.fixture
def key(command: Command, workspace: Path, tmp_path: Path) -> Key:
    """A test of runs N2C_1 and N2C_2 on two sentences."""
    for seed in (0, 1):
        started(workspace, f"train.seed={seed}")
    result = command(
        "listen", "N2C_1", "N2C_2", "--html", str(tmp_path / "page"), "--device", "cpu"
    )
    assert result.exit_code == 0, result.stderr
    return read_key(workspace, list_tests(workspace)[0])


def first_is_best(each: Stimulus) -> int:
    """Scores 4 and 2 for the runs, 5 for the recording, 1 for the anchor."""
    if each.subject is not None:
        return 4 - 2 * each.subject
    return 1 if each.role == "anchor" else 5


def test_making_a_test_says_where_page_and_key_are(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    for seed in (0, 1):
        started(workspace, f"train.seed={seed}")
    folder = tmp_path / "page"

    result = command(
        "listen", "N2C_1", "N2C_2", "--html", str(folder), "--device", "cpu", "--sentences", "5"
    )

    (test,) = list_tests(workspace)
    first, second, third = result.stdout.splitlines()
    assert first.startswith(
        f"Wrote {folder / 'index.html'}: N2C_1 epoch-0000 (world), N2C_2 epoch-0000 (world) on "
        "2 sentences of dataset N2C, 4 screens, about "
    )
    assert second.startswith(f"The key is {key_path(workspace, test)}: keep it")
    assert third == "Answers come back as files: `trainer listen --score answers-*.json`."
    assert "warning: 2 of the 5 sentences asked for can be heard" in result.stderr


def test_a_test_told_as_json(command: Command, workspace: Path, tmp_path: Path) -> None:
    started(workspace)

    result = command(
        *("listen", "N2C_1", "--html", str(tmp_path / "page"), "--device", "cpu", "--json"),
        *("--test", "score", "--vocoder", "griffinlim", "--sentences", "1", "--seed", "4"),
    )

    told = json.loads(result.stdout)
    assert told["subjects"][0]["vocoder"] == "griffinlim48"
    assert told["screens"] == len(told["sentences"]) == 1
    assert Path(told["page"]).is_file()
    assert Path(told["key"]).is_file()


def test_scoring_prints_what_was_found_and_keeps_it_with_the_runs(
    command: Command, workspace: Path, tmp_path: Path, key: Key
) -> None:
    files = [str(export(tmp_path, key, name, first_is_best)) for name in ("anna", "ben")]

    result = command("listen", "--score", *files)

    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == (f"test {key.test}: dataset N2C, 2 eval sentences, 2 listeners (anna, ben)")
    row = " ".join(next(line for line in lines if " over " in line).split())
    assert row == (
        "N2C_1 epoch-0000 (world) over N2C_2 epoch-0000 (world) "
        "4 0 0 100 % 51 to 100 % 0.125 2 of 2"
    )
    scores = next(line for line in lines if line.startswith("N2C_1 epoch-0000 (world)  4.00"))
    assert " ".join(scores.split()) == "N2C_1 epoch-0000 (world) 4.00 ± 0.00 4.00 ± 0.00 4"
    assert any("difference: naturalness +2.00 ± 0.00" in line for line in lines)
    assert any(line.startswith("naturalness of") for line in lines)
    by_sentence = next(k for k, line in enumerate(lines) if line.startswith("wins, ties, losses "))
    rows = [" ".join(line.split()) for line in lines[by_sentence + 1 : -1]]
    assert rows == [f"{sentence} 2, 0, 0: 100 % (34 to 100 %)" for sentence in key.sentences]
    assert lines[-1] == "Kept with run N2C_1, N2C_2."

    (kept,) = open_run(workspace, "N2C_2").record.listening.values()
    assert kept["means"]["run"]["naturalness"]["mean"] == 2.0
    assert kept["means"]["reference"]["naturalness"]["mean"] == 5.0
    assert kept["vocoder"] == "world"
    (found,) = kept["preferences"]
    assert (found["run"], found["wins"], found["losses"], found["vocoder"]) == (
        *("N2C_1", 0, 4),
        "world",
    )


def test_list_show_and_report_tell_of_it(
    command: Command, workspace: Path, tmp_path: Path, key: Key
) -> None:
    files = [str(export(tmp_path, key, name, first_is_best)) for name in ("anna", "ben")]
    command("listen", "--score", *files)

    header, first, second = command("list").stdout.splitlines()[:3]
    assert " heard  verdict" in header
    assert "  4.00 ± 0.00 (world)" in first
    assert "  2.00 ± 0.00 (world)" in second

    shown = command("show", "N2C_1").stdout
    assert f"listened to: test {key.test}, epoch-0000, vocoder world, 2 sentences" in shown
    assert "naturalness, 1 to 5: the run 4.00 ± 0.00, hidden reference 5.00 ± 0.00" in shown
    assert "preferred to run N2C_2 epoch-0000 (world): 4 wins, 0 ties, 0 losses; 100 %" in shown
    record = json.loads(command("show", "N2C_1", "--json").stdout)
    assert list(record["listening"]) == [f"{key.test}-epoch-0000-world"]
    assert "listened to: test" in command("report", "N2C_1").stdout

    out = tmp_path / "report.html"
    command("report", "N2C_1", "N2C_2", "--html", str(out), "--utterances", "0")
    page = pages.check_page(out.read_text(encoding="utf-8"))
    (section,) = page.all("section", id="listening-tests")
    told = section.text
    assert "4.00 ± 0.00" in told
    assert "N2C_2 epoch-0000 (world)" in told
    assert "vocoder world" in told
    assert told.count("2, 0, 0: 100 % (34 to 100 %)") == 2  # one a sentence, of run N2C_1
    assert told.count("0, 0, 2: 0 % (0 to 66 %)") == 2
    assert all(told.count(sentence) == 2 for sentence in key.sentences)


def test_a_test_scored_before_sentences_were_kept_is_shown(
    command: Command, workspace: Path, tmp_path: Path, key: Key
) -> None:
    command("listen", "--score", str(export(tmp_path, key, "anna", first_is_best)))
    record = workspace / "runs" / "N2C_1" / "run.json"
    told = json.loads(record.read_text(encoding="utf-8"))
    for result in told["listening"].values():
        del result["by_sentence"]
    record.write_text(json.dumps(told), encoding="utf-8")
    out = tmp_path / "report.html"

    result = command("report", "N2C_1", "--html", str(out), "--utterances", "0")

    assert result.exit_code == 0, result.stderr
    assert "By sentence" not in out.read_text(encoding="utf-8")


def test_preferences_alone_stand_in_the_list(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    for seed in (0, 1):
        started(workspace, f"train.seed={seed}")
    command(
        *("listen", "N2C_1", "N2C_2", "--html", str(tmp_path / "page"), "--device", "cpu"),
        *("--test", "preference"),
    )
    key = read_key(workspace, list_tests(workspace)[0])
    command("listen", "--score", str(export(tmp_path, key, "anna", first_is_best)))

    _, first, second = command("list").stdout.splitlines()[:3]

    assert "100 % over N2C_2 (world)" in first
    assert "0 % over N2C_1 (world)" in second
    assert "listened to" in command("show", "N2C_2").stdout


def test_scoring_again_replaces_and_a_later_test_stands_beside(
    command: Command, workspace: Path, tmp_path: Path, key: Key
) -> None:
    files = [str(export(tmp_path, key, name, first_is_best)) for name in ("anna", "ben")]
    command("listen", "--score", files[0])
    command("listen", "--score", *files)
    command("listen", "N2C_1", "N2C_2", "--html", str(tmp_path / "two"), "--device", "cpu")
    (test,) = set(list_tests(workspace)) - {key.test}
    other = read_key(workspace, test)
    command("listen", "--score", str(export(tmp_path, other, "carl", first_is_best)))

    kept = open_run(workspace, "N2C_1").record.listening

    assert {each["test"]: each["listeners"] for each in kept.values()} == {key.test: 2, test: 1}


def test_bad_files_are_told_and_the_rest_counts(command: Command, tmp_path: Path, key: Key) -> None:
    bad = saved(tmp_path, {"kind": "else"}, "bad")
    troll = export(tmp_path, key, "troll", lambda each: 6 - first_is_best(each))
    good = export(tmp_path, key, "anna", first_is_best)

    result = command("listen", "--score", str(bad), str(troll), str(good), "--screen")

    assert result.exit_code == 0
    assert f"set aside: {bad} holds no answers to a listening test" in result.stdout
    assert "scored the hidden reference below the anchor (left out): troll" in result.stdout
    assert "1 listener (anna)" in result.stdout


def test_a_run_that_is_gone_or_another_gets_nothing(
    command: Command, workspace: Path, tmp_path: Path, key: Key
) -> None:
    file = str(export(tmp_path, key, "anna", first_is_best))
    shutil.rmtree(workspace / "runs" / "N2C_2")
    other = started(workspace, "train.seed=2", tag="other")
    shutil.rmtree(workspace / "runs" / "N2C_1" / "checkpoints")
    shutil.copytree(other.checkpoints, workspace / "runs" / "N2C_1" / "checkpoints")

    result = command("listen", "--score", file)

    assert result.exit_code == 0
    assert "nothing is kept with run N2C_2: no run 'N2C_2'" in result.stderr
    assert "run N2C_1: its epoch-0000 has other weights than were heard" in result.stderr
    assert result.stdout.endswith("Kept with no run.\n")
    assert open_run(workspace, "N2C_1").record.listening == {}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["N2C_1"], "there is no place for the test"),
        (["N2C_1", "--html", "page"], "a preference needs two runs"),
        (["N2C_1", "N2C_1", "--html", "page"], "a run stands twice"),
        (["N2C_1", "N2C_9", "--html", "page"], "no run 'N2C_9'"),
        (["--score", "gone.json"], "gone.json cannot be read"),
        (["--score", "gone.json", "--html", "page"], "contradict each other"),
        (["N2C_1", "N2C_1@7", "--html", "page"], "epoch 7"),
        (["N2C_1", "N2C_1@x", "--html", "page", "--spk", "N2D"], "no dataset 'N2D'"),
    ],
)
def test_wrong_usage_is_one_message(
    command: Command,
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    problem: str,
) -> None:
    started(workspace)
    monkeypatch.chdir(tmp_path)

    assert problem in refused(command("listen", *arguments))

    assert not (tmp_path / "page").exists()
    assert list_tests(workspace) == []


def test_a_page_that_is_there_is_refused_before_anything_is_made(
    command: Command, workspace: Path, tmp_path: Path, key: Key
) -> None:
    told = refused(command("listen", "N2C_1", "N2C_2", "--html", str(tmp_path / "page")))

    assert "may be somebody's test" in told
    assert list_tests(workspace) == [key.test]

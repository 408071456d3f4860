"""Diaries brought into a workspace, and the diary that is written from the record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from called import Command, refused
from trainer.diary import read_diary
from trainer.runs import add_remark, next_tag, update
from training import TINY, started, trained

OLD = """- spk
    - N2C_old
        - thresh: -80
- tag
    - base_1
        - spk: base
    - N2C_4
        - spk: N2C_old
        - pretrain: base_1(30epoch)
        - 実行時間: 10min/20epoch
        - だいたいよい
## 知見
- 早寝
"""


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    path = tmp_path / "memo.md"
    path.write_text(OLD, encoding="utf-8")
    return path


def test_tags_go_on_after_a_diary(command: Command, workspace: Path, diary: Path) -> None:
    result = command("memo", "--import", str(diary))

    assert result.stdout == (
        "Brought in diary memo.md: 1 dataset, 2 runs (2 runs new); the next tag is N2C_5.\n"
    )
    assert next_tag(workspace, "N2C") == "N2C_5"
    assert next_tag(workspace, "base") == "base_2"
    assert started(workspace).tag == "N2C_5"


def test_its_runs_are_listed_shown_and_descend(
    command: Command, workspace: Path, diary: Path
) -> None:
    command("memo", "--import", str(diary))
    started(workspace)

    rows = command("list", "--tree").stdout.splitlines()
    assert [row.split()[0] for row in rows[1:4]] == ["N2C_5", "base_1", "N2C_4"]
    assert rows[3].startswith("  N2C_4")
    assert "base_1@30" in rows[3]
    assert "25.0 min" in rows[3]  # 10 min for 20 epochs
    assert rows[3].rstrip().endswith("だいたいよい")
    shown = command("show", "N2C_4").stdout
    assert "fine-tuned from run base_1 at epoch 30" in shown
    assert "- だいたいよい" in shown
    told = json.loads(command("show", "N2C_4", "--json").stdout)
    assert (told["status"], told["parent_tag"], told["dataset"]) == ("diary", "base_1", "N2C_old")
    assert [row["tag"] for row in json.loads(command("list", "--json").stdout)] == [
        "N2C_4", "N2C_5", "base_1",
    ]  # fmt: skip


def test_a_verdict_reaches_what_descends_in_a_diary(command: Command, diary: Path) -> None:
    command("memo", "--import", str(diary))

    result = command("note", "base_1", "pitch was all zero", "--bad")

    assert result.stdout == "Noted run base_1 as bad, and with it 1 descendant: N2C_4.\n"
    assert "bad (base_1)" in command("list").stdout
    assert "verdict bad, given to run base_1: pitch was all zero" in command("show", "N2C_4").stdout
    assert diary.read_text(encoding="utf-8") == OLD


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--spk", "N2C", "--pretrain", "N2C_4"],
        ["resume", "N2C_4"],
        ["evaluate", "N2C_4"],
        ["diff", "N2C_4", "base_1"],
        ["reproduce", "N2C_4"],
    ],
)
def test_nothing_of_it_can_be_loaded(command: Command, diary: Path, arguments: list[str]) -> None:
    command("memo", "--import", str(diary))

    told = refused(command(*arguments))

    assert "run N2C_4 is known from diary memo.md only" in told
    assert "trainer show N2C_4" in told


def test_its_tags_are_taken(command: Command, diary: Path) -> None:
    command("memo", "--import", str(diary))

    told = refused(command("run", "--spk", "N2C", "--tag", "N2C_4", "--set", "optim.warm_up=9000"))

    assert "run N2C_4 exists already; the next free tag is N2C_5" in told


def test_a_diary_may_grow_but_not_shrink(command: Command, workspace: Path, diary: Path) -> None:
    command("memo", "--import", str(diary))
    longer = OLD.replace("## 知見", "    - N2C_7\n        - spk: N2C_old\n## 知見")

    diary.write_text(longer, encoding="cp932")  # as Windows writes it
    assert (
        "3 runs (1 run new); the next tag is N2C_8"
        in command("memo", "--import", str(diary)).stdout
    )

    diary.write_text(OLD, encoding="utf-8")
    told = refused(command("memo", "--import", str(diary)))
    assert "memo.md no longer tells of N2C_7" in told
    assert next_tag(workspace, "N2C") == "N2C_8"


def test_what_is_recorded_or_told_elsewhere_is_not_overwritten(
    command: Command, workspace: Path, diary: Path
) -> None:
    started(workspace, tag="N2C_4")
    assert "this workspace has recorded runs of that name" in refused(
        command("memo", "--import", str(diary))
    )
    assert not (workspace / "diary").exists()

    other = diary.with_name("other.md")
    other.write_text("- tag\n    - base_1\n", encoding="utf-8")
    command("memo", "--import", str(other))
    diary.write_text(OLD.replace("N2C_4", "N2C_3"), encoding="utf-8")
    assert "tells of base_1, and so does diary other.md" in refused(
        command("memo", "--import", str(diary))
    )


def test_a_file_that_is_not_there_or_no_text_is_named(command: Command, tmp_path: Path) -> None:
    assert "no file" in refused(command("memo", "--import", str(tmp_path / "memo.md")))
    (tmp_path / "raw.md").write_bytes(b"\xff\xfe\x00\x81")
    assert "neither UTF-8 nor Shift JIS" in refused(
        command("memo", "--import", str(tmp_path / "raw.md"))
    )
    assert "cannot be read" in refused(command("memo", "--import", str(tmp_path)))


def test_a_parent_nothing_tells_of_is_pointed_out(command: Command, diary: Path) -> None:
    diary.write_text(OLD.replace("base_1(30", "gone_1(30"), encoding="utf-8")

    result = command("memo", "--import", str(diary))

    assert "nothing tells of the parent of run N2C_4 (from gone_1)" in result.stderr


def test_the_memo_goes_on_from_the_diary_word_for_word(
    command: Command, workspace: Path, diary: Path, tmp_path: Path
) -> None:
    command("memo", "--import", str(diary))
    run = trained(workspace, "train.seed=4", epochs=1)
    update(run, seconds=90.0)
    add_remark(workspace, run.tag, "よく聞こえる", "good")

    text = command("memo").stdout

    lines = text.splitlines()
    at = lines.index("- tag")
    assert lines[:3] == ["- spk", "    - N2C_old", "        - thresh: -80"]
    assert lines[lines.index("    - N2C") + 1] == "        - silence_thresh_t: -50"
    assert lines[at + 1 : at + 8] == OLD.splitlines()[4:11]
    assert lines[-2:] == ["## 知見", "- 早寝"]
    again = {each.tag: each for each in read_diary(text, "memo.md").runs}
    written = again["N2C_5"]
    assert (written.dataset, written.parent) == ("N2C", None)
    assert (written.batch_size, written.group_size, written.warm_up) == (3, 2, 20)
    assert written.timed == (1.5, 1)
    assert written.notes[-1] == "よく聞こえる (good)"
    assert written.notes[0].startswith("model fs2vc, ")
    assert again["N2C_4"].lines == tuple(OLD.splitlines()[6:11])

    out = tmp_path / "out.md"
    result = command("memo", "--out", str(out))
    assert out.read_text(encoding="utf-8") == text
    assert result.stdout == f"Wrote {out}: 2 datasets, 3 runs.\n"


def test_what_was_noted_of_a_diarys_run_is_written_under_it_once(
    command: Command, diary: Path, tmp_path: Path
) -> None:
    command("memo", "--import", str(diary))
    command("note", "base_1", "pitch was all zero", "--bad")
    command("note", "N2C_4", "heard again: fine")

    text = command("memo").stdout

    wanted = OLD.replace(
        "        - spk: base\n", "        - spk: base\n        - pitch was all zero (bad)\n"
    ).replace("だいたいよい\n", "だいたいよい\n        - heard again: fine\n")
    assert text.splitlines()[-11:] == wanted.splitlines()[-11:]
    diary.write_text(text, encoding="utf-8")
    command("memo", "--import", str(diary))
    assert command("memo").stdout == text  # what stands there is not written again


def test_a_verdict_goes_with_the_memo_to_another_workspace(
    command: Command, diary: Path, tmp_path: Path
) -> None:
    command("memo", "--import", str(diary))
    command("note", "base_1", "pitch was all zero", "--bad")
    command("memo", "--out", str(diary))
    there = ("--workspace", str(tmp_path / "there"))

    command("memo", "--import", str(diary), *there)

    shown = command("show", "N2C_4", *there).stdout
    assert "verdict bad, given to run base_1: pitch was all zero" in shown
    assert "note " not in command("show", "base_1", *there).stdout  # it stands in the diary
    command("note", "base_1", "heard again", "--good", *there)
    assert "verdict" not in command("show", "N2C_4", *there).stdout


def test_a_diarys_settings_are_told_as_json(command: Command, diary: Path) -> None:
    text = "batch_size:32. warm_up_rate: 1000, max_lr_scale: 1000, reset_optim: False"
    diary.write_text(OLD.replace("だいたいよい", text), encoding="utf-8")
    command("memo", "--import", str(diary))

    told = json.loads(command("show", "N2C_4", "--json").stdout)

    assert (told["batch_size"], told["warm_up"], told["max_lr_scale"]) == (32, 1000, 1000.0)
    assert (told["optimiser_kept"], told["run_time"]) == (True, "10min/20epoch")


def test_the_memo_tells_settings_apart_and_what_a_run_repeats(
    command: Command, workspace: Path
) -> None:
    started(workspace, "model.dropout=0.3")
    again = started(workspace, "model.dropout=0.3", again=True)
    update(again, origin="N2C_9#3")

    one, two = read_diary(command("memo").stdout, "memo.md").runs

    (settings,) = [note for note in one.notes if note.startswith("with ")]
    assert "model.dropout 0.3" in settings.split(", ")
    assert "train.seed" not in settings
    assert {"the same training as N2C_1", "promoted from N2C_9#3"} <= set(two.notes)


def test_a_search_stands_among_the_runs(command: Command, tmp_path: Path) -> None:
    space = tmp_path / "space.toml"
    space.write_text('[search]\nobjectives = ["mel"]\n[space]\n"train.seed" = [1]\n')
    settings = [part for each in TINY for part in ("--set", each)]
    warm = ("--set", "optim.warm_up=2", "--set", "optim.max_lr_scale=0.016")
    asked = ("--spk", "N2C", "--space", str(space), "--trials", "1", "--epochs", "1")
    result = command("search", *asked, *settings, *warm)
    assert result.exit_code == 0, result.stderr

    command("note", "N2C_1", "#0 is the calmest", "--good")
    assert "note " in command("show", "N2C_1").stdout.splitlines()[-1]
    assert command("list").stdout.splitlines()[1].rstrip().endswith("good     #0 is the calmest")
    assert "        - #0 is the calmest (good)" in command("memo").stdout.splitlines()

    lines = command("memo").stdout.splitlines()

    at = lines.index("    - N2C_1")
    assert lines[at + 1 : at + 3] == ["        - spk: N2C", "        - pretrain: なし"]
    assert lines[at + 3].startswith("        - optuna, 1 trial, best #0: mel ")

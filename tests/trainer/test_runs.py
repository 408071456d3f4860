"""The registry: tags claimed once, equal trainings refused, killed runs shown as stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from corpuskit.errors import CorpuskitError, Refused, UnknownName
from trainer import runs
from trainer.errors import BadRun, SameRun
from trainer.processes import start_of
from trainer.runs import (
    DatasetPart,
    LeakPart,
    Parent,
    Process,
    Record,
    Run,
    Session,
    StatisticsPart,
    claim,
    list_runs,
    metrics,
    next_tag,
    open_run,
    this_process,
    trim_metrics,
    update,
)

HERE = Session(
    began="2026-01-01T00:00:00+00:00",
    process=this_process(),
    device="cpu",
    libraries={"torch": "2"},
    code="c0de",
    epoch=0,
    batch=0,
)
RECORD = Record(
    tag="N2C",
    status="running",
    created="2026-01-01T00:00:00+00:00",
    identity="1d",
    parts={
        "config": {
            "model": {"kind": "fs2vc"},
            "optim": {"warm_up": 4000, "max_lr_scale": 0.016},
            "train": {"batch_size": 8, "group_size": 4, "seed": 0},
        },
        "parent": None,
    },
    dataset=DatasetPart(name="N2C_4", fingerprint="f1", pairs={"train": 3, "dev": 1, "eval": 1}),
    speakers=("C", "N"),
    statistics=StatisticsPart(choice="own", dataset="N2C_4"),
    leaks=LeakPart(),
    parent=None,
    precision="fp32",
    parameters=10,
    epochs=50,
    sessions=(HERE,),
)
PARENT = Parent(tag="J_1", epoch=7, digest="d", optimiser="reset", loaded=3, left=("a: new",))


def claimed(
    workspace: Path, record: Record = RECORD, tag: str | None = None, *, again: bool = False
) -> Run:
    prepared = workspace / "runs" / f".tmp-{os.getpid()}-{threading.get_ident()}"
    prepared.mkdir(parents=True)
    (prepared / "config.toml").write_text("")
    try:
        return claim(workspace, prepared, record, tag, again=again)
    finally:
        if prepared.exists():
            (prepared / "run.json").unlink(missing_ok=True)
            (prepared / "config.toml").unlink()
            prepared.rmdir()


def other(identity: str) -> Record:
    return replace(RECORD, identity=identity)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = replace(
        RECORD, parent=PARENT, leaks=LeakPart(pairs=("N>C/a",), other_voice=2), best_loss=0.1 + 0.2
    )

    run = claimed(tmp_path, record)

    assert open_run(tmp_path, "N2C_1") == run
    assert run.record == replace(record, tag="N2C_1")


def test_tags_count_on_in_the_family(tmp_path: Path) -> None:
    tags = [claimed(tmp_path, other(str(number))).tag for number in range(3)]
    claimed(tmp_path, other("x"), "N2C_27")
    claimed(tmp_path, other("y"), "other_99")

    assert tags == ["N2C_1", "N2C_2", "N2C_3"]
    assert next_tag(tmp_path, "N2C") == "N2C_28"
    assert claimed(tmp_path, other("z")).tag == "N2C_28"
    assert next_tag(tmp_path, "other") == "other_100"
    assert next_tag(tmp_path, "new") == "new_1"


def test_runs_are_listed_in_order_of_their_numbers(tmp_path: Path) -> None:
    for tag in ("N2C_10", "N2C_9", "A", "A_2"):
        claimed(tmp_path, other(tag), tag)
    (tmp_path / "runs" / ".tmp-left").mkdir()
    (tmp_path / "runs" / ".tmp-left" / "run.json").write_text("{}")
    (tmp_path / "runs" / "empty").mkdir()

    assert list_runs(tmp_path) == ["A", "A_2", "N2C_9", "N2C_10"]
    assert list_runs(tmp_path / "nowhere") == []


def test_a_taken_tag_is_refused_with_the_next_free_one(tmp_path: Path) -> None:
    claimed(tmp_path, RECORD, "N2C_4")

    with pytest.raises(Refused, match="run N2C_4 exists already; the next free tag is N2C_5"):
        claimed(tmp_path, other("2"), "N2C_4")


def test_concurrent_claims_get_different_tags(tmp_path: Path) -> None:
    tags: list[str] = []

    def work(number: int) -> None:
        tags.append(claimed(tmp_path, other(str(number))).tag)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(tags) == [f"N2C_{number}" for number in range(1, 9)]


def test_of_concurrent_equal_trainings_one_is_made(tmp_path: Path) -> None:
    outcomes: list[str] = []

    def work() -> None:
        try:
            outcomes.append(claimed(tmp_path).tag)
        except SameRun as error:
            outcomes.append(f"same as {error.tag}")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["N2C_1"] + ["same as N2C_1"] * 5


def test_the_same_training_is_refused_with_its_result(tmp_path: Path) -> None:
    run = claimed(tmp_path)
    update(run, status="finished", epoch=50, best_epoch=43, best_loss=0.51234)

    with pytest.raises(SameRun) as raised:
        claimed(tmp_path)

    assert str(raised.value) == (
        "this is run N2C_1 (finished after epoch 50, best dev loss total 0.5123 at epoch 43); "
        "--again trains it once more"
    )


@pytest.mark.parametrize(
    ("status", "epoch", "remedy"),
    [
        ("finished", 20, "`trainer resume N2C_1 --epochs 50` goes on"),
        ("stopped", 20, "`trainer resume N2C_1 --epochs 50` goes on"),
        ("running", 20, "`trainer show N2C_1`"),
        ("failed", 20, "it burst; --again"),
    ],
)
def test_the_refusal_says_what_to_do_instead(
    tmp_path: Path, status: str, epoch: int, remedy: str
) -> None:
    update(claimed(tmp_path), status=status, epoch=epoch, problem="it burst")

    with pytest.raises(SameRun) as raised:
        claimed(tmp_path)

    assert remedy in str(raised.value)


def test_again_is_recorded(tmp_path: Path) -> None:
    claimed(tmp_path)

    run = claimed(tmp_path, again=True)

    assert (run.tag, run.record.again_of) == ("N2C_2", "N2C_1")


def test_an_unknown_run_names_the_nearest(tmp_path: Path) -> None:
    claimed(tmp_path)

    with pytest.raises(UnknownName, match="no run 'N2C_l'; did you mean N2C_1"):
        open_run(tmp_path, "N2C_l")


@pytest.mark.parametrize("tag", ["../N2C_1", "/etc", ".hidden", "a/b", "", ".."])
def test_a_tag_that_is_a_path_is_refused(tmp_path: Path, tag: str) -> None:
    with pytest.raises(Refused, match="is not a run name"):
        open_run(tmp_path, tag)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 9}', '{"schema": 1}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    run = claimed(tmp_path)
    (run.folder / "run.json").write_text(text)

    with pytest.raises(BadRun, match="N2C_1"):
        open_run(tmp_path, "N2C_1")


def test_a_damaged_record_does_not_stand_in_the_way_of_others(tmp_path: Path) -> None:
    (claimed(tmp_path).folder / "run.json").write_text("{")

    assert claimed(tmp_path, other("2")).tag == "N2C_2"


def test_a_run_whose_process_is_gone_is_shown_as_stopped(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    living = Process(host=HERE.process.host, pid=child.pid, started=start_of(child.pid))
    run = claimed(tmp_path, replace(RECORD, sessions=(replace(HERE, process=living),)))
    assert open_run(tmp_path, run.tag).status == "running"

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, its number still taken
    assert open_run(tmp_path, run.tag).status == "stopped"

    child.communicate()
    assert open_run(tmp_path, run.tag).status == "stopped"


def test_a_process_number_used_again_is_another_process() -> None:
    mine = this_process()

    assert mine.alive
    assert not replace(mine, started="an-earlier-boot:17").alive
    assert replace(mine, host="elsewhere").alive is None


def test_another_machines_run_is_running_while_its_folder_is_held(tmp_path: Path) -> None:
    elsewhere = replace(HERE, process=replace(HERE.process, host="elsewhere"))
    run = claimed(tmp_path, replace(RECORD, sessions=(elsewhere,)))
    assert run.status == "stopped"

    with runs.held(run):
        assert open_run(tmp_path, run.tag).status == "running"
        with pytest.raises(Refused, match="is being trained"), runs.held(run):
            pass

    assert open_run(tmp_path, run.tag).status == "stopped"


def test_a_workspace_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    told = r"cannot write .*choose another --workspace"
    with pytest.raises(CorpuskitError, match=told), runs.registry(tmp_path / "file"):
        pass


def test_results_and_progress_do_not_overwrite_each_other(tmp_path: Path) -> None:
    run = claimed(tmp_path)

    runs.add_result(tmp_path, run.tag, "N2C_4-epoch-0003", {"mcd": 6.0})
    update(run, epoch=4)
    runs.add_result(tmp_path, run.tag, "N2C_4-epoch-0004", {"mcd": 5.9})

    record = open_run(tmp_path, run.tag).record
    assert record.epoch == 4
    assert record.results == {"N2C_4-epoch-0003": {"mcd": 6.0}, "N2C_4-epoch-0004": {"mcd": 5.9}}


def test_the_record_is_readable_json_with_every_field(tmp_path: Path) -> None:
    run = claimed(tmp_path)

    mapping = json.loads((run.folder / "run.json").read_text())

    assert set(mapping) == {field.name for field in dataclasses.fields(Record)}


@pytest.mark.parametrize("line", ["[1, 2]", '{"epoch": "two"}', '{"epoch": 2, "dev": 3}', "{"])
def test_rows_end_where_one_is_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(f'{{"epoch": 1}}\n{line}\n{{"epoch": 3}}\n')

    assert metrics(tmp_path) == [{"epoch": 1}]


def test_rows_beyond_an_epoch_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epoch": 3}\n{"epo')

    assert [row["epoch"] for row in metrics(tmp_path)] == [1, 2, 3]
    trim_metrics(tmp_path, 2)

    assert path.read_text() == '{"epoch": 1}\n{"epoch": 2}\n'


def test_without_rows_no_file_is_made(tmp_path: Path) -> None:
    trim_metrics(tmp_path, 2)

    assert metrics(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_document_explains_every_field() -> None:
    text = (Path(__file__).parents[2] / "docs" / "runs.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    explained = {name for row in rows for name in row.replace("`", "").replace(",", " ").split()}

    assert {field.name for field in dataclasses.fields(Record)} <= explained
    assert {"config", "dataset", "split", "parent", "statistics", "code"} <= explained
    assert {"epoch", "step", "lr", "train", "dev", "padding_share", "seconds"} <= explained

"""A search: trials drawn, trained, ended early, answered, skipped, left and gone on with."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from called import Command, refused
from corpuskit.errors import BadSetting, Refused
from thorough import thoroughly
from trainer import search as searching
from trainer.errors import BadRun
from trainer.runs import metrics, open_run, read_all
from trainer.search import Outcome, search
from trainer.searches import Search, begin, open_search
from trainer.signals import Stop
from trainer.space import space_of
from trainer.study import Trial, ask, study_of, trials
from training import TINY, asked, outcome, trained

WARM_UP = {"optim.warm_up": {"low": 2, "high": 8}}


def begun(workspace: Path, space: dict[str, Any], *settings: str, **config: Any) -> Search:
    """A search of tiny models on dataset N2C, 2 epochs a trial."""
    wanted = {"objectives": ["pitch"], "startup": 2, **config}
    request = asked(workspace, "optim.warm_up=2", *settings)
    return begin(request, space_of({"search": wanted, "space": space}, "the test")).search


def searched(made: Search, wanted: int) -> list[Trial]:
    """The trials of a search that was gone on with until it had so many results."""
    return [each.trial for each in search(made, wanted, Stop()) if isinstance(each, Outcome)]


def losses(workspace: Path, tag: str, name: str) -> list[float]:
    return [row["dev"][name] for row in metrics(open_run(workspace, tag).folder)]


# ------------------------------------------------------------------ what a trial is


def test_a_trial_is_a_run_with_its_whole_configuration(workspace: Path) -> None:
    space = {**WARM_UP, "model.dropout": {"low": 0.0, "high": 0.4, "step": 0.1}}
    made = begun(workspace, space, "train.seed=7")

    first, second = searched(made, 2)

    assert (first.number, second.number) == (0, 1)
    run = open_run(workspace, "N2C_1#0")
    assert run.tag == "N2C_1#0"
    assert run.workspace == workspace
    assert run.config.optim.warm_up == first.settings["optim.warm_up"]
    assert run.config.model.dropout == first.settings["model.dropout"]
    assert (run.config.train.seed, run.config.model.width) == (7, 16)
    assert (run.status, run.record.epoch) == ("finished", 2)
    assert first.settings != second.settings
    assert not (run.folder / "samples").exists()


def test_the_result_is_the_objective_at_its_lowest(workspace: Path) -> None:
    (trial,) = searched(begun(workspace, WARM_UP), 1)

    pitch = losses(workspace, "N2C_1#0", "pitch")
    assert trial.values == (min(pitch),)
    assert trial.best_epoch == 1 + pitch.index(min(pitch))


def test_several_objectives_are_of_one_epoch_and_make_a_front(workspace: Path) -> None:
    made = begun(workspace, WARM_UP, objectives=["pitch", "postnet"])

    ended = searched(made, 4)

    for trial in ended:
        pitch, postnet = (
            losses(workspace, f"N2C_1#{trial.number}", name) for name in ("pitch", "postnet")
        )
        sums = [one + other for one, other in zip(pitch, postnet, strict=True)]
        at = sums.index(min(sums))
        assert trial.values == (pitch[at], postnet[at])
    values = {trial.number: trial.values for trial in ended}
    front = [  # by definition: nothing is as good in both and better in one
        number
        for number, (pitch, postnet) in values.items()
        if not any(
            each[0] <= pitch and each[1] <= postnet and each != (pitch, postnet)
            for each in values.values()
        )
    ]
    assert sorted(trials(made).best) == front


def test_checkpoints_are_kept_of_the_best_alone_unless_all_are_wanted(workspace: Path) -> None:
    made = begun(workspace, WARM_UP)
    ended = searched(made, 3)

    best = min(ended, key=lambda trial: trial.values).number
    for trial in ended:
        kept = open_run(workspace, f"N2C_1#{trial.number}").checkpoints.exists()
        assert kept == (trial.number == best)
    other = next(trial.number for trial in ended if trial.number != best)
    with pytest.raises(Refused, match=rf"weights of trial N2C_1#{other} were not kept"):
        open_run(workspace, f"N2C_1#{other}").checkpoint()

    begun(workspace, WARM_UP, "train.seed=1", keep="all")
    all_kept = open_search(workspace, "N2C_2")
    assert all_kept.space.config.keep == "all"
    searched(all_kept, 2)
    assert all(open_run(workspace, f"N2C_2#{n}").checkpoint("last") for n in (0, 1))


@thoroughly("sampler", ["tpe", "nsga2", "random"])
def test_what_is_drawn_depends_on_seed_and_number_alone(workspace: Path, sampler: str) -> None:
    """Whichever process draws a trial, it draws the same; another seed draws other settings."""
    space = {"optim.warm_up": {"low": 2, "high": 99}, "model.dropout": {"low": 0.0, "high": 0.5}}
    whole = begun(workspace, space, "train.seed=1", sampler=sampler)
    halves = begun(workspace, space, "train.seed=2", sampler=sampler)
    other = begun(workspace, space, "train.seed=3", sampler=sampler, seed=9)

    first = drawn(whole, 4)
    assert [*drawn(halves, 2), *drawn(halves, 2)] == first
    assert drawn(other, 1)[0] not in first
    assert len({str(each) for each in first}) == 4


def drawn(made: Search, count: int) -> list[dict[str, Any]]:
    """What a process draws for so many trials, the results of which are told at once."""
    found = []
    with study_of(made) as study:
        for _ in range(count):
            trial = ask(made, study, 99)
            assert trial is not None
            study.tell(trial, trial.params["model.dropout"])
            found.append(trial.params)
    return found


# ------------------------------------------------------------- answered, skipped


def test_the_same_settings_are_answered_from_the_record(workspace: Path) -> None:
    made = begun(workspace, {"optim.warm_up": [2, 3]})

    ended = searched(made, 5)

    by_setting: dict[int, list[Trial]] = {}
    for trial in ended:
        by_setting.setdefault(trial.settings["optim.warm_up"], []).append(trial)
    assert len(list((made.folder / "runs").glob("trial_*"))) == len(by_setting) == 2
    for first, *others in by_setting.values():
        assert first.told == ""
        for each in others:
            assert each.told == f"as run N2C_1#{first.number}, not trained again"
            assert (each.values, each.best_epoch) == (first.values, first.best_epoch)


def test_a_run_of_the_workspace_answers_with_the_trials_number_of_epochs(workspace: Path) -> None:
    run = trained(workspace, "optim.warm_up=3", epochs=3)

    (trial,) = searched(begun(workspace, {"optim.warm_up": [3]}), 1)

    assert trial.told == "as run N2C_1, not trained again"
    assert trial.values == (min(losses(workspace, run.tag, "pitch")[:2]),)
    assert not (workspace / "searches" / "N2C_2" / "runs" / "trial_0").exists()


def test_a_shorter_run_and_another_searchs_trial(workspace: Path) -> None:
    """The first does not answer, the second does, whatever its objective was."""
    trained(workspace, "optim.warm_up=3", epochs=1)
    (own,) = searched(begun(workspace, {"optim.warm_up": [3]}), 1)
    assert own.told == ""

    (other,) = searched(begun(workspace, {"optim.warm_up": [3]}, objectives=["mel"]), 1)

    assert other.told == "as run N2C_2#0, not trained again"
    assert other.values == (min(losses(workspace, "N2C_2#0", "mel")),)


def test_unsafe_schedules_are_skipped_with_the_reason(workspace: Path) -> None:
    """Without a cap the peak is 256^-0.5 * W^-0.5, at step W; there are 8 steps."""
    unsafe = ("optim.max_lr_scale=0", "optim.lr_limit=0.03")  # the base's own peak is 0.0442
    made = begun(workspace, {"optim.warm_up": [2, 6, 20]}, *unsafe, sampler="random")

    searched(made, 5)

    known = trials(made).all
    by_warm_up = {trial.settings["optim.warm_up"]: trial for trial in known}
    assert {key: trial.state for key, trial in by_warm_up.items()} == {
        2: "skipped",
        6: "complete",
        20: "skipped",
    }
    assert "peak at 4.42e-02 at step 2, above optim.lr_limit 3.00e-02" in by_warm_up[2].told
    assert "ends at step 8, before the learning rate peaks" in by_warm_up[20].told
    assert sum(trial.state == "complete" for trial in known) == 5
    assert len(list((made.folder / "runs").glob("trial_*"))) == 1


def test_settings_that_do_not_go_together_are_skipped(workspace: Path) -> None:
    made = begun(workspace, {"model.heads": [2, 3], **WARM_UP})

    searched(made, 3)

    by_heads = {trial.settings["model.heads"]: trial for trial in trials(made).all}
    assert by_heads[3].state == "skipped"
    assert "model.attention_dim is 16 with 3 heads" in by_heads[3].told
    assert by_heads[2].state == "complete"


def test_settings_that_act_on_nothing_are_refused(workspace: Path) -> None:
    weight = {"model.prosody_weight": {"low": 0.0, "high": 1.0}}
    told = r"model\.prosody_weight changes nothing with these settings: model\.prosody is 'none'"
    with pytest.raises(BadSetting, match=told):
        begun(workspace, weight)
    with pytest.raises(BadSetting, match=r"optim\.lr_limit changes nothing"):
        begun(workspace, {"optim.lr_limit": [0.1, 0.2]})

    assert begun(workspace, {**weight, "model.prosody": ["none", "wgmm"]}).tag == "N2C_1"
    assert begun(workspace, weight, "model.prosody=wgmm").tag == "N2C_2"


def test_a_loss_that_only_some_models_have(workspace: Path) -> None:
    space = {"model.prosody": ["none", "wgmm"], **WARM_UP}
    small = ("model.prosody_size=4", "model.prosody_components=2")
    made = begun(
        workspace, space, *small, "model.prosody_global_components=2", objectives=["phrase"]
    )

    searched(made, 1)

    for trial in trials(made).all:
        if trial.settings["model.prosody"] == "none":
            assert trial.told == "a model of these settings has no loss 'phrase'"
        else:
            assert trial.values == (min(losses(workspace, f"N2C_1#{trial.number}", "phrase")),)


def test_a_space_nothing_of_which_can_be_trained_ends(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begun(workspace, {"optim.warm_up": {"low": 1000, "high": 4000}})
    monkeypatch.setattr(searching, "SKIPS", 5)

    with pytest.raises(Refused, match="5 draws in a row could not be trained, the last because"):
        searched(made, 2)

    assert [trial.state for trial in trials(made).all] == ["skipped"] * 5


def test_what_diverges_is_a_trial_without_result(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.errors import Diverged

    real, broken = searching._Work._trained, []

    def diverge(self: Any, trial: Any, planned: Any) -> Any:
        if not broken:
            broken.append(trial.number)
            raise Diverged("run N2C_1#0 diverged at step 3")
        return (yield from real(self, trial, planned))

    monkeypatch.setattr(searching._Work, "_trained", diverge)
    ended = searched(begun(workspace, WARM_UP), 1)

    assert [trial.state for trial in ended] == ["diverged", "complete"]
    assert ended[0].told == "run N2C_1#0 diverged at step 3"


# --------------------------------------------------------------------- ended early


def test_trials_worse_than_the_median_end_early(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by hand: at epoch 1 the medians are those of the trials before that were trained out."""
    told = {0: 1.0, 1: 2.0, 2: 1.4, 3: 1.6, 4: 0.5}  # epoch 1; the second is half of it

    def loss(row: dict[str, Any], name: str) -> float:
        assert name == "pitch"
        return told[row["trial"]] / float(row["epoch"])

    monkeypatch.setattr(searching, "_loss", loss)
    monkeypatch.setattr("trainer.session.train", _told_rows)
    made = begun(workspace, WARM_UP, prune="pitch", prune_after=1)

    ended = searched(made, 5)

    # 0 is first; 1 > median(1.0); 2 > 1.0; 3 > 1.0; 4 < 1.0
    states = ["complete", "pruned", "pruned", "pruned", "complete"]
    assert [trial.state for trial in ended] == states
    assert [trial.epoch for trial in ended] == [2, 1, 1, 1, 2]
    assert trials(made).best == (4,)


def _told_rows(run: Any, splits: Any, device: Any, stop: Stop, world: Any) -> Iterator[Any]:
    """What the loop yields and writes, with the trial's number in the place of losses."""
    from trainer.checkpoint import State
    from trainer.loop import Ended, EpochDone

    number = int(run.tag.partition("#")[2])
    for epoch in range(1, run.record.epochs + 1):
        row = {"epoch": epoch, "step": epoch, "lr": 1e-3, "trial": number}
        row |= {"train": {"total": 1.0}, "dev": {"total": 1.0, "postnet": 1.0}}
        with (run.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        yield EpochDone(row=row, best=True)
        if stop.requested:
            yield Ended(state=State(epoch=epoch), stopped=stop.reason)
            return
    yield Ended(state=State(epoch=run.record.epochs), stopped="")


def test_hyperband_is_told_every_epoch_of_the_watched_loss(workspace: Path) -> None:
    made = begun(workspace, WARM_UP, prune="mel", pruner="hyperband", prune_after=1)

    searched(made, 2)

    with study_of(made) as study:
        assert type(study.pruner).__name__ == "HyperbandPruner"
        for trial in study.trials:
            mel = losses(workspace, f"N2C_1#{trial.number}", "mel")
            assert trial.intermediate_values == dict(enumerate(mel, start=1))


# ------------------------------------------------------------------ left, gone on


class _After(Stop):
    """Asks to stop when it was asked so often."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    @property
    def requested(self) -> bool:
        self._looks -= 1
        if self._looks < 0:
            self.reason = "SIGTERM"
        return bool(self.reason)


@thoroughly("looks", [3, 9])
def test_a_search_that_was_stopped_goes_on_as_if_it_never_was(workspace: Path, looks: int) -> None:
    searched(begun(workspace, WARM_UP, keep="all"), 2)
    expected = {n: outcome(open_run(workspace, f"N2C_1#{n}")) for n in (0, 1)}
    (workspace / "searches" / "N2C_1").rename(workspace / "searches" / ".aside")
    made = begun(workspace, WARM_UP, keep="all")

    list(search(made, 2, _After(looks)))
    left = trials(made)
    assert "running" in [trial.state for trial in left.all]
    ended = searched(made, 2)

    assert [trial.number for trial in trials(made).all] == [0, 1]
    assert len(ended) == 2 - sum(trial.state == "complete" for trial in left.all)
    for number, before in expected.items():
        after = outcome(open_run(workspace, f"N2C_1#{number}"))
        assert after["weights"] == before["weights"]
        assert after["rows"] == before["rows"]


SEARCHES = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_search import begun, searched, WARM_UP
made = begun(Path(sys.argv[1]), WARM_UP, keep="all")
print("ready", flush=True)
ended = searched(made, int(sys.argv[2]))
print(*(trial.number for trial in ended))
"""


def process(workspace: Path, wanted: int) -> subprocess.Popen[str]:
    """A process of its own that takes part in the search."""
    here = Path(__file__).parent
    code = SEARCHES.format(paths=[str(here), str(here.parent)])
    return subprocess.Popen(
        [sys.executable, "-c", code, str(workspace), str(wanted)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def ends(started: Sequence[subprocess.Popen[str]]) -> list[list[int]]:
    """The trials each process ended."""
    ended = []
    for each in started:
        out, err = each.communicate(timeout=120)
        assert each.returncode == 0, err
        ended.append([int(number) for number in out.split()[1:]])
    return ended


@pytest.mark.slow
def test_two_processes_share_the_trials(workspace: Path) -> None:
    begun(workspace, WARM_UP, keep="all")

    first, second = ends([process(workspace, 5), process(workspace, 5)])

    known = trials(open_search(workspace, "N2C_1"))
    assert [trial.state for trial in known.all] == ["complete"] * 5
    assert sorted(first + second) == [0, 1, 2, 3, 4]
    assert set(first).isdisjoint(second)


@pytest.mark.slow
def test_the_trial_of_a_killed_process_is_gone_on_with(workspace: Path) -> None:
    made = begun(workspace, WARM_UP, keep="all")
    killed = process(workspace, 50)
    metrics_of_second = made.folder / "runs" / "trial_1" / "metrics.jsonl"
    deadline = time.monotonic() + 100
    while not metrics_of_second.exists():  # into the second trial
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    left = [trial.number for trial in trials(made).all if trial.state == "running"]

    ended = searched(made, len(trials(made).all))

    assert [trial.number for trial in ended] == left
    known = trials(made).all
    assert {trial.state for trial in known} == {"complete"}
    runs, _ = read_all(made.folder)
    assert {run.record.epoch for run in runs} == {2}


def test_a_trial_that_kills_its_processes_is_given_up(workspace: Path) -> None:
    made = begun(workspace, WARM_UP)
    gone = dataclasses.asdict(_gone_process())
    with study_of(made) as study:
        for _ in range(3):
            trial = ask(made, study, 1)
            assert trial is not None
            assert trial.number == 0
            trial.set_user_attr("process", gone)

    ended = searched(made, 1)

    assert [trial.number for trial in ended] == [1]
    assert trials(made).all[0].state == "failed"
    assert trials(made).all[0].told == "its process was killed 3 times"


def _gone_process() -> Any:
    from trainer.runs import Process, this_process

    here = this_process()
    return Process(host=here.host, pid=2**22 + 1, started="never")


# ------------------------------------------------------------ which search it is


def test_the_same_question_is_the_same_search(workspace: Path) -> None:
    first = begun(workspace, WARM_UP)
    again = begun(workspace, WARM_UP, seed=5, startup=3, trials=100)
    other = begun(workspace, {"optim.warm_up": {"low": 2, "high": 9}})

    assert (first.tag, again.tag, other.tag) == ("N2C_1", "N2C_1", "N2C_2")
    assert (again.space.config.seed, first.space.config.seed) == (5, 0)


def test_another_question_under_the_same_tag_is_refused(workspace: Path) -> None:
    def under(tag: str, space: dict[str, Any], *settings: str, **config: Any) -> Search:
        wanted = space_of({"search": config, "space": space}, "the test")
        return begin(asked(workspace, *settings, tag=tag), wanted).search

    under("N2C_7", WARM_UP)
    assert under("N2C_7", WARM_UP).tag == "N2C_7"

    with pytest.raises(
        Refused, match=r"search N2C_7 is another one: space\.optim\.warm_up\.high 8"
    ):
        under("N2C_7", {"optim.warm_up": {"low": 2, "high": 9}})
    with pytest.raises(Refused, match=r"is another one: run\.config\.train\.seed 0 -> 3"):
        under("N2C_7", WARM_UP, "train.seed=3")
    with pytest.raises(Refused, match=r"is another one: search\.objectives"):
        under("N2C_7", WARM_UP, objectives=["mel"])
    trained(workspace, epochs=1)
    with pytest.raises(Refused, match=r"run N2C_8 exists already"):
        under("N2C_8", WARM_UP)
    with pytest.raises(Refused, match=r"run N2C_7 exists already; the next free tag is N2C_9"):
        trained(workspace, "train.seed=5", tag="N2C_7")


def test_a_damaged_study_is_told_in_one_line(workspace: Path) -> None:
    made = begun(workspace, WARM_UP)
    searched(made, 1)
    (made.folder / "study.db").write_bytes(b"no database at all " * 100)

    with pytest.raises(BadRun, match=r"search N2C_1: study\.db cannot be read or written"):
        trials(made)
    with pytest.raises(BadRun, match=r"search N2C_1: study\.db cannot be read or written"):
        searched(made, 2)


# -------------------------------------------------------------------- the command


SPACE = """
[search]
objectives = ["pitch"]
trials = 3
startup = 2
[space]
optim.warm_up = [2, 3, 4]
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The command of a small search."""
    (tmp_path / "space.toml").write_text(SPACE)
    given = ["--spk", "N2C", "--space", str(tmp_path / "space.toml"), "--device", "cpu"]
    for each in TINY:
        given += ["--set", each]
    return ["search", *given, "--epochs", "1"]


def test_a_search_from_the_command_line(
    command: Command, workspace: Path, words: list[str]
) -> None:
    result = command(*words)

    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "search N2C_1 (new): dataset N2C, 1 epoch a trial, by dev loss pitch"
    assert sum(line.startswith("N2C_1#") for line in lines) == 3
    assert any(line.startswith("search N2C_1: dataset N2C, 3 complete") for line in lines)
    assert lines[-1].startswith("Searched N2C_1: `trainer promote N2C_1#")
    history = workspace / "searches" / "N2C_1" / "history.png"
    assert any(line.startswith(f"drawn: {history}") for line in lines)
    assert history.read_bytes().startswith(b"\x89PNG")
    assert result.stderr == ""

    told = command("list")
    (row,) = [line for line in told.stdout.splitlines() if line.startswith("N2C_1 ")]
    assert " search " in row
    assert "3 trials, best #" in row
    assert len([line for line in told.stdout.splitlines() if line.startswith("N2C_1")]) == 1

    shown = command("show", "N2C_1")
    assert shown.exit_code == 0, shown.stderr
    assert "search N2C_1: dataset N2C, 3 complete" in shown.stdout
    as_json = json.loads(command("show", "N2C_1", "--json").stdout)
    assert [trial["number"] for trial in as_json["trials"]["all"]] == [0, 1, 2]
    assert command("show", "N2C_1#0").stdout.startswith("run N2C_1#0: dataset N2C")

    more = command(*words, "--trials", "4")
    assert more.stdout.splitlines()[0].startswith("search N2C_1 (goes on)")
    assert sum(line.startswith("N2C_1#") for line in more.stdout.splitlines()) == 1


def test_a_trial_is_used_like_a_run(command: Command, workspace: Path, words: list[str]) -> None:
    command(*words)
    made = open_search(workspace, "N2C_1")
    name = f"N2C_1#{trials(made).best[0]}"
    runs, _ = read_all(made.folder)
    other = next(run.tag for run in runs if run.tag != name)

    assert f"run {name} -> run {other}" in command("diff", name, other).stdout
    assert command("lr", name).exit_code == 0
    child = command("run", "--spk", "N2C", "--pretrain", name, "--epochs", "1", "--device", "cpu")
    assert child.exit_code == 0, child.stderr
    parent = open_run(workspace, "N2C_2").record.parent
    assert parent is not None
    assert parent.tag == name
    assert command("note", name, "calm").exit_code == 0
    assert open_run(workspace, name).remarks[0].text == "calm"
    again = command("rerun", name, "--spk", "N2C", "--device", "cpu")
    assert "this is run" not in again.stderr
    assert (workspace / "runs" / "N2C_3").is_dir()


def test_names_that_are_none(command: Command, workspace: Path, words: list[str]) -> None:
    command(*words)

    assert "N2C_1 is a search, no run; name a trial of it, e.g. N2C_1#0" in refused(
        command("evaluate", "N2C_1")
    )
    assert "search N2C_1 has no trial #8; it has #0 to #2" in refused(command("show", "N2C_1#8"))
    assert "trial N2C_1#8 was not trained" in refused(command("lr", "N2C_1#8"))
    assert "no search 'N2C_9'; did you mean N2C_1?" in refused(command("show", "N2C_9#0"))
    assert "'N2C_1#x' is no trial's name" in refused(command("show", "N2C_1#x"))
    told = refused(command("run", "--spk", "N2C", "--tag", "N2C_1#7"))
    assert "'N2C_1#7' is not a run name" in told


def test_a_trial_that_was_not_trained_is_shown(command: Command, workspace: Path) -> None:
    made = begun(workspace, {"model.heads": [2, 3]}, sampler="random")
    searched(made, 2)
    first, *others = (trial for trial in trials(made).all if trial.state == "complete")
    skipped = next(trial for trial in trials(made).all if trial.state == "skipped")

    shown = command("show", f"N2C_1#{skipped.number}").stdout.splitlines()
    assert shown[0].startswith(f"trial N2C_1#{skipped.number}: dataset N2C, skipped (model.atten")
    assert "  model.heads = 3" in shown
    shown = command("show", f"N2C_1#{others[0].number}").stdout.splitlines()
    assert shown[0].endswith(f"(as run N2C_1#{first.number}, not trained again)")
    assert shown[1] == f"identity {open_run(workspace, f'N2C_1#{first.number}').record.identity}"
    told = json.loads(command("show", f"N2C_1#{skipped.number}", "--json").stdout)
    assert (told["tag"], told["state"]) == (f"N2C_1#{skipped.number}", "skipped")


def test_several_processes_of_one_training_are_refused(
    command: Command, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")

    assert "start the same command several times" in refused(command(*words))

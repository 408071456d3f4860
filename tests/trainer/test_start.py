"""Making a run: whole from the first moment, with the weights it was planned with."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from corpuskit.config import load_toml
from corpuskit.errors import CorpuskitError, Refused
from corpuskit.versions import open_version
from synthetic import PairCorpus
from trainer import checkpoint
from trainer.lineage import read_heard
from trainer.model import FS2VC
from trainer.plan import plan
from trainer.runs import list_runs, metrics, open_run
from trainer.start import start
from training import asked, started, trained
from untrained import built, dataset_settings


def test_a_run_begins_with_its_initial_checkpoint(workspace: Path) -> None:
    run = started(workspace)

    state, weights, tensors = checkpoint.load(checkpoint.last(run.checkpoints))
    torch.manual_seed(0)
    fresh = FS2VC(run.config.model, 2)
    assert (state.epoch, state.batch, state.step) == (0, 0, 0)
    assert all(torch.equal(weights[name], value) for name, value in fresh.state_dict().items())
    assert tensors == {}
    assert run.record.parameters == sum(each.numel() for each in fresh.parameters())


def test_its_folder_tells_everything(workspace: Path) -> None:
    run = started(workspace)
    version = open_version(workspace, "N2C")

    record = json.loads((run.folder / "run.json").read_text())
    assert record["status"] == "running"
    assert record["dataset"]["fingerprint"] == version.fingerprint
    assert record["dataset"]["pairs"] == {"train": 10, "dev": 2, "eval": 2}
    assert set(record["parts"]) == {"config", "dataset", "split", "parent", "statistics", "code"}
    assert record["sessions"][0]["libraries"]["torch"] == torch.__version__
    assert load_toml(run.folder / "config.toml")["train"]["batch_size"] == 3
    assert run.settings == version.settings
    assert run.statistics == version.statistics
    assert run.speakers == version.speakers == ("C", "N")
    said = {pair.sentence for pair in version.split("train")}
    assert read_heard(run.folder) == {"N": said, "C": said}


def test_the_seed_determines_the_weights(workspace: Path) -> None:
    one, other = (
        checkpoint.load_weights(
            checkpoint.last(started(workspace, f"train.seed={seed}").checkpoints)
        )
        for seed in (0, 1)
    )

    assert not torch.equal(one["mel_in.weight"], other["mel_in.weight"])


def test_a_fine_tuning_starts_from_the_best_checkpoint_unless_told(workspace: Path) -> None:
    parent = trained(workspace, "train.save_every=1", epochs=3)

    for place, epoch in (("", parent.record.best_epoch), ("@1", 1), ("@last", 3)):
        run = started(workspace, "train.seed=3", pretrain=f"{parent.tag}{place}", again=True)
        theirs = checkpoint.load_weights(parent.checkpoint(str(epoch)))
        ours = checkpoint.load_weights(checkpoint.last(run.checkpoints))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        assert run.record.parent is not None
        assert (run.record.parent.tag, run.record.parent.epoch) == (parent.tag, epoch)
        assert run.record.parent.optimiser == "reset"


def test_what_did_not_fit_is_in_the_record(workspace: Path) -> None:
    started(workspace)

    run = started(workspace, "model.width=32", pretrain="N2C_1")

    assert run.record.parent is not None
    assert any("the parent's is" in line for line in run.record.parent.left)


def test_the_optimiser_is_kept_or_reset(workspace: Path) -> None:
    parent = trained(workspace)
    _, _, theirs = checkpoint.load(parent.checkpoint("last"))

    reset = started(workspace, pretrain="N2C_1@last")
    kept = started(workspace, pretrain="N2C_1@last", keep_optim=True)

    state, _, tensors = checkpoint.load(checkpoint.last(reset.checkpoints))
    assert state.step == 0
    assert tensors == {}
    state, _, tensors = checkpoint.load(checkpoint.last(kept.checkpoints))
    assert (state.epoch, state.step) == (0, 8)
    moments = {name for name in theirs if name.startswith("optimiser/")}
    assert set(tensors) == moments
    assert all(torch.equal(tensors[name], theirs[name]) for name in moments)


def test_a_kept_optimiser_goes_on_with_its_schedule(workspace: Path) -> None:
    trained(workspace)

    run = trained(workspace, pretrain="N2C_1@last", keep_optim=True, epochs=1)

    assert [row["step"] for row in metrics(run.folder)] == [12]


def test_an_optimiser_that_does_not_fit_is_refused_and_nothing_is_left(workspace: Path) -> None:
    started(workspace)

    with pytest.raises(Refused, match=r"--keep-optim: .* parameters have another shape"):
        started(workspace, "model.width=32", pretrain="N2C_1", keep_optim=True)

    assert list_runs(workspace) == ["N2C_1"]
    assert sorted(path.name for path in (workspace / "runs").iterdir()) == [".lock", "N2C_1"]


def test_lineage_reaches_through_generations(workspace: Path, n2c_corpus: PairCorpus) -> None:
    started(workspace)
    for name, dev in (("N2C_2", 5), ("N2C_3", 7)):
        built(workspace, name, dataset_settings(n2c_corpus, split={"dev": dev, "eval": 2}))
    started(workspace, spk="N2C_2", pretrain="N2C_1")

    grandchild = plan(asked(workspace, spk="N2C_3", pretrain="N2C_2"))

    # the parent held 3 of them out; the grandparent was trained on all 5
    assert len(grandchild.leaks.pairs) == 5
    assert grandchild.statistics_part.dataset == "N2C"


def test_two_starts_of_one_plan_make_one_run(workspace: Path) -> None:
    made = plan(asked(workspace))
    start(made)

    with pytest.raises(Refused, match="this is run N2C_1"):
        start(made)

    assert list_runs(workspace) == ["N2C_1"]


@pytest.mark.parametrize("call", ["_write", "_sync", "_rename"])
def test_whatever_write_fails_there_is_a_whole_run_or_none(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    import corpuskit.files

    real = getattr(corpuskit.files, call)
    made = plan(asked(workspace))
    for nth in range(1, 60):
        calls = 0

        def failing(*arguments: object, nth: int = nth) -> None:
            nonlocal calls
            calls += 1
            if calls == nth:
                raise OSError(28, "No space left on device")
            real(*arguments)

        with monkeypatch.context() as broken:
            broken.setattr(corpuskit.files, call, failing)
            with suppress(CorpuskitError):
                start(made)
        if list_runs(workspace):
            break
        assert {path.name for path in (workspace / "runs").iterdir()} <= {".lock"}
    assert nth > 3
    run = open_run(workspace, "N2C_1")
    checkpoint.load(checkpoint.last(run.checkpoints))


def test_leftovers_of_killed_starts_are_removed(workspace: Path) -> None:
    import socket

    left = workspace / "runs" / f".tmp-{socket.gethostname()}-999999999-abc"
    left.mkdir(parents=True)

    started(workspace)

    assert not left.exists()

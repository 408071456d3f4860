"""Six ways in which a lab's numbers stopped being comparable, and that none is left open.

What each rests on has tests of its own, beside the code; here they are shown on whole runs.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn.modules.batchnorm import _NormBase

from corpuskit.errors import Refused
from corpuskit.versions import open_version
from synthetic import PairCorpus, write_pair_corpus
from trainer import checkpoint
from trainer.batches import PackedSet
from trainer.config import ModelConfig
from trainer.data import load_splits
from trainer.errors import SameRun
from trainer.losses import TOTAL, sums
from trainer.model import FS2VC
from trainer.runs import Run, metrics, open_run
from trainer.schedule import lr
from training import CPU, outcome, resumed, started, trained
from untrained import built, dataset_settings


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ------------------------------------------------------- 1. splits drawn anew, sentences leaking


def test_a_rebuilt_or_grown_dataset_keeps_every_sentence_in_its_split(
    workspace: Path, n2c_corpus: PairCorpus, tmp_path: Path
) -> None:
    shares = {"dev": 0.2, "eval": 0.2}
    grown = write_pair_corpus(tmp_path / "grown", 18)
    built(workspace, "A", dataset_settings(n2c_corpus, split=shares))
    built(workspace, "B", dataset_settings(n2c_corpus, split=shares, silence={"thresh": -30.0}))
    built(workspace, "G", dataset_settings(grown, split=shares))

    a, b, g = (
        {pair.sentence: pair.split for pair in open_version(workspace, name).pairs}
        for name in "ABG"
    )

    assert a == b
    assert g.items() >= a.items()
    assert len(g) == 18
    assert set(a.values()) == {"train", "dev", "eval"}


def test_all_voices_of_a_sentence_are_in_one_split(workspace: Path, n2c_corpus: PairCorpus) -> None:
    both = [{"source": "N", "target": "C", "both": True}]
    shares = {"dev": 0.2, "eval": 0.2}
    built(workspace, "M", dataset_settings(n2c_corpus, pairs=both, split=shares))

    pairs = open_version(workspace, "M").pairs

    assert len(pairs) == 28
    assert len({(pair.sentence, pair.split) for pair in pairs}) == 14


def test_a_dev_sentence_an_ancestor_heard_is_scored_by_nobody(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    built(workspace, "R", dataset_settings(n2c_corpus, split={"dev": 5, "eval": 2}))
    started(workspace, tag="parent")  # its dataset has two of the five in dev

    child = started(workspace, tag="child", spk="R", pretrain="parent")

    heard = {pair.id for pair in open_version(workspace, "N2C").split("train")}
    dev = {pair.id for pair in open_version(workspace, "R").split("dev")}
    assert len(heard & dev) == 3
    assert heard & dev <= set(child.record.leaks.pairs)


# ------------------------------------------------- 2. a loss whose divisor depends on the batches


@pytest.mark.parametrize("setting", ["batch_size=1", "batch_size=7", "group_size=1"])
def test_the_dev_loss_is_the_same_however_it_is_batched(workspace: Path, setting: str) -> None:
    still = "optim.max_lr_scale=1e-12"  # both stay the model they start as
    one = trained(workspace, still, tag="one", epochs=1)
    other = trained(workspace, still, f"train.{setting}", tag="other", epochs=1)

    assert _dev(other) == pytest.approx(_dev(one), rel=1e-6, abs=1e-6)


def test_a_mean_of_batch_means_would_not_be() -> None:
    """What was reported there: two pairs of 10 and 30 frames, alone and together."""
    absolute = [(10 * 1.0, 10), (30 * 2.0, 30)]  # sums of |error| and frames

    together = sum(each for each, _ in absolute) / sum(frames for _, frames in absolute)
    alone = sum(each / frames for each, frames in absolute) / 2

    assert together / alone == pytest.approx(1.75 / 1.5)


# ------------------------------------------------------- 3. padding seen by a convolution or norm


def test_a_pair_scores_the_same_alone_and_beside_a_longer_one(workspace: Path) -> None:
    run = trained(workspace, epochs=1)
    model, data = _model(run), _train_split(run)
    shortest, longest = int(data.lengths.argmin()), int(data.lengths.argmax())
    assert data.lengths[longest] > data.lengths[shortest]

    with torch.no_grad():
        one, other, both = (
            {name: float(term.summed) for name, term in sums(model(batch), batch).items()}
            for batch in map(data.gather, ([shortest], [longest], [shortest, longest]))
        )

    assert {name: one[name] + other[name] for name in one} == pytest.approx(both, rel=1e-5)


def test_nothing_in_any_model_keeps_statistics_of_batches() -> None:
    kinds = [{}, {"pitch_ar": "on"}, {"prosody": "wgmm"}, {"align": "search"}]

    for kind in kinds:
        model = FS2VC(ModelConfig(width=16, attention_dim=16, **kind), speakers=2)
        assert not any(isinstance(each, _NormBase) for each in model.modules())


# ---------------------------------------- 4. a schedule that runs on, a resume that forgets things


def test_the_schedule_waits_where_the_loss_scaler_skips(workspace: Path) -> None:
    run = trained(workspace, epochs=2, precision="fp16")

    rows = metrics(run.folder)
    taken = 2 * math.ceil(10 / 3)
    assert rows[-1]["step"] < taken  # some were skipped while it looked for a scale
    assert rows[-1]["lr"] == lr(rows[-1]["step"], 20, run.config.optim.cap)


def test_scaler_random_numbers_place_in_the_epoch_and_best_loss_survive(workspace: Path) -> None:
    whole = outcome(trained(workspace, tag="whole", epochs=3, precision="fp16"))
    run = trained(workspace, tag="cut", epochs=1, precision="fp16", again=True)

    for epochs in (2, 3):
        run = resumed(run, epochs=epochs, stop_after=2)
        run = resumed(run)

    assert outcome(run) == whole


# ----------------------------------------------------- 5. one settings file that trials overwrote


def test_every_run_keeps_its_own_settings_and_starts_again_with_nothing_retyped(
    workspace: Path,
) -> None:
    rates = (0.004, 0.008)
    for number, rate in enumerate(rates):
        started(workspace, f"optim.max_lr_scale={rate}", "train.seed=7", tag=f"trial_{number}")

    kept = [open_run(workspace, f"trial_{n}").config.optim.max_lr_scale for n in range(2)]
    assert tuple(kept) == rates
    with pytest.raises(SameRun, match="this is run trial_0"):
        started(workspace, like="trial_0", tag="retyped")
    longer = started(workspace, like="trial_0", tag="longer", again=True)
    assert longer.record.identity == open_run(workspace, "trial_0").record.identity


# -------------------------------------------- 6. an old optimiser's state in a model of other kind


def test_an_old_optimiser_is_refused_for_a_model_of_another_kind(workspace: Path) -> None:
    trained(workspace, "model.pitch_ar=on", tag="pitch_ar", epochs=1)
    wgmm = ("model.pitch_ar=off", "model.prosody=wgmm", "model.prosody_size=8")

    with pytest.raises(Refused, match=r"--keep-optim: \d+ parameters .*--reset-optim"):
        started(workspace, *wgmm, tag="wgmm", pretrain="pitch_ar", keep_optim=True)

    run = started(workspace, *wgmm, tag="wgmm", pretrain="pitch_ar")
    assert run.record.parent is not None
    assert run.record.parent.loaded > 0


def _dev(run: Run) -> dict[str, float]:
    losses: dict[str, float] = metrics(run.folder)[0]["dev"]
    assert losses[TOTAL] > 0
    return losses


def _model(run: Run) -> FS2VC:
    model = FS2VC(run.config.model, len(run.speakers))
    model.load_state_dict(checkpoint.load_weights(run.checkpoint("last")))
    return model.eval()


def _train_split(run: Run) -> PackedSet:
    version = open_version(run.workspace, run.record.dataset.name)
    return load_splits(version, run.statistics, run.speakers, (), CPU).train.packed

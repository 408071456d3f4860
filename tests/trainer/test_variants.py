"""Every kind of model trains, resumes exactly, fine-tunes from every other, scores, converts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from corpuskit.errors import BadSetting
from corpuskit.versions import open_version
from synthetic import PairCorpus
from thorough import thoroughly
from trainer.convert import Converter
from trainer.prosody import Draw
from trainer.runs import metrics, open_run
from training import outcome, resumed, started, trained, watched
from untrained import built, dataset_settings

WGMM = ("model.prosody=wgmm", "model.prosody_size=8", "model.prosody_components=2")
KINDS = {
    "plain": (),
    "pitch_ar": ("model.pitch_ar=on",),
    "pitch_ar by phrase": ("model.pitch_ar=phrase",),
    "align search": ("model.align=search",),
    "wgmm": WGMM,
    "wgmm with pitch_ar": (*WGMM, "model.pitch_ar=phrase"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@thoroughly("kind", KINDS)
def test_resuming_is_exact_for_every_kind(workspace: Path, kind: str) -> None:
    whole = outcome(trained(workspace, *KINDS[kind], tag="whole"))
    cut = started(workspace, *KINDS[kind], tag="cut", again=True)
    watched(cut, stop_after=2)

    assert outcome(resumed(cut)) == whole


@thoroughly("kind", KINDS)
@pytest.mark.parametrize("options", [("train.accumulate=3",), ("train.batch_size=5",)])
def test_dev_scores_do_not_depend_on_batches(
    workspace: Path, kind: str, options: tuple[str, ...]
) -> None:
    """Before the first step both are the same model, so any difference would be the scoring's."""
    still = ("optim.max_lr_scale=1e-12", "train.seed=1")
    rows = [
        metrics(trained(workspace, *KINDS[kind], *still, *more, tag=tag, epochs=1).folder)[0]["dev"]
        for tag, more in (("one", ()), ("other", options))
    ]

    assert rows[1] == pytest.approx(rows[0], rel=1e-6, abs=1e-6)


@thoroughly("parent", KINDS)
@every_kind
def test_every_kind_fine_tunes_from_every_other(workspace: Path, kind: str, parent: str) -> None:
    started(workspace, *KINDS[parent], tag="parent")
    plain = ("model.prosody=none", "model.pitch_ar=off", "model.align=dtw")

    child = trained(workspace, *plain, *KINDS[kind], tag="child", pretrain="parent", epochs=1)

    told = child.record.parent
    assert told is not None
    assert told.loaded > 0
    new = {line.split(".")[0] for line in told.left if "the parent has none" in line}
    gone = {line.split(".")[0] for line in told.left if "only the parent has it" in line}
    assert ("prosody" in new) == ("wgmm" in kind and "wgmm" not in parent)
    assert ("prosody" in gone) == ("wgmm" in parent and "wgmm" not in kind)
    assert ("aligner" in new) == ("search" in kind and "search" not in parent)
    assert ("variance" in new) == ("pitch_ar" in kind and "pitch_ar" not in parent)


@thoroughly("reduction, method", [(2, "dio"), (1, "dio"), (4, "harvest")])
def test_frames_stacked_otherwise_and_other_f0_train_alike(
    workspace: Path, n2c_corpus: PairCorpus, reduction: int, method: str
) -> None:
    tables = {"align": {"reduction": reduction}, "features": {"f0_method": method}}
    split = {"dev": 2, "eval": 2}
    built(workspace, "R", dataset_settings(n2c_corpus, split=split, **tables))

    run = trained(workspace, f"model.reduction={reduction}", tag="r", spk="R", epochs=1)

    (row,) = metrics(run.folder)
    assert np.isfinite([*row["train"].values(), *row["dev"].values()]).all()
    version = open_version(workspace, "R")
    path = version.source_path(next(r for r in version.recordings if r.speaker == "N"))
    made = Converter.open(workspace, "r", device="cpu").convert(path)
    assert len(made.speech) % reduction == 0


@every_kind
def test_every_kind_converts(workspace: Path, kind: str) -> None:
    run = trained(workspace, *KINDS[kind], tag="one", epochs=1)
    version = open_version(workspace, "N2C")
    recording = next(each for each in version.recordings if each.speaker == "N")

    converter = Converter.of(open_run(workspace, "one"), run.checkpoint("last"), "cpu")
    made = converter.convert(version.source_path(recording))

    assert np.isfinite(made.samples).all()
    assert made.seconds > 0
    assert len(made.speech)


def test_a_temperature_needs_a_model_that_draws(workspace: Path) -> None:
    trained(workspace, tag="plain", epochs=1)
    trained(workspace, *WGMM, tag="wgmm", epochs=1)
    version = open_version(workspace, "N2C")
    path = version.source_path(next(r for r in version.recordings if r.speaker == "N"))
    warm = Draw(temperature=1.0, seed=1)

    with pytest.raises(BadSetting, match="run plain draws no prosody"):
        Converter.open(workspace, "plain", device="cpu").convert(path, draw=warm)
    converter = Converter.open(workspace, "wgmm", device="cpu")
    one, same = (converter.convert(path, draw=warm).speech.mel for _ in range(2))
    assert np.array_equal(one, same)

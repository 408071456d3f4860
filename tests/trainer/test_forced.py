"""Mels under teacher forcing are the target's in time, and what a vocoder can be trained on."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import training
from called import Command, refused
from corpuskit.errors import BadSetting, Refused, UnknownName
from corpuskit.versions import open_version
from synthetic import PairCorpus
from trainer import checkpoint, forced
from trainer.convert import model_of
from trainer.data import Normaliser, load
from trainer.errors import BadRun, SameRun
from trainer.runs import Run, metrics, open_run
from trainer.vocoder_data import load_sounds
from trainer.vocoder_learner import VocoderLearner
from trainer.vocoder_plan import load_vocoder, mels_for, plan_vocoder, start_vocoder
from trainer.vocoders.generator import samples_of
from trainer.vocoders.mel import MelSpectrum
from training import CPU, go, outcome, resumed
from untrained import built, dataset_settings, untrained_run
from vocoding import asked, started, trained


@pytest.fixture(scope="module")
def taught(n2c_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose run `model` has learnt for three epochs; not to be changed."""
    place = tmp_path_factory.mktemp("taught") / "workspace"
    shutil.copytree(n2c_workspace, place)
    training.trained(place, "train.save_every=1", tag="model", epochs=3)
    return place


@pytest.fixture
def workspace(taught: Path, tmp_path: Path) -> Path:
    """A workspace of the test's own with that run."""
    shutil.copytree(taught, tmp_path / "workspace")
    return tmp_path / "workspace"


MELS = "train.mels=model"


# ------------------------------------------------------------------------ mels


def test_they_are_what_the_decoder_makes_of_the_targets_timing_and_prosody(taught: Path) -> None:
    version, model = open_version(taught, "N2C"), open_run(taught, "model")
    pairs = version.split("train")
    teacher = forced.teacher_of(taught, "model@2")

    mels = forced.make(teacher, version, pairs, CPU)

    network = model_of(model, model.checkpoint("2")).eval()
    normaliser = Normaliser(model.statistics, version.settings.features.energy_gate)
    reduction = version.settings.align.reduction
    assert set(mels) == {pair.id for pair in pairs}
    for pair in pairs:
        read = load(version, [pair], normaliser, model.speakers, CPU)  # alone: nothing is padded
        with torch.no_grad():
            alone = network(read.packed.gather([0])).postnet[0].numpy()
        first, stop = pair.target.frames
        assert mels[pair.id].shape == ((stop - first) // reduction * reduction, 80)
        np.testing.assert_allclose(mels[pair.id], normaliser.target_mel(alone), atol=1e-4)


@pytest.mark.parametrize(
    "setting",
    ["model.align=search", "model.pitch_ar=on", "model.pitch_ar=phrase", "model.prosody=wgmm"],
)
def test_every_kind_of_model_makes_them(taught: Path, tmp_path: Path, setting: str) -> None:
    shutil.copytree(taught, tmp_path / "workspace")
    run = training.started(tmp_path / "workspace", setting)
    version = open_version(run.workspace, "N2C")
    teacher = forced.Teacher(run=run, place=run.checkpoint("last"), digest="")

    mels = forced.make(teacher, version, version.split("dev"), CPU)

    reduction = version.settings.align.reduction
    for pair in version.split("dev"):
        first, stop = pair.target.frames
        assert mels[pair.id].shape == ((stop - first) // reduction * reduction, 80)


def test_they_lie_on_the_recordings_frames(taught: Path) -> None:
    """A model that has hardly learnt follows the target's energy from frame to frame."""
    version = open_version(taught, "N2C")
    mels = forced.make(forced.teacher_of(taught, "model"), version, version.split("train"), CPU)

    def likeness(shift: int) -> float:
        """Correlate the loudness of mels with the recordings', so many frames later."""
        found = []
        for pair in version.split("train"):
            own = version.features(pair.target).mel.mean(axis=1)
            made = mels[pair.id].mean(axis=1)
            both = np.roll(own, shift)[30 : len(made) - 30], made[30:-30]
            found.append(float(np.corrcoef(*both)[0, 1]))
        return float(np.mean(found))

    shifts = [-12, -6, -3, 0, 3, 6, 12]
    assert max(shifts, key=likeness) == 0


def test_a_vocoder_is_given_them_with_the_targets_samples(taught: Path) -> None:
    version = open_version(taught, "N2C")
    pairs = (*version.split("train"), *version.split("dev"))
    mels = forced.make(forced.teacher_of(taught, "model"), version, pairs, CPU)

    given = load_sounds(version, (), CPU, 8, mels)
    usual = load_sounds(version, (), CPU, 8)

    for split, own in ((given.train, usual.train), (given.dev, usual.dev)):
        name = "train" if split is given.train else "dev"
        assert split.names == tuple(sorted(pair.id for pair in version.split(name)))
        for pair in version.split(name):
            here = split.rows_of(split.names.index(pair.id))
            there = own.rows_of(own.names.index(pair.target.recording))
            frames = len(mels[pair.id])
            np.testing.assert_array_equal(split.mel[here].numpy(), mels[pair.id])
            assert torch.equal(split.recorded[here], own.mel[there][:frames])
            assert torch.equal(split.samples[here], own.samples[there][:frames])


def test_mels_shorter_than_a_segment_are_followed_by_silence(taught: Path) -> None:
    version = open_version(taught, "N2C")
    pairs = (*version.split("train"), *version.split("dev"))
    mels = forced.make(forced.teacher_of(taught, "model"), version, pairs, CPU)

    train = load_sounds(version, (), CPU, 10_000, mels).train

    floor = np.float32(np.log(version.settings.features.mel_floor))
    for index, name in enumerate(train.names):
        rest = slice(int(train.first[index]) + len(mels[name]), int(train.first[index]) + 10_000)
        assert (train.mel[rest] == floor).all()
        assert not train.samples[rest].any()


# -------------------------------------------------------------------- a training


def test_going_on_is_the_same_as_never_having_stopped(workspace: Path) -> None:
    whole = outcome(trained(workspace, MELS, tag="whole"))
    cut = go(started(workspace, MELS, tag="cut", again=True), stop_after=2)
    shutil.rmtree(workspace / "runs" / "model")  # nothing of it is needed any more

    assert cut.status == "stopped"
    assert outcome(resumed(cut)) == whole


def test_it_speaks_better_and_better_through_the_models_mels(workspace: Path) -> None:
    run = trained(workspace, MELS, epochs=8)

    dev = [row["dev"]["mel"] for row in metrics(run.folder)]
    assert dev[-1] < 0.9 * dev[0]
    assert run.record.best_loss == min(dev)


def test_the_dev_loss_holds_what_it_makes_of_them_against_the_recordings(workspace: Path) -> None:
    run = trained(workspace, MELS, epochs=1)
    version = open_version(workspace, "N2C")
    mels = forced.read(run)
    assert mels is not None
    learner = VocoderLearner(run.vocoder_config, run.settings, CPU, "fp32")
    _, weights, tensors = checkpoint.load(checkpoint.last(run.checkpoints))
    learner.load(weights, tensors)
    spectrum = MelSpectrum(run.settings.features, 22050)

    errors = []
    for pair in version.split("dev"):
        mel = torch.from_numpy(mels[pair.id].copy())
        with torch.no_grad():
            made = samples_of(learner.generator, run.vocoder_config.generator, mel.T, 10_000)
        own = torch.from_numpy(version.features(pair.target).mel[: len(mel)].copy())
        errors.append((spectrum.whole(made[None])[0] - own.T).abs().mean(dim=0))

    (row,) = metrics(run.folder)
    assert row["dev"]["mel"] == pytest.approx(float(torch.cat(errors).mean()), rel=1e-4)


def test_whose_mels_they_are_is_kept(workspace: Path) -> None:
    teacher = forced.teacher_of(workspace, "model")

    run = started(workspace, MELS)

    kept = run.record.mels
    assert kept is not None
    assert (kept.tag, kept.epoch) == ("model", teacher.place.epoch)
    assert kept.digest == teacher.digest
    assert run.record.parts["mels"]["weights"] == kept.digest
    assert run.vocoder_config.train.mels == teacher.name
    assert open_run(workspace, run.tag, kind=None).record == run.record


def test_they_are_part_of_the_identity_by_their_weights(workspace: Path) -> None:
    usual = plan_vocoder(asked(workspace)).identity
    run = started(workspace, MELS)
    best = forced.teacher_of(workspace, "model").name
    other = next(f"model@{epoch}" for epoch in (1, 2, 3) if f"model@{epoch}" != best)

    with pytest.raises(SameRun):
        plan_vocoder(asked(workspace, f"train.mels={best}"))
    (workspace / "runs" / "model").rename(workspace / "runs" / "renamed")
    renamed = workspace / "runs" / "renamed" / "run.json"
    renamed.write_text(renamed.read_text().replace('"tag": "model"', '"tag": "renamed"'))
    with pytest.raises(SameRun):  # a name is none of what determines it
        plan_vocoder(asked(workspace, "train.mels=renamed"))
    identities = {
        plan_vocoder(asked(workspace, f"train.mels={other.replace('model', 'renamed')}")).identity,
        run.record.identity,
        usual,
    }
    assert len(identities) == 3


def test_recorded_mels_are_a_difference_that_is_told(workspace: Path) -> None:
    started(workspace)
    best = forced.teacher_of(workspace, "model").place.epoch

    told = plan_vocoder(asked(workspace, MELS)).notes

    assert told == (
        f"the mels of 12 pairs are those of run model at epoch {best}, made before it begins",
        f"differs from run N2C_1 only in: mels recorded -> those of run model at epoch {best}",
    )


def test_a_child_hears_recordings_unless_it_is_told_otherwise(workspace: Path) -> None:
    parent = trained(workspace, MELS, epochs=1)

    plain = plan_vocoder(asked(workspace, pretrain=parent.tag))
    told = plan_vocoder(asked(workspace, MELS, pretrain=parent.tag))

    assert (plain.teacher, plain.config.train.mels) == (None, "")
    assert mels_for(plain) is None
    assert told.teacher is not None
    child = go(start_vocoder(told, mels_for(told)))
    assert child.parent_tag == parent.tag
    assert child.record.mels is not None


def test_copies_are_of_what_it_learns_from(workspace: Path) -> None:
    run = trained(workspace, MELS, "train.samples=1", "train.save_every=1", epochs=1)

    (pair,) = open_version(workspace, "N2C").split("dev")[:1]
    mels = forced.read(run)
    assert mels is not None
    name = f"{pair.sentence}.{pair.target.speaker}"
    with np.load(run.folder / "samples" / "epoch-0001" / f"{name}.npz") as sample:
        assert len(sample["mel"]) == len(mels[pair.id])


def test_dev_sentences_the_model_knows_are_left_out(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split={"dev": 7, "eval": 2}))

    made = plan_vocoder(asked(workspace, MELS, spk="N2C_2"))

    assert len(made.left_out) == 5  # two of seven were held out from the model, too
    assert any("model of train.mels" in note for note in made.notes)
    assert len(load_vocoder(made, mels_for(made)).dev) == 2


# --------------------------------------------------------------------- refusals


def test_names_that_name_no_trained_model_are_refused(workspace: Path) -> None:
    started(workspace, tag="vocoder")
    untrained_run(workspace, "N2C", tag="fresh")

    with pytest.raises(UnknownName, match=r"modle.*model"):
        plan_vocoder(asked(workspace, "train.mels=modle"))
    with pytest.raises(Refused, match="run vocoder is a vocoder, no conversion model"):
        plan_vocoder(asked(workspace, "train.mels=vocoder"))
    with pytest.raises(Refused, match="run fresh has not finished an epoch"):
        plan_vocoder(asked(workspace, "train.mels=fresh"))


def test_a_model_of_other_mels_is_refused(workspace: Path, n2c_corpus: PairCorpus) -> None:
    other = dataset_settings(n2c_corpus, split={"dev": 2, "eval": 2}, features={"fmax": 7600.0})
    built(workspace, "N2C_2", other)

    with pytest.raises(BadSetting, match=r"run model was trained on other mels: fmax 8000") as told:
        plan_vocoder(asked(workspace, MELS, spk="N2C_2"))
    assert told.value.remedy is not None
    assert "vocoder" not in told.value.remedy


def test_a_model_of_other_steps_is_refused(workspace: Path, n2c_corpus: PairCorpus) -> None:
    other = dataset_settings(n2c_corpus, split={"dev": 2, "eval": 2}, align={"reduction": 2})
    built(workspace, "N2C_2", other)

    with pytest.raises(BadSetting, match=r"makes 3 frames at once, dataset N2C_2 is aligned for 2"):
        plan_vocoder(asked(workspace, MELS, spk="N2C_2"))


def test_a_model_of_other_voices_is_refused(workspace: Path, n2c_corpus: PairCorpus) -> None:
    corpora = {"demo": {"root": str(n2c_corpus.root), "speakers": {"A": "source", "C": "target"}}}
    pairs = [{"source": "A", "target": "C"}]
    other = dataset_settings(n2c_corpus, split={"dev": 2, "eval": 2}, corpora=corpora, pairs=pairs)
    built(workspace, "N2C_2", other)

    with pytest.raises(BadSetting, match=r"run model does not know A of dataset N2C_2"):
        plan_vocoder(asked(workspace, MELS, spk="N2C_2"))


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_kept_mels_that_are_damaged_are_not_trained_on(workspace: Path, harm: str) -> None:
    run = started(workspace, MELS)
    path = run.folder / forced.FILE
    data = bytearray(path.read_bytes())
    path.unlink()
    if harm == "changed":
        data[-1] ^= 1
        path.write_bytes(data)

    with pytest.raises(BadRun, match=r"mels.safetensors (cannot be read|is damaged)"):
        forced.read(run)


def test_numbers_that_are_none_are_told(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: Run, place: checkpoint.Checkpoint) -> torch.nn.Module:
        model = model_of(run, place)
        torch.nn.init.constant_(next(model.postnet.parameters()), float("nan"))
        return model

    monkeypatch.setattr(forced, "model_of", broken)
    with pytest.raises(BadRun, match=r"run model@\d gives values that are no numbers for pair"):
        mels_for(plan_vocoder(asked(workspace, MELS)))


# --------------------------------------------------------------------- commands


def test_the_option_says_whose(command: Command, workspace: Path) -> None:
    settings = [word for each in asked(workspace).settings for word in ("--set", each)]
    words = ("vocoder", "run", "--spk", "N2C", "--epochs", "1", *settings, "--mels", "model@2")

    made = command(*words)
    shown = command("show", "N2C_1")
    diary = command("memo")

    assert made.exit_code == 0, made
    told = "on the mels of run model, epoch 2, under teacher forcing"
    assert told in made.stdout
    assert told in shown.stdout
    assert "mels: model(2epoch)" in diary.stdout
    assert "run model keeps no checkpoint of epoch 9" in refused(command(*words[:-1], "model@9"))


def test_a_record_without_mels_reads_as_before(workspace: Path) -> None:
    run = started(workspace)
    path = run.folder / "run.json"
    text = path.read_text()
    assert '"mels": null' in text
    kept = dataclasses.replace(run.record)
    path.write_text(text.replace('"mels": null,', "", 1))

    assert open_run(workspace, run.tag, kind=None).record == kept

"""What a vocoder run is, what it comes from, and what is refused before it is made."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from called import Command, refused
from corpuskit.errors import BadSetting, CorpuskitError, Refused, UnknownName
from hifigans import SMALL, published
from synthetic import PairCorpus
from trainer import checkpoint
from trainer.errors import SameRun
from trainer.plan import Request, plan
from trainer.runs import VOCODER, open_run
from trainer.vocoder_plan import plan_vocoder, start_vocoder
from trainer.vocoder_runs import vocoder_named
from trainer.vocoders.config import VocoderConfig
from trainer.vocoders.speech import Speech
from untrained import built, dataset_settings, untrained_run
from vocoding import asked, started, trained


def test_a_run_says_what_it_is(workspace: Path) -> None:
    record = started(workspace).record

    assert record.tag == "N2C_1"
    assert (record.kind, record.best_by) == (VOCODER, "mel")
    assert record.statistics.choice == "none"
    assert record.dataset.pairs == {"train": 10, "dev": 2, "eval": 2}
    assert record.parent is None


def test_the_same_training_is_refused_by_name(workspace: Path) -> None:
    started(workspace)

    with pytest.raises(SameRun) as same:
        plan_vocoder(asked(workspace))
    assert same.value.tag == "N2C_1"
    with pytest.raises(SameRun):
        plan_vocoder(asked(workspace, epochs=9))  # how long changes no step
    assert plan_vocoder(asked(workspace, "train.seed=1")).identity


def test_a_training_that_nearly_exists_is_pointed_out(workspace: Path) -> None:
    untrained_run(workspace, "N2C", tag="model")
    started(workspace)

    (note,) = plan_vocoder(asked(workspace, "optim.lr=1e-4", "train.seed=1")).notes

    assert note == "differs from run N2C_1 only in: optim.lr 0.002 -> 0.0001; train.seed 0 -> 1"
    assert not any(
        "differs" in each for each in plan(Request(workspace=workspace, spk="N2C")).notes
    )


@pytest.mark.parametrize(
    "setting",
    [
        "generator.upsample_initial_channel=32",
        "discriminators.narrow=16",
        "optim.lr=1e-4",
        "optim.mel_fmax=8000",
        "train.segment=4096",
        "train.precision=bf16",
    ],
)
def test_what_changes_weights_is_part_of_the_identity(workspace: Path, setting: str) -> None:
    assert (
        plan_vocoder(asked(workspace)).identity != plan_vocoder(asked(workspace, setting)).identity
    )


def test_its_defaults_are_the_papers() -> None:
    config = VocoderConfig()

    assert config.optim.betas == (0.8, 0.99)
    assert (config.optim.lr, config.optim.decay) == (2e-4, 0.999)
    assert (config.optim.mel_weight, config.optim.feature_weight) == (45, 2)
    assert (config.train.segment, config.train.batch_size) == (8192, 16)
    assert config.discriminators.periods == (2, 3, 5, 7, 11)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "millions"), [("hifigan_v1", 13.93), ("hifigan_v2", 0.93), ("hifigan_v3", 1.46)]
)
def test_settings_files_are_the_papers_versions(
    workspace: Path, name: str, millions: float
) -> None:
    file = Path(__file__).resolve().parents[2] / "configs" / "vocoders" / f"{name}.toml"
    request = Request(workspace=workspace, spk="N2C", device="cpu", model=str(file))

    run = start_vocoder(plan_vocoder(request))

    assert run.record.parameters / 1e6 == pytest.approx(millions, abs=0.005)


# ---------------------------------------------------------------- fine-tuning


def test_a_child_begins_as_its_parent_ended(workspace: Path) -> None:
    parent = trained(workspace, epochs=1)

    child = start_vocoder(plan_vocoder(asked(workspace, pretrain=parent.tag)))

    state, weights, tensors = checkpoint.load(checkpoint.last(parent.checkpoints))
    begun, same, judges = checkpoint.load(checkpoint.last(child.checkpoints))
    assert all(torch.equal(weights[name], value) for name, value in same.items())
    assert all(torch.equal(tensors[name], value) for name, value in judges.items())
    assert not any(name.startswith(checkpoint.OPTIMISER) for name in judges)
    assert (begun.epoch, begun.step) == (0, 0)
    assert child.record.parent is not None
    assert (child.record.parent.tag, child.record.parent.epoch) == (parent.tag, state.epoch)
    assert child.record.parent.digest == state.digests["weights.safetensors"]
    assert child.vocoder_config.generator == parent.vocoder_config.generator


def test_a_child_of_other_sizes_is_refused(workspace: Path) -> None:
    parent = started(workspace)
    settings = ("generator.upsample_initial_channel=32",)

    with pytest.raises(Refused, match=r"upsample_initial_channel is 32, that of run N2C_1 is 16"):
        plan_vocoder(asked(workspace, *settings, pretrain=parent.tag))


def test_a_child_on_other_mels_is_refused(workspace: Path, n2c_corpus: PairCorpus) -> None:
    parent = started(workspace)
    other = dataset_settings(n2c_corpus, split={"dev": 2, "eval": 2}, features={"fmax": 7600.0})
    built(workspace, "N2C_2", other)

    with pytest.raises(BadSetting, match=r"run N2C_1 was trained on other mels: fmax 8000"):
        plan_vocoder(asked(workspace, spk="N2C_2", pretrain=parent.tag))


def test_its_dev_split_leaves_out_what_the_parent_heard(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    parent = started(workspace)
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split={"dev": 7, "eval": 2}))

    made = plan_vocoder(asked(workspace, spk="N2C_2", pretrain=parent.tag))

    assert len(made.left_out) == 5  # two of seven were held out before
    assert any("leak" in note for note in made.notes)


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["generator.num_mels=64"], "generator.num_mels is 64, dataset N2C has 80"),
        (["generator.upsample_rates=[8, 8, 8]"], "multiply to 512"),
        (["train.segment=2000"], "train.segment is 2000, no multiple"),
        (["train.segment=512"], "train.segment is 512, shorter than"),
        (
            ["train.segment=8192000"],
            r"train.segment is 8,192,000 samples \(371.5 s\), more than the",
        ),
        (["optim.mel_fmax=20000"], "optim.mel_fmax is 20000 Hz, above half"),
        (["optim.decay=1.5"], "optim.decay is 1.5"),
        (["discriminators.narrow=3"], "discriminators.narrow is 3"),
        (["discriminators.periods=[]"], r"discriminators.periods are \[\]"),
        (["train.batch_sise=3"], "batch_size"),
    ],
)
def test_settings_that_cannot_be_trained_are_refused(
    workspace: Path, settings: list[str], told: str
) -> None:
    with pytest.raises(BadSetting, match=told):
        plan_vocoder(asked(workspace, *settings))


def test_a_conversion_model_is_no_parent_of_a_vocoder(workspace: Path) -> None:
    model = untrained_run(workspace, "N2C")

    with pytest.raises(Refused, match=r"is a conversion model, no vocoder"):
        plan_vocoder(asked(workspace, pretrain=model.tag))


def test_what_goes_on_as_a_vocoder_must_be_one(workspace: Path, command: Command) -> None:
    untrained_run(workspace, "N2C", tag="model")

    assert "run model is a conversion model" in refused(command("vocoder", "resume", "model"))
    assert "no run 'modle'" in refused(command("vocoder", "resume", "modle"))


def test_a_vocoder_is_no_conversion_model(workspace: Path, command: Command) -> None:
    started(workspace)
    told = "run N2C_1 is a vocoder, no conversion model"

    for words in (
        ("run", "--spk", "N2C", "--pretrain", "N2C_1"),
        ("run", "--spk", "N2C", "--like", "N2C_1"),
        ("convert", "N2C_1", "in.wav", "out.wav"),
        ("evaluate", "N2C_1"),
        ("diff", "N2C_1", "N2C_1"),
        ("lr", "N2C_1"),
        ("report", "N2C_1"),
        ("rerun", "N2C_1", "--spk", "N2C"),
        ("reproduce", "N2C_1"),
    ):
        (workspace.parent / "in.wav").touch()
        assert told in refused(command(*words)), words


# ------------------------------------------------------------------ being named


def test_a_tag_names_a_vocoder(workspace: Path) -> None:
    run = trained(workspace, "train.save_every=1", epochs=2)
    settings = run.settings

    def named(name: str) -> str:
        return vocoder_named(workspace, name, settings.features, settings.audio.rate).name

    assert named(run.tag).startswith("hifigan-")
    assert named(f"{run.tag}@1") != named(f"{run.tag}@2")
    assert named(run.tag) == named(f"{run.tag}@{run.record.best_epoch}")
    with pytest.raises(CorpuskitError, match=r"keeps no checkpoint of epoch 7"):
        named(f"{run.tag}@7")
    with pytest.raises(UnknownName, match=run.tag):
        named(f"{run.tag}0")


def test_another_process_finds_it_by_its_tag(workspace: Path) -> None:
    run = started(workspace)
    vocoder = vocoder_named(workspace, run.tag, run.settings.features, 22050)
    mel = np.random.default_rng(0).normal(-4, 2, (20, 80)).astype(np.float32)
    given = Speech(mel=mel, f0=np.zeros(20, dtype=np.float32))

    sent = pickle.dumps(vocoder)

    assert len(sent) < 2000
    np.testing.assert_array_equal(pickle.loads(sent)(given), vocoder(given))


def test_a_tag_of_other_mels_or_another_kind_is_no_vocoder(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    started(workspace, tag="mine")
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, features={"fmax": 7600.0}))

    request = Request(
        workspace=workspace, spk="N2C_2", device="cpu", settings=("train.vocoder=mine",)
    )

    with pytest.raises(BadSetting, match=r"vocoder run mine was trained on other mels"):
        plan(request)
    model = untrained_run(workspace, "N2C_2", tag="other")
    with pytest.raises(Refused, match=r"is a conversion model"):
        vocoder_named(workspace, model.tag, model.settings.features, 22050)


# ------------------------------------------------------------------- commands


def test_it_is_trained_listed_shown_and_heard(
    command: Command, workspace: Path, n2c_corpus: PairCorpus, tmp_path: Path
) -> None:
    file = Path(__file__).resolve().parents[2] / "configs" / "vocoders" / "tiny.toml"
    model = untrained_run(workspace, "N2C")
    recording = str(sorted((n2c_corpus.root / "source").glob("*.wav"))[0])
    quick = ("--set", "train.segment=2048")

    made = command("vocoder", "run", "--spk", "N2C", "--model", str(file), "--epochs", "1", *quick)
    more = command("vocoder", "resume", "N2C_2", "--epochs", "2")
    listed = command("list", "--only", "kind=vocoder")
    shown = command("show", "N2C_2")
    noted = command("note", "N2C_2", "buzzes", "--bad")
    heard = command("convert", model.tag, recording, str(tmp_path / "o.wav"), "--vocoder", "N2C_2")
    scored = command("evaluate", model.tag, "--vocoder", "N2C_2")
    diary = command("memo")

    done = (made, more, listed, shown, noted, heard, scored, diary)
    assert [each.exit_code for each in done] == [0] * 8, done
    assert "vocoder hifigan" in made.stdout
    assert "dev mel" in made.stdout
    assert "Trained run N2C_2: 2 epochs" in more.stdout
    assert "vocoder hifigan" in listed.stdout
    assert "N2C_1" not in listed.stdout
    assert "generator.upsample_initial_channel = 32" in shown.stdout
    run = open_run(workspace, "N2C_2", VOCODER)
    name = vocoder_named(workspace, "N2C_2", run.settings.features, 22050).name
    assert f"vocoder {name}" in heard.stdout
    assert name in scored.stdout
    assert "vocoder hifigan" in diary.stdout


def test_a_checkpoint_without_a_run_is_a_vocoder_but_no_parent(
    workspace: Path, tmp_path: Path
) -> None:
    path = published(tmp_path, SMALL)

    with pytest.raises(CorpuskitError, match="hifigan"):
        plan_vocoder(asked(workspace, pretrain=f"hifigan:{path}"))

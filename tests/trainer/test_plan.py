"""From options to a plan: where settings come from, and what is refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpuskit.errors import BadSetting, BadVersion, CorpuskitError, Refused
from synthetic import PairCorpus
from trainer.errors import SameRun
from trainer.plan import Plan, Request, plan
from trainer.start import start
from training import TINY, asked, started, trained
from untrained import built, dataset_settings


def planned(workspace: Path, *settings: str, **options: object) -> Plan:
    return plan(asked(workspace, *settings, **options))


@pytest.fixture
def model_file(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text("[model]\nwidth = 48\n[optim]\nwarm_up = 30\n[train]\nseed = 9\nepochs = 3\n")
    return str(path)


# -------------------------------------------------------------------- settings


def test_without_anything_the_defaults_are_trained(workspace: Path) -> None:
    made = plan(asked(workspace, epochs=None).__class__(workspace=workspace, spk="N2C"))

    assert made.config.model.width == 256
    assert made.config.train.epochs == 50
    assert made.precision == "fp32"
    assert made.statistics == made.version.statistics


def test_a_model_file_is_laid_under_the_options(workspace: Path, model_file: str) -> None:
    made = planned(workspace, "model.width=64", model=model_file, epochs=None)

    assert made.config.model.width == 64
    assert made.config.train.seed == 9
    assert made.config.train.epochs == 3


def test_like_takes_a_runs_settings_whole(workspace: Path) -> None:
    started(workspace, "train.seed=5", epochs=7)

    made = plan(
        asked(workspace).__class__(
            workspace=workspace, spk="N2C", like="N2C_1", settings=("train.seed=6",)
        )
    )

    assert made.config.train.seed == 6
    assert made.config.train.epochs == 7
    assert made.config.model.width == 16
    assert made.ancestor is None


def test_a_fine_tuning_takes_the_parents_settings_but_its_cadence(workspace: Path) -> None:
    cadence = ("train.save_every=3", "train.patience=4")
    started(workspace, "train.seed=5", *cadence, "train.statistics=own", epochs=7)

    made = plan(asked(workspace).__class__(workspace=workspace, spk="N2C", pretrain="N2C_1"))

    assert made.config.model.width == 16
    assert made.config.optim.warm_up == 20
    assert made.config.train.seed == 5
    assert (made.config.train.epochs, made.config.train.save_every) == (50, 10)
    assert made.config.train.patience == 0
    assert made.config.train.statistics == "auto"


def test_a_model_file_wins_over_the_parents_settings(workspace: Path, model_file: str) -> None:
    started(workspace)

    made = plan(
        asked(workspace).__class__(
            workspace=workspace, spk="N2C", pretrain="N2C_1", model=model_file
        )
    )

    assert (made.config.model.width, made.config.optim.warm_up) == (48, 30)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "x", "like": "N2C_1"}, "--model and --like both"),
        ({"keep_optim": True}, "--keep-optim keeps a parent's optimiser; name it with --pretrain"),
        ({"tag": "../N2C_9"}, "is not a run name"),
        ({"spk": "../N2C"}, "is not a dataset name"),
        ({"spk": "N2D"}, "no dataset 'N2D'; did you mean N2C"),
        ({"pretrain": "N2C_9"}, "no run 'N2C_9'"),
        ({"like": "N2C_9"}, "no run 'N2C_9'"),
        ({"device": "tpu"}, "auto, cpu or cuda"),
        ({"precision": "fp8"}, "train.precision is 'fp8'"),
        ({"epochs": 0}, "train.epochs is 0"),
    ],
)
def test_wrong_options_are_refused(workspace: Path, options: dict[str, object], told: str) -> None:
    with pytest.raises(CorpuskitError) as raised:
        planned(workspace, **options)

    assert told in str(raised.value)
    assert not (workspace / "runs").exists()


def test_parts_are_frozen_of_a_parent_only(workspace: Path) -> None:
    with pytest.raises(CorpuskitError, match=r"but there is no parent; use --pretrain"):
        planned(workspace, "train.freeze=['encoder']")
    parent = started(workspace)

    frozen = plan(asked(workspace, "train.freeze=['encoder']", pretrain=parent.tag))

    assert frozen.config.train.freeze == ("encoder",)
    with pytest.raises(CorpuskitError, match=r"no part|does not have"):
        start(plan(asked(workspace, "train.freeze=['decodr']", pretrain=parent.tag)))


def test_frozen_parts_are_not_inherited_and_do_not_keep_an_optimiser(workspace: Path) -> None:
    parent = started(workspace)
    child = started(workspace, "train.freeze=['encoder']", pretrain=parent.tag)

    grandchild = plan(Request(workspace=workspace, spk="N2C", pretrain=child.tag))

    assert grandchild.config.train.freeze == ()
    with pytest.raises(CorpuskitError, match=r"train.freeze is empty, the parent's encoder"):
        plan(Request(workspace=workspace, spk="N2C", pretrain=child.tag, keep_optim=True))


def test_a_learning_rate_beyond_its_limit_is_refused_by_its_settings(workspace: Path) -> None:
    """The lab's N2C_9: 250 steps of warm-up, no cap, 3.95e-3."""
    with pytest.raises(BadSetting) as raised:
        planned(workspace, "optim.warm_up=250", "optim.max_lr_scale=0")

    told = str(raised.value)
    assert "would peak at 3.95e-03 at step 250, above optim.lr_limit 2.00e-03" in told
    assert "optim.warm_up" in told
    assert "optim.max_lr_scale" in told
    planned(workspace, "optim.warm_up=250", "optim.max_lr_scale=0", "optim.lr_limit=4e-3")


def test_a_model_of_other_frames_is_refused(workspace: Path) -> None:
    with pytest.raises(BadSetting, match=r"--set model.reduction=3"):
        planned(workspace, "model.reduction=2")


@pytest.mark.parametrize("split", ["dev", "train"])
def test_an_empty_split_is_refused(workspace: Path, n2c_corpus: PairCorpus, split: str) -> None:
    counts = {"dev": 0, "eval": 2} if split == "dev" else {"dev": 12, "eval": 2}
    try:
        built(workspace, "E", dataset_settings(n2c_corpus, split=counts))
    except CorpuskitError:  # corpuskit refuses to build a version without training pairs itself
        assert split == "train"
        return

    with pytest.raises(BadSetting, match=f"dataset E has no {split} pairs"):
        planned(workspace, spk="E")


def test_a_damaged_version_is_refused(workspace: Path) -> None:
    path = workspace / "versions" / "N2C" / "version.json"
    path.write_text(path.read_text().replace("N2C", "N2D", 1))

    with pytest.raises(BadVersion):
        planned(workspace)


# -------------------------------------------------------------------- identity


def test_the_same_training_is_refused_before_anything_is_made(workspace: Path) -> None:
    trained(workspace)

    with pytest.raises(SameRun, match=r"this is run N2C_1 \(finished after epoch 2"):
        planned(workspace)
    with pytest.raises(SameRun, match="trainer resume N2C_1 --epochs 9"):
        planned(workspace, epochs=9)
    assert planned(workspace, again=True)


@pytest.mark.parametrize(
    "setting", ["train.epochs=9", "train.save_every=1", "train.samples=1", "train.statistics=own"]
)
def test_what_changes_no_weight_changes_no_identity(workspace: Path, setting: str) -> None:
    first = planned(workspace, epochs=None)

    assert planned(workspace, setting, epochs=None).identity == first.identity


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        (("train.seed=1",), {}),
        (("model.dropout=0.1",), {}),
        (("optim.clip=2",), {}),
        ((), {"precision": "bf16"}),
    ],
)
def test_what_changes_weights_changes_the_identity(
    workspace: Path, settings: tuple[str, ...], options: dict[str, object]
) -> None:
    assert planned(workspace, *settings, **options).identity != planned(workspace).identity


def test_an_explicit_precision_is_the_same_as_the_default_that_is_equal(workspace: Path) -> None:
    assert planned(workspace, precision="fp32").identity == planned(workspace).identity


def test_the_parent_and_what_is_taken_of_it_change_the_identity(workspace: Path) -> None:
    trained(workspace, "train.save_every=1")
    identities = {
        planned(workspace, **options).identity
        for options in (
            {"again": True},
            {"pretrain": "N2C_1@1"},
            {"pretrain": "N2C_1@2"},
            {"pretrain": "N2C_1@2", "keep_optim": True},
        )
    }

    assert len(identities) == 4


def test_another_dataset_is_another_identity(workspace: Path, n2c_corpus: PairCorpus) -> None:
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split={"dev": 3, "eval": 2}))

    assert planned(workspace, spk="N2C_2").identity != planned(workspace).identity


# ----------------------------------------------------------- parent and leaks


def test_the_parents_statistics_are_the_default_of_a_fine_tuning(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    parent = started(workspace)
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split={"dev": 3, "eval": 2}))

    made = planned(workspace, spk="N2C_2", pretrain="N2C_1")
    own = planned(workspace, "train.statistics=own", spk="N2C_2", pretrain="N2C_1")

    assert made.statistics == parent.statistics != own.statistics
    assert (made.statistics_part.choice, made.statistics_part.dataset) == ("parent", "N2C")
    assert (own.statistics_part.choice, own.statistics_part.dataset) == ("own", "N2C_2")
    assert made.identity != own.identity


def test_without_a_parent_its_statistics_cannot_be_used(workspace: Path) -> None:
    with pytest.raises(BadSetting, match="there is no parent; use --pretrain"):
        planned(workspace, "train.statistics=parent")


def test_an_epoch_that_was_not_kept_is_refused(workspace: Path) -> None:
    trained(workspace)

    with pytest.raises(CorpuskitError, match="keeps no checkpoint of epoch 100"):
        planned(workspace, pretrain="N2C_1@100")


def test_sentences_the_parent_knows_are_left_out_and_named(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    parent = started(workspace)
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split={"dev": 5, "eval": 2}))

    made = planned(workspace, spk="N2C_2", pretrain="N2C_1")

    known = {pair.sentence for pair in planned(workspace, again=True).version.split("train")}
    dev = {pair.sentence for pair in made.version.split("dev")}
    assert set(made.leaks.sentences) == dev & known
    assert len(made.leaks.pairs) == 3
    note = next(note for note in made.notes if note.startswith("leak:"))
    assert "3 dev and 0 eval pairs" in note
    assert all(sentence in note for sentence in made.leaks.sentences)
    kept = planned(workspace, spk="N2C_2", pretrain=parent.tag, keep_leaks=True)
    assert kept.identity != made.identity
    assert any("--keep-leaks" in note for note in kept.notes)


def test_the_same_sentence_in_another_voice_is_only_counted(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    started(workspace)
    settings = dataset_settings(
        n2c_corpus,
        corpora={
            "other": {
                "root": str(n2c_corpus.root),
                "speakers": {"X": "source", "Y": "target"},
            }
        },
        pairs=[{"source": "X", "target": "Y"}],
        split={"dev": 5, "eval": 2},
    )
    built(workspace, "XY", settings)

    made = planned(workspace, spk="XY", pretrain="N2C_1")

    assert made.leaks.pairs == ()
    assert len(made.leaks.other_voice) == 3
    assert any(note.startswith("3 dev and eval pairs say sentences") for note in made.notes)


def test_a_dev_split_the_parent_knows_whole_is_refused(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    from trainer.lineage import heard_in, write_heard

    parent = started(workspace)
    version = planned(workspace, again=True).version
    write_heard(parent.folder, heard_in(version.pairs))

    with pytest.raises(Refused, match=r"every dev sentence of dataset N2C.*--keep-leaks"):
        planned(workspace, pretrain=parent.tag)


def test_other_features_than_the_parents_are_pointed_out(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    started(workspace)
    settings = dataset_settings(n2c_corpus, split={"dev": 2, "eval": 2}, features={"fmax": 7000.0})
    built(workspace, "N2C_2", settings)

    made = planned(workspace, spk="N2C_2", pretrain="N2C_1")

    assert any(
        "features.fmax is 7000.0, but the parent's dataset had 8000.0" in note
        for note in made.notes
    )


def test_other_bands_than_the_parents_need_own_statistics(
    workspace: Path, n2c_corpus: PairCorpus
) -> None:
    started(workspace)
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, features={"mels": 40}))
    forty = ("model.mels=40",)

    with pytest.raises(BadSetting, match=r"--set train.statistics=own"):
        planned(workspace, *forty, spk="N2C_2", pretrain="N2C_1")
    assert planned(workspace, *forty, "train.statistics=own", spk="N2C_2", pretrain="N2C_1")


# ----------------------------------------------------------------------- notes


def test_a_run_that_differs_in_little_is_pointed_out(workspace: Path) -> None:
    started(workspace)

    made = planned(workspace, "optim.warm_up=30")

    assert made.notes[-1] == "differs from run N2C_1 only in: optim.warm_up 20 -> 30"
    four = ("optim.warm_up=30", "train.seed=1", "model.dropout=0.1", "train.group_size=4")
    assert planned(workspace, *four).notes == ()


def test_a_training_that_ends_before_its_peak_is_pointed_out(workspace: Path) -> None:
    made = planned(workspace, "optim.warm_up=4000", epochs=3)

    assert made.notes[0].startswith(
        "the training ends at step 12, before the learning rate peaks (9.88e-04 at step 4,000)"
    )


def test_the_tiny_settings_are_a_plan_without_remarks(workspace: Path) -> None:
    assert planned(workspace, *TINY, epochs=20).notes == ()

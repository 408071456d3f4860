"""Starting from a parent: by name, by shape, by speaker; and what does not fit is told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from corpuskit.errors import Refused
from trainer.config import ModelConfig
from trainer.finetune import SPEAKER_TABLES, Transfer, check_optimiser, transfer
from trainer.model import FS2VC

SIZES = {
    "width": 16,
    "attention_dim": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "variance_channels": 16,
    "postnet_channels": 16,
}
TABLE = SPEAKER_TABLES[0]


def weights(seed: int, speakers: int = 2, **sizes: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return FS2VC(ModelConfig(**{**SIZES, **sizes}), speakers).state_dict()  # type: ignore[arg-type]


def test_the_speaker_tables_are_the_models_embeddings() -> None:
    model = FS2VC(ModelConfig(**SIZES), 3)  # type: ignore[arg-type]

    tables = {
        f"{name}.weight" for name, each in model.named_modules() if isinstance(each, nn.Embedding)
    }
    assert tables == set(SPEAKER_TABLES)
    assert all(model.state_dict()[name].shape == (3, 16) for name in tables)


def test_an_equal_model_is_taken_over_whole() -> None:
    parent = weights(1)

    made, report = transfer(weights(2), parent, ["C", "N"], ["C", "N"])

    assert all(torch.equal(made[name], parent[name]) for name in parent)
    assert set(report.loaded) == set(parent)
    assert report.left() == ()


def test_speakers_keep_their_rows_and_new_ones_start_from_the_mean() -> None:
    parent = weights(1, speakers=3)

    made, report = transfer(weights(2, speakers=3), parent, ["A", "C", "Z"], ["C", "B", "A"])

    for table in SPEAKER_TABLES:
        theirs = parent[table]
        assert torch.equal(made[table][0], theirs[2])
        assert torch.equal(made[table][1], theirs[0])
        torch.testing.assert_close(made[table][2], theirs.sum(0) / 3)
    assert report.new_speakers == ("Z",)
    assert "speaker Z: new, starts from the mean of the parent's speakers" in report.left()


def test_what_does_not_fit_is_told_with_both_shapes() -> None:
    parent, ours = weights(1), weights(2, encoder_layers=2, variance_channels=8)

    made, report = transfer(ours, parent, ["C", "N"], ["C", "N"])

    misfits = {name: (theirs, mine) for name, theirs, mine in report.misfits}
    assert misfits
    for name, (theirs, mine) in misfits.items():
        assert theirs == tuple(parent[name].shape) != mine == tuple(ours[name].shape)
        assert torch.equal(made[name], ours[name])
    assert report.new
    assert all(name not in parent for name in report.new)
    assert set(made) == set(ours)
    assert set(report.loaded) | set(misfits) | set(report.new) == set(ours)
    first = next(iter(misfits))
    shape = "x".join(map(str, parent[first].shape))
    assert any(line.startswith(f"{first}: the parent's is {shape},") for line in report.left())


def test_what_only_the_parent_has_is_told() -> None:
    parent = weights(1, encoder_layers=2)

    _, report = transfer(weights(2), parent, ["C", "N"], ["C", "N"])

    assert report.unused
    assert f"{report.unused[0]}: only the parent has it" in report.left()


def test_another_width_leaves_the_tables_as_they_are() -> None:
    parent, ours = weights(1), weights(2, width=32)

    made, report = transfer(ours, parent, ["C", "N"], ["C", "N"])

    assert torch.equal(made[TABLE], ours[TABLE])
    assert TABLE in {name for name, _, _ in report.misfits}


def test_the_parents_tensors_are_not_shared() -> None:
    parent = weights(1)
    before = parent["mel_in.weight"].clone()

    made, _ = transfer(weights(2), parent, ["C", "N"], ["C", "N"])
    made["mel_in.weight"].zero_()

    assert torch.equal(parent["mel_in.weight"], before)


FITS = Transfer(loaded=("a",), misfits=(), new=(), unused=(), new_speakers=())


def test_the_optimiser_can_be_kept_where_everything_fits() -> None:
    check_optimiser(FITS, ["C", "N"], ["C", "N"])


@pytest.mark.parametrize(
    ("report", "speakers", "told"),
    [
        ({"misfits": (("a.weight", (2, 3), (2, 4)),)}, "CN", r"a.weight \(2x3 -> 2x4\)"),
        ({"new": ("b.bias",)}, "CN", "are not in the parent's optimiser, e.g. b.bias"),
        ({"unused": ("c.bias",)}, "CN", "are not in this model, e.g. c.bias"),
        ({}, "CX", r"the speakers differ \(parent: C, N; this dataset: C, X\)"),
    ],
)
def test_an_optimiser_of_other_parameters_is_refused(
    report: dict[str, tuple[str, ...]], speakers: str, told: str
) -> None:
    parts = {"loaded": (), "misfits": (), "new": (), "unused": (), "new_speakers": (), **report}

    with pytest.raises(Refused, match=told) as raised:
        check_optimiser(Transfer(**parts), list(speakers), ["C", "N"])  # type: ignore[arg-type]

    assert "--reset-optim" in str(raised.value)

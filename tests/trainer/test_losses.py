"""Losses against a loop over real frames; means that no batching can change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from noise import SMALL, noise_set, widened
from trainer.batches import Batch, PackedSet, epoch_order
from trainer.config import ModelConfig
from trainer.losses import (
    NAMES,
    TOTAL,
    Accumulator,
    batch_loss,
    reported_weights,
    shares,
    sums,
    total,
    weights_of,
)
from trainer.model import FS2VC, Outputs

FRAMES = [(12, 17), (31, 9), (7, 24), (21, 21), (3, 3), (40, 33), (16, 40), (9, 10), (27, 30)]
ALL = {*NAMES, TOTAL}


@pytest.fixture
def model() -> FS2VC:
    torch.manual_seed(0)
    return FS2VC(SMALL, speakers=2).eval()


@pytest.fixture
def data() -> PackedSet:
    return noise_set(FRAMES)


def slow_means(outputs: Outputs, batch: Batch) -> dict[str, float]:
    """Every value of every real frame, one utterance at a time, in float64."""
    errors: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}

    def note(name: str, found: Tensor, truth: Tensor) -> None:
        errors[name].append((found.double() - truth.double()).detach().numpy().ravel())

    for b, (s, n) in enumerate(zip(batch.lengths, batch.target_lengths, strict=True)):
        note("mel", outputs.mel[b, : n * 3], batch.target_mel[b, : n * 3])
        note("postnet", outputs.postnet[b, : n * 3], batch.target_mel[b, : n * 3])
        note("duration", outputs.log_duration[b, :s], torch.log(batch.durations[b, :s] + 1))
        note("pitch", outputs.pitch[b, :n].flatten(), batch.target_pitch[b, : n * 3])
        note("energy", outputs.energy[b, :n].flatten(), batch.target_energy[b, : n * 3])
    joined = {name: np.concatenate(values) for name, values in errors.items()}
    return {
        name: float(np.abs(each).mean() if name in ("mel", "postnet") else np.square(each).mean())
        for name, each in joined.items()
    }


def split_means(model: FS2VC, data: PackedSet, order: list[list[int]]) -> dict[str, float]:
    running = Accumulator()
    with torch.no_grad():
        for indices in order:
            batch = data.gather(indices)
            running.add(sums(model(batch), batch))
    return running.means()


def test_terms_are_means_over_real_frames(model: FS2VC, data: PackedSet) -> None:
    batch = data.gather(range(len(FRAMES)))
    outputs = model(batch)

    found = {name: term.summed / term.counted for name, term in sums(outputs, batch).items()}

    expected = slow_means(outputs, batch)
    assert tuple(found) == NAMES
    assert {name: each.item() for name, each in found.items()} == pytest.approx(expected, rel=1e-5)


def test_counts_are_real_values(model: FS2VC, data: PackedSet) -> None:
    batch = data.gather([0, 1])  # 4 and 10 reduced frames of source, 5 and 3 of target

    counts = {name: int(term.counted) for name, term in sums(model(batch), batch).items()}

    assert counts == {
        "mel": 8 * 3 * 6,
        "postnet": 8 * 3 * 6,
        "duration": 14,
        "pitch": 8 * 3,
        "energy": 8 * 3,
    }


def test_the_batch_loss_sums_the_terms_means(model: FS2VC, data: PackedSet) -> None:
    batch = data.gather([0, 1, 2])
    outputs = model(batch)

    loss = batch_loss(sums(outputs, batch))

    assert loss.item() == pytest.approx(sum(slow_means(outputs, batch).values()), rel=1e-5)


def test_parts_of_a_batch_add_up_to_its_loss(model: FS2VC, data: PackedSet) -> None:
    parts = [[0, 1, 2], [3], [4, 5, 6, 7, 8]]
    batches = [data.gather(part) for part in parts]
    cut = shares([data.counts(part) for part in parts])

    losses = [
        batch_loss(sums(model(each), each), share) for each, share in zip(batches, cut, strict=True)
    ]

    whole = data.gather([i for part in parts for i in part])
    assert sum(losses).item() == pytest.approx(batch_loss(sums(model(whole), whole)).item())
    told = data.counts(parts[1])  # one utterance of 21 frames a side
    assert (told["source"], told["target"], told["utterances"]) == (7, 7, 1)


def test_total_weighs_every_term_the_same() -> None:
    means = {name: torch.tensor(2.0**i) for i, name in enumerate(NAMES)}

    assert total(means).item() == 31


def test_a_reported_total_is_of_the_conversion_whatever_else_a_model_learns() -> None:
    plain, rich = ModelConfig(), ModelConfig(align="search", prosody="wgmm")
    means = {name: torch.tensor(1.0) for name in weights_of(rich)}

    whole = total(means, weights_of(rich)).item()

    assert set(means) == {*NAMES, "align", "path", "phrase", "global"}
    assert whole == pytest.approx(5 + 2 * rich.align_weight + 0.02 + 0.02)
    assert total(means, reported_weights(rich)) == 5
    assert reported_weights(plain) == weights_of(plain)


def test_padding_of_outputs_and_targets_reaches_neither_loss_nor_gradient(
    model: FS2VC, data: PackedSet
) -> None:
    batch = data.gather([0, 1, 2])
    outputs = model(batch)
    clean = [outputs.mel, outputs.postnet, outputs.log_duration, outputs.pitch, outputs.energy]
    frames = outputs.target_mask.repeat_interleave(3, 1)
    masks = [frames, frames, outputs.source_mask, outputs.target_mask, outputs.target_mask]
    leaves = [
        each.detach()
        .masked_fill(~mask.reshape(*mask.shape, *[1] * (each.dim() - 2)), torch.nan)
        .requires_grad_()
        for each, mask in zip(clean, masks, strict=True)
    ]
    names = ["mel", "postnet", "log_duration", "pitch", "energy"]
    dirty = replace(outputs, **dict(zip(names, leaves, strict=True)))

    loss = batch_loss(sums(dirty, widened(batch, 3, 0, torch.nan)))
    loss.backward()

    assert loss.item() == pytest.approx(batch_loss(sums(outputs, batch)).item(), rel=1e-6)
    for leaf, mask in zip(leaves, masks, strict=True):
        assert leaf.grad is not None
        assert leaf.grad[mask].abs().sum() > 0
        assert not leaf.grad[~mask].any()


def test_the_mean_over_a_split_is_the_slow_one(model: FS2VC, data: PackedSet) -> None:
    whole = data.gather(range(len(FRAMES)))

    found = split_means(model, data, [[i] for i in range(len(FRAMES))])

    expected = slow_means(model(whole), whole)
    assert found == pytest.approx({**expected, TOTAL: sum(expected.values())}, rel=1e-5)


@pytest.mark.parametrize("double", [False, True])
def test_the_mean_over_a_split_ignores_how_it_was_batched(
    model: FS2VC, data: PackedSet, double: bool
) -> None:
    model = model.double() if double else model
    if double:
        sides = {
            name: replace(
                side, mel=side.mel.double(), pitch=side.pitch.double(), energy=side.energy.double()
            )
            for name, side in (("source", data.source), ("target", data.target))
        }
        data = replace(data, **sides)
    whole = split_means(model, data, [list(range(len(FRAMES)))])

    for batch_size in (1, 2, 4, 8):
        for group_size in (1, 3):
            order = epoch_order(data.lengths, batch_size, group_size, seed=1, epoch=0)
            found = split_means(model, data, order)
            assert found == pytest.approx(whole, rel=1e-12 if double else 1e-6)


def test_a_mean_of_batch_means_would_depend_on_it(model: FS2VC, data: PackedSet) -> None:
    """What the accumulator is there to prevent; without this the test above could be vacuous."""
    means = []
    for batch_size in (1, 4):
        order = epoch_order(data.lengths, batch_size, 1, seed=1, epoch=0)
        batches = [data.gather(indices) for indices in order]
        means.append(np.mean([batch_loss(sums(model(b), b)).item() for b in batches]))

    assert abs(means[0] / means[1] - 1) > 1e-3


def test_an_interrupted_accumulator_goes_on_where_it_was(model: FS2VC, data: PackedSet) -> None:
    batches = [data.gather([0, 1]), data.gather([2])]
    through = Accumulator()
    for batch in batches:
        through.add(sums(model(batch), batch))
    first = Accumulator()
    first.add(sums(model(batches[0]), batches[0]))

    second = Accumulator(held=first.held)
    second.add(sums(model(batches[1]), batches[1]))

    assert second.means() == through.means()
    assert set(second.means()) == ALL


def test_the_accumulator_holds_no_graph(model: FS2VC, data: PackedSet) -> None:
    running = Accumulator()
    batch = data.gather([0])

    running.add(sums(model(batch), batch))

    assert running.held is not None
    assert not running.held.requires_grad
    assert running.held.dtype == torch.float64


def test_a_mean_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no frames"):
        Accumulator().means()


def test_losses_are_float32_whatever_the_outputs(model: FS2VC, data: PackedSet) -> None:
    batch = data.gather([0, 1])
    outputs = model(batch)
    names = ("mel", "postnet", "log_duration", "pitch", "energy")
    halved = replace(outputs, **{name: getattr(outputs, name).bfloat16() for name in names})

    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = sums(halved, batch)
        loss = batch_loss(terms)

    assert loss.dtype == torch.float32
    assert all(term.summed.dtype == term.counted.dtype == torch.float32 for term in terms.values())
    assert loss.item() == pytest.approx(sum(slow_means(halved, batch).values()), rel=1e-5)

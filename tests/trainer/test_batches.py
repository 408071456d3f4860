"""Batches against loops over pairs and frames, and the order of an epoch."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from noise import noise_pair
from trainer.batches import PackedSet, PairArrays, epoch_order, padding_share

FRAMES = [(7, 11), (15, 3), (4, 29), (12, 12), (30, 8)]  # source and target
LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=80)


def some_pairs(reduction: int = 3) -> list[PairArrays]:
    draw = np.random.default_rng(0)
    return [noise_pair(draw, s, t, reduction) for s, t in FRAMES]


def assert_is_padded(found: Tensor, array: np.ndarray, frames: int) -> None:
    """The first `frames` of `found` are those of `array`, the rest is zero."""
    assert torch.equal(found[:frames], torch.from_numpy(array[:frames]).to(found.dtype))
    assert not found[frames:].any()


# ---------------------------------------------------------------------- the packed set


@pytest.mark.parametrize("reduction", [1, 3, 4])
def test_gather_cuts_to_whole_reduced_frames_and_pads_with_zeros(reduction: int) -> None:
    if reduction == 4:  # the shortest utterance has three frames
        pairs = [noise_pair(np.random.default_rng(1), s + 1, t + 1, 4) for s, t in FRAMES]
    else:
        pairs = some_pairs(reduction)
    chosen = [3, 0, 4]

    batch = PackedSet.build(pairs, reduction).gather(chosen)

    for b, pair in enumerate(pairs[i] for i in chosen):
        s, n = len(pair.source_mel) // reduction, len(pair.target_mel) // reduction
        assert (batch.lengths[b], batch.target_lengths[b]) == (s, n)
        assert_is_padded(batch.mel[b], pair.source_mel, s * reduction)
        assert_is_padded(batch.pitch[b], pair.source_pitch, s * reduction)
        assert_is_padded(batch.energy[b], pair.source_energy, s * reduction)
        assert_is_padded(batch.durations[b], pair.durations, s)
        assert_is_padded(batch.target_mel[b], pair.target_mel, n * reduction)
        assert_is_padded(batch.target_pitch[b], pair.target_pitch, n * reduction)
        assert_is_padded(batch.target_energy[b], pair.target_energy, n * reduction)
        assert batch.source_speaker[b] == pair.source_speaker
        assert batch.target_speaker[b] == pair.target_speaker
    assert batch.mel.shape[1] == batch.lengths.max() * reduction
    assert batch.target_mel.shape[1] == batch.target_lengths.max() * reduction


def test_gather_knows_the_totals_and_types() -> None:
    batch = PackedSet.build(some_pairs(), 3).gather([0, 1, 2])

    assert batch.total == batch.lengths.sum()
    assert batch.target_total == batch.target_lengths.sum()
    assert batch.mel.dtype == batch.target_energy.dtype == torch.float32
    assert batch.durations.dtype == batch.lengths.dtype == torch.int64
    assert torch.equal(batch.durations.sum(1), batch.target_lengths)


def test_gather_keeps_the_order_asked_for() -> None:
    data = PackedSet.build(some_pairs(), 3)

    forth, back = data.gather([1, 2]), data.gather([2, 1])

    assert torch.equal(forth.mel, back.mel.flip(0))
    assert not torch.equal(forth.mel, back.mel)


def test_the_set_knows_its_lengths() -> None:
    data = PackedSet.build(some_pairs(), 3)

    assert len(data) == 5
    assert data.source_lengths.tolist() == [2, 5, 1, 4, 10]
    assert data.target_lengths.tolist() == [3, 1, 9, 4, 2]
    assert data.lengths.tolist() == [5, 6, 10, 8, 12]


def test_a_batch_moves_as_a_whole() -> None:
    batch = PackedSet.build(some_pairs(), 3).gather([0, 1])

    moved = batch.to("meta")

    tensors = [v for f in fields(moved) if isinstance(v := getattr(moved, f.name), Tensor)]
    assert len(tensors) == 13
    assert all(each.device.type == "meta" for each in tensors)
    assert (moved.total, moved.target_total) == (batch.total, batch.target_total)


def changed(**arrays: np.ndarray) -> PairArrays:
    return replace(some_pairs()[0], **arrays)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (changed(source_pitch=np.zeros(6, np.float32)), "pair 1: source has 7 frames of mel, 6"),
        (changed(durations=np.array([3])), "1 durations with sum 3, expected 2 .* sum 3"),
        (changed(durations=np.array([2, 2])), "2 durations with sum 4, expected 2 .* sum 3"),
        (changed(durations=np.array([4, -1])), "at least 0"),
        (
            changed(
                target_mel=np.zeros((2, 6), np.float32),
                target_pitch=np.zeros(2, np.float32),
                target_energy=np.zeros(2, np.float32),
            ),
            "target has 2 frames, needs 3",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(pair: PairArrays, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PackedSet.build([some_pairs()[0], pair], 3)


def test_no_pairs_is_an_error() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        PackedSet.build([], 3)


# ---------------------------------------------------------------------- the order


@given(
    lengths=LENGTHS,
    batch_size=st.integers(1, 9),
    group_size=st.integers(1, 5),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 100),
)
def test_every_utterance_comes_exactly_once_an_epoch(
    lengths: list[int], batch_size: int, group_size: int, seed: int, epoch: int
) -> None:
    order = epoch_order(np.array(lengths), batch_size, group_size, seed, epoch)

    assert sorted(i for batch in order for i in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in order)
    assert len(order) == -(-len(lengths) // batch_size)


@settings(max_examples=30)
@given(lengths=LENGTHS, batch_size=st.integers(1, 9), group_size=st.integers(1, 5))
def test_batches_of_a_group_do_not_overlap_in_length(
    lengths: list[int], batch_size: int, group_size: int
) -> None:
    order = epoch_order(np.array(lengths), batch_size, group_size, 0, 0)

    for start in range(0, len(order), group_size):
        spans = sorted(
            (min(lengths[i] for i in batch), max(lengths[i] for i in batch))
            for batch in order[start : start + group_size]
        )
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


def test_seed_and_epoch_determine_the_order_and_nothing_else_does() -> None:
    lengths = np.random.default_rng(0).integers(10, 500, 100)
    first = epoch_order(lengths, 8, 4, 1, 2)
    torch.manual_seed(5)
    np.random.default_rng(5).random()

    assert epoch_order(lengths, 8, 4, 1, 2) == first
    assert epoch_order(lengths, 8, 4, 1, 3) != first
    assert epoch_order(lengths, 8, 4, 2, 2) != first


def test_drawing_the_order_shifts_no_other_random_numbers() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)

    epoch_order(np.arange(50), 4, 2, 0, 0)

    assert torch.equal(torch.rand(3), expected)


def test_short_batches_do_not_always_come_first() -> None:
    lengths = np.arange(64)

    firsts = {min(epoch_order(lengths, 8, 8, 0, epoch)[0]) for epoch in range(20)}

    assert len(firsts) > 3


# ---------------------------------------------------------------------- padding


@pytest.mark.parametrize(
    ("batch_size", "group_size", "percent"),
    [(8, 1, 46), (8, 4, 23), (8, 64, 3), (32, 1, 60), (32, 4, 32), (32, 16, 12.5), (32, 32, 7)],
)
def test_padding_falls_with_the_group_as_simulated(
    batch_size: int, group_size: int, percent: float
) -> None:
    """The simulation of the notes: 1,000 utterances of log-normal lengths."""
    draw = np.random.default_rng(0)
    shares = []
    for seed in range(10):
        lengths = np.round(draw.lognormal(np.log(150), 0.5, 1000)).astype(int)
        order = epoch_order(lengths, batch_size, group_size, seed, 0)
        shares.append(100 * padding_share(lengths, order).share)

    assert np.mean(shares) == pytest.approx(percent, abs=2.5)


@given(lengths=LENGTHS, batch_size=st.integers(1, 9))
def test_padding_is_counted_in_frames(lengths: list[int], batch_size: int) -> None:
    order = epoch_order(np.array(lengths), batch_size, 2, 0, 0)

    found = padding_share(np.array(lengths), order)

    assert found.real == sum(lengths)
    assert found.padded == sum(max(lengths[i] for i in batch) * len(batch) for batch in order)
    assert found.share == pytest.approx((found.padded - found.real) / found.padded)


def test_no_batches_have_no_padding() -> None:
    assert padding_share(np.array([1]), []).share == 0

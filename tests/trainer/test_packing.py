"""Utterances end to end: where each frame stands, and what is repeated how often."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.packing import (
    packing,
    pieces,
    stack,
    stretch,
    stretched_pieces,
    take,
    unstack,
    valid_frames,
)

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)
DURATIONS = st.lists(
    st.lists(st.integers(0, 5), min_size=1, max_size=8).filter(any), min_size=1, max_size=5
)


@given(lengths=LENGTHS, gap=st.integers(1, 4), extra=st.integers(0, 3))
def test_rows_are_the_utterances_end_to_end_with_gaps(
    lengths: list[int], gap: int, extra: int
) -> None:
    longest = max(lengths) + extra
    place = packing(torch.tensor(lengths), longest, gap)

    expected = [
        (utterance, time, time < length)
        for utterance, length in enumerate(lengths)
        for time in range(length + gap)
    ]
    found = zip(
        place.utterance.tolist(),
        place.position.tolist(),
        place.real.squeeze(1).tolist(),
        strict=True,
    )
    assert list(found) == expected
    assert place.full == all(length == longest for length in lengths)


@given(lengths=LENGTHS, gap=st.integers(1, 4), extra=st.integers(0, 3))
def test_pad_undoes_pack(lengths: list[int], gap: int, extra: int) -> None:
    longest = max(lengths) + extra
    place = packing(torch.tensor(lengths), longest, gap)
    padded = torch.randn(len(lengths), longest, 2)

    back = place.pad(place.clean(place.pack(padded)))

    assert torch.equal(back, padded.masked_fill(~place.valid[..., None], 0))


def test_padding_is_never_read() -> None:
    place = packing(torch.tensor([2, 5]), longest=6, gap=2)
    padded = torch.ones(2, 6, 3).masked_fill(~place.valid[..., None], torch.nan)

    assert place.pack(padded).isfinite().all()


def test_the_known_total_changes_nothing() -> None:
    lengths = torch.tensor([3, 1, 4])

    asked, told = packing(lengths, 4, 2), packing(lengths, 4, 2, total=8)

    assert torch.equal(asked.rows, told.rows)
    assert torch.equal(asked.frames, told.frames)


def test_gaps_unstack_with_their_frames() -> None:
    place = packing(torch.tensor([1, 2]), longest=2, gap=1)

    real = place.unstacked_real(2)

    assert real.squeeze(1).int().tolist() == [1, 1, 0, 0, 1, 1, 1, 1, 0, 0]


def test_valid_frames_are_the_first_ones() -> None:
    assert valid_frames(torch.tensor([0, 2, 3]), 3).int().tolist() == [
        [0, 0, 0],
        [1, 1, 0],
        [1, 1, 1],
    ]


def test_take_sums_the_gradients_of_repeated_rows() -> None:
    rows = torch.randn(4, 2, requires_grad=True)
    index = torch.tensor([[0, 2], [2, 2]])

    taken = take(rows, index)
    taken.sum().backward()

    assert torch.equal(taken, rows[index])
    assert rows.grad is not None
    assert rows.grad[:, 0].tolist() == [1, 0, 3, 0]


@given(durations=DURATIONS, gap=st.integers(1, 3), garbage=st.integers(-50, 50))
def test_stretch_repeats_every_frame_as_often_as_its_duration(
    durations: list[list[int]], gap: int, garbage: int
) -> None:
    lengths = torch.tensor([len(each) for each in durations])
    sums = torch.tensor([sum(each) for each in durations])
    source = packing(lengths, int(lengths.max()) + 1, gap)
    target = packing(sums, int(sums.max()) + 2, gap)
    padded = torch.full((len(durations), int(lengths.max()) + 1), garbage)
    for row, each in zip(padded, durations, strict=True):
        row[: len(each)] = torch.tensor(each)
    values = torch.randn(*padded.shape, 3)

    stretched = target.pad(stretch(padded, source, target)(source.pack(values)))

    for b, each in enumerate(durations):
        slow = np.repeat(values[b, : len(each)].numpy(), each, axis=0)
        assert np.array_equal(stretched[b, : len(slow)].numpy(), slow)


def test_stretch_sends_each_repetitions_gradient_back() -> None:
    source = packing(torch.tensor([3]), 3, 1)
    target = packing(torch.tensor([5]), 5, 1)
    packed = torch.randn(4, 2, requires_grad=True)

    stretched = stretch(torch.tensor([[4, 0, 1]]), source, target)(packed)
    stretched.masked_fill(~target.real, 0).sum().backward()

    assert packed.grad is not None
    assert packed.grad[:, 0].tolist() == [4, 0, 1, 0]


def test_the_gradient_of_a_stretch_is_that_of_finite_differences() -> None:
    durations = torch.tensor([[2, 0, 3], [1, 4, 0]])
    lengths = torch.tensor([3, 2])
    source, target = packing(lengths, 3, 1), packing(durations.sum(1), 5, 1)
    over = stretch(durations, source, target)
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(source.real.shape[0], 2, dtype=torch.float64, generator=draw)

    assert torch.autograd.gradcheck(over, (rows.requires_grad_(),))


@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_stack_puts_neighbouring_frames_side_by_side(reduction: int) -> None:
    frames = torch.arange(2 * 7 * 2).reshape(2, 7, 2)

    stacked = stack(frames, reduction)

    assert stacked.shape == (2, 7 // reduction, 2 * reduction)
    assert stacked[1, 1].tolist() == frames[1, reduction : 2 * reduction].flatten().tolist()
    assert torch.equal(unstack(stacked, reduction), frames[:, : 7 // reduction * reduction])


def test_nothing_here_waits_for_the_device() -> None:
    lengths = torch.tensor([3, 2], device="meta")  # a device that has no values to wait for

    source = packing(lengths, 3, 1, total=5)
    target = packing(lengths, 4, 1, total=7)
    stretched = stretch(torch.empty(2, 3, device="meta", dtype=torch.int64), source, target)

    assert stretched(source.pack(torch.empty(2, 3, 4, device="meta"))).shape == (9, 4)
    with pytest.raises(RuntimeError):
        packing(lengths, 3, 1)


# ---------------------------------------------------------------------- pieces

PIECES = st.lists(
    st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any), min_size=1, max_size=5
)


def ragged(rows: list[list[int]]) -> torch.Tensor:
    widest = max(map(len, rows))
    return torch.tensor([row + [0] * (widest - len(row)) for row in rows])


@given(cut=PIECES, gap=st.integers(1, 4), known=st.booleans())
def test_pieces_are_the_utterances_cut(cut: list[list[int]], gap: int, known: bool) -> None:
    totals = [sum(row) for row in cut]
    place = packing(torch.tensor(totals), max(totals), gap)
    content = torch.randn(len(cut), max(totals), 2)
    packed = place.pack(content)
    lengths = [n for row in cut for n in row if n]
    host = (len(lengths), max(lengths)) if known else (None, None)

    cut_up = pieces(ragged(cut), place, *host)

    expected = [
        content[b, sum(row[:k]) : sum(row[: k + 1])]
        for b, row in enumerate(cut)
        for k in range(len(row))
        if row[k]
    ]
    found = cut_up.pad(packed)
    assert found.shape == (len(lengths), max(lengths), 2)
    assert cut_up.valid.sum(1).tolist() == lengths
    for piece, whole in zip(found, expected, strict=True):
        assert torch.equal(piece[: len(whole)], whole)
    again = place.pad(place.clean(cut_up.pack(found)))
    assert torch.equal(again, content.masked_fill(~place.valid[..., None], 0))


@given(durations=DURATIONS, draw=st.data())
def test_stretched_pieces_are_sums_of_durations(
    durations: list[list[int]], draw: st.DataObject
) -> None:
    cuts = [
        sorted(draw.draw(st.sets(st.integers(1, len(row) - 1), max_size=3))) if len(row) > 1 else []
        for row in durations
    ]
    bounds = [[0, *cut, len(row)] for cut, row in zip(cuts, durations, strict=True)]
    lengths = ragged([np.diff(each).tolist() for each in bounds])
    padded = ragged(durations)
    valid = valid_frames(torch.tensor([len(row) for row in durations]), padded.shape[1])

    found = stretched_pieces(lengths, padded.masked_fill(~valid, 9), valid)

    for row, each, own in zip(found.tolist(), bounds, durations, strict=True):
        sums = [sum(own[a:b]) for a, b in itertools.pairwise(each)]
        assert row == sums + [0] * (len(row) - len(sums))

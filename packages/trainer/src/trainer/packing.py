"""Utterances of unequal length laid end to end, so that no layer ever sees padding.

A padded batch (B, T, C) spends a fifth of its frames on padding at the usual settings (see
`batches.padding_share`), and every convolution, attention and normalisation must be kept from
reading it. Here the frames of all utterances stand in one matrix (M, C), each utterance followed by
a few gap rows:

    utterance 0 ........ | gap | utterance 1 ... | gap | utterance 2 ............ | gap

Whatever works on single frames needs no care. A convolution zeroes the gap rows first, which is
what it would have seen beyond the end of an utterance on its own. Attention goes through a padded
view with a key mask. Stacked frames unstack by a view: gaps widen with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "Packing",
    "Stretch",
    "packing",
    "pieces",
    "stack",
    "stretch",
    "stretched_pieces",
    "take",
    "unstack",
    "valid_frames",
]


@dataclass(frozen=True, kw_only=True)
class Packing:
    """Where each frame of a padded batch (B, T) stands among M rows, and back.

    Built by `packing`. All tensors live on one device.
    """

    valid: Tensor  # (B, T) bool: a frame of the utterance, not padding
    rows: Tensor  # (B, T) int64: the row of each frame; padding points to the gap after it
    frames: Tensor  # (M,) int64: b * T + t of each row; gaps point to the last frame before them
    real: Tensor  # (M, 1) bool: a frame, not a gap
    utterance: Tensor  # (M,) int64: b of each row
    position: Tensor  # (M,) int64: t of each row
    full: bool  # no padding at all: every utterance is T frames long

    def pack(self, padded: Tensor) -> Tensor:
        """Lay (B, T, C) end to end: (M, C). Padding is never read; gap rows are unspecified."""
        return take(padded.flatten(0, 1), self.frames)

    def pad(self, packed: Tensor) -> Tensor:
        """Set (M, C) out as (B, T, C); padding holds what the gap row holds."""
        return take(packed, self.rows)

    def clean(self, packed: Tensor) -> Tensor:
        """Zero the gap rows of (M, C)."""
        return packed.masked_fill(~self.real, 0)

    def unstacked_real(self, reduction: int) -> Tensor:
        """Return `real` (M * reduction, 1) for rows that were unstacked into single frames."""
        return self.real.repeat_interleave(reduction, dim=0)


def packing(
    lengths: Tensor, longest: int, gap: int, total: int | None = None, room: int | None = None
) -> Packing:
    """Lay utterances of `lengths` (B,) frames, padded to `longest`, end to end.

    `gap` rows (at least 1) follow each utterance: half the widest kernel. `total`, the sum of
    `lengths`, spares a wait for the device where the caller knows it. With `room` for more frames
    than there are, the last gap is that much longer.
    """
    count = lengths.shape[0]
    full = False
    if room is None:
        room = int(lengths.sum()) if total is None else total
        full = room == count * longest
    ends = (lengths + gap).cumsum(0)
    starts = ends - lengths - gap
    row = torch.arange(room + gap * count, device=lengths.device)
    utterance = torch.searchsorted(ends, row, right=True).clamp(max=count - 1)
    position = row - starts[utterance]
    own = lengths[utterance]
    valid = valid_frames(lengths, longest)
    time = torch.arange(longest, device=lengths.device)
    return Packing(
        valid=valid,
        rows=starts[:, None] + torch.minimum(time[None], lengths[:, None]),
        frames=utterance * longest + torch.minimum(position, own - 1),
        real=(position < own)[:, None],
        utterance=utterance,
        position=position,
        full=full,
    )


def pieces(
    lengths: Tensor, place: Packing, count: int | None = None, longest: int | None = None
) -> Packing:
    """See the utterances laid out in `place` as a batch of their pieces (phrases).

    `lengths` (B, K) are the pieces of each utterance in order, 0 where there are fewer than K;
    they sum to the utterance's frames. The result sets the same M rows out as (P, L, C) and back,
    P pieces of at most L frames. `count` (P) and `longest` (L) spare waits for the device; where
    `count` is more than there are, the last pieces have no frames.
    """
    flat = lengths.flatten()
    there = flat > 0
    if count is None or longest is None:
        count, longest = int(there.sum()), int(flat.max())
    # a stable sort, because `nonzero` would wait for the device
    chosen = torch.argsort((~there).to(torch.uint8), stable=True)[:count]
    ends = lengths.cumsum(1)
    first = (place.rows[:, :1] + ends - lengths).flatten()[chosen]
    own = flat[chosen]
    time = torch.arange(longest, device=lengths.device)
    valid = time[None] < own[:, None]

    frame = torch.arange(place.valid.shape[1], device=lengths.device)
    within = frame.expand(*place.valid.shape).contiguous()
    piece = torch.searchsorted(ends, within, right=True).clamp(max=lengths.shape[1] - 1)
    rank = (there.cumsum(0) - 1).view_as(lengths).gather(1, piece).clamp(min=0)
    position = (within - (ends - lengths).gather(1, piece)).clamp(0, longest - 1)
    rank, position = (each.flatten()[place.frames] for each in (rank, position))
    return Packing(
        valid=valid,
        rows=first[:, None] + torch.minimum(time[None], (own[:, None] - 1).clamp(min=0)),
        frames=rank * longest + position,
        real=place.real,
        utterance=rank,
        position=position,
        full=count * longest == place.valid.shape[0] * place.valid.shape[1] and place.full,
    )


def stretched_pieces(lengths: Tensor, durations: Tensor, valid: Tensor) -> Tensor:
    """Return how long pieces of `lengths` (B, K) source frames become under `durations` (B, S)."""
    reached = functional.pad(durations.masked_fill(~valid, 0).cumsum(1), (1, 0))
    return reached.gather(1, lengths.cumsum(1)).diff(
        dim=1, prepend=torch.zeros_like(lengths[:, :1])
    )


def valid_frames(lengths: Tensor, longest: int) -> Tensor:
    """Return the mask (B, longest) that is true on the first `lengths` (B,) frames."""
    return torch.arange(longest, device=lengths.device)[None] < lengths[:, None]


def take(rows: Tensor, index: Tensor) -> Tensor:
    """Return rows (M, C) at index (...): (..., C).

    The embedding kernel, because its backward sums repeated rows in a fixed order on every device.
    Those of `gather` and `index_select` add in any order on CUDA: a resumed run would drift.
    """
    return functional.embedding(index, rows)


class Stretch(NamedTuple):
    """The length regulator (FastSpeech, arXiv:1905.09263), ready to be applied. See `stretch`."""

    source: Packing
    target: Packing
    origin: Tensor  # (Mt,) int64: the source row that each target row repeats
    before: Tensor  # (Mt,) how much of that source row lies before the target row: 0 up to below 1
    share: Tensor  # (Mt,) and how much of it the target row is

    def __call__(self, packed: Tensor) -> Tensor:
        """Repeat rows (Ms, C), laid out as `source`: (Mt, C), laid out as `target`."""
        return take(packed, self.origin)

    def frames(self, unstacked: Tensor, reduction: int) -> Tensor:
        """Stretch single frames (Ms * reduction, C) evenly: (Mt * reduction, C).

        Repeating a stack a, b, c twice gives a, b, c, a, b, c; this gives a, a, b, b, c, c.
        """
        middle = torch.arange(reduction, device=unstacked.device) + 0.5
        inside = reduction * self.before[:, None] + self.share[:, None] * middle
        inside = inside.floor().long().clamp(0, reduction - 1)
        return take(unstacked, (self.origin[:, None] * reduction + inside).flatten())


def stretch(durations: Tensor, source: Packing, target: Packing) -> Stretch:
    """Prepare to repeat every source frame as often as its duration says.

    `durations` (B, S) are whole numbers >= 0 that sum to each utterance's target length; padding in
    them is not read. Target frame n repeats the first source frame up to which (and including
    which) the durations sum to more than n.
    """
    own = durations.masked_fill(~source.valid, 0)
    ends = own.cumsum(1)
    time = torch.arange(target.valid.shape[1], device=durations.device)
    frame = torch.searchsorted(ends, time.expand(*target.valid.shape).contiguous(), right=True)
    frame = frame.clamp(max=durations.shape[1] - 1)
    rows = source.rows.gather(1, frame)
    share = own.gather(1, frame).clamp(min=1).float().reciprocal()
    before = (time - (ends - own).gather(1, frame)) * share
    rows, before, share = (each.flatten()[target.frames] for each in (rows, before, share))
    return Stretch(source, target, rows, before, share)


def stack(frames: Tensor, reduction: int) -> Tensor:
    """Stack each `reduction` frames into one: (B, T, C) -> (B, T // reduction, reduction * C).

    Frames beyond the last whole stack are dropped.
    """
    count, length, channels = frames.shape
    whole = length // reduction
    return frames[:, : whole * reduction].reshape(count, whole, reduction * channels)


def unstack(stacked: Tensor, reduction: int) -> Tensor:
    """Undo `stack`: (..., N, reduction * C) -> (..., N * reduction, C)."""
    *outer, length, channels = stacked.shape
    return stacked.reshape(*outer, length * reduction, channels // reduction)

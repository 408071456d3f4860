"""Training pairs on the device, and the order in which they are seen.

A split is small (a thousand pairs are about half a gigabyte at most), so all of it stands on the
device end to end; a batch is drawn by index arithmetic alone, with no loop over pairs or frames
and no transfer but the pairs' indices.

    data = PackedSet.build(pairs, reduction=3, device=device)
    for indices in epoch_order(data.lengths, batch_size=8, group_size=4, seed=0, epoch=1):
        batch = data.gather(indices)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.packing import unstack

__all__ = [
    "FEATURES",
    "SIDES",
    "Batch",
    "Index",
    "Inputs",
    "PackedSet",
    "Padding",
    "PairArrays",
    "check",
    "epoch_order",
    "in_parts",
    "padding_share",
    "whole_rows",
]

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What conversion starts from: B utterances padded to S reduced frames of r frames each.

    Values are normalised; padding may hold anything.
    """

    mel: Tensor  # (B, S * r, mels) float32
    pitch: Tensor  # (B, S * r) float32, continuous log F0
    energy: Tensor  # (B, S * r) float32, log energy
    lengths: Tensor  # (B,) int64, real reduced frames, >= 1
    source_speaker: Tensor  # (B,) int64
    target_speaker: Tensor  # (B,) int64
    phrases: Tensor | None = None  # (B, K) int64, reduced frames of each phrase, 0 beyond the last
    # Where the host knows these the device is not waited for.
    total: int | None = None  # sum of lengths
    phrase_count: int | None = None  # phrases of all utterances
    phrase_longest: int | None = None  # reduced frames
    # Where shapes are to repeat, what is laid out has room for more than there is.
    room: int | None = None  # reduced frames, at least `total`
    phrase_room: int | None = None  # phrases, at least `phrase_count`

    def to(self, device: torch.device | str) -> Self:
        """Return the same on `device`."""
        return self.each(lambda value: value.to(device))

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return the same with every tensor changed."""
        changed: dict[str, Any] = {
            each.name: change(value)
            for each in fields(self)
            if isinstance(value := getattr(self, each.name), Tensor)
        }
        return replace(self, **changed)


@dataclass(frozen=True, kw_only=True)
class Batch(Inputs):
    """Inputs with the truth to learn from: targets padded to N reduced frames."""

    durations: Tensor  # (B, S) int64, reduced target frames per reduced source frame
    target_mel: Tensor  # (B, N * r, mels) float32
    target_pitch: Tensor  # (B, N * r) float32
    target_energy: Tensor  # (B, N * r) float32
    target_lengths: Tensor  # (B,) int64, real reduced frames, >= 1; the sums of durations
    target_phrases: Tensor | None = None  # (B, K) int64, as `phrases`
    target_total: int | None = None  # sum of target_lengths
    target_phrase_longest: int | None = None  # reduced frames
    target_room: int | None = None  # reduced frames, at least `target_total`


@dataclass(frozen=True, kw_only=True)
class PairArrays:
    """One pair as arrays: normalised features of both sides, T frames each of its own."""

    source_mel: Float32  # (T_source, mels)
    source_pitch: Float32  # (T_source,)
    source_energy: Float32  # (T_source,)
    target_mel: Float32  # (T_target, mels)
    target_pitch: Float32  # (T_target,)
    target_energy: Float32  # (T_target,)
    durations: npt.NDArray[np.integer[Any]]  # (T_source // r,), sum T_target // r
    source_phrases: tuple[int, ...] = ()  # reduced frames, sum T_source // r; empty: one phrase
    target_phrases: tuple[int, ...] = ()  # as many, sum T_target // r
    source_speaker: int = 0
    target_speaker: int = 0


@dataclass(frozen=True, kw_only=True)
class _Phrases:
    """The phrases of all utterances of one side, in reduced frames."""

    on_device: Tensor  # (pairs, K) int64, 0 beyond the last
    host: Int64  # the same

    @classmethod
    def of(cls, lengths: Sequence[tuple[int, ...]], device: torch.device | str) -> _Phrases:
        host = np.zeros((len(lengths), max(map(len, lengths))), dtype=np.int64)
        for row, each in zip(host, lengths, strict=True):
            row[: len(each)] = each
        return cls(on_device=torch.from_numpy(host).to(device), host=host)


@dataclass(frozen=True, kw_only=True)
class _Side:
    """All utterances of one side; a row is a reduced frame."""

    mel: Tensor  # (total + 1, r * mels)
    pitch: Tensor  # (total + 1, r)
    energy: Tensor  # (total + 1, r)
    starts: Tensor  # (pairs,) int64, row of each utterance's first reduced frame
    lengths: Tensor  # (pairs,) int64

    def index(self, chosen: Tensor, longest: int) -> Tensor:
        """Return the rows (B, longest) of utterances `chosen` (B,), padded with the zero row."""
        time = torch.arange(longest, device=chosen.device)
        within = time < self.lengths[chosen][:, None]
        return torch.where(within, self.starts[chosen][:, None] + time, self.mel.shape[0] - 1)


@dataclass(frozen=True, kw_only=True)
class PackedSet:
    """All pairs of a split on one device."""

    source: _Side
    target: _Side
    durations: Tensor  # (source rows + 1,) int64
    source_phrases: _Phrases
    target_phrases: _Phrases
    source_speaker: Tensor  # (pairs,) int64
    target_speaker: Tensor  # (pairs,) int64
    reduction: int  # r, frames
    source_lengths: Int64  # (pairs,) reduced frames, on the host
    target_lengths: Int64  # (pairs,) reduced frames, on the host

    @classmethod
    def build(
        cls, pairs: Sequence[PairArrays], reduction: int, device: torch.device | str = "cpu"
    ) -> PackedSet:
        """Lay `pairs` end to end, each side cut to whole reduced frames (T // r * r frames).

        Raises
        ------
        ValueError
            No pairs; or features and durations of a pair disagree in length (its index is named).
        """
        if not pairs:
            raise ValueError("no pairs to learn from")
        for index, pair in enumerate(pairs):
            check(pair, index, reduction)
        rows = {
            f"{side}_{what}": torch.from_numpy(_rows(pairs, side, what, reduction)).to(device)
            for side in SIDES
            for what in FEATURES
        }
        return cls.laid(rows, Index.of(pairs, reduction), reduction, device)

    @classmethod
    def laid(
        cls, rows: Mapping[str, Tensor], index: Index, reduction: int, device: torch.device | str
    ) -> Self:
        """Take rows that are laid end to end already, each side's last one zero.

        `rows` holds "source_mel" (frames + 1, r * mels), "source_pitch" (frames + 1, r) and so on;
        the index goes to `device`.
        """

        def side(name: str, lengths: Int64) -> _Side:
            return _Side(
                mel=rows[f"{name}_mel"],
                pitch=rows[f"{name}_pitch"],
                energy=rows[f"{name}_energy"],
                starts=torch.from_numpy(np.cumsum(lengths) - lengths).to(device),
                lengths=torch.from_numpy(lengths).to(device),
            )

        return cls(
            source=side("source", index.source_lengths),
            target=side("target", index.target_lengths),
            durations=torch.from_numpy(np.append(index.durations, 0)).to(device),
            source_phrases=_Phrases.of(index.source_phrases, device),
            target_phrases=_Phrases.of(index.target_phrases, device),
            source_speaker=torch.tensor(index.source_speaker, device=device),
            target_speaker=torch.tensor(index.target_speaker, device=device),
            reduction=reduction,
            source_lengths=index.source_lengths,
            target_lengths=index.target_lengths,
        )

    def __len__(self) -> int:
        return len(self.source_lengths)

    @property
    def lengths(self) -> Int64:
        """Both sides' reduced frames of each pair: what a batch should be alike in."""
        return self.source_lengths + self.target_lengths

    def counts(self, indices: Sequence[int]) -> dict[str, int]:
        """Return what losses are means over: reduced frames, phrases and utterances of pairs."""
        host = np.asarray(indices, dtype=np.int64)
        return {
            "source": int(self.source_lengths[host].sum()),
            "target": int(self.target_lengths[host].sum()),
            "phrases": int(np.count_nonzero(self.source_phrases.host[host])),
            "utterances": len(host),
        }

    def stream(self, chosen: Iterable[Sequence[int]], *, rounded: bool = False) -> Iterator[Batch]:
        """Gather one batch after the other."""
        for indices in chosen:
            yield self.gather(indices, rounded=rounded)

    def gather(self, indices: Sequence[int], *, rounded: bool = False) -> Batch:
        """Return the pairs at `indices`, in this order, padded with zeros.

        `rounded` rounds every size up to one of few, so that shapes repeat from batch to batch;
        nothing real changes.
        """
        host = np.asarray(indices, dtype=np.int64)
        source_lengths, target_lengths = self.source_lengths[host], self.target_lengths[host]
        chosen = torch.from_numpy(host).to(self.durations.device, non_blocking=True)
        sizes = self._sizes(host)
        if rounded:
            sizes = sizes.rounded()
        s = self.source.index(chosen, sizes.source_longest)
        t = self.target.index(chosen, sizes.target_longest)
        r = self.reduction
        return Batch(
            mel=unstack(self.source.mel[s], r),
            pitch=self.source.pitch[s].flatten(1),
            energy=self.source.energy[s].flatten(1),
            lengths=self.source.lengths[chosen],
            source_speaker=self.source_speaker[chosen],
            target_speaker=self.target_speaker[chosen],
            phrases=self.source_phrases.on_device[chosen],
            total=int(source_lengths.sum()),
            phrase_count=int(np.count_nonzero(self.source_phrases.host[host])),
            phrase_longest=sizes.source_phrase,
            room=sizes.source if rounded else None,
            phrase_room=sizes.phrases if rounded else None,
            durations=self.durations[s],
            target_mel=unstack(self.target.mel[t], r),
            target_pitch=self.target.pitch[t].flatten(1),
            target_energy=self.target.energy[t].flatten(1),
            target_lengths=self.target.lengths[chosen],
            target_phrases=self.target_phrases.on_device[chosen],
            target_total=int(target_lengths.sum()),
            target_phrase_longest=sizes.target_phrase,
            target_room=sizes.target if rounded else None,
        )

    def _sizes(self, chosen: Int64) -> _Sizes:
        """Return what a batch of the pairs `chosen` (B,) takes."""
        source, target = self.source_phrases.host[chosen], self.target_phrases.host[chosen]
        return _Sizes(
            source=int(self.source_lengths[chosen].sum()),
            target=int(self.target_lengths[chosen].sum()),
            source_longest=int(self.source_lengths[chosen].max()),
            target_longest=int(self.target_lengths[chosen].max()),
            phrases=int(np.count_nonzero(source)),
            source_phrase=int(source.max()),
            target_phrase=int(target.max()),
        )


class _Sizes(NamedTuple):
    """Sizes of a batch, in reduced frames but for `phrases`."""

    source: int  # of all utterances
    target: int
    source_longest: int
    target_longest: int
    phrases: int
    source_phrase: int  # the longest
    target_phrase: int

    def rounded(self) -> _Sizes:
        """Round up, so that a training meets some dozens of combinations.

        Finely what is computed on (a twentieth more rows), coarsely and alike for both sides what
        is only laid out.
        """
        longest = _step_up(max(self.source_longest, self.target_longest), 2)
        phrase = _step_up(max(self.source_phrase, self.target_phrase), 2)
        return _Sizes(
            source=_step_up(self.source, 8),
            target=_step_up(self.target, 8),
            source_longest=longest,
            target_longest=longest,
            phrases=_step_up(self.phrases, 2),
            source_phrase=phrase,
            target_phrase=phrase,
        )


def _step_up(size: int, steps: int) -> int:
    """Round up to one of `steps` values (a power of 2) between two powers of 2."""
    step = max(1, (1 << (size - 1).bit_length()) // (2 * steps))
    return -(-size // step) * step


SIDES = ("source", "target")
FEATURES = ("mel", "pitch", "energy")


@dataclass(frozen=True, kw_only=True)
class Index:
    """All of some pairs but their frames; lengths in reduced frames."""

    source_lengths: Int64  # (pairs,)
    target_lengths: Int64  # (pairs,)
    durations: Int64  # (sum of source_lengths,)
    source_phrases: tuple[tuple[int, ...], ...]
    target_phrases: tuple[tuple[int, ...], ...]
    source_speaker: tuple[int, ...]
    target_speaker: tuple[int, ...]

    @classmethod
    def of(cls, pairs: Sequence[PairArrays], reduction: int) -> Index:
        """Tell it of pairs; who gives no phrases has one."""
        lengths = {
            side: np.array(
                [len(getattr(pair, f"{side}_pitch")) // reduction for pair in pairs], dtype=np.int64
            )
            for side in SIDES
        }
        phrases = {
            side: tuple(
                tuple(map(int, getattr(pair, f"{side}_phrases"))) or (int(length),)
                for pair, length in zip(pairs, lengths[side], strict=True)
            )
            for side in SIDES
        }
        return cls(
            source_lengths=lengths["source"],
            target_lengths=lengths["target"],
            durations=np.concatenate([pair.durations for pair in pairs]).astype(np.int64),
            source_phrases=phrases["source"],
            target_phrases=phrases["target"],
            source_speaker=tuple(pair.source_speaker for pair in pairs),
            target_speaker=tuple(pair.target_speaker for pair in pairs),
        )


def whole_rows(array: Float32, reduction: int) -> Float32:
    """Return (T // reduction, reduction * values per frame) of (T, ...)."""
    whole = len(array) // reduction
    return array[: whole * reduction].reshape(whole, -1)


def check(pair: PairArrays, index: int, reduction: int) -> None:
    """Raise ValueError where the arrays of pair number `index` do not fit together."""
    for side in ("source", "target"):
        mel, pitch, energy = (
            getattr(pair, f"{side}_{what}") for what in ("mel", "pitch", "energy")
        )
        if not len(mel) == len(pitch) == len(energy):
            raise ValueError(
                f"pair {index}: {side} has {len(mel)} frames of mel, "
                f"{len(pitch)} of pitch, {len(energy)} of energy"
            )
        if len(mel) < reduction:
            raise ValueError(f"pair {index}: {side} has {len(mel)} frames, needs {reduction}")
    expected = len(pair.source_mel) // reduction, len(pair.target_mel) // reduction
    found = len(pair.durations), int(pair.durations.sum())
    if found != expected or int(pair.durations.min()) < 0:
        raise ValueError(
            f"pair {index}: {found[0]} durations with sum {found[1]}, "
            f"expected {expected[0]} of at least 0 with sum {expected[1]}"
        )
    for side, length in zip(("source", "target"), expected, strict=True):
        phrases = getattr(pair, f"{side}_phrases")
        if phrases and (min(phrases) < 1 or sum(phrases) != length):
            raise ValueError(f"pair {index}: {side} phrases {phrases} do not make {length} frames")
    if len(pair.source_phrases) != len(pair.target_phrases):
        raise ValueError(
            f"pair {index}: {len(pair.source_phrases)} source and "
            f"{len(pair.target_phrases)} target phrases"
        )


def _rows(pairs: Sequence[PairArrays], side: str, what: str, reduction: int) -> Float32:
    """Lay one feature of one side end to end, with a last row of zeros."""
    rows = [whole_rows(getattr(pair, f"{side}_{what}"), reduction) for pair in pairs]
    return np.concatenate([*rows, np.zeros_like(rows[0][:1])]).astype(np.float32, copy=False)


# ---------------------------------------------------------------------- order


def epoch_order(
    lengths: npt.NDArray[np.integer[Any]], batch_size: int, group_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Return the batches of one epoch: every utterance exactly once.

    Utterances are drawn without replacement in groups of batch_size * group_size; a group is
    sorted by `lengths` (n,), cut into batches, and its batches are shuffled, so that the optimiser
    does not see short before long. The order depends on the arguments alone: it can be resumed
    from a batch's number, and other users of random numbers do not shift it.
    """
    draw = np.random.default_rng((seed, epoch))
    order = draw.permutation(len(lengths))
    size = batch_size * group_size
    batches: list[list[int]] = []
    for start in range(0, len(order), size):
        group = order[start : start + size]
        group = group[np.argsort(lengths[group], kind="stable")]
        cut = [group[i : i + batch_size].tolist() for i in range(0, len(group), batch_size)]
        batches += [cut[i] for i in draw.permutation(len(cut))]
    return batches


def in_parts(batch: Sequence[int], parts: int) -> list[list[int]]:
    """Cut a batch into at most `parts` runs of nearly equal size, none empty."""
    cuts = np.array_split(np.asarray(batch, dtype=np.int64), min(parts, len(batch)))
    return [cut.tolist() for cut in cuts]


class Padding(NamedTuple):
    """Real frames against the frames of the padded rectangles they stand in."""

    real: int
    padded: int  # real frames and padding together

    @property
    def share(self) -> float:
        """Padding's share of the padded frames, 0 to 1."""
        return 1 - self.real / self.padded if self.padded else 0.0


def padding_share(
    lengths: npt.NDArray[np.integer[Any]], batches: Sequence[Sequence[int]]
) -> Padding:
    """Count real and padded frames when utterances of `lengths` (n,) are batched so.

    The model computes on real frames only, attention aside; padding mostly costs memory.
    """
    real = sum(int(lengths[batch].sum()) for batch in map(np.asarray, batches))
    padded = sum(int(lengths[batch].max()) * len(batch) for batch in map(np.asarray, batches))
    return Padding(real, padded)

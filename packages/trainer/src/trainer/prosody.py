"""Phrase-level prosody as a mixture of Gaussians: how a phrase is said, drawn at use.

Du & Yu, "Rich prosody diversity modelling with phone-level mixture density network"
(arXiv:2102.00851), with phrases for phones and a global vector for the utterance.

In training an extractor hears each phrase of the target and sums it up in a vector e_k; a
predictor learns the distribution of e_k from the source's encoding of that phrase and the
vectors of the phrases before. At use the vectors are drawn from it. All of it is batch-proof: what
stands beyond a phrase's end is never read, and a draw depends on the utterance and the seed alone.

Shapes: P phrases of all utterances in order, B utterances of at most K phrases, D a vector's size.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.layers import Conv, Dropout
from trainer.packing import Packing, take

__all__ = ["BiGRU", "Draw", "Mixture", "MixtureHead", "PhraseProsody", "Said"]

CHANNELS = 8  # of the extractor's convolutions
NARROWED = 4  # the mel's bands are read in steps of this
HIDDEN = 512  # of the predictor's recurrence over phrases
LEAST_WEIGHT = 1e-7  # added to a component's weight
LEAST_SIGMA = 1e-3  # added to a component's deviation


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How vectors are drawn at use."""

    temperature: float = 0.0  # 0: the likeliest component's mean; 1: as learnt
    seed: int = 0
    # Which piece of one recording each utterance of a batch is: phrases then draw for themselves,
    # and the recording's own vector stays the same. None: as if each began a recording.
    pieces: tuple[int, ...] | None = None


class Mixture(NamedTuple):
    """Mixtures of M diagonal Gaussians over (..., D), in float32."""

    log_weight: Tensor  # (..., M)
    mean: Tensor  # (..., M, D)
    sigma: Tensor  # (..., M, D), > 0

    def nll(self, x: Tensor) -> Tensor:
        """Return the negative log likelihood of x (..., D): (...)."""
        sigma = self.sigma + LEAST_SIGMA
        z = (x.float()[..., None, :] - self.mean) / sigma
        log_normal = -0.5 * (z.square() + math.log(2 * math.pi)) - sigma.log()
        weight = torch.log(self.log_weight.exp() + LEAST_WEIGHT)
        return -torch.logsumexp(weight + log_normal.sum(-1), dim=-1)

    def drawn(self, temperature: float, uniform: Tensor, normal: Tensor) -> Tensor:
        """Draw (..., D) with `uniform` (..., M) in (0, 1) and `normal` (..., D) noise.

        `temperature` scales the deviation and flattens or sharpens the weights; 0 takes the
        likeliest component's mean.
        """
        scores = self.log_weight - temperature * torch.log(-torch.log(uniform))  # Gumbel's trick
        best = scores.argmax(-1)[..., None, None]
        chosen = best.expand(*best.shape[:-1], self.mean.shape[-1])
        mean, sigma = (each.gather(-2, chosen).squeeze(-2) for each in (self.mean, self.sigma))
        return mean + temperature * sigma * normal


class MixtureHead(nn.Linear):
    """From (..., inputs) to a `Mixture`, computed in float32 whatever the precision around it."""

    def __init__(self, inputs: int, size: int, components: int) -> None:
        super().__init__(inputs, components * (1 + 2 * size))
        self.components = components

    def forward(self, x: Tensor) -> Mixture:  # type: ignore[override]
        """Return the mixture that x tells."""
        with torch.autocast(x.device.type, enabled=False):
            found = functional.linear(x.float(), self.weight.float(), self.bias.float())
            weight, rest = found[..., : self.components], found[..., self.components :]
            mean, raw = rest.reshape(*rest.shape[:-1], self.components, -1).chunk(2, dim=-1)
            return Mixture(
                log_weight=functional.log_softmax(weight, dim=-1),
                mean=mean,
                # exp explodes on an unlucky input, and the deviation with it
                sigma=functional.elu(raw) + 1,
            )


class BiGRU(nn.Module):
    """Layers of forward and backward GRUs over sequences of unequal length.

    The backward one starts at each sequence's own last step, never in the padding.
    """

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        sizes = [inputs] + [2 * hidden] * (layers - 1)
        self.forth = nn.ModuleList(nn.GRU(each, hidden, batch_first=True) for each in sizes)
        self.back = nn.ModuleList(nn.GRU(each, hidden, batch_first=True) for each in sizes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return both directions' last states over x (P, L, inputs): (P, 2 * hidden).

        `lengths` (P,) are real steps; what a sequence without any gives means nothing.
        """
        lengths = lengths.clamp(min=1)
        mirror = _mirrored(lengths, x.shape[1])
        last = (lengths - 1)[:, None]
        for forth, back in zip(self.forth, self.back, strict=True):
            ahead, _ = forth(x)
            behind, _ = back(_at(x, mirror))
            x = torch.cat((ahead, _at(behind, mirror)), dim=-1)
        return torch.cat([_at(each, last) for each in (ahead, behind)], dim=-1).squeeze(1)


def _mirrored(lengths: Tensor, longest: int) -> Tensor:
    """Return the steps (P, L) of each sequence in reverse; padding stays where it is."""
    time = torch.arange(longest, device=lengths.device).expand(len(lengths), -1)
    return torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)


def _at(x: Tensor, steps: Tensor) -> Tensor:
    """Return x (P, L, C) at steps (P, K): (P, K, C), with a backward pass in a fixed order."""
    count, longest, channels = x.shape
    rows = torch.arange(count, device=x.device)[:, None] * longest + steps
    return take(x.reshape(-1, channels), rows)


class Said(NamedTuple):
    """What `PhraseProsody` gives back."""

    added: Tensor  # (Ms, width), to be added to the encoding
    phrase_nll: Tensor  # (P,) of what the target did, float32; 0 where there is no phrase
    global_nll: Tensor  # (B,)


class PhraseProsody(nn.Module):
    """Vectors of prosody for each phrase: heard from the target, or predicted."""

    def __init__(
        self,
        width: int,
        mels: int,
        size: int,
        components: int,
        global_components: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.extractor = _Extractor(mels, size)
        self.predictor = _Predictor(width, size, components, global_components, dropout)
        self.out = nn.Linear(size, width)

    def forward(
        self, encoded: Tensor, source: Packing, lengths: Tensor, mel: Tensor, target: Packing
    ) -> Said:
        """Return what to add to `encoded` (Ms, width), and how likely the target was.

        Parameters
        ----------
        source : the source's phrases, laid out by `pieces`
        lengths : (B, K) of them, reduced frames, 0 beyond the last
        mel : (Mt, r * mels), the target's
        target : the target's phrases, as many

        In training mode the target's own vectors are added; otherwise the likeliest.
        """
        place = _Place.of(lengths, len(source.valid))
        heard, whole = self.extractor(mel, target, place)
        heard_before = place.shifted(place.by_utterance(heard.detach()))
        phrases, utterance = self.predictor(encoded, source, place, heard_before, whole.detach())
        nll = phrases.nll(place.by_utterance(heard.detach())).masked_fill(lengths == 0, 0)
        phrase_nll = place.by_phrase(nll[..., None])
        vectors = heard if self.training else self.predict(encoded, source, lengths, None)
        return Said(
            added=self.spread(vectors, source),
            phrase_nll=phrase_nll.squeeze(-1),
            global_nll=utterance.nll(whole.detach()),
        )

    def spread(self, vectors: Tensor, source: Packing) -> Tensor:
        """Give every row of `source` its phrase's vector (P, D): (Ms, width)."""
        return take(self.out(vectors), source.utterance)

    def predict(
        self, encoded: Tensor, source: Packing, lengths: Tensor, draw: Draw | None
    ) -> Tensor:
        """Return a vector (P, D) for each phrase, drawn, or the likeliest."""
        place = _Place.of(lengths, len(source.valid))
        return place.by_phrase(self.predictor.drawn(encoded, source, place, draw or Draw()))


class _Extractor(nn.Module):
    """Hears phrases of a mel: a vector for each, and one for the whole."""

    def __init__(self, mels: int, size: int) -> None:
        super().__init__()
        self.mels = mels
        sizes = (1, CHANNELS, CHANNELS)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=(1, 2), padding=1) for a, b in itertools.pairwise(sizes)
        )
        bands = [-(-mels // 2), -(-mels // NARROWED)]
        self.norms = nn.ModuleList(nn.LayerNorm(each) for each in bands)
        self.phrases = BiGRU(CHANNELS * bands[1], size // 2, 2)
        self.whole = BiGRU(size, size // 2, 1)

    def forward(self, mel: Tensor, target: Packing, place: _Place) -> tuple[Tensor, Tensor]:
        """Return e (P, D) and g (B, D); e holds g."""
        rows = target.pad(mel)  # (P, L, r * mels)
        count, longest, stacked = rows.shape
        reduction = stacked // self.mels
        frames = rows.reshape(count, 1, longest * reduction, self.mels)
        real = target.valid.repeat_interleave(reduction, dim=1)[:, None, :, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            frames = functional.relu(norm(conv(frames.masked_fill(~real, 0))))
        # back to reduced frames: the mean over each one's frames
        pooled = frames.reshape(count, CHANNELS, longest, reduction, -1).mean(3)
        steps = pooled.transpose(1, 2).flatten(2)
        phrase = self.phrases(steps, target.valid.sum(1))
        whole = self.whole(place.by_utterance(phrase), place.count)
        return phrase + take(whole, place.utterance), whole


class _Predictor(nn.Module):
    """Predicts the distribution of every phrase's vector, one after the other."""

    def __init__(
        self, width: int, size: int, components: int, global_components: int, dropout: float
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Conv(width, width, 3) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = Dropout(dropout)
        self.gru = nn.GRU(width + 2 * size, HIDDEN, 2, batch_first=True)
        self.phrase = MixtureHead(HIDDEN, size, components)
        self.whole = MixtureHead(width, size, global_components)
        self.size = size

    def forward(
        self, encoded: Tensor, source: Packing, place: _Place, before: Tensor, given: Tensor
    ) -> tuple[Mixture, Mixture]:
        """Return the mixtures of all phrases (B, K), and of the utterances (B,).

        `before` (B, K, D) are the vectors of the phrases before, `given` (B, D) the utterances'.
        """
        pooled, whole = self._pooled(encoded, source, place)
        utterance = given[:, None].expand(-1, pooled.shape[1], -1)
        known = [each.to(pooled.dtype) for each in (before, utterance)]
        hidden, _ = self.gru(torch.cat((pooled, *known), dim=-1))
        return self.phrase(hidden), self.whole(whole)

    def drawn(self, encoded: Tensor, source: Packing, place: _Place, draw: Draw) -> Tensor:
        """Draw vectors (B, K, D), each knowing the utterance's and those before it."""
        pooled, whole = self._pooled(encoded, source, place)
        noise = _Noise(draw, pooled.device)
        given = noise.whole(self.whole(whole))[:, None].to(pooled.dtype)
        last, state, found = torch.zeros_like(given), None, []
        for phrase in torch.split(pooled, 1, dim=1):
            hidden, state = self.gru(torch.cat((phrase, last, given), dim=-1), state)
            vector = noise.phrase(self.phrase(hidden))
            found.append(vector)
            last = vector.to(pooled.dtype)
        return torch.cat(found, dim=1)

    def _pooled(self, encoded: Tensor, source: Packing, place: _Place) -> tuple[Tensor, Tensor]:
        """Return the mean encoding of every phrase (B, K, width) and utterance (B, width)."""
        x = encoded
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = self.dropout(norm(functional.relu(conv(x, source.real))))
        rows = source.pad(x).masked_fill(~source.valid[..., None], 0)
        frames = source.valid.sum(1)[:, None]
        sums = place.by_utterance(rows.sum(1))
        lengths = place.by_utterance(frames.to(sums.dtype))
        whole = sums.sum(1) / lengths.sum(1)
        return sums / lengths.clamp(min=1), whole


class _Noise:
    """Draws from mixtures with the same noise for every utterance of a batch.

    So that none depends on its neighbours, and more phrases do not change the first ones. Pieces
    of one recording share the noise of the whole, and each has its own for its phrases.
    """

    def __init__(self, draw: Draw, device: torch.device) -> None:
        self._temperature = draw.temperature
        self._common = torch.Generator().manual_seed(draw.seed)
        self._own = [
            torch.Generator().manual_seed(_mixed(draw.seed, piece)) if piece else self._common
            for piece in (draw.pieces or (0,))
        ]
        self._device = device

    def whole(self, mixture: Mixture) -> Tensor:
        """Draw (B, D), the utterances' vectors."""
        return self._drawn(mixture, [self._common])

    def phrase(self, mixture: Mixture) -> Tensor:
        """Draw (B, 1, D), those of one phrase of each."""
        return self._drawn(mixture, self._own)

    def _drawn(self, mixture: Mixture, sources: list[torch.Generator]) -> Tensor:
        *_, components, size = mixture.mean.shape
        noise = []
        for each in sources:
            uniform = torch.rand(components, generator=each).clamp(1e-30, 1 - 1e-7)
            noise.append((uniform, torch.randn(size, generator=each)))
        shape = (len(noise), *[1] * (mixture.log_weight.dim() - 2), -1)
        uniforms, normals = (torch.stack(each).view(shape) for each in zip(*noise, strict=True))
        return mixture.drawn(self._temperature, uniforms.to(self._device), normals.to(self._device))


def _mixed(seed: int, piece: int) -> int:
    """Return a seed for a piece that has nothing to do with its neighbours'."""
    return int(np.random.SeedSequence((seed, piece)).generate_state(1, np.uint64)[0])


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where phrases (P, ...) stand in (B, K, ...), and back."""

    index: Tensor  # (B, K) int64: the phrase; P where there is none
    chosen: Tensor  # (P,) int64: b * K + k
    utterance: Tensor  # (P,) int64: b
    count: Tensor  # (B,) int64: phrases of each utterance

    @classmethod
    def of(cls, lengths: Tensor, count: int) -> _Place:
        """`lengths` (B, K) are the phrases' lengths, 0 beyond an utterance's last."""
        there = lengths > 0
        rank = (there.flatten().cumsum(0) - 1).view_as(lengths)
        chosen = torch.argsort((~there.flatten()).to(torch.uint8), stable=True)[:count]
        return cls(
            index=rank.masked_fill(~there, count),
            chosen=chosen,
            utterance=chosen // lengths.shape[1],
            count=there.sum(1),
        )

    def by_utterance(self, x: Tensor) -> Tensor:
        """Set (P, C) out as (B, K, C), zero where there is no phrase."""
        return take(functional.pad(x, (0, 0, 0, 1)), self.index)

    def by_phrase(self, x: Tensor) -> Tensor:
        """Undo `by_utterance`: (B, K, C) -> (P, C)."""
        return take(x.flatten(0, 1), self.chosen)

    def shifted(self, x: Tensor) -> Tensor:
        """Return (B, K, C) one phrase later, zero before the first."""
        return functional.pad(x[:, :-1], (0, 0, 1, 0))

"""The training loss, in sums and counts, so that a mean is always a mean over real frames.

    mel, postnet       L1 over mel bands of real target frames, before and after the PostNet
    duration           squared error of log(d + 1) over real reduced source frames
    pitch, energy      squared error over real target frames
    align, path        negative log likelihood of all monotonic alignments, over source frames, and
                       of the best, over target frames, of models that search their durations
    phrase, global     negative log likelihood of the target's prosody over phrases and utterances,
                       of models that have it, each with its weight

A mean of batch means depends on how a split was cut into batches; a sum of sums over a sum of
counts does not. Training steps on `batch_loss`; what is reported comes from an `Accumulator`.
All arithmetic is float32 (sums over a split float64), also under autocast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.batches import Batch
from trainer.config import ModelConfig
from trainer.model import Outputs, whole_durations
from trainer.packing import stack

__all__ = [
    "NAMES",
    "TOTAL",
    "WHOLE",
    "Accumulator",
    "Share",
    "Term",
    "batch_loss",
    "reported_weights",
    "shares",
    "spoken",
    "sums",
    "total",
    "weights_of",
]

NAMES = ("mel", "postnet", "duration", "pitch", "energy")
TOTAL = "total"


class Term(NamedTuple):
    """One loss over some frames: the mean is summed / counted."""

    summed: Tensor  # () float
    counted: Tensor  # () float, values summed


def sums(outputs: Outputs, batch: Batch) -> dict[str, Term]:
    """Return each term of `NAMES` over the real frames of `batch`; padding may hold anything."""
    reduction = batch.target_pitch.shape[1] // outputs.pitch.shape[1]
    frames = outputs.target_mask.repeat_interleave(reduction, dim=1)[..., None]
    source, target = outputs.source_mask, outputs.target_mask[..., None]
    pitch = stack(batch.target_pitch[..., None], reduction)
    energy = stack(batch.target_energy[..., None], reduction)
    durations = outputs.aligned.durations if outputs.aligned else batch.durations
    terms = {
        "mel": _absolute(outputs.mel, batch.target_mel, frames),
        "postnet": _absolute(outputs.postnet, batch.target_mel, frames),
        "duration": _squared(outputs.log_duration, torch.log1p(durations.float()), source),
        "pitch": _squared(outputs.pitch, pitch, target),
        "energy": _squared(outputs.energy, energy, target),
    }
    if outputs.aligned is not None:
        found = outputs.aligned
        counts = source.sum().float(), outputs.target_mask.sum().float() * reduction
        terms["align"] = Term(found.forward_sum.sum(), counts[0])
        terms["path"] = Term(found.binarisation.sum(), counts[1])
    if outputs.phrase_nll is not None and outputs.global_nll is not None:
        assert batch.phrases is not None
        phrases, utterances = outputs.phrase_nll, outputs.global_nll
        terms["phrase"] = Term(phrases.sum(), (batch.phrases > 0).sum().to(phrases.dtype))
        terms["global"] = Term(utterances.sum(), torch.ones_like(utterances).sum())
    return terms


def spoken(outputs: Outputs) -> Term:
    """Return how many reduced frames the predicted durations make, and how many there are."""
    durations = whole_durations(outputs.log_duration, outputs.source_mask)
    return Term(durations.sum().float(), outputs.target_mask.sum().float())


def weights_of(model: ModelConfig) -> dict[str, float]:
    """Return the weight of each term of a model's loss."""
    weights = dict.fromkeys(NAMES, 1.0)
    if model.align == "search":
        weights |= {"align": model.align_weight, "path": model.align_weight}
    if model.prosody != "none":
        weights |= {"phrase": model.prosody_weight, "global": model.prosody_global_weight}
    return weights


def reported_weights(model: ModelConfig) -> dict[str, float]:
    """Return the weight of each term in a reported total: 1 for those of `NAMES`, else 0.

    A reported total tells how far conversions are from their targets: models of all kinds
    compare, and the best checkpoint is not chosen by what only helps a model to learn.
    """
    return {name: float(name in NAMES) for name in weights_of(model)}


def total(means: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
    """Return the whole loss from its terms' means; every weight is 1 but those given."""
    weights = weights or {}
    return torch.stack([mean * weights.get(name, 1.0) for name, mean in means.items()]).sum()


@dataclass(frozen=True, kw_only=True)
class Share:
    """How much of a batch one part of it holds, 0 to 1."""

    source: float = 1.0  # real frames
    target: float = 1.0
    phrases: float = 1.0
    utterances: float = 1.0

    def of(self, name: str) -> float:
        """Return the share of what term `name` counts."""
        counted = {
            "duration": self.source,
            "align": self.source,
            "phrase": self.phrases,
            "global": self.utterances,
        }
        return counted.get(name, self.target)


WHOLE = Share()


def shares(counts: Sequence[Mapping[str, int]]) -> list[Share]:
    """Return each part's share of the whole batch; `counts` are what each part holds."""
    whole = {name: sum(each[name] for each in counts) for name in counts[0]}
    return [Share(**{name: own / whole[name] for name, own in each.items()}) for each in counts]


def batch_loss(
    terms: Mapping[str, Term], share: Share = WHOLE, weights: Mapping[str, float] | None = None
) -> Tensor:
    """Return the loss to step on: each term's mean over what it counts in the batch, summed.

    For a part of a batch, `share` makes it this part's summand: the parts' losses add up to the
    loss of the batch, whatever the batch was cut into.
    """
    means = {k: term.summed / term.counted * share.of(k) for k, term in terms.items()}
    return total(means, weights)


class Accumulator:
    """Sums and counts of a whole split, kept on the device until they are asked for.

    Example::

        running = Accumulator()
        for indices in order:
            running.add(sums(model(batch), batch))
        running.means()  # {"mel": 0.41, ..., "total": 1.93}
    """

    def __init__(
        self, weights: Mapping[str, float] | None = None, held: Tensor | None = None
    ) -> None:
        """Start from nothing, or from the `held` sums of an interrupted epoch.

        `weights` names the terms and weighs them; the default are those of `NAMES`, each 1.
        """
        self._weights = dict(weights) if weights else dict.fromkeys(NAMES, 1.0)
        self._held = held  # (terms, 2) float64

    @property
    def weights(self) -> dict[str, float]:
        """The terms by name, and what each weighs."""
        return self._weights

    @property
    def held(self) -> Tensor | None:
        """Sums and counts so far, (terms, 2) float64, for a checkpoint; None before any."""
        return self._held

    def add(self, terms: Mapping[str, Term]) -> None:
        """Add one batch's sums and counts, if there are any; no wait for the device."""
        if not terms:
            return
        pairs = torch.stack([torch.stack(terms[name]) for name in self._weights]).detach().double()
        self._held = pairs if self._held is None else self._held + pairs

    def means(self) -> dict[str, float]:
        """Return each term's mean over all frames added so far, and their `TOTAL`.

        Raises
        ------
        ValueError
            Nothing was added.
        """
        if self._held is None:
            raise ValueError("a mean of no frames")
        held = self._held.cpu()
        means = dict(zip(self._weights, held[:, 0] / held[:, 1], strict=True))
        whole = means | {TOTAL: total(means, self._weights)}
        return {name: float(mean) for name, mean in whole.items()}


def _absolute(found: Tensor, truth: Tensor, real: Tensor) -> Term:
    error = _error(found, truth, real)
    return Term(error.abs().sum(), _count(error, real))


def _squared(found: Tensor, truth: Tensor, real: Tensor) -> Term:
    error = _error(found, truth, real)
    return Term(error.square().sum(), _count(error, real))


def _error(found: Tensor, truth: Tensor, real: Tensor) -> Tensor:
    """Return found - truth in at least float32, 0 where not `real`, whatever stands there."""
    precise = torch.promote_types(found.dtype, torch.float32)
    return (found.to(precise) - truth).masked_fill(~real, 0)


def _count(error: Tensor, real: Tensor) -> Tensor:
    """Return how many values of `error` are real, as its dtype."""
    return real.sum().to(error.dtype) * (error.numel() // real.numel())

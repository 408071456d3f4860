"""One optimiser step, and what it carries from step to step."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from corpuskit.errors import BadSetting
from trainer.averaging import RunningMean
from trainer.batches import Batch
from trainer.config import RunConfig
from trainer.device import autocast, reseed, scaler
from trainer.distributed import ALONE, World
from trainer.graphs import Recorder, Replays, Took
from trainer.losses import WHOLE, Share, Term, batch_loss, sums, weights_of
from trainer.model import FS2VC
from trainer.schedule import lr

__all__ = ["Cut", "Fault", "Learner", "freeze"]

LAST = "last/"  # begins the names of the last step's weights where a running mean is used
MOST_SKIPPED = 30  # fp16: so many steps in a row without a finite gradient are no calibration


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The first step of an epoch whose numbers were none."""

    batch: int  # position in the epoch's order
    what: str


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What the parts of a batch are of the whole of it, part by part."""

    shares: Sequence[Share]
    keys: Sequence[tuple[int, ...]]  # what their random numbers depend on


class Learner:
    """Model, optimiser and loss scaler on one device.

    A step never waits for the device: the learning rate is looked up there by the
    optimiser's own count of steps, so a step the loss scaler skips moves no schedule, and
    whether a loss was no number is remembered there until somebody asks.
    """

    def __init__(
        self,
        config: RunConfig,
        speakers: int,
        device: torch.device,
        precision: str,
        last_step: int,
        recorder: Recorder | None = None,
        world: World = ALONE,
    ) -> None:
        """Build everything anew; `last_step` is the last step the schedule must know.

        With a `recorder` steps of the same shape are recorded and replayed, whose batches must
        not come in parts; the other processes of a `world` take each step too.
        """
        optim = config.optim
        self.device = device
        self.precision = precision
        self.model = FS2VC(config.model, speakers).to(device)
        freeze(self.model, config.train.freeze)
        self.parameters = [each for each in self.model.parameters() if each.requires_grad]
        self._averaged = RunningMean(self.model, optim.ema) if optim.ema else None
        self.optimiser = torch.optim.Adam(
            self.parameters,
            lr=torch.zeros((), device=device),
            betas=optim.betas,
            eps=optim.eps,
            fused=True,
            capturable=device.type == "cuda",  # may be recorded: see graphs
        )
        self.scaler = scaler(device, precision)
        self._world = world
        self._clip = optim.clip
        self._weights = weights_of(config.model)
        rates = [lr(step, optim.warm_up, optim.cap) for step in range(1, last_step + 2)]
        self._rates = torch.tensor(rates, device=device)  # float32; of step 1, 2, ...
        self._zero = torch.zeros((), device=device)
        self._skipped = torch.zeros((), device=device)  # steps in a row
        self._loss: Tensor | None = None
        self._replays = None
        if recorder is not None and not self.scaler.is_enabled():
            compute, changed = (lambda batch: self._compute([batch])), self._changed_by_a_step
            self._replays = Replays(compute, changed, recorder)
        self._fault = torch.full((3,), -1.0, dtype=torch.float64, device=device)

    def step(self, parts: Sequence[Batch], index: int, cut: Cut | None = None) -> dict[str, Term]:
        """Learn from one batch, the epoch's `index`-th; returns its losses as sums and counts.

        A batch may come in several parts; their gradients add up to the whole batch's, also with
        those of other processes. Without a `cut` there is one part, whose random numbers are the
        next ones.
        """
        if self._replays is not None and len(parts) == 1:
            if cut:
                reseed(self.device, cut.keys[0])
            took = self._replays(parts[0])
        else:
            took = self._compute(parts, cut)
        if self._averaged is not None:
            self._averaged.update(self.model)
        self._watch(took.loss, took.norm, index)
        return {name: Term(*term) for name, term in took.terms.items()}

    def _compute(self, parts: Sequence[Batch], cut: Cut | None = None) -> Took:
        """Step; nothing here may depend on anything but shapes and what is on the device."""
        # a step that broke off, because it could not be recorded, may have left some
        self.optimiser.zero_grad(set_to_none=True)
        terms: dict[str, Term] = {}
        loss = self._zero
        shares = cut.shares if cut else [WHOLE]
        for number, (part, share) in enumerate(zip(parts, shares, strict=True)):
            if cut:
                reseed(self.device, cut.keys[number])
            with autocast(self.device, self.precision):
                outputs = self.model(part)
            found = sums(outputs, part)
            partial = batch_loss(found, share, self._weights)
            self.scaler.scale(partial).backward()  # type: ignore[no-untyped-call]
            terms = _added(terms, found)
            loss = loss + partial.detach()
        loss = self._with_others(loss)
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.parameters, self._clip)
        self._set_rate()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        return Took(loss=loss, norm=norm, terms=dict(terms))

    def _changed_by_a_step(self) -> list[Tensor]:
        """Return what `_compute` changes, once a first step was taken."""
        states = [self.optimiser.state[each] for each in self.parameters]
        return [*self.parameters, *(each for state in states for each in state.values())]

    @property
    def rounded(self) -> bool:
        """Whether batches should come in few shapes."""
        return self._replays is not None

    @property
    def problem(self) -> str:
        """Why steps are not replayed though they should be; empty where nothing is wrong."""
        return "" if self._replays is None else self._replays.problem

    def _with_others(self, loss: Tensor) -> Tensor:
        """Add up the gradients of all processes, in one exchange; returns the batch's loss."""
        if self._world.size == 1:
            return loss
        shapes = [each.shape for each in self.parameters]
        held = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        flat = self._world.sum(torch.cat([*(each.flatten() for each in held), loss.view(1)]))
        sizes = [*(shape.numel() for shape in shapes), 1]
        *gradients, loss = torch.split(flat, sizes)
        for parameter, gradient, shape in zip(self.parameters, gradients, shapes, strict=True):
            parameter.grad = gradient.view(shape)
        return loss.view(())

    def check_same(self, epoch: int) -> None:
        """Make sure that all processes hold the same weights; waits for the device.

        Raises
        ------
        CorpuskitError
            They do not: devices of different kinds, maybe, that round differently.
        """
        if self._world.size > 1:
            total = torch.stack([each.detach().double().sum() for each in self.parameters]).sum()
            name = f"in epoch {epoch} the sum of the weights"
            self._world.check_same({name: repr(float(total))})

    @property
    def used(self) -> FS2VC:
        """The model to score, keep and use: the running mean of the weights, or the last."""
        return self.model if self._averaged is None else self._averaged.module

    def weights(self) -> dict[str, Tensor]:
        """Return the tensors of the model to use."""
        return self.used.state_dict()

    def last_weights(self) -> dict[str, Tensor]:
        """Return the last step's own tensors where they are not `weights`, as "last/NAME"."""
        if self._averaged is None:
            return {}
        return {f"{LAST}{name}": value for name, value in self.model.state_dict().items()}

    def load(self, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
        """Put back `weights` and, where they were averaged, `last_weights` from `tensors`."""
        own = {k.removeprefix(LAST): v for k, v in tensors.items() if k.startswith(LAST)}
        self.model.load_state_dict(own or weights)
        if self._averaged is not None:
            self._averaged.module.load_state_dict(weights)

    def count_average(self) -> None:
        """Let the running mean know how many steps it is made of."""
        if self._averaged is not None:
            self._averaged.count_from(self.steps)

    def _set_rate(self) -> None:
        rate = self._rates.index_select(0, self._clock.long().view(1)).view(())
        for group in self.optimiser.param_groups:
            group["lr"].copy_(rate)

    @property
    def _clock(self) -> Tensor:
        """Steps the optimiser has really taken, on the device."""
        state = self.optimiser.state.get(self.parameters[0])
        return state["step"] if state else self._zero

    def _watch(self, loss: Tensor, norm: Tensor, index: int) -> None:
        """Remember the first step whose loss or gradient is no number."""
        finite = torch.isfinite(norm)
        if self.scaler.is_enabled():  # it skips such steps while it looks for its scale
            self._skipped = torch.where(finite, self._zero, self._skipped + 1)
            finite = self._skipped < MOST_SKIPPED
        faulty = ~(finite & torch.isfinite(loss)) & (self._fault[0] < 0)
        now = torch.stack([torch.full_like(loss, index), loss, norm]).double()
        self._fault = torch.where(faulty, now, self._fault)
        self._loss = loss

    @property
    def steps(self) -> int:
        """Steps the optimiser has really taken; waits for the device."""
        return int(self._clock)

    def last_loss(self) -> float | None:
        """Return the loss of the last step; waits for the device."""
        return None if self._loss is None else float(self._loss)

    def fault(self) -> Fault | None:
        """Return the first step that went wrong since the learner was built, if one did."""
        batch, loss, norm = self._fault.tolist()
        if batch < 0:
            return None
        if loss - loss != 0:
            return Fault(batch=int(batch), what=f"the loss is {loss}")
        if self.scaler.is_enabled():
            what = f"no finite gradient in {MOST_SKIPPED} steps, whatever the loss scale"
            return Fault(batch=int(batch), what=what)
        return Fault(batch=int(batch), what=f"the gradient's norm is {norm}")


def freeze(model: nn.Module, parts: Sequence[str]) -> None:
    """Let the named parts of a model ("encoder", "variance.pitch") stay as they are.

    Raises
    ------
    BadSetting
        The model has no such part, or nothing would be left to learn.
    """
    known = [name for name, _ in model.named_modules() if name]
    for part in parts:
        if part not in known:
            close = difflib.get_close_matches(part, known, n=1, cutoff=0.5)
            raise BadSetting(
                f"train.freeze names {part!r}, which the model does not have",
                f"did you mean {close[0]!r}?"
                if close
                else "its parts: " + ", ".join(name for name, _ in model.named_children()),
            )
        model.get_submodule(part).requires_grad_(False)
    if not any(each.requires_grad for each in model.parameters()):
        raise BadSetting("train.freeze leaves nothing to learn", "name fewer parts")


def _added(terms: Mapping[str, Term], more: Mapping[str, Term]) -> dict[str, Term]:
    """Return the sums and counts of two parts together, without their graphs."""
    plain = {name: Term(*(each.detach() for each in term)) for name, term in more.items()}
    if not terms:
        return plain
    return {
        name: Term(*(a + b for a, b in zip(terms[name], term, strict=True)))
        for name, term in plain.items()
    }

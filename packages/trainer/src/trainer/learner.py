"""One optimiser step, and what it carries from step to step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.batches import Batch
from trainer.config import RunConfig
from trainer.device import autocast, scaler
from trainer.losses import Term, batch_loss, sums
from trainer.model import FS2VC
from trainer.schedule import lr

__all__ = ["Fault", "Learner"]

MOST_SKIPPED = 30  # fp16: so many steps in a row without a finite gradient are no calibration


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The first step of an epoch whose numbers were none."""

    batch: int  # position in the epoch's order
    what: str


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
    ) -> None:
        """Build everything anew; `last_step` is the last step the schedule must know."""
        optim = config.optim
        self.device = device
        self.precision = precision
        self.model = FS2VC(config.model, speakers).to(device)
        self.parameters = list(self.model.parameters())
        self.optimiser = torch.optim.Adam(
            self.parameters,
            lr=torch.zeros((), device=device),
            betas=optim.betas,
            eps=optim.eps,
            fused=True,
        )
        self.scaler = scaler(device, precision)
        self._clip = optim.clip
        rates = [lr(step, optim.warm_up, optim.cap) for step in range(1, last_step + 2)]
        self._rates = torch.tensor(rates, device=device)  # float32; of step 1, 2, ...
        self._zero = torch.zeros((), device=device)
        self._skipped = torch.zeros((), device=device)  # steps in a row
        self._loss: Tensor | None = None
        self._fault = torch.full((3,), -1.0, dtype=torch.float64, device=device)

    def step(self, batch: Batch, index: int) -> dict[str, Term]:
        """Learn from one batch, the epoch's `index`-th; returns its losses as sums and counts."""
        with autocast(self.device, self.precision):
            outputs = self.model(batch)
        terms = sums(outputs, batch)
        loss = batch_loss(terms)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.parameters, self._clip)
        self._set_rate()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        self._watch(loss.detach(), norm, index)
        return terms

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

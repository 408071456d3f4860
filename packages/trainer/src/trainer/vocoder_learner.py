"""One step of a vocoder: the discriminators learn, then the generator against them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from corpuskit.config import DatasetConfig
from trainer import checkpoint
from trainer.device import autocast, scaler
from trainer.vocoders.config import VocoderConfig
from trainer.vocoders.discriminators import Discriminators
from trainer.vocoders.generator import Generator
from trainer.vocoders.losses import adversarial_loss, discriminator_loss, feature_loss
from trainer.vocoders.mel import MelSpectrum
from trainer.vocoders.public import fused, public_names

__all__ = ["LOSSES", "VocoderLearner", "normed"]

LOSSES = ("generator", "discriminators", "features", "mel")  # of a step, in this order
OTHERS = "discriminators/"  # begins the names of the discriminators' tensors
MOST_SKIPPED = 30  # fp16: so many steps in a row without a finite loss are no calibration


def normed(generator: Generator) -> Generator:
    """Put a generator's convolutions under weight normalisation, in place."""
    convolutions = [
        each for each in generator.modules() if isinstance(each, nn.Conv1d | nn.ConvTranspose1d)
    ]
    for each in convolutions:
        weight_norm(each)
    return generator


class VocoderLearner:
    """Generator, discriminators and their optimisers on one device; a step never waits for it."""

    def __init__(
        self, config: VocoderConfig, dataset: DatasetConfig, device: torch.device, precision: str
    ) -> None:
        optim, rate = config.optim, dataset.audio.rate
        self.device = device
        self.generator = normed(Generator(config.generator)).to(device)
        self.discriminators = Discriminators(config.discriminators).to(device)
        self._sizes = config.generator
        self._optim = optim
        self._precision = precision
        loss_fmax = optim.mel_fmax or rate / 2
        self._loss_mel = MelSpectrum(dataset.features, rate, loss_fmax).to(device)
        self._optimisers = [
            torch.optim.AdamW(
                module.parameters(),
                lr=optim.lr,
                betas=optim.betas,
                weight_decay=optim.weight_decay,
                fused=True,
            )
            for module in (self.discriminators, self.generator)
        ]
        self.scaler = scaler(device, precision)
        self._skipped = torch.zeros((), device=device)  # steps in a row
        self._faulty = torch.full((), -1.0, device=device)  # the first batch that went wrong
        self._last: Tensor | None = None

    def set_rate(self, epochs: int) -> float:
        """Set the learning rate after so many epochs; returns it."""
        rate = self._optim.lr * self._optim.decay**epochs
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
        return rate

    def step(self, mel: Tensor, recorded: Tensor, index: int) -> Tensor:
        """Learn from segments, the epoch's `index`-th batch; returns `LOSSES`, (4,).

        Parameters
        ----------
        mel : (batch, bands, frames) natural log
        recorded : (batch, frames * hop) samples
        """
        with autocast(self.device, self._precision):
            made = self.generator(mel)
        against = self._teach_discriminators(recorded, made.detach())
        adversarial, features, mels = self._teach_generator(recorded, made)
        self.scaler.update()
        losses = torch.stack([adversarial, against, features, mels])
        self._watch(losses, index)
        return losses

    def _teach_discriminators(self, recorded: Tensor, made: Tensor) -> Tensor:
        optimiser, _ = self._optimisers
        self.discriminators.requires_grad_(True)
        with autocast(self.device, self._precision):
            loss = discriminator_loss(self.discriminators(recorded), self.discriminators(made))
        self._descend(optimiser, loss)
        return loss.detach()

    def _teach_generator(self, recorded: Tensor, made: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        _, optimiser = self._optimisers
        self.discriminators.requires_grad_(False)  # they only judge now
        with autocast(self.device, self._precision):
            with torch.no_grad():
                real = self.discriminators(recorded)
            fake = self.discriminators(made)
            adversarial, features = adversarial_loss(fake), feature_loss(real, fake)
        heard, wanted = self._loss_mel.segment(made), self._loss_mel.segment(recorded)
        mels = (heard - wanted).abs().mean()
        weights = self._optim.feature_weight, self._optim.mel_weight
        self._descend(optimiser, adversarial + weights[0] * features + weights[1] * mels)
        return adversarial.detach(), features.detach(), mels.detach()

    def _descend(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(optimiser)

    def _watch(self, losses: Tensor, index: int) -> None:
        """Remember the first batch whose losses are no numbers."""
        finite = losses.isfinite().all()
        if self.scaler.is_enabled():  # it skips such steps while it looks for its scale
            self._skipped = torch.where(finite, torch.zeros_like(self._skipped), self._skipped + 1)
            finite = self._skipped < MOST_SKIPPED
        first = ~finite & (self._faulty < 0)
        self._faulty = torch.where(first, torch.full_like(self._faulty, index), self._faulty)
        self._last = losses

    def fault(self) -> int | None:
        """Return the first batch that went wrong, if one did; waits for the device."""
        batch = int(self._faulty)
        return None if batch < 0 else batch

    def last_loss(self) -> float | None:
        """Return the mel loss of the last step; waits for the device."""
        return None if self._last is None else float(self._last[LOSSES.index("mel")])

    @property
    def steps(self) -> int:
        """Steps the generator's optimiser has really taken; waits for the device."""
        _, optimiser = self._optimisers
        states = list(optimiser.state.values())
        return int(states[0]["step"]) if states else 0

    def weights(self) -> dict[str, Tensor]:
        """Return the generator's tensors under their published names."""
        return public_names(self.generator.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """Return everything else that training goes on from."""
        against, own = self._optimisers
        return {
            **{f"{OTHERS}{k}": value for k, value in self.discriminators.state_dict().items()},
            **checkpoint.optimiser_tensors(self.discriminators, against),
            **checkpoint.optimiser_tensors(self.generator, own),
        }

    def load(self, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
        """Put back what `weights` and `tensors` returned."""
        own = self.generator.state_dict()
        published = dict(zip(public_names(own), own, strict=True))
        self.generator.load_state_dict({published[k]: value for k, value in weights.items()})
        judges = {k.removeprefix(OTHERS): v for k, v in tensors.items() if k.startswith(OTHERS)}
        self.discriminators.load_state_dict(judges)
        against, mine = self._optimisers
        checkpoint.restore_optimiser(self.discriminators, against, tensors)
        checkpoint.restore_optimiser(self.generator, mine, tensors)

    def fused(self) -> Generator:
        """Return the generator as it is now for use: evaluated, without normalisation's cost."""
        generator = Generator(self._sizes).to(self.device)
        generator.load_state_dict(fused(self.weights(), "the generator"))
        return generator.eval().requires_grad_(False)

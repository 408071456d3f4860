"""HiFi-GAN as a vocoder: a trained generator, from the mel alone.

>>> vocoder = HifiGan.open(Path("universal/g_02500000"), settings.features, 22050)
>>> samples = vocoder(Speech(mel=mel, f0=f0))
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from corpuskit.config import FeatureConfig
from trainer.vocoders import public
from trainer.vocoders.generator import Generator, samples_of
from trainer.vocoders.speech import Float32, Speech

__all__ = ["HifiGan"]

CHUNK = 512  # frames made at once: memory stays flat however long the mel is
_ONE_AT_A_TIME = threading.Lock()  # on CUDA: how exactly it computes is the process' setting


class HifiGan:
    """Speech from a mel by a generator: the same mel, the same samples; F0 is not looked at."""

    hears_f0 = False

    def __init__(
        self,
        checkpoint: public.Public,
        device: torch.device,
        again: tuple[Callable[..., HifiGan], tuple[Any, ...]],
    ) -> None:
        """Prepare for the mels of `checkpoint`, on `device`.

        Another process is not sent the weights, but `again`: what opens it there, and with what.
        """
        self.name = f"hifigan-{checkpoint.digest[:6]}"
        self._config = checkpoint.config
        self._device = device
        self._again = again
        with torch.device("meta"):
            generator = Generator(checkpoint.config)
        generator.load_state_dict(dict(checkpoint.weights), assign=True)
        self._generator = generator.to(device).eval().requires_grad_(False)

    @classmethod
    def open(cls, path: Path, settings: FeatureConfig, rate: int, device: str = "cpu") -> Self:
        """Load a public checkpoint for mels made with `settings` from samples at `rate` Hz.

        Raises
        ------
        BadVocoder
            The checkpoint cannot be used; the message says why.
        BadSetting
            It was trained on other mels, or its config.json is no generator's.
        """
        checkpoint = public.read(path)
        checkpoint.mels.check(settings, rate, f"vocoder {path}")
        return cls(checkpoint, torch.device(device), (_opened, (path, settings, rate, device)))

    def __reduce__(self) -> tuple[Callable[..., HifiGan], tuple[Any, ...]]:
        return self._again

    def __call__(self, speech: Speech) -> Float32:
        """Turn T frames into ((T - 1) * hop,) samples between -1 and 1."""
        if len(speech) < 2:
            return np.zeros(0, dtype=np.float32)
        mel = torch.from_numpy(np.ascontiguousarray(speech.mel.T, dtype=np.float32))
        with torch.inference_mode(), _exactly(self._device):
            samples = samples_of(self._generator, self._config, mel.to(self._device), CHUNK)
        made: Float32 = samples.cpu().numpy()
        return made


@lru_cache(maxsize=1)
def _opened(path: Path, settings: FeatureConfig, rate: int, device: str) -> HifiGan:
    """Open a vocoder once in a process that is sent it with every task."""
    return HifiGan.open(path, settings, rate, device)


@contextmanager
def _exactly(device: torch.device) -> Iterator[None]:
    """Have convolutions computed in float32 all through, which CUDA would shorten to 10 bits."""
    if device.type != "cuda":
        yield
        return
    with (
        _ONE_AT_A_TIME,
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
    ):
        yield

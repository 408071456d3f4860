"""Vocoders by their configured name.

griffinlim   fast Griffin-Lim: no training, no F0
world        WORLD: no training, cleaner than Griffin-Lim where the F0 is right
hifigan:PATH HiFi-GAN with the weights of a public checkpoint
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from corpuskit.config import FeatureConfig
from corpuskit.errors import unknown
from trainer.vocoders.griffinlim import GriffinLim
from trainer.vocoders.speech import Vocoder
from trainer.vocoders.world import World

__all__ = ["VOCODERS", "choose"]

VOCODERS: dict[str, Callable[[FeatureConfig, int], Vocoder]] = {
    "griffinlim": GriffinLim,
    "world": World,
}


HIFIGAN = "hifigan:"  # begins the name of one that is in a file


def choose(name: str, settings: FeatureConfig, rate: int, device: str = "cpu") -> Vocoder:
    """Return the vocoder `name` for mels made with `settings` from samples at `rate` Hz.

    One that is a network computes on `device`, cpu or cuda.

    Raises
    ------
    UnknownName
        There is no such vocoder.
    BadVocoder, BadSetting
        Its weights cannot be used, or not for such mels.
    """
    if name.startswith(HIFIGAN):
        from trainer.vocoders.hifigan import HifiGan  # torch, which the others do without

        return HifiGan.open(Path(name.removeprefix(HIFIGAN)), settings, rate, device)
    if name not in VOCODERS:
        raise unknown("vocoder", name, [*VOCODERS, f"{HIFIGAN}PATH"])
    return VOCODERS[name](settings, rate)

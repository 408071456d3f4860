"""Vocoders by their configured name.

griffinlim   fast Griffin-Lim: no training, no F0
world        WORLD: no training, cleaner than Griffin-Lim where the F0 is right
"""

from __future__ import annotations

from collections.abc import Callable

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


def choose(name: str, settings: FeatureConfig, rate: int) -> Vocoder:
    """Return the vocoder `name` for mels made with `settings` from samples at `rate` Hz.

    Raises
    ------
    UnknownName
        There is no such vocoder.
    """
    if name not in VOCODERS:
        raise unknown("vocoder", name, VOCODERS)
    return VOCODERS[name](settings, rate)

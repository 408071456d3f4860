"""How a conversion is to sound beyond whose voice it is: pitch, pace, level.

>>> Manner(pitch_shift=3, speed=1.2, level=level_of("-23"))
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from corpuskit.errors import BadSetting

__all__ = ["Manner", "level_of"]

FARTHEST = 12.0  # semitones either way
SLOWEST, FASTEST = 0.25, 4.0  # times the model's own pace
QUIETEST = -70.0  # dBFS; what is asked for below would be inaudible


@dataclass(frozen=True, kw_only=True)
class Manner:
    """What is asked of a conversion."""

    pitch_shift: float = 0.0  # semitones above the predicted F0
    speed: float = 1.0  # times faster than the model would speak; pauses follow
    level: float | Literal["match", "keep"] = "match"
    # match: the target's in training; keep: the recording's; else dBFS, RMS over speech

    def __post_init__(self) -> None:
        if not abs(self.pitch_shift) <= FARTHEST:  # also what is no number
            raise BadSetting(
                f"a pitch shift of {self.pitch_shift:g} semitones is too far",
                f"use {-FARTHEST:g} to {FARTHEST:g}",
            )
        if not SLOWEST <= self.speed <= FASTEST:
            raise BadSetting(
                f"a speed of {self.speed:g} is out of range", f"use {SLOWEST:g} to {FASTEST:g}"
            )
        if not isinstance(self.level, str) and not QUIETEST <= self.level <= 0:
            raise BadSetting(
                f"a level of {self.level:g} dBFS is out of range", f"use {QUIETEST:g} to 0"
            )


def level_of(text: str) -> float | Literal["match", "keep"]:
    """Read what `--level` was given: match, keep or a number of dBFS.

    Raises
    ------
    BadSetting
        It is none of these.
    """
    if text == "match":
        return "match"
    if text == "keep":
        return "keep"
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if math.isnan(level):
        raise BadSetting(
            f"--level {text!r} is no level", "use match, keep or a number of dBFS, e.g. -23"
        )
    return level

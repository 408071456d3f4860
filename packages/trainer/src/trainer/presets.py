"""The settings a dataset gets where nobody names any: those for few pairs, or the full model's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainer.config import FITTED_SPEAKERS, find_model

if TYPE_CHECKING:
    from corpuskit.versions import Version

__all__ = ["SMALL", "framed", "seconds_to_learn", "usual"]

SMALL = 900.0  # seconds of speech up to which a dataset wants the settings for few pairs


def usual(version: Version) -> tuple[dict[str, Any], str]:
    """Return the tables a dataset's size asks for, none for the full model, and their name."""
    if seconds_to_learn(version) > SMALL:
        return {}, "the defaults"
    start, where = find_model("few")
    if len(version.speakers) > FITTED_SPEAKERS:
        start["model"]["kernel"] = 0.0
    return start, where


def framed(start: dict[str, Any], version: Version) -> dict[str, Any]:
    """Let what a model file does not say of its frames be the dataset's."""
    settings = version.settings
    own = {"reduction": settings.align.reduction, "mels": settings.features.mels}
    return {**start, "model": {**own, **start.get("model", {})}}


def seconds_to_learn(version: Version) -> float:
    """Return how much source speech the train pairs hold."""
    return sum(pair.source.kept_seconds for pair in version.split("train"))

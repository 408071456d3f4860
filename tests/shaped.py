"""Pairs of random numbers in many shapes, and every kind of a small model without dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.batches import PairArrays

SMALL: dict[str, Any] = {
    "mels": 8,
    "width": 16,
    "attention_dim": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "variance_channels": 16,
    "pitch_layers": 1,
    "postnet_channels": 16,
    "postnet_layers": 2,
    "dropout": 0.0,
    "variance_dropout": 0.0,
    "postnet_dropout": 0.0,
}
WGMM: dict[str, Any] = {"prosody": "wgmm", "prosody_size": 8, "prosody_components": 2}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "pitch_ar": {"pitch_ar": "on"},
    "pitch_ar by phrase": {"pitch_ar": "phrase"},
    "align search": {"align": "search"},
    "wgmm": WGMM,
    "wgmm with pitch_ar": {**WGMM, "pitch_ar": "phrase"},
}


def pairs(count: int = 5) -> list[PairArrays]:
    """Random pairs of unequal length, 1 to 3 phrases each."""
    draw = np.random.default_rng(3)
    made = []
    for number in range(count):
        source, target = (int(n) for n in draw.integers(9, 30, 2))
        arrays: dict[str, Any] = {}
        for side, length in (("source", source), ("target", target)):
            arrays[f"{side}_mel"] = draw.standard_normal((3 * length, 8), dtype=np.float32)
            for what in ("pitch", "energy"):
                arrays[f"{side}_{what}"] = draw.standard_normal(3 * length, dtype=np.float32)
            cuts = [0, *range(3, 3 * (number % 3) + 1, 3), length]
            arrays[f"{side}_phrases"] = tuple(np.diff(cuts).tolist())
        durations = np.diff(np.linspace(0, target, source + 1).astype(np.int64))
        made.append(PairArrays(durations=durations, target_speaker=1, **arrays))
    return made

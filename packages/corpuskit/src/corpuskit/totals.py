"""What a version amounts to: the states of all inputs, and what the thresholds did.

Every recording and every candidate pair is counted in exactly one state, so the counts
add up: found = used + set aside, candidates = used + set aside.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from corpuskit.config import DatasetConfig
from corpuskit.versions import Pair, Recording, SetAside, Side

__all__ = ["silent_seconds", "speech_seconds", "totals_of"]


def totals_of(
    pairs: Sequence[Pair],
    recordings: Sequence[Recording],
    set_aside: Sequence[SetAside],
    settings: DatasetConfig,
) -> dict[str, Any]:
    """Count states, hours and phrases of a version (plain values for version.json)."""
    seconds_per_frame = settings.features.hop_length / settings.audio.rate
    return {
        "recordings": {
            "found": len(recordings),
            "used": sum(recording.state == "used" for recording in recordings),
            "set_aside": _counted(r.reason for r in recordings if r.state != "used"),
            "corrected": _counted(r.note for r in recordings if r.note and r.state == "used"),
        },
        "pairs": {
            "candidates": len(pairs) + len(set_aside),
            "used": len(pairs),
            "set_aside": _counted(aside.reason for aside in set_aside),
        },
        "splits": {split: _split(pairs, split) for split in ("train", "dev", "eval")},
        "source": _side([pair.source for pair in pairs], seconds_per_frame),
        "target": _side([pair.target for pair in pairs], seconds_per_frame),
        "phrases": _phrases(pairs),
    }


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(reasons).items()))


def _split(pairs: Sequence[Pair], name: str) -> dict[str, int]:
    mine = [pair for pair in pairs if pair.split == name]
    return {"pairs": len(mine), "sentences": len({pair.sentence for pair in mine})}


def silent_seconds(side: Side, seconds_per_frame: float) -> float:
    """Return the seconds of silence inside the kept part."""
    return sum(stop - first for first, stop in side.silences) * seconds_per_frame


def speech_seconds(side: Side, seconds_per_frame: float) -> float:
    """Return the kept seconds that are not silent."""
    frames = side.frames[1] - side.frames[0]
    return frames * seconds_per_frame - silent_seconds(side, seconds_per_frame)


def _side(sides: Sequence[Side], seconds_per_frame: float) -> dict[str, Any]:
    def total(values: Iterable[float]) -> float:
        return round(math.fsum(values), 6)

    return {
        "seconds": total(side.length / side.rate for side in sides),
        "head_seconds": total(side.head_seconds for side in sides),
        "tail_seconds": total(side.tail_seconds for side in sides),
        "kept_seconds": total(side.kept_seconds for side in sides),
        "silent_seconds": total(silent_seconds(side, seconds_per_frame) for side in sides),
        "speech_seconds": total(speech_seconds(side, seconds_per_frame) for side in sides),
        "silences": sum(len(side.silences) for side in sides),
        "frames": sum(side.frames[1] - side.frames[0] for side in sides),
    }


def _phrases(pairs: Sequence[Pair]) -> dict[str, Any]:
    counts = [len(pair.target.phrases) for pair in pairs]
    return {
        "per_utterance": round(sum(counts) / len(counts), 6),
        "pairs_without_break": sum(count == 1 for count in counts),
        "pairs_that_disagree": sum(pair.breaks[0] != pair.breaks[1] for pair in pairs),
        "merged": sum(pair.merged for pair in pairs),
    }

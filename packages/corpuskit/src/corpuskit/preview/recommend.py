"""Which thresholds the recordings ask for, and why.

A threshold must lie above the noise, or it finds only part of the pauses, and below the
quietest speech, or it cuts words. Where no single value does both, speech wins: what is kept
too long can still be cut in the next version, what is cut is not heard in training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from corpuskit.levels import Profile
from corpuskit.silence import FLOOR_16_BIT

__all__ = ["Recommendation", "recommend"]

_MARGIN = 3.0  # dB a threshold is put above the noise where there is room
_ZERO_ONLY = -90.0  # dBFS; just above the 16-bit floor, for recordings whose pauses are all zero
_APART = 10.0  # dB; voices whose noise differs by more are told
_NEAR = 25.0  # dB from noise floor to speech level below which soft speech drowns
_CROWD = 8  # above so many voices, single ones no longer set the bounds
_ZEROS = 0.02  # share of digital zero that counts as pauses


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """Thresholds (whole dBFS), the range they were chosen from, and words for both."""

    thresh: float
    head_thresh: float
    low: float | None  # the noise's upper edge; None without noise
    high: float  # the quietest speech
    fits: bool  # whether one value lies above all noise and below all speech
    reasons: tuple[str, ...]  # why these
    findings: tuple[str, ...]  # what else the levels tell: voices that do not go together


def recommend(profiles: Mapping[str, Profile], asked: Sequence[float] = ()) -> Recommendation:
    """Choose thresholds for the voices (at least one) that are built together.

    An asked threshold that fits is preferred to another value as good.
    """
    noise = _high([p.noise for p in profiles.values() if p.noise is not None])
    speech = _low([p.quietest for p in profiles.values()])
    fits = noise is None or noise < speech - 1.0
    thresh = _between(noise, speech, asked)
    heads = _high([p.head for p in profiles.values() if p.head is not None])
    head = max(thresh, _between(heads, speech, asked)) if heads is not None else thresh
    return Recommendation(
        thresh=thresh,
        head_thresh=head,
        low=noise,
        high=speech,
        fits=fits,
        reasons=tuple(_reasons(profiles, thresh, noise, speech, fits=fits)),
        findings=tuple(_findings(profiles)),
    )


def _between(noise: float | None, speech: float, asked: Sequence[float]) -> float:
    """Return a whole level above the noise and below speech, or else just below speech."""
    if noise is None:
        return float(math.floor(min(_ZERO_ONLY, speech - 1.0)))
    wanted = min(noise + _MARGIN, (noise + speech) / 2)
    if noise >= speech - 1.0:
        return float(math.floor(speech - 1.0))
    good = [level for level in asked if noise < level <= min(speech - 1.0, noise + 2 * _MARGIN)]
    if good:
        return min(good, key=lambda level: (abs(level - wanted), level))
    return float(min(round(wanted), math.floor(speech)))


def _high(levels: Sequence[float]) -> float | None:
    """Return the highest level, of a crowd the one a tenth lies above."""
    if not levels:
        return None
    ordered = sorted(levels)
    return ordered[-1 - (len(ordered) // 10 if len(ordered) > _CROWD else 0)]


def _low(levels: Sequence[float]) -> float:
    ordered = sorted(levels)
    return ordered[len(ordered) // 10 if len(ordered) > _CROWD else 0]


# --------------------------------------------------------------------- words


def _reasons(
    profiles: Mapping[str, Profile],
    thresh: float,
    noise: float | None,
    speech: float,
    *,
    fits: bool,
) -> Iterator[str]:
    softest = min(profiles, key=lambda name: profiles[name].quietest)
    heard = f"the quietest speech ({softest}) begins at {speech:.0f} dBFS"
    if noise is None:
        yield _without_noise(profiles, heard)
        return
    noisy = {name: p.noise for name, p in profiles.items() if p.noise is not None}
    loudest = max(noisy, key=lambda name: noisy[name])
    if fits:
        yield (
            f"95 % of the noise lies below {noise:.0f} dBFS ({loudest}'s is the loudest) and "
            f"{heard}: {thresh:g} is between the two"
        )
        return
    yield (
        f"{heard}, below the noise of {loudest} (up to {noise:.0f} dBFS): no threshold finds all "
        f"noise and spares all speech. {thresh:g} spares speech; {_missed(profiles, thresh)}"
    )


def _missed(profiles: Mapping[str, Profile], thresh: float) -> str:
    """Say whose noise a threshold does not find, or finds in part."""
    noisy = sorted((name, p) for name, p in profiles.items() if (p.noise or -math.inf) >= thresh)
    hardly = [name for name, p in noisy if p.floor is not None and p.floor >= thresh]
    partly = [name for name, _ in noisy if name not in hardly]
    told = [
        f"of the pauses of {_listed(names)} it finds {share}"
        for names, share in ((partly, "only part"), (hardly, "hardly any"))
        if names
    ]
    return ", ".join(told)


def _without_noise(profiles: Mapping[str, Profile], heard: str) -> str:
    if any(p.zero_share >= _ZEROS for p in profiles.values()):
        return (
            f"the pauses are digitally zero and {heard}: every threshold between {_ZERO_ONLY:g} "
            "and that finds the same pauses, and the lowest keeps what fades out"
        )
    return (
        f"no noise stands apart from speech in these recordings ({heard}): they have been trimmed, "
        "or their noise is as loud as their soft speech; no threshold will find much"
    )


def _findings(profiles: Mapping[str, Profile]) -> Iterator[str]:
    floors = {name: p.floor for name, p in profiles.items() if p.floor is not None}
    gated = sorted(
        name for name, p in profiles.items() if p.zero_share >= _ZEROS and name not in floors
    )
    near = sorted(name for name in floors if profiles[name].speech - floors[name] < _NEAR)
    if near:
        yield (
            f"the noise of {_listed(near)} is less than {_NEAR:g} dB below the speech: soft speech "
            "and noise can hardly be told apart, so listen before you trust a threshold"
        )
    if floors:
        quiet, loud = min(floors, key=floors.__getitem__), max(floors, key=floors.__getitem__)
        if floors[loud] - floors[quiet] > _APART:
            yield (
                f"the noise floors are {floors[loud] - floors[quiet]:.0f} dB apart "
                f"({quiet} {floors[quiet]:.0f}, {loud} {floors[loud]:.0f} dBFS), and one threshold "
                "serves both sides: by itself each voice would do with "
                + _alone(profiles, (quiet, loud))
            )
        if gated:
            yield (
                f"the pauses of {_listed(gated)} are digitally zero, "
                f"those of {_listed(sorted(floors))} are not: a threshold below "
                f"{FLOOR_16_BIT:.1f} dBFS finds the first and none of the second"
            )


def _alone(profiles: Mapping[str, Profile], names: Sequence[str]) -> str:
    own = ((name, profiles[name]) for name in names)
    return ", ".join(f"{name} {_between(p.noise, p.quietest, ()):g}" for name, p in own)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")

"""Suspect pairs in words: what is unusual about each, in seconds and times."""

from __future__ import annotations

from collections.abc import Iterator

from corpuskit.checks import Checked, Finding, Group, Suspect, distinct
from corpuskit.tables import counted

__all__ = ["checked", "finding", "remarks", "summary"]

NAMES = {
    "copy": "same recording",
    "partner": "wrong partner",
    "distance": "sounds unlike",
    "words": "words on one side only",
    "pause": "pause on one side only",
    "ratio": "odd length",
    "voicing": "voiced on one side only",
}


def checked(found: Checked, shown: int = 20) -> Iterator[str]:
    """Tell which pairs are suspect, the most suspicious first; the last line sums up."""
    yield from remarks(found)
    suspects = distinct(found.suspects)
    for place, suspect in enumerate(suspects[:shown], start=1):
        yield from _suspect(place, suspect)
    if len(suspects) > shown:
        yield f"and {len(suspects) - shown:,} more (--top, --json)"
    yield summary(found)


def summary(found: Checked) -> str:
    """Sum up a check in one sentence."""
    pairs = counted(found.pairs, "pair")
    if not found.suspects:
        return f"Dataset {found.version}: none of {pairs} is suspect."
    told = ", ".join(f"{NAMES[reason]} {count:,}" for reason, count in found.reasons.items())
    verb = "is" if len(found.suspects) == 1 else "are"
    return f"Dataset {found.version}: {len(found.suspects):,} of {pairs} {verb} suspect ({told})."


def remarks(found: Checked, shown: int = 5) -> Iterator[str]:
    """Say what could not be checked, and which recordings are at fault themselves."""
    few = [group for group in found.groups if not group.judged]
    if few:
        named = ", ".join(_group(group) for group in few[:shown])
        more = f" and {len(few) - shown:,} more" if len(few) > shown else ""
        yield (
            f"too few pairs to know what is usual: {named}{more}; "
            "only pauses and copies are looked for (20 pairs of two speakers are needed)"
        )
    for culprit in found.culprits[:shown]:
        yield (
            f"{culprit.suspects:,} of {counted(culprit.pairs, 'pair')} of {culprit.recording} are "
            "suspect: that recording rather than its partners"
        )
    if len(found.culprits) > shown:
        yield f"and so for {counted(len(found.culprits) - shown, 'recording')} more"
    if not found.pauses_known:
        yield "no silence was found at this threshold: pauses cannot be compared"


def _group(group: Group) -> str:
    return f"{group.source}>{group.target} ({counted(group.pairs, 'pair')})"


def _suspect(place: int, suspect: Suspect) -> Iterator[str]:
    yield f"{place:>3}. {suspect.pair}  suspicion {suspect.suspicion:.1f}"
    for each in suspect.findings:
        yield f"       {NAMES[each.reason]}: {finding(each)}"


def finding(found: Finding) -> str:
    """Say what is unusual, with the numbers."""
    if found.reason == "copy":
        return "both sides are one sound, sample for sample"
    away = f"{abs(found.deviations):.1f} deviations"
    if found.partner is not None:
        return (
            f"{found.partner.recording} fits far better "
            f"(distance {found.partner.distance:.2f} against {found.partner.own:.2f})"
        )
    if found.reason == "distance":
        return f"distance {found.value:.2f}, usual {found.usual:.2f} ({away})"
    if found.reason == "ratio":
        return f"target speaks {found.value:.2f} times as long, usual {found.usual:.2f} ({away})"
    if found.reason == "voicing":
        return f"{100 * found.value:.0f} % of frames, usual {100 * found.usual:.0f} % ({away})"
    assert found.place is not None
    where = f"in the {found.place.side} at {found.place.start:.2f} s"
    return f"{found.value:.2f} s {where}, usual {found.usual:.2f} s ({away})"

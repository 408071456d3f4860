"""What a build does about TextGrids corrected by hand: read them first, say what came of them.

Remarks are (text, whether it is a warning).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from corpuskit.corrections import Corrections, read_corrections
from corpuskit.decisions import Segmented
from corpuskit.diff import diff_tiers
from corpuskit.layouts import Found
from corpuskit.pairs import Candidate
from corpuskit.recordings import Index, promised
from corpuskit.tables import counted
from corpuskit.tiers import HandTiers
from corpuskit.versions import Recording, Version

__all__ = [
    "closing_remarks",
    "decided_by_hand",
    "involved",
    "other_tiers",
    "read_hands",
    "remarks",
]

Remark = tuple[str, bool]


def involved(wanted: Sequence[Candidate]) -> dict[str, Found]:
    """Return every recording of the candidate pairs by its id."""
    return {found.id: found for pair in wanted for found in (pair.source, pair.target)}


def read_hands(folder: str, wanted: Sequence[Candidate], index: Index) -> Corrections:
    """Read the TextGrids below `folder` ("" for none), before anything is measured.

    Raises
    ------
    BadSetting
        The folder does not exist, or holds TextGrids that cannot be used (all are named).

    """
    if not folder:
        return Corrections(by_hand={}, as_exported=(), unmatched=())
    recordings = involved(wanted)
    return read_corrections(Path(folder), recordings, lambda name: _length(index, recordings[name]))


def _length(index: Index, found: Found) -> tuple[int, int] | None:
    """Return (samples, Hz) of a recording, from its header where it was not measured yet."""
    facts = index.get(found.path, found.clip) or promised(found.path, found.clip)
    return None if facts.problem else (facts.samples, facts.rate)


def remarks(given: Corrections) -> Iterator[Remark]:
    """Name the files that are about nothing here, and count those nobody edited."""
    if given.unmatched:
        told = ", ".join(given.unmatched)
        yield f"TextGrids that match no recording with a partner: {told}", True
    if given.as_exported:
        count = counted(len(given.as_exported), "TextGrid")
        yield f"as they were exported, so that thresholds decide: {count}", False


def decided_by_hand(
    recordings: Sequence[Recording], segmented: Mapping[str, Segmented]
) -> list[HandTiers]:
    """Return what a hand decided otherwise than the thresholds, used recordings only."""
    used = (segmented[each.id].hand for each in recordings if each.state == "used")
    return [hand for hand in used if hand is not None]


def closing_remarks(
    hands: Mapping[str, HandTiers], tiers: Sequence[HandTiers], recordings: Sequence[Recording]
) -> Iterator[Remark]:
    """Say how many recordings follow a hand, and name those whose hand work is lost on them."""
    if tiers:
        yield f"corrected by hand: {counted(len(tiers), 'recording')}", False
    aside = [each.id for each in recordings if each.id in hands and each.state != "used"]
    if aside:
        yield f"corrected by hand, but set aside: {', '.join(aside)}", True


def other_tiers(version: Version, tiers: Sequence[HandTiers]) -> Iterator[str]:
    """Name the recordings a hand corrected otherwise than in the version."""
    other = sorted(diff_tiers(version.tiers, {hand.recording: hand for hand in tiers}))
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        yield f"other tiers by hand (--tiers) for {', '.join(other[:3])}{more}"

"""A build in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from corpuskit.build import Built, Planned
from corpuskit.tables import counted, length
from corpuskit.wording.versions import effects, splits

__all__ = ["built", "closing", "planned"]


def planned(plan: Planned) -> str:
    """Close a dry run."""
    return (
        f"Would build from {counted(plan.candidates, 'candidate pair')} of "
        f"{counted(plan.recordings, 'recording')}: "
        f"{plan.unmeasured:,} to be measured, {plan.recordings - plan.unmeasured:,} in the store."
    )


def built(result: Built) -> Iterator[str]:
    """Report what a build made and what its thresholds did."""
    made = result.version
    yield from _set_aside(made.totals)
    yield from effects(made)
    if result.previous is not None:
        yield f"against {result.previous.before}: {result.previous.sentence}"
        changed = [s.key for s in result.previous.settings]
        if len(changed) > 1:
            yield (
                f"note: {len(changed)} settings changed at once ({', '.join(changed)}); "
                f"`corpuskit diff {result.previous.before} {made.name} --why` tells what each did"
            )


def closing(result: Built, seconds: float) -> str:
    """Close a build in one sentence."""
    made = result.version
    totals = made.totals
    kept = totals["source"]["kept_seconds"] + totals["target"]["kept_seconds"]
    pairs = counted(len(made.pairs), "pair")
    work = (
        f"{counted(result.measured, 'recording')} measured, "
        f"{counted(result.aligned, 'pair')} aligned"
    )
    if not result.new:
        again = f" ({work} again)" if result.measured or result.aligned else ""
        return (
            f"Dataset {made.name} is already built and unchanged: {pairs}, "
            f"fingerprint {made.fingerprint[:12]}, checked in {seconds:.1f} s{again}."
        )
    return (
        f"Built {made.name}: {pairs} ({splits(totals)}), {length(kept)}, "
        f"fingerprint {made.fingerprint[:12]}, in {seconds:.1f} s ({work})."
    )


def _set_aside(totals: Mapping[str, Any]) -> Iterator[str]:
    for what in ("recordings", "pairs"):
        for reason, count in totals[what]["set_aside"].items():
            yield f"set aside: {counted(count, what.removesuffix('s'))}: {reason}"
    for note, count in totals["recordings"]["corrected"].items():
        yield f"corrected: {counted(count, 'recording')}: {note}"

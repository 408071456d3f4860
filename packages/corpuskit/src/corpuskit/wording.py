"""Versions, differences and checks in words, for the terminal. Pure text, no printing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpuskit.build import Built, Planned
from corpuskit.diff import Difference, Measure, PairChange
from corpuskit.tables import length, table
from corpuskit.verify import Checked, Problem
from corpuskit.versions import Version

__all__ = [
    "built",
    "checked",
    "closing",
    "difference",
    "planned",
    "problem",
    "version",
    "version_row",
]

SPLITS = ("train", "dev", "eval")  # in the order in which they are told


# -------------------------------------------------------------------- building


def planned(plan: Planned) -> str:
    """Close a dry run."""
    return (
        f"Would build from {plan.candidates:,} candidate pairs of {plan.recordings:,} recordings: "
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
                "what each did cannot be told apart"
            )


def closing(result: Built, seconds: float) -> str:
    """Close a build in one sentence."""
    made = result.version
    totals = made.totals
    kept = totals["source"]["kept_seconds"] + totals["target"]["kept_seconds"]
    work = f"{result.measured:,} recordings measured, {result.aligned:,} pairs aligned"
    if not result.new:
        again = f" ({work} again)" if result.measured or result.aligned else ""
        return (
            f"Dataset {made.name} is already built and unchanged: {len(made.pairs):,} pairs, "
            f"fingerprint {made.fingerprint[:12]}, checked in {seconds:.1f} s{again}."
        )
    return (
        f"Built {made.name}: {len(made.pairs):,} pairs ({_splits(totals)}), {length(kept)}, "
        f"fingerprint {made.fingerprint[:12]}, in {seconds:.1f} s ({work})."
    )


def _splits(totals: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {totals['splits'][name]['pairs']:,}" for name in SPLITS)


def _set_aside(totals: Mapping[str, Any]) -> Iterator[str]:
    for what in ("recordings", "pairs"):
        for reason, count in totals[what]["set_aside"].items():
            yield f"set aside: {count:,} {what}: {reason}"


def effects(made: Version) -> Iterator[str]:
    """Say what the silence thresholds did, side by side."""
    totals = made.totals
    rows = [
        [
            f"{side} ({_speakers(made, side)})",
            length(totals[side]["seconds"]),
            f"{totals[side]['head_seconds']:.2f} s",
            f"{totals[side]['tail_seconds']:.2f} s",
            f"{totals[side]['silent_seconds']:.2f} s",
            f"{totals[side]['silences']:,}",
            length(totals[side]["speech_seconds"]),
        ]
        for side in ("source", "target")
    ]
    header = ["side", "recorded", "head cut", "tail cut", "silent inside", "silences", "speech"]
    yield from table(header, rows)
    phrases, pairs = totals["phrases"], max(1, len(made.pairs))
    yield (
        f"phrases per utterance {phrases['per_utterance']:.2f}; without any phrase break "
        f"{phrases['pairs_without_break']:,} of {pairs:,} pairs "
        f"({100 * phrases['pairs_without_break'] / pairs:.0f} %); source and target pause "
        f"differently in {phrases['pairs_that_disagree']:,}; breaks merged {phrases['merged']:,}"
    )


def _speakers(made: Version, side: str) -> str:
    names = sorted({getattr(pair, side).speaker for pair in made.pairs})
    return ", ".join(names) if len(names) <= 4 else f"{len(names)} speakers"


# ------------------------------------------------------------------ list, show


VERSION_HEADER = ["dataset", "pairs", *SPLITS, "speech", "phrases", "fingerprint"]


def version_row(description: Mapping[str, Any]) -> list[str]:
    """Return a version's row in `list`, from version.json alone."""
    totals = description["totals"]
    speech = totals["source"]["speech_seconds"] + totals["target"]["speech_seconds"]
    return [
        description["name"],
        f"{totals['pairs']['used']:,}",
        *(f"{totals['splits'][name]['pairs']:,}" for name in SPLITS),
        length(speech),
        f"{totals['phrases']['per_utterance']:.2f}",
        description["fingerprint"][:12],
    ]


def version(made: Version) -> Iterator[str]:
    """Describe one version."""
    totals = made.totals
    yield f"dataset {made.name} (family {made.family}), built {made.created}"
    yield f"fingerprint {made.fingerprint}"
    for what, all_of_them in (("pairs", "candidates"), ("recordings", "found")):
        counts = totals[what]
        aside = sum(counts["set_aside"].values())
        yield (
            f"{what}: {counts[all_of_them]:,} {all_of_them} = "
            f"{counts['used']:,} used + {aside:,} set aside"
        )
    yield f"splits: {_splits(totals)}"
    yield from effects(made)
    yield f"target F0 (train, geometric mean): {_geometric_mean(made, 'target'):.1f} Hz, " + (
        f"source {_geometric_mean(made, 'source'):.1f} Hz"
    )
    yield "settings:"
    for key, value in _flat(made).items():
        yield f"  {key} = {value}"
    for text in made.warnings:
        yield f"warning: {text}"
    for aside in made.set_aside:
        yield f"set aside: pair {aside.pair}: {aside.reason}"
    for recording in made.recordings:
        if recording.state != "used":
            yield f"set aside: recording {recording.id}: {recording.reason}"


def _geometric_mean(made: Version, side: str) -> float:
    import math

    return math.exp(getattr(made.statistics, side).pitch_mean)


def _flat(made: Version) -> dict[str, Any]:
    from corpuskit.config import to_mapping

    mapping = to_mapping(made.settings)
    return {
        f"{table}.{key}": value
        for table, values in mapping.items()
        if table not in ("corpora", "pairs")
        for key, value in values.items()
    }


# ------------------------------------------------------------------------ diff


def difference(found: Difference, shown: int = 10) -> Iterator[str]:
    """Tell how two versions differ; the last line says what matters."""
    yield f"dataset {found.before} -> dataset {found.after}"
    for setting in found.settings:
        yield f"  {setting.key}: {setting.before} -> {setting.after}"
    yield (
        f"pairs: {len(found.added):,} added, {len(found.removed):,} removed, "
        f"{len(found.changed):,} changed, {found.unchanged:,} unchanged"
    )
    yield from _some("added", found.added, shown)
    yield from _some("removed", found.removed, shown)
    if found.changed:
        told = ", ".join(f"{name} {count:,}" for name, count in found.aspects.items())
        yield f"changed in: {told}"
    if found.changed or found.added or found.removed:
        yield from table(
            ["", found.before, found.after, "change"],
            [_total_row(name, measure) for name, measure in found.totals.items()],
        )
    if found.changed:
        yield f"largest of {len(found.changed):,} changes:"
        yield from table(CHANGE_HEADER, [_change_row(change) for change in found.changed[:shown]])
    yield found.sentence


def _some(what: str, names: Sequence[str], shown: int) -> Iterator[str]:
    if names:
        more = f", and {len(names) - shown:,} more" if len(names) > shown else ""
        yield f"{what}: {', '.join(names[:shown])}{more}"


def _total_row(name: str, measure: Measure) -> list[str]:
    unit = " s" if name.endswith("seconds") else ""
    digits = 0 if name.startswith("pairs") else 2
    words = name.replace("_seconds", "").replace("_", " ")
    return [
        words,
        f"{measure.before:,.{digits}f}{unit}",
        f"{measure.after:,.{digits}f}{unit}",
        f"{measure.change:+,.{digits}f}{unit}",
    ]


CHANGE_HEADER = ["pair", "speech", "trimmed", "silent", "phrases", "target frames", "changed in"]


def _change_row(change: PairChange) -> list[str]:
    return [
        change.pair,
        f"{change.speech.change:+.2f} s",
        f"{change.trimmed.change:+.2f} s",
        f"{change.silent.change:+.2f} s",
        f"{change.phrases.before:.0f} -> {change.phrases.after:.0f}",
        f"{change.target_frames.before:.0f} -> {change.target_frames.after:.0f}",
        " ".join(change.aspects),
    ]


# ---------------------------------------------------------------------- verify


def problem(found: Problem, shown: int = 10) -> str:
    """Name a problem with its recordings and pairs."""
    parts = [found.what]
    if found.recordings:
        parts.append(f"recordings: {_listed(found.recordings, shown)}")
    if found.pairs:
        parts.append(f"pairs: {_listed(found.pairs, shown)}")
    return "; ".join(parts)


def _listed(names: Sequence[str], shown: int) -> str:
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def checked(name: str, counts: Checked | None, problems: int) -> str:
    """Close a verification in one sentence."""
    if counts is None:
        return (
            f"Dataset {name}: {problems:,} problems; nothing it says can be trusted: "
            "remove the version's folder and build it again."
        )
    if problems:
        return (
            f"Dataset {name}: {problems:,} problems; "
            "a build of the same name heals objects whose recordings are unchanged."
        )
    return (
        f"Dataset {name} is whole: {counts.objects:,} objects and {counts.recordings:,} "
        "recordings are what they were."
    )

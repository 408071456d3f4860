"""Versions in words: what one is, and what its thresholds did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from corpuskit.inventory import DiskUse
from corpuskit.tables import counted, length, size, table
from corpuskit.versions import Version

__all__ = ["VERSION_HEADER", "effects", "splits", "version", "version_row"]

SPLITS = ("train", "dev", "eval")  # in the order in which they are told


def splits(totals: Mapping[str, Any]) -> str:
    """Say how many pairs each split has."""
    return ", ".join(f"{name} {totals['splits'][name]['pairs']:,}" for name in SPLITS)


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
        f"{phrases['pairs_without_break']:,} of {counted(pairs, 'pair')} "
        f"({100 * phrases['pairs_without_break'] / pairs:.0f} %); source and target pause "
        f"differently in {phrases['pairs_that_disagree']:,}; breaks merged {phrases['merged']:,}"
    )


_VOICES = [
    *("voice", "side", "pairs", "recordings", "recorded", "kept", "phrases"),
    *("F0 (5-95 %)", "voiced", "speech level", "noise floor", "digital zero"),
]


def _voices(made: Version) -> Iterator[str]:
    """Say who speaks on each side: how much, how high, how loud."""
    yield from table(_VOICES, [_voice_row(voice) for voice in made.voices])


def _voice_row(voice: Mapping[str, Any]) -> list[str]:
    f0, levels = voice["f0"], voice["levels"]
    zeros = levels["zero_share"]
    return [
        voice["speaker"],
        voice["side"],
        f"{voice['pairs']:,}",
        f"{voice['recordings']:,}",
        length(voice["seconds"]),
        length(voice["kept_seconds"]),
        f"{voice['phrases']:,}",
        f"{f0['median']:.0f} Hz ({f0['low']:.0f}-{f0['high']:.0f})",
        f"{100 * f0['voiced']:.0f} %",
        _decibels(levels["speech"]),
        _decibels(levels["floor"]),
        "-" if zeros is None else f"{100 * zeros:.1f} %",
    ]


def _decibels(level: float | None) -> str:
    return "-" if level is None else f"{level:.0f} dBFS"


def _speakers(made: Version, side: str) -> str:
    names = made.speakers_of(("source", "target").index(side))
    return ", ".join(names) if len(names) <= 4 else f"{len(names)} speakers"


VERSION_HEADER = [
    *("dataset", "pairs", *SPLITS, "speech", "phrases", "fingerprint"),
    *("own disk", "shared disk"),
]


def version_row(description: Mapping[str, Any], disk: DiskUse) -> list[str]:
    """Return a version's row in `list`; own disk is what removing the version would free."""
    totals = description["totals"]
    speech = totals["source"]["speech_seconds"] + totals["target"]["speech_seconds"]
    return [
        description["name"],
        f"{totals['pairs']['used']:,}",
        *(f"{totals['splits'][name]['pairs']:,}" for name in SPLITS),
        length(speech),
        f"{totals['phrases']['per_utterance']:.2f}",
        description["fingerprint"][:12],
        size(disk.files + disk.own),
        size(disk.shared),
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
    yield f"splits: {splits(totals)}"
    yield from effects(made)
    yield from _voices(made)
    yield "settings:"
    for key, value in _flat(made).items():
        yield f"  {key} = {value}"
    if made.tiers:
        many = counted(len(made.tiers), "recording")
        yield f"tiers corrected by hand: {many}: {', '.join(made.tiers)}"
    for text in made.warnings:
        yield f"warning: {text}"
    for aside in made.set_aside:
        yield f"set aside: pair {aside.pair}: {aside.reason}"
    for recording in made.remarkable:
        if recording.state != "used":
            yield f"set aside: recording {recording.id}: {recording.reason}"
        elif recording.note:
            yield f"corrected: recording {recording.id} ({recording.path}): {recording.note}"


def _flat(made: Version) -> dict[str, Any]:
    from corpuskit.config import to_mapping

    mapping = to_mapping(made.settings)
    return {
        f"{table}.{key}": value
        for table, values in mapping.items()
        if table not in ("corpora", "pairs")
        for key, value in values.items()
    }

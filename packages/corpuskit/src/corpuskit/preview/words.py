"""The cells of a preview's tables, for the terminal and the page alike."""

from __future__ import annotations

from collections.abc import Mapping

from corpuskit.levels import Profile
from corpuskit.preview.rows import Phrases, Row, SideRow
from corpuskit.preview.survey import Previewed

__all__ = [
    "PHRASES_HEADER",
    "THRESHOLDS_HEADER",
    "VOICES_HEADER",
    "command",
    "findings",
    "label_of",
    "phrases_row",
    "rows_of",
    "threshold_row",
    "voice_row",
    "voices_of",
]

VOICES_HEADER = [
    "voice",
    "side",
    "noise floor",
    "noise up to",
    "quietest speech",
    "speech level",
    "digital zero",
]
PHRASES_HEADER = ["threshold", "silences of", "source", "target", "no break", "target phrases"]
THRESHOLDS_HEADER = [
    "threshold",
    "side",
    "head cut (at)",
    "tail cut",
    "silent inside",
    "silences",
    "speech below",
]
LEAST = -999.0  # dBFS; the noise of a voice that has none
MOSTLY = 0.9  # share of pairs without a phrase break that is worth a word


def command(found: Previewed) -> str:
    """Return the recommended thresholds as they are given to a build."""
    best = found.recommended
    return f"--silence-thresh {best.thresh:g} --head-thresh {best.head_thresh:g}"


def findings(found: Previewed) -> list[str]:
    """Return what else the levels tell, and whether phrases are found at all."""
    shortest = min(found.recommended_row.phrases, key=lambda phrases: phrases.min_silence_len)
    share = _share_without_break(shortest)
    told = list(found.recommended.findings)
    head = found.rows[0].head_thresh
    cut = [name for name, voice in found.profiles.items() if head > voice.quietest]
    if cut:
        told.append(
            f"the head's threshold {head:g} is above the quietest speech of {', '.join(cut[:4])}: "
            "it would cut into the first words"
        )
    if share >= MOSTLY:
        told.append(
            f"at {found.recommended.thresh:g} no silence of {shortest.min_silence_len} ms breaks "
            f"{100 * share:.0f} % of the targets: most utterances are one phrase; "
            "--min-silence-len tries shorter silences"
        )
    return told


def _share_without_break(phrases: Phrases) -> float:
    return phrases.without_break / max(1, sum(phrases.target.values()))


def rows_of(found: Previewed) -> list[Row]:
    """Return the rows as asked, and the recommended one after them."""
    return [*found.rows, found.recommended_row]


def voices_of(found: Previewed, most: int) -> list[str]:
    """Return the voices by name, or of more than `most` those whose noise is loudest."""
    voices = found.profiles
    loudest = sorted(voices, key=lambda name: (-(voices[name].noise or LEAST), name))
    return sorted(loudest[:most])


def voice_row(found: Previewed, name: str) -> list[str]:
    """Describe one voice's levels."""
    voice: Profile = found.profiles[name]
    sides = [side for side in ("source", "target") if name in found.looked.speakers(side)]
    return [
        name,
        ", ".join(sides),
        _level(voice.floor),
        _level(voice.noise),
        _level(voice.quietest),
        _level(voice.speech),
        f"{100 * voice.zero_share:.1f} %",
    ]


def _level(value: float | None) -> str:
    return "none" if value is None else f"{value:.0f} dBFS"


def threshold_row(found: Previewed, row: Row, side: str) -> list[str]:
    """Describe what a threshold does to one side."""
    did: SideRow = getattr(row, side)
    speakers = found.looked.speakers(side)
    told = ", ".join(speakers) if len(speakers) <= 3 else f"{len(speakers)} voices"
    return [
        label_of(found, row),
        f"{side} ({told})",
        f"{did.head_seconds:.2f} s ({row.head_thresh:g})",
        f"{did.tail_seconds:.2f} s",
        f"{did.silent_seconds:.2f} s",
        f"{did.silences:,}",
        f"{100 * did.speech_below:.1f} %",
    ]


def label_of(found: Previewed, row: Row) -> str:
    """Return a threshold, and whether it is the recommended one."""
    return f"{row.thresh:g}" + (" recommended" if row is found.recommended_row else "")


def phrases_row(found: Previewed, row: Row, phrases: Phrases) -> list[str]:
    """Describe how a threshold breaks utterances into phrases."""
    spread = " ".join(f"{number}:{count:,}" for number, count in phrases.target.items())
    return [
        label_of(found, row),
        f"{phrases.min_silence_len} ms",
        f"{_mean(phrases.source):.2f}",
        f"{_mean(phrases.target):.2f}",
        f"{100 * _share_without_break(phrases):.0f} %",
        spread,
    ]


def _mean(counts: Mapping[int, int]) -> float:
    return sum(number * count for number, count in counts.items()) / max(1, sum(counts.values()))

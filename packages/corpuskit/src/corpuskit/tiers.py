"""A recording's segmentation as tiers a hand can correct, and back to the sample.

    speech    "speech" and "silence": silent spans at least min_len long
    phrases   "phrase" and "break": silences long enough to end a phrase
    cut       "head", "kept", "tail": what is trimmed
    phones    from the corpus's labels, to look at; not read back

Every tier covers the whole recording. A boundary is sample / rate in seconds with the
digits that read back as the same number, so it returns to the identical sample; one moved
by hand goes to the nearest. Outside the kept part the first two tiers are blank, and what
is written there is not looked at; inside, a blank interval is speech.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from corpuskit.errors import BadLabels
from corpuskit.files import canonical
from corpuskit.labels import Phone
from corpuskit.silence import Segmentation
from corpuskit.textgrids import Interval, TextGrid, Tier

__all__ = ["HandTiers", "segmentation_of", "textgrid_of", "tiers_digest"]

Span = tuple[int, int]

_LABELS = {
    "speech": ("speech", "silence"),
    "phrases": ("phrase", "break"),
    "cut": ("head", "kept", "tail"),
}
_SAME = 0.001  # seconds; a TextGrid this much longer or shorter than the audio was rounded


@dataclass(frozen=True, kw_only=True)
class HandTiers:
    """What a hand decided about one recording, in samples of it."""

    recording: str  # id
    rate: int  # Hz
    samples: int  # length of the recording
    start: int  # first sample kept
    stop: int  # one past the last
    silences: tuple[Span, ...]
    breaks: tuple[Span, ...]
    digest: str  # of all decisions, whatever file they came in

    @classmethod
    def of(cls, recording: str, segmentation: Segmentation, samples: int, rate: int) -> HandTiers:
        """Return the segmentation of a recording as a hand's."""
        digest = tiers_digest(segmentation, samples, rate)
        return cls(
            recording=recording, rate=rate, samples=samples, digest=digest, **vars(segmentation)
        )

    @property
    def segmentation(self) -> Segmentation:
        """The decisions as every other stage knows them."""
        return Segmentation(
            start=self.start, stop=self.stop, silences=self.silences, breaks=self.breaks
        )


def tiers_digest(segmentation: Segmentation, samples: int, rate: int) -> str:
    """Return the SHA-256 over rate, length and every boundary of a segmentation."""
    content = {"rate": rate, "samples": samples, **vars(segmentation)}
    return hashlib.sha256(canonical(content).encode()).hexdigest()


# ------------------------------------------------------------------------- to tiers


def textgrid_of(
    segmentation: Segmentation, samples: int, rate: int, phones: Sequence[Phone] = ()
) -> TextGrid:
    """Return the tiers of a recording of `samples` at `rate` Hz."""
    start, stop = segmentation.start, segmentation.stop
    kept = (start, stop)
    rows = {
        "speech": [
            *_between(kept, segmentation.silences, "speech"),
            *((*span, "silence") for span in segmentation.silences),
        ],
        "phrases": [
            *_between(kept, segmentation.breaks, "phrase"),
            *((*span, "break") for span in segmentation.breaks),
        ],
        "cut": [(0, start, "head"), (start, stop, "kept"), (stop, samples, "tail")],
    }
    if phones:
        rows["phones"] = [
            (*_within(phone.in_samples(rate), samples), phone.name) for phone in phones
        ]
    return TextGrid(
        begin=0.0,
        end=samples / rate,
        tiers=tuple(_tier(name, spans, samples, rate) for name, spans in rows.items()),
    )


def _between(kept: Span, spans: Iterable[Span], label: str) -> list[tuple[int, int, str]]:
    """Label what of `kept` lies between the spans."""
    position, result = kept[0], []
    for begin, end in spans:
        result.append((position, begin, label))
        position = end
    return [*result, (position, kept[1], label)]


def _within(span: Span, samples: int) -> Span:
    return min(span[0], samples), min(span[1], samples)


def _tier(name: str, spans: Iterable[tuple[int, int, str]], samples: int, rate: int) -> Tier:
    """Lay labelled spans out, with blank intervals between, from end to end."""
    position, intervals = 0, []
    for begin, end, text in sorted(spans):
        if begin > position:
            intervals.append(_interval(position, begin, "", rate))
        if end > begin:
            intervals.append(_interval(begin, end, text, rate))
        position = max(position, end)
    if position < samples:
        intervals.append(_interval(position, samples, "", rate))
    return Tier(name=name, intervals=tuple(intervals))


def _interval(begin: int, end: int, text: str, rate: int) -> Interval:
    return Interval(begin=begin / rate, end=end / rate, text=text)


# ----------------------------------------------------------------------- from tiers


def segmentation_of(grid: TextGrid, samples: int, rate: int) -> Segmentation:
    """Return what the tiers of a TextGrid decide about a recording.

    Raises
    ------
    BadLabels
        A tier is missing or there twice, a label is unknown, the length is not the
        recording's, or not exactly one part is kept. `problem` does not name the file.

    """
    seconds = samples / rate
    if abs(grid.begin) > _SAME or abs(grid.end - seconds) > _SAME:
        raise BadLabels(
            f"goes from {grid.begin:g} to {grid.end:.4f} s, the recording from 0 to {seconds:.4f} s"
        )
    spans = {name: _spans(grid, name, samples, rate) for name in _LABELS}
    kept = _joined(spans["cut"], "kept")
    if len(kept) != 1:
        raise BadLabels(f"has {len(kept)} parts labelled 'kept' in tier 'cut', not one")
    _check_sides(spans["cut"], kept[0])
    return Segmentation(
        start=kept[0][0],
        stop=kept[0][1],
        silences=_clipped(_joined(spans["speech"], "silence"), kept[0]),
        breaks=_clipped(_joined(spans["phrases"], "break"), kept[0]),
    )


Labelled = tuple[int, int, str]


def _spans(grid: TextGrid, name: str, samples: int, rate: int) -> list[Labelled]:
    """Return the intervals of a tier in samples, end to end, their labels folded."""
    tiers = [tier for tier in grid.tiers if tier.name.strip().lower() == name]
    if len(tiers) != 1 or tiers[0].points:
        names = ", ".join(repr(tier.name) for tier in grid.tiers) or "none"
        what = "twice" if len(tiers) > 1 else "as points" if tiers else "not"
        raise BadLabels(f"has the interval tier {name!r} {what} (its tiers: {names})")
    previous = 0
    result = []
    for each in tiers[0].intervals:
        text = each.text.strip().lower()
        if text and text not in _LABELS[name]:
            known = ", ".join(map(repr, _LABELS[name]))
            raise BadLabels(
                f"line {each.line}: {each.text!r} is no label of tier {name!r} (it has {known})"
            )
        if each.end > grid.end + _SAME or each.begin < -_SAME:
            raise BadLabels(
                f"line {each.line}: an interval of tier {name!r} lies outside the recording"
            )
        begin, end = (_sample(time, grid.end, samples, rate) for time in (each.begin, each.end))
        if begin > previous:
            result.append((previous, begin, ""))
        result.append((begin, end, text))
        previous = end
    return result


def _sample(time: float, last: float, samples: int, rate: int) -> int:
    """Return the sample a boundary lies at; the grid's end is the recording's."""
    return samples if time >= last else min(max(0, round(time * rate)), samples)


def _joined(spans: Iterable[Labelled], label: str) -> list[Span]:
    """Return the spans of one label, those that touch as one, none of them empty."""
    result: list[Span] = []
    for begin, end, text in spans:
        if text != label or end <= begin:
            continue
        if result and result[-1][1] >= begin:
            result[-1] = (result[-1][0], end)
        else:
            result.append((begin, end))
    return result


def _check_sides(cut: Iterable[Labelled], kept: Span) -> None:
    for begin, end, text in cut:
        if (text == "head" and end > kept[0]) or (text == "tail" and begin < kept[1]):
            raise BadLabels(f"has {text!r} on the wrong side of 'kept' in tier 'cut'")


def _clipped(spans: Iterable[Span], kept: Span) -> tuple[Span, ...]:
    inside = ((max(begin, kept[0]), min(end, kept[1])) for begin, end in spans)
    return tuple((begin, end) for begin, end in inside if end > begin)

"""How two versions differ, as one page: the answer first, then what it sounds like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from corpuskit.diff import Difference, PairChange, flat_settings
from corpuskit.pages.distributions import distributions
from corpuskit.pages.figures import Excerpt, figure, key
from corpuskit.pages.marks import Marks, marks_of, without
from corpuskit.pages.recordings import Opener, Shown
from corpuskit.report.markup import Html, element, joined
from corpuskit.report.page import Page, Section, write_page
from corpuskit.report.parts import columns, details, heading, notice, paragraph, table
from corpuskit.tables import counted, plain
from corpuskit.versions import Pair, Side, Version, portable
from corpuskit.why import Why
from corpuskit.wording.diff import CHANGE_HEADER, change_row, total_row
from corpuskit.wording.why import NOTHING, remarks, shares

__all__ = ["diff_page", "write_diff"]

FIGURES = 6  # pairs drawn, those that changed most
LISTED = 100  # pairs in the table
UNITS = {
    **dict.fromkeys(("thresh", "head_thresh"), "dBFS"),
    **dict.fromkeys(("min_len", "min_silence_len", "trim_window"), "ms"),
    **dict.fromkeys(("rate", "fmin", "fmax", "f0_floor", "f0_ceil"), "Hz"),
    **dict.fromkeys(("n_fft", "hop_length", "win_length"), "samples"),
}
NOTICEABLE = 0.005  # s; the two frame grids may round one boundary to either side


def write_diff(
    path: Path, before: Version, after: Version, found: Difference, causes: Why | None = None
) -> None:
    """Write the page of a difference."""
    write_page(path, diff_page(before, after, found, causes))


def diff_page(
    before: Version, after: Version, found: Difference, causes: Why | None = None
) -> Page:
    """Return the page of a difference; the recordings of the pairs it draws are read.

    `causes` is what each change does alone, where that was asked for.
    """
    drawn = list(_Figures(before, after).of(found.changed))
    sections = []
    if drawn:
        first = Section(title="The pair that changed most", short="Hear it", body=_heard(drawn[:1]))
        sections.append(first)
    sections += [
        Section(title="In numbers", body=_totals(before, after, found)),
        Section(title="Settings", body=_settings(before, after, found)),
    ]
    if causes is not None:
        sections.append(Section(title="What each change does", short="Why", body=_why(causes)))
    if not found.identical:
        sections.append(Section(title="Distributions", body=distributions((before, after))))
    if drawn[1:]:
        others = Section(title="More that changed", short="Hear more", body=joined(*drawn[1:]))
        sections.append(others)
    if found.changed:
        sections.append(Section(title="Changed pairs", short="Pairs", body=_changes(found)))
    if found.added or found.removed:
        sections.append(
            Section(title="Pairs in one of them only", short="Only in one", body=_only(found))
        )
    return Page(
        title=f"Dataset {found.before} → dataset {found.after}",
        lead=found.sentence,
        sections=sections,
        footer=f"Fingerprints {before.fingerprint[:12]} and {after.fingerprint[:12]}.",
    )


# -------------------------------------------------------------------- numbers


def _totals(before: Version, after: Version, found: Difference) -> Html:
    parts = []
    if found.identical:
        parts.append(notice("good", "The two are the same", "Their fingerprints are equal."))
    elif not (found.changed or found.unchanged):
        parts.append(
            notice(
                "warning",
                "No pair is in both",
                f"{found.before} pairs {', '.join(before.speakers)}; "
                f"{found.after} pairs {', '.join(after.speakers)}.",
            )
        )
    if found.aspects:
        told = ", ".join(f"{name} {count:,}" for name, count in found.aspects.items())
        both = counted(len(found.changed) + found.unchanged, "pair")
        parts.append(paragraph(f"{len(found.changed):,} of {both} changed in: {told}"))
    if found.tiers:
        named = [f"{name} ({change})" for name, change in found.tiers.items()]
        more = f", and {len(named) - LISTED:,} more" if len(named) > LISTED else ""
        parts.append(paragraph(f"Tiers by hand: {', '.join(named[:LISTED])}{more}"))
    rows = [total_row(name, measure) for name, measure in found.totals.items()]
    moved = [k for k, measure in enumerate(found.totals.values()) if measure.change]
    header = ["", found.before, found.after, "change"]
    return joined(*parts, table(header, rows, caption="Source and target together", marked=moved))


def _settings(before: Version, after: Version, found: Difference) -> Html:
    flat = [flat_settings(portable(version.settings)) for version in (before, after)]
    changed = [setting.key for setting in found.settings]
    others = sorted((flat[0].keys() | flat[1].keys()) - set(changed))
    header = ["setting", found.before, found.after]

    def rows(keys: Sequence[str]) -> list[list[str]]:
        return [[key, *(_value(key, each.get(key)) for each in flat)] for key in keys]

    same = details(
        counted(len(others), "setting") + " alike", table(header, rows(others)), is_open=False
    )
    if not changed:
        return joined(paragraph("No setting differs."), same)
    marked = range(len(changed))
    return joined(table(header, rows(changed), caption="Changed", marked=marked), same)


def _value(key: str, value: Any) -> str:
    unit = UNITS.get(key.rpartition(".")[2], "")
    return f"{plain(value)} {unit}".strip() if value is not None else ""


def _why(causes: Why) -> Html:
    if not causes.causes:
        return paragraph(f"{NOTHING.capitalize()}.")
    header, rows = shares(causes)
    caption = "Each change applied alone to the first version; source and target together"
    told = element("ul", *(element("li", line) for line in remarks(causes)))
    return joined(table(header, rows, caption=caption) if rows else "", told)


def _changes(found: Difference) -> Html:
    rows = [change_row(change) for change in found.changed[:LISTED]]
    more = len(found.changed) - len(rows)
    note = f"and {more:,} more; `corpuskit diff --json` has all."
    return joined(
        table(CHANGE_HEADER, rows, caption="Largest changes first; both sides added"),
        paragraph(note, faint=True) if more > 0 else "",
    )


def _only(found: Difference) -> Html:
    parts = []
    for name, pairs in ((found.after, found.added), (found.before, found.removed)):
        if pairs:
            more = f", and {len(pairs) - LISTED:,} more" if len(pairs) > LISTED else ""
            parts.append(heading(f"Only in {name}: {counted(len(pairs), 'pair')}"))
            parts.append(paragraph(", ".join(pairs[:LISTED]) + more))
    return joined(*parts)


# -------------------------------------------------------------------- figures


def _heard(drawn: Sequence[Html]) -> Html:
    return joined(
        paragraph(
            "Upper half: before. Lower half: after. The marks at the foot are what only one of "
            "the two throws away; the buttons play it, quiet parts louder by the decibels told. "
            "A click on a drawing plays from there."
        ),
        key(
            ("accent", "thrown away by one of them only"),
            ("first", "threshold before"),
            ("second", "threshold after"),
        ),
        *drawn,
    )


class _Figures:
    """Draws pairs of two versions, each recording once."""

    def __init__(self, before: Version, after: Version) -> None:
        self.versions = before, after
        self.pairs = [{pair.id: pair for pair in version.pairs} for version in self.versions]
        self.opener = Opener(before, after)
        self.seen: set[str] = set()  # ids of recordings
        self.drawn = 0

    def of(self, changes: Sequence[PairChange]) -> Iterator[Html]:
        """Yield the figures of the pairs that changed most."""
        drawn = 0
        for change in changes:
            old, new = (pairs[change.pair] for pairs in self.pairs)
            if drawn == FIGURES:
                return
            if {old.source.recording, old.target.recording} <= self.seen:
                continue  # another pair has shown both already
            drawn += 1
            yield joined("\n", heading(change.pair), paragraph(_told(change)), self._pair(old, new))

    def _pair(self, old: Pair, new: Pair) -> Html:
        sides = (("source", old.source, new.source), ("target", old.target, new.target))
        return columns(*(self._side(name, a, b) for name, a, b in sides))

    def _side(self, side: str, old: Side, new: Side) -> Html:
        if old.recording in self.seen:
            return paragraph(f"{old.recording} ({side}): drawn above.", faint=True)
        self.seen.add(old.recording)
        before, after = self.versions
        records = (
            self.opener.recording(before, old.recording),
            self.opener.recording(after, new.recording),
        )
        if records[0].digest != records[1].digest:
            return self._apart(side, (old, new))
        a, b = marks_of(old, before.settings), marks_of(new, after.settings)
        shown = self.opener.open(after, new.recording)
        excerpts = _excerpts(before.name, after.name, a, b)
        return self._figure(side, shown, {"before": a, "after": b}, excerpts)

    def _apart(self, side: str, sides: tuple[Side, Side]) -> Html:
        """Draw two recordings of one name: the audio itself is another one."""
        parts = [paragraph("The audio itself differs.")]
        for version, each in zip(self.versions, sides, strict=True):
            marks = marks_of(each, version.settings)
            shown = self.opener.open(version, each.recording)
            kept = Excerpt(label=f"speech in {version.name}", spans=marks.speech)
            role = f"{side}, {version.name}"
            parts.append(self._figure(role, shown, {version.name: marks}, [kept]))
        return joined(*parts)

    def _figure(
        self, side: str, shown: Shown, marks: dict[str, Marks], excerpts: Sequence[Excerpt]
    ) -> Html:
        self.drawn += 1
        name = f"sound-{self.drawn}"
        caption = f"{shown.recording.id} ({side}), {shown.seconds:.2f} s"
        thresholds = [version.settings.silence.thresh for version in self.versions]
        noted = _only_one(*marks.values()) if len(marks) == 2 else ()
        return figure(
            name,
            shown,
            caption,
            marks,
            thresholds=thresholds,
            excerpts=excerpts,
            noted=noted,
        )


def _only_one(a: Marks, b: Marks) -> tuple[tuple[float, float], ...]:
    return tuple(
        sorted((*without(a.speech, b.speech, NOTICEABLE), *without(b.speech, a.speech, NOTICEABLE)))
    )


def _excerpts(before: str, after: str, a: Marks, b: Marks) -> list[Excerpt]:
    return [
        Excerpt(
            label=f"only {before} throws away",
            spans=without(b.speech, a.speech, NOTICEABLE),
            louder=True,
        ),
        Excerpt(
            label=f"only {after} throws away",
            spans=without(a.speech, b.speech, NOTICEABLE),
            louder=True,
        ),
        Excerpt(label=f"speech in {before}", spans=a.speech),
        Excerpt(label=f"speech in {after}", spans=b.speech),
    ]


def _told(change: PairChange) -> str:
    """Say what happened to a pair, in seconds and phrases."""
    parts = [
        f"{what} {measure.change:+.2f} s"
        for what, measure in (
            ("speech", change.speech),
            ("trimmed", change.trimmed),
            ("silent", change.silent),
        )
        if abs(measure.change) >= NOTICEABLE
    ]
    if change.phrases.change:
        parts.append(f"phrases {change.phrases.before:.0f} → {change.phrases.after:.0f}")
    return ", ".join(parts) or f"changed in {', '.join(change.aspects)}"

"""Suspect pairs as one page: why each is suspect, where to look, and both sides to hear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from corpuskit.checks import REASONS, Checked, Finding, Suspect, distinct
from corpuskit.pages.figures import Excerpt, figure, key
from corpuskit.pages.marks import marks_of
from corpuskit.pages.recordings import Opener
from corpuskit.report.markup import Html, element, joined
from corpuskit.report.page import Page, Section, write_page
from corpuskit.report.parts import columns, heading, notice, paragraph, table
from corpuskit.versions import Pair, Side, Version
from corpuskit.wording.check import NAMES, finding, remarks, summary

__all__ = ["check_page", "write_check"]

LISTED = 200  # pairs in the table
BEFORE, AFTER = 0.3, 0.3  # s played around what is pointed at


def write_check(path: Path, version: Version, found: Checked, shown: int) -> None:
    """Write the page of a check with the `shown` most suspicious pairs drawn."""
    write_page(path, check_page(version, found, shown))


def check_page(version: Version, found: Checked, shown: int = 20) -> Page:
    """Return the page of a check; the recordings of the pairs it draws are read."""
    sections = []
    drawn = list(_figures(version, distinct(found.suspects)[:shown]))
    if drawn:
        sections.append(Section(title="Listen to these first", body=joined(_guide(), *drawn)))
    sections.append(Section(title="In numbers", body=_numbers(found)))
    return Page(
        title=f"Suspect pairs of dataset {version.name}",
        lead=summary(found),
        sections=sections,
        footer=f"Fingerprint {version.fingerprint[:12]}. Nothing was changed for this page.",
    )


def _numbers(found: Checked) -> Html:
    parts: list[Html] = [notice("plain", "Worth knowing", f"{text}.") for text in remarks(found)]
    if not found.suspects:
        return joined(*parts, notice("good", "No pair is suspect"))
    reasons = [reason for reason in REASONS if reason in found.reasons]
    parts.append(
        table(
            ["reason", "pairs"],
            [[NAMES[reason], f"{found.reasons[reason]:,}"] for reason in reasons],
        )
    )
    rows = [
        [
            suspect.pair,
            f"{suspect.suspicion:.1f}",
            element("ul", *(element("li", _told(each)) for each in suspect.findings)),
        ]
        for suspect in found.suspects[:LISTED]
    ]
    caption = (
        "Suspicion: root of the summed squares of the deviations, in robust standard deviations"
    )
    parts.append(table(["pair", "suspicion", "why"], rows, caption=caption))
    if len(found.suspects) > LISTED:
        parts.append(paragraph(f"and {len(found.suspects) - LISTED:,} more", faint=True))
    return joined(*parts)


def _told(each: Finding) -> str:
    return f"{NAMES[each.reason]}: {finding(each)}"


def _guide() -> Html:
    return joined(
        paragraph(
            "Do both sides say the same? The marks at the foot show where only one side seems to "
            "speak or to pause; a click on a drawing plays from there."
        ),
        key(("accent", "only on this side")),
    )


def _figures(version: Version, suspects: Sequence[Suspect]) -> Iterator[Html]:
    pairs = {pair.id: pair for pair in version.pairs}
    targets = {pair.target.recording: pair.target for pair in version.pairs}
    opener = Opener(version)
    for number, suspect in enumerate(suspects, start=1):
        pair = pairs[suspect.pair]
        parts = [
            _side(version, opener, f"{side}-{number}", side, getattr(pair, side), suspect.findings)
            for side in ("source", "target")
        ]
        for each in suspect.findings:
            if each.partner is not None:
                better = targets[each.partner.recording]
                parts.append(_side(version, opener, f"better-{number}", "fits better", better, ()))
        yield joined(
            "\n",
            heading(f"{number}. {_name(pair)}"),
            element("ul", *(element("li", _told(each)) for each in suspect.findings)),
            columns(*parts),
        )


def _name(pair: Pair) -> str:
    return f"{pair.id} ({pair.split})"


def _side(
    version: Version,
    opener: Opener,
    name: str,
    role: str,
    side: Side,
    findings: Sequence[Finding],
) -> Html:
    shown = opener.open(version, side.recording)
    places = [each.place for each in findings if each.place and each.place.side == role]
    noted = [(place.start, place.stop) for place in places]
    excerpts = [
        Excerpt(
            label="around the mark",
            spans=((max(0.0, begin - BEFORE), min(shown.seconds, end + AFTER)),),
        )
        for begin, end in noted
    ]
    return figure(
        name,
        shown,
        f"{side.recording} ({role}), {shown.seconds:.2f} s",
        {version.name: marks_of(side, version.settings)},
        thresholds=[version.settings.silence.thresh],
        excerpts=excerpts,
        noted=noted,
    )

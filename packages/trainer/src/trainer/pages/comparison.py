"""Comparisons of two runs as parts of a page."""

from __future__ import annotations

from collections.abc import Sequence

from corpuskit.report.markup import Html, element, joined
from corpuskit.report.parts import notice, paragraph, table
from trainer.compare import Comparison, Result
from trainer.wording.diff import over

__all__ = ["causes", "drawn_apart", "leading", "results"]


def leading(found: Comparison) -> str:
    """Say in one sentence why the second run differs from the first."""
    if found.same:
        return f"Run {found.after} is the same training as run {found.before}."
    if not found.causes:
        return f"Run {found.after} differs from run {found.before} in nothing that matters."
    first, *others = found.causes
    more = f"; then {', '.join(each.what for each in others)}" if others else ""
    return f"What differs first: {first.what}, {first.told}{more}."


def causes(found: Comparison) -> Html:
    """List what was not the same, the likeliest cause first."""
    if not found.causes:
        return notice("good", "Nothing that matters differs")
    rows = [[str(place), each.what, each.told] for place, each in enumerate(found.causes, 1)]
    return table(
        ["", "what", f"run {found.before} → run {found.after}"],
        rows,
        caption="In the order in which they usually matter",
        marked=[0],
    )


def results(found: Comparison) -> Html:
    """Show results where they are comparable, and say why they are not elsewhere."""
    good = [each for each in found.results if not each.reason]
    parts: list[Html] = []
    if good:
        header = ["", f"run {found.before}", f"run {found.after}", "change", "over"]
        caption = "± is half the 95 % confidence interval over utterances"
        parts.append(table(header, [_row(each) for each in good], caption=caption))
    for reason in dict.fromkeys(each.reason for each in found.results if each.reason):
        names = [each.name for each in found.results if each.reason == reason]
        parts.append(notice("warning", f"Not comparable: {reason}", ", ".join(names)))
    if not found.results:
        parts.append(paragraph("There are no results of both yet.", faint=True))
    if found.commands:
        commands = (element("li", element("code", command)) for command in found.commands)
        parts.append(paragraph("To compare them on the same utterances:"))
        parts.append(element("ul", *commands))
    return joined(*parts)


def drawn_apart(comparisons: Sequence[Comparison]) -> Html:
    """Warn of runs whose losses are drawn over each other, but are not comparable."""
    return joined(
        *(
            paragraph(
                f"Run {each.after} is drawn with run {each.before}, but {reason}.", faint=True
            )
            for each in comparisons
            if (reason := _why_no_loss(each))
        )
    )


def _why_no_loss(found: Comparison) -> str:
    """Say why no dev loss of two runs is comparable; empty if one is, or if there are none."""
    losses = [each for each in found.results if each.name.startswith("dev loss")]
    if not losses or any(not each.reason for each in losses):
        return ""
    return f"not comparable: {losses[0].reason}"


def _row(result: Result) -> list[str]:
    assert result.before is not None
    assert result.after is not None
    half = "" if result.half is None else f" ± {result.half:.4f}"
    return [
        result.name,
        f"{result.before:.4f}",
        f"{result.after:.4f}",
        f"{result.after - result.before:+.4f}{half}",
        over(result),
    ]

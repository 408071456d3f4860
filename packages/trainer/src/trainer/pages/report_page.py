"""A run, or some side by side, as a page: how they went, how they sound, where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from corpuskit.report.markup import Html, element, joined
from corpuskit.report.page import Page, Section, write_page
from corpuskit.report.parts import facts, heading, notice, paragraph, table
from corpuskit.tables import length
from trainer.catalogue import Line
from trainer.courses import trained_course
from trainer.examples import Example
from trainer.pages.charts import loss_charts, rate_chart
from trainer.pages.comparison import causes, drawn_apart, leading, results
from trainer.pages.listening_results import listening_results
from trainer.pages.utterances import utterances
from trainer.report import Report, Subject
from trainer.wording.report import METRICS, figure_cell, sentence
from trainer.wording.runs import LOSSES

__all__ = ["report_page", "write_report"]


def write_report(
    path: Path, found: Report, examples: Sequence[Example], problems: Sequence[str]
) -> None:
    """Write the page of a report."""
    write_page(path, report_page(found, examples, problems))


def report_page(found: Report, examples: Sequence[Example], problems: Sequence[str] = ()) -> Page:
    """Return the page of a report; `problems` say why utterances are missing."""
    subjects = found.subjects
    sections = [Section(title="In short", body=_facts(subjects))]
    if found.comparisons:
        sections.append(Section(title="Side by side", body=_comparisons(found)))
    sections.append(Section(title="Metrics", body=joined(*map(_metrics, subjects))))
    judged = [each for each in subjects if each.run.record.listening]
    if judged:
        tests = (listening_results(each.name, each.run.record.listening) for each in judged)
        sections.append(Section(title="Listening tests", body=joined(*tests)))
    heard = [notice("warning", text) for text in problems]
    if examples or heard:
        body = joined(*heard, utterances(examples))
        sections.append(Section(title="Utterances", short="Hear it", body=body))
    sections += [
        Section(title="Curves", body=_curves(found)),
        Section(title="Descent", body=_tree(found)),
        Section(title="To make it again", short="Commands", body=_commands(subjects)),
    ]
    names = ", ".join(subject.name for subject in subjects)
    return Page(
        title=f"Run{'s' if len(subjects) > 1 else ''} {names}",
        lead=sentence(found),
        sections=sections,
        footer="; ".join(f"{each.name}: identity {each.run.record.identity}" for each in subjects),
    )


# ------------------------------------------------------------------------ facts


def _facts(subjects: Sequence[Subject]) -> Html:
    return element("div", *(_about(subject) for subject in subjects), class_="columns")


def _about(subject: Subject) -> Html:
    run, record = subject.run, subject.run.record
    pairs = ", ".join(f"{count:,} {split}" for split, count in record.dataset.pairs.items())
    parent = record.parent
    told: dict[str, str | Html] = {
        "dataset": f"{record.dataset.name} ({pairs} pairs), fingerprint "
        f"{record.dataset.fingerprint[:12]}",
        "parent": "none"
        if parent is None
        else f"run {parent.tag} at epoch {parent.epoch}, optimiser {parent.optimiser}",
        "model": f"{run.config.model.kind}, {record.parameters / 1e6:.2f} M parameters",
        "trained": f"{record.epoch} of {record.epochs} epochs, {record.step:,} steps, "
        f"{length(record.seconds)} on {record.sessions[-1].device}, {record.precision}",
        "status": run.status + (f": {record.problem}" if record.problem else ""),
    }
    if record.best_loss is not None:
        told[f"best dev loss {record.best_by}"] = (
            f"{record.best_loss:.4f} at epoch {record.best_epoch}"
        )
    if record.origin:
        told["promoted from"] = f"trial {record.origin}"
    parts = [heading(f"Run {subject.name}"), facts(told)]
    if subject.verdict is not None:
        given = subject.verdict.inherited_from
        whose = f", given to run {given}" if given else ""
        bad = subject.verdict.what == "bad"
        title = f"Found {subject.verdict.what}{whose}"
        parts.append(notice("bad" if bad else "good", title, subject.verdict.text))
    notes = [f"{each.written[:10]}: {each.text}" for each in record.remarks]
    if notes:
        parts.append(element("ul", *(element("li", note) for note in notes)))
    return element("div", *parts)


# ---------------------------------------------------------------------- figures


def _metrics(subject: Subject) -> Html:
    if not subject.evaluations:
        return notice(
            "plain",
            f"Run {subject.name} was not evaluated",
            joined(
                element("code", f"trainer evaluate {subject.name}"),
                " measures it on the eval split.",
            ),
        )
    return joined(*(_evaluation(subject.name, each) for each in subject.evaluations))


def _evaluation(name: str, evaluation: Mapping[str, Any]) -> Html:
    columns = ("unconverted", "converted", "copy_synthesis")
    rows = [
        [
            label,
            *(figure_cell(evaluation["figures"][column][metric], digits) for column in columns),
            evaluation["definitions"][metric],
        ]
        for metric, (label, digits) in METRICS.items()
    ]
    caption = (
        f"Run {name}, {evaluation['checkpoint']}, on {evaluation['measured']} "
        f"{evaluation['split']} utterances of dataset {evaluation['dataset']}, vocoder "
        f"{evaluation['vocoder']}; ± is half the 95 % confidence interval over utterances"
    )
    header = ["", "unconverted", "converted", "copy synthesis", "definition"]
    return table(header, rows, caption=caption)


def _comparisons(found: Report) -> Html:
    parts = []
    for each in found.comparisons:
        parts += [
            heading(f"Run {each.before} → run {each.after}"),
            paragraph(leading(each)),
            causes(each),
            results(each),
        ]
    return joined(*parts)


# ----------------------------------------------------------------------- curves


def _curves(found: Report) -> Html:
    subjects = found.subjects
    drawn = [
        (f"run {each.name}", each.rows, each.run.record.best_epoch)
        for each in subjects
        if each.rows
    ]
    courses = [(f"run {each.name}", trained_course(each.run)) for each in subjects]
    losses = (
        joined(drawn_apart(found.comparisons), loss_charts(drawn, train=len(drawn) == 1))
        if drawn
        else paragraph("No epoch is finished yet.", faint=True)
    )
    return joined(losses, heading("Learning rate"), rate_chart(courses))


# ---------------------------------------------------------------------- descent


def _tree(found: Report) -> Html:
    asked = {subject.name for subject in found.subjects}
    rows = [
        [_indented(line, depth, marked=line.tag in asked), *_told(found, line)]
        for line, depth in found.tree
    ]
    if not rows:
        return paragraph("Neither ancestors nor descendants.")
    marked = [place for place, (line, _) in enumerate(found.tree) if line.tag in asked]
    return table(["run", "dataset", "from", "best dev losses", "verdict"], rows, marked=marked)


def _indented(line: Line, depth: int, *, marked: bool) -> Html:
    return element(
        "strong" if marked else "span", line.tag, style=f"padding-left:{1.2 * depth:.1f}em"
    )


def _told(found: Report, line: Line) -> Iterator[str]:
    yield line.dataset or "-"
    epoch = f"@{line.parent_epoch}" if line.parent_epoch is not None else ""
    yield f"{line.parent_tag}{epoch}" if line.parent_tag else "-"
    told = ", ".join(
        f"{name} {line.best_losses[name]:.4f}" for name in LOSSES if name in line.best_losses
    )
    yield f"{told} @{line.best_epoch}" if told else "-"
    verdict = found.verdicts.get(line.tag)
    if verdict is None:
        yield ""
    else:
        yield verdict.what + (f" ({verdict.inherited_from})" if verdict.inherited_from else "")


def _commands(subjects: Sequence[Subject]) -> Html:
    return joined(
        *(
            element(
                "ul",
                *(element("li", element("code", command)) for command in subject.commands),
            )
            for subject in subjects
        )
    )

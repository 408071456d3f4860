"""Why one run differs from another, as a page: the answer first, then curves and figures."""

from __future__ import annotations

from pathlib import Path

from corpuskit.report.markup import Html, joined
from corpuskit.report.page import Page, Section, write_page
from corpuskit.report.parts import paragraph, table
from trainer.compare import Comparison
from trainer.config import with_defaults
from trainer.courses import trained_course
from trainer.identity import differences
from trainer.pages.charts import loss_charts, rate_chart
from trainer.pages.comparison import causes, drawn_apart, leading, results
from trainer.runs import Run, metrics, open_run

__all__ = ["diff_page", "write_diff"]


def write_diff(path: Path, workspace: Path, found: Comparison) -> None:
    """Write the page of a comparison."""
    write_page(path, diff_page(workspace, found))


def diff_page(workspace: Path, found: Comparison) -> Page:
    """Return the page of a comparison."""
    runs = [open_run(workspace, tag) for tag in (found.before, found.after)]
    names = [f"run {tag}" for tag in (found.before, found.after)]
    courses = [(name, trained_course(run)) for name, run in zip(names, runs, strict=True)]
    curves = [
        (name, metrics(run.folder), run.record.best_epoch)
        for name, run in zip(names, runs, strict=True)
    ]
    drawn = [curve for curve in curves if curve[1]]
    sections = [
        Section(title="What was not the same", short="Causes", body=causes(found)),
        Section(title="Results", body=results(found)),
        Section(title="Learning rate", body=rate_chart(courses)),
    ]
    if drawn:
        body = joined(drawn_apart([found]), loss_charts(drawn, train=False))
        sections.append(Section(title="Losses", body=body))
    sections.append(Section(title="Settings that differ", short="Settings", body=_settings(runs)))
    return Page(
        title=f"Run {found.before} → run {found.after}",
        lead=leading(found),
        sections=sections,
        footer=" and ".join(f"{run.tag}: identity {run.record.identity[:12]}" for run in runs),
    )


def _settings(runs: list[Run]) -> Html:
    configs = [with_defaults(run.record.parts["config"]) for run in runs]
    changed = differences(*configs)
    if not changed:
        return paragraph("None.")
    rows = [[key, str(old), str(new)] for key, (old, new) in changed.items()]
    return table(["setting", *(f"run {run.tag}" for run in runs)], rows)

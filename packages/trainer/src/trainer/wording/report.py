"""Reports in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from corpuskit.tables import counted, table
from trainer.report import Report, Subject
from trainer.wording.diff import compared
from trainer.wording.listening import listened

__all__ = ["METRICS", "figure_cell", "reported", "sentence"]

METRICS = {
    "mcd": ("MCD, dB", 2),
    "log_f0_rmse": ("log F0 RMSE", 4),
    "log_f0_correlation": ("log F0 correlation", 3),
    "voicing_error": ("voicing error", 4),
    "duration_error": ("duration error, s", 3),
}


def sentence(found: Report) -> str:
    """Say the one thing to read if only one is read."""
    return " ".join(_short(subject) for subject in found.subjects)


def _short(subject: Subject) -> str:
    record = subject.run.record
    best = (
        f", best dev loss {record.best_by} {record.best_loss:.4f} at epoch {record.best_epoch}"
        if record.best_loss is not None
        else ""
    )
    heard = ""
    if subject.evaluations:
        # Beside the run's dataset: what it scores there, unless it was evaluated elsewhere alone.
        own = [each for each in subject.evaluations if each["dataset"] == record.dataset.name]
        last = (own or subject.evaluations)[-1]
        before, after = (
            last["figures"][column]["mcd"]["mean"] for column in ("unconverted", "converted")
        )
        if before is not None and after is not None:
            where = "" if own else f" on dataset {last['dataset']}"
            heard = (
                f"; MCD {before:.2f} -> {after:.2f} dB{where} "
                f"({last['checkpoint']}, {last['vocoder']})"
            )
    verdict = f"; found {subject.verdict.what}" if subject.verdict else ""
    return (
        f"Run {subject.name}, {subject.run.status} after "
        f"{counted(record.epoch, 'epoch')} on dataset "
        f"{record.dataset.name}{best}{heard}{verdict}."
    )


def figure_cell(figure: Mapping[str, Any], digits: int) -> str:
    """Say a mean with half its confidence interval."""
    if figure["mean"] is None:
        return "-"
    half = "" if figure["ci95"] is None else f" ± {figure['ci95']:.{digits}f}"
    return f"{figure['mean']:.{digits}f}{half}"


def reported(found: Report) -> Iterator[str]:
    """Describe runs: in a sentence each, their figures, how they compare, how to make them."""
    for subject in found.subjects:
        yield _short(subject)
        yield from _figures(subject)
        yield from listened(subject.run.record.listening)
        yield from (f"  {command}" for command in subject.commands)
    for comparison in found.comparisons:
        yield from compared(comparison)


def _figures(subject: Subject) -> Iterator[str]:
    if not subject.evaluations:
        yield f"not evaluated: `trainer evaluate {subject.name}`"
    for each in subject.evaluations:
        header = [f"{each['dataset']} {each['checkpoint']}", "unconverted", "converted"]
        rows = [
            [
                label,
                *(
                    figure_cell(each["figures"][column][metric], digits)
                    for column in ("unconverted", "converted")
                ),
            ]
            for metric, (label, digits) in METRICS.items()
        ]
        yield from table([*header, "copy synthesis"], _with_copy(each, rows))
        utterances = counted(each["measured"], f"{each['split']} utterance")
        yield f"vocoder {each['vocoder']}, {utterances}"


def _with_copy(evaluation: Mapping[str, Any], rows: list[list[str]]) -> list[list[str]]:
    copies = evaluation["figures"]["copy_synthesis"]
    return [
        [*row, figure_cell(copies[metric], digits)]
        for row, (metric, (_, digits)) in zip(rows, METRICS.items(), strict=True)
    ]

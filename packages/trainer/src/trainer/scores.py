"""The figures of an evaluation: per utterance, averaged, as JSON and as a table."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpuskit.files import read_json
from trainer.metrics import DEFINITIONS, Distances

__all__ = [
    "COLUMNS",
    "Evaluation",
    "Figure",
    "Utterance",
    "as_mapping",
    "as_result",
    "evaluations",
    "summarise",
    "table",
]

SCHEMA = 1
COLUMNS = ("unconverted", "converted", "copy_synthesis")


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One pair: its distances to the target's recording by column, or why it has none."""

    pair: str
    distances: Mapping[str, Distances]  # empty when left out
    reason: str = ""  # why it is left out


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A mean over utterances."""

    mean: float | None  # None without an utterance to measure
    ci95: float | None  # half the width of the 95 % confidence interval; None below two
    utterances: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a checkpoint scores on a dataset's held-out pairs."""

    run: str
    checkpoint: str
    checkpoint_digest: str  # SHA-256 of the weights
    dataset: str
    fingerprint: str
    split: str
    vocoder: str
    figures: Mapping[str, Mapping[str, Figure]]  # by column, then by metric
    utterances: tuple[Utterance, ...]  # every pair of the split, sorted
    definitions: Mapping[str, str]  # name of each metric's definition
    file: Path  # the evaluation as JSON
    sounds: Path  # folder of the converted utterances

    @property
    def measured(self) -> int:
        """How many utterances the figures rest on."""
        return sum(not utterance.reason for utterance in self.utterances)


def summarise(utterances: Sequence[Utterance]) -> dict[str, dict[str, Figure]]:
    """Average each metric of each column over the measured utterances."""
    measured = [utterance for utterance in utterances if not utterance.reason]
    return {
        column: {
            metric: _figure([getattr(each.distances[column], metric) for each in measured])
            for metric in DEFINITIONS
        }
        for column in COLUMNS
    }


def _figure(values: Sequence[float | None]) -> Figure:
    """Return the mean and its confidence interval after Student; missing values do not count."""
    from scipy.special import stdtrit

    known = np.array([value for value in values if value is not None])
    count = len(known)
    half = None
    if count > 1:
        half = float(stdtrit(count - 1, 0.975) * known.std(ddof=1) / np.sqrt(count))
    return Figure(mean=float(known.mean()) if count else None, ci95=half, utterances=count)


def as_mapping(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as plain JSON values; paths stay out, it lies beside its sounds."""
    mapping = dataclasses.asdict(evaluation)
    del mapping["file"], mapping["sounds"]
    mapping["schema"] = SCHEMA
    mapping["measured"] = evaluation.measured
    return mapping


def as_result(evaluation: Evaluation) -> dict[str, Any]:
    """Return what the run's record keeps: the means under their definitions' names."""
    return {
        "dataset": evaluation.dataset,
        "fingerprint": evaluation.fingerprint,
        "checkpoint": evaluation.checkpoint,
        "vocoder": evaluation.vocoder,
        "utterances": evaluation.measured,
        **{
            column: {
                evaluation.definitions[metric]: figure.mean for metric, figure in figures.items()
            }
            for column, figures in evaluation.figures.items()
        },
    }


def evaluations(folder: Path) -> list[dict[str, Any]]:
    """Read the evaluations in a run's folder, the oldest first; damaged files are left out."""
    found = []
    for path in sorted(
        (folder / "evaluations").glob("*.json"), key=lambda path: path.stat().st_mtime_ns
    ):
        with contextlib.suppress(OSError, ValueError):
            mapping = read_json(path)
            if mapping.get("schema") == SCHEMA:
                found.append(mapping)
    return found


_ROWS = {
    "mcd": ("MCD, dB", 2),
    "log_f0_rmse": ("log F0 RMSE", 4),
    "log_f0_correlation": ("log F0 correlation", 3),
    "voicing_error": ("voicing error", 4),
    "duration_error": ("duration error, s", 3),
}


def table(evaluation: Evaluation) -> str:
    """Return the figures as text: a row a metric, a column a sound, each with its definition."""
    rows = [("", *(column.replace("_", " ") for column in COLUMNS), "definition")]
    for metric, (label, digits) in _ROWS.items():
        figures = [evaluation.figures[column][metric] for column in COLUMNS]
        cells = [_cell(figure, digits, evaluation.measured) for figure in figures]
        rows.append((label, *cells, evaluation.definitions[metric]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([_title(evaluation), "", *lines, "", *_footnotes(evaluation)])


def _title(evaluation: Evaluation) -> str:
    return (
        f"run {evaluation.run} ({evaluation.checkpoint}) on dataset {evaluation.dataset}: "
        f"{evaluation.measured} of {len(evaluation.utterances)} {evaluation.split} utterances, "
        f"vocoder {evaluation.vocoder}"
    )


def _cell(figure: Figure, digits: int, measured: int) -> str:
    if figure.mean is None:
        return "-"
    half = "" if figure.ci95 is None else f" ± {figure.ci95:.{digits}f}"
    few = "" if figure.utterances == measured else f" (n={figure.utterances})"
    return f"{figure.mean:.{digits}f}{half}{few}"


def _footnotes(evaluation: Evaluation) -> list[str]:
    notes = ["Distances to the target's recording; ± is half the 95 % confidence interval."]
    reasons = [utterance.reason for utterance in evaluation.utterances if utterance.reason]
    notes += [f"Left out: {reasons.count(reason)}, {reason}" for reason in sorted(set(reasons))]
    return notes

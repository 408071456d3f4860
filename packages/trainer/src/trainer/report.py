"""What there is to say of one run, or of some side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.again import as_on, command_of
from trainer.catalogue import Line, read_catalogue
from trainer.compare import Comparison, compare
from trainer.descent import Verdict, ordered_by_descent
from trainer.runs import Run, metrics, open_run
from trainer.scores import evaluations

__all__ = ["Report", "Subject", "report"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One run of a report."""

    name: str  # as it was asked for
    run: Run
    rows: tuple[Mapping[str, Any], ...]  # of metrics.jsonl
    evaluations: tuple[Mapping[str, Any], ...]  # the newest of each dataset and checkpoint
    verdict: Verdict | None
    commands: tuple[str, ...]  # that make it again and score it


@dataclass(frozen=True, kw_only=True)
class Report:
    """Runs and how they are related."""

    subjects: tuple[Subject, ...]
    comparisons: tuple[Comparison, ...]  # of each with the first
    tree: tuple[tuple[Line, int], ...]  # ancestors and descendants, with their depth
    verdicts: Mapping[str, Verdict]


def report(workspace: Path, tags: Sequence[str]) -> Report:
    """Gather what there is to say.

    Raises
    ------
    CorpuskitError
        A run does not exist or is damaged.
    """
    runs = [open_run(workspace, tag) for tag in tags]
    known = read_catalogue(workspace)
    lines, judged = known.lines, known.judged
    subjects = tuple(
        Subject(
            name=tag,
            run=run,
            rows=tuple(metrics(run.folder)),
            evaluations=tuple(_newest(evaluations(run.folder))),
            verdict=judged.get(tag),
            commands=_commands(tag, run),
        )
        for tag, run in zip(tags, runs, strict=True)
    )
    return Report(
        subjects=subjects,
        comparisons=tuple(compare(workspace, tags[0], tag) for tag in tags[1:]),
        tree=tuple(ordered_by_descent(_related(lines, tags))),
        verdicts=judged,
    )


def _newest(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Keep the last evaluation of each dataset, checkpoint and vocoder."""
    keys = ("dataset", "checkpoint", "vocoder")
    return list({tuple(each[key] for key in keys): each for each in found}.values())


def _commands(tag: str, run: Run) -> tuple[str, ...]:
    """Return what is typed to make it again: from the record, or from its settings alone."""
    from dataclasses import replace

    request = as_on(run, run.record.dataset.name, run.record.epoch or run.record.epochs)
    request = replace(request, precision=run.record.precision)
    alone = replace(request, like=None, model=f"{tag}/config.toml")
    return (
        f"trainer reproduce {tag}",
        command_of(replace(request, again=True)),
        f"{command_of(alone)}   # elsewhere, with the run's config.toml",
        f"trainer evaluate {tag}",
    )


def _related(lines: Sequence[Line], tags: Sequence[str]) -> list[Line]:
    """Return the ancestors and descendants of some runs, and these."""
    by_tag = {line.tag: line for line in lines}
    kept: set[str] = set()
    for tag in tags:
        at: str | None = tag
        while at in by_tag and at not in kept:
            kept.add(at)
            at = by_tag[at].parent_tag
    below = set(tags)
    grown = True
    while grown:
        more = {line.tag for line in lines if line.parent_tag in below} - below
        below |= more
        grown = bool(more)
    return [line for line in lines if line.tag in kept | below]

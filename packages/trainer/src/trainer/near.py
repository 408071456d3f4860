"""Runs that a training about to begin nearly repeats, and in what it differs from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit.config import DatasetConfig
from corpuskit.diff import diff_settings
from corpuskit.errors import CorpuskitError
from corpuskit.tables import plain
from trainer.config import idle, with_defaults
from trainer.identity import differences
from trainer.runs import CONVERSION, Run, read_all

__all__ = ["Near", "Wanted", "near_runs", "parent_of_run", "parent_told", "told"]

MOST = 3  # differences of a run that is still near
SHOWN = 2  # runs


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The training about to begin."""

    parts: Mapping[str, Any]  # of its identity
    dataset: str
    settings: DatasetConfig
    parent: str  # "run N2C_23 at epoch 100", ", optimiser kept" behind it, or "none"
    kind: str = CONVERSION
    mels: str = "recorded"  # a vocoder's, or "those of run N2C_28 at epoch 100"


@dataclass(frozen=True, kw_only=True)
class Near:
    """A run, and in what the training differs from it."""

    tag: str
    matters: tuple[str, ...]
    idle: tuple[str, ...]  # settings that change nothing in either


def near_runs(workspace: Path, wanted: Wanted) -> list[Near]:
    """Return the runs of its kind that differ least, newest first; none that differs in much."""
    runs, _ = read_all(workspace)
    found = [near(run, wanted) for run in runs if run.record.kind == wanted.kind]
    close = [each for each in found if len(each.matters) <= MOST]
    least = min((len(each.matters) for each in close), default=0)
    return [each for each in reversed(close) if len(each.matters) == least][:SHOWN]


def near(run: Run, wanted: Wanted) -> Near:
    """Say in what a training differs from a run."""
    before, after = run.record.parts, wanted.parts
    mine, theirs = after["config"], before["config"]
    nothing: set[str] = set()
    if wanted.kind == CONVERSION:
        mine, theirs = with_defaults(mine), with_defaults(theirs)
        nothing = idle(mine) & idle(theirs)
    changed = differences(theirs, mine)
    matters = [
        f"{key} {plain(old)} -> {plain(new)}"
        for key, (old, new) in changed.items()
        if key not in nothing
    ]
    return Near(
        tag=run.tag,
        matters=(*_data(run, wanted), *matters, *_code(before, after)),
        idle=tuple(key for key in changed if key in nothing),
    )


def told(near: Near) -> str:
    """Say it in a sentence."""
    if near.matters:
        return f"differs from run {near.tag} only in: {'; '.join(near.matters)}"
    settings = f" (without effect: {', '.join(near.idle)})" if near.idle else ""
    return f"differs from run {near.tag} in nothing that matters{settings}"


def _data(run: Run, wanted: Wanted) -> Iterator[str]:
    """Say what differs in the dataset, the split, the parent and what normalises."""
    before, after = run.record.parts, wanted.parts
    same = before["dataset"] == after["dataset"]
    if not same:
        yield f"dataset {run.record.dataset.name} -> {wanted.dataset} ({_settings(run, wanted)})"
    elif before["split"] != after["split"]:
        yield "the pairs that are scored"
    if before["parent"] != after["parent"]:
        yield f"parent {parent_of_run(run)} -> {wanted.parent}"
    elif same and before.get("statistics") != after.get("statistics"):
        old, new = (each["statistics"]["choice"] for each in (before, after))
        yield f"statistics that normalise {old} -> {new}"
    if before.get("mels") != after.get("mels"):
        yield f"mels {_mels(run)} -> {wanted.mels}"


def _settings(run: Run, wanted: Wanted) -> str:
    try:
        changed = diff_settings(run.settings, wanted.settings)
    except CorpuskitError:
        return "its settings are not known"
    told = [f"{each.key} {plain(each.before)} -> {plain(each.after)}" for each in changed]
    return ", ".join(told) or "other recordings"


def parent_of_run(run: Run) -> str:
    """Name what a run was fine-tuned from, "none" if from nothing."""
    parent = run.record.parent
    if parent is None:
        return "none"
    return parent_told(parent.tag, parent.epoch, kept=parent.optimiser == "kept")


def parent_told(tag: str, epoch: int, *, kept: bool) -> str:
    """Name what a run is fine-tuned from."""
    return f"run {tag} at epoch {epoch}{', optimiser kept' if kept else ''}"


def _mels(run: Run) -> str:
    mels = run.record.mels
    return f"those of run {mels.tag} at epoch {mels.epoch}" if mels else "recorded"


def _code(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if before["code"] != after["code"]:
        yield "the code of the model and loop"

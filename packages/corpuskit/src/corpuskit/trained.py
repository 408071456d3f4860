"""Which runs rest on a version: trained on it, on an equal one, or descended from such a run.

Runs are read as plain JSON from the workspace, whatever wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit.files import read_json

__all__ = ["Found", "TrainedRun", "runs_on"]


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """One run that a version went into."""

    tag: str
    how: str  # "trained on it", "trained on an equal version", "descends from RUN"
    dataset: str  # the version it was trained on itself
    parent: str  # the run it was fine-tuned from, or empty
    status: str
    created: str  # UTC


@dataclass(frozen=True, kw_only=True)
class Found:
    """The runs of a version."""

    runs: tuple[TrainedRun, ...]  # oldest first
    looked_at: int
    damaged: Mapping[str, str]  # run folder -> what is wrong with its run.json


def runs_on(workspace: Path, name: str, fingerprint: str) -> Found:
    """Find the runs trained on version `name`, on an equal one, and all their descendants."""
    records: dict[str, dict[str, Any]] = {}
    damaged: dict[str, str] = {}
    for path in sorted((workspace / "runs").glob("*/run.json")):
        tag = path.parent.name
        if tag.startswith("."):
            continue
        try:
            records[tag] = _record(read_json(path))
        except OSError as error:
            damaged[tag] = f"run.json cannot be read ({error.strerror})"
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            damaged[tag] = "run.json is damaged"
    direct = {
        tag: "trained on it" if each["dataset"] == name else "trained on an equal version"
        for tag, each in records.items()
        if each["fingerprint"] == fingerprint
    }
    how = _with_descendants(records, direct)
    runs = [
        TrainedRun(
            tag=tag,
            how=told,
            **{key: records[tag][key] for key in ("dataset", "parent", "status", "created")},
        )
        for tag, told in how.items()
    ]
    return Found(
        runs=tuple(sorted(runs, key=lambda run: (run.created, run.tag))),
        looked_at=len(records),
        damaged=damaged,
    )


def _record(content: Mapping[str, Any]) -> dict[str, str]:
    parent = content.get("parent")
    record = {
        "dataset": content["dataset"]["name"],
        "fingerprint": content["dataset"]["fingerprint"],
        "parent": parent["tag"] if parent else "",
        "status": content["status"],
        "created": content["created"],
    }
    if not all(isinstance(value, str) for value in record.values()):
        raise TypeError("a field of run.json is no text")
    return record


def _with_descendants(
    records: Mapping[str, Mapping[str, str]], direct: Mapping[str, str]
) -> dict[str, str]:
    """Add the runs whose ancestors are among `direct`, each named after its parent."""
    children: dict[str, list[str]] = {}
    for tag, record in records.items():
        children.setdefault(record["parent"], []).append(tag)
    how, todo = dict(direct), list(direct)
    while todo:
        parent = todo.pop()
        for child in children.get(parent, ()):
            if child not in how:
                how[child] = f"descends from {parent}"
                todo.append(child)
    return how

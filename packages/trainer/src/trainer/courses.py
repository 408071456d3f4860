"""Which courses `trainer lr` is asked about: of a run, a settings file or the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit.config import to_mapping
from corpuskit.errors import BadSetting
from corpuskit.versions import open_version
from trainer.config import find_model, resolve
from trainer.course import Course, course_of
from trainer.presets import usual
from trainer.runs import Run, metrics, open_run

__all__ = ["Asked", "courses", "trained_course"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The course asked for, and the one to compare it with."""

    name: str  # of the run or settings
    own: Course
    limit: float  # above which a peak is refused
    other_name: str = ""
    other: Course | None = None

    def named(self) -> list[tuple[str, Course]]:
        """Return both with their names, the one asked for first."""
        both = [(self.name, self.own)]
        return both if self.other is None else [*both, (self.other_name, self.other)]


def courses(
    workspace: Path,
    tag: str | None,
    spk: str | None,
    model: str | None,
    settings: Sequence[str],
    other: str | None,
) -> Asked:
    """Resolve the options of `trainer lr`.

    `settings` are laid over run `tag`, else the file `model`, else run `other`, else what is usual
    for `spk`.

    Raises
    ------
    BadSetting
        Settings that are none; or nobody says how many pairs there are.
    CorpuskitError
        No such run or dataset.
    """
    if tag is not None and model is not None:
        raise BadSetting("TAG and --model both name the settings to look at", "give one")
    mine = open_run(workspace, tag) if tag is not None else None
    theirs = open_run(workspace, other) if other is not None else None
    base = mine or theirs
    start: dict[str, Any] = {}
    where = "the defaults"
    if model is not None:
        start, where = find_model(model)
    elif base is not None:
        start, where = to_mapping(base.config), f"run {base.tag}"
    elif spk is not None:
        start, where = usual(open_version(workspace, spk))
    config = resolve(start, settings, f"{where} + --set" if settings else where)
    first = _first_step(mine) if mine is not None and not settings else 0
    return Asked(
        name=" ".join([where, *settings]),
        own=course_of(config, _pairs(workspace, spk, base), first),
        limit=config.optim.lr_limit,
        other_name=f"run {theirs.tag}" if theirs else "",
        other=trained_course(theirs) if theirs else None,
    )


def _pairs(workspace: Path, spk: str | None, run: Run | None) -> int:
    if spk is not None:
        pairs = len(open_version(workspace, spk).columns.positions("train"))
    elif run is not None:
        pairs = run.record.dataset.pairs["train"]
    else:
        raise BadSetting(
            "how many steps an epoch has depends on the dataset", "name it with --spk, or a run"
        )
    if not pairs:
        raise BadSetting(f"dataset {spk} has no train pairs", "build it with other [split] counts")
    return pairs


def trained_course(run: Run) -> Course:
    """Return the course of a run, which goes on with that of its parent where that was kept."""
    return course_of(run.config, run.record.dataset.pairs["train"], _first_step(run))


def _first_step(run: Run) -> int:
    """Return the steps a kept optimiser had behind it."""
    parent, rows = run.record.parent, metrics(run.folder)
    if parent is None or parent.optimiser != "kept" or not rows:
        return 0
    fresh = course_of(run.config, run.record.dataset.pairs["train"])
    return int(rows[0]["step"]) - fresh.steps_an_epoch * int(rows[0]["epoch"])

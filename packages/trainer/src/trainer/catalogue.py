"""All runs of a workspace, recorded here or told by a diary: read, chosen, put in order."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from corpuskit.config import natural
from corpuskit.errors import BadSetting, CorpuskitError
from corpuskit.files import read_json
from corpuskit.tables import counted
from trainer.descent import Verdict, verdicts
from trainer.errors import BadRun
from trainer.history import Past, past_runs
from trainer.remarks import Remark, remarks_of_search
from trainer.runs import CONVERSION, Run, list_searches, open_run, read_all

__all__ = ["DIARY", "SEARCH", "Catalogue", "Line", "chosen", "read_catalogue"]

DIARY = "diary"  # the status of a run only a diary tells of
SEARCH = "search"  # that of a search


@dataclass(frozen=True, kw_only=True)
class Line:
    """What lists show of a run; None is what is not known."""

    tag: str
    dataset: str
    parent_tag: str | None
    parent_epoch: int | None
    model: Mapping[str, Any]  # settings of [model]; empty where unknown
    batch_size: int | None
    group_size: int | None
    status: str
    epoch: int | None  # done
    epochs: int | None  # asked for
    best_epoch: int | None
    best_loss: float | None
    best_losses: Mapping[str, float]  # dev, at the best epoch
    seconds: float  # of training in all
    seconds_of_50: float | None  # epochs
    created: str  # UTC; empty where unknown
    remarks: tuple[Remark, ...]
    origin: str = ""  # the trial it was promoted from, N2C_11#3
    listening: Mapping[str, Any] = field(default_factory=dict)  # listening tests, by name
    told: str = ""  # the last thing known of it in words, where nobody noted anything
    kind: str = CONVERSION

    @property
    def above(self) -> str | None:
        """What it stands below in a tree: the run it was fine-tuned from, else its search."""
        return (self.parent_tag or self.origin).partition("#")[0] or None

    @classmethod
    def of_run(cls, run: Run) -> Line:
        """Show a recorded run."""
        record = run.record
        config = record.parts["config"]
        return cls(
            tag=run.tag,
            dataset=record.dataset.name,
            parent_tag=run.parent_tag,
            parent_epoch=record.parent.epoch if record.parent else None,
            model=config["model"] if record.kind == CONVERSION else {"kind": "hifigan"},
            batch_size=config["train"]["batch_size"],
            group_size=config["train"].get("group_size"),
            status=run.status,
            epoch=record.epoch,
            epochs=record.epochs,
            best_epoch=record.best_epoch,
            best_loss=record.best_loss,
            best_losses=record.best_losses or _only(record.best_by, record.best_loss),
            seconds=record.seconds,
            seconds_of_50=50 * record.seconds / record.epoch if record.epoch else None,
            created=record.created,
            remarks=record.remarks,
            origin=record.origin,
            listening=record.listening,
            kind=record.kind,
        )

    @classmethod
    def of_past(cls, past: Past) -> Line:
        """Show a run of a diary."""
        run = past.run
        minutes, epochs = run.timed
        seconds = 60 * minutes if minutes is not None else None
        return cls(
            tag=run.tag,
            dataset=run.dataset or "",
            parent_tag=run.parent,
            parent_epoch=run.parent_epoch,
            model={},
            batch_size=run.batch_size,
            group_size=run.group_size,
            status=DIARY,
            epoch=None,
            epochs=epochs,
            best_epoch=None,
            best_loss=None,
            best_losses={},
            seconds=seconds or 0.0,
            seconds_of_50=50 * seconds / epochs if seconds and epochs else None,
            created="",
            remarks=past.remarks,
            told=run.notes[-1] if run.notes else "",
        )

    @classmethod
    def of_search(cls, folder: Path) -> Line:
        """Show a search, from what it keeps for lists."""
        told = read_json(folder / "search.json")
        parent, _, epoch = (told["request"]["pretrain"] or "").partition("@")
        config = told["question"]["run"]["config"]
        return cls(
            tag=folder.name,
            dataset=told["request"]["spk"],
            parent_tag=parent or None,
            parent_epoch=int(epoch) if epoch else None,
            model=config["model"],
            batch_size=config["train"]["batch_size"],
            group_size=config["train"]["group_size"],
            status=SEARCH,
            epoch=None,
            epochs=told["question"]["epochs"],
            best_epoch=None,
            best_loss=None,
            best_losses={},
            seconds=0.0,
            seconds_of_50=None,
            created=told["created"],
            remarks=remarks_of_search(folder),
            told=_progress(folder),
        )


def _only(name: str, loss: float | None) -> dict[str, float]:
    return {} if loss is None else {name: loss}


def _progress(folder: Path) -> str:
    """Say how far a search is."""
    path = folder / "progress.json"
    if not path.is_file():
        return "no trial yet"
    told = read_json(path)
    trials = counted(told["trials"], "trial")
    if told["best"] is None:
        return trials
    values = zip(told["objectives"], told["values"], strict=True)
    losses = ", ".join(f"{name} {value:.4f}" for name, value in values)
    return f"{trials}, best #{told['best']}: {losses}"


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All runs a workspace knows."""

    runs: tuple[Run, ...]
    past: tuple[Past, ...]
    searches: tuple[Line, ...]
    damaged: tuple[str, ...]  # what is wrong with runs that cannot be read
    trials: tuple[Run, ...] = ()  # of searches, that runs were fine-tuned from

    @cached_property
    def judged(self) -> dict[str, Verdict]:
        """The verdict on each run that has one, its own or that of what it comes from."""
        return verdicts([*self.lines, *self.trials])

    @cached_property
    def lines(self) -> list[Line]:
        """All runs as lists show them, families together, numbers in order."""
        lines = [*map(Line.of_past, self.past), *map(Line.of_run, self.runs), *self.searches]
        return sorted(lines, key=lambda line: natural(line.tag))


def read_catalogue(workspace: Path) -> Catalogue:
    """Read all runs, recorded ones and those of diaries."""
    runs, damaged = read_all(workspace)
    try:
        past = tuple(past_runs(workspace).values())
    except CorpuskitError as error:
        past, damaged = (), [*damaged, str(error)]
    searches = []
    for tag in list_searches(workspace):
        try:
            searches.append(Line.of_search(workspace / "searches" / tag))
        except BadRun as error:
            damaged = [*damaged, str(error)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            damaged = [*damaged, f"search {tag} is damaged ({error})"]
    return Catalogue(
        runs=tuple(runs),
        past=past,
        searches=tuple(searches),
        damaged=tuple(damaged),
        trials=tuple(_parents_among_trials(workspace, runs)),
    )


def _parents_among_trials(workspace: Path, runs: Sequence[Run]) -> Iterator[Run]:
    """Give the trials that runs were fine-tuned from, where they are still there."""
    tags = {run.parent_tag for run in runs if run.parent_tag and "#" in run.parent_tag}
    for tag in sorted(tags):
        with contextlib.suppress(CorpuskitError):
            yield open_run(workspace, tag)


def chosen(
    lines: Sequence[Line], judged: Mapping[str, Verdict], only: Sequence[str], sort: str
) -> list[Line]:
    """Return the runs for which all of `only` ("dataset=N2C_4") hold, sorted.

    `sort` is tag (as they come), created, loss (the lowest first) or time (the longest first).

    Raises
    ------
    BadSetting
        A condition that is none.
    """
    wanted = [_condition(text) for text in only]
    found = [
        line
        for line in lines
        if all(_facts(line, judged).get(key) == value for key, value in wanted)
    ]
    if sort == "created":
        found.sort(key=lambda line: line.created)
    elif sort == "loss":
        found.sort(key=lambda line: math.inf if line.best_loss is None else line.best_loss)
    elif sort == "time":
        found.sort(key=lambda line: -line.seconds)
    return found


_KEYS = ("dataset", "kind", "parent", "status", "verdict")


def _condition(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or key not in _KEYS:
        raise BadSetting(f"--only {text!r} is no condition", f"KEY=VALUE of {', '.join(_KEYS)}")
    return key, value


def _facts(line: Line, judged: Mapping[str, Verdict]) -> dict[str, str]:
    verdict = judged.get(line.tag)
    return {
        "dataset": line.dataset,
        "kind": line.kind,
        "parent": line.parent_tag or "",
        "status": line.status,
        "verdict": verdict.what if verdict else "",
    }

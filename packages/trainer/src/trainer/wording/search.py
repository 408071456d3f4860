"""Searches and their trials in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from corpuskit.tables import counted, plain, table
from trainer.search import Outcome
from trainer.searches import Begun, Search
from trainer.study import DIVERGED, FAILED, RESULTS, SKIPPED, Trial, Trials

__all__ = ["began", "ended", "searched", "summary", "trial_shown"]

SHOWN = 10  # trials of a table
WITHOUT = (SKIPPED, DIVERGED, FAILED)  # states of trials without a result


def began(begun: Begun) -> Iterator[str]:
    """Say what is searched."""
    made = begun.search
    how = "new" if begun.new else "goes on"
    yield (
        f"search {made.tag} ({how}): dataset {made.dataset}, "
        f"{counted(made.epochs, 'epoch')} a trial, by dev loss {' and '.join(_names(made))}"
    )
    for each in made.space.as_mapping()["space"].items():
        yield f"  {each[0]}: {_told(each[1])}"


def _told(values: Any) -> str:
    if isinstance(values, list):
        return plain(values)
    step = f" in steps of {plain(values['step'])}" if "step" in values else ""
    log = ", log" if values["log"] else ""
    return f"{plain(values['low'])} to {plain(values['high'])}{step}{log}"


def _names(made: Search) -> tuple[str, ...]:
    return made.space.config.objectives


def ended(made: Search, outcome: Outcome) -> str:
    """Say how a trial ended."""
    trial = outcome.trial
    best = "  best" if outcome.best else ""
    told = f" ({trial.told})" if trial.told else ""
    return f"{made.tag}#{trial.number}  {settings_of(trial)}: {_result(made, trial)}{told}{best}"


def settings_of(trial: Trial) -> str:
    """Say what was drawn."""
    return ", ".join(f"{key} {plain(value)}" for key, value in trial.settings.items())


def _result(made: Search, trial: Trial) -> str:
    if trial.state == "complete":
        values = zip(_names(made), trial.values, strict=True)
        losses = ", ".join(f"{name} {value:.4f}" for name, value in values)
        return f"{losses} @{trial.best_epoch}"
    if trial.state == "pruned":
        return f"ended early after epoch {trial.epoch}"
    return trial.state


def trial_shown(made: Search, trial: Trial) -> Iterator[str]:
    """Describe a trial that was not trained itself."""
    told = f" ({trial.told})" if trial.told else ""
    yield f"trial {made.tag}#{trial.number}: dataset {made.dataset}, {_result(made, trial)}{told}"
    if trial.identity:
        yield f"identity {trial.identity}"
    yield "settings drawn:"
    yield from (f"  {key} = {value}" for key, value in trial.settings.items())
    yield f"the others: {made.folder / 'base.toml'}"


def summary(made: Search, found: Trials, drawn: Sequence[Path], stopped: str) -> Iterator[str]:
    """Close a search: the best trials, what mattered, what was drawn, how to go on."""
    yield from searched(made, found)
    if drawn:
        yield f"drawn: {', '.join(str(path) for path in drawn)}"
    if stopped:
        yield f"Stopped by {stopped}: the same command goes on."
    if found.best:
        best = found.best[0]
        yield (
            f"Searched {made.tag}: `trainer promote {made.tag}#{best}` trains a full run with "
            "the settings of the best."
        )
    else:
        yield f"Searched {made.tag}: no trial has a result yet."


def searched(made: Search, found: Trials) -> Iterator[str]:
    """Describe a search and its trials, the best first."""
    states = [each.state for each in found.all]
    told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    answered = sum(bool(each.told) for each in found.all if each.state in RESULTS)
    if answered:
        told += f"; {answered} answered from the record"
    yield f"search {made.tag}: dataset {made.dataset}, {told or 'no trial yet'}"
    done = [each for each in found.all if each.state == "complete"]
    done.sort(key=lambda each: (each.number not in found.best, each.values))
    if done:
        keys = list(dict.fromkeys(key for each in done for key in each.settings))
        rows = [
            [
                f"#{each.number}{' *' if each.number in found.best else ''}",
                *(f"{value:.4f}" for value in each.values),
                str(each.best_epoch),
                *(plain(each.settings.get(key)) for key in keys),
            ]
            for each in done[:SHOWN]
        ]
        yield from table(["trial", *_names(made), "@epoch", *keys], rows)
    for name, shares in found.importances.items():
        yield f"what mattered for {name}: {_shares(shares)}"
    yield from _reasons(found)


def _reasons(found: Trials) -> Iterator[str]:
    """Say why trials have no result: each reason once, whatever its figures."""
    alike: dict[tuple[str, str], list[Trial]] = {}
    for each in found.all:
        if each.state in WITHOUT:
            alike.setdefault((each.state, re.sub(r"[\d.,]+", "", each.told)), []).append(each)
    for (state, _), those in alike.items():
        first = f" (#{those[0].number})" if len(those) > 1 else ""
        yield f"{state} {len(those)}: {those[0].told}{first}"


def _shares(shares: Mapping[str, float]) -> str:
    ranked = sorted(shares.items(), key=lambda each: -each[1])
    return ", ".join(f"{key} {share:.0%}" for key, share in ranked)

"""The trials of a search as optuna keeps them, in study.db (SQLite) of the search's folder."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.files import write_json
from trainer import runs
from trainer.searches import Search

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

__all__ = [
    "Trial",
    "Trials",
    "ask",
    "best_of",
    "give_up",
    "give_up_dead",
    "keep_progress",
    "open_study",
    "trial_of",
    "trials",
]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial."""

    number: int
    state: str  # complete, pruned, skipped, failed, interrupted, running
    settings: Mapping[str, Any]  # what was drawn
    values: tuple[float, ...]  # of the objectives; empty where it has none
    epoch: int  # trained
    best_epoch: int | None  # the values' epoch
    told: str  # why it has none, or whose result it is


@dataclass(frozen=True, kw_only=True)
class Trials:
    """All trials of a search, and what they teach."""

    all: tuple[Trial, ...]
    best: tuple[int, ...]  # numbers; several on a Pareto front
    importances: Mapping[str, Mapping[str, float]]  # by objective, then by setting; sum to 1


def open_study(made: Search) -> optuna.Study:
    """Open the study to take part in it; each process draws other settings than those beside it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    config = made.space.config
    with runs.registry(made.folder):  # one process makes the tables
        study = optuna.create_study(
            storage=_storage(made.folder),
            study_name=made.tag,
            directions=["minimize"] * len(config.objectives),
            load_if_exists=True,
        )
        joined = int(study.user_attrs.get("joined", 0))
        study.set_user_attr("joined", joined + 1)
    study.sampler = optuna.samplers.TPESampler(
        seed=config.seed + 1000 * joined, n_startup_trials=config.startup
    )
    study.pruner = (
        optuna.pruners.MedianPruner(config.prune_after, config.prune_after)
        if config.prune
        else optuna.pruners.NopPruner()
    )
    return study


def _storage(folder: Path) -> optuna.storages.RDBStorage:
    import optuna

    return optuna.storages.RDBStorage(
        f"sqlite:///{folder / 'study.db'}", engine_kwargs={"connect_args": {"timeout": 60}}
    )


def ask(made: Search, study: optuna.Study, wanted: int) -> optuna.Trial | None:
    """Begin a trial; None where `wanted` have a result, or are getting one in some process."""
    with runs.registry(made.folder):
        going = sum(each.state.name in ("COMPLETE", "PRUNED", "RUNNING") for each in study.trials)
        if going >= wanted:
            return None
        trial = study.ask()
        trial.set_user_attr("process", vars(runs.this_process()))
        return trial


def give_up(study: optuna.Study, trial: optuna.Trial) -> None:
    """Give up a trial that was interrupted, and let its settings be tried again."""
    import optuna

    trial.set_user_attr("why", "interrupted")
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    if trial.params:
        study.enqueue_trial(trial.params)


def give_up_dead(study: optuna.Study) -> None:
    """Give up the trials of processes that are gone."""
    import optuna

    for each in study.trials:
        told = each.user_attrs.get("process")
        if each.state.name != "RUNNING" or not told or runs.Process(**told).alive is not False:
            continue
        with contextlib.suppress(ValueError):  # another process was quicker
            study.tell(each.number, state=optuna.trial.TrialState.FAIL)
            if each.params:
                study.enqueue_trial(each.params)


def trial_of(frozen: FrozenTrial) -> Trial:
    """Return a trial as it stands."""
    attributes = frozen.user_attrs
    state = frozen.state.name.lower()
    if state == "fail":
        state = str(attributes.get("why", "interrupted"))
    return Trial(
        number=frozen.number,
        state=state,
        settings=dict(frozen.params),
        values=tuple(frozen.values) if frozen.state.name == "COMPLETE" else (),
        epoch=int(attributes.get("epoch", 0)),
        best_epoch=attributes.get("best_epoch"),
        told=str(attributes.get("told", "")),
    )


def best_of(study: optuna.Study) -> list[int]:
    """Return the best trial, or the Pareto front, the smallest first objective first."""
    if not any(each.state.name == "COMPLETE" for each in study.trials):
        return []
    return [each.number for each in sorted(study.best_trials, key=lambda each: each.values)]


def keep_progress(made: Search, study: optuna.Study) -> list[int]:
    """Write what lists show of a search; returns the best trials."""
    ended = [trial_of(each) for each in study.trials]
    best = best_of(study)
    progress = {
        "trials": sum(each.state in ("complete", "pruned") for each in ended),
        "skipped": sum(each.state == "skipped" for each in ended),
        "objectives": list(made.space.config.objectives),
        "best": best[0] if best else None,
        "values": list(ended[best[0]].values) if best else [],
    }
    write_json(made.folder / "progress.json", progress)
    return best


def trials(made: Search) -> Trials:
    """Read a search's trials, and how much each setting mattered (fANOVA, Hutter et al. 2014)."""
    if not (made.folder / "study.db").is_file():
        return Trials(all=(), best=(), importances={})
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=made.tag, storage=_storage(made.folder))
    importances = {
        name: _importances(study, place) for place, name in enumerate(made.space.config.objectives)
    }
    return Trials(
        all=tuple(trial_of(each) for each in study.trials),
        best=tuple(best_of(study)),
        importances={name: found for name, found in importances.items() if found},
    )


def _importances(study: optuna.Study, place: int) -> dict[str, float]:
    """Return each setting's share of an objective's variance; empty where there is none."""
    import optuna

    values = [each.values[place] for each in study.trials if each.state.name == "COMPLETE"]
    if len(set(values)) < 2 or not all(math.isfinite(value) for value in values):
        return {}
    return optuna.importance.get_param_importances(
        study,
        evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
        target=lambda trial: trial.values[place],
    )

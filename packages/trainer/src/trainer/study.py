"""The trials of a search as optuna keeps them, in study.db (SQLite) of the search's folder."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.errors import CorpuskitError
from corpuskit.files import write_json
from trainer import runs
from trainer.errors import BadRun
from trainer.searches import Search
from trainer.space import Choice, SearchConfig

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

__all__ = [
    "DIVERGED",
    "FAILED",
    "RESULTS",
    "SKIPPED",
    "Trial",
    "Trials",
    "ask",
    "at_work",
    "best_of",
    "fail",
    "keep_progress",
    "leave",
    "study_of",
    "trial_of",
    "trials",
]


RESULTS = ("complete", "pruned")  # states that count
DIVERGED, FAILED, SKIPPED = "diverged", "failed", "skipped"  # why a trial has no result
_APART = 1_000_003  # so that the trials of two seeds share no draws
TELLING = 5  # different results, before anything is said of what mattered
KILLED = 3  # times a trial's process is killed until the trial is given up


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial."""

    number: int
    state: str  # complete, pruned, skipped, diverged, failed, running (or left in the middle)
    settings: Mapping[str, Any]  # what was drawn
    values: tuple[float, ...]  # of the objectives; empty where it has none
    epoch: int  # trained
    best_epoch: int | None  # the values' epoch
    told: str  # why it has none, or whose result it is
    identity: str = ""  # of its run; empty where it came to none


@dataclass(frozen=True, kw_only=True)
class Trials:
    """All trials of a search, and what they teach."""

    all: tuple[Trial, ...]
    best: tuple[int, ...]  # numbers; several on a Pareto front
    importances: Mapping[str, Mapping[str, float]]  # by objective, then by setting; sum to 1


@contextlib.contextmanager
def study_of(made: Search) -> Iterator[optuna.Study]:
    """Open the study to take part in it.

    Raises
    ------
    BadRun
        study.db is damaged, or the disk refused.
    """
    import optuna

    config = made.space.config
    with _told(made):
        with runs.registry(made.folder):  # one process makes the tables
            study = optuna.create_study(
                storage=_storage(made.folder),
                study_name=made.tag,
                directions=["minimize"] * len(config.objectives),
                load_if_exists=True,
            )
        study.pruner = _pruner(made)
        yield study


@contextlib.contextmanager
def _told(made: Search) -> Iterator[None]:
    """Keep optuna quiet, and turn what its database cannot do into one message."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        lines = str(getattr(error, "orig", None) or error.__cause__ or error).splitlines()
        raise BadRun(
            f"search {made.tag}: study.db cannot be read or written ({lines[0]})",
            "free some space, or bring the file back from a copy",
        ) from error


def _pruner(made: Search) -> optuna.pruners.BasePruner:
    import optuna

    config = made.space.config
    if not config.prune:
        return optuna.pruners.NopPruner()
    if config.pruner == "hyperband":
        least = min(max(1, config.prune_after), made.epochs)
        return optuna.pruners.HyperbandPruner(min_resource=least, max_resource=made.epochs)
    return optuna.pruners.MedianPruner(config.prune_after, config.prune_after)


def _sampler(config: SearchConfig, number: int) -> optuna.samplers.BaseSampler:
    """Return what draws a trial: by its number, so whichever process draws it draws the same."""
    import optuna

    seed = (config.seed * _APART + number) % 2**32
    if config.sampler == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=config.startup)
    if config.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=config.startup)


def _distributions(made: Search) -> dict[str, optuna.distributions.BaseDistribution]:
    """Return what each setting is drawn from."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    drawn: dict[str, optuna.distributions.BaseDistribution] = {}
    for each in made.space.parameters:
        if isinstance(each, Choice):
            drawn[each.key] = CategoricalDistribution(each.values)
        elif each.whole:
            step = int(each.step or 1)
            drawn[each.key] = IntDistribution(int(each.low), int(each.high), each.log, step)
        else:
            drawn[each.key] = FloatDistribution(each.low, each.high, each.log, each.step)
    return drawn


def _storage(folder: Path) -> optuna.storages.RDBStorage:
    import optuna

    return optuna.storages.RDBStorage(
        f"sqlite:///{folder / 'study.db'}", engine_kwargs={"connect_args": {"timeout": 60}}
    )


# ---------------------------------------------------------------------- trials


def ask(made: Search, study: optuna.Study, wanted: int) -> optuna.Trial | None:
    """Take a trial: one that was left in the middle, else a new one.

    None where `wanted` have a result, or are getting one in some process.
    """
    with runs.registry(made.folder):
        trial = _left(made, study)
        if trial is None:
            known = study.get_trials(deepcopy=False)
            going = sum(trial_of(each).state in (*RESULTS, "running") for each in known)
            if going >= wanted:
                return None
            study.sampler = _sampler(made.space.config, len(known))
            trial = study.ask(_distributions(made))
        trial.set_user_attr("process", vars(runs.this_process()))
        return trial


def leave(trial: optuna.Trial) -> None:
    """Leave a trial in the middle; whoever takes the next one goes on with it."""
    trial.set_user_attr("process", None)


def _left(made: Search, study: optuna.Study) -> optuna.Trial | None:
    """Return a trial nobody works on any more.

    A trial whose process was killed again and again is given up: it may be what kills.
    """
    import optuna

    for each in study.get_trials(deepcopy=False):
        if each.state.name != "RUNNING" or _at_work(made, each):
            continue
        trial = optuna.Trial(study, each._trial_id)
        killed = each.user_attrs.get("killed", 0) + bool(each.user_attrs.get("process"))
        trial.set_user_attr("killed", killed)
        if killed < KILLED:
            return trial
        fail(study, trial, FAILED, f"its process was killed {killed} times")
    return None


def at_work(made: Search, trial: FrozenTrial) -> bool:
    """Tell whether a process works on a trial."""
    return trial.state.name == "RUNNING" and _at_work(made, trial)


def _at_work(made: Search, trial: FrozenTrial) -> bool:
    told = trial.user_attrs.get("process")
    if not told:
        return False
    alive = runs.Process(**told).alive
    if alive is not None:
        return alive
    try:  # another machine's: a lock on the run tells
        return runs.open_run(made.workspace, f"{made.tag}#{trial.number}").status == "running"
    except CorpuskitError:
        return True  # it has not begun to train


def fail(study: optuna.Study, trial: optuna.Trial, why: str, told: str) -> None:
    """End a trial that has no result; where its settings are to blame, the sampler learns it."""
    import optuna

    state = optuna.trial.TrialState
    trial.set_user_attr("why", why)
    trial.set_user_attr("told", told)
    if why == FAILED:
        study.tell(trial, state=state.FAIL)
    else:
        trial.set_constraint("can be trained", 1.0)  # above 0: no
        study.tell(trial, state=state.PRUNED)


def trial_of(frozen: FrozenTrial) -> Trial:
    """Return a trial as it stands."""
    attributes = frozen.user_attrs
    state = str(attributes.get("why") or frozen.state.name.lower())
    return Trial(
        number=frozen.number,
        state=state,
        settings=dict(frozen.params),
        values=tuple(frozen.values) if frozen.state.name == "COMPLETE" else (),
        epoch=int(attributes.get("epoch", 0)),
        best_epoch=attributes.get("best_epoch"),
        told=str(attributes.get("told", "")),
        identity=str(attributes.get("identity", "")),
    )


def best_of(study: optuna.Study) -> list[int]:
    """Return the best trial, or the Pareto front, the smallest first objective first."""
    if not any(each.state.name == "COMPLETE" for each in study.trials):
        return []
    return [each.number for each in sorted(study.best_trials, key=lambda each: each.values)]


def keep_progress(made: Search, study: optuna.Study) -> list[int]:
    """Write what lists show of a search, let go of checkpoints; returns the best trials."""
    with runs.registry(made.folder):
        known = [trial_of(each) for each in study.get_trials(deepcopy=False)]
        best = best_of(study)
        progress = {
            "trials": sum(each.state in RESULTS for each in known),
            "skipped": sum(each.state == SKIPPED for each in known),
            "objectives": list(made.space.config.objectives),
            "best": best[0] if best else None,
            "values": list(known[best[0]].values) if best else [],
        }
        write_json(made.folder / "progress.json", progress)
        if made.space.config.keep == "best":
            for each in known:
                if each.state != "running" and each.number not in best:
                    folder = runs.folder_of(made.workspace, f"{made.tag}#{each.number}")
                    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return best


def trials(made: Search) -> Trials:
    """Read a search's trials, and how much each setting mattered (fANOVA, Hutter et al. 2014)."""
    if not (made.folder / "study.db").is_file():
        return Trials(all=(), best=(), importances={})
    import optuna

    names = made.space.config.objectives
    with _told(made):
        study = optuna.load_study(study_name=made.tag, storage=_storage(made.folder))
        importances = {name: _importances(study, place) for place, name in enumerate(names)}
        return Trials(
            all=tuple(trial_of(each) for each in study.get_trials(deepcopy=False)),
            best=tuple(best_of(study)),
            importances={name: found for name, found in importances.items() if found},
        )


def _importances(study: optuna.Study, place: int) -> dict[str, float]:
    """Return each setting's share of an objective's variance; empty where too little is known."""
    import optuna

    values = [each.values[place] for each in study.trials if each.state.name == "COMPLETE"]
    if len(set(values)) < TELLING or not all(math.isfinite(value) for value in values):
        return {}
    return optuna.importance.get_param_importances(
        study,
        evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
        target=lambda trial: trial.values[place],
    )

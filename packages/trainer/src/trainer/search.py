"""Searching: draw settings, train them as a run of the search's own, tell what came of it.

A process that is asked for a search which exists takes part in it. What was trained before, in the
search or in the workspace around it, is answered from the record; what cannot be trained, or whose
schedule is unsafe, is skipped; a trial that is interrupted is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from corpuskit.config import to_mapping
from corpuskit.errors import BadSetting, Refused
from trainer import runs
from trainer.config import CADENCE, TrainConfig
from trainer.errors import Diverged
from trainer.plan import Plan, Request, load, plan
from trainer.searches import Search, open_search
from trainer.signals import Stop
from trainer.space import Choice, Range, setting
from trainer.study import (
    Trial,
    ask,
    give_up,
    give_up_dead,
    keep_progress,
    open_study,
    trial_of,
    trials,
)

if TYPE_CHECKING:
    from pathlib import Path

    import optuna

    from trainer.data import Splits

__all__ = ["Outcome", "promotion", "search"]

PRUNED = "pruned"
SKIPS = 20  # unusable draws in a row that end a search


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trial ended."""

    trial: Trial
    best: bool  # it is the best so far, or on the Pareto front


class _Skipped(Exception):
    """Settings that cannot be trained."""


class _Interrupted(Exception):
    """The process was asked to stop in the middle of a trial."""


def search(made: Search, wanted: int, stop: Stop) -> Iterator[Outcome]:
    """Try settings until the search has `wanted` results in all; yields each trial as it ends.

    Trials that are ended early or answered from the record are results; those that cannot be
    trained are not. On a stop the trial in hand is given up, to be tried again the next time.

    Raises
    ------
    Refused
        Nothing the space gives can be trained.
    """
    study = open_study(made)
    give_up_dead(study)
    work = _Work(made, study, stop)
    skipped = 0
    while not stop.requested:
        trial = ask(made, study, wanted)
        if trial is None:
            return
        try:
            _settle(study, trial, work)
        except _Interrupted:
            give_up(study, trial)
            return
        except BaseException:
            give_up(study, trial)
            raise
        ended = trial_of(study.trials[trial.number])
        best = keep_progress(made, study)
        yield Outcome(trial=ended, best=ended.number in best)
        skipped = skipped + 1 if ended.state == "skipped" else 0
        if skipped >= SKIPS:
            raise Refused(
                f"{SKIPS} draws in a row could not be trained, the last because {ended.told}",
                "narrow the space",
            )


def _settle(study: optuna.Study, trial: optuna.Trial, work: _Work) -> None:
    """Get a trial's result, and tell it."""
    import optuna

    state = optuna.trial.TrialState
    try:
        study.tell(trial, work.tried(trial))
    except optuna.TrialPruned:
        study.tell(trial, state=state.PRUNED)
    except (_Skipped, Diverged) as error:
        trial.set_user_attr("why", "skipped" if isinstance(error, _Skipped) else "failed")
        trial.set_user_attr("told", str(error))
        study.tell(trial, state=state.FAIL)


class _Work:
    """What trains the trials of a search in this process."""

    def __init__(self, made: Search, study: optuna.Study, stop: Stop) -> None:
        self._made, self._study, self._stop = made, study, stop
        self._splits: dict[str, Splits] = {}

    def tried(self, trial: optuna.Trial) -> tuple[float, ...]:
        """Train a trial, or find its result in the record; returns the objectives."""
        drawn = {each.key: _drawn(trial, each) for each in self._made.space.parameters}
        request = replace(
            self._made.request,
            tag=f"trial_{trial.number}",
            settings=tuple(setting(key, value) for key, value in drawn.items()),
        )
        try:
            planned = plan(replace(request, again=True))
            _check_schedule(planned)
        except (BadSetting, Refused) as error:
            raise _Skipped(error.problem) from None
        known = self._known(trial, planned)
        return known if known is not None else self._trained(trial, planned)

    def _known(self, trial: optuna.Trial, planned: Plan) -> tuple[float, ...] | None:
        """Answer from the record, if this was trained before."""
        import optuna

        before = runs.find_same(self._made.folder, planned.identity)
        if before is not None:
            number = int(before.tag.removeprefix("trial_"))
            whose, state = f"#{number}", trial_of(self._study.trials[number]).state
        else:
            before = runs.find_same(self._made.workspace, planned.identity)
            whose, state = (f"run {before.tag}", "complete") if before else ("", "")
        if before is None or state in ("interrupted", "running"):
            return None
        trial.set_user_attr("told", f"as {whose}, not trained again")
        if state == "pruned":
            raise optuna.TrialPruned
        rows = runs.metrics(before.folder)[: self._made.epochs]
        if before.status == "failed" or not rows:
            raise _Skipped(f"{whose} {before.status}: {before.record.problem}")
        return self._result(trial, rows) if len(rows) == self._made.epochs else None

    def _trained(self, trial: optuna.Trial, planned: Plan) -> tuple[float, ...]:
        """Train a trial, and end it early where it lags."""
        import optuna

        from trainer.loop import EpochDone
        from trainer.session import session
        from trainer.start import start

        run = start(planned)
        watched, ending = self._made.space.config.prune, _Ending(self._stop)
        splits = self._loaded(planned)
        for event in session(run, planned.version, planned.device, ending, splits):
            if isinstance(event, EpochDone) and watched:
                trial.report(_loss(event.row, watched), event.row["epoch"])
                if event.row["epoch"] < self._made.epochs and trial.should_prune():
                    ending.request(PRUNED)
        rows = runs.metrics(run.folder)
        trial.set_user_attr("epoch", len(rows))
        if ending.reason == PRUNED:
            raise optuna.TrialPruned
        if len(rows) < self._made.epochs:
            raise _Interrupted
        return self._result(trial, rows)

    def _loaded(self, planned: Plan) -> Splits:
        """Read the pairs once for all trials that see them alike."""
        from trainer.identity import digest_of

        names = ("dataset", "split", "statistics")
        seen = {name: planned.parts[name] for name in names}
        key = digest_of({**seen, "align": planned.config.model.align})
        if key not in self._splits:
            self._splits = {key: load(planned)}
        return self._splits[key]

    def _result(self, trial: optuna.Trial, rows: list[dict[str, Any]]) -> tuple[float, ...]:
        """Return the objectives at the epoch at which their sum is lowest."""
        names = self._made.space.config.objectives
        best = min(rows, key=lambda row: sum(_loss(row, name) for name in names))
        trial.set_user_attr("epoch", len(rows))
        trial.set_user_attr("best_epoch", best["epoch"])
        return tuple(_loss(best, name) for name in names)


class _Ending(Stop):
    """Whether to stop a trial: because of itself, or with the whole search."""

    def __init__(self, search_stop: Stop) -> None:
        super().__init__()
        self._search_stop = search_stop

    @property
    def requested(self) -> bool:
        """True once the trial or the search is to end."""
        if self._search_stop.requested:
            self.reason = self._search_stop.reason
        return bool(self.reason)


def _loss(row: dict[str, Any], name: str) -> float:
    if name not in row["dev"]:
        raise _Skipped(f"a model of these settings has no loss {name!r}")
    return float(row["dev"][name])


def _check_schedule(planned: Plan) -> None:
    """Refuse a training that ends before its learning rate has peaked."""
    from trainer.notes import on_schedule

    kept = planned.ancestor is not None and planned.request.keep_optim
    first = planned.ancestor.state.step if planned.ancestor is not None and kept else 0
    told = on_schedule(planned.config, len(planned.version.split("train")), first)
    if told:
        raise BadSetting(told[0])


def _drawn(trial: optuna.Trial, parameter: Choice | Range) -> Any:
    if isinstance(parameter, Choice):
        return trial.suggest_categorical(parameter.key, parameter.values)
    key, step, log = parameter.key, parameter.step, parameter.log
    if parameter.whole:
        low, high = int(parameter.low), int(parameter.high)
        return trial.suggest_int(key, low, high, step=int(step or 1), log=log)
    return trial.suggest_float(key, parameter.low, parameter.high, step=step, log=log)


# ------------------------------------------------------------------- promotion


def promotion(
    workspace: Path, name: str, epochs: int | None, tag: str | None, device: str = "auto"
) -> Request:
    """Ask for a full run with all the settings of a trial ("N2C_11#3").

    Raises
    ------
    Refused
        It has no settings that could be trained.
    CorpuskitError
        No such search or trial.
    """
    of, mark, number = name.partition("#")
    if not mark or not number.isdigit():
        raise BadSetting(f"{name!r} names no trial", "e.g. N2C_11#3")
    made = open_search(workspace, of, device)
    known = {each.number: each for each in trials(made).all}
    trial = known.get(int(number))
    if trial is None:
        there = f"it has #0 to #{max(known)}" if known else "it has none yet"
        raise Refused(f"search {of} has no trial #{number}", there)
    if trial.state not in ("complete", "pruned"):
        raise Refused(
            f"trial {name} was {trial.state}{f': {trial.told}' if trial.told else ''}",
            f"`trainer show {of}` lists those that were trained",
        )
    usual = to_mapping(TrainConfig())
    cadence = [setting(f"train.{key}", usual[key]) for key in CADENCE if key != "epochs"]
    drawn = [setting(key, value) for key, value in trial.settings.items()]
    return replace(
        made.request,
        workspace=workspace,
        tag=tag,
        settings=(*cadence, *drawn),
        epochs=epochs or TrainConfig().epochs,
        origin=name,
    )

"""Searching: draw settings, train them as a run of the search's own, tell what came of it.

A process that is asked for a search which exists takes part in it. What was trained before, in the
search or in the workspace around it, is answered from the record; what cannot be trained, or whose
schedule is unsafe, is skipped; a trial that was left in the middle is gone on with.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from corpuskit.errors import BadSetting, CorpuskitError, Refused
from corpuskit.versions import open_version
from trainer import runs
from trainer.config import TrainConfig
from trainer.errors import Diverged
from trainer.plan import Plan, Request, load, plan
from trainer.searches import Search, open_search
from trainer.signals import Stop
from trainer.space import setting
from trainer.study import (
    DIVERGED,
    FAILED,
    RESULTS,
    SKIPPED,
    Trial,
    ask,
    at_work,
    fail,
    keep_progress,
    leave,
    study_of,
    trial_of,
    trials,
)

if TYPE_CHECKING:
    from pathlib import Path

    import optuna

    from trainer.data import Splits
    from trainer.loop import Event
    from trainer.session import Resumed

__all__ = ["Outcome", "Training", "promotion", "search", "trial_named"]

PRUNED = "pruned"
SKIPS = 20  # unusable draws in a row that end a search
WAIT = 0.5  # seconds between two looks at a trial that trains the same


@dataclass(frozen=True, kw_only=True)
class Training:
    """Something happened in the training of a trial."""

    number: int  # of the trial
    event: Event


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trial ended."""

    trial: Trial
    best: bool  # it is the best so far, or on the Pareto front


class _Skipped(Exception):
    """Settings that cannot be trained."""


class _Interrupted(Exception):
    """The process was asked to stop in the middle of a trial."""


def search(made: Search, wanted: int, stop: Stop) -> Iterator[Training | Outcome]:
    """Try settings until the search has `wanted` results in all.

    Yields what happens in the training of each trial, and an `Outcome` as it ends.

    Trials that are ended early or answered from the record are results; those that cannot be
    trained are not. On a stop the trial in hand is left, to be gone on with the next time.

    Raises
    ------
    Refused
        Nothing the space gives can be trained.
    CorpuskitError
        What is wrong with more than one trial: the dataset, the disk, the study.
    """
    with study_of(made) as study:
        work = _Work(made, study, stop)
        skipped = 0
        while not stop.requested:
            trial = ask(made, study, wanted)
            if trial is None:
                return
            try:
                yield from _settle(study, trial, work)
            except _Interrupted:
                leave(trial)
                return
            except BaseException:
                leave(trial)
                raise
            ended = trial_of(study.trials[trial.number])
            best = keep_progress(made, study)
            yield Outcome(trial=ended, best=ended.number in best)
            skipped = skipped + 1 if ended.state == SKIPPED else 0
            if skipped >= SKIPS:
                raise Refused(
                    f"{SKIPS} draws in a row could not be trained, the last because {ended.told}",
                    "narrow the space",
                )


def _settle(study: optuna.Study, trial: optuna.Trial, work: _Work) -> Iterator[Training]:
    """Get a trial's result, and tell it."""
    import optuna

    try:
        values = yield from work.tried(trial)
        study.tell(trial, values)
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except _Skipped as error:
        fail(study, trial, SKIPPED, str(error))
    except Diverged as error:
        fail(study, trial, DIVERGED, error.problem)
    except CorpuskitError as error:
        if not _out_of_memory(error):
            raise
        fail(study, trial, FAILED, error.problem)


def _out_of_memory(error: CorpuskitError) -> bool:
    """Tell whether a trial was too large for the device, which others need not be."""
    import torch

    return isinstance(error.__cause__, torch.OutOfMemoryError)


class _Work:
    """What trains the trials of a search in this process."""

    def __init__(self, made: Search, study: optuna.Study, stop: Stop) -> None:
        self._made, self._study, self._stop = made, study, stop
        self._splits: dict[str, Splits] = {}

    def tried(self, trial: optuna.Trial) -> Generator[Training, None, tuple[float, ...]]:
        """Train a trial, or find its result in the record; returns the objectives."""
        request = replace(
            self._made.request,
            trial=self._tag(trial.number),
            again=True,
            settings=tuple(setting(key, value) for key, value in trial.params.items()),
        )
        try:
            planned = plan(request)
            _check_schedule(planned)
            _check_losses(planned, self._made)
        except BadSetting as error:
            where = f"{request.model} + options: "  # a trial's settings are named anyhow
            raise _Skipped(error.problem.removeprefix(where)) from None
        trial.set_user_attr("identity", planned.identity)
        known = self._known(trial, planned)
        return known if known is not None else (yield from self._trained(trial, planned))

    def _tag(self, number: int) -> str:
        return f"{self._made.tag}#{number}"

    # ------------------------------------------------------------ from the record

    def _known(self, trial: optuna.Trial, planned: Plan) -> tuple[float, ...] | None:
        """Answer from the record, if this was trained before."""
        self._await_same(trial, planned)
        for run, state in self._same(trial, planned):
            rows = runs.metrics(run.folder)[: self._made.epochs]
            if state == DIVERGED:
                raise Diverged(f"as run {run.tag}, not trained again: {run.record.problem}")
            if state != PRUNED and len(rows) < self._made.epochs:
                continue
            trial.set_user_attr("told", f"as run {run.tag}, not trained again")
            for row in rows:
                self._report(trial, row)
            if state == PRUNED:
                trial.set_user_attr("epoch", len(rows))
                import optuna

                raise optuna.TrialPruned
            return self._result(trial, rows)
        return None

    def _same(self, trial: optuna.Trial, planned: Plan) -> Iterator[tuple[runs.Run, str]]:
        """Give the runs of this identity, those of the search first, with what became of each."""
        known = self._study.get_trials(deepcopy=False)
        for run in _runs_of(self._made.folder, planned.identity):
            number = int(run.tag.partition("#")[2])
            if number < len(known) and number != trial.number:
                state = trial_of(known[number]).state
                if state not in ("running", FAILED):
                    yield run, state
        for tag in runs.list_searches(self._made.workspace):
            if tag != self._made.tag:
                for run in _runs_of(self._made.workspace / "searches" / tag, planned.identity):
                    yield run, run.status
        for run in _runs_of(self._made.workspace, planned.identity):
            yield run, run.status

    def _await_same(self, trial: optuna.Trial, planned: Plan) -> None:
        """Wait for another process that trains the very same settings."""
        while any(
            each.number < trial.number
            and each.user_attrs.get("identity") == planned.identity
            and at_work(self._made, each)
            for each in self._study.get_trials(deepcopy=False)
        ):
            if self._stop.requested:
                raise _Interrupted
            time.sleep(WAIT)

    # ------------------------------------------------------------------- training

    def _trained(
        self, trial: optuna.Trial, planned: Plan
    ) -> Generator[Training, None, tuple[float, ...]]:
        """Train a trial or go on with it, and end it early where it lags."""
        import optuna

        from trainer.loop import EpochDone
        from trainer.session import session

        begun = self._begun(planned)
        run, ending = begun.run, _Ending(self._stop)
        for row in runs.metrics(run.folder):
            self._report(trial, row)
        if run.status != "finished":
            splits = self._loaded(planned)
            for event in session(run, begun.version, begun.device, ending, splits):
                yield Training(number=trial.number, event=event)
                if isinstance(event, EpochDone):
                    self._report(trial, event.row)
                    if event.row["epoch"] < self._made.epochs and self._lags(trial):
                        ending.request(PRUNED)
        rows = runs.metrics(run.folder)
        trial.set_user_attr("epoch", len(rows))
        if ending.reason == PRUNED:
            raise optuna.TrialPruned
        if len(rows) < self._made.epochs:
            raise _Interrupted
        return self._result(trial, rows)

    def _begun(self, planned: Plan) -> Resumed:
        """Begin a trial's run, or take over what was left of it."""
        from trainer.session import Resumed, resume
        from trainer.start import start

        tag = planned.request.trial
        assert tag is not None
        folder = runs.folder_of(self._made.workspace, tag)
        if (folder / "run.json").is_file():
            left = runs.open_run(self._made.workspace, tag)
            if left.record.identity != planned.identity:
                shutil.rmtree(folder)  # other code began it: its epochs would not go together
            elif left.status != "finished":
                return resume(self._made.workspace, tag, None, planned.request.device)
            else:
                return Resumed(run=left, version=planned.version, device=planned.device, notes=())
        return Resumed(run=start(planned), version=planned.version, device=planned.device, notes=())

    def _report(self, trial: optuna.Trial, row: dict[str, Any]) -> None:
        """Tell optuna an epoch's loss, by which trials are ended early."""
        watched = self._made.space.config.prune
        reported = self._study.trials[trial.number].intermediate_values if watched else {}
        if watched and row["epoch"] not in reported:
            trial.report(_loss(row, watched), row["epoch"])

    def _lags(self, trial: optuna.Trial) -> bool:
        return bool(self._made.space.config.prune) and trial.should_prune()

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
        if self._search_stop.requested and not self.reason:
            self.reason = self._search_stop.reason
        return bool(self.reason)


def _runs_of(folder: Path, identity: str) -> list[runs.Run]:
    known, _ = runs.read_all(folder)
    return [run for run in known if run.record.identity == identity]


def _loss(row: dict[str, Any], name: str) -> float:
    return float(row["dev"][name])


def _check_schedule(planned: Plan) -> None:
    """Refuse a training that ends before its learning rate has peaked."""
    from trainer.notes import on_schedule

    kept = planned.ancestor is not None and planned.request.keep_optim
    first = planned.ancestor.state.step if planned.ancestor is not None and kept else 0
    told = on_schedule(planned.config, len(planned.version.split("train")), first)
    if told:
        raise BadSetting(told[0])


def _check_losses(planned: Plan, made: Search) -> None:
    """Refuse a model that has no such loss."""
    from trainer.losses import TOTAL, reported_weights

    config = made.space.config
    for name in (*config.objectives, config.prune):
        if name and name not in (TOTAL, *reported_weights(planned.config.model)):
            raise BadSetting(f"a model of these settings has no loss {name!r}")


# ------------------------------------------------------------------- promotion


def promotion(
    workspace: Path, name: str, epochs: int | None, tag: str | None, device: str = "auto"
) -> Request:
    """Ask for a full run with all the settings of a trial ("N2C_11#3").

    Raises
    ------
    Refused
        It has no settings that could be trained, or the dataset is another one now.
    CorpuskitError
        No such search or trial.
    """
    made, trial = trial_named(workspace, name, device)
    if trial.state not in RESULTS:
        verb = (
            "is still" if trial.state == "running" else "was" if trial.state == SKIPPED else "has"
        )
        raise Refused(
            f"trial {name} {verb} {trial.state}{f': {trial.told}' if trial.told else ''}",
            f"`trainer show {made.tag}` lists those that were trained",
        )
    if open_version(workspace, made.dataset).fingerprint != made.fingerprint:
        raise Refused(
            f"dataset {made.dataset} is not the one search {made.tag} was trained on",
            f"`trainer rerun {name} --spk {made.dataset}` trains its settings on what is there now",
        )
    cadence = [setting(f"train.{key}", value) for key, value in made.in_full.items()]
    drawn = [setting(key, value) for key, value in trial.settings.items()]
    return replace(
        made.request,
        workspace=workspace,
        tag=tag,
        settings=(*cadence, *drawn),
        epochs=epochs or TrainConfig().epochs,
        origin=name,
    )


def trial_named(workspace: Path, name: str, device: str = "auto") -> tuple[Search, Trial]:
    """Return a trial ("N2C_11#3") and its search.

    Raises
    ------
    CorpuskitError
        No such search or trial.
    """
    of, mark, number = name.partition("#")
    if not mark or not number.isdecimal():
        raise BadSetting(f"{name!r} names no trial", "e.g. N2C_11#3")
    made = open_search(workspace, of, device)
    known = {each.number: each for each in trials(made).all}
    trial = known.get(int(number))
    if trial is None:
        there = f"it has #0 to #{max(known)}" if known else "it has none yet"
        raise Refused(f"search {of} has no trial #{number}", there)
    return made, trial

"""The training loop, all of it: batches in, events out.

    for event in train(run, splits, device, stop):
        ...

Every run and every resume goes through here from the newest whole checkpoint, so going on
is the same as never having stopped: on one machine, bit for bit on the CPU. Nothing in a step
waits for the device; what must be looked at is looked at once in a while.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, Protocol

import numpy as np
import torch

from corpuskit.files import append_line
from trainer import checkpoint, runs
from trainer.batches import Batch, PackedSet, epoch_order, in_parts, padding_share
from trainer.checkpoint import State
from trainer.config import TrainConfig
from trainer.data import SplitData, Splits
from trainer.device import deterministic, pick_compile
from trainer.distributed import ALONE, World
from trainer.errors import Diverged
from trainer.graphs import Recorder, cuda_recorder
from trainer.learner import Cut, Learner
from trainer.losses import Accumulator, reported_weights, shares, spoken, sums
from trainer.model import FS2VC
from trainer.schedule import lr
from trainer.signals import Stop

__all__ = [
    "Ended",
    "EpochDone",
    "Event",
    "Note",
    "Progress",
    "Scored",
    "Trainee",
    "rounds",
    "score",
    "train",
]

LOOK_EVERY = 50  # steps between two looks at what a CUDA device has computed
KNOWN = 100.0  # reduced frames, about an utterance's, said at the right pace before any is counted


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something the user should read."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One step is done."""

    epoch: int  # the first is 1
    epochs: int
    batch: int
    batches: int
    loss: float | None  # of this batch, where it was looked at


@dataclass(frozen=True, kw_only=True)
class EpochDone:
    """An epoch is trained, scored and saved; `row` is its line of metrics.jsonl."""

    row: dict[str, Any]
    best: bool  # the lowest dev loss so far


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The last event: all epochs are done, or a stop was asked for and everything is saved."""

    state: State
    stopped: str  # the signal's name; empty when all epochs are done
    in_vain: int = 0  # epochs without a lower dev loss, where that ended the training


Event = Note | Progress | EpochDone | Ended


class Trainee(Protocol):
    """What the loop trains, put back as its newest whole checkpoint holds it."""

    @property
    def steps(self) -> int:
        """Optimiser steps really taken; waits for the device."""

    @property
    def problem(self) -> str:
        """What the user should know of how it trains; empty where nothing is wrong."""

    def begin(self, state: State) -> int:
        """Draw the order of the epoch that `state` is in; returns its batches.

        It depends on seed and epoch alone.
        """

    def step(self, state: State) -> None:
        """Learn from the epoch's next batch, that of `state`."""

    def look(self, state: State) -> float | None:
        """Return the last step's loss, waiting for the device.

        Raises
        ------
        Diverged
            A loss or gradient was no number.
        """

    def score(self, state: State, stop: Stop) -> dict[str, float] | None:
        """Return the dev losses, or None when a stop is asked for meanwhile."""

    def row(self, state: State, dev: dict[str, float]) -> dict[str, Any]:
        """Return the epoch's line of metrics.jsonl."""

    def forget(self) -> None:
        """Let go of what was summed up over the epoch that ended."""

    def save(self, state: State) -> None:
        """Write a checkpoint, and drop those that are no longer needed."""


Restored = tuple[Trainee, State, list[str]]  # with what was found damaged


def rounds(
    run: runs.Run,
    restore: Callable[[], Restored],
    device: torch.device,
    stop: Stop,
    world: World = ALONE,
) -> Iterator[Event]:
    """Train what `restore` rebuilds of `run` to its last epoch; the errors of `train`."""
    epochs, cadence = run.record.epochs, run.cadence
    with deterministic(device):
        trainee, state, damaged = restore()
        yield from (Note(text=f"{text}; going on from epoch {state.epoch}") for text in damaged)
        if world.leads:
            runs.trim_metrics(run.folder, state.epoch)
        told = False
        while state.epoch < epochs and not (_in_vain(state, cadence.patience) or world.stops(stop)):
            # every epoch: draw the order, which depends on seed and epoch alone
            began = time.perf_counter()
            batches = trainee.begin(state)
            look = True
            while state.batch < batches and not world.stops(stop, look=look):
                # every step
                trainee.step(state)
                state = replace(state, batch=state.batch + 1)
                # once in a while: wait for the device, and see whether it still computes numbers
                look = device.type == "cpu" or state.batch % LOOK_EVERY == 0
                yield Progress(
                    epoch=state.epoch + 1,
                    epochs=epochs,
                    batch=state.batch,
                    batches=batches,
                    loss=trainee.look(state) if look else None,
                )
            # once an epoch: score the dev split, unless a stop was asked for
            trainee.look(state)
            state = replace(state, step=trainee.steps)
            dev = trainee.score(state, stop)
            if dev is None:
                # interrupted: what was learnt is kept, to the step
                trainee.save(state)
                break
            if trainee.problem and not told:
                told = True
                yield Note(text=trainee.problem)
            # once an epoch: write it down, save, drop what is no longer needed
            _check_dev(run, state, dev)
            row = trainee.row(state, dev)
            row["seconds"] = round(time.perf_counter() - began, 3)
            if world.leads:
                append_line(run.folder / "metrics.jsonl", json.dumps(row, sort_keys=True))
            state = _next_epoch(state, dev[cadence.best_by])
            trainee.forget()
            trainee.save(state)
            yield EpochDone(row=row, best=state.best_epoch == state.epoch)
    in_vain = _in_vain(state, cadence.patience)
    yield Ended(
        state=state,
        stopped=stop.reason if state.epoch < epochs and not in_vain else "",
        in_vain=cadence.patience if in_vain and state.epoch < epochs else 0,
    )


def train(
    run: runs.Run, splits: Splits, device: torch.device, stop: Stop, world: World = ALONE
) -> Iterator[Event]:
    """Train `run` from its newest whole checkpoint to its last epoch.

    Where several processes of a `world` train, all of them come here; rank 0 reads and writes.

    Raises
    ------
    Diverged
        A loss or gradient is no number any more. Nothing of that was saved.
    BadRun
        No checkpoint is whole.
    LostProcess
        Another process is gone.
    CorpuskitError
        The disk refused.
    """
    return rounds(run, lambda: _restore(run, splits, device, world), device, stop, world)


class _Conversion:
    """A conversion model on pairs."""

    def __init__(
        self, run: runs.Run, splits: Splits, learner: Learner, running: Accumulator, world: World
    ) -> None:
        self._run = run
        self._splits = splits
        self._learner = learner
        self._running = running
        self._world = world
        self._pace = 1.0
        self._order: Sequence[Sequence[int]] = ()
        self._batches: Iterator[tuple[list[Batch], Cut]] = iter(())

    @property
    def steps(self) -> int:
        return self._learner.steps

    @property
    def problem(self) -> str:
        return self._learner.problem

    def begin(self, state: State) -> int:
        settings, pairs = self._run.config.train, self._splits.train.packed
        self._order = epoch_order(
            pairs.lengths,
            settings.batch_size,
            settings.group_size,
            settings.seed,
            state.epoch + 1,
        )
        self._learner.model.train()
        self._batches = _stream(self._learner, pairs, self._order, settings, state, self._world)
        return len(self._order)

    def step(self, state: State) -> None:
        parts, cut = next(self._batches)
        self._running.add(self._learner.step(parts, state.batch, cut))

    def look(self, state: State) -> float | None:
        train = self._splits.train
        return _look(self._learner, self._run, train, self._order, state, self._world)

    def score(self, state: State, stop: Stop) -> dict[str, float] | None:
        learner, batch_size = self._learner, self._run.config.train.batch_size
        found = score(learner.used, self._splits.dev.packed, batch_size, stop, self._world)
        self._running = _of_all(self._running, learner.device, self._world)
        learner.check_same(state.epoch + 1)
        if found is None:
            return None
        self._pace = found.pace
        return found.losses

    def row(self, state: State, dev: dict[str, float]) -> dict[str, Any]:
        row = _row(self._run, state, self._running, dev, self._splits, self._order)
        return row | {"pace": round(self._pace, 6)}

    def forget(self) -> None:
        self._running = Accumulator(reported_weights(self._run.config.model))

    def save(self, state: State) -> None:
        if not state.batch:
            state = replace(state, pace=self._pace)
        _save(self._run, self._learner, state, self._running, self._world)


def _stream(
    learner: Learner,
    pairs: PackedSet,
    order: Sequence[Sequence[int]],
    settings: TrainConfig,
    state: State,
    world: World,
) -> Iterator[tuple[list[Batch], Cut]]:
    """Gather what is left of an epoch, batch by batch: this process' parts of each.

    What is random depends on seed, epoch, batch and part alone, so that it matters in how many
    parts a batch is computed, and not where.
    """

    def cut(number: int) -> tuple[list[list[int]], Cut]:
        parts = in_parts(order[number], settings.accumulate * world.size)
        held = shares([pairs.counts(part) for part in parts])
        own = world.own(len(parts), settings.accumulate)
        place = (settings.seed, state.epoch + 1, number)
        keys = [(*place, i) for i in own]
        return [parts[i] for i in own], Cut(shares=[held[i] for i in own], keys=keys)

    cuts = [cut(number) for number in range(state.batch, len(order))]
    chosen = chain.from_iterable(own for own, _ in cuts)
    gathered = pairs.stream(chosen, rounded=learner.rounded)
    for own, of_whole in cuts:
        yield list(islice(gathered, len(own))), of_whole


def _of_all(running: Accumulator, device: torch.device, world: World) -> Accumulator:
    """Return the sums of all processes, for rank 0 to write down."""
    if world.size == 1:
        return running
    nothing = torch.zeros(len(running.weights), 2, dtype=torch.float64, device=device)
    return Accumulator(
        running.weights, world.sum(nothing if running.held is None else running.held)
    )


def _in_vain(state: State, patience: int) -> bool:
    """Tell whether `patience` whole epochs went by without a lower dev loss."""
    if not patience or state.best_epoch is None or state.batch:
        return False
    return state.epoch - state.best_epoch >= patience


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a model is worth on a split."""

    losses: dict[str, float]  # means over real frames
    pace: float  # reduced frames it would say, over those of the targets


def score(
    model: FS2VC, pairs: PackedSet, batch_size: int, stop: Stop, world: World = ALONE
) -> Scored | None:
    """Score a model on all `pairs`; None when a stop is asked for meanwhile.

    In fp32 whatever the training's precision, and independent of how pairs are batched and of
    which process of the `world` computes which batch, so that runs can be compared.
    """
    by_length = np.argsort(pairs.lengths, kind="stable").tolist()
    running, device = Accumulator(reported_weights(model.config)), pairs.durations.device
    known = torch.full((1, 2), KNOWN, dtype=torch.float64, device=device) if world.leads else None
    said = Accumulator({"pace": 1.0}, known)
    model.eval()
    with torch.no_grad():
        for start in range(batch_size * world.rank, len(by_length), batch_size * world.size):
            if stop.requested:
                break
            batch = pairs.gather(by_length[start : start + batch_size])
            outputs = model(batch)
            running.add(sums(outputs, batch))
            said.add({"pace": spoken(outputs)})
    if world.stops(stop):
        return None
    return Scored(
        losses=_of_all(running, device, world).means(),
        pace=_of_all(said, device, world).means()["pace"],
    )


def _look(
    learner: Learner,
    run: runs.Run,
    train: SplitData,
    order: Sequence[Sequence[int]],
    state: State,
    world: World,
) -> float | None:
    """Return the last step's loss; stop where one was no number any more."""
    fault = learner.fault()
    if fault is None:
        return learner.last_loss()
    if not world.leads:
        raise Diverged("as rank 0 says")
    step = max(1, learner.steps - (state.batch - fault.batch) + 1)
    optim = run.config.optim
    raise Diverged(
        f"run {run.tag} diverged at step {step} (epoch {state.epoch + 1}, batch "
        f"{fault.batch + 1}): {fault.what}; learning rate "
        f"{lr(step, optim.warm_up, optim.cap):.2e}; "
        f"pairs {', '.join(train.ids(order[fault.batch]))}; "
        f"last good checkpoint {checkpoint.last(run.checkpoints).folder.name}",
        "look at these pairs, lower optim.max_lr_scale or raise optim.warm_up, and start a new run",
    )


def _check_dev(run: runs.Run, state: State, dev: dict[str, float]) -> None:
    if not all(map(math.isfinite, dev.values())):
        raise Diverged(
            f"run {run.tag} diverged in epoch {state.epoch + 1}: the dev loss is no number; "
            f"last good checkpoint {checkpoint.last(run.checkpoints).folder.name}",
            f"{run.cadence.slower}, and start a new run",
        )


def _row(
    run: runs.Run,
    state: State,
    running: Accumulator,
    dev: dict[str, float],
    splits: Splits,
    order: Sequence[Sequence[int]],
) -> dict[str, Any]:
    """Return an epoch's line of metrics.jsonl; every loss is a mean over real frames."""
    optim, pairs = run.config.optim, splits.train.packed
    sides = [padding_share(each, order) for each in (pairs.source_lengths, pairs.target_lengths)]
    real, padded = sum(each.real for each in sides), sum(each.padded for each in sides)
    return {
        "epoch": state.epoch + 1,
        "step": state.step,
        "lr": lr(max(1, state.step), optim.warm_up, optim.cap),
        "train": running.means(),
        "dev": dev,
        "padding_share": round(1 - real / padded, 6),
    }


def _next_epoch(state: State, dev_loss: float) -> State:
    """Return the state after an epoch that ended with this dev loss."""
    state = replace(state, epoch=state.epoch + 1, batch=0, dev_loss=dev_loss)
    if state.best_loss is None or dev_loss < state.best_loss:
        state = replace(state, best_loss=dev_loss, best_epoch=state.epoch)
    return state


def _restore(run: runs.Run, splits: Splits, device: torch.device, world: World) -> Restored:
    """Rebuild everything from the newest whole checkpoint, which rank 0 reads for all."""
    state, parameters, tensors, damaged = world.give(
        checkpoint.load_newest(run.checkpoints)[1:] if world.leads else None
    )
    pairs = len(splits.train.packed)
    steps = math.ceil(pairs / run.config.train.batch_size) * (run.record.epochs - state.epoch)
    learner = Learner(
        run.config,
        len(run.speakers),
        device,
        run.record.precision,
        last_step=state.step + steps,
        recorder=recorder_of(run.config.train.compile, device) if world.size == 1 else None,
        world=world,
    )
    learner.load(parameters, tensors)
    checkpoint.restore_optimiser(learner.model, learner.optimiser, tensors)
    learner.count_average()
    checkpoint.restore_scaler(learner.scaler, state.scaler)
    held = tensors.get("running") if world.leads else None  # it is a sum over all processes
    weights = reported_weights(run.config.model)
    running = Accumulator(weights, None if held is None else held.to(device))
    return _Conversion(run, splits, learner, running, world), state, damaged


def recorder_of(setting: str, device: torch.device) -> Recorder | None:
    """Return what records steps under `train.compile`, if they are to be recorded."""
    return cuda_recorder(device) if pick_compile(setting, device) == "graphs" else None


def _save(
    run: runs.Run, learner: Learner, state: State, running: Accumulator, world: World
) -> None:
    """Write a checkpoint, which is rank 0's to do, and drop those that are no longer needed."""
    if not world.leads:
        return
    state = replace(
        state,
        scaler=checkpoint.scaler_state(learner.scaler),
        dev_loss=None if state.batch else state.dev_loss,
    )
    tensors = {
        **checkpoint.optimiser_tensors(learner.model, learner.optimiser),
        **learner.last_weights(),
    }
    if running.held is not None:
        tensors["running"] = running.held
    checkpoint.save(run.checkpoints, state, learner.weights(), tensors)
    checkpoint.prune(run.checkpoints, state.best_epoch, run.config.train.save_every)

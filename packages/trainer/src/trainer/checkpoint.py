"""Checkpoints: everything training needs to go on as if it had never stopped, without pickle.

    checkpoints/epoch-0010/weights.safetensors       parameters and buffers of the model
    checkpoints/epoch-0010/state.safetensors         optimiser moments, running sums
    checkpoints/epoch-0010/state.json                position, step, best loss, scaler, file digests
    checkpoints/epoch-0010+00003/...                 interrupted: 3 batches into the 11th epoch

A folder is filled under a hidden name and renamed, so a checkpoint exists whole or not at
all. The newest folder is the last checkpoint; which one is best is written in it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.config import from_mapping, to_mapping
from corpuskit.errors import CorpuskitError
from corpuskit.files import publish_folder, read_json, temporary_folder, write_file, write_json
from trainer.errors import BadRun

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

__all__ = [
    "OPTIMISER",
    "SCHEMA",
    "Checkpoint",
    "State",
    "by_epoch",
    "last",
    "listed",
    "load",
    "load_newest",
    "load_weights",
    "optimiser_tensors",
    "prune",
    "restore_optimiser",
    "restore_scaler",
    "save",
    "scaler_state",
]

SCHEMA = 1
SLOWEST, FASTEST = 0.8, 1.25  # pace that is set right; beyond, a model has not learnt durations
OPTIMISER = "optimiser/"  # begins the names of the optimiser's tensors
_NAME = re.compile(r"epoch-(\d{4,})(?:\+(\d{5,}))?")


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a training stands; the tensors that belong to it are stored beside it."""

    epoch: int  # whole epochs behind
    batch: int = 0  # batches of the next epoch behind
    step: int = 0  # optimiser steps taken; the schedule's clock
    dev_loss: float | None = None  # of this very checkpoint; None in the middle of an epoch
    best_loss: float | None = None
    best_epoch: int | None = None
    pace: float | None = None  # length of what it would say of the dev targets, over theirs
    scaler: dict[str, float] = field(default_factory=dict)  # of the loss scaler, fp16 only
    digests: dict[str, str] = field(default_factory=dict)  # SHA-256 by file name
    schema: int = SCHEMA

    @property
    def own_pace(self) -> float:
        """By what the durations are divided so that lengths are right, 1 where nothing is known.

        Durations are the means of logarithms, and so too short, the more the less sure they are:
        on recordings that were not trained on, which is why the dev split tells.
        """
        return 1.0 if self.pace is None else min(max(self.pace, SLOWEST), FASTEST)

    @property
    def name(self) -> str:
        """Name of the checkpoint's folder; names sort as training goes."""
        return f"epoch-{self.epoch:04d}" + (f"+{self.batch:05d}" if self.batch else "")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint on disk."""

    folder: Path
    epoch: int
    batch: int

    def state(self) -> State:
        """Read state.json.

        Raises
        ------
        BadRun
            It is damaged, or of a schema this release does not read.
        """
        path = self.folder / "state.json"
        try:
            mapping = read_json(path)
            if mapping["schema"] != SCHEMA:
                raise BadRun(f"{path} has schema {mapping['schema']}, this release reads {SCHEMA}")
            return from_mapping(State, mapping, str(path))
        except (OSError, ValueError, KeyError, TypeError, CorpuskitError) as error:
            raise BadRun(f"checkpoint {self.folder.name} is damaged: {error}") from None


def save(folder: Path, state: State, weights: Tensors, tensors: Tensors) -> Checkpoint:
    """Write a checkpoint below `folder` in one step; an equal name already there is kept.

    Raises
    ------
    CorpuskitError
        The disk refused; nothing is left behind.
    """
    from safetensors.torch import save as to_bytes

    place = Checkpoint(folder=folder / state.name, epoch=state.epoch, batch=state.batch)
    if (place.folder / "state.json").is_file():
        return place
    with temporary_folder(folder) as temporary:
        digests = {}
        for name, values in (("weights", weights), ("state", tensors)):
            data = to_bytes({key: value.contiguous() for key, value in values.items()})
            write_file(temporary / f"{name}.safetensors", data)
            digests[f"{name}.safetensors"] = hashlib.sha256(data).hexdigest()
        write_json(temporary / "state.json", to_mapping(replace(state, digests=digests)))
        publish_folder(temporary, place.folder)
    return place


def listed(folder: Path) -> list[Checkpoint]:
    """Return the checkpoints of a run, oldest first."""
    found = []
    for path in folder.glob("epoch-*/state.json"):
        match = _NAME.fullmatch(path.parent.name)
        if match:
            epoch, batch = int(match[1]), int(match[2] or 0)
            found.append(Checkpoint(folder=path.parent, epoch=epoch, batch=batch))
    return sorted(found, key=lambda each: (each.epoch, each.batch))


def last(folder: Path) -> Checkpoint:
    """Return the newest checkpoint.

    Raises
    ------
    BadRun
        There is none.
    """
    found = listed(folder)
    if not found:
        raise BadRun(f"{folder} holds no checkpoint", "start the run again under a new tag")
    return found[-1]


def by_epoch(folder: Path, which: str) -> Checkpoint:
    """Return checkpoint "best", "last", or that of an epoch ("100").

    Raises
    ------
    BadRun
        There is none.
    CorpuskitError
        That epoch was not kept; those that were are named.
    """
    newest = last(folder)
    if which == "last":
        return newest
    if which == "best":
        best = newest.state().best_epoch
        which = str(newest.epoch if best is None else best)
    whole = {each.epoch: each for each in listed(folder) if not each.batch}
    if which.isdecimal() and int(which) in whole:
        return whole[int(which)]
    known = ", ".join(map(str, whole)) or "none"
    raise CorpuskitError(
        f"run {folder.parent.name} keeps no checkpoint of epoch {which}",
        f"it keeps best, last, and epochs {known}",
    )


def load(checkpoint: Checkpoint) -> tuple[State, Tensors, Tensors]:
    """Read a checkpoint: its state, the model's weights, and the other tensors.

    Raises
    ------
    BadRun
        A file is missing or does not fit its digest.
    """
    state = checkpoint.state()
    return state, _read(checkpoint, state, "weights"), _read(checkpoint, state, "state")


def load_newest(folder: Path) -> tuple[Checkpoint, State, Tensors, Tensors, list[str]]:
    """Read the newest checkpoint that is whole; damaged newer ones are removed and named.

    Raises
    ------
    BadRun
        None is whole.
    """
    damaged: list[str] = []
    for checkpoint in reversed(listed(folder)):
        try:
            state, weights, tensors = load(checkpoint)
        except BadRun as error:
            damaged.append(str(error))
            continue
        for newer in listed(folder):
            if (newer.epoch, newer.batch) > (checkpoint.epoch, checkpoint.batch):
                _remove(newer)
        return checkpoint, state, weights, tensors, damaged
    raise BadRun(
        f"run {folder.parent.name} has no whole checkpoint ({'; '.join(damaged) or 'none at all'})",
        "start it again under a new tag",
    )


def load_weights(checkpoint: Checkpoint) -> Tensors:
    """Read the model's weights alone.

    Raises
    ------
    BadRun
        A file is missing or does not fit its digest.
    """
    return _read(checkpoint, checkpoint.state(), "weights")


def _read(checkpoint: Checkpoint, state: State, name: str) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    path = checkpoint.folder / f"{name}.safetensors"
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != state.digests[path.name]:
            raise BadRun(f"checkpoint {checkpoint.folder.name}: {path.name} is damaged")
        return from_bytes(data)
    except (OSError, KeyError, SafetensorError) as error:
        raise BadRun(
            f"checkpoint {checkpoint.folder.name}: {path.name} cannot be read ({error})"
        ) from None


def prune(folder: Path, best_epoch: int | None, save_every: int) -> None:
    """Remove all checkpoints but the last, the best, and every `save_every` epochs."""
    for each in listed(folder)[:-1]:
        kept = each.epoch % save_every == 0 and each.epoch > 0
        if each.batch or not (kept or each.epoch == best_epoch):
            _remove(each)
    for rest in folder.glob("epoch-*"):
        if not (rest / "state.json").exists():
            shutil.rmtree(rest, ignore_errors=True)


def _remove(checkpoint: Checkpoint) -> None:
    """Remove a checkpoint; without state.json a folder is none, so that file goes first."""
    (checkpoint.folder / "state.json").unlink()
    shutil.rmtree(checkpoint.folder, ignore_errors=True)


# ------------------------------------------------------- what is stored as tensors


def optimiser_tensors(model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> Tensors:
    """Return the optimiser's moments by parameter name: "optimiser/exp_avg/NAME"."""
    return {
        f"{OPTIMISER}{key}/{name}": value
        for name, parameter in model.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def restore_optimiser(
    model: torch.nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Put moments back where `optimiser_tensors` found them, on each parameter's device."""
    moments: dict[str, dict[str, torch.Tensor]] = {}
    for full, value in tensors.items():
        if full.startswith(OPTIMISER):
            _, key, name = full.split("/", 2)
            moments.setdefault(name, {})[key] = value
    for name, parameter in model.named_parameters():
        if name in moments:
            optimiser.state[parameter] = {
                key: value.to(parameter.device) for key, value in moments[name].items()
            }


def scaler_state(scaler: Any) -> dict[str, float]:
    """Return the loss scaler's state as plain numbers; empty when it is off."""
    return {key: float(value) for key, value in scaler.state_dict().items()}


def restore_scaler(scaler: Any, state: Mapping[str, float]) -> None:
    """Put the loss scaler back; one without a state starts afresh."""
    if state:
        whole = ("growth_interval", "_growth_tracker")
        scaler.load_state_dict({k: int(v) if k in whole else v for k, v in state.items()})

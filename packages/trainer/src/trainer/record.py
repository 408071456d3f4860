"""run.json: what is kept of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from trainer.processes import Process
from trainer.remarks import Remark

if TYPE_CHECKING:
    from corpuskit.versions import Version

__all__ = [
    "CONVERSION",
    "SCHEMA",
    "VOCODER",
    "DatasetPart",
    "LeakPart",
    "MelPart",
    "Parent",
    "Record",
    "Session",
    "StatisticsPart",
    "record_of",
]

SCHEMA = 1
CONVERSION, VOCODER = "conversion", "vocoder"  # kinds of run


@dataclass(frozen=True, kw_only=True)
class DatasetPart:
    """The dataset version a run was trained on."""

    name: str
    fingerprint: str
    pairs: Mapping[str, int]  # by split

    @classmethod
    def of(cls, version: Version) -> Self:
        """Describe a version."""
        return cls(
            name=version.name,
            fingerprint=version.fingerprint,
            pairs={name: len(version.split(name)) for name in ("train", "dev", "eval")},
        )


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The checkpoint a run was fine-tuned from."""

    tag: str
    epoch: int
    digest: str  # SHA-256 of its weights
    optimiser: str  # "reset" or "kept"
    loaded: int  # tensors taken over as they are or by speaker
    left: tuple[str, ...]  # what did not fit, and what is new: one line each


@dataclass(frozen=True, kw_only=True)
class MelPart:
    """The checkpoint whose mels a vocoder learns from."""

    tag: str
    epoch: int
    digest: str  # SHA-256 of its weights
    file: str  # SHA-256 of the mels it made, which the run keeps


@dataclass(frozen=True, kw_only=True)
class StatisticsPart:
    """Whose statistics normalise mel, pitch and energy."""

    choice: str  # "own" or "parent"; "none" for a vocoder, which normalises nothing
    dataset: str  # the version they were measured on


@dataclass(frozen=True, kw_only=True)
class LeakPart:
    """Held-out pairs the parent or its ancestors were trained on."""

    pairs: tuple[str, ...] = ()  # same sentence, same voice
    other_voice: int = 0  # pairs whose sentence was heard in another voice only
    kept: bool = False  # --keep-leaks: they count in dev scores all the same


@dataclass(frozen=True, kw_only=True)
class Session:
    """One stretch of training: from `run` or `resume` to the end or a stop."""

    began: str  # UTC
    process: Process
    device: str
    libraries: Mapping[str, str]
    code: str  # digest
    epoch: int  # where it took over
    batch: int
    processes: int = 1  # that trained together; `process` is the one that led


@dataclass(frozen=True, kw_only=True)
class Record:
    """run.json."""

    tag: str
    status: str  # running, finished, stopped, failed
    created: str  # UTC
    identity: str
    parts: Mapping[str, Any]  # what the identity is the hash of
    dataset: DatasetPart
    speakers: tuple[str, ...]  # rows of the speaker tables
    statistics: StatisticsPart
    leaks: LeakPart
    parent: Parent | None
    precision: str
    parameters: int
    epochs: int  # asked for
    sessions: tuple[Session, ...]
    again_of: str | None = None
    origin: str = ""  # the trial of a search it was promoted from, "N2C_11#3"
    problem: str = ""  # why it failed
    epoch: int = 0  # whole epochs behind
    step: int = 0  # optimiser steps behind
    best_epoch: int | None = None
    best_loss: float | None = None
    best_by: str = "total"  # the dev loss that says which epoch is best
    best_losses: Mapping[str, float] = field(default_factory=dict)  # dev, at the best epoch
    seconds: float = 0.0  # spent training, all sessions
    results: Mapping[str, Any] = field(default_factory=dict)  # of `evaluate`, by name
    listening: Mapping[str, Any] = field(default_factory=dict)  # of `listen --score`, by name
    remarks: tuple[Remark, ...] = ()  # in the order in which they were written
    kind: str = CONVERSION
    mels: MelPart | None = None  # of a vocoder; None: the recordings' own
    schema: int = SCHEMA


def record_of(mapping: dict[str, Any]) -> Record:
    """Read a record; KeyError, TypeError, ValueError or AttributeError where it is none."""
    parent, leaks, mels = mapping["parent"], mapping["leaks"], mapping.get("mels")
    nested = {
        "dataset": DatasetPart(**mapping["dataset"]),
        "statistics": StatisticsPart(**mapping["statistics"]),
        "leaks": LeakPart(**{**leaks, "pairs": tuple(leaks["pairs"])}),
        "parent": Parent(**{**parent, "left": tuple(parent["left"])}) if parent else None,
        "mels": MelPart(**mels) if mels else None,
        "speakers": tuple(mapping["speakers"]),
        "remarks": tuple(Remark(**each) for each in mapping.get("remarks", ())),
        "sessions": tuple(
            Session(**{**each, "process": Process(**each["process"])})
            for each in mapping["sessions"]
        ),
    }
    record = Record(**{**mapping, **nested})
    if wrong := next(_wrong(record), None):
        raise ValueError(wrong)
    return record


_TEXTS = ("tag", "status", "created", "identity", "precision", "origin", "best_by", "kind")
_COUNTS = ("parameters", "epochs", "epoch", "step")
_TABLES = {  # settings that lists and diaries show, by kind
    CONVERSION: {
        "model": ("kind",),
        "optim": ("warm_up", "max_lr_scale"),
        "train": ("batch_size", "group_size", "seed"),
    },
    VOCODER: {"optim": ("lr",), "train": ("batch_size", "segment", "seed")},
}


def _wrong(record: Record) -> Iterator[str]:
    """Say what of a record is not what every reader takes for granted."""
    for name in _TEXTS:
        if not isinstance(getattr(record, name), str):
            yield f"{name} is no text"
    for name in _COUNTS:
        if not isinstance(getattr(record, name), int):
            yield f"{name} is no whole number"
    losses: list[float | None] = [record.seconds, *record.best_losses.values()]
    if record.best_epoch is not None:
        losses += [record.best_epoch, record.best_loss]
    if not all(isinstance(each, int | float) for each in losses):
        yield "a loss or time is no number"
    if not record.sessions:
        yield "it has no session"
    yield from _wrong_settings(record)


def _wrong_settings(record: Record) -> Iterator[str]:
    for name, keys in _TABLES.get(record.kind, {}).items():
        table = record.parts["config"].get(name, {})
        if missing := [key for key in keys if key not in table]:
            yield f"parts.config has no {name}.{missing[0]}"

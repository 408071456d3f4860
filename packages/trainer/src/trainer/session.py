"""One stretch of training: take a run, go through the loop, keep the record true.

Whatever happens, run.json says it: running, finished, stopped (by a signal; `resume` goes
on) or failed, with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from corpuskit.errors import BadSetting, CorpuskitError, Refused
from corpuskit.files import remove_leftovers
from corpuskit.versions import Version, open_version
from trainer import lineage, runs, samples
from trainer.checkpoint import last
from trainer.convert import Converter
from trainer.curves import Curves
from trainer.data import Normaliser, load
from trainer.device import OWN, name_of, pick, pick_precision
from trainer.identity import code_digest
from trainer.loop import Ended, EpochDone, Event, Note, Splits, train
from trainer.signals import Stop
from trainer.start import session_here
from trainer.vocoder import GriffinLim

__all__ = ["Resumed", "resume", "session"]


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """A run this process may go on with."""

    run: runs.Run
    version: Version
    device: torch.device
    notes: tuple[str, ...]  # why going on may not be exact


def resume(workspace: Path, tag: str, epochs: int | None, device: str = "auto") -> Resumed:
    """Take over a run that was stopped, killed or finished, to go on up to `epochs`.

    Raises
    ------
    Refused
        It is being trained, has all its epochs, or its dataset is another one now.
    CorpuskitError
        No such run or dataset, or one is damaged.
    """
    before = runs.open_run(workspace, tag)
    record = before.record
    wanted = record.epochs if epochs is None else epochs
    newest = last(before.checkpoints)
    if wanted < newest.epoch or (wanted == newest.epoch and not newest.batch):
        raise Refused(
            f"run {tag} has its {newest.epoch} epochs already",
            f"`trainer resume {tag} --epochs N` with a larger N goes on",
        )
    version = open_version(workspace, record.dataset.name)
    if version.fingerprint != record.dataset.fingerprint:
        raise Refused(
            f"dataset {version.name} is not the one run {tag} was trained on (fingerprint "
            f"{version.fingerprint[:12]}, was {record.dataset.fingerprint[:12]})",
            "build the old one again, or start a new run with --pretrain",
        )
    place = pick(device)
    if pick_precision(record.precision, place) != record.precision:
        raise BadSetting(f"{name_of(place)} cannot compute in {record.precision}")
    here = session_here(place, newest.state(), code_digest())
    run = runs.take_over(workspace, tag, here, wanted)
    notes = _inexact(record.sessions[-1], here)
    if before.status == "failed":
        notes = (f"it failed before: {record.problem}", *notes)
    return Resumed(run=run, version=version, device=place, notes=notes)


def _inexact(before: runs.Session, here: runs.Session) -> tuple[str, ...]:
    """Say what changed since the last session, so that going on is not bit for bit."""
    changed = []
    if before.device != here.device:
        changed.append(f"device {before.device} -> {here.device}")
    changed += [
        f"{name} {before.libraries.get(name)} -> {version}"
        for name, version in here.libraries.items()
        if before.libraries.get(name) != version and name not in OWN
    ]
    if before.code != here.code:
        changed.append("the code of the model and loop")
    if not changed:
        return ()
    return (f"not bit for bit what it would have been: changed since, {', '.join(changed)}",)


def session(run: runs.Run, version: Version, device: torch.device, stop: Stop) -> Iterator[Event]:
    """Train a started or resumed run to its end, or to a stop; keep its record.

    Raises
    ------
    Diverged, CorpuskitError
        As the loop; the record says so too.
    """
    began, spent = time.perf_counter(), run.record.seconds

    def seconds() -> float:
        return round(spent + time.perf_counter() - began, 1)

    with runs.held(run), _recorded(run), _curves(run) as curves:
        for folder in (run.folder, run.checkpoints):
            remove_leftovers(folder)
        normaliser = Normaliser(run.statistics, version.settings.features.energy_gate)
        splits = _splits(run, version, normaliser, device)
        for event in train(run, splits, device, stop):
            if isinstance(event, EpochDone):
                curves.row(event.row)
                run = runs.update(run, **_progress(event), seconds=seconds())
                if event.kept:
                    yield from _samples(run, version, splits, normaliser, device, event, curves)
            if isinstance(event, Ended):
                status = "stopped" if event.stopped else "finished"
                run = runs.update(run, status=status, step=event.state.step, seconds=seconds())
            yield event


@contextmanager
def _recorded(run: runs.Run) -> Iterator[None]:
    """Write down how a session ended when it did not end by itself."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        if runs.open_run(run.workspace, run.tag).record.status == "running":
            runs.update(run, status="stopped")
        raise
    except torch.OutOfMemoryError as error:
        batch_size = run.config.train.batch_size
        problem = f"the device ran out of memory with train.batch_size {batch_size}"
        _failed(run, problem)
        remedy = f"start a new run with --set train.batch_size={max(1, batch_size // 2)}"
        raise CorpuskitError(problem, remedy) from error
    except OSError as error:
        problem = f"cannot write {error.filename or run.folder}: {error.strerror or error}"
        _failed(run, problem)
        raise CorpuskitError(problem, f"`trainer resume {run.tag}` goes on from there") from error
    except BaseException as error:
        _failed(run, str(error) or type(error).__name__)
        raise


def _failed(run: runs.Run, problem: str) -> None:
    with suppress(CorpuskitError):  # the disk may be what failed
        runs.update(run, status="failed", problem=problem)


@contextmanager
def _curves(run: runs.Run) -> Iterator[Curves]:
    curves = Curves(run.folder / "tensorboard", last(run.checkpoints).state().step + 1)
    try:
        yield curves
    finally:
        curves.close()


def _splits(
    run: runs.Run, version: Version, normaliser: Normaliser, device: torch.device
) -> Splits:
    leaks = run.record.leaks
    dev = lineage.without(version.split("dev"), () if leaks.kept else leaks.pairs)
    return Splits(
        train=load(version, version.split("train"), normaliser, run.speakers, device),
        dev=load(version, dev, normaliser, run.speakers, device),
    )


def _progress(event: EpochDone) -> dict[str, object]:
    """Return the record's fields after an epoch."""
    row = event.row
    done: dict[str, object] = {"epoch": row["epoch"], "step": row["step"]}
    if event.best:
        done |= {"best_epoch": row["epoch"], "best_loss": row["dev"]["total"]}
    return done


def _samples(
    run: runs.Run,
    version: Version,
    splits: Splits,
    normaliser: Normaliser,
    device: torch.device,
    event: EpochDone,
    curves: Curves,
) -> Iterator[Event]:
    """Convert the first dev pairs; a model that cannot yet is no reason to stop."""
    converter = Converter(
        model=event.model,
        device=device,
        settings=version.settings,
        normaliser=normaliser,
        speakers=run.speakers,
        vocoder=GriffinLim(version.settings.features, version.settings.audio.rate),
        label=f"run {run.tag}",
    )
    folder = run.folder / "samples" / f"epoch-{event.row['epoch']:04d}"
    pairs = splits.dev.pairs[: run.config.train.samples]
    try:
        for sample in samples.convert(converter, version, pairs):
            samples.write(folder, sample)
            curves.sample(sample, event.row["step"])
    except CorpuskitError as error:
        yield Note(text=f"no samples of epoch {event.row['epoch']}: {error}")

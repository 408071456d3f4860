"""One stretch of training: take a run, go through the loop, keep the record true.

Whatever happens, run.json says it: running, finished, stopped (by a signal; `resume` goes
on) or failed, with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from corpuskit.errors import BadSetting, CorpuskitError, Refused
from corpuskit.files import remove_leftovers
from corpuskit.versions import Pair, Version, open_version
from trainer import forced, lineage, runs, samples
from trainer.checkpoint import last
from trainer.convert import Converter
from trainer.curves import Curves
from trainer.data import Splits, load_splits
from trainer.device import OWN, name_of, pick, pick_precision
from trainer.distributed import ALONE, World
from trainer.identity import CODE, VOCODER_CODE, code_digest
from trainer.loop import Ended, EpochDone, Event, Note, train
from trainer.signals import Stop
from trainer.start import session_here
from trainer.vocoder_data import VocoderSplits, load_sounds
from trainer.vocoder_loop import train_vocoder
from trainer.vocoder_runs import vocoder_named

__all__ = ["Resumed", "Work", "follow", "resume", "session"]


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """A run this process may go on with."""

    run: runs.Run
    version: Version
    device: torch.device
    notes: tuple[str, ...]  # why going on may not be exact


def resume(
    workspace: Path,
    tag: str,
    epochs: int | None,
    device: str = "auto",
    processes: int = 1,
    kind: str | None = None,
) -> Resumed:
    """Take over a run that was stopped, killed or finished, to go on up to `epochs`.

    It must be of `kind`, where one is named.

    Raises
    ------
    Refused
        It is being trained, has all its epochs, is of another kind, or its dataset is another
        one now.
    CorpuskitError
        No such run or dataset, or one is damaged.
    """
    before = runs.open_run(workspace, tag, kind)
    record = before.record
    is_vocoder = record.kind == runs.VOCODER
    if is_vocoder and processes > 1:
        raise BadSetting(f"run {tag} is a vocoder, which one process trains", "leave torchrun out")
    wanted = record.epochs if epochs is None else epochs
    newest = last(before.checkpoints)
    done = wanted == newest.epoch and not newest.batch and record.status == "finished"
    if wanted < newest.epoch or done:
        raise Refused(
            f"run {tag} has its {newest.epoch} epochs already",
            f"`trainer resume {tag} --epochs N` with a larger N goes on",
        )
    if record.status == "finished" and newest.epoch < record.epochs:
        raise Refused(
            f"run {tag} ended at epoch {newest.epoch}: {before.cadence.patience} epochs "
            "without a lower dev loss (train.patience)",
            f"`trainer {'vocoder run' if is_vocoder else 'run'} --spk {record.dataset.name} "
            f"--pretrain {tag}` goes on from its best",
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
    here = session_here(place, newest, code_digest(VOCODER_CODE if is_vocoder else CODE), processes)
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
    if before.processes != here.processes:
        changed.append(f"processes {before.processes} -> {here.processes}")
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


def session(
    run: runs.Run,
    version: Version,
    device: torch.device,
    stop: Stop,
    splits: Splits | VocoderSplits | None = None,
    world: World = ALONE,
) -> Iterator[Event]:
    """Train a started or resumed run to its end, or to a stop; keep its record.

    `splits` are what it learns from where that was loaded already. The other processes of a `world`
    `follow`.

    Raises
    ------
    Diverged, CorpuskitError
        As the loop; the record says so too.
    """
    with runs.held(run), _recorded(run), _curves(run) as curves:
        for folder in (run.folder, run.checkpoints):
            remove_leftovers(folder)
        keeper = _Keeper(run, version, device, curves)
        yield from keeper.catch_up()
        for event in _events(run, version, device, stop, splits, world):
            if isinstance(event, EpochDone):
                yield from keeper.epoch(event.row)
            if isinstance(event, Ended):
                keeper.end(event)
            yield event


def _events(
    run: runs.Run,
    version: Version,
    device: torch.device,
    stop: Stop,
    splits: Splits | VocoderSplits | None,
    world: World,
) -> Iterator[Event]:
    """Train a run of either kind on what it learns from, which is loaded unless it is given."""
    left_out = () if run.record.leaks.kept else run.record.leaks.pairs
    if run.record.kind == runs.VOCODER:
        if not isinstance(splits, VocoderSplits):
            config = run.vocoder_config
            segment = config.train.segment // config.generator.hop
            splits = load_sounds(version, left_out, device, segment, forced.read(run))
        yield from train_vocoder(run, splits, device, stop)
        return
    if not isinstance(splits, Splits):
        splits = load_splits(
            version,
            run.statistics,
            run.speakers,
            left_out,
            device,
            search=run.config.model.align == "search",
            memory=run.config.train.memory,
        )
    yield from (Note(text=text) for text in splits.train.notes)
    if world.size > 1:
        world.give(Work.of(run, splits))
    yield from train(run, splits, device, stop, world)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a process needs to take part in a training; it reads nothing itself."""

    run: runs.Run
    splits: Splits

    @classmethod
    def of(cls, run: runs.Run, splits: Splits) -> Work:
        """Gather it."""
        assert run.config  # read here, and taken along
        train, dev = (replace(each, pairs=()) for each in (splits.train, splits.dev))
        return cls(run=run, splits=Splits(train=train, dev=dev))


def follow(work: Work, device: torch.device, stop: Stop, world: World) -> None:
    """Take part in the training that rank 0 leads, until it ends; nothing is read or written.

    Raises
    ------
    CorpuskitError
        It failed, which rank 0 tells; `LostProcess`, which it may not.
    """
    for _ in train(work.run, work.splits, device, stop, world):
        pass


class _Keeper:
    """Keeps record, curves and samples in step with the checkpoints."""

    def __init__(
        self, run: runs.Run, version: Version, device: torch.device, curves: Curves
    ) -> None:
        self._run = run
        self._version = version
        self._device = device
        self._curves = curves
        self._began = time.perf_counter()
        self._spent = run.record.seconds

    def _seconds(self) -> float:
        return round(self._spent + time.perf_counter() - self._began, 1)

    def catch_up(self) -> Iterator[Note]:
        """Keep what a killed session had saved and not yet written down."""
        saved = last(self._run.checkpoints).epoch
        for row in runs.metrics(self._run.folder):
            if self._run.record.epoch < row["epoch"] <= saved:
                yield from self.epoch(row)

    def epoch(self, row: Mapping[str, Any]) -> Iterator[Note]:
        """Write an epoch into record and curves; make samples where its checkpoint is kept."""
        record, epoch = self._run.record, row["epoch"]
        loss = row["dev"][self._run.cadence.best_by]
        done = {"epoch": epoch, "step": row["step"], "seconds": self._seconds()}
        if record.best_loss is None or loss < record.best_loss:
            done |= {"best_epoch": epoch, "best_loss": loss, "best_losses": dict(row["dev"])}
        self._curves.row(row)
        self._run = runs.update(self._run, **done)
        if epoch % self._run.cadence.save_every == 0 or epoch == record.epochs:
            yield from self._samples(row)

    def _samples(self, row: Mapping[str, Any]) -> Iterator[Note]:
        """Make the first dev pairs heard; a model that cannot yet is no reason to stop."""
        run, epoch = self._run, row["epoch"]
        pairs = _scored(run, self._version)[: run.cadence.samples]
        if not pairs:
            return
        folder = run.folder / "samples" / f"epoch-{epoch:04d}"
        try:
            for sample in self._heard(pairs, str(epoch)):
                samples.write(folder, sample)
                self._curves.sample(sample, row["step"])
        except CorpuskitError as error:
            yield Note(text=f"no samples of epoch {epoch}: {error}")

    def _heard(self, pairs: Sequence[Pair], epoch: str) -> Iterator[samples.Sample]:
        """Convert pairs; a vocoder says their targets again."""
        run, version, device = self._run, self._version, self._device.type
        if run.record.kind == runs.VOCODER:
            settings = version.settings
            vocoder = vocoder_named(
                run.workspace,
                f"{run.tag}@{epoch}",
                settings.features,
                settings.audio.rate,
                device,
            )
            return samples.copies(vocoder, version, pairs, forced.read(run))
        converter = Converter.of(run, run.checkpoint(epoch), device)
        return samples.convert(converter, version, pairs)

    def end(self, event: Ended) -> None:
        """Write down that the session ended, by itself or by a signal."""
        self._run = runs.update(
            self._run,
            status="stopped" if event.stopped else "finished",
            step=event.state.step,
            seconds=self._seconds(),
        )


@contextmanager
def _recorded(run: runs.Run) -> Iterator[None]:
    """Write down how a session ended when it did not end by itself."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        if runs.open_run(run.workspace, run.tag, None).record.status == "running":
            runs.update(run, status="stopped")
        raise
    except torch.OutOfMemoryError as error:
        batch_size = run.cadence.batch_size
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
    """Give curves that go on after the last epoch that was written down."""
    rows = runs.metrics(run.folder)
    steps = [row["step"] for row in rows if row["epoch"] <= run.record.epoch]
    curves = Curves(run.folder / "tensorboard", max(steps, default=0) + 1)
    try:
        yield curves
    finally:
        curves.close()


def _scored(run: runs.Run, version: Version) -> tuple[Pair, ...]:
    """Return the dev pairs that count."""
    leaks = run.record.leaks
    return lineage.without(version.split("dev"), () if leaks.kept else leaks.pairs)

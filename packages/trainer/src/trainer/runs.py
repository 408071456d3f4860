"""The run folder, its record, and the workspace's registry of runs.

    runs/N2C_5/run.json            the record: status, identity and its parts, parent, results
    runs/N2C_5/config.toml         the settings as resolved
    runs/N2C_5/dataset.json        the version's settings, and the statistics that normalise
    runs/N2C_5/usual.json          levels and lengths it was trained on
    runs/N2C_5/trained_on.json     sentences heard by voice, ancestors included
    runs/N2C_5/metrics.jsonl       one row an epoch
    runs/N2C_5/checkpoints/        see checkpoint.py
    runs/N2C_5/samples/            converted dev pairs; a vocoder's copies of their targets
    runs/N2C_5/mels.safetensors    what a model made for a vocoder to learn from, see forced.py
    runs/N2C_5/tensorboard/        the rows again, as curves
    searches/N2C_11/runs/trial_3/  run N2C_11#3, the trial of a search: the same files

A run appears whole, with its initial checkpoint, by one rename; that rename is also what
claims the tag. Everything needed to convert is inside, so a run can be moved. The trials of a
search are runs in a place of their own: opened by name like others, and in no list of runs.
A run trains a conversion model or a vocoder, which its record tells; who opens one says which.
"""

from __future__ import annotations

import dataclasses
import datetime
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.config import (
    DatasetConfig,
    check_name,
    dump_toml,
    family_of,
    from_mapping,
    listed,
    load_toml,
    natural,
    to_mapping,
)
from corpuskit.errors import CorpuskitError, Refused, unknown
from corpuskit.files import publish_folder, read_json, write_file, write_json
from trainer.checkpoint import Checkpoint, by_epoch
from trainer.config import RunConfig
from trainer.errors import BadRun, SameRun
from trainer.history import add_past_remark, past_runs
from trainer.processes import Process, this_process
from trainer.record import (
    CONVERSION,
    SCHEMA,
    VOCODER,
    DatasetPart,
    LeakPart,
    MelPart,
    Parent,
    Record,
    Session,
    StatisticsPart,
    record_of,
)
from trainer.remarks import Remark, add_search_remark
from trainer.vocoders.config import VocoderConfig

if TYPE_CHECKING:
    from corpuskit.statistics import Statistics
    from corpuskit.versions import Version

__all__ = [
    "CONVERSION",
    "SCHEMA",
    "VOCODER",
    "Cadence",
    "DatasetPart",
    "LeakPart",
    "MelPart",
    "Parent",
    "Process",
    "Record",
    "Remark",
    "Run",
    "Session",
    "StatisticsPart",
    "add_listening",
    "add_remark",
    "add_result",
    "check_free",
    "check_tag",
    "claim",
    "find_same",
    "folder_of",
    "held",
    "list_runs",
    "list_searches",
    "metrics",
    "next_tag",
    "open_run",
    "read_all",
    "registry",
    "same_run",
    "take_over",
    "this_process",
    "trim_metrics",
    "update",
    "utc_now",
    "write_description",
]


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """The settings a session needs of a run, whatever its kind."""

    batch_size: int
    best_by: str  # the dev loss that says which epoch is best
    save_every: int  # epochs between kept checkpoints
    samples: int  # made at every kept checkpoint
    patience: int  # epochs without a lower dev loss before training ends; 0 = all epochs
    slower: str  # what helps when it diverges


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run on disk."""

    folder: Path
    record: Record

    @property
    def tag(self) -> str:
        """The run's name."""
        return self.record.tag

    @property
    def parent_tag(self) -> str | None:
        """The run it was fine-tuned from."""
        return self.record.parent.tag if self.record.parent else None

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What was noted about it."""
        return self.record.remarks

    @property
    def speakers(self) -> tuple[str, ...]:
        """Speakers in the order of the model's tables."""
        return self.record.speakers

    @property
    def status(self) -> str:
        """running, finished, stopped or failed; a killed run is shown as stopped.

        Whether another machine's process lives cannot be seen, but whether it holds the folder.
        """
        if self.record.status != "running":
            return self.record.status
        alive = self.process.alive
        return "running" if (_is_held(self.folder) if alive is None else alive) else "stopped"

    @property
    def workspace(self) -> Path:
        """The workspace this run lives in; a trial's is that of its search."""
        return self.folder.parents[3 if "#" in self.tag else 1]

    @property
    def process(self) -> Process:
        """The process that trains it, or trained it last."""
        return self.record.sessions[-1].process

    @cached_property
    def config(self) -> RunConfig:
        """The resolved settings of a conversion model.

        Raises
        ------
        Refused
            The run is of another kind.
        """
        _check_kind(self.record, CONVERSION)
        path = self.folder / "config.toml"
        tables = load_toml(path)
        tables.setdefault("train", {}).setdefault("best_by", self.record.best_by)
        return from_mapping(RunConfig, tables, str(path))

    @cached_property
    def vocoder_config(self) -> VocoderConfig:
        """The resolved settings of a vocoder.

        Raises
        ------
        Refused
            The run is of another kind.
        """
        _check_kind(self.record, VOCODER)
        path = self.folder / "config.toml"
        return from_mapping(VocoderConfig, load_toml(path), str(path))

    @property
    def cadence(self) -> Cadence:
        """What a session needs of the settings."""
        is_vocoder = self.record.kind == VOCODER
        train = self.vocoder_config.train if is_vocoder else self.config.train
        return Cadence(
            batch_size=train.batch_size,
            best_by=train.best_by,
            save_every=train.save_every,
            samples=train.samples,
            patience=train.patience,
            slower="lower optim.lr"
            if is_vocoder
            else "lower optim.max_lr_scale or raise optim.warm_up",
        )

    @cached_property
    def _description(self) -> dict[str, Any]:
        try:
            description: dict[str, Any] = read_json(self.folder / "dataset.json")
            return description
        except (OSError, ValueError) as error:
            raise BadRun(f"run {self.tag}: dataset.json cannot be read ({error})") from None

    @cached_property
    def settings(self) -> DatasetConfig:
        """The settings of the dataset version, as they were."""
        return from_mapping(DatasetConfig, self._description["settings"], f"run {self.tag}")

    @cached_property
    def f0_ranges(self) -> dict[str, tuple[float, float]]:
        """F0 floor and ceiling (Hz) of the speakers whose corpus tells them."""
        ranges = self._description.get("f0_ranges", {})
        return {speaker: (low, high) for speaker, (low, high) in ranges.items()}

    @cached_property
    def statistics(self) -> Statistics:
        """The statistics that normalise what this run's model sees and makes."""
        from corpuskit.statistics import Statistics

        return from_mapping(Statistics, self._description["statistics"], f"run {self.tag}")

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    def checkpoint(self, which: str = "best") -> Checkpoint:
        """Return checkpoint "best", "last" or that of an epoch ("100").

        Raises
        ------
        BadRun
            There is none such.
        Refused
            A trial's, which were let go of.
        """
        if "#" in self.tag and not self.checkpoints.exists():
            raise Refused(
                f"the weights of trial {self.tag} were not kept, as it is not its search's best",
                f"`trainer promote {self.tag}` trains it in full",
            )
        return by_epoch(self.checkpoints, which)


# -------------------------------------------------------------------- reading


def list_runs(workspace: Path) -> list[str]:
    """Return all tags, families together, numbers in order."""
    return listed(workspace / "runs", "run.json")


def list_searches(workspace: Path) -> list[str]:
    """Return the tags of all searches, in order."""
    return listed(workspace / "searches", "search.json")


def check_tag(tag: str) -> None:
    """Refuse what can be no tag of a run or of a trial ("N2C_11#3").

    Raises
    ------
    Refused
        It is none.
    """
    search, mark, number = tag.partition("#")
    check_name(search, "run")
    if mark and not re.fullmatch(r"0|[1-9][0-9]*", number):
        raise Refused(f"{tag!r} is no trial's name", f"e.g. {search}#3")


def folder_of(workspace: Path, tag: str) -> Path:
    """Return where a run or trial of this tag is, or would be."""
    check_tag(tag)
    search, mark, number = tag.partition("#")
    if mark:
        return workspace / "searches" / search / "runs" / f"trial_{number}"
    return workspace / "runs" / tag


def open_run(workspace: Path, tag: str, kind: str | None = CONVERSION) -> Run:
    """Open a run of a kind (None: any), or a trial of a search ("N2C_11#3"), for reading.

    Raises
    ------
    UnknownName
        No such run; the nearest are named.
    Refused
        It is known from a diary only, is a search, or is of another kind.
    BadRun
        Its record is damaged, or of a schema this release does not read.
    """
    folder = folder_of(workspace, tag)
    if not (folder / "run.json").is_file():
        raise _missing(workspace, tag)
    run = _read(folder, tag)
    _check_kind(run.record, kind)
    return run


def _check_kind(record: Record, kind: str | None) -> None:
    if kind == CONVERSION != record.kind:
        raise Refused(
            f"run {record.tag} is a vocoder, no conversion model",
            f"`--vocoder {record.tag}` makes sound through it, "
            f"`trainer vocoder run --pretrain {record.tag}` trains another from it",
        )
    if kind == VOCODER != record.kind:
        raise Refused(
            f"run {record.tag} is a conversion model, no vocoder",
            "`trainer list --only kind=vocoder` names those there are",
        )


def _missing(workspace: Path, tag: str) -> CorpuskitError:
    """Say why there is no run of this tag."""
    search, mark, _ = tag.partition("#")
    searches, past = list_searches(workspace), past_runs(workspace)
    if mark and search not in searches:
        return unknown("search", search, searches)
    if mark:
        return Refused(
            f"trial {tag} was not trained", f"`trainer show {search}` tells what of each became"
        )
    if tag in searches:
        return Refused(f"{tag} is a search, no run", f"name a trial of it, e.g. {tag}#0")
    if tag in past:
        return Refused(
            f"run {tag} is known from diary {past[tag].diary} only, so nothing can be loaded",
            f"`trainer show {tag}` tells what was written",
        )
    return unknown("run", tag, [*list_runs(workspace), *past])


def read_all(workspace: Path) -> tuple[list[Run], list[str]]:
    """Return all runs that can be read, in order, and what is wrong with the others.

    A search's folder serves as a workspace: its trials are returned, as N2C_11#3.
    """
    runs, damaged = [], []
    within = f"{workspace.name}#" if (workspace / "search.json").is_file() else ""
    for name in list_runs(workspace):
        tag = f"{within}{name.removeprefix('trial_')}" if within else name
        try:
            runs.append(_read(workspace / "runs" / name, tag))
        except BadRun as error:
            damaged.append(str(error))
    return runs, damaged


def _read(folder: Path, tag: str) -> Run:
    """Read a record. The folder's name is the run's, also after it was moved under another one."""
    try:
        mapping = read_json(folder / "run.json")
        if mapping["schema"] != SCHEMA:
            raise BadRun(f"run {tag} has schema {mapping['schema']}, this release reads {SCHEMA}")
        return Run(folder=folder, record=record_of({**mapping, "tag": tag}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadRun(
            f"run {tag}: run.json is damaged ({error})",
            f"bring it back from a copy, or move {folder} elsewhere",
        ) from None


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl up to the first line that is no row, as one cut short by a crash."""
    path = folder / "metrics.jsonl"
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            break
        if not _is_row(row):
            break
        rows.append(row)
    return rows


def _is_row(row: Any) -> bool:
    """Tell whether this is what an epoch leaves behind."""
    return (
        isinstance(row, dict)
        and isinstance(row.get("epoch"), int)
        and all(isinstance(row.get(name, {}), dict) for name in ("train", "dev"))
    )


# -------------------------------------------------------------------- writing


def write_description(
    folder: Path,
    config: RunConfig | VocoderConfig,
    version: Version,
    statistics: Statistics,
) -> None:
    """Write config.toml and dataset.json of a run that is being made."""
    write_file(folder / "config.toml", dump_toml(to_mapping(config)).encode())
    description = {
        "settings": to_mapping(version.settings),
        "statistics": to_mapping(statistics),
        "f0_ranges": {
            recording.speaker: list(recording.f0_range)
            for recording in version.recordings
            if recording.f0_range and recording.state == "used"
        },
    }
    write_json(folder / "dataset.json", description)


def update(run: Run, **changes: Any) -> Run:
    """Write changed fields of the record; returns the run as it now is.

    What others wrote meanwhile stays.
    """
    with registry(run.workspace):
        return _write(open_run(run.workspace, run.tag, None), **changes)


def add_result(workspace: Path, tag: str, name: str, result: Mapping[str, Any]) -> Run:
    """Keep a result (of `evaluate`, say) in the record under `name`."""
    with registry(workspace):
        run = open_run(workspace, tag)
        return _write(run, results={**run.record.results, name: dict(result)})


def add_listening(workspace: Path, tag: str, name: str, result: Mapping[str, Any]) -> Run:
    """Keep what a listening test showed in the record under `name`."""
    with registry(workspace):
        run = open_run(workspace, tag)
        return _write(run, listening={**run.record.listening, name: dict(result)})


def add_remark(workspace: Path, tag: str, text: str, verdict: str = "") -> None:
    """Keep what somebody noted about a run or search; a verdict replaces the one before."""
    remark = Remark(text=text, written=utc_now(), verdict=verdict)
    with registry(workspace):
        if tag in past_runs(workspace):
            add_past_remark(workspace, tag, remark)
            return
        if tag in list_searches(workspace):
            add_search_remark(workspace / "searches" / tag, remark)
            return
        run = open_run(workspace, tag, None)
        _write(run, remarks=(*run.record.remarks, remark))


def _write(run: Run, **changes: Any) -> Run:
    record = replace(run.record, **changes)
    write_json(run.folder / "run.json", dataclasses.asdict(record))
    return Run(folder=run.folder, record=record)


def take_over(workspace: Path, tag: str, session: Session, epochs: int) -> Run:
    """Let a new session go on with a run that nobody trains.

    Raises
    ------
    Refused
        It is being trained.
    """
    with registry(workspace):
        run = open_run(workspace, tag, None)
        if run.status == "running":
            raise Refused(
                f"run {tag} is being trained by process {run.process.pid} on {run.process.host}",
                "stop that first (Ctrl-C saves), or wait for it",
            )
        sessions = (*run.record.sessions, session)
        tables = load_toml(run.folder / "config.toml")
        tables["train"] = {**tables.get("train", {}), "epochs": epochs}
        write_file(run.folder / "config.toml", dump_toml(tables).encode())
        return _write(run, status="running", problem="", epochs=epochs, sessions=sessions)


@contextmanager
def held(run: Run) -> Iterator[None]:
    """Hold a run's folder while training it; the lock goes with the process, however it ends.

    Raises
    ------
    Refused
        Another process holds it.
    """
    descriptor = _lock_file(run.folder)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"run {run.tag} is being trained by another process") from None
        yield
    finally:
        os.close(descriptor)


def _lock_file(folder: Path) -> int:
    """Open the file whose lock stands for the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise CorpuskitError(
            f"cannot write {folder}: {error.strerror}", "choose another --workspace"
        ) from None


def _is_held(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def trim_metrics(folder: Path, epochs: int) -> None:
    """Drop rows beyond `epochs`: a resumed run writes them again."""
    rows = metrics(folder)
    kept = [row for row in rows if row["epoch"] <= epochs]
    text = "".join(f"{json.dumps(row, sort_keys=True)}\n" for row in kept)
    if rows or (folder / "metrics.jsonl").exists():
        write_file(folder / "metrics.jsonl", text.encode())


# ------------------------------------------------------------------- registry


@contextmanager
def registry(workspace: Path) -> Iterator[None]:
    """Hold the workspace's runs: nobody else claims a tag or takes over a run meanwhile."""
    descriptor = _lock_file(workspace / "runs")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def next_tag(workspace: Path, family: str) -> str:
    """Return the family's next free number: N2C_6 when N2C_5 is the highest, here or in a diary."""
    taken = (*list_runs(workspace), *list_searches(workspace), *past_runs(workspace))
    numbers = [natural(tag)[1] for tag in taken if family_of(tag) == family]
    return f"{family}_{max([0, *numbers]) + 1}"


def check_free(workspace: Path, tag: str) -> None:
    """Refuse a tag that a run or a search has, here or in a diary.

    Raises
    ------
    Refused
        It is taken.
    """
    here = [folder_of(workspace, tag), workspace / "searches" / tag]
    if any(path.exists() for path in here) or tag in past_runs(workspace):
        free = next_tag(workspace, family_of(tag))
        raise Refused(f"run {tag} exists already", f"the next free tag is {free}")


def find_same(workspace: Path, identity: str) -> Run | None:
    """Return the first run of this identity, if there is one."""
    runs, _ = read_all(workspace)
    return next((run for run in runs if run.record.identity == identity), None)


def claim(workspace: Path, prepared: Path, record: Record, tag: str | None, *, again: bool) -> Run:
    """Give the `prepared` folder its tag; the family's next free number when `tag` is None.

    `record.tag` is ignored but for its family.

    Raises
    ------
    SameRun
        A run of this identity exists, and `again` is not set.
    Refused
        The tag is taken.
    """
    with registry(workspace):
        same = find_same(workspace, record.identity)
        if same is not None and not again:
            raise same_run(same, record.epochs)
        final = tag or next_tag(workspace, family_of(record.tag))
        record = replace(record, tag=final, again_of=same.tag if same else None)
        write_json(prepared / "run.json", dataclasses.asdict(record))
        check_free(workspace, final)
        folder = folder_of(workspace, final)
        publish_folder(prepared, folder)
    return Run(folder=folder, record=record)


def same_run(same: Run, epochs: int) -> SameRun:
    """Build the refusal of a training that exists, with its result and what to do instead."""
    record = same.record
    best = (
        ""
        if record.best_loss is None
        else f", best dev loss {record.best_by} {record.best_loss:.4f} at epoch {record.best_epoch}"
    )
    problem = f"this is run {same.tag} ({same.status} after epoch {record.epoch}{best})"
    if same.status == "failed":
        return SameRun(same.tag, f"{problem}: {record.problem}", "--again trains it once more")
    if same.status == "running":
        return SameRun(same.tag, problem, f"`trainer show {same.tag}` tells how far it is")
    if epochs > record.epoch:
        return SameRun(same.tag, problem, f"`trainer resume {same.tag} --epochs {epochs}` goes on")
    return SameRun(same.tag, problem, "--again trains it once more")


def utc_now() -> str:
    """Return the time as run.json writes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

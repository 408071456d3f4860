"""From the command's options to everything that determines a run, before anything is made.

What is refused is refused here: unknown names, unusable settings, empty splits, a learning
rate beyond its limit, and a training that exists already. `start.start` makes the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.config import check_name, to_mapping
from corpuskit.errors import BadSetting, Refused
from corpuskit.statistics import Statistics
from corpuskit.versions import Version, open_version
from trainer import checkpoint, identity, lineage, notes, runs, schedule
from trainer.config import CADENCE, OptimConfig, RunConfig, determining, find_model, resolve
from trainer.data import Splits, check_fit, load_splits
from trainer.device import pick, pick_compile, pick_precision
from trainer.near import Wanted, parent_told
from trainer.presets import framed, seconds_to_learn, usual
from trainer.vocoder_runs import vocoder_named

if TYPE_CHECKING:
    import torch

__all__ = [
    "Ancestor",
    "Plan",
    "Request",
    "ancestor_of",
    "check_splits",
    "leaks_of",
    "load",
    "parent_of",
    "parent_part",
    "plan",
]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `trainer run` was asked for."""

    workspace: Path
    spk: str  # dataset version
    pretrain: str | None = None  # TAG or TAG@EPOCH
    keep_optim: bool = False
    tag: str | None = None
    like: str | None = None
    model: str | None = None  # path or name of a model TOML
    usual: bool = False  # where nothing names the settings, choose them by the dataset's size
    settings: tuple[str, ...] = ()  # "table.key=value"
    epochs: int | None = None
    precision: str | None = None
    device: str = "auto"
    again: bool = False
    keep_leaks: bool = False
    trial: str | None = None  # the trial of a search that this is, "N2C_11#3"
    origin: str = ""  # the trial it was promoted from, "N2C_11#3"


@dataclass(frozen=True, kw_only=True)
class Ancestor:
    """The checkpoint to fine-tune from."""

    run: runs.Run
    place: checkpoint.Checkpoint
    state: checkpoint.State
    keep_optim: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return self.state.digests["weights.safetensors"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run that can be started."""

    request: Request
    version: Version
    config: RunConfig
    device: torch.device
    precision: str
    ancestor: Ancestor | None
    statistics: Statistics
    statistics_part: runs.StatisticsPart
    leaks: lineage.Leaks
    parts: Mapping[str, Any]  # what the identity is the hash of
    notes: tuple[str, ...]  # what the user should know before

    @property
    def identity(self) -> str:
        """The run's identity."""
        return identity.digest_of(self.parts)


def plan(request: Request, *, check_rate: bool = True) -> Plan:
    """Resolve and check a request; a rate that peaks too high is refused if `check_rate`.

    Raises
    ------
    CorpuskitError
        Anything that cannot be trained; a `SameRun` when it exists already.
    """
    if request.tag is not None:
        check_name(request.tag, "run")
    version = open_version(request.workspace, request.spk)
    ancestor = ancestor_of(request)
    config, chosen = _settings(request, ancestor, version)
    if check_rate:
        _check_rate(config.optim)
    _check_freeze(config.train.freeze, ancestor)
    check_fit(config.model, version)
    vocoder_named(
        request.workspace,
        config.train.vocoder,
        version.settings.features,
        version.settings.audio.rate,
    )
    statistics, part = _statistics(config.train.statistics, version, ancestor)
    leaks = leaks_of(version, ancestor)
    left_out = () if request.keep_leaks else leaks.pairs
    check_splits(version, left_out)
    device = pick(request.device)
    precision = pick_precision(config.train.precision, device)
    parts = {
        "config": _as_computed(determining(config), precision, device),
        "dataset": version.fingerprint,
        "split": identity.split_digest(version.pairs, left_out),
        "parent": parent_part(ancestor),
        "statistics": {
            "choice": part.choice,
            "values": identity.digest_of(to_mapping(statistics)),
        },
        "code": identity.code_digest(),
    }
    made = Plan(
        request=request,
        version=version,
        config=config,
        device=device,
        precision=precision,
        ancestor=ancestor,
        statistics=statistics,
        statistics_part=part,
        leaks=leaks,
        parts=parts,
        notes=(
            *chosen,
            *notes.on_leaks(leaks, version, keep=request.keep_leaks),
            *notes.on_features(version, ancestor.run if ancestor else None),
            *notes.on_phrases(config, version),
            *notes.on_schedule(config, len(version.split("train")), _first_step(ancestor)),
            *_on_near_runs(request, _wanted(version, ancestor, parts)),
        ),
    )
    if not request.again:
        same = runs.find_same(request.workspace, made.identity)
        if same is not None:
            raise runs.same_run(same, config.train.epochs)
    return made


def _on_near_runs(request: Request, wanted: Wanted) -> list[str]:
    """Point out near runs; that trials of a search are near each other is no news."""
    if request.trial is not None:
        return []
    return notes.on_near_runs(request.workspace, wanted)


def _wanted(version: Version, ancestor: Ancestor | None, parts: Mapping[str, Any]) -> Wanted:
    return Wanted(
        parts=parts,
        dataset=version.name,
        settings=version.settings,
        parent=parent_of(ancestor),
    )


def parent_of(ancestor: Ancestor | None) -> str:
    """Name the parent of a training about to begin."""
    if ancestor is None:
        return "none"
    return parent_told(ancestor.run.tag, ancestor.state.epoch, kept=ancestor.keep_optim)


def load(made: Plan) -> Splits:
    """Read the pairs of a plan and make sure that something can be learnt from each.

    Raises
    ------
    BadData
        Nothing can be learnt from some; they are named.
    BadVersion
        A features object is missing or damaged; the recording is named.
    """
    left_out = () if made.request.keep_leaks else made.leaks.pairs
    return load_splits(
        made.version,
        made.statistics,
        made.version.speakers,
        left_out,
        made.device,
        search=made.config.model.align == "search",
        memory=made.config.train.memory,
    )


# -------------------------------------------------------------------- settings


def ancestor_of(request: Request, kind: str = runs.CONVERSION) -> Ancestor | None:
    """Return the checkpoint of `--pretrain`, a run's of this kind; None without one.

    Raises
    ------
    CorpuskitError
        There is no such checkpoint, or the run is of another kind.
    """
    if request.pretrain is None:
        if request.keep_optim:
            raise BadSetting("--keep-optim keeps a parent's optimiser", "name it with --pretrain")
        return None
    tag, _, epoch = request.pretrain.partition("@")
    run = runs.open_run(request.workspace, tag, kind)
    found = run.checkpoint(epoch or "best")
    return Ancestor(run=run, place=found, state=found.state(), keep_optim=request.keep_optim)


def _settings(
    request: Request, ancestor: Ancestor | None, version: Version
) -> tuple[RunConfig, tuple[str, ...]]:
    """Lay the options over the model file, the run to be like, the parent's or the usual ones.

    Returns the settings, and a word on how they were chosen where nobody named any. What a model
    file does not say of its frames is the dataset's.
    """
    if request.model is not None and request.like is not None:
        raise BadSetting("--model and --like both name the settings to start from", "give one")
    start: dict[str, Any] = {}
    where = "the defaults"
    chosen: tuple[str, ...] = ()
    if request.model is not None:
        start, where = find_model(request.model)
    elif request.like is not None:
        start = to_mapping(runs.open_run(request.workspace, request.like).config)
        where = f"run {request.like}"
    elif ancestor is not None:
        start = to_mapping(ancestor.run.config)
        for key in (*CADENCE, "statistics", "freeze"):
            del start["train"][key]
        where = f"run {ancestor.run.tag}"
    elif request.usual:
        start, where = usual(version)
        if start:
            told = f"{seconds_to_learn(version) / 60:.1f} min of speech to learn from"
            chosen = (f"{told}: the settings of model `few` (--model fs2vc: the full model)",)
    start = framed(start, version)
    options = {"train.epochs": request.epochs, "train.precision": request.precision}
    over = [f"{key}={value}" for key, value in options.items() if value is not None]
    settings = [*request.settings, *over]
    return resolve(start, settings, f"{where} + options" if settings else where), chosen


def _as_computed(mapping: dict[str, Any], precision: str, device: torch.device) -> dict[str, Any]:
    """Put what was chosen for the device in the place of "auto"."""
    mapping["train"]["precision"] = precision
    mapping["train"]["compile"] = pick_compile(mapping["train"]["compile"], device)
    del mapping["train"]["statistics"]  # the part of that name holds what was chosen
    return mapping


def _check_rate(optim: OptimConfig) -> None:
    rate, step = schedule.peak(optim.warm_up, optim.cap)
    if rate > optim.lr_limit:
        raise BadSetting(
            f"the learning rate would peak at {rate:.2e} at step {step}, "
            f"above optim.lr_limit {optim.lr_limit:.2e}",
            f"raise optim.warm_up (now {optim.warm_up}) or set optim.max_lr_scale "
            f"(now {optim.max_lr_scale or 'off'}), e.g. --set optim.max_lr_scale=0.016",
        )


def _check_freeze(parts: Sequence[str], ancestor: Ancestor | None) -> None:
    if parts and ancestor is None:
        raise BadSetting(
            "train.freeze keeps parts as the parent's, but there is no parent", "use --pretrain"
        )
    if ancestor is not None and ancestor.keep_optim:
        before = ancestor.run.config.train.freeze
        if set(parts) != set(before):
            raise Refused(
                f"--keep-optim: train.freeze is {', '.join(parts) or 'empty'}, the parent's "
                f"{', '.join(before) or 'empty'}, so its optimiser moved other parameters",
                "use --reset-optim (the default)",
            )


def _statistics(
    setting: str, version: Version, ancestor: Ancestor | None
) -> tuple[Statistics, runs.StatisticsPart]:
    """Choose whose statistics normalise: the parent's when fine-tuning, unless told otherwise."""
    if setting == "parent" and ancestor is None:
        raise BadSetting("train.statistics is 'parent', but there is no parent", "use --pretrain")
    if setting == "own" or ancestor is None:
        return version.statistics, runs.StatisticsPart(choice="own", dataset=version.name)
    origin = ancestor.run.record.statistics.dataset
    bands = len(ancestor.run.statistics.source.mel_mean)
    if bands != version.settings.features.mels:
        raise BadSetting(
            f"the parent's statistics are of {bands} bands, dataset {version.name} has "
            f"{version.settings.features.mels}",
            "--set train.statistics=own",
        )
    return ancestor.run.statistics, runs.StatisticsPart(choice="parent", dataset=origin)


def _first_step(ancestor: Ancestor | None) -> int:
    """Return the steps the schedule already has behind it."""
    return ancestor.state.step if ancestor is not None and ancestor.keep_optim else 0


def parent_part(ancestor: Ancestor | None) -> dict[str, Any] | None:
    """Return what of the parent is part of a run's identity."""
    if ancestor is None:
        return None
    kept = ancestor.state.digests["state.safetensors"] if ancestor.keep_optim else None
    return {"weights": ancestor.digest, "optimiser": kept}


# ---------------------------------------------------------------------- splits


def leaks_of(version: Version, ancestor: Ancestor | None) -> lineage.Leaks:
    """Return which held-out pairs the ancestor was trained on."""
    heard = lineage.read_heard(ancestor.run.folder) if ancestor else {}
    return lineage.find_leaks(heard, (*version.split("dev"), *version.split("eval")))


def check_splits(version: Version, left_out: Sequence[str], whose: str = "the parent was") -> None:
    """Make sure that there is something to train and to score on.

    Raises
    ------
    BadSetting
        The train or dev split is empty.
    Refused
        Nothing of the dev split counts.
    """
    for name in ("train", "dev"):
        if not version.split(name):
            raise BadSetting(
                f"dataset {version.name} has no {name} pairs",
                "build it with other [split] counts, or with more recordings",
            )
    if not lineage.without(version.split("dev"), left_out):
        raise Refused(
            f"{whose} trained on every dev sentence of dataset {version.name}, "
            "so no dev score would mean anything",
            "--keep-leaks scores them all the same",
        )

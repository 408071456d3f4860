"""A vocoder run, from the command's options to its folder with the initial checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from corpuskit.config import check_name, from_mapping, to_mapping, with_settings
from corpuskit.errors import BadSetting, Refused
from corpuskit.files import remove_leftovers, temporary_folder
from corpuskit.versions import Version, open_version
from trainer import checkpoint, forced, identity, lineage, notes, runs
from trainer.config import find_model
from trainer.device import pick, pick_precision
from trainer.near import Wanted
from trainer.plan import Ancestor, Request, ancestor_of, check_splits, parent_of, parent_part
from trainer.start import heard_by, session_here
from trainer.vocoder_data import VocoderSplits, load_sounds
from trainer.vocoder_runs import mels_of
from trainer.vocoders.config import CADENCE, VocoderConfig, determining

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from trainer.vocoder_learner import VocoderLearner

__all__ = ["VocoderPlan", "load_vocoder", "mels_for", "plan_vocoder", "start_vocoder"]


@dataclass(frozen=True, kw_only=True)
class VocoderPlan:
    """A vocoder run that can be started."""

    request: Request
    version: Version
    config: VocoderConfig
    device: torch.device
    precision: str
    ancestor: Ancestor | None
    teacher: forced.Teacher | None  # whose mels it learns from; None: the recordings' own
    leaks: lineage.Leaks
    parts: Mapping[str, Any]  # what the identity is the hash of
    notes: tuple[str, ...]  # what the user should know before

    @property
    def identity(self) -> str:
        """The run's identity."""
        return identity.digest_of(self.parts)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Dev pairs that do not count."""
        return () if self.request.keep_leaks else self.leaks.pairs


def plan_vocoder(request: Request) -> VocoderPlan:
    """Resolve and check a request.

    Raises
    ------
    CorpuskitError
        Anything that cannot be trained; a `SameRun` when it exists already.
    """
    if request.tag is not None:
        check_name(request.tag, "run")
    version = open_version(request.workspace, request.spk)
    ancestor = ancestor_of(request, runs.VOCODER)
    config = _settings(request, ancestor)
    _check_fit(config, version)
    if ancestor is not None:
        _check_ancestor(config, version, ancestor)
    teacher = None
    if config.train.mels:
        teacher = forced.teacher_of(request.workspace, config.train.mels)
        forced.check(teacher, version)
        config = replace(config, train=replace(config.train, mels=teacher.name))
    _check_segment(config, version, targets_only=teacher is not None)
    leaks = _leaks(version, ancestor, teacher)
    left_out = () if request.keep_leaks else leaks.pairs
    check_splits(version, left_out, f"{_knowing(teacher)} was")
    device = pick(request.device)
    precision = pick_precision(config.train.precision, device)
    settings = determining(config)
    settings["train"]["precision"] = precision
    made = VocoderPlan(
        request=request,
        version=version,
        config=config,
        device=device,
        precision=precision,
        ancestor=ancestor,
        teacher=teacher,
        leaks=leaks,
        parts={
            "kind": runs.VOCODER,
            "config": settings,
            "dataset": version.fingerprint,
            "split": identity.split_digest(version.pairs, left_out),
            "parent": parent_part(ancestor),
            "mels": teacher.part if teacher else None,
            "code": identity.code_digest(identity.VOCODER_CODE),
        },
        notes=(),
    )
    made = replace(made, notes=_notes(made))
    if not request.again:
        same = runs.find_same(request.workspace, made.identity)
        if same is not None:
            raise runs.same_run(same, config.train.epochs)
    return made


def _notes(made: VocoderPlan) -> tuple[str, ...]:
    """Say what the user should know before."""
    version, teacher, ancestor = made.version, made.teacher, made.ancestor
    whose = f"{_knowing(teacher)}, or an ancestor,"
    keep = made.request.keep_leaks
    found = notes.on_leaks(made.leaks, version, keep=keep, whose=whose)
    mels = "recorded"
    if teacher is not None:
        found += notes.on_features(version, teacher.run, f"run {teacher.run.tag}")
        mels = f"those of run {teacher.run.tag} at epoch {teacher.place.epoch}"
        count = len(version.split("train")) + len(version.split("dev"))
        found.append(f"the mels of {count:,} pairs are {mels}, made before it begins")
    wanted = Wanted(
        parts=made.parts,
        dataset=version.name,
        settings=version.settings,
        parent=parent_of(ancestor),
        kind=runs.VOCODER,
        mels=mels,
    )
    return (*found, *notes.on_near_runs(made.request.workspace, wanted))


def _knowing(teacher: forced.Teacher | None) -> str:
    """Name who may have been trained on held-out pairs."""
    return "the parent" if teacher is None else "the parent or the model of train.mels"


def mels_for(made: VocoderPlan) -> forced.Mels | None:
    """Make the mels a plan asks a model for; None where they are the recordings' own.

    Raises
    ------
    CorpuskitError
        As `forced.make`.
    """
    if made.teacher is None:
        return None
    dev = lineage.without(made.version.split("dev"), made.left_out)
    pairs = (*made.version.split("train"), *dev)
    return forced.make(made.teacher, made.version, pairs, made.device)


def load_vocoder(made: VocoderPlan, mels: forced.Mels | None = None) -> VocoderSplits:
    """Read the recordings of a plan, to be told by `mels_for` it; the errors of `load_sounds`."""
    segment = made.config.train.segment // made.config.generator.hop
    return load_sounds(made.version, made.left_out, made.device, segment, mels)


def _leaks(
    version: Version, ancestor: Ancestor | None, teacher: forced.Teacher | None
) -> lineage.Leaks:
    """Return which held-out pairs the ancestor, or the model of the mels, was trained on."""
    known = [each.run for each in (ancestor, teacher) if each is not None]
    heard = lineage.union(*(lineage.read_heard(run.folder) for run in known))
    return lineage.find_leaks(heard, (*version.split("dev"), *version.split("eval")))


def _settings(request: Request, ancestor: Ancestor | None) -> VocoderConfig:
    """Lay the options over the settings file, the parent's settings or the defaults."""
    start: dict[str, Any] = {}
    where = "the defaults"
    if request.model is not None:
        start, where = find_model(request.model, "vocoders")
    elif ancestor is not None:
        start = to_mapping(ancestor.run.vocoder_config)
        for key in (*CADENCE, "mels"):
            del start["train"][key]
        where = f"run {ancestor.run.tag}"
    options = {"train.epochs": request.epochs, "train.precision": request.precision}
    over = [f"{key}={value}" for key, value in options.items() if value is not None]
    settings = [*request.settings, *over]
    named = f"{where} + options" if settings else where
    return from_mapping(VocoderConfig, with_settings(start, settings), named)


def _check_fit(config: VocoderConfig, version: Version) -> None:
    """Make sure that a generator of these sizes turns the version's frames into its samples."""
    features = version.settings.features
    if config.generator.num_mels != features.mels:
        raise BadSetting(
            f"generator.num_mels is {config.generator.num_mels}, dataset {version.name} has "
            f"{features.mels} bands",
            f"--set generator.num_mels={features.mels}",
        )
    if config.generator.hop != features.hop_length:
        raise BadSetting(
            f"generator.upsample_rates multiply to {config.generator.hop}, a frame of dataset "
            f"{version.name} is {features.hop_length} samples (features.hop_length)",
            "set rates, and kernel sizes to go with them, whose product it is",
        )
    if config.train.segment < features.n_fft:
        raise BadSetting(
            f"train.segment is {config.train.segment}, shorter than the {features.n_fft} samples "
            "of a frame's spectrum",
            f"--set train.segment={8 * features.n_fft}",
        )
    half = version.settings.audio.rate / 2
    if config.optim.mel_fmax > half:
        raise BadSetting(
            f"optim.mel_fmax is {config.optim.mel_fmax:g} Hz, above half the rate ({half:g} Hz)",
            "use 0 for half the rate",
        )


def _check_segment(config: VocoderConfig, version: Version, *, targets_only: bool) -> None:
    """Make sure that a segment fits into a recording; shorter ones are followed by silence."""
    sides = [pair.target for pair in version.split("train")]
    if not targets_only:
        sides += [pair.source for pair in version.split("train")]
    longest = max((side.frames[1] - side.frames[0] for side in sides), default=0)
    hop, rate = config.generator.hop, version.settings.audio.rate
    if sides and config.train.segment > longest * hop:
        raise BadSetting(
            f"train.segment is {config.train.segment:,} samples "
            f"({config.train.segment / rate:.1f} s), more than the longest train recording of "
            f"dataset {version.name} has ({longest * hop / rate:.1f} s)",
            f"--set train.segment={min(8192 // hop, longest) * hop}",
        )


def _check_ancestor(config: VocoderConfig, version: Version, ancestor: Ancestor) -> None:
    """Make sure that the parent is of the same sizes, and learnt on the same mels."""
    tag, features = ancestor.run.tag, version.settings.features
    mels_of(ancestor.run.settings).check(features, version.settings.audio.rate, f"run {tag}")
    theirs = to_mapping(ancestor.run.vocoder_config)
    for table in ("generator", "discriminators"):
        for key, value in to_mapping(getattr(config, table)).items():
            if theirs[table][key] != value:
                raise Refused(
                    f"{table}.{key} is {value}, that of run {tag} is {theirs[table][key]}: its "
                    "weights do not fit",
                    "leave --model out to train on with the parent's sizes",
                )


# ----------------------------------------------------------------------- start


def start_vocoder(made: VocoderPlan, mels: forced.Mels | None = None) -> runs.Run:
    """Build the initial checkpoint, write the folder, and claim its tag; `mels_for` it go along.

    Raises
    ------
    SameRun
        Another process started the same training meanwhile.
    Refused
        The tag is taken.
    CorpuskitError
        The disk refused.
    """
    import torch

    from trainer.vocoder_learner import VocoderLearner

    config, version, workspace = made.config, made.version, made.request.workspace
    torch.manual_seed(config.train.seed)
    learner = VocoderLearner(config, version.settings, torch.device("cpu"), "fp32")
    parent = _take_over(learner, made.ancestor)
    sizes = learner.fused().parameters()

    folder = workspace / "runs"
    remove_leftovers(folder)
    with temporary_folder(folder) as prepared:
        runs.write_description(prepared, config, version, version.statistics)
        lineage.write_heard(prepared, heard_by(version, made.ancestor))
        state = checkpoint.State(epoch=0)
        checkpoint.save(prepared / "checkpoints", state, learner.weights(), learner.tensors())
        here = session_here(made.device, state, made.parts["code"])
        record = _record(made, sum(each.numel() for each in sizes), here, parent)
        record = replace(record, mels=_keep(prepared, made.teacher, mels))
        return runs.claim(workspace, prepared, record, made.request.tag, again=made.request.again)


def _keep(
    folder: Path, teacher: forced.Teacher | None, mels: forced.Mels | None
) -> runs.MelPart | None:
    """Write the mels into the run's folder: going on must not hang on another run."""
    if teacher is None or mels is None:
        return None
    return runs.MelPart(
        tag=teacher.run.tag,
        epoch=teacher.place.epoch,
        digest=teacher.digest,
        file=forced.write(folder, mels),
    )


def _take_over(learner: VocoderLearner, ancestor: Ancestor | None) -> runs.Parent | None:
    """Load the parent's generator and discriminators; the optimisers start anew."""
    if ancestor is None:
        return None
    state, weights, tensors = checkpoint.load(ancestor.place)
    kept = {k: v for k, v in tensors.items() if not k.startswith(checkpoint.OPTIMISER)}
    learner.load(weights, kept)
    return runs.Parent(
        tag=ancestor.run.tag,
        epoch=state.epoch,
        digest=ancestor.digest,
        optimiser="reset",
        loaded=len(learner.weights()) + len(learner.discriminators.state_dict()),
        left=(),
    )


def _record(
    made: VocoderPlan, parameters: int, here: runs.Session, parent: runs.Parent | None
) -> runs.Record:
    version = made.version
    return runs.Record(
        tag=made.request.tag or version.family,
        status="running",
        created=runs.utc_now(),
        identity=made.identity,
        parts=made.parts,
        dataset=runs.DatasetPart.of(version),
        speakers=version.speakers,
        statistics=runs.StatisticsPart(choice="none", dataset=version.name),
        leaks=runs.LeakPart(
            pairs=made.leaks.pairs,
            other_voice=len(made.leaks.other_voice),
            kept=made.request.keep_leaks,
        ),
        parent=parent,
        precision=made.precision,
        parameters=parameters,
        epochs=made.config.train.epochs,
        sessions=(here,),
        best_by=made.config.train.best_by,
        kind=runs.VOCODER,
    )

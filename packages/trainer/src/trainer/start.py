"""Make a planned run: initial weights, the folder, the tag.

A run appears whole, with the checkpoint it starts from, so that whatever kills it later, it
can be resumed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from corpuskit.files import remove_leftovers, temporary_folder
from trainer import checkpoint, finetune, lineage, runs, usual
from trainer.device import libraries, name_of

if TYPE_CHECKING:
    import torch

    from corpuskit.versions import Version
    from trainer.fitted import Float32
    from trainer.model import FS2VC
    from trainer.plan import Ancestor, Plan

    Tensors = dict[str, torch.Tensor]
    Direction = tuple[int, int]  # rows of source and target in the table of voices
    Mels = tuple[Float32, Float32]  # of a pair, normalised

__all__ = ["heard_by", "session_here", "start"]

FITTED = ("linear.", "kernel.")  # begin the names of what is fitted to the dataset's own pairs


def start(made: Plan, processes: int = 1) -> runs.Run:
    """Build the initial checkpoint, write the folder, and claim its tag.

    Raises
    ------
    SameRun
        Another process started the same training meanwhile.
    Refused
        The tag is taken, or --keep-optim does not fit.
    CorpuskitError
        The disk refused.
    """
    import torch

    from trainer.learner import freeze
    from trainer.model import FS2VC

    config, version, workspace = made.config, made.version, made.request.workspace
    torch.manual_seed(config.train.seed)
    model = FS2VC(config.model, len(version.speakers))
    freeze(model, config.train.freeze)
    _fit(model, made)
    weights, moments, state, parent = _initial(made, model.state_dict())
    parameters = sum(each.numel() for each in model.parameters())

    folder = workspace / "runs"
    remove_leftovers(folder)
    with temporary_folder(folder) as prepared:
        runs.write_description(prepared, config, version, made.statistics)
        lineage.write_heard(prepared, heard_by(version, made.ancestor))
        usual.write(prepared, usual.of_version(version))
        checkpoint.save(prepared / "checkpoints", state, weights, moments)
        here = session_here(made.device, state, made.parts["code"], processes)
        record = _record(made, parameters, here, state.step, parent)
        tag = made.request.trial or made.request.tag
        return runs.claim(workspace, prepared, record, tag, again=made.request.again)


def _fit(model: FS2VC, made: Plan) -> None:
    """Fit to the train pairs what is fitted in closed form, direction by direction."""
    from trainer import kernel, linear

    if model.linear is None and model.kernel is None:
        return
    pairs = _mels(made)
    if model.linear is not None:
        model.linear.set({direction: linear.fit(those) for direction, those in pairs.items()})
    if model.kernel is not None:
        for voice in sorted({source for source, _ in pairs}):
            own = {target: those for (source, target), those in pairs.items() if source == voice}
            found = kernel.fit(own)
            model.kernel.set({(voice, target): each for target, each in found.items()})


def _mels(made: Plan) -> dict[Direction, list[Mels]]:
    """Return the normalised mels of the train pairs by direction."""
    from trainer.data import Normaliser

    version = made.version
    pairs: dict[Direction, list[Mels]] = defaultdict(list)
    normaliser = Normaliser(made.statistics, version.settings.features.energy_gate)
    rows = {name: row for row, name in enumerate(version.speakers)}
    for pair in version.split("train"):
        direction = rows[pair.source.speaker], rows[pair.target.speaker]
        source = normaliser.source(version.features(pair.source)).mel
        target = normaliser.target(version.features(pair.target)).mel
        pairs[direction].append((source, target))
    return pairs


def heard_by(version: Version, ancestor: Ancestor | None) -> lineage.Heard:
    """Return what a run on `version` and its ancestors will have heard."""
    own = lineage.heard_in(version.split("train"))
    if ancestor is None:
        return own
    return lineage.union(own, lineage.read_heard(ancestor.run.folder))


def _record(
    made: Plan, parameters: int, here: runs.Session, step: int, parent: runs.Parent | None
) -> runs.Record:
    version = made.version
    return runs.Record(
        tag=made.request.trial or made.request.tag or version.family,
        status="running",
        created=runs.utc_now(),
        identity=made.identity,
        parts=made.parts,
        dataset=runs.DatasetPart.of(version),
        speakers=version.speakers,
        statistics=made.statistics_part,
        leaks=runs.LeakPart(
            pairs=made.leaks.pairs,
            other_voice=len(made.leaks.other_voice),
            kept=made.request.keep_leaks,
        ),
        parent=parent,
        precision=made.precision,
        parameters=parameters,
        epochs=made.config.train.epochs,
        step=step,
        sessions=(here,),
        origin=made.request.origin,
        best_by=made.config.train.best_by,
    )


def session_here(
    device: torch.device,
    place: checkpoint.Checkpoint | checkpoint.State,
    code: str,
    processes: int = 1,
) -> runs.Session:
    """Describe the stretch of training that this process begins."""
    return runs.Session(
        began=runs.utc_now(),
        process=runs.this_process(),
        device=name_of(device),
        libraries=libraries(),
        code=code,
        epoch=place.epoch,
        batch=place.batch,
        processes=processes,
    )


def _initial(
    made: Plan, fresh: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], checkpoint.State, runs.Parent | None]:
    """Return the weights, optimiser tensors and state to begin with, and the parent's part."""
    ancestor = made.ancestor
    if ancestor is None:
        return dict(fresh), {}, checkpoint.State(epoch=0), None
    state, weights, tensors = checkpoint.load(ancestor.place)
    speakers, theirs = made.version.speakers, ancestor.run.speakers
    fitted = {name: fresh[name] for name in fresh if name.startswith(FITTED)}
    learnt = {name: theirs for name, theirs in weights.items() if not name.startswith(FITTED)}
    network = {name: ours for name, ours in fresh.items() if name not in fitted}
    merged, report = finetune.transfer(network, learnt, speakers, theirs)
    merged |= fitted
    moments: Tensors = {}
    begin = checkpoint.State(epoch=0)
    if ancestor.keep_optim:
        finetune.check_optimiser(report, speakers, theirs)
        moments = {k: v for k, v in tensors.items() if k.startswith(checkpoint.OPTIMISER)}
        begin = checkpoint.State(epoch=0, step=state.step, scaler=state.scaler)
    parent = runs.Parent(
        tag=ancestor.run.tag,
        epoch=state.epoch,
        digest=ancestor.digest,
        optimiser="kept" if ancestor.keep_optim else "reset",
        loaded=len(report.loaded),
        left=report.left(),
    )
    return merged, moments, begin, parent

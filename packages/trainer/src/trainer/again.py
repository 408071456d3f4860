"""Training a run once more: the same (`reproduce`), or its way on another version (`rerun`)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from corpuskit.errors import CorpuskitError, Refused
from corpuskit.versions import open_version
from trainer import checkpoint
from trainer.config import determining, with_defaults
from trainer.device import libraries, name_of, pick
from trainer.identity import code_digest, differences
from trainer.plan import Request
from trainer.runs import Run, open_run

if TYPE_CHECKING:
    import torch

__all__ = ["Reproduction", "as_on", "reproduction", "same_weights"]


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """How a run is trained once more."""

    run: Run
    request: Request
    command: str  # as one would type it
    held: tuple[str, ...]  # what is as it was
    changed: tuple[str, ...]  # what is not, so that numbers may differ


def as_on(run: Run, spk: str, epochs: int | None = None, device: str = "auto") -> Request:
    """Ask for a run's way of training on a version: its settings, its parent, its epochs."""
    parent = run.record.parent
    return Request(
        workspace=run.workspace,
        spk=spk,
        like=run.tag,
        pretrain=f"{parent.tag}@{parent.epoch}" if parent else None,
        keep_optim=parent is not None and parent.optimiser == "kept",
        keep_leaks=run.record.leaks.kept,
        epochs=epochs if epochs is not None else run.record.epochs,
        device=device,
    )


def reproduction(workspace: Path, tag: str, device: str = "auto") -> Reproduction:
    """Find out how to train a run again, and what is no longer as it was.

    Raises
    ------
    Refused
        Its dataset or parent is gone or another one: that would be another training.
    CorpuskitError
        The run does not exist or is damaged.
    """
    run = open_run(workspace, tag)
    record = run.record
    if not record.epoch:
        raise Refused(f"run {tag} has no finished epoch to reproduce", f"`trainer resume {tag}`")
    _check_dataset(run)
    _check_parent(run)
    asked = as_on(run, record.dataset.name, record.epoch, device)
    request = replace(asked, precision=record.precision, again=True)
    held = [f"dataset {record.dataset.name}, fingerprint {record.dataset.fingerprint[:12]}"]
    if record.parent:
        held.append(f"parent run {record.parent.tag} at epoch {record.parent.epoch}, its weights")
    changed = list(_changed(run, pick(device)))
    if not any(each.startswith("code") for each in changed):
        held.append("the code of the model and loop")
    if not any(each.startswith("library") for each in changed):
        held.append("libraries: " + ", ".join(f"{k} {v}" for k, v in libraries().items()))
    return Reproduction(
        run=run,
        request=request,
        command=command_of(request),
        held=tuple(held),
        changed=tuple(changed),
    )


def command_of(request: Request) -> str:
    """Return the command line of a request."""
    words = ["trainer", "run", "--spk", request.spk]
    options = {
        "--pretrain": request.pretrain,
        "--like": request.like,
        "--model": request.model,
        "--tag": request.tag,
        "--epochs": request.epochs,
        "--precision": request.precision,
    }
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    for setting in request.settings:
        words += ["--set", setting]
    flags = {
        "--keep-optim": request.keep_optim,
        "--keep-leaks": request.keep_leaks,
        "--again": request.again,
    }
    return shlex.join([*words, *(flag for flag, wanted in flags.items() if wanted)])


def same_weights(one: Run, other: Run, epoch: int) -> bool | None:
    """Tell whether two runs have the same weights at an epoch; None where one keeps none."""
    digests = []
    for run in (one, other):
        kept = {each.epoch: each for each in checkpoint.listed(run.checkpoints) if not each.batch}
        if epoch not in kept:
            return None
        digests.append(kept[epoch].state().digests["weights.safetensors"])
    return digests[0] == digests[1]


def _check_dataset(run: Run) -> None:
    name, fingerprint = run.record.dataset.name, run.record.dataset.fingerprint
    try:
        now = open_version(run.workspace, name).fingerprint
    except CorpuskitError as error:
        raise Refused(
            f"run {run.tag} was trained on dataset {name}, which cannot be opened: {error.problem}",
            f"build it again (`corpuskit build {name}`, with --locked where a lock was kept)",
        ) from None
    if now != fingerprint:
        raise Refused(
            f"dataset {name} is not the one run {run.tag} was trained on (fingerprint {now[:12]}, "
            f"was {fingerprint[:12]})",
            f"`trainer rerun {run.tag} --spk {name}` trains its settings on what is there now",
        )


def _check_parent(run: Run) -> None:
    parent = run.record.parent
    if parent is None:
        return
    found = open_run(run.workspace, parent.tag).checkpoint(str(parent.epoch))
    if found.state().digests["weights.safetensors"] != parent.digest:
        raise Refused(
            f"run {parent.tag} at epoch {parent.epoch} has other weights than those run {run.tag} "
            "was fine-tuned from",
            f"`trainer run --spk {run.record.dataset.name} --like {run.tag} "
            f"--pretrain {parent.tag}@{parent.epoch}` trains from what is there now",
        )


def _changed(run: Run, device: torch.device) -> Iterator[str]:
    """Say what is not as it was, though the training can be done."""
    record = run.record
    first = record.sessions[0]
    if record.parts["code"] != code_digest():
        yield "code: that of the model and loop is another one than this run's"
    for name, (was, now) in differences(first.libraries, libraries()).items():
        yield f"library {name}: {was} -> {now}"
    if first.device != name_of(device):
        yield f"device: {first.device} -> {name_of(device)}"
    if first.processes != 1:
        yield f"processes: {first.processes} -> 1"
    was_set, is_set = with_defaults(record.parts["config"]), determining(run.config)
    for table in ("model", "optim"):  # [train] has what was chosen in the place of "auto"
        for key, (was, now) in differences(was_set[table], is_set[table]).items():
            yield f"config.toml was edited: {table}.{key} {was} -> {now}"

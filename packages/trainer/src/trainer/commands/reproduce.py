"""`trainer reproduce`: the same training once more, and whether the same came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from corpuskit.console import QuietOption, WorkspaceOption, is_quiet, say, warn, workspace_of
from trainer.commands.options import DeviceOption, TagArgument
from trainer.commands.training import joined_world, run_request

if TYPE_CHECKING:
    from trainer.again import Reproduction

__all__ = ["reproduce"]


def reproduce(
    tag: TagArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell the command and what is not as it was")
    ] = False,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train a run once more from what it was made of; tell what is not as it was, and compare."""
    from trainer.again import reproduction

    with joined_world(device) as world:
        if not world.leads:
            return
        found = reproduction(workspace_of(workspace), tag, device)
        _tell(found, quiet=quiet)
        if not dry_run:
            run = run_request(found.request, world, quiet=quiet)
            say(_outcome(found, run.tag))


def _tell(found: Reproduction, *, quiet: bool) -> None:
    if not is_quiet(quiet):
        for each in found.held:
            say(f"as it was: {each}")
    for each in found.changed:
        warn(f"not as it was: {each}", quiet=quiet)
    say(found.command)


def _outcome(found: Reproduction, tag: str) -> str:
    """Say whether the second training came out as the first."""
    from trainer.again import same_weights
    from trainer.runs import metrics, open_run

    before, after = found.run, open_run(found.run.workspace, tag)
    epoch = min(before.record.epoch, after.record.epoch)
    same = same_weights(before, after, epoch)
    if same:
        return f"Reproduced run {before.tag} as {tag}: the weights are the same, bit for bit."
    losses = [
        next((row["dev"]["total"] for row in metrics(run.folder) if row["epoch"] == epoch), None)
        for run in (before, after)
    ]
    told = " and ".join("unknown" if loss is None else f"{loss:.6f}" for loss in losses)
    weights = "the weights differ" if same is False else "no weights are kept to compare"
    return (
        f"Trained run {before.tag} again as {tag}: {weights}; dev loss after epoch {epoch} {told}."
    )

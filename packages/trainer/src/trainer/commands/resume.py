"""`trainer resume`: go on with a run where it stopped."""

from __future__ import annotations

from corpuskit.console import QuietOption, WorkspaceOption, workspace_of
from trainer.commands.options import AllEpochsOption, DeviceOption, TagArgument
from trainer.commands.training import resume_run

__all__ = ["resume"]


def resume(
    tag: TagArgument,
    epochs: AllEpochsOption = None,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Go on with a run exactly where it stopped, or up to more epochs."""
    resume_run(workspace_of(workspace), tag, epochs, device, quiet=quiet)

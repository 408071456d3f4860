"""`trainer note`: what somebody found of a run, kept with it."""

from __future__ import annotations

from typing import Annotated

import typer

from corpuskit.console import WorkspaceOption, say, workspace_of
from corpuskit.errors import BadSetting
from trainer.commands.options import TagArgument

__all__ = ["note"]


def note(
    tag: TagArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was found, e.g. by listening")],
    bad: Annotated[
        bool, typer.Option("--bad", help="The run is no good, nor is any fine-tuned from it")
    ] = False,
    good: Annotated[bool, typer.Option("--good", help="The run is good")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Note something about a run; with --bad or --good, a verdict that `list` shows."""
    from trainer.catalogue import read_catalogue
    from trainer.runs import add_remark
    from trainer.wording.runs import counted

    if bad and good:
        raise BadSetting("--bad and --good contradict each other", "give one of them")
    if not text.strip():
        raise BadSetting("the note is empty", "say what was found")
    where = workspace_of(workspace)
    verdict = "bad" if bad else "good" if good else ""
    add_remark(where, tag, text.strip(), verdict)
    below = ""
    if bad:
        found = read_catalogue(where).judged
        marked = [name for name, each in found.items() if each.inherited_from == tag]
        if marked:
            below = f", and with it {counted(len(marked), 'descendant')}: {', '.join(marked)}"
    say(f"Noted run {tag}{f' as {verdict}' if verdict else ''}{below}.")

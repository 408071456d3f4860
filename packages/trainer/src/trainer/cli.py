"""The command line: which commands there are. Each is a file of `commands`.

Heavy imports happen inside the commands, so that `--help` answers at once. Results go to
stdout; progress and warnings go to stderr. Exit 0: done, also when Ctrl-C or SIGTERM stopped a
training and all was saved; 2: wrong usage or unusable input; 130: a second Ctrl-C.
"""

from __future__ import annotations

from typing import Annotated

import typer

from corpuskit.console import (
    QuietOption,
    WorkspaceOption,
    new_app,
    remember,
    run_app,
    show_version,
)
from trainer import __version__
from trainer.commands.convert import convert
from trainer.commands.diff import diff
from trainer.commands.evaluate import evaluate
from trainer.commands.export import export
from trainer.commands.list_ import list_
from trainer.commands.listen import listen
from trainer.commands.lr import lr
from trainer.commands.memo import memo
from trainer.commands.note import note
from trainer.commands.promote import promote
from trainer.commands.report import report
from trainer.commands.reproduce import reproduce
from trainer.commands.rerun import rerun
from trainer.commands.resume import resume
from trainer.commands.run import run
from trainer.commands.search import search
from trainer.commands.show import show
from trainer.commands.vocoder import vocoder

__all__ = ["app", "main"]

app = new_app(
    "Train, fine-tune and apply voice-conversion models on corpuskit dataset versions, "
    "and keep the lineage of runs."
)


def _version(wanted: bool) -> None:
    show_version("trainer", __version__, wanted=wanted)


@app.callback()
def _given(
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    remember(workspace, quiet=quiet)


app.command()(run)
app.command()(resume)
app.command()(rerun)
app.command()(reproduce)
app.command()(search)
app.command()(promote)
app.command("list")(list_)
app.command()(show)
app.command()(note)
app.command()(memo)
app.command()(diff)
app.command()(lr)
app.command()(report)
app.command()(evaluate)
app.command()(listen)
app.command()(convert)
app.command()(export)
app.add_typer(vocoder, name="vocoder")


def main() -> None:
    """Run the command line."""
    run_app(app, "stopped at once; the last checkpoint is whole, `trainer resume` goes on from it")


if __name__ == "__main__":
    main()

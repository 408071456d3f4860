"""The command line: which commands there are. Each lives in a file of `commands`.

Heavy imports happen inside the commands, so that `--help` answers at once. Results go to
stdout; progress and warnings go to stderr. Exit 0: done; 1: a check failed; 2: wrong
usage or unusable input.
"""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from corpuskit import __version__
from corpuskit.commands.build import build
from corpuskit.commands.check import check
from corpuskit.commands.demo import demo
from corpuskit.commands.diff import diff
from corpuskit.commands.export import export
from corpuskit.commands.gc import gc
from corpuskit.commands.init import init
from corpuskit.commands.list_ import list_
from corpuskit.commands.lock import lock
from corpuskit.commands.preview import preview
from corpuskit.commands.runs import runs
from corpuskit.commands.scan import scan
from corpuskit.commands.show import show
from corpuskit.commands.verify import verify
from corpuskit.console import (
    QuietOption,
    WorkspaceOption,
    new_app,
    remember,
    run_app,
    show_version,
)

__all__ = ["app", "main"]

app = new_app(
    "Turn parallel corpora into reproducible, named dataset versions, "
    "and show exactly how two differ."
)


def _version(wanted: bool) -> None:
    show_version("corpuskit", __version__, wanted=wanted)


@app.callback()
def _given(
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    remember(workspace, quiet=quiet)


app.command()(scan)
app.command()(init)
app.command()(build)
app.command()(preview)
app.command()(diff)
app.command()(check)
app.command("list")(list_)
app.command()(show)
app.command()(verify)
app.command()(lock)
app.command()(runs)
app.command()(export)
app.command()(gc)
app.command()(demo)


def main() -> None:
    """Run the command line."""
    if threading.current_thread() is threading.main_thread():
        # As Ctrl-C: killed at once, it would leave its worker processes waiting for minutes.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    run_app(app, "stopped: nothing half-written is left; run it again to go on")


if __name__ == "__main__":
    main()

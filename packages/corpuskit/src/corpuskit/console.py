"""What the command lines of both packages share: options, printing, errors into exit codes.

Results go to stdout; progress and warnings go to stderr. Nothing heavy is imported here, so
that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from corpuskit.errors import CheckFailed, CorpuskitError

__all__ = [
    "JsonOption",
    "QuietOption",
    "WorkspaceOption",
    "is_quiet",
    "new_app",
    "print_json",
    "print_lines",
    "progress_hidden",
    "remember",
    "run_app",
    "say",
    "show_version",
    "warn",
    "workspace_of",
]

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        help="Folder that holds objects, versions and runs "
        "[default: $CORPUSKIT_WORKSPACE, else ./workspace]",
        show_default=False,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print results and errors only")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout")]


class _Given:
    """What was given before the command's name."""

    workspace: Path | None = None
    quiet: bool = False


def new_app(summary: str) -> typer.Typer:
    """Return an empty command line in the house's form."""
    return typer.Typer(
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def remember(workspace: Path | None, *, quiet: bool) -> None:
    """Keep the options given before the command's name."""
    _Given.workspace, _Given.quiet = workspace, quiet


def show_version(program: str, version: str, *, wanted: bool) -> None:
    """Print the version and end, if that was asked for."""
    if wanted:
        say(f"{program} {version}")
        raise typer.Exit


def workspace_of(option: Path | None) -> Path:
    """Return the workspace: the command's option, the global one, or the default."""
    from corpuskit.config import workspace_path

    return workspace_path(option or _Given.workspace)


def is_quiet(quiet: bool) -> bool:
    """Tell whether --quiet was given, after or before the command's name."""
    return quiet or _Given.quiet


def progress_hidden(quiet: bool) -> bool:
    """Tell whether progress stays unseen: --quiet, or stderr is no terminal."""
    return is_quiet(quiet) or not sys.stderr.isatty()


def say(text: str) -> None:
    """Print one result line at once, also into a pipe."""
    typer.echo(text)


def warn(text: str, *, quiet: bool = False, label: str = "warning: ") -> None:
    """Print one line to stderr unless --quiet was given."""
    if not is_quiet(quiet):
        typer.echo(f"{label}{text}", err=True)


def print_lines(lines: Iterable[str]) -> None:
    """Print result lines."""
    for line in lines:
        say(line)


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    say(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True))


def run_app(app: typer.Typer, interrupted: str) -> None:
    """Run a command line; turn what is wrong into one message and an exit code.

    1: a check failed; 2: wrong usage or unusable input; 130: Ctrl-C, answered with
    `interrupted`; 141: the reader of the output went away.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names a narrow terminal cannot show
    try:
        app()
    except KeyboardInterrupt:  # before typer was ready to answer it
        typer.echo(interrupted, err=True)
        sys.exit(130)
    except CorpuskitError as error:
        failed = isinstance(error, CheckFailed)
        typer.echo(f"{'failed' if failed else 'error'}: {error}", err=True)
        sys.exit(1 if failed else 2)
    except SystemExit as end:  # typer ends with these two without a word
        if end.code == 130:
            typer.echo(interrupted, err=True)
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(141)
        raise
    except OSError as error:  # of the system, not of what was asked: a full disk below stdout, ...
        told = error.strerror or str(error)
        where = f": {error.filename}" if error.filename else ""
        typer.echo(f"error: {told}{where}", err=True)
        _drop_output()
        sys.exit(2)


def _drop_output() -> None:
    """Let go of what stdout could not take, or Python complains again when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

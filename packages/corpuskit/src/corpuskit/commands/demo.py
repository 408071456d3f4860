"""`corpuskit demo`: speak a small corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corpuskit.commands.options import JobsOption, progress_bars
from corpuskit.console import QuietOption, say

__all__ = ["demo"]


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write it into")],
    sentences: Annotated[int, typer.Option(help="Sentences of the pair N and C, at most 60")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of pauses and noise")] = 0,
    jobs: JobsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Speak a small corpus to try everything on: a pair of voices, and four more to pretrain on."""
    from corpuskit.demo import Begun, Finished, make_demo

    with progress_bars(quiet=quiet) as show:
        done = total = 0
        for event in make_demo(folder, count=sentences, seed=seed, jobs=jobs):
            if isinstance(event, Finished):
                say(str(event))
            elif isinstance(event, Begun):
                done, total = event.kept, event.recordings
            else:
                done += 1
                show("speaking", done, total)

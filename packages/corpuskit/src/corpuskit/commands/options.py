"""Options and progress bars that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from corpuskit.console import progress_hidden

__all__ = ["JobsOption", "NameArgument", "progress_bars"]

JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Processes [default: all cores]")
]
NameArgument = Annotated[str, typer.Argument(help="Name of a dataset version, e.g. N2C_4")]


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that shows progress on stderr when that is a terminal."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}
    hidden = progress_hidden(quiet)

    def show(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            for bar in bars.values():
                bar.close()
            bars[stage] = tqdm(total=total, desc=stage, disable=hidden, leave=False)
        bars[stage].update(done - bars[stage].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()

"""`trainer report`: everything about runs, as a page to read and to hear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corpuskit.console import (
    QuietOption,
    WorkspaceOption,
    print_lines,
    say,
    warn,
    workspace_of,
)
from trainer.commands.options import DeviceOption, VocoderOption

__all__ = ["report"]


def report(
    tags: Annotated[list[str], typer.Argument(metavar="TAG...", help="Runs, e.g. N2C_28")],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as a page")] = None,
    utterances: Annotated[
        int, typer.Option(min=0, help="How many held-out utterances are on the page")
    ] = 3,
    seed: Annotated[int, typer.Option(help="Which ones they are")] = 0,
    checkpoint: Annotated[
        str, typer.Option(metavar="EPOCH", help="What is heard: best, last or an epoch")
    ] = "best",
    vocoder: VocoderOption = None,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    quiet: QuietOption = False,
) -> None:
    """Report on runs: curves, figures, utterances to hear, descent, how to make them again."""
    from corpuskit.tables import counted, size
    from trainer.report import report as gathered
    from trainer.wording.report import reported

    found = gathered(workspace_of(workspace), list(dict.fromkeys(tags)))
    if html is None:
        print_lines(reported(found))
        return
    from trainer.examples import Example, examples
    from trainer.pages.report_page import write_report

    runs = [(subject.run, checkpoint) for subject in found.subjects]
    shown, problems = [], []
    for each in examples(runs, utterances, seed, device, vocoder):
        if isinstance(each, Example):
            shown.append(each)
        else:
            problems.append(each)
            warn(each, quiet=quiet)
    write_report(html, found, shown, problems)
    heard = counted(len(shown), "utterance")
    say(f"Wrote {html}: {', '.join(tags)}, {heard}, {size(html.stat().st_size)}.")

"""`trainer memo`: the diary of datasets and runs, written from the record; old ones brought in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corpuskit.console import WorkspaceOption, print_lines, say, warn, workspace_of

if TYPE_CHECKING:
    from trainer.wording.memo import MadeVersion

__all__ = ["memo"]


def memo(
    take: Annotated[
        Path | None,
        typer.Option(
            "--import", metavar="FILE", help="Bring in a diary: its runs become known here"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write into a file [default: stdout]"),
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write the diary of all datasets and runs, as Markdown; or bring in one kept by hand."""
    where = workspace_of(workspace)
    if take is not None:
        _take_in(where, take)
    else:
        _write(where, out)


def _take_in(where: Path, path: Path) -> None:
    from trainer.memo import take_in
    from trainer.wording.runs import counted

    taken = take_in(where, path)
    for orphan in taken.orphans:
        warn(f"nothing tells of the parent of run {orphan}")
    new = f"{counted(len(taken.new), 'run')} new" if taken.new else "nothing new"
    say(
        f"Brought in diary {taken.name}: {counted(taken.datasets, 'dataset')}, "
        f"{counted(taken.runs, 'run')} ({new}); the next tag is {taken.next}."
    )


def _write(where: Path, out: Path | None) -> None:
    from corpuskit.files import write_file
    from trainer.catalogue import read_catalogue
    from trainer.history import diaries
    from trainer.wording.memo import memo as written
    from trainer.wording.runs import counted

    known = read_catalogue(where)
    for problem in known.damaged:
        warn(problem)
    told = list(diaries(where).values())
    names = {dataset.name for diary in told for dataset in diary.datasets}
    versions = _versions(where, names)
    remarks = {past.tag: past.remarks for past in known.past}
    lines = list(written(told, versions, known.runs, known.searches, remarks))
    if out is None:
        print_lines(lines)
        return
    write_file(out, "".join(f"{line}\n" for line in lines).encode())
    runs = len(known.past) + len(known.runs) + len(known.searches)
    say(f"Wrote {out}: {counted(len(names) + len(versions), 'dataset')}, {counted(runs, 'run')}.")


def _versions(where: Path, told: set[str]) -> list[MadeVersion]:
    """Return the versions that no diary tells of, each with the one of its family before it."""
    from corpuskit.config import DatasetConfig, family_of, from_mapping
    from corpuskit.errors import CorpuskitError
    from corpuskit.versions import describe, list_versions

    last: dict[str, DatasetConfig] = {}
    found: list[MadeVersion] = []
    for name in list_versions(where):
        try:
            settings = from_mapping(DatasetConfig, describe(where, name)["settings"], name)
        except CorpuskitError as error:
            warn(str(error))
            continue
        if name not in told:
            found.append((name, settings, last.get(family_of(name))))
        last[family_of(name)] = settings
    return found

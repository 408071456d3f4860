"""What somebody noted about a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from corpuskit.files import read_json, write_json
from trainer.errors import BadRun

__all__ = ["Remark", "add_search_remark", "remarks_of_search"]

FILE = "remarks.json"  # in a search's folder


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One note."""

    text: str
    written: str  # UTC
    verdict: str = ""  # "good", "bad", or "" where none is given


def remarks_of_search(folder: Path) -> tuple[Remark, ...]:
    """Return what was noted about the search in a folder.

    Raises
    ------
    BadRun
        The file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return ()
    try:
        return tuple(Remark(**each) for each in read_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise BadRun(
            f"search {folder.name}: {FILE} is damaged ({error})", "mend it, or remove it"
        ) from None


def add_search_remark(folder: Path, remark: Remark) -> None:
    """Note something about the search in a folder."""
    remarks = (*remarks_of_search(folder), remark)
    write_json(folder / FILE, [dataclasses.asdict(each) for each in remarks])

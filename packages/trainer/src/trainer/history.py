"""Runs that a workspace knows from diaries only: they name, they descend, nothing of them loads.

    workspace/diary/train_memo.md    a diary, word for word
    workspace/diary/remarks.json     what was noted about its runs since, by tag

The diary is the record: it is read anew each time, and never changed here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from corpuskit.files import read_json, write_file, write_json
from trainer.errors import BadRun
from trainer.remarks import Remark

if TYPE_CHECKING:
    from trainer.diary import Diary, PastDataset, PastRun

__all__ = ["Past", "add_past_remark", "diaries", "keep", "past_datasets", "past_runs"]


@dataclass(frozen=True, kw_only=True)
class Past:
    """A run of a diary."""

    run: PastRun
    diary: str  # the file's name
    remarks: tuple[Remark, ...]  # verdicts of the diary, without a time; and what was written since

    @property
    def tag(self) -> str:
        """The run's name."""
        return self.run.tag

    @property
    def parent_tag(self) -> str | None:
        """The run it was fine-tuned from."""
        return self.run.parent


def _folder(workspace: Path) -> Path:
    return workspace / "diary"


def diaries(workspace: Path) -> dict[str, Diary]:
    """Return the workspace's diaries by file name.

    Raises
    ------
    BadRun
        One was damaged since it was brought in.
    """
    paths = [path for path in _folder(workspace).glob("*.md") if not path.name.startswith(".")]
    if not paths:
        return {}
    from trainer.diary import read_diary

    found = {}
    for path in sorted(paths):
        try:
            found[path.name] = read_diary(path.read_text(encoding="utf-8"), path.name)
        except (OSError, ValueError) as error:
            raise BadRun(f"diary {path.name} cannot be read ({error})") from None
    return found


def past_runs(workspace: Path) -> dict[str, Past]:
    """Return the runs of all diaries by tag, as they stand there."""
    found = diaries(workspace)
    if not found:
        return {}
    remarks = _remarks(workspace)
    return {
        run.tag: Past(
            run=run, diary=name, remarks=(*_verdicts_in(run.notes), *remarks.get(run.tag, ()))
        )
        for name, diary in found.items()
        for run in diary.runs
    }


def _verdicts_in(notes: Sequence[str]) -> Iterator[Remark]:
    """Give the verdicts that `trainer memo` wrote: "pitch was all zero (bad)"."""
    for note in notes:
        if found := re.fullmatch(r"(.+) \((bad|good)\)", note):
            yield Remark(text=found[1], written="", verdict=found[2])


def past_datasets(workspace: Path) -> dict[str, PastDataset]:
    """Return the dataset versions that diaries name."""
    found = diaries(workspace).values()
    return {dataset.name: dataset for diary in found for dataset in diary.datasets}


def keep(workspace: Path, name: str, text: str) -> None:
    """Put a diary into the workspace, in one step."""
    write_file(_folder(workspace) / name, text.encode())


def add_past_remark(workspace: Path, tag: str, remark: Remark) -> None:
    """Note something about a diary's run; the diary itself stays as it is."""
    remarks: dict[str, tuple[Remark, ...]] = dict(_remarks(workspace))
    remarks[tag] = (*remarks.get(tag, ()), remark)
    told = {key: [dataclasses.asdict(each) for each in those] for key, those in remarks.items()}
    write_json(_folder(workspace) / "remarks.json", told)


def _remarks(workspace: Path) -> Mapping[str, tuple[Remark, ...]]:
    path = _folder(workspace) / "remarks.json"
    if not path.is_file():
        return {}
    try:
        return {
            tag: tuple(Remark(**each) for each in those) for tag, those in read_json(path).items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadRun(f"diary/remarks.json is damaged ({error})") from None

"""Bringing a diary into a workspace: its runs get a place among the recorded ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from corpuskit.errors import BadSetting, Refused, unknown
from trainer.diary import Diary, read_diary
from trainer.history import diaries, keep
from trainer.runs import list_runs, next_tag, registry

__all__ = ["TakenIn", "take_in"]


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """What a diary brought."""

    name: str  # of its file in the workspace
    datasets: int
    runs: int
    new: tuple[str, ...]  # tags that were not known before
    next: str  # the tag the next run of the last one's family gets
    orphans: tuple[str, ...]  # "N2C_2 (from N2C_x)": parents that nothing tells of


def take_in(workspace: Path, path: Path) -> TakenIn:
    """Bring a diary in; a longer one of the same name replaces what was brought before.

    Raises
    ------
    UnknownName
        There is no such file.
    BadSetting
        It is no text, or not in the form of a diary.
    Refused
        A tag of it is recorded here or told by another diary, or one it once told is gone.
    """
    text = _text(path)
    diary = read_diary(text, path.name)
    name = f"{path.stem.lstrip('.') or 'diary'}.md"
    with registry(workspace):
        known = diaries(workspace)
        before = known.pop(name, None)
        _check(workspace, path.name, diary, before, known)
        keep(workspace, name, text)
    told = {run.tag for each in (*known.values(), diary) for run in each.runs}
    everywhere = {*told, *list_runs(workspace)}
    old = {run.tag for run in before.runs} if before else set()
    return TakenIn(
        name=name,
        datasets=len(diary.datasets),
        runs=len(diary.runs),
        new=tuple(run.tag for run in diary.runs if run.tag not in old),
        next=next_tag(workspace, _family(diary.runs[-1].tag)),
        orphans=tuple(
            f"{run.tag} (from {run.parent})"
            for run in diary.runs
            if run.parent is not None and run.parent not in everywhere
        ),
    )


def _family(tag: str) -> str:
    from corpuskit.config import family_of

    return family_of(tag)


def _text(path: Path) -> str:
    """Read a text in UTF-8, or as Windows writes Japanese."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        raise unknown("file", str(path), [str(each) for each in beside]) from None
    except OSError as error:
        raise BadSetting(f"{path} cannot be read ({error.strerror})") from None
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadSetting(f"{path} is neither UTF-8 nor Shift JIS", "save it as UTF-8")


def _check(
    workspace: Path, name: str, diary: Diary, before: Diary | None, others: dict[str, Diary]
) -> None:
    """Hold the diary against what is known."""
    tags = [run.tag for run in diary.runs]
    recorded = set(list_runs(workspace))
    if both := [tag for tag in tags if tag in recorded]:
        raise Refused(
            f"{name} tells of {_few(both)}, but this workspace has recorded runs of that name",
            "rename them in the diary, or take another --workspace",
        )
    for other, theirs in others.items():
        if both := sorted({run.tag for run in theirs.runs} & set(tags)):
            raise Refused(
                f"{name} tells of {_few(both)}, and so does diary {other}",
                "keep each run in one diary",
            )
    if before and (gone := [run.tag for run in before.runs if run.tag not in tags]):
        raise Refused(
            f"{name} no longer tells of {_few(gone)}, which was brought in from it",
            "a diary may grow; rename the file to bring in another one",
        )


def _few(tags: list[str]) -> str:
    more = f" and {len(tags) - 5} more" if len(tags) > 5 else ""
    return ", ".join(tags[:5]) + more

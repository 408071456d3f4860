"""A training diary kept by hand, read: datasets and runs as nested Markdown lists.

    - spk                                   datasets
        - N2C_4
            - silence_thresh_t: -100        a setting, or a note
    - tag                                   runs
        - N2C_28
            - spk: N2C_4
            - pretrain: N2C_23(100epoch)    the parent
            - 実行時間: 32min/50epoch        the run time
            - batch_size:32, group_size:16. warm_up_rate: 1000

Whatever is no setting is a note. Every line stays with the entry it stands under, word for word,
so that nothing of a diary is lost; a point among the entries that names none belongs to the entry
before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from corpuskit.config import check_name
from corpuskit.errors import BadSetting, Refused

__all__ = ["Diary", "PastDataset", "PastRun", "read_diary"]

TAB = 8  # columns, as editors and terminals show it


@dataclass(frozen=True, kw_only=True)
class PastDataset:
    """A dataset version a diary names."""

    name: str
    settings: tuple[tuple[str, str], ...]  # as they are written there
    notes: tuple[str, ...]
    lines: tuple[str, ...]  # as in the diary, its name's first


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """A run a diary names; None is what it does not tell."""

    tag: str
    dataset: str | None
    parent: str | None
    parent_epoch: int | None
    batch_size: int | None
    group_size: int | None
    warm_up: int | None  # optimiser steps
    max_lr_scale: float | None
    optimiser_kept: bool | None
    run_time: str  # as it is written there
    notes: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def timed(self) -> tuple[float | None, int | None]:
        """Minutes and epochs of a run time such as 26min/22epoch."""
        minutes = re.search(r"(\d+(?:\.\d+)?)\s*min", self.run_time)
        epochs = re.search(r"(\d+)\s*epoch", self.run_time)
        return (float(minutes[1]) if minutes else None, int(epochs[1]) if epochs else None)


@dataclass(frozen=True, kw_only=True)
class Diary:
    """All of a diary."""

    before: tuple[str, ...]  # lines above the lists
    datasets: tuple[PastDataset, ...]
    runs: tuple[PastRun, ...]
    after: tuple[str, ...]  # lines below them


def read_diary(text: str, name: str) -> Diary:
    """Read a diary; `name` is the file's, for messages.

    Raises
    ------
    BadSetting
        It has no list of runs, or names one twice.
    """
    before, points, after = _parts(text.splitlines())
    lists = {"spk": points.get("spk", ()), "tag": points.get("tag", ())}
    datasets = tuple(_dataset(lines) for lines in _entries(lists["spk"]))
    runs = tuple(_run(lines) for lines in _entries(lists["tag"]))
    if not runs:
        raise BadSetting(
            f"{name} has no list of runs",
            "runs stand below a point `- tag`, each a point of its own: `    - N2C_1`",
        )
    for what, names in (
        ("dataset", [each.name for each in datasets]),
        ("run", [each.tag for each in runs]),
    ):
        twice = sorted({each for each in names if names.count(each) > 1})
        if twice:
            raise BadSetting(f"{name} names {what} {', '.join(twice)} more than once", "mend it")
    return Diary(before=before, datasets=datasets, runs=runs, after=after)


# ----------------------------------------------------------------------- lists


def _indent(line: str) -> int:
    """Return the columns before the text."""
    wide = line.expandtabs(TAB)
    return len(wide) - len(wide.lstrip(" "))


def _point(line: str) -> str | None:
    """Return the text of a point of a list; None where a line begins none."""
    found = re.match(r"\s*[-*+]\s+(.*?)\s*$", line)
    return found[1] if found else None


def _parts(
    lines: Sequence[str],
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Take the lists of datasets and runs out; return what stands above and below, too."""
    heads = {
        index: head
        for index, line in enumerate(lines)
        if not _indent(line) and (head := _list_named(line))
    }
    if not heads:
        return tuple(lines), {}, ()
    first = min(heads)
    found: dict[str, tuple[str, ...]] = {}
    end = first
    for index, head in sorted(heads.items()):
        end = index + 1
        while end < len(lines) and (not lines[end].strip() or _indent(lines[end])):
            end += 1
        found[head] = found.get(head, ()) + tuple(lines[index + 1 : end])
    return tuple(lines[:first]), found, tuple(lines[end:])


def _list_named(line: str) -> str | None:
    text = (_point(line) or "").rstrip(":：").strip().casefold()
    return text if text in ("spk", "tag") else None


def _entries(lines: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Cut a list into its entries; each begins with its name."""
    pointed = [line for line in lines if _point(line) is not None]
    if not pointed:
        return
    level = min(_indent(line) for line in pointed)
    entry: list[str] = []
    for line in lines:
        if _indent(line) <= level and _is_name(_point(line)):
            if entry:
                yield tuple(entry)
            entry = []
        if entry or _is_name(_point(line)):
            entry.append(line.rstrip())
    if entry:
        yield tuple(entry)


def _is_name(text: str | None) -> bool:
    if text is None:
        return False
    try:
        check_name(text)
    except Refused:
        return False
    return True


# --------------------------------------------------------------------- entries


@dataclass
class _Told:
    """What the lines of an entry tell."""

    settings: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


_KEY = r"[A-Za-z_]+"
_PAIR = re.compile(rf"({_KEY})\s*[:=：]\s*([-+]?\d+(?:\.\d+)?|[A-Za-z]\w*)", re.ASCII)
_ALIKE = {"pretrian": "pretrain", "run_time": "実行時間", "setntence_duration": "sentence_duration"}
_WHOLE = ("spk", "pretrain", "実行時間")  # the rest of the line is the value


def _told(lines: Sequence[str]) -> _Told:
    told = _Told()
    for line in lines[1:]:
        text = (_point(line) or line).strip()
        if not text:
            continue
        if not _line_of_settings(text, told.settings):
            told.notes.append(text)
    return told


def _line_of_settings(text: str, settings: dict[str, str]) -> bool:
    """Take the settings out of a line; tell whether it says nothing else."""
    key, colon, value = text.partition(":")
    name = key.strip().replace(" ", "_")
    name = _ALIKE.get(name, name)
    if colon and name in _WHOLE:
        settings.setdefault(name, value.strip())
        return True
    for found in _PAIR.finditer(text):
        settings.setdefault(_ALIKE.get(found[1], found[1]), found[2])
    return bool(_PAIR.search(text)) and not re.sub(r"[\s,.;、。]", "", _PAIR.sub("", text))


def _dataset(lines: tuple[str, ...]) -> PastDataset:
    told = _told(lines)
    return PastDataset(
        name=_point(lines[0]) or "",
        settings=tuple(told.settings.items()),
        notes=tuple(told.notes),
        lines=lines,
    )


def _run(lines: tuple[str, ...]) -> PastRun:
    told = _told(lines)
    settings = _from_prose(told.notes) | told.settings
    parent, epoch = _parent(settings.get("pretrain", ""))
    return PastRun(
        tag=_point(lines[0]) or "",
        dataset=settings.get("spk") or None,
        parent=parent,
        parent_epoch=epoch,
        batch_size=_whole(settings, "batch_size"),
        group_size=_whole(settings, "group_size"),
        warm_up=_whole(settings, "warm_up_rate"),
        max_lr_scale=_number(settings, "max_lr_scale"),
        optimiser_kept={"False": True, "True": False}.get(settings.get("reset_optim", "")),
        run_time=settings.get("実行時間", ""),
        notes=tuple(told.notes),
        lines=lines,
    )


def _parent(text: str) -> tuple[str | None, int | None]:
    """Take "N2C_23(100epoch)" or "N2C_23@100" apart."""
    found = re.match(r"([\w.+-]+)\s*(?:[@(（]\s*(\d+))?", text)
    if found is None or found[1].casefold() in ("なし", "none", "-"):
        return None, None
    return found[1], int(found[2]) if found[2] else None


def _whole(settings: dict[str, str], key: str) -> int | None:
    number = _number(settings, key)
    return int(number) if number is not None and number.is_integer() else None


def _number(settings: dict[str, str], key: str) -> float | None:
    found = re.fullmatch(r"[-+]?\d+(?:\.\d+)?", settings.get(key, ""))
    return float(found[0]) if found else None


# "batch_sizeのみ32に", "group_sizeを64に": a setting told in a sentence; a share as 1/4 is none.
_PROSE = {
    "batch_size": re.compile(r"batch_?size(?:のみ|を|は|も)\s*(\d+)(?![\d/])"),
    "group_size": re.compile(r"group_?size(?:のみ|を|は|も)\s*(\d+)(?![\d/])"),
    "warm_up_rate": re.compile(r"warm_?up_?rate(?:を|は|も|もちゃんと)\s*(\d+)(?![\d/])"),
}


def _from_prose(notes: Sequence[str]) -> dict[str, str]:
    """Return the settings that sentences tell, each as it is told first."""
    found: dict[str, str] = {}
    for note in notes:
        for key, pattern in _PROSE.items():
            if match := pattern.search(note):
                found.setdefault(key, match[1])
    return found

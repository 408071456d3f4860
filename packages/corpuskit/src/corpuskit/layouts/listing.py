"""Recordings in folders: what counts as one, and what its name is."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from corpuskit.audio import EXTENSIONS

__all__ = [
    "absence",
    "audio_files",
    "folders",
    "is_folder",
    "locate",
    "other_files",
    "readable",
    "stem_of",
]


def stem_of(path: Path) -> str:
    """Return the stem, composed: file systems disagree on how to store accents and kana."""
    return unicodedata.normalize("NFC", readable(path.stem))


def readable(name: str) -> str:
    """Spell out bytes that are no UTF-8 (names from old archives): our files are text."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def other_files(count: int) -> str:
    """Say how many files beside this one."""
    return "another file" if count == 1 else f"{count} other files"


def audio_files(top: Path, warnings: list[str]) -> Iterator[Path]:
    """Yield recordings below `top`, sorted, through links, each folder once, nothing hidden."""

    def unreadable(error: OSError) -> None:
        warnings.append(f"folder {error.filename} cannot be read: {error.strerror}")

    seen: set[tuple[int, int]] = set()
    for folder, subfolders, files in os.walk(top, onerror=unreadable, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()  # a link in a circle
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and file.lower().endswith(EXTENSIONS):
                yield Path(folder) / file


def is_folder(path: Path) -> bool:
    """Whether a path is a folder that can be looked at."""
    try:
        return path.is_dir()
    except OSError:  # below a folder that is closed to us
        return False


def absence(path: Path) -> str:
    """Say why `path` is no folder to be read: "does not exist", or what the system answers."""
    try:
        path.stat()
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "is not a folder"


def locate(root: Path, fits: Callable[[Path], bool], depth: int = 2) -> Path | None:
    """Return the first folder that `fits`: `root`, or one up to `depth` levels below it."""
    level = [root]
    for _ in range(depth + 1):
        for folder in level:
            if fits(folder):
                return folder
        level = [below for folder in level for below in folders(folder)]
    return None


def folders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, sorted; none where it cannot be read."""
    try:
        return sorted(e for e in folder.iterdir() if is_folder(e) and not e.name.startswith("."))
    except OSError:
        return []

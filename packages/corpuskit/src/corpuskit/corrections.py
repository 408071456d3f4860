"""TextGrids corrected by hand, given back: which recording each is about, what it decides.

Nothing a hand did is left out in silence. A file that cannot be used stops the build,
together with every other such file; one that matches no recording is told by name. Files
that are as they were exported say nothing (`automatic.json` beside them knows how that was):
their recordings go on following the thresholds.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from corpuskit.errors import BadLabels, BadSetting
from corpuskit.files import read_json
from corpuskit.tables import counted
from corpuskit.textgrids import read_textgrid
from corpuskit.tiers import HandTiers, segmentation_of

__all__ = ["AUTOMATIC", "SUFFIX", "Corrections", "Length", "find_textgrids", "read_corrections"]

SUFFIX = ".TextGrid"
AUTOMATIC = "automatic.json"
Length = tuple[int, int]  # samples, rate in Hz


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """What a folder of TextGrids holds for a build."""

    by_hand: Mapping[str, HandTiers]  # by recording
    as_exported: tuple[str, ...]  # recordings whose TextGrid was not edited
    unmatched: tuple[str, ...]  # files about no recording of the build, below the folder


def find_textgrids(folder: Path) -> dict[str, list[Path]]:
    """Return the TextGrids below a folder by the recording they name (SPEAKER/SENTENCE).

    Raises
    ------
    BadSetting
        The folder does not exist or cannot be read.

    """
    if not folder.is_dir():
        raise BadSetting(
            f"the folder of hand-corrected tiers {folder} does not exist",
            "give it with --tiers DIR, or build without: --set 'tiers.folder=\"\"'",
        )
    result: dict[str, list[Path]] = {}
    for path in _files(folder):
        relative = path.relative_to(folder).as_posix()[: -len(SUFFIX)]
        result.setdefault(unicodedata.normalize("NFC", relative), []).append(path)
    return result


def _files(folder: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise BadSetting(f"{error.filename} cannot be read ({error.strerror})")

    for top, subfolders, files in os.walk(folder, onerror=unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and file.lower().endswith(SUFFIX.lower()):
                yield Path(top) / file


def read_corrections(
    folder: Path, recordings: Iterable[str], length_of: Callable[[str], Length | None]
) -> Corrections:
    """Read the TextGrids of a folder for the recordings (ids) of a build.

    `length_of` tells a recording's length, or None where it cannot be known because the
    recording itself cannot be read (it is set aside, its TextGrid counts as unmatched).

    Raises
    ------
    BadSetting
        TextGrids that cannot be used: all are named, each with its reason.

    """
    found = find_textgrids(folder)
    exported = _exported(folder)
    hands: dict[str, HandTiers] = {}
    same: list[str] = []
    unmatched: list[str] = []
    bad: list[str] = []
    known = set(recordings)
    for name, paths in sorted(found.items()):
        length = length_of(name) if name in known else None
        if length is None:
            unmatched.extend(path.relative_to(folder).as_posix() for path in paths)
            continue
        try:
            hand = _read(name, paths, length)
        except BadLabels as error:
            bad.append(error.problem)
            continue
        if exported.get(name) == hand.digest:
            same.append(name)
        else:
            hands[name] = hand
    if bad:
        told = "".join(f"\n  {problem}" for problem in bad)
        raise BadSetting(
            f"{counted(len(bad), 'TextGrid')} cannot be used, and hand work is not passed over; "
            f"mend them in Praat, or take them out of the folder:{told}"
        )
    return Corrections(by_hand=hands, as_exported=tuple(same), unmatched=tuple(unmatched))


def _read(name: str, paths: list[Path], length: Length) -> HandTiers:
    if len(paths) > 1:
        others = " and ".join(map(str, paths))
        raise BadLabels(f"{others} are about one recording")
    grid = read_textgrid(paths[0])
    samples, rate = length
    try:
        decided = segmentation_of(grid, samples, rate)
    except BadLabels as error:
        raise BadLabels(f"{paths[0]}: {error.problem}") from None
    return HandTiers.of(name, decided, samples, rate)


def _exported(folder: Path) -> dict[str, str]:
    path = folder / AUTOMATIC
    if not path.exists():
        return {}
    try:
        return {str(name): str(digest) for name, digest in read_json(path).items()}
    except (OSError, ValueError, AttributeError):
        raise BadSetting(
            f"{path} is damaged: it tells which TextGrids were edited since their export",
            "remove it, and every TextGrid of the folder counts as edited",
        ) from None

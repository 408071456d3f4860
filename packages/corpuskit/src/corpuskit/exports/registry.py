"""The formats, and the one way an export comes to be: whole, or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpuskit.errors import CorpuskitError, Refused, unknown
from corpuskit.exports.audio import write_audio
from corpuskit.exports.hf import write_hf
from corpuskit.exports.lhotse import write_lhotse
from corpuskit.exports.npy import write_npy
from corpuskit.exports.request import Means, Note, Progress, Writer
from corpuskit.exports.textgrid import write_textgrids
from corpuskit.files import fill_file, publish_folder, remove_leftovers, temporary_folder
from corpuskit.versions import Version

__all__ = ["FORMATS", "Exported", "export"]

FORMATS: dict[str, Writer] = {
    "audio": write_audio,
    "hf": write_hf,
    "lhotse": write_lhotse,
    "npy": write_npy,
    "textgrid": write_textgrids,
}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The end of an export."""

    folder: Path
    pairs: int
    files: int
    size: int  # bytes


def export(
    version: Version, form: str, out: Path, means: Means
) -> Iterator[Progress | Note | Exported]:
    """Write a version to the folder `out` in a format of `FORMATS`; the last event is `Exported`.

    Raises
    ------
    UnknownName
        No such format or split; the nearest are named.
    Refused
        `out` exists and is not empty.
    CorpuskitError
        A library the format needs is missing, an object or recording is missing or damaged, no
        pair is chosen, or the disk refused. Nothing is left behind.

    """
    writer = _writer(form)
    out = Path(os.path.realpath(out))
    pairs = means.pairs(version)
    if not pairs:
        raise CorpuskitError(
            f"dataset {version.name} has no pair in {' or '.join(means.splits)}",
            "choose another --split",
        )
    with _explained(out):
        _check_free(out, version.workspace)
        remove_leftovers(out.parent)
        with temporary_folder(out.parent) as folder:
            yield from writer(version, folder, dataclasses.replace(means, folder=out))
            fill_file(folder / "export.json", _card(version, form, means, len(pairs)))
            sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
            if out.is_dir():
                out.rmdir()  # empty, as was seen above; the new one takes its place
            publish_folder(folder, out, sync_files=True)
    yield Exported(folder=out, pairs=len(pairs), files=len(sizes), size=sum(sizes))


@contextlib.contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Turn a failing disk into one message about the folder that was asked for."""
    try:
        yield
    except (OSError, CorpuskitError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or isinstance(error, Refused):
            raise
        raise CorpuskitError(
            f"cannot write {out}: {cause.strerror or cause}",
            "free some space or export elsewhere; nothing of this export is left",
        ) from error


def _writer(form: str) -> Writer:
    if form not in FORMATS:
        raise unknown("export format", form, FORMATS)
    return FORMATS[form]


def _check_free(out: Path, workspace: Path) -> None:
    for kept in ("index", "objects", "runs", "searches", "versions"):
        if out.is_relative_to(workspace.resolve() / kept):
            raise Refused(f"{out} is among the workspace's own {kept}", "export elsewhere")
    if out.is_dir():
        if any(out.iterdir()):
            raise Refused(f"{out} is not empty", "export into a new folder")
    elif os.path.lexists(out):
        raise Refused(f"{out} is a file", "export into a new folder")


def _card(version: Version, form: str, means: Means, pairs: int) -> bytes:
    """Return export.json: what the folder was made from."""
    told = {
        "dataset": version.name,
        "fingerprint": version.fingerprint,
        "format": form,
        "splits": list(means.splits),
        "pairs": pairs,
        "rate": version.settings.audio.rate,
        "hop_length": version.settings.features.hop_length,
        "reduction": version.settings.align.reduction,
    }
    return f"{json.dumps(told, ensure_ascii=False, indent=1)}\n".encode()

"""Transcripts: what is said in which recording, as the corpora write it down.

A transcript that cannot be read costs its texts and nothing else: it is named in a warning.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

from corpuskit.layouts.listing import is_folder

__all__ = ["read_lines", "read_segments"]


def read_lines(path: Path, warnings: list[str]) -> dict[str, str]:
    """Read "ID:text" lines; returns id -> text."""
    texts: dict[str, str] = {}
    odd = 0
    for line in _lines(path, warnings):
        name, colon, said = line.partition(":")
        if colon and name.strip():
            texts[unicodedata.normalize("NFC", name.strip())] = said.strip()
        elif line.strip():
            odd += 1
    if odd:
        warnings.append(f'transcript {path}: {odd} of its lines are not "ID:text" and are left out')
    return texts


def read_segments(folder: Path, warnings: list[str]) -> dict[str, str]:
    """Read a folder of ID.txt files of "start<TAB>end<TAB>text" lines; returns id -> whole text."""
    if not is_folder(folder):
        warnings.append(f"transcripts {folder} do not exist")
        return {}
    texts = {}
    for path in sorted(folder.glob("*.txt")):
        rows = [line.split("\t", 2) for line in _lines(path, warnings) if line.strip()]
        said = [row[2].strip() for row in rows if len(row) == 3]
        if len(said) < len(rows):
            odd = len(rows) - len(said)
            warnings.append(f"transcript {path}: {odd} of its lines are not start, end and text")
        texts[unicodedata.normalize("NFC", path.stem)] = " ".join(said)
    return texts


def _lines(path: Path, warnings: list[str]) -> list[str]:
    # Not splitlines(): a sentence may hold what Unicode counts as an end of line.
    return [line.rstrip("\r") for line in _text(path, warnings).split("\n")]


def _text(path: Path, warnings: list[str]) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        warnings.append(f"transcript {path} does not exist")
    except OSError as error:
        warnings.append(f"transcript {path} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        warnings.append(f"transcript {path} is not UTF-8 text; its recordings have no text")
    return ""

"""What a folder is, before anything is configured: layout, speakers, hours, formats, defects.

Nothing is decoded: headers are read, and what the layouts know of their corpora is told. The
answer holds the [corpora] table a dataset definition needs.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from corpuskit import engine
from corpuskit.audio import Header, header
from corpuskit.config import CorpusConfig, from_mapping
from corpuskit.errors import BadAudio, BadSetting
from corpuskit.labels import labels_beside
from corpuskit.layouts import Found, recognise, scan
from corpuskit.layouts.listing import audio_files
from corpuskit.settings import toml_key, toml_text
from corpuskit.stems import kept_apart
from corpuskit.tables import plain

__all__ = ["Finding", "Inspection", "Part", "inspect_folder"]

_COMPARED = 200  # speakers; of more, those who say most are held against each other
DEPTHS = {
    "PCM_U8": "8-bit",
    "PCM_S8": "8-bit",
    "PCM_16": "16-bit",
    "PCM_24": "24-bit",
    "PCM_32": "32-bit",
    "FLOAT": "32-bit float",
    "DOUBLE": "64-bit float",
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one speaker says in one subset (of a folder of recordings: in all of it)."""

    speaker: str
    subset: str  # "" where the layout has none
    files: int
    seconds: float  # of the files that can be read
    rates: Mapping[int, int]  # Hz -> files
    depths: Mapping[str, int]  # "16-bit" -> files
    channels: Mapping[int, int]  # -> files
    texts: int  # recordings with a transcript
    labels: int  # files with phone labels beside them


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is odd, and where."""

    reason: str
    recordings: tuple[str, ...]  # ids


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a folder turned out to be."""

    root: Path  # of the corpus: the folder that was given, or one inside it
    layout: str  # "jsut", "jsss", "jvs", "folder", or "unknown"
    parts: tuple[Part, ...]
    common: Mapping[str, int]  # "a b" -> sentences both say; layout "folder" only
    findings: tuple[Finding, ...]  # most recordings first
    warnings: tuple[str, ...]
    table: str  # TOML that makes it a corpus; empty where nothing is recognised

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who speaks, sorted."""
        return tuple(sorted({part.speaker for part in self.parts}))

    @property
    def files(self) -> int:
        """Audio files, however many recordings they hold."""
        return sum(part.files for part in self.parts)

    @property
    def seconds(self) -> float:
        """Length of all readable files."""
        return sum(part.seconds for part in self.parts)


def inspect_folder(root: Path, jobs: int = 1) -> list[Inspection]:
    """Look at a folder and say what it is: one corpus, or several known ones side by side.

    Raises
    ------
    BadSetting
        It does not exist, or holds no recording at all.

    """
    if not root.is_dir():
        raise BadSetting(f"{root} is no folder", "give the folder of an unpacked corpus")
    corpora = _known(root)
    if not corpora:
        top, speakers = _speakers_in(root)
        corpora = {_word(top.name): CorpusConfig(root=str(top), speakers=speakers)}
    return [_inspected(name, corpus, jobs) for name, corpus in corpora.items()]


def _known(root: Path) -> dict[str, CorpusConfig]:
    """Return the corpora of known layouts: the folder itself, or those side by side in it."""
    whole = recognise(root)
    if whole is None:
        return {}
    beside = [] if whole[1] == root else [recognise(folder) for folder in _folders(root)]
    found = [each for each in beside if each is not None]
    names = _numbered_names(layout for layout, _ in found or [whole])
    return {
        name: from_mapping(CorpusConfig, {"root": str(top.resolve()), "layout": layout}, str(root))
        for name, (layout, top) in zip(names, found or [whole], strict=True)
    }


def _inspected(name: str, corpus: CorpusConfig, jobs: int) -> Inspection:
    layout = corpus.layout
    scanned = scan({name: corpus})
    present = [found for found in scanned.recordings if not found.absent]
    paths = sorted({found.path for found in present})
    read = dict(zip(paths, engine.threads(_header, paths, jobs), strict=True))
    common = _common(present) if layout == "folder" else {}
    plain = layout == "folder" and not common
    return Inspection(
        root=Path(corpus.root),
        layout="unknown" if plain else layout,
        parts=tuple(_parts(layout, present, read)),
        common=common,
        findings=tuple(_findings(scanned.recordings, read)),
        warnings=(*scanned.warnings, *(_alike(present) if layout == "folder" else ())),
        table=_table(name, corpus, common),
    )


def _header(path: Path) -> Header | str:
    """Return a file's header, or what is wrong with it."""
    try:
        read = header(path)
    except BadAudio as error:
        return error.problem
    return read if read.samples else "holds no samples"


# ------------------------------------------------------------ folders of no known corpus


def _speakers_in(root: Path) -> tuple[Path, dict[str, str]]:
    """Return the folder below which speakers have theirs, and each speaker's folder."""
    top = root.resolve()
    while True:
        first = next(audio_files(top, []), None)  # a folder's own files come before those below
        here = first is not None and first.parent == top
        below = [] if here else [folder for folder in _folders(top) if _holds(folder)]
        if len(below) != 1 or not any(map(_holds, _folders(below[0]))):
            break
        top = below[0]
    if here:
        return top, {_word(top.name): "."}
    if not below:
        raise BadSetting(f"{root} holds no recording", "recordings are .wav and .flac files")
    return top, _named(below)


def _holds(folder: Path) -> bool:
    return next(audio_files(folder, []), None) is not None


def _folders(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return []
    return [path for path in inside if path.is_dir() and not path.name.startswith(".")]


def _named(folders: Iterable[Path]) -> dict[str, str]:
    """Name speakers by their folders; names that are no words are made some."""
    inside = [folder.name for folder in folders]
    return dict(zip(_numbered_names(map(_word, inside)), inside, strict=True))


def _numbered_names(words: Iterable[str]) -> list[str]:
    """Return distinct names: a word that comes again is numbered."""
    names: dict[str, None] = {}
    for word in words:
        numbered = itertools.chain([word], (f"{word}-{n}" for n in itertools.count(2)))
        names[next(name for name in numbered if name not in names)] = None
    return list(names)


def _word(name: str) -> str:
    return re.sub(r"[^\w.+-]+|\.\.+", "_", name).strip("_.+-") or "corpus"


def _said(recordings: Iterable[Found]) -> dict[str, set[str]]:
    """Return the sentences of the speakers who say most, by speaker."""
    said: dict[str, set[str]] = defaultdict(set)
    for found in recordings:
        if not found.problem:
            said[found.speaker].add(found.sentence)
    most = sorted(said, key=lambda speaker: (-len(said[speaker]), speaker))[:_COMPARED]
    return {speaker: said[speaker] for speaker in sorted(most)}


def _alike(recordings: Iterable[Found], shown: int = 3) -> list[str]:
    """Warn of sentences that only their file names keep from being a pair."""
    said = _said(recordings)
    found = kept_apart(said, itertools.combinations(said, 2))
    if not found:
        return []
    return [
        "these differ in their stems, but look like one sentence: "
        f"{plain(found, shown)}; a pair's stems are equal"
    ]


def _common(recordings: Iterable[Found]) -> dict[str, int]:
    """Count the sentences two speakers have in common, the most first."""
    said = _said(recordings)
    counts = {
        f"{one} {other}": len(said[one] & said[other])
        for one, other in itertools.combinations(said, 2)
    }
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {both: count for both, count in ranked if count}


# --------------------------------------------------------------------- what is there


def _parts(
    layout: str, recordings: Sequence[Found], read: Mapping[Path, Header | str]
) -> Iterator[Part]:
    groups: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for found in recordings:
        groups[_subset(layout, found.relative), found.speaker].append(found)
    for (subset, speaker), group in sorted(groups.items()):
        paths = {found.path for found in group}
        headers = [each for path in paths if isinstance(each := read[path], Header)]
        yield Part(
            speaker=speaker,
            subset=subset,
            files=len(paths),
            seconds=round(sum(each.samples / each.rate for each in headers), 3),
            rates=dict(sorted(Counter(each.rate for each in headers).items())),
            depths=dict(sorted(Counter(_depth(each.subtype) for each in headers).items())),
            channels=dict(sorted(Counter(each.channels for each in headers).items())),
            texts=sum(bool(found.text) for found in group),
            labels=sum(labels_beside(path) is not None for path in paths),
        )


def _subset(layout: str, relative: str) -> str:
    """Return the subset a file of a known corpus belongs to, from its path."""
    if layout == "folder":
        return ""
    folders = PurePosixPath(relative).parts[:-1]
    return "/".join(folders[layout == "jvs" : -1])  # between the person and the folder of wavs


def _depth(subtype: str) -> str:
    return DEPTHS.get(subtype, subtype)


def _findings(recordings: Iterable[Found], read: Mapping[Path, Header | str]) -> Iterator[Finding]:
    """Group what is wrong, or was put right, by its reason."""
    odd: dict[str, list[str]] = defaultdict(list)
    for found in recordings:
        seen = read.get(found.path, "")
        broken = seen if isinstance(seen, str) and not found.absent else ""
        reason = found.problem or broken or found.note
        if reason:
            odd[reason].append(found.id)
    for reason, names in sorted(odd.items(), key=lambda item: (-len(item[1]), item[0])):
        yield Finding(reason=reason, recordings=tuple(sorted(names)))


# ------------------------------------------------------------------------ the table


def _table(name: str, corpus: CorpusConfig, common: Mapping[str, int]) -> str:
    lines = [
        f"[corpora.{toml_key(name)}]",
        f'layout = "{corpus.layout}"',
        f"root = {toml_text(corpus.root)}",
    ]
    if corpus.layout == "folder":
        assert isinstance(corpus.speakers, dict)
        given = (
            f"{toml_key(who)} = {toml_text(folder)}" for who, folder in corpus.speakers.items()
        )
        lines.append(f"speakers = {{ {', '.join(given)} }}")
    if common:
        source, target = next(iter(common)).split(" ")
        lines += ["", "[[pairs]]", f"source = {toml_text(source)}", f"target = {toml_text(target)}"]
    return "\n".join(lines)

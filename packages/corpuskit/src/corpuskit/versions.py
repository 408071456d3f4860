"""A frozen dataset version: what it says, how it is written, how it is read.

    versions/NAME/version.json          schema, fingerprint, settings, totals, statistics, ...
    versions/NAME/manifest.jsonl        one used pair a line, sorted by id
    versions/NAME/recordings.jsonl      one recording a line, used or set aside with a reason
    versions/NAME/set_aside.jsonl       one candidate pair that is not used a line, with a reason
    versions/NAME/tiers.jsonl           one recording corrected by hand a line, with its decisions
    versions/NAME/arrays.safetensors    durations of all pairs, end to end, and alignment costs
    versions/NAME/columns.safetensors   what manifest.jsonl says, in arrays
    versions/NAME/objects.safetensors   names and sizes of the objects it rests on

The fingerprint covers inputs (audio digests), settings and decisions, and nothing of
time, path or machine. `docs/version-format.md` describes every field.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from corpuskit.audio import Sound, decode
from corpuskit.columns import Columns, Gathered, gathered
from corpuskit.config import DatasetConfig, check_name, from_mapping, listed, to_mapping
from corpuskit.errors import BadVersion, CorpuskitError, unknown
from corpuskit.features import Features
from corpuskit.files import canonical, fill_file, publish_folder, temporary_folder, write_parts
from corpuskit.inventory import DiskUse, Inventory, use_of
from corpuskit.objects import Store, tensors_of
from corpuskit.rows import (
    Pair,
    Recording,
    Rows,
    SetAside,
    Side,
    broken,
    line_of,
    pair_of,
    plain,
    recording_of,
    set_aside_of,
)
from corpuskit.statistics import SideStatistics, Statistics
from corpuskit.tiers import HandTiers

__all__ = [
    "SCHEMA",
    "Pair",
    "Recording",
    "SetAside",
    "Side",
    "Version",
    "disk_use",
    "fingerprint",
    "inventory",
    "list_versions",
    "objects_of",
    "open_version",
    "portable",
    "write_version",
]

SCHEMA = 2
Int32 = npt.NDArray[np.int32]
Row = TypeVar("Row")

_ASIDE, _NO_NOTE = b'"state":"set aside"', b'"note":""'  # in a line of recordings.jsonl
_LOADED = 64_000_000  # bytes; a larger file of arrays is mapped


@dataclass(frozen=True, kw_only=True)
class Version:
    """One frozen build of a family."""

    name: str
    family: str
    fingerprint: str
    settings: DatasetConfig
    statistics: Statistics
    totals: Mapping[str, Any]
    voices: Sequence[Mapping[str, Any]]  # who speaks on each side, and how
    warnings: tuple[str, ...]
    libraries: Mapping[str, str]
    speakers: tuple[str, ...]  # of the used pairs, sorted
    created: str  # UTC; not part of the fingerprint
    files: Mapping[str, str]  # SHA-256 of the version's other files
    pairs: Sequence[Pair]  # sorted by id; read as they are asked for
    folder: Path

    @property
    def workspace(self) -> Path:
        """The workspace this version lives in."""
        return self.folder.parent.parent

    @cached_property
    def recordings(self) -> Sequence[Recording]:
        """All recordings, used or not, sorted by id; read as they are asked for."""
        return _rows(self.folder, "recordings.jsonl", self.files, recording_of)

    @cached_property
    def remarkable(self) -> tuple[Recording, ...]:
        """Recordings that are not used, or of which something was corrected; sorted by id."""
        rows = _rows(self.folder, "recordings.jsonl", self.files, recording_of)
        return tuple(rows.where(lambda line: _ASIDE in line or _NO_NOTE not in line))

    @cached_property
    def set_aside(self) -> tuple[SetAside, ...]:
        """Candidate pairs that are not used, sorted by id."""
        return tuple(_rows(self.folder, "set_aside.jsonl", self.files, set_aside_of))

    @cached_property
    def tiers(self) -> Mapping[str, HandTiers]:
        """What was decided by hand, by recording; used recordings only, sorted by id."""
        rows = _rows(self.folder, "tiers.jsonl", self.files, json.loads)
        return {row["recording"]: HandTiers(**plain(row)) for row in rows}

    def speakers_of(self, side: int) -> list[str]:
        """Return who speaks on one side (0 source, 1 target), sorted."""
        return [self.speakers[place] for place in np.unique(self.columns.speaker[:, side])]

    @cached_property
    def columns(self) -> Columns:
        """The manifest's decisions as arrays."""
        if not isinstance(self.pairs, Rows):  # pairs that stand in no file
            audio = {recording.id: recording.digest for recording in self.recordings}
            return gathered(self.pairs, self.speakers, audio)
        return Columns(**_arrays(self.folder, "columns.safetensors", self.files))

    @cached_property
    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return _arrays(self.folder, "arrays.safetensors", self.files)

    @property
    def flat_durations(self) -> Int32:
        """Durations of all pairs, end to end."""
        return self._arrays["durations"]

    def whole(self) -> Version:
        """Return the version with every file read and checked (BadVersion when damaged)."""
        _ = self.recordings, self.set_aside, self.tiers, self._arrays, self.columns
        _content(self.folder, "objects.safetensors", self.files)
        return self

    def durations(self, pair: Pair) -> Int32:
        """Return (T_source // r,) reduced target frames a source frame; sums to T_target // r."""
        offset, length = pair.durations
        return np.asarray(self.flat_durations[offset : offset + length], dtype=np.int32)

    def cost(self, pair: Pair) -> float:
        """Return the mean L1 per band along the pair's alignment."""
        return float(self._arrays["cost"][self._positions[pair.id]])

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.columns.names())}

    def features(self, side: Side) -> Features:
        """Return the kept frames of one side of a pair.

        Raises
        ------
        BadVersion
            The object is missing or damaged; the message names the recording.

        """
        try:
            arrays = Store(self.workspace).get(side.object)
        except BadVersion as error:
            raise BadVersion(
                f"dataset {self.name}, recording {side.recording}: {error.problem}",
                f"`corpuskit build {self.name}` makes it again",
            ) from None
        whole = Features(f0=arrays["f0"], energy=arrays["energy"], mel=arrays["mel"])
        return whole.cut(*side.frames)

    def source_path(self, recording: Recording) -> Path:
        """Return where a recording's file was when the version was built."""
        return Path(self.settings.corpora[recording.corpus].root) / recording.path

    def sound(self, recording: Recording) -> Sound:
        """Decode a recording as it was measured: its clip of its file (BadAudio when it cannot)."""
        return decode(self.source_path(recording), recording.clip)

    def split(self, name: str) -> tuple[Pair, ...]:
        """Return the pairs of one split."""
        if isinstance(self.pairs, Rows):
            return self.pairs.at(self.columns.positions(name))
        return tuple(pair for pair in self.pairs if pair.split == name)


# --------------------------------------------------------------- fingerprint


def fingerprint(
    settings: DatasetConfig,
    recordings: Iterable[Recording],
    pairs: Sequence[Pair],
    durations: Int32,
    tiers: Iterable[HandTiers] = (),
) -> str:
    """Return the content hash of a version (64 hex digits).

    It covers the settings without folders, audio digests and F0 ranges of the used recordings,
    what a hand decided about them, and every decision about the pairs; object names stay out,
    because library versions are part of them.
    """
    hasher = hashlib.sha256()
    hasher.update(canonical({"schema": SCHEMA, "settings": portable(settings)}).encode())
    for recording in recordings:
        if recording.state == "used":
            hasher.update(canonical(_input(recording)).encode())
    for hand in tiers:
        hasher.update(canonical(["tiers", hand.recording, hand.digest]).encode())
    for line in pairs.lines() if isinstance(pairs, Rows) else map(line_of, pairs):
        hasher.update(_decisions(line))
    hasher.update(np.ascontiguousarray(durations, dtype="<i4").data)
    return hasher.hexdigest()


def _input(recording: Recording) -> list[Any]:
    """Return what of a used recording went into the version."""
    return [recording.id, recording.digest, recording.f0_range]


def portable(settings: DatasetConfig) -> dict[str, Any]:
    """Return the settings that are part of a version: all, with speakers' names for folders."""
    mapping: dict[str, Any] = to_mapping(settings)
    del mapping["tiers"]
    for corpus in mapping["corpora"].values():
        del corpus["root"], corpus["labels"]
        for name in ("speakers", "subsets", "leave_out"):
            corpus[name] = sorted(corpus[name])
    return mapping


# A quote within a JSON text has a backslash before it, so these are found nowhere but as fields.
_OBJECT = re.compile(rb',"object":"(?:[^"\\]|\\.)*"')
_ALIGNMENT = re.compile(rb'\{"alignment":"(?:[^"\\]|\\.)*",')


def _decisions(line: bytes) -> bytes:
    """Return a pair's row as canonical JSON without the names of objects."""
    return _ALIGNMENT.sub(b"{", _OBJECT.sub(b"", line[:-1]), count=1)


# ------------------------------------------------------------ writing, reading


def write_version(
    workspace: Path,
    description: Mapping[str, Any],
    pairs: Iterable[Pair],
    recordings: Sequence[Recording],
    set_aside: Sequence[SetAside],
    arrays: Mapping[str, npt.NDArray[Any]],
    stock: Inventory,
    tiers: Sequence[HandTiers] = (),
) -> Path:
    """Write and publish a version in one step; returns its folder.

    `pairs` are taken one by one and not kept. `description` is version.json without `files` and
    `digest`; `stock` lists the objects that `objects_of` names.

    Raises
    ------
    Refused
        The name exists (another build was first).

    """
    from safetensors.numpy import save

    versions = workspace / "versions"
    with temporary_folder(versions) as folder:
        columns = Gathered(description["speakers"], {r.id: r.digest for r in recordings})
        contents: dict[str, Iterable[bytes]] = {
            "manifest.jsonl": map(line_of, _added(pairs, columns)),
            "recordings.jsonl": map(line_of, recordings),
            "set_aside.jsonl": map(line_of, set_aside),
            "tiers.jsonl": map(line_of, tiers),
            "arrays.safetensors": [save(dict(arrays))],
            "objects.safetensors": [save({"names": stock.names, "sizes": stock.sizes})],
            # Made when the manifest is written: a generator looks only then.
            "columns.safetensors": (save(made.columns().arrays()) for made in (columns,)),
        }
        digests = {name: write_parts(folder / name, parts) for name, parts in contents.items()}
        complete = {**description, "files": digests}
        complete["digest"] = own_digest(complete)
        fill_file(folder / "version.json", written(complete))
        final = versions / str(description["name"])
        # Synced together: the first sync brings most of the others' data to the disk as well.
        publish_folder(folder, final, sync_files=True)
    return final


def _added(pairs: Iterable[Pair], columns: Gathered) -> Iterator[Pair]:
    for pair in pairs:
        columns.add(pair)
        yield pair


def objects_of(pairs: Iterable[Pair], recordings: Iterable[Recording]) -> set[str]:
    """Return the names of all objects a version rests on."""
    names = {name for each in recordings for name in (each.levels, each.features) if name}
    for pair in pairs:
        names.update((pair.source.object, pair.target.object, pair.alignment))
    return names


def inventory(workspace: Path, name: str) -> Inventory:
    """Read which objects a version rests on, without its manifest (BadVersion when damaged)."""
    from safetensors.numpy import load

    folder = workspace / "versions" / name
    arrays = load(_content(folder, "objects.safetensors", describe(workspace, name)["files"]))
    return Inventory(names=arrays["names"], sizes=arrays["sizes"])


def disk_use(workspace: Path, stocks: Mapping[str, Inventory]) -> dict[str, DiskUse]:
    """Tell the bytes of versions: their files, objects of their own, objects they share."""
    files = {
        name: sum(path.stat().st_size for path in (workspace / "versions" / name).iterdir())
        for name in stocks
    }
    return use_of(stocks, files)


def written(description: Mapping[str, Any]) -> bytes:
    """Return the bytes of version.json: readable, and the only ones for its content."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)
    return f"{text}\n".encode()


def own_digest(description: Mapping[str, Any]) -> str:
    """Return the digest version.json carries of itself."""
    content = {name: value for name, value in description.items() if name != "digest"}
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def _content(folder: Path, name: str, digests: Mapping[str, str]) -> bytes:
    """Read a file of a version, held against the digest version.json gives for it."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise broken(folder.name, f"{name} cannot be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != digests[name]:
        raise broken(folder.name, f"the content of {name} does not fit its digest")
    return data


def _rows(
    folder: Path, name: str, digests: Mapping[str, str], read: Callable[[bytes], Row]
) -> Rows[Row]:
    return Rows(folder / name, digests[name], read)


def _arrays(folder: Path, name: str, digests: Mapping[str, str]) -> dict[str, npt.NDArray[Any]]:
    """Read a file's tensors, held against its digest; a large file is mapped, not loaded."""
    path = folder / name
    try:
        if path.stat().st_size <= _LOADED:
            return tensors_of(np.frombuffer(_content(folder, name, digests), dtype=np.uint8))
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digests[name]:
            raise broken(folder.name, f"the content of {name} does not fit its digest")
        return tensors_of(np.memmap(path, dtype=np.uint8, mode="r"))
    except OSError as error:
        raise broken(folder.name, f"{name} cannot be read ({error.strerror})") from None


def list_versions(workspace: Path) -> list[str]:
    """Return the names of all versions, families together, numbers in order."""
    return listed(workspace / "versions", "version.json")


def describe(workspace: Path, name: str) -> dict[str, Any]:
    """Read version.json alone.

    Raises
    ------
    UnknownName
        No such version; the nearest are named.
    BadVersion
        It is damaged, or of a schema this release does not read.

    """
    check_name(name)
    path = workspace / "versions" / name / "version.json"
    if not path.is_file():
        raise unknown("dataset", name, list_versions(workspace))
    try:
        raw = path.read_bytes()
        description: dict[str, Any] = json.loads(raw)
        schema, digest = description["schema"], description["digest"]
        whole = own_digest(description) == digest and written(description) == raw
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise broken(name, "version.json cannot be read") from None
    if schema != SCHEMA:
        raise BadVersion(
            f"version.json of dataset {name} has schema {schema}, this release reads {SCHEMA}",
            "build it again under a new name",
        )
    if not whole:
        raise broken(name, "version.json does not fit its own digest")
    if description["name"] != name:
        raise BadVersion(
            f"the folder {path.parent} holds dataset {description['name']}, not {name}",
            f"name it {description['name']} again: a version keeps its name",
        )
    return description


def open_version(workspace: Path, name: str) -> Version:
    """Open a version for reading.

    Raises
    ------
    UnknownName
        No such version; the nearest are named.
    BadVersion
        It is damaged, or of a schema this release does not read.

    """
    description = describe(workspace, name)
    folder = workspace / "versions" / name
    try:
        statistics = {
            side: SideStatistics(**plain(values))
            for side, values in description["statistics"].items()
        }
        return Version(
            name=description["name"],
            family=description["family"],
            fingerprint=description["fingerprint"],
            settings=from_mapping(DatasetConfig, description["settings"], f"dataset {name}"),
            statistics=Statistics(**statistics),
            totals=description["totals"],
            voices=description["voices"],
            warnings=tuple(description["warnings"]),
            libraries=description["libraries"],
            speakers=tuple(description["speakers"]),
            created=description["created"],
            files=description["files"],
            pairs=_rows(folder, "manifest.jsonl", description["files"], pair_of),
            folder=folder,
        )
    except (KeyError, TypeError) as error:
        raise broken(name, f"a field is missing or unknown ({error})") from None
    except CorpuskitError as error:
        raise BadVersion(error.problem, error.remedy) from None

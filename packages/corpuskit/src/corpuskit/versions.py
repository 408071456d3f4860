"""A frozen dataset version: what it says, how it is written, how it is read.

    versions/NAME/version.json          schema, fingerprint, settings, totals, statistics, ...
    versions/NAME/manifest.jsonl        one used pair a line, sorted by id
    versions/NAME/recordings.jsonl      one recording a line, used or set aside with a reason
    versions/NAME/set_aside.jsonl       one candidate pair that is not used a line, with a reason
    versions/NAME/tiers.jsonl           one recording corrected by hand a line, with its decisions
    versions/NAME/arrays.safetensors    durations of all pairs, end to end, and alignment costs
    versions/NAME/objects.safetensors   names and sizes of the objects it rests on

The fingerprint covers inputs (audio digests), settings and decisions, and nothing of
time, path or machine. `docs/version-format.md` describes every field.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.audio import Sound, decode
from corpuskit.config import DatasetConfig, check_name, family_of, from_mapping, to_mapping
from corpuskit.errors import BadVersion, CorpuskitError, unknown
from corpuskit.features import Features
from corpuskit.files import canonical, publish_folder, temporary_folder, write_file
from corpuskit.inventory import DiskUse, Inventory, use_of
from corpuskit.objects import Store
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
Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One recording's part in a pair. T = frames[1] - frames[0], r the reduction factor."""

    speaker: str
    recording: str  # id, "speaker/sentence"
    object: str  # name of the features object
    rate: int  # Hz, of the recording
    length: int  # samples of the whole recording
    samples: Span  # kept part, in samples of the recording
    frames: Span  # kept frames of the whole recording's frames
    silences: tuple[Span, ...]  # silent spans, frames relative to frames[0]
    phrases: tuple[int, ...]  # phrase lengths in reduced frames, all >= 1, sum T // r

    @property
    def kept_seconds(self) -> float:
        """Seconds between head and tail."""
        return (self.samples[1] - self.samples[0]) / self.rate

    @property
    def head_seconds(self) -> float:
        """Seconds trimmed at the head."""
        return self.samples[0] / self.rate

    @property
    def tail_seconds(self) -> float:
        """Seconds trimmed at the tail."""
        return (self.length - self.samples[1]) / self.rate


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two recordings of one sentence, and every decision about them."""

    id: str  # "source>target/sentence"
    sentence: str
    split: str  # "train", "dev" or "eval"
    source: Side
    target: Side
    breaks: Span  # long silences found in each recording by itself (source, target)
    merged: int  # phrase breaks given up because a phrase would have been empty
    alignment: str  # name of the alignment object
    durations: Span  # (offset, length) in the version's flat durations


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording of the corpora and the one state it ended in."""

    id: str
    speaker: str
    sentence: str
    corpus: str
    path: str  # below the corpus root
    digest: str  # of decoded samples and rate; empty when it could not be decoded
    rate: int
    samples: int  # of the clip
    levels: str  # object names; empty when not measured
    features: str
    state: str  # "used" or "set aside"
    reason: str  # why it was set aside
    clip: Span | None = None  # samples of the file that it is; None: the whole file
    text: str = ""  # transcript, where the corpus has one; not part of the fingerprint
    f0_range: tuple[float, float] | None = None  # Hz, the speaker's; None: the settings'
    note: str = ""  # what of the corpus was corrected to get it (another name, a clip)


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """A candidate pair that is not used."""

    pair: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Version:
    """One frozen build of a family."""

    name: str
    family: str
    fingerprint: str
    settings: DatasetConfig
    statistics: Statistics
    totals: Mapping[str, Any]
    warnings: tuple[str, ...]
    libraries: Mapping[str, str]
    speakers: tuple[str, ...]  # of the used pairs, sorted
    created: str  # UTC; not part of the fingerprint
    files: Mapping[str, str]  # SHA-256 of the version's other files
    pairs: tuple[Pair, ...]  # sorted by id
    folder: Path

    @property
    def workspace(self) -> Path:
        """The workspace this version lives in."""
        return self.folder.parent.parent

    @cached_property
    def recordings(self) -> tuple[Recording, ...]:
        """All recordings, used or not, sorted by id."""
        return tuple(_recording(row) for row in _lines(self.folder, "recordings.jsonl", self.files))

    @cached_property
    def set_aside(self) -> tuple[SetAside, ...]:
        """Candidate pairs that are not used, sorted by id."""
        return tuple(SetAside(**row) for row in _lines(self.folder, "set_aside.jsonl", self.files))

    @cached_property
    def tiers(self) -> Mapping[str, HandTiers]:
        """What was decided by hand, by recording; used recordings only, sorted by id."""
        rows = _lines(self.folder, "tiers.jsonl", self.files)
        return {row["recording"]: HandTiers(**_tuples(row)) for row in rows}

    @cached_property
    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        from safetensors.numpy import load

        return load(_content(self.folder, "arrays.safetensors", self.files))

    def whole(self) -> Version:
        """Return the version with every file read and checked (BadVersion when damaged)."""
        _ = self.recordings, self.set_aside, self.tiers, self._arrays
        _content(self.folder, "objects.safetensors", self.files)
        return self

    def durations(self, pair: Pair) -> Int32:
        """Return (T_source // r,) reduced target frames a source frame; sums to T_target // r."""
        offset, length = pair.durations
        return np.asarray(self._arrays["durations"][offset : offset + length], dtype=np.int32)

    def cost(self, pair: Pair) -> float:
        """Return the mean L1 per band along the pair's alignment."""
        return float(self._arrays["cost"][self._positions[pair.id]])

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {pair.id: index for index, pair in enumerate(self.pairs)}

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
    for pair in pairs:
        hasher.update(canonical(_decisions(pair)).encode())
    hasher.update(durations.astype("<i4").tobytes())
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


def _decisions(pair: Pair) -> dict[str, Any]:
    row = _row(pair)
    del row["alignment"], row["source"]["object"], row["target"]["object"]
    return row


# ------------------------------------------------------------ writing, reading


def write_version(
    workspace: Path,
    description: Mapping[str, Any],
    pairs: Sequence[Pair],
    recordings: Sequence[Recording],
    set_aside: Sequence[SetAside],
    arrays: Mapping[str, npt.NDArray[Any]],
    stock: Inventory,
    tiers: Sequence[HandTiers] = (),
) -> Path:
    """Write and publish a version in one step; returns its folder.

    `description` is version.json without `files` and `digest`; `stock` lists the objects that
    `objects_of` names.

    Raises
    ------
    Refused
        The name exists (another build was first).

    """
    from safetensors.numpy import save

    versions = workspace / "versions"
    with temporary_folder(versions) as folder:
        contents = {
            "manifest.jsonl": _jsonl(pairs),
            "recordings.jsonl": _jsonl(recordings),
            "set_aside.jsonl": _jsonl(set_aside),
            "tiers.jsonl": _jsonl(tiers),
            "arrays.safetensors": save(dict(arrays)),
            "objects.safetensors": save({"names": stock.names, "sizes": stock.sizes}),
        }
        for name, data in contents.items():
            write_file(folder / name, data)
        complete = {
            **description,
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
        }
        complete["digest"] = own_digest(complete)
        write_file(folder / "version.json", written(complete))
        final = versions / str(description["name"])
        publish_folder(folder, final)
    return final


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


def _jsonl(rows: Sequence[Any]) -> bytes:
    return "".join(f"{canonical(_row(row))}\n" for row in rows).encode()


def _row(value: Any) -> dict[str, Any]:
    """Return a row's fields as a new dict (`dataclasses.asdict` would copy every number)."""
    return {
        name: dict(vars(item)) if dataclasses.is_dataclass(item) else item
        for name, item in vars(value).items()
    }


def _content(folder: Path, name: str, digests: Mapping[str, str]) -> bytes:
    """Read a file of a version, held against the digest version.json gives for it."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise _broken(folder.name, f"{name} cannot be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != digests[name]:
        raise _broken(folder.name, f"the content of {name} does not fit its digest")
    return data


def _lines(folder: Path, name: str, digests: Mapping[str, str]) -> list[dict[str, Any]]:
    # Not splitlines(): a sentence may hold what Unicode counts as an end of line.
    text = _content(folder, name, digests).decode()
    return [json.loads(line) for line in text.split("\n")[:-1]]


def list_versions(workspace: Path) -> list[str]:
    """Return the names of all versions, families together, numbers in order."""
    folder = workspace / "versions"
    names = [path.parent.name for path in folder.glob("*/version.json")]
    return sorted((name for name in names if not name.startswith(".")), key=_natural)


def _natural(name: str) -> tuple[str, int]:
    family = family_of(name)
    number = re.search(r"_(\d+)\Z", name) if family != name else None
    return (family, int(number.group(1)) if number else -1)


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
        raise _broken(name, "version.json cannot be read") from None
    if schema != SCHEMA:
        raise BadVersion(
            f"version.json of dataset {name} has schema {schema}, this release reads {SCHEMA}",
            "build it again under a new name",
        )
    if not whole:
        raise _broken(name, "version.json does not fit its own digest")
    if description["name"] != name:
        raise BadVersion(
            f"the folder {path.parent} holds dataset {description['name']}, not {name}",
            f"name it {description['name']} again: a version keeps its name",
        )
    return description


def _broken(name: str, problem: str) -> BadVersion:
    return BadVersion(
        f"dataset {name} is damaged: {problem}", "remove the version's folder and build it again"
    )


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
            side: SideStatistics(**_tuples(values))
            for side, values in description["statistics"].items()
        }
        return Version(
            name=description["name"],
            family=description["family"],
            fingerprint=description["fingerprint"],
            settings=from_mapping(DatasetConfig, description["settings"], f"dataset {name}"),
            statistics=Statistics(**statistics),
            totals=description["totals"],
            warnings=tuple(description["warnings"]),
            libraries=description["libraries"],
            speakers=tuple(description["speakers"]),
            created=description["created"],
            files=description["files"],
            pairs=tuple(
                _pair(row) for row in _lines(folder, "manifest.jsonl", description["files"])
            ),
            folder=folder,
        )
    except (KeyError, TypeError) as error:
        raise _broken(name, f"a field is missing or unknown ({error})") from None
    except CorpuskitError as error:
        raise BadVersion(error.problem, error.remedy) from None


def _recording(row: dict[str, Any]) -> Recording:
    for name in ("clip", "f0_range"):
        if row[name] is not None:
            row[name] = tuple(row[name])
    return Recording(**row)


def _pair(row: dict[str, Any]) -> Pair:
    row["source"] = Side(**_tuples(row["source"]))
    row["target"] = Side(**_tuples(row["target"]))
    row["breaks"] = tuple(row["breaks"])
    row["durations"] = tuple(row["durations"])
    return Pair(**row)


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    """Turn JSON lists, and lists of lists, into tuples."""
    return {
        key: tuple(tuple(item) if isinstance(item, list) else item for item in value)
        if isinstance(value, list)
        else value
        for key, value in row.items()
    }

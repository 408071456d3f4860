"""A folder that Hugging Face's `datasets` loads without a network: parquet, one pair a row.

    data/train-00000-of-00001.parquet, data/validation-..., data/test-...
    README.md     which files are which split, as `load_dataset` reads it

Written with pyarrow alone. The features `datasets` should see (sound that is handed over as
bytes, not decoded) are in the files' own metadata, where that library puts them itself.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from corpuskit.exports.request import Means, Progress, file_name, in_threads, need
from corpuskit.exports.sound import cut
from corpuskit.files import fill_file
from corpuskit.versions import Pair, Recording, Side, Version

__all__ = ["SPLIT_NAMES", "write_hf"]

SPLIT_NAMES = {"train": "train", "dev": "validation", "eval": "test"}
GROUP = 32  # pairs held in memory and written at once
SHARD = 500_000_000  # bytes after which another file is begun

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Column:
    """One column: its arrow type, and its type as `datasets` names it."""

    name: str
    kind: str  # "string", "float64", "sound", or "int32" and "float32" for lists
    depth: int = 0  # lists in lists

    def feature(self) -> Row:
        """Return the type as `datasets` writes it into a file's metadata."""
        if self.kind == "sound":
            return {"decode": False, "_type": "Audio"}
        found: Row = {"dtype": self.kind, "_type": "Value"}
        for _ in range(self.depth):
            found = {"feature": found, "_type": "Sequence"}
        return found

    def arrow(self) -> Any:
        """Return the type as arrow has it."""
        import pyarrow as pa

        if self.kind == "sound":
            return pa.struct({"bytes": pa.binary(), "path": pa.string()})
        found = getattr(pa, self.kind)()
        for _ in range(self.depth):
            found = pa.list_(found)
        return found

    def array(self, values: Sequence[Any]) -> Any:
        """Return the column of some rows."""
        import pyarrow as pa

        if not self.depth:
            return pa.array(values, type=self.arrow())
        return _lists(values, self.depth, self.kind)


def _side(role: str) -> list[_Column]:
    return [
        _Column(name=f"{role}_speaker", kind="string"),
        _Column(name=f"{role}_audio", kind="sound"),
        _Column(name=f"{role}_seconds", kind="float64"),
        _Column(name=f"{role}_mel", kind="float32", depth=2),
        _Column(name=f"{role}_f0", kind="float32", depth=1),
        _Column(name=f"{role}_energy", kind="float32", depth=1),
        _Column(name=f"{role}_phrases", kind="int32", depth=1),
        _Column(name=f"{role}_silences", kind="int32", depth=2),
    ]


COLUMNS = [
    _Column(name="id", kind="string"),
    _Column(name="sentence", kind="string"),
    _Column(name="text", kind="string"),
    *_side("source"),
    *_side("target"),
    _Column(name="durations", kind="int32", depth=1),
]


def write_hf(version: Version, out: Path, means: Means) -> Iterator[Progress]:
    """Write the pairs, split by split, a bounded number in memory."""
    need("pyarrow", "hf", "hf")
    pairs = means.pairs(version)
    recordings = {recording.id: recording for recording in version.recordings}
    (out / "data").mkdir()
    done, splits = 0, []
    task = functools.partial(_row, version, recordings)
    for split, named in SPLIT_NAMES.items():
        chosen = [pair for pair in pairs if pair.split == split]
        if not chosen:
            continue
        splits.append(named)
        with _Shards(out / "data", named) as shards:
            for _, row in in_threads(task, chosen, means, ahead=GROUP):
                shards.add(row)
                done += 1
                yield Progress(stage="pairs", done=done, total=len(pairs))
    fill_file(out / "README.md", _card(version, splits).encode())


def _row(version: Version, recordings: dict[str, Recording], pair: Pair) -> Row:
    text = recordings[pair.target.recording].text or recordings[pair.source.recording].text
    row = {"id": pair.id, "sentence": pair.sentence, "text": text}
    for role, side in (("source", pair.source), ("target", pair.target)):
        told = _told(version, side, recordings[side.recording])
        row.update({f"{role}_{name}": value for name, value in told.items()})
    return {**row, "durations": version.durations(pair)}


def _told(version: Version, side: Side, recording: Recording) -> Row:
    features = version.features(side)
    name = f"{side.speaker}/{file_name(recording.sentence)}.wav"
    return {
        "speaker": side.speaker,
        "audio": {"bytes": cut(version, side, recording).wav(), "path": name},
        "seconds": side.kept_seconds,
        "mel": features.mel,
        "f0": features.f0,
        "energy": features.energy,
        "phrases": np.array(side.phrases, dtype=np.int32),
        "silences": np.array(side.silences, dtype=np.int32).reshape(-1, 2),
    }


def _lists(values: Sequence[npt.NDArray[Any]], depth: int, kind: str) -> Any:
    """Return arrays of 1 or 2 dimensions as an arrow column of lists, without touching numbers."""
    import pyarrow as pa

    flat = np.concatenate([np.ravel(value) for value in values])
    inner = pa.array(flat, type=getattr(pa, kind)())
    if depth == 2:
        widths = np.concatenate([np.full(len(value), value.shape[1]) for value in values])
        inner = pa.ListArray.from_arrays(_offsets(widths), inner)
    return pa.ListArray.from_arrays(_offsets([len(value) for value in values]), inner)


def _offsets(lengths: Sequence[int] | npt.NDArray[np.integer[Any]]) -> Any:
    import pyarrow as pa

    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


class _Shards:
    """Parquet files of one split, begun anew when one is large enough."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        self._rows: list[Row] = []
        self._paths: list[Path] = []
        self._file: IO[bytes] | None = None
        self._writer: Any = None

    def add(self, row: Row) -> None:
        """Take a row; write when there are enough."""
        self._rows.append(row)
        if len(self._rows) == GROUP:
            self._write()

    def _write(self) -> None:
        import pyarrow as pa

        if self._file is None:
            self._begin()
        columns = [column.array([row[column.name] for row in self._rows]) for column in COLUMNS]
        self._writer.write_table(pa.table(columns, schema=_schema()))
        self._rows.clear()
        if self._file is not None and self._file.tell() >= SHARD:
            self._end()

    def _begin(self) -> None:
        from pyarrow.parquet import ParquetWriter

        self._paths.append(self._folder / f"{self._split}-{len(self._paths):05d}.parquet")
        self._file = self._paths[-1].open("xb")
        self._writer = ParquetWriter(self._file, _schema())

    def _end(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with file:
                self._writer.close()

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            if self._file is not None:
                self._file.close()
            return
        if self._rows:
            self._write()
        self._end()
        for number, path in enumerate(self._paths):
            path.rename(path.with_stem(f"{self._split}-{number:05d}-of-{len(self._paths):05d}"))


def _schema() -> Any:
    import pyarrow as pa

    features = {column.name: column.feature() for column in COLUMNS}
    fields = [pa.field(column.name, column.arrow()) for column in COLUMNS]
    told = json.dumps({"info": {"features": features}})
    return pa.schema(fields, metadata={"huggingface": told})


def _card(version: Version, splits: Sequence[str]) -> str:
    files = "".join(f"  - split: {split}\n    path: data/{split}-*\n" for split in splits)
    return (
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n\n"
        f"Dataset {version.name}, one pair a row, fingerprint {version.fingerprint}.\n"
    )

"""Manifests and features that lhotse loads; lhotse itself is not needed to write them.

    recordings.jsonl.gz      RecordingSet: the whole recordings, where they are
    supervisions.jsonl.gz    SupervisionSet: what is kept of each, by the sample
    features.jsonl.gz        FeatureSet: the mel of the kept frames
    cuts.jsonl.gz            CutSet: a pair a cut, the source's; the target is in custom fields
    mel/ f0/ energy/ durations/    the arrays, as lhotse's "numpy_files"

lhotse counts n frames as n x shift seconds. Kept frame k of a recording starts its shift at
(first + k) x hop, the sample it is centred on, as with lhotse's own centred extractors.
"""

from __future__ import annotations

import functools
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.exports.request import Means, Progress, file_name, in_threads, used_sides
from corpuskit.exports.sound import Shape, shape_of
from corpuskit.files import canonical, fill_file
from corpuskit.versions import Pair, Recording, Side, Version

__all__ = ["write_lhotse"]

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Used:
    """A recording, what is kept of it, and what its file holds."""

    side: Side
    recording: Recording
    shape: Shape

    @property
    def key(self) -> str:
        """Place of its arrays below mel, f0 and energy."""
        return f"{self.side.speaker}/{file_name(self.recording.sentence)}.npy"

    @property
    def channels(self) -> int | list[int]:
        """Channels as lhotse names them: a number for mono, else a list."""
        return list(range(self.shape.channels)) if self.shape.channels > 1 else 0

    @property
    def clip(self) -> int:
        """Samples of the file before the recording begins."""
        return self.recording.clip[0] if self.recording.clip else 0

    @property
    def samples(self) -> tuple[int, int]:
        """First sample kept and one past the last, of the file."""
        start, stop = self.side.samples
        return self.clip + start, self.clip + stop


def write_lhotse(version: Version, out: Path, means: Means) -> Iterator[Progress]:
    """Write arrays and manifests; the manifests name the folder the export will have."""
    pairs = means.pairs(version)
    sides = used_sides(version, pairs)
    for side, _ in sides:
        for kind in ("mel", "f0", "energy"):
            (out / kind / side.speaker).mkdir(parents=True, exist_ok=True)
    rows = _Rows(version, means.folder)
    used: dict[str, _Used] = {}
    task = functools.partial(_write_recording, version, out)
    with (
        _Lines(out / "recordings.jsonl.gz") as recordings,
        _Lines(out / "supervisions.jsonl.gz") as supervisions,
        _Lines(out / "features.jsonl.gz") as features,
    ):
        for done, each in in_threads(task, sides, means):
            used[each.recording.id] = each
            recordings.add(rows.recording(each))
            supervisions.add(rows.supervision(each))
            features.add(rows.features(each))
            yield Progress(stage="features", done=done, total=len(sides))
    with _Lines(out / "cuts.jsonl.gz") as cuts:
        for done, pair in enumerate(pairs, start=1):
            path = out / "durations" / _durations_key(pair)
            path.parent.mkdir(parents=True, exist_ok=True)
            fill_file(path, _npy(version.durations(pair)))
            cuts.add(rows.cut(pair, used))
            yield Progress(stage="cuts", done=done, total=len(pairs))


def _write_recording(version: Version, out: Path, given: tuple[Side, Recording]) -> _Used:
    side, recording = given
    used = _Used(side=side, recording=recording, shape=shape_of(version, recording))
    features = version.features(side)
    arrays = {"mel": features.mel, "f0": features.f0, "energy": features.energy}
    for kind, array in arrays.items():
        fill_file(out / kind / used.key, _npy(array))
    return used


def _durations_key(pair: Pair) -> str:
    return f"{pair.source.speaker}/{pair.target.speaker}/{file_name(pair.sentence)}.npy"


def _npy(array: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


class _Rows:
    """What lhotse's classes make of a version, as their `to_dict` would write it."""

    def __init__(self, version: Version, folder: Path) -> None:
        settings = version.settings
        self._version, self._folder = version, folder
        self._rate, self._bands = settings.audio.rate, settings.features.mels
        self._shift = settings.features.hop_length / self._rate  # seconds
        self._splits = {
            side.recording: pair.split
            for pair in version.pairs
            for side in (pair.source, pair.target)
        }

    def recording(self, used: _Used) -> Row:
        """Recording: the whole file, at its own rate."""
        shape, channels = used.shape, list(range(used.shape.channels))
        path = self._version.source_path(used.recording).absolute()
        return {
            "id": used.recording.id,
            "sources": [{"type": "file", "channels": channels, "source": str(path)}],
            "sampling_rate": shape.rate,
            "num_samples": shape.samples,
            "duration": shape.samples / shape.rate,
            "channel_ids": channels,
        }

    def supervision(self, used: _Used, before: float = 0.0) -> Row:
        """SupervisionSegment: what is kept; `before` seconds are taken off, for use in a cut.

        It begins with the first kept frame, up to a shift after the first kept sample:
        lhotse pairs supervisions with features that hold the whole of them.
        """
        recording, start = used.recording, self._start(used)
        first, stop = used.samples
        row = {
            "id": recording.id,
            "recording_id": recording.id,
            "start": start - before,
            "duration": stop / used.side.rate - start,
            "channel": used.channels,
            "speaker": used.side.speaker,
            "custom": {
                "sentence": recording.sentence,
                "split": self._splits[recording.id],
                "samples": [first, stop],
            },
        }
        return {**row, "text": recording.text} if recording.text else row

    def features(self, used: _Used) -> Row:
        """Features: the mel of the kept frames."""
        return {
            "type": "mel",
            "num_frames": self._frames(used),
            "num_features": self._bands,
            "frame_shift": self._shift,
            "sampling_rate": self._rate,
            "start": self._start(used),
            "duration": self._frames(used) * self._shift,
            "storage_type": "numpy_files",
            "storage_path": str(self._folder / "mel"),
            "storage_key": used.key,
            "recording_id": used.recording.id,
            "channels": used.channels,
        }

    def cut(self, pair: Pair, used: Mapping[str, _Used]) -> Row:
        """MonoCut (MultiCut of several channels): a pair, seen from its source."""
        source, target = used[pair.source.recording], used[pair.target.recording]
        start, frames = self._start(source), self._frames(source)
        target_frames = self._frames(target)
        first, stop = target.samples
        return {
            "id": pair.id,
            "type": "MonoCut" if source.shape.channels == 1 else "MultiCut",
            "start": start,
            "duration": frames * self._shift,
            "channel": source.channels,
            "recording": self.recording(source),
            "features": self.features(source),
            "supervisions": [self.supervision(source, start)],
            "custom": {
                "split": pair.split,
                "f0": self._temporal(source, "f0"),
                "energy": self._temporal(source, "energy"),
                "phrases": list(pair.source.phrases),
                "durations": self._array("durations", _durations_key(pair), pair.durations[1]),
                "target_speaker": pair.target.speaker,
                "target_recording": self.recording(target),
                "target_recording_unaligned": True,
                "target_start": first / target.side.rate,
                "target_duration": (stop - first) / target.side.rate,
                "target_mel": self._array("mel", target.key, target_frames, self._bands),
                "target_f0": self._array("f0", target.key, target_frames),
                "target_energy": self._array("energy", target.key, target_frames),
                "target_phrases": list(pair.target.phrases),
            },
        }

    def _temporal(self, used: _Used, kind: str) -> Row:
        return {
            "array": self._array(kind, used.key, self._frames(used)),
            "temporal_dim": 0,
            "frame_shift": self._shift,
            "start": self._start(used),
        }

    def _array(self, kind: str, key: str, *shape: int) -> Row:
        return {
            "storage_type": "numpy_files",
            "storage_path": str(self._folder / kind),
            "storage_key": key,
            "shape": list(shape),
        }

    def _start(self, used: _Used) -> float:
        return used.clip / used.side.rate + used.side.frames[0] * self._shift

    def _frames(self, used: _Used) -> int:
        return used.side.frames[1] - used.side.frames[0]


class _Lines:
    """A gzipped file of JSON lines that knows no time: equal rows give equal bytes."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("xb")
        self._file = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0)

    def add(self, row: Row) -> None:
        """Write a row."""
        self._file.write(f"{canonical(row)}\n".encode())

    def __enter__(self) -> _Lines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        finally:
            self._raw.close()

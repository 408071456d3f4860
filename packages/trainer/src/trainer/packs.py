"""Splits that do not fit in memory: laid end to end in files, mapped, and read ahead.

    with Writer(folder, reduction=3) as writer:
        for pair in pairs:
            writer.add(pair)
        writer.publish(notes)
    data = opened(folder, device)

A pack is what `PackedSet` holds, byte for byte, so batches are the same bit for bit. It is written
once, whole or not at all, under a name that says what it was made of; nobody needs it kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import torch
from torch import Tensor

from corpuskit.errors import CorpuskitError, Refused
from corpuskit.files import publish_folder, temporary_folder
from trainer.batches import FEATURES, SIDES, Batch, Index, PackedSet, PairArrays, check, whole_rows

__all__ = ["MappedSet", "Writer", "notes_of", "opened"]

AHEAD = 2  # batches read ahead
_NAMES = tuple(f"{side}_{what}" for side in SIDES for what in FEATURES)


class Writer:
    """Writes a pack pair by pair, holding one at a time."""

    def __init__(self, folder: Path, reduction: int) -> None:
        """Write to `folder`, which appears when `publish` is called."""
        self._folder = folder
        self._reduction = reduction
        self._open = ExitStack()
        self._parts: list[Index] = []
        self._values: dict[str, int] = {}  # of a row, by file

    def __enter__(self) -> Self:
        parent = self._folder.parent
        self._temporary = self._open.enter_context(temporary_folder(parent))
        self._files: dict[str, IO[bytes]] = {
            name: self._open.enter_context((self._temporary / name).open("wb")) for name in _NAMES
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        if isinstance(error, OSError):
            raise CorpuskitError(
                f"cannot write {self._folder}: {error.strerror or error}",
                "make room, or use --set train.memory=device",
            ) from error

    def add(self, pair: PairArrays) -> None:
        """Append a pair.

        Raises
        ------
        ValueError
            Its arrays do not fit together.
        """
        check(pair, len(self._parts), self._reduction)
        for name, file in self._files.items():
            rows = whole_rows(getattr(pair, name), self._reduction)
            self._values[name] = rows.shape[1]
            file.write(np.ascontiguousarray(rows, dtype="<f4").data)
        self._parts.append(Index.of([pair], self._reduction))

    def publish(self, notes: Sequence[str]) -> None:
        """Give the pack its name; one that another process made meanwhile is as good."""
        if not self._parts:
            raise ValueError("no pairs to learn from")
        for name, file in self._files.items():
            file.write(np.zeros(self._values[name], dtype="<f4").data)
            file.close()
        index: dict[str, Any] = {"reduction": self._reduction, "notes": list(notes)}
        for each in fields(Index):
            parts = [getattr(part, each.name) for part in self._parts]
            index[each.name] = [plain for part in parts for plain in _plain(part)]
        (self._temporary / "index.json").write_text(json.dumps(index), encoding="utf-8")
        with suppress(Refused):
            publish_folder(self._temporary, self._folder, sync_files=True)


def _plain(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _index(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "index.json").read_text(encoding="utf-8")))


def notes_of(folder: Path) -> tuple[str, ...]:
    """Return the notes a pack was published with."""
    return tuple(_index(folder)["notes"])


def opened(folder: Path, device: torch.device) -> MappedSet:
    """Map a pack; its batches go to `device`.

    Raises
    ------
    CorpuskitError
        It is not there: another process wrote it to a disk this one does not see.
    """
    try:
        plain = _index(folder)
    except FileNotFoundError:
        raise CorpuskitError(
            f"{folder} is not on this machine",
            "share the workspace with it, or use --set train.memory=device",
        ) from None
    index = Index(
        source_lengths=np.array(plain["source_lengths"], dtype=np.int64),
        target_lengths=np.array(plain["target_lengths"], dtype=np.int64),
        durations=np.array(plain["durations"], dtype=np.int64),
        source_phrases=tuple(map(tuple, plain["source_phrases"])),
        target_phrases=tuple(map(tuple, plain["target_phrases"])),
        source_speaker=tuple(plain["source_speaker"]),
        target_speaker=tuple(plain["target_speaker"]),
    )
    rows = {}
    for name in _NAMES:
        lengths = index.source_lengths if name.startswith("source") else index.target_lengths
        values = (folder / name).stat().st_size // 4
        mapped = torch.from_file(str(folder / name), size=values, dtype=torch.float32)
        rows[name] = mapped.view(int(lengths.sum()) + 1, -1)
    packed = MappedSet.laid(rows, index, plain["reduction"], "cpu")
    return replace(packed, home=device, folder=folder)


@dataclass(frozen=True, kw_only=True)
class MappedSet(PackedSet):
    """All pairs of a split in mapped files; batches are gathered there and brought `home`."""

    home: torch.device = field(default_factory=lambda: torch.device("cpu"))
    folder: Path = field(default_factory=Path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process as a name: it maps the same files."""
        return opened, (self.folder, self.home)

    def gather(self, indices: Sequence[int], *, rounded: bool = False) -> Batch:
        """Return the pairs at `indices` as `PackedSet` would."""
        return super().gather(indices, rounded=rounded).to(self.home)

    def stream(self, chosen: Iterable[Sequence[int]], *, rounded: bool = False) -> Iterator[Batch]:
        """Gather one batch after the other, the next ones meanwhile in a thread."""
        transfer = _Transfer(self.home)

        def ready(indices: Sequence[int]) -> _Sent:
            return transfer.send(PackedSet.gather(self, indices, rounded=rounded))

        left = iter(chosen)
        with ThreadPoolExecutor(1) as thread:
            waiting: list[Future[_Sent]] = [
                thread.submit(ready, each) for each in islice(left, AHEAD)
            ]
            try:
                while waiting:
                    sent = waiting.pop(0).result()
                    waiting += [thread.submit(ready, each) for each in islice(left, 1)]
                    yield transfer.receive(sent)
            finally:
                for each in waiting:
                    each.cancel()


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """A batch on its way."""

    batch: Batch
    pinned: Batch | None = None  # where it comes from, kept until it has arrived
    arrived: Any = None  # CUDA event


class _Transfer:
    """Copies batches to a device beside its work: pinned memory, a stream of its own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        cuda = device.type == "cuda"
        self._stream: Any = torch.cuda.Stream(device) if cuda else None  # type: ignore[no-untyped-call]

    def send(self, batch: Batch) -> _Sent:
        """Begin to copy; called in the reading thread."""
        if self._stream is None:
            return _Sent(batch=batch.to(self._device))
        pinned = batch.each(Tensor.pin_memory)
        with torch.cuda.stream(self._stream):
            moved = pinned.each(lambda value: value.to(self._device, non_blocking=True))
            arrived = self._stream.record_event()
        return _Sent(batch=moved, pinned=pinned, arrived=arrived)

    def receive(self, sent: _Sent) -> Batch:
        """Have the device's work wait for the copy; the host does not."""
        if sent.arrived is not None:
            work = torch.cuda.current_stream(self._device)
            work.wait_event(sent.arrived)

            def used(value: Tensor) -> Tensor:
                value.record_stream(work)
                return value

            sent.batch.each(used)
        return sent.batch

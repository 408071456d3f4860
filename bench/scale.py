"""How corpuskit behaves as versions grow: seconds and peak memory of every command that reads them.

Two versions of a corpus like JVS (97 speakers, each the source of four others) are made without
any audio: plausible lengths, silences, phrases and durations, one threshold apart. Each command
then runs in a process of its own, which is started, imports what it needs and ends: the seconds
are what a person waits, the memory is the process's peak (pages of mapped files included).

    just scale                                 1,000, 10,000 and 45,000 pairs
    python bench/scale.py --full               and 1,000,000
    python bench/scale.py --pairs 5000         any number
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

SPEAKERS, TARGETS = 97, 4
RATE, HOP, REDUCTION = 24000, 256, 3
BANDS = 80
USUAL, FULL = (1_000, 10_000, 45_000), 1_000_000
TASKS = {
    "list": "corpuskit list",
    "show": "corpuskit show",
    "diff": "corpuskit diff (two versions)",
    "open": "open: every pair, its durations",
    "fingerprint": "fingerprint computed again",
    "load": "read and check the features",
}


def main() -> None:
    """Print the table, or do one task of it."""
    arguments = _arguments()
    if arguments.task:
        _measured(arguments.task, arguments.workspace)
        return
    if arguments.make:
        _make(arguments.make, arguments.workspace, with_features=arguments.features > 0)
        return
    sizes = arguments.pairs or [*USUAL, *([FULL] if arguments.full else [])]
    print(f"{'pairs':>9}  {'task':<36}{'seconds':>9}{'peak MB':>9}")
    if arguments.scratch is not None:
        Path(arguments.scratch).mkdir(parents=True, exist_ok=True)
    for count in sizes:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
            _row_of(count, Path(scratch), arguments.features)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--pairs", type=int, nargs="+", help="numbers of pairs")
    parser.add_argument("--full", action="store_true", help="a million pairs, too")
    parser.add_argument("--features", type=int, default=10_000, help="most pairs with features")
    parser.add_argument("--scratch", type=Path, help="where the versions are made")
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--workspace", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def _row_of(count: int, workspace: Path, most: int) -> None:
    with_features = count <= most
    command = [sys.executable, __file__, "--make", str(count), "--workspace", str(workspace)]
    subprocess.run([*command, "--features", str(int(with_features))], check=True)
    for task, told in TASKS.items():
        if task == "load" and not with_features:
            continue
        seconds, memory = _run(task, workspace)
        print(f"{count:>9,}  {told:<36}{seconds:>9.2f}{memory:>9.0f}", flush=True)
    for path in sorted((workspace / "versions" / "made").iterdir()):
        size = path.stat().st_size / 1e6
        print(f"{count:>9,}    {path.name:<34}{'':>9}{size:>9.1f}", flush=True)


def _make(count: int, workspace: Path, *, with_features: bool) -> None:
    for number, name in enumerate(("made", "made_2")):
        _write(workspace, name, Corpus(count, tail=number), with_features=with_features)


# ------------------------------------------------------------------ one task, one process


def _run(task: str, workspace: Path) -> tuple[float, float]:
    """Return (seconds, MB) of a task in a process of its own.

    A process's peak is at least its parent's size when it was started: this one stays small.
    """
    command = [sys.executable, __file__, "--task", task, "--workspace", str(workspace)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, json.loads(done.stdout.splitlines()[-1])


def _measured(task: str, workspace: Path) -> None:
    {"open": _open, "fingerprint": _fingerprint, "load": _load}.get(task, _command)(task, workspace)
    unit = 1e6 if sys.platform == "darwin" else 1e3
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit))


def _command(task: str, workspace: Path) -> None:
    from corpuskit.cli import main as corpuskit

    names = {"list": [], "show": ["made"], "diff": ["made", "made_2"]}[task]
    sys.argv = ["corpuskit", task, *names, "--workspace", str(workspace)]
    try:
        corpuskit()
    except SystemExit as end:
        if end.code:
            raise


def _open(_: str, workspace: Path) -> None:
    from corpuskit.versions import open_version

    version = open_version(workspace, "made")
    frames = sum(int(version.durations(pair).sum()) for pair in version.pairs)
    if frames <= 0:
        raise SystemExit("no frames")


def _fingerprint(_: str, workspace: Path) -> None:
    from corpuskit.verify import fingerprint_of
    from corpuskit.versions import open_version

    version = open_version(workspace, "made")
    if fingerprint_of(version) != version.fingerprint:
        raise SystemExit("another fingerprint")


def _load(_: str, workspace: Path) -> None:
    import torch

    from corpuskit.versions import open_version
    from trainer.data import Normaliser, load

    version = open_version(workspace, "made")
    normaliser = Normaliser(version.statistics, version.settings.features.energy_gate)
    load(version, version.split("train"), normaliser, version.speakers, torch.device("cpu"))


# ---------------------------------------------------------------------------- the corpus


class Corpus(Sequence[Any]):
    """`count` pairs, sorted by id, each made when it is asked for."""

    def __init__(self, count: int, *, tail: int) -> None:
        """`tail`: 0 or 1, the threshold; four in five recordings feel it."""
        self.count, self.tail = count, tail
        self.sentences = -(-count // (SPEAKERS * TARGETS))
        random = np.random.default_rng(0)
        many = SPEAKERS * self.sentences
        self.length = random.integers(RATE, 4 * RATE, many)  # 1 to 4 s
        felt = random.random(many) < 0.8
        self.start = random.integers(0, RATE // 10, many)
        self.stop = self.length - random.integers(RATE // 8, RATE // 5, many)
        self.stop -= tail * felt * random.integers(1, RATE // 10, many)
        self.first = -(-self.start // HOP)
        self.frames = -(-self.stop // HOP) - self.first
        self.silent = random.integers(1, 7, many)
        self.where = np.sort(random.random((many, 6)), axis=1)
        self._sides: dict[int, Any] = {}
        self.offsets = np.concatenate(([0], np.cumsum(self._reduced(np.arange(count), 0))))

    def _recordings(self, index: Any) -> tuple[Any, Any]:
        """Return the two recordings of pair(s) number `index`."""
        direction, sentence = np.divmod(index, self.sentences)
        source, step = np.divmod(direction, TARGETS)
        targets = (source + step + 1) % SPEAKERS
        return source * self.sentences + sentence, targets * self.sentences + sentence

    def _reduced(self, index: Any, side: int) -> Any:
        return self.frames[self._recordings(index)[side]] // REDUCTION

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Any) -> Any:
        from corpuskit.versions import Pair

        source, target = (int(each) for each in self._recordings(index))
        sentence = f"s{source % self.sentences:06d}"
        return Pair(
            id=f"{_voice(source // self.sentences)}>{_voice(target // self.sentences)}/{sentence}",
            sentence=sentence,
            split=("train", "train", "train", "train", "dev", "eval")[source % self.sentences % 6],
            source=self._kept(source),
            target=self._kept(target),
            breaks=(1, 1),
            merged=0,
            alignment=_name("alignment", index * 2 + self.tail),
            durations=(int(self.offsets[index]), int(self._reduced(index, 0))),
        )

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(self.count))

    def _kept(self, recording: int) -> Any:
        found = self._sides.get(recording)
        if found is None:
            found = self._sides[recording] = self._side(recording)
        return found

    def _side(self, recording: int) -> Any:
        from corpuskit.versions import Side

        frames = int(self.frames[recording])
        at = (self.where[recording, : self.silent[recording]] * (frames - 6)).astype(int).tolist()
        half = frames // REDUCTION // 2
        return Side(
            speaker=_voice(recording // self.sentences),
            recording=self._id(recording),
            object=self.object(recording),
            rate=RATE,
            length=int(self.length[recording]),
            samples=(int(self.start[recording]), int(self.stop[recording])),
            frames=(int(self.first[recording]), int(self.first[recording]) + frames),
            silences=tuple((begin, begin + 5) for begin in at),
            phrases=(half, frames // REDUCTION - half),
        )

    def _id(self, recording: int) -> str:
        return f"{_voice(recording // self.sentences)}/s{recording % self.sentences:06d}"

    @staticmethod
    def object(recording: int) -> str:
        """Name of a recording's features."""
        name: str = _key(recording).hex()
        return name

    @cached_property
    def recordings(self) -> list[Any]:
        """Every recording, used."""
        from corpuskit.versions import Recording

        return [
            Recording(
                id=self._id(number),
                speaker=_voice(number // self.sentences),
                sentence=f"s{number % self.sentences:06d}",
                corpus="made",
                path=f"{self._id(number)}.wav",
                digest=_name("audio", number),
                rate=RATE,
                samples=int(self.length[number]),
                levels=_name("levels", number),
                features=self.object(number),
                state="used",
                reason="",
            )
            for number in range(SPEAKERS * self.sentences)
        ]

    def durations(self) -> Any:
        """Return the durations of all pairs, end to end: target frames spread evenly."""
        flat = np.empty(int(self.offsets[-1]), dtype=np.int32)
        sources, targets = (self._reduced(np.arange(self.count), side) for side in (0, 1))
        for index, (rows, columns) in enumerate(zip(sources, targets, strict=True)):
            edges = np.arange(rows + 1) * columns // rows
            flat[self.offsets[index] : self.offsets[index + 1]] = np.diff(edges)
        return flat


def _voice(number: int) -> str:
    return f"v{number:03d}"


def _name(kind: str, number: int) -> str:
    import hashlib

    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()


def _key(recording: int) -> Any:
    from corpuskit.objects import Key

    audio = {"audio": _name("audio", recording)}
    return Key(stage="features", version=1, inputs=audio, settings={}, libraries={})


# ------------------------------------------------------------------------- two versions


def _write(workspace: Path, name: str, corpus: Corpus, *, with_features: bool) -> None:
    from corpuskit.config import DatasetConfig, from_mapping, to_mapping
    from corpuskit.inventory import Inventory
    from corpuskit.totals import totals_of
    from corpuskit.versions import SCHEMA, fingerprint, objects_of, write_version

    speakers = {_voice(n): _voice(n) for n in range(SPEAKERS)}
    settings = from_mapping(
        DatasetConfig,
        {
            "corpora": {"made": {"root": "/made", "speakers": speakers}},
            "pairs": [{"source": "v000", "target": "v001"}],
            "audio": {"rate": RATE},
            "silence": {"thresh": -60.0 - 10 * corpus.tail},
        },
        "made",
    )
    durations = corpus.durations()
    # Of the first pairs alone: what a version says of itself is as long for any number of pairs.
    totals = totals_of(
        [corpus[i] for i in range(min(1000, len(corpus)))], corpus.recordings, [], settings
    )
    description = {
        "schema": SCHEMA,
        "name": name,
        "family": "made",
        "fingerprint": fingerprint(settings, corpus.recordings, corpus, durations),
        "created": "2024-01-01T00:00:00+00:00",
        "settings": to_mapping(settings),
        "libraries": {},
        "speakers": sorted(speakers),
        "statistics": {side: _statistics() for side in ("source", "target")},
        "totals": totals,
        "voices": [],
        "warnings": [],
    }
    arrays = {"durations": durations, "cost": np.ones(len(corpus), dtype=np.float32)}
    names = sorted(objects_of(corpus, corpus.recordings))
    rows = np.frombuffer(bytes.fromhex("".join(names)), dtype=np.uint8).reshape(-1, 32)
    stock = Inventory(names=rows, sizes=np.full(len(rows), 50_000, dtype=np.int64))
    write_version(workspace, description, corpus, corpus.recordings, [], arrays, stock)
    if with_features and not corpus.tail:
        _write_features(workspace, corpus)


def _statistics() -> dict[str, Any]:
    return {
        **{"mel_mean": [0.0] * BANDS, "mel_var": [1.0] * BANDS, "pitch_mean": 5.0},
        **{"pitch_var": 1.0, "energy_mean": 0.0, "energy_var": 1.0, "frames": 1},
    }


def _write_features(workspace: Path, corpus: Corpus) -> None:
    """Store features of the right sizes under the names the versions give them."""
    from corpuskit.objects import Store

    store, random = Store(workspace), np.random.default_rng(1)
    noise = random.standard_normal((4 * RATE // HOP + 2, BANDS)).astype(np.float32)
    for number in range(len(corpus.length)):
        frames = int(corpus.length[number]) // HOP + 1
        arrays = {
            "f0": np.full(frames, 200, dtype=np.float32),
            "energy": np.abs(noise[:frames, 0]) + 1,
            "mel": noise[:frames],
        }
        store.put(_key(number), arrays)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

"""Time corpuskit's builds against the honest alternatives, on the same recordings and cores.

(a) a first build against bare DIO + StoneMask, which no build can beat;
(b) a first build against the pipeline people write today: pydub's detect_silence, pyworld,
    librosa's mel and DTW, one process a core, one .npy a feature;
(c) a rebuild with another threshold against the first build.

Processes are started and their libraries imported before anything is timed; that start is
given separately. Every figure is from this run.

    just bench                       200 pairs (400 recordings) made of the demo's voices
    python bench/build.py --pairs 20 --jobs 1
    python bench/build.py --source DIR --target DIR    your own folder pair
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RATE, HOP, REDUCTION = 22050, 256, 3
PERIOD = HOP / RATE * 1000  # ms


def main() -> None:
    """Print the table."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        source, target = _corpus(arguments, root)
        pairs = _pairs(source, target)
        files = [path for pair in pairs for path in pair]
        seconds = sum(_seconds(path) for path in files)
        print(
            f"{len(files)} recordings, {seconds:.0f} s of sound, {arguments.jobs} processes, "
            f"{platform.machine()}, Python {platform.python_version()}"
        )
        started = time.perf_counter()
        _parallel(_warm_up, range(2 * arguments.jobs), arguments.jobs)
        _warm_up(0)
        print(f"process start and imports: {time.perf_counter() - started:.1f} s (not below)")
        _wait_until_settled(files)

        bare = _timed(lambda: _parallel(_track, files, arguments.jobs))
        tracking = sum(bare[1]) / arguments.jobs
        today = _timed(
            lambda: _parallel(_todays_pipeline, [(p, root / "npy") for p in pairs], arguments.jobs)
        )
        first = _build(root, source, target, "bench", -80.0, arguments.jobs)
        again = [
            _build(root, source, target, f"bench_{number}", thresh, arguments.jobs)
            for number, thresh in ((2, -70.0), (3, -100.0), (4, -60.0))
        ]
    rebuild = sorted(again)[len(again) // 2]
    rows = [
        ("bare DIO + StoneMask, tracker alone", tracking, None),
        ("bare DIO + StoneMask with reading and resampling", bare[0], None),
        ("today's pipeline (pydub, pyworld, librosa, DTW)", today[0], None),
        ("corpuskit, first build", first, None),
        ("corpuskit, another threshold (median of 3)", rebuild, None),
    ]
    for name, value, _ in rows:
        print(f"{name:<52}{value:9.2f} s {1000 * value / seconds:9.2f} ms per s of sound")
    print(
        f"(a) first build / tracker alone            {first / tracking:8.2f} x   aim: at most 1.15"
    )
    print(f"    first build / tracker with its reading {first / bare[0]:8.2f} x")
    print(
        f"(b) today's pipeline / first build         {today[0] / first:8.2f} x   aim: at least 2.5"
    )
    print(f"(c) first build / other threshold          {first / rebuild:8.2f} x   aim: at least 50")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--target", type=Path)
    return parser.parse_args()


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def _timed(function: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def _parallel(function: Any, items: Any, jobs: int) -> list[Any]:
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=jobs)(delayed(function)(item) for item in items))


# ----------------------------------------------------------------- the corpus


def _corpus(arguments: argparse.Namespace, root: Path) -> tuple[Path, Path]:
    """Return the two folders: given, or the demo's voices repeated at other levels."""
    if arguments.source and arguments.target:
        return arguments.source, arguments.target
    import soundfile

    from corpuskit.demo import make_demo

    for _ in make_demo(root / "demo", jobs=arguments.jobs):
        pass
    folders = []
    for side in ("source", "target"):
        folder = root / side
        folder.mkdir()
        spoken = sorted((root / "demo" / "N2C" / side).glob("*.wav"))
        for number in range(arguments.pairs):
            samples, rate = soundfile.read(spoken[number % len(spoken)], dtype="float64")
            level = 0.97 ** (number // len(spoken))  # other samples, same speech, zeros stay zeros
            soundfile.write(folder / f"{number:04d}.wav", samples * level, rate, subtype="PCM_16")
        folders.append(folder)
    return folders[0], folders[1]


def _pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    stems = {path.stem: path for path in target.rglob("*.wav")}
    return [(p, stems[p.stem]) for p in sorted(source.rglob("*.wav")) if p.stem in stems]


def _seconds(path: Path) -> float:
    import soundfile

    return float(soundfile.info(path).duration)


def _wait_until_settled(files: list[Path]) -> None:
    """The index trusts no file younger than 2 s; recordings of people are older."""
    youngest = max(path.stat().st_ctime for path in files)
    time.sleep(max(0.0, youngest + 2.1 - time.time()))


# ----------------------------------------------------------- what is compared


def _warm_up(_: int) -> None:
    """Import what all three use, and compile what is compiled."""
    import librosa
    import pydub  # noqa: F401
    import soundfile  # noqa: F401

    from corpuskit import build  # noqa: F401
    from corpuskit.align import warp
    from corpuskit.config import FeatureConfig
    from corpuskit.features import extract

    noise = np.random.default_rng(0).standard_normal(RATE)
    extract(noise, RATE, FeatureConfig())
    frames = noise[:800].reshape(10, 80).astype(np.float32)
    warp(frames, frames)
    librosa.sequence.dtw(frames.T, frames.T, metric="cityblock")
    librosa.feature.melspectrogram(y=noise, sr=RATE)


def _resampled(path: Path) -> npt.NDArray[np.float64]:
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float64")
    return np.asarray(soxr.resample(samples, rate, RATE), dtype=np.float64)


def _track(path: Path) -> float:
    """Track F0 and nothing else; returns the seconds inside the tracker."""
    from corpuskit.features import pyworld

    samples = _resampled(path)
    world = pyworld()
    started = time.perf_counter()
    coarse, times = world.dio(samples, RATE, frame_period=PERIOD)
    world.stonemask(samples, coarse, times, RATE)
    return time.perf_counter() - started


def _todays_pipeline(task: tuple[tuple[Path, Path], Path]) -> None:
    """Prepare one pair the way the field's scripts do."""
    import librosa

    (source, target), folder = task
    folder.mkdir(parents=True, exist_ok=True)
    sides = [_todays_features(path, folder) for path in (source, target)]
    reduced = [
        mel[:, : mel.shape[1] // REDUCTION * REDUCTION]
        .reshape(mel.shape[0], -1, REDUCTION)
        .mean(axis=2)
        for mel in sides
    ]
    _, path = librosa.sequence.dtw(reduced[0], reduced[1], metric="cityblock")
    durations = np.bincount(path[::-1][:, 0], minlength=reduced[0].shape[1])
    np.save(folder / f"{source.stem}_duration.npy", durations)


def _todays_features(path: Path, folder: Path) -> npt.NDArray[np.float32]:
    import librosa
    from pydub import AudioSegment
    from pydub.silence import detect_leading_silence, detect_silence

    from corpuskit.features import pyworld

    world = pyworld()
    segment = AudioSegment.from_wav(str(path))
    head = detect_leading_silence(segment, -50.0, 50)
    tail = detect_leading_silence(segment.reverse(), -80.0, 50)
    kept = segment[head : len(segment) - tail]
    detect_silence(kept, min_silence_len=50, silence_thresh=-80.0, seek_step=1)
    detect_silence(kept, min_silence_len=500, silence_thresh=-80.0, seek_step=1)
    samples = np.array(kept.get_array_of_samples(), dtype=np.float64) / 32768
    samples = librosa.resample(samples, orig_sr=kept.frame_rate, target_sr=RATE)
    coarse, times = world.dio(samples, RATE, frame_period=PERIOD)
    f0 = world.stonemask(samples, coarse, times, RATE)
    magnitude = np.abs(librosa.stft(samples.astype(np.float32), n_fft=1024, hop_length=HOP))
    bank = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    mel = np.log(np.maximum(bank @ magnitude, 1e-5)).astype(np.float32)
    for name, array in (("f0", f0), ("energy", np.linalg.norm(magnitude, axis=0)), ("mel", mel)):
        np.save(folder / f"{path.parent.name}_{path.stem}_{name}.npy", array)
    return mel


def _build(root: Path, source: Path, target: Path, name: str, thresh: float, jobs: int) -> float:
    from corpuskit.build import Request, build
    from corpuskit.config import DatasetConfig, from_mapping

    settings = from_mapping(
        DatasetConfig,
        {
            "corpora": {"bench": {"root": "/", "speakers": {"a": str(source), "b": str(target)}}},
            "pairs": [{"source": "a", "target": "b"}],
            "silence": {"thresh": thresh},
        },
        "bench",
    )
    request = Request(name=name, settings=settings, workspace=root / "workspace", jobs=jobs)
    return _timed(lambda: list(build(request)))[0]


if __name__ == "__main__":
    main()

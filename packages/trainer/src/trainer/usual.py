"""What is usual in a run's training: how loud each voice speaks, how long an utterance gets.

    runs/N2C_5/usual.json     written when the run is made

A recording to convert is brought to the level its voice was trained at, and what the model makes
to the level of the target's training. Levels are RMS over speech in dBFS: the mean power of the
frames that are no more than 15.9 dB (ITU-T P.56's margin) below the mean of all that is not far
below the loudest, so that neither pauses nor the room count, and a gain shifts a level exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from corpuskit.config import from_mapping, to_mapping
from corpuskit.errors import CorpuskitError
from corpuskit.files import read_json, write_json
from trainer.errors import BadRun

if TYPE_CHECKING:
    from corpuskit.config import FeatureConfig
    from corpuskit.silence import LevelCurve
    from corpuskit.versions import Version
    from trainer.runs import Run

__all__ = ["Level", "Usual", "level_of_curve", "level_of_frames", "of_run", "of_version", "write"]

Float64 = npt.NDArray[np.float64]

FILE = "usual.json"
FAR_BELOW = 50.0  # dB below the loudest frame: no speech
MARGIN = 15.9  # dB
WINDOW = 0.046  # seconds; the features' 1024 samples at 22,050 Hz
STEP = 10  # ms between two windows on a recording
READ = 400  # utterances whose level is read, evenly drawn, at least a few of each voice
FEWEST = 5  # utterances of a voice
SLACK = 3.0  # dB beyond those percentiles that are usual, too


@dataclass(frozen=True, kw_only=True)
class Level:
    """How loud the utterances of a voice are: RMS over speech, dBFS."""

    median: float
    low: float  # the fifth percentile
    high: float  # the 95th

    def near(self, level: float) -> bool:
        """Tell whether a recording of this level is nothing new to the model."""
        return self.low - SLACK <= level <= self.high + SLACK


@dataclass(frozen=True, kw_only=True)
class Usual:
    """What is usual in the train split of a run's dataset."""

    longest: int  # frames of the longest source utterance
    sources: dict[str, Level]  # by speaker
    targets: dict[str, Level]


def _level(power: Float64) -> float | None:
    """Return the level (dBFS) of frames of these mean squares; None where nothing sounds."""
    loudest = power.max(initial=0.0)
    if loudest <= 0:
        return None
    near = power[power >= loudest * 10 ** (-FAR_BELOW / 10)]
    speech = near[near >= near.mean() * 10 ** (-MARGIN / 10)]
    return float(10 * np.log10(speech.mean()))


def level_of_frames(energy: npt.NDArray[Any], settings: FeatureConfig) -> float | None:
    """Return the level (dBFS) of frames by their energy (T,), the norm of their spectrum.

    Parseval: half of a spectrum holds n_fft / 2 times the windowed samples' energy.
    """
    window = 3 / 8 * settings.win_length  # energy of a Hann window
    return _level(2 * np.square(energy.astype(np.float64)) / (settings.n_fft * window))


def level_of_curve(curve: LevelCurve) -> float | None:
    """Return the level (dBFS) of a recording by its energy in each millisecond."""
    shape = np.hanning(round(1000 * WINDOW) + 2)[1:-1] ** 2  # as frames are windowed
    if curve.milliseconds < len(shape):
        shape = np.ones(max(curve.milliseconds, 1))
    if not curve.milliseconds:
        return None
    power = np.convolve(curve.forward, shape, mode="valid")[::STEP]
    return _level(power / (shape.sum() * curve.rate / 1000))


# ------------------------------------------------------------------ of a training


def of_version(version: Version) -> Usual:
    """Measure the train split of a version, by features it has already."""
    columns = version.columns
    positions = columns.positions("train")
    frames = columns.frames[positions, 0]
    return Usual(
        longest=int((frames[:, 1] - frames[:, 0]).max(initial=0)),
        sources=_levels(version, positions, 0),
        targets=_levels(version, positions, 1),
    )


def _levels(version: Version, positions: npt.NDArray[Any], side: int) -> dict[str, Level]:
    """Return the levels of a side's voices."""
    spoken = version.columns.speaker[positions, side]
    voices = np.unique(spoken)
    each = max(FEWEST, READ // max(len(voices), 1))
    levels = {}
    for voice in voices:
        own = positions[spoken == voice]
        chosen = own[np.unique(np.linspace(0, len(own) - 1, each).astype(np.int64))]
        found = [_of_side(version, int(position), side) for position in chosen]
        heard = [level for level in found if level is not None]
        if heard:
            low, median, high = np.percentile(heard, (5, 50, 95)).round(3).tolist()
            levels[version.speakers[voice]] = Level(median=median, low=low, high=high)
    return levels


def _of_side(version: Version, position: int, side: int) -> float | None:
    pair = version.pairs[position]
    features = version.features((pair.source, pair.target)[side])
    return level_of_frames(features.energy, version.settings.features)


def write(folder: Path, usual: Usual) -> None:
    """Write what is usual into the folder of a run that is being made."""
    write_json(folder / FILE, to_mapping(usual))


def of_run(run: Run) -> Usual | None:
    """Return what is usual in a run's training.

    A run made before this was written is looked up in its dataset; None where that is gone, too.

    Raises
    ------
    BadRun
        The file is damaged.
    """
    path = run.folder / FILE
    if not path.is_file():
        return _looked_up(run)
    try:
        return from_mapping(Usual, read_json(path), f"run {run.tag}")
    except (OSError, ValueError, TypeError, CorpuskitError) as error:
        raise BadRun(f"run {run.tag}: {FILE} cannot be read ({error})") from None


def _looked_up(run: Run) -> Usual | None:
    from corpuskit.versions import open_version

    part = run.record.dataset
    try:
        version = open_version(run.workspace, part.name)
        return of_version(version) if version.fingerprint == part.fingerprint else None
    except CorpuskitError:
        return None

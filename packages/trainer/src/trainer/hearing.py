"""What is heard of a recording that is to be converted: its level, its pauses, its frames.

A recording is treated exactly as the dataset's were: trimmed by the version's silence settings and
measured by corpuskit's code. Before that a constant that would hide its pauses is taken out, it is
brought to the level its voice had in training, where it is not near it, and one too long for the
model is cut into pieces.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from corpuskit import silence
from corpuskit.audio import Sound, resample
from corpuskit.config import DatasetConfig
from corpuskit.errors import BadAudio
from corpuskit.features import Features, continuous_log_f0, extract, for_voice
from corpuskit.silence import LevelCurve, Segmentation
from trainer.pieces import Grid, Piece, pieces_of
from trainer.usual import Level, level_of_curve

__all__ = ["Heard", "Measured", "hear", "phrases_of", "piece", "usable_features", "whole"]

Span = tuple[int, int]
Measured = tuple[Features, tuple[Span, ...]]  # kept frames, and the silent spans among them
Range = tuple[float, float]  # Hz
Samples = npt.NDArray[np.float64]  # (n,), full scale is 1.0

MARGIN = 16  # frames measured before a piece and after it: F0 and spectra see what is around them
MOST_GAIN = 40.0  # dB a recording is turned up at most: what is fainter is noise
LONG_ENOUGH = 2.0  # seconds; in this time speech pauses somewhere
OFFSET = -60.0  # dBFS; a constant below is no louder than a quiet room, and datasets hold such
CLIPPED = 0.01  # of all samples, each between two that are as far out: below, it is not heard


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A recording at the level it is converted at, and what is kept of it."""

    level: float | None  # dBFS, RMS over speech, as it was recorded
    offset: float  # constant that is taken from its samples
    gain: float  # what they are then multiplied by
    kept: Segmentation
    pieces: tuple[Piece, ...]  # none: it is converted as a whole
    notes: tuple[str, ...]  # what is remarkable about it

    def levelled(self, samples: Samples) -> Samples:
        """Return samples of the recording as they are converted."""
        if self.offset:
            samples = samples - self.offset
        return samples if self.gain == 1.0 else samples * self.gain


def hear(
    sound: Sound, settings: DatasetConfig, usual: Level | None = None, longest: int | None = None
) -> Heard:
    """Find level and pauses of a recording, and how to cut it.

    Parameters
    ----------
    usual : level of the voice in training; None: whatever the recording's is
    longest : frames that are converted at once; None: all

    Raises
    ------
    BadAudio
        Nothing to convert is left; the reasons are those a build sets recordings aside with.
    """
    if not sound.samples.any():
        mixed = f" once its {sound.channels} channels are mixed" if sound.channels > 1 else ""
        raise BadAudio(f"is silent from end to end (every sample is zero{mixed})")
    offset = _offset(sound, settings)
    curve = silence.level_curve(replace(sound, samples=sound.samples - offset) if offset else sound)
    level = level_of_curve(curve)
    gain = _gain(level, usual)
    if gain != 1.0:
        curve = LevelCurve(
            forward=curve.forward * gain**2,
            backward=curve.backward * gain**2,
            rate=curve.rate,
            samples=curve.samples,
        )
    kept = silence.analyse(curve, settings.silence)
    if kept.empty:
        raise BadAudio(
            "is below the silence thresholds from end to end",
            f"the dataset's are {settings.silence.head_thresh:g} dBFS for the head and "
            f"{settings.silence.thresh:g} dBFS for the rest; raise the recording's level",
        )
    pieces: tuple[Piece, ...] = ()
    frames = (kept.stop - kept.start) / Grid.of(settings, sound.rate).hop
    if longest is not None and frames > longest:
        pieces = pieces_of(curve, kept, settings, longest)
    return Heard(
        level=level,
        offset=offset,
        gain=gain,
        kept=kept,
        pieces=pieces,
        notes=tuple(_notes(sound, kept, settings, offset)),
    )


def _offset(sound: Sound, settings: DatasetConfig) -> float:
    """Return the constant a converter added, where it alone is louder than silence; else 0.

    No pause could be found with it, nor the recording's level.
    """
    mean = float(sound.samples.mean())
    silent = max(settings.silence.head_thresh, settings.silence.thresh, OFFSET)
    return mean if abs(mean) > 10 ** (silent / 20) else 0.0


def _is_clipped(samples: Samples) -> bool:
    """Tell whether the loudest parts of a recording are flat."""
    out = (samples == samples.max()) | (samples == samples.min())
    flat = np.count_nonzero(out[:-2] & out[1:-1] & out[2:])
    return bool(flat > CLIPPED * len(samples))


def _gain(level: float | None, usual: Level | None) -> float:
    """Return what brings a recording to its voice's usual level; 1 where it is near that."""
    if level is None or usual is None or usual.near(level):
        return 1.0
    wanted = usual.median - level
    return 1.0 if wanted > MOST_GAIN else float(10 ** (wanted / 20))


def _notes(sound: Sound, kept: Segmentation, settings: DatasetConfig, offset: float) -> list[str]:
    """Say what a conversion will suffer from."""
    notes = []
    if _is_clipped(sound.samples):  # which by itself makes for an offset: speech is lopsided
        notes.append("is clipped: what its loudest parts were is lost; record it at a lower level")
    elif offset:
        notes.append("has a constant offset (DC), which is taken out; check the recorder")
    if sound.rate / 2 < min(settings.features.fmax, settings.audio.rate / 2):
        notes.append(
            f"has nothing above {sound.rate / 2:,.0f} Hz, being sampled at {sound.rate:,} Hz; "
            f"the model was trained on speech up to {settings.features.fmax:,.0f} Hz"
        )
    trimmed = kept.start > 0 or kept.stop < len(sound.samples)
    if sound.seconds >= LONG_ENOUGH and not trimmed and not kept.silences:
        notes.append(
            "has no pause: its noise is everywhere above the dataset's silence threshold "
            f"({settings.silence.thresh:g} dBFS); a recording with less noise converts better"
        )
    return notes


# ------------------------------------------------------------------ frames


def usable_features(
    sound: Sound, settings: DatasetConfig, f0_range: Range | None = None
) -> Measured:
    """Measure a recording as it is and keep what a build with `settings` would keep of it.

    `f0_range` (Hz) is where the speaker's F0 was searched; None: where the settings say.
    Returns the kept frames and the silent spans among them.

    Raises
    ------
    BadAudio
        Nothing to convert is left; the reasons are those a build sets recordings aside with.
    """
    return whole(sound, hear(sound, settings), settings, f0_range)


def whole(
    sound: Sound, heard: Heard, settings: DatasetConfig, f0_range: Range | None = None
) -> Measured:
    """Measure what is kept of a recording.

    Raises
    ------
    BadAudio
        It is too short, or has no voice.
    """
    measured = _measured(sound, heard, heard.kept, settings, f0_range)
    kept, _ = measured
    if len(kept) < settings.align.reduction:
        seconds = settings.align.reduction * settings.features.hop_length / settings.audio.rate
        raise BadAudio(
            "keeps less than one reduced frame after trimming",
            f"at least {seconds:.3f} s of speech are needed",
        )
    if not _voiced(kept, settings):
        raise BadAudio("has no voiced frame")
    return measured


def piece(
    sound: Sound,
    heard: Heard,
    part: Piece,
    settings: DatasetConfig,
    f0_range: Range | None = None,
) -> Measured | None:
    """Measure a piece of a recording; None where no frame of it is voiced."""
    grid = Grid.of(settings, sound.rate)
    stop = part.start + part.frames * grid.hop
    margin = MARGIN * grid.hop
    begin = max(math.ceil(part.start - margin), 0)  # the first frame is centred at the start
    end = min(round(stop + margin), len(sound.samples))
    kept = Segmentation(
        start=part.start - begin,
        stop=min(round(stop), len(sound.samples)) - begin,
        silences=tuple((a - begin, b - begin) for a, b in heard.kept.silences),
        breaks=(),
    )
    cut = sound.cut(begin, end)
    frames, silences = _measured(cut, heard, kept, settings, f0_range, part.frames)
    if len(frames) < settings.align.reduction or not _voiced(frames, settings):
        return None
    return frames, silences


def _measured(
    sound: Sound,
    heard: Heard,
    kept: Segmentation,
    settings: DatasetConfig,
    f0_range: Range | None,
    most: int | None = None,
) -> Measured:
    """Measure sound and cut out the frames that are kept, `most` at most."""
    rate, hop = settings.audio.rate, settings.features.hop_length
    samples = heard.levelled(sound.samples)
    every = extract(
        resample(samples, sound.rate, rate), rate, for_voice(settings.features, f0_range)
    )
    first, stop = silence.kept_frames(kept, len(samples), sound.rate, len(every), (rate, hop))
    frames = (first, stop if most is None else min(first + most, len(every)))
    spans = silence.spans_to_frames(kept.silences, frames, sound.rate, (rate, hop))
    return every.cut(*frames), spans


def _voiced(frames: Features, settings: DatasetConfig) -> bool:
    gate = settings.features.energy_gate
    return bool(continuous_log_f0(frames.f0, frames.energy, gate).any())


def phrases_of(silences: Sequence[Span], frames: int, settings: DatasetConfig) -> tuple[int, ...]:
    """Return the phrases of a recording of `frames` frames by its own pauses, in reduced frames.

    A phrase ends where a silence of at least `silence.min_silence_len` begins, to the nearest
    reduced frame; none is empty. What the target of a pair would pause at is not known at use.
    """
    reduction, hop = settings.align.reduction, settings.features.hop_length
    enough = settings.silence.min_silence_len * settings.audio.rate / (1000 * hop)
    whole = frames // reduction
    begins = {round(a / reduction) for a, b in silences if b - a >= enough}
    cuts = [0, *sorted(cut for cut in begins if 0 < cut < whole), whole]
    return tuple(b - a for a, b in itertools.pairwise(cuts))

"""Where a recording is silent: head and tail, spans inside, phrase breaks.

Levels are RMS in dBFS over windows that move in 1 ms steps. The curve kept for a
recording is its energy in each millisecond, counted from the start and (for the tail,
whose windows hang on the last sample) from the end; any window is then one difference
of a cumulative sum, and a new threshold needs no audio.

The window grid and comparisons are pydub's (`detect_silence`, `detect_leading_silence`);
`rms="int16"` also floors the RMS to whole 16-bit steps as pydub does. In floating point a
threshold below -90.3 dBFS can still tell faint noise from digital zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from corpuskit.audio import Sound
from corpuskit.config import SilenceConfig
from corpuskit.objects import Key, libraries

__all__ = [
    "LEVELS_VERSION",
    "LevelCurve",
    "Segmentation",
    "analyse",
    "kept_frames",
    "level_curve",
    "levels_key",
    "silent_spans",
    "spans_to_frames",
    "threshold_warnings",
    "trimmed",
]

Float64 = npt.NDArray[np.float64]
Span = tuple[int, int]

LEVELS_VERSION = 2  # raise when levels objects hold other numbers for the same input
_BLOCK = 10_000  # ms measured at once
FLOOR_16_BIT = -90.31  # dBFS; the level of one 16-bit step


@dataclass(frozen=True, kw_only=True)
class LevelCurve:
    """Energy of a recording, millisecond by millisecond."""

    forward: Float64  # (M,) sum of squares in each ms from the start; full scale 1.0
    backward: Float64  # (M,) the same, counted from the last sample
    rate: int  # Hz
    samples: int  # length of the recording

    @property
    def milliseconds(self) -> int:
        """Length in whole milliseconds, rounded (pydub's `len`)."""
        return len(self.forward)

    @cached_property
    def edges(self) -> npt.NDArray[np.int64]:
        """Sample positions of milliseconds 0..M; the last may lie past the end (M + 1,)."""
        return _grid(self.milliseconds, self.rate)

    @cached_property
    def cumulative(self) -> Float64:
        """Energy from the start up to each edge (M + 1,)."""
        return _cumulative(self.forward)


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """What is kept of a recording and where that is silent, in samples of the recording."""

    start: int  # first sample kept
    stop: int  # one past the last
    silences: tuple[Span, ...]  # silent spans inside, at least min_len long
    breaks: tuple[Span, ...]  # silent spans at least min_silence_len long: phrases break there

    @property
    def empty(self) -> bool:
        """Whether nothing is left between head and tail."""
        return self.stop <= self.start


def levels_key(audio_digest: str) -> Key:
    """Return the key of a recording's level curve: only audio and code determine it."""
    return Key(
        stage="levels",
        version=LEVELS_VERSION,
        inputs={"audio": audio_digest},
        settings={},
        libraries=libraries("numpy"),
    )


def _grid(milliseconds: int, rate: int) -> npt.NDArray[np.int64]:
    """Sample positions of 0..milliseconds, truncated exactly as pydub truncates them."""
    return (np.arange(milliseconds + 1) * (rate / 1000.0)).astype(np.int64)


def level_curve(sound: Sound) -> LevelCurve:
    """Measure the energy of every millisecond of a recording, from both ends."""
    samples = len(sound.samples)
    milliseconds = round(1000 * (samples / sound.rate))
    edges = np.minimum(_grid(milliseconds, sound.rate), samples)
    return LevelCurve(
        forward=_energies(sound.samples, edges),
        backward=_energies(sound.samples[::-1], edges),
        rate=sound.rate,
        samples=samples,
    )


def _energies(samples: Float64, edges: npt.NDArray[np.int64]) -> Float64:
    """Return the sum of squares between each two edges, a block at a time: memory stays flat."""
    found = np.zeros(max(len(edges) - 1, 0))
    for first in range(0, len(found), _BLOCK):
        here = edges[first : first + _BLOCK + 1]
        squares = np.square(samples[here[0] : here[-1]], dtype=np.float64)
        found[first : first + _BLOCK] = _sums_between(squares, here - here[0])
    return found


def _sums_between(values: Float64, edges: npt.NDArray[np.int64]) -> Float64:
    if len(edges) < 2:
        return np.zeros(0)
    # A closing zero lets the last edge be the end itself; equal edges sum to nothing.
    sums = np.add.reduceat(np.append(values, 0.0), edges)[:-1]
    sums[np.diff(edges) == 0] = 0.0
    return np.asarray(sums)


def _cumulative(energy: Float64) -> Float64:
    return np.concatenate(([0.0], np.cumsum(energy)))


def _quiet(
    energy: Float64, counts: npt.NDArray[np.int64], thresh: float, rms: str, *, strict: bool
) -> npt.NDArray[np.bool_]:
    """Tell which windows of summed `energy` over `counts` samples are below `thresh` dBFS.

    pydub compares "at most" inside and "below" at the head; `strict` chooses.
    """
    limit = 10.0 ** (thresh / 20.0)
    if rms == "int16":
        steps = np.floor(np.sqrt(np.maximum(energy, 0.0) / np.maximum(counts, 1)) * 32768.0)
        return np.asarray(steps < limit * 32768.0 if strict else steps <= limit * 32768.0)
    bound = counts * limit**2
    return np.asarray(energy < bound if strict else energy <= bound)


def silent_spans(curve: LevelCurve, thresh: float, min_len: int, rms: str = "float") -> list[Span]:
    """Return all silent spans of a whole recording, in ms, as pydub's `detect_silence`.

    Parameters
    ----------
    thresh : dBFS; a window whose RMS is at most this is silent
    min_len : ms; length of the window
    rms : "float", or "int16" to floor the RMS to 16-bit steps

    """
    return _spans_within(curve, 0, curve.milliseconds, thresh, min_len, rms)


def _spans_within(
    curve: LevelCurve, first: int, stop: int, thresh: float, min_len: int, rms: str
) -> list[Span]:
    """Return the silent spans (ms) made of windows that lie wholly in [first, stop)."""
    if stop - first < min_len:
        return []
    total = curve.cumulative[first : stop + 1]
    edges = curve.edges[first : stop + 1]
    quiet = _quiet(
        total[min_len:] - total[:-min_len],
        edges[min_len:] - edges[:-min_len],
        thresh,
        rms,
        strict=False,
    )
    if not quiet.any():
        return []
    starts = np.flatnonzero(quiet)
    # Windows that touch or overlap run together, even where one between them is louder.
    gaps = np.flatnonzero(np.diff(starts) > min_len)
    begins = starts[np.concatenate(([0], gaps + 1))] + first
    ends = starts[np.concatenate((gaps, [len(starts) - 1]))] + first + min_len
    return [(int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)]


def trimmed(curve: LevelCurve, settings: SilenceConfig) -> Span:
    """Return the kept part (start, stop) in samples after trimming head and tail.

    Windows of `trim_window` ms are dropped from either end while they stay below the
    threshold; the tail's windows are counted back from the last sample.
    """
    window = settings.trim_window
    head = _leading(curve, curve.forward, settings.head_thresh, window, settings.rms)
    tail = _leading(curve, curve.backward, settings.thresh, window, settings.rms)
    start = curve.samples if head >= curve.milliseconds else int(curve.edges[head])
    stop = 0 if tail >= curve.milliseconds else curve.samples - int(curve.edges[tail])
    return start, stop


def _leading(curve: LevelCurve, energy: Float64, thresh: float, window: int, rms: str) -> int:
    """Return how many ms of leading windows are quiet (pydub's `detect_leading_silence`)."""
    marks = np.append(np.arange(0, curve.milliseconds, window), curve.milliseconds)
    if len(marks) < 2:
        return 0
    sums = np.add.reduceat(energy, marks[:-1])
    loud = np.flatnonzero(~_quiet(sums, np.diff(curve.edges[marks]), thresh, rms, strict=True))
    return int(marks[loud[0]]) if len(loud) else curve.milliseconds


def analyse(curve: LevelCurve, settings: SilenceConfig) -> Segmentation:
    """Decide what of a recording is kept and where it is silent."""
    start, stop = trimmed(curve, settings)
    if stop <= start:
        return Segmentation(start=start, stop=stop, silences=(), breaks=())
    edges = curve.edges
    first = int(np.searchsorted(edges, start))  # the ms grid inside the kept part
    last = min(int(np.searchsorted(edges, stop, side="right")) - 1, curve.milliseconds)

    def spans(min_len: int) -> tuple[Span, ...]:
        found = _spans_within(curve, first, last, settings.thresh, min_len, settings.rms)
        return tuple((int(edges[a]), int(edges[b])) for a, b in found)

    return Segmentation(
        start=start,
        stop=stop,
        silences=spans(settings.min_len),
        breaks=spans(settings.min_silence_len),
    )


def kept_frames(
    segmentation: Segmentation, samples: int, rate: int, frames: int, frame_rate: tuple[int, int]
) -> Span:
    """Return the frames (first, stop) of a whole recording whose centres are kept.

    Parameters
    ----------
    samples, rate : length and rate of the recording
    frames : number of frames of the whole recording
    frame_rate : (working sample rate, hop); frame k is centred at k * hop / rate seconds

    """
    working, hop = frame_rate
    first = _first_frame_at(segmentation.start, rate, working, hop)
    stop = frames
    if segmentation.stop < samples:
        stop = min(_first_frame_at(segmentation.stop, rate, working, hop), frames)
    return min(first, frames), max(stop, min(first, frames))


def _first_frame_at(sample: int, rate: int, working: int, hop: int) -> int:
    """First frame centred at or after `sample` (of `rate` Hz), in whole numbers."""
    return -(-sample * working // (rate * hop))


def spans_to_frames(
    spans: tuple[Span, ...], kept: Span, rate: int, frame_rate: tuple[int, int]
) -> tuple[Span, ...]:
    """Turn spans in samples into spans of frames relative to the first kept frame."""
    first, stop = kept
    working, hop = frame_rate
    result = []
    for begin, end in spans:
        a = min(max(_first_frame_at(begin, rate, working, hop), first), stop)
        b = min(max(_first_frame_at(end, rate, working, hop), first), stop)
        if b > a:
            result.append((a - first, b - first))
    return tuple(result)


def threshold_warnings(settings: SilenceConfig) -> list[str]:
    """Say in plain words what a threshold under the 16-bit floor can and cannot find."""
    return [
        f"{key} {level:g} dBFS is below the 16-bit floor ({FLOOR_16_BIT} dBFS): "
        "on 16-bit recordings it finds digital zero only, "
        "so every threshold down there is one setting"
        for key, level in (
            ("silence.thresh", settings.thresh),
            ("silence.head_thresh", settings.head_thresh),
        )
        if level < FLOOR_16_BIT
    ]

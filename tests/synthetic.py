"""A synthetic voice whose truth is known: F0, level, pauses, phrases, and how two voices align.

A sentence is a row of vowels with pauses between some of them. A voice speaks it: harmonics of a
known F0 contour, shaped by formants that glide from vowel to vowel, at a known level, over a known
noise floor (or digital zero). Two voices speak the same sentence at different rates, so the time
map from one to the other is known too.

    >>> spoken = speak(sentence(3), Voice(f0=120.0))
    >>> spoken.truth.phrases          # ((start, stop) in samples, ...)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import soundfile as sf

if TYPE_CHECKING:
    from pathlib import Path

FULL_SCALE = 32768.0  # what 0 dBFS is, in 16-bit steps
CONTROL = 0.005  # seconds between two points of the envelope's course
RAMP = 0.002  # seconds a phrase takes to reach its level
VOWELS = {
    "a": (800.0, 1200.0, 2600.0),
    "i": (300.0, 2300.0, 3000.0),
    "u": (350.0, 1300.0, 2400.0),
    "e": (500.0, 1900.0, 2600.0),
    "o": (500.0, 900.0, 2500.0),
}
Array = npt.NDArray[np.float64]
Span = tuple[int, int]  # samples, stop exclusive


@dataclass(frozen=True, kw_only=True)
class Voice:
    """How a voice speaks; every value is what the recording really has."""

    f0: float = 120.0  # Hz, centre of the contour
    sway: float = 2.0  # semitones the contour moves to either side
    sway_rate: float = 1.5  # movements per second
    tract: float = 1.0  # formants are multiplied by this; above 1 is a shorter vocal tract
    pace: float = 1.0  # above 1 speaks faster; pauses are not changed
    level: float = -20.0  # dBFS, RMS of each phrase
    floor: float | None = None  # dBFS, RMS of the room's noise everywhere; None is digital zero
    rate: int = 22050  # Hz


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """What is said: phrases of vowels, and the pauses around and between them in seconds."""

    phrases: tuple[str, ...]
    pauses: tuple[float, ...]  # one more than there are phrases: head, between, tail
    vowel: float = 0.16  # seconds a vowel lasts at pace 1


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is known of a recording, without having measured it."""

    voice: Voice
    sentence: Sentence
    length: int  # samples
    phrases: tuple[Span, ...]
    pauses: tuple[Span, ...]  # head, between, tail; with a floor of None all zeros

    def f0(self, seconds: Array) -> Array:
        """F0 in Hz at the given times; 0 in pauses. Shape in, shape out."""
        samples = np.asarray(seconds) * self.voice.rate
        spoken = np.zeros(samples.shape, dtype=bool)
        for start, stop in self.phrases:
            spoken |= (samples >= start) & (samples < stop)
        return np.where(spoken, contour(self.voice, np.asarray(seconds)), 0.0)

    def said_at(self, seconds: Array) -> Array:
        """Place in the sentence at the given times: equal places sound alike in every voice.

        Phrase k covers k to k + 1 of this scale; a pause stays on the number it lies at.
        """
        edges = np.array(self.phrases, dtype=float).ravel() / self.voice.rate
        places = np.repeat(np.arange(len(self.phrases) + 1), 2)[1:-1]
        return np.interp(seconds, edges, places)


@dataclass(frozen=True, kw_only=True)
class Spoken:
    samples: npt.NDArray[np.int16] = field(repr=False)  # int16 (n,)
    truth: Truth


def contour(voice: Voice, seconds: Array) -> Array:
    """The F0 contour in Hz, defined everywhere."""
    sway = voice.sway / 12 * np.sin(2 * np.pi * voice.sway_rate * seconds)
    course: Array = voice.f0 * 2.0**sway
    return course


def sentence(seed: int, *, phrases: int = 2, vowels: int = 3, pause: float = 0.3) -> Sentence:
    """Draw a sentence: `phrases` phrases of `vowels` vowels, no vowel twice in a row."""
    rng = np.random.default_rng([seed, 7])
    names = list(VOWELS)
    drawn: list[str] = []
    for _ in range(phrases * vowels):
        drawn.append(rng.choice([name for name in names if not drawn or name != drawn[-1]]))
    spoken = tuple("".join(drawn[k * vowels : (k + 1) * vowels]) for k in range(phrases))
    inside = tuple(pause + round(0.05 * float(rng.random()), 3) for _ in range(phrases - 1))
    return Sentence(phrases=spoken, pauses=(0.15, *inside, 0.2))


def speak(said: Sentence, voice: Voice, *, seed: int = 0) -> Spoken:
    """The recording of a sentence by a voice; equal arguments give equal samples."""
    lengths = [round(pause * voice.rate) for pause in said.pauses]
    phrases, pauses, at = [], [], 0
    for index, vowels in enumerate(said.phrases):
        length = round(len(vowels) * said.vowel / voice.pace * voice.rate)
        pauses.append((at, at + lengths[index]))
        at += lengths[index]
        phrases.append((at, at + length))
        at += length
    pauses.append((at, at + lengths[-1]))
    truth = Truth(
        voice=voice,
        sentence=said,
        length=at + lengths[-1],
        phrases=tuple(phrases),
        pauses=tuple(pauses),
    )
    signal = np.zeros(truth.length)
    for span, vowels in zip(truth.phrases, said.phrases, strict=True):
        signal[slice(*span)] = _phrase(span, vowels, voice)
    if voice.floor is not None:
        signal += noise(truth.length, voice.floor, seed)
    steps = np.clip(np.rint(signal * FULL_SCALE), -32768, 32767)
    return Spoken(samples=steps.astype(np.int16), truth=truth)


def noise(length: int, level: float, seed: int) -> Array:
    """White noise of exactly `level` dBFS RMS; float64 (length,), full scale is 1."""
    drawn = np.random.default_rng([seed, 11]).standard_normal(length)
    scaled: Array = drawn * (10 ** (level / 20) / np.sqrt(np.mean(drawn**2)))
    return scaled


def level_of(samples: npt.NDArray[np.int16]) -> float:
    """RMS level of int16 samples in dBFS; -inf for digital zero."""
    rms = np.sqrt(np.mean((samples / FULL_SCALE) ** 2))
    return float(20 * np.log10(rms)) if rms > 0 else -np.inf


def _phrase(span: Span, vowels: str, voice: Voice) -> Array:
    """Harmonics of the contour under gliding formants, at exactly the voice's level."""
    start, stop = span
    times = np.arange(start, stop) / voice.rate
    knots = np.arange(times[0], times[-1] + 2 * CONTROL, CONTROL)
    formants = _formants(knots - times[0], (stop - start) / voice.rate, vowels, voice.tract)
    turn = np.exp(2j * np.pi * _cycles(voice, times))
    harmonic, signal = turn.copy(), np.zeros(stop - start)
    for number in range(1, int(0.45 * voice.rate / voice.f0 / 2 ** (voice.sway / 12)) + 1):
        gain = _gain(number * contour(voice, knots), formants)
        signal += harmonic.imag * np.interp(times, knots, gain)
        harmonic *= turn
    ramp = round(RAMP * voice.rate)
    signal[:ramp] *= np.linspace(0, 1, ramp)
    signal[-ramp:] *= np.linspace(1, 0, ramp)
    signal *= 10 ** (voice.level / 20) / np.sqrt(np.mean(signal**2))
    return signal


def _cycles(voice: Voice, times: Array) -> Array:
    """Periods passed at each sample: the contour's running integral."""
    return np.cumsum(contour(voice, times)) / voice.rate


def _formants(seconds: Array, length: float, vowels: str, tract: float) -> Array:
    """Formant frequencies (knots, 3) in Hz: steady in a vowel's middle, gliding between two."""
    middles = (np.arange(len(vowels)) + 0.5) / len(vowels) * length
    table = np.array([VOWELS[vowel] for vowel in vowels])
    glides = [np.interp(seconds, middles, table[:, column]) for column in range(table.shape[1])]
    return tract * np.stack(glides, axis=1)


def _gain(frequency: Array, formants: Array) -> Array:
    """Resonances of three formants over a falling slope, (knots,)."""
    widths = np.array([90.0, 110.0, 170.0])
    peaks = 1 / (1 + ((frequency[:, None] - formants) / widths) ** 2)
    gain: Array = (peaks.sum(axis=1) + 0.01) / (1 + frequency / 1000)
    return gain


@dataclass(frozen=True, kw_only=True)
class PairCorpus:
    """A folder pair on disk, and the truth of every recording by sentence id."""

    root: Path
    source: Path
    target: Path
    truth_source: dict[str, Truth]
    truth_target: dict[str, Truth]

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(sorted(self.truth_source))


# The lab's case: the source recorded in a room, the target with digitally silent gaps.
SOURCE = Voice(f0=115.0, tract=0.9, pace=0.9, level=-24.0, floor=-58.0, rate=22050)
TARGET = Voice(f0=235.0, tract=1.15, sway=3.0, level=-18.0, floor=None, rate=22050)


def write_pair_corpus(
    root: Path, count: int = 6, *, source: Voice = SOURCE, target: Voice = TARGET, seed: int = 0
) -> PairCorpus:
    """Write `count` pairs of about 1.5 s as root/source/*.wav and root/target/*.wav, 16-bit."""
    corpus = PairCorpus(
        root=root,
        source=root / "source",
        target=root / "target",
        truth_source={},
        truth_target={},
    )
    for number in range(1, count + 1):
        name, said = f"utt_{number:03d}", sentence(seed * 1000 + number)
        for folder, voice, truths in (
            (corpus.source, source, corpus.truth_source),
            (corpus.target, target, corpus.truth_target),
        ):
            spoken = speak(said, voice, seed=seed * 1000 + number)
            write_recording(folder / f"{name}.wav", spoken)
            truths[name] = spoken.truth
    return corpus


def write_recording(path: Path, spoken: Spoken) -> None:
    """Write a 16-bit wav at the voice's own rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, spoken.samples, spoken.truth.voice.rate, subtype="PCM_16")

"""The demo's voices: one packaged synthetic voice, made into several different speakers.

A phrase is spoken by Open JTalk at a chosen speed and pitch, and then played back a
little faster or slower: that scales its formants like a shorter or longer vocal tract,
as on a tape. Level, room noise and pauses are added here, so that their truth is known:
a room voice hisses through its pauses; a gated voice (a studio take cut by a noise gate)
is digital zero there, with breath of one to three 16-bit steps on either side. Such breath
lies between -100 and -80 dBFS: those two thresholds see different silences.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import itertools
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.errors import Refused

__all__ = ["VOICES", "Voice", "engine", "phrase_texts", "speak"]

Samples = npt.NDArray[np.float64]  # in 16-bit steps: full scale is 32768
BASE_PITCH = 337.0  # Hz, geometric mean of what the packaged voice speaks
QUIET = -50.0  # dB below a phrase's loudest 5 ms: where it begins and ends
MARGIN = 0.015  # seconds kept around a phrase
FADE = 0.005  # seconds
PACKAGE = "pyopenjtalk-plus"


@dataclass(frozen=True, kw_only=True)
class Voice:
    """A speaker of the demo."""

    folder: str  # below the demo's folder
    rate: int  # Hz, of its recordings
    pitch: float  # Hz, about the geometric mean of its F0
    tract: float  # its formants, as a multiple of the packaged voice's
    pace: float  # speed, as a multiple of the packaged voice's
    level: float  # dBFS, RMS of its speech
    floor: float  # dBFS, RMS of the noise around it
    gated: bool = False  # pauses are cut to digital zero


# N and C are far apart on purpose; the others lie around and between them.
VOICES = {
    "N": Voice(
        folder="N2C/source", rate=48000, pitch=120, tract=0.84, pace=0.88, level=-27, floor=-57
    ),
    "C": Voice(
        folder="N2C/target",
        rate=24000,
        pitch=250,
        tract=1.08,
        pace=1.08,
        level=-23,
        floor=-70,
        gated=True,
    ),
    "haru": Voice(
        folder="multi/haru", rate=24000, pitch=210, tract=1.0, pace=1.0, level=-25, floor=-62
    ),
    "natsu": Voice(
        folder="multi/natsu", rate=24000, pitch=140, tract=0.88, pace=1.06, level=-25, floor=-60
    ),
    "aki": Voice(
        folder="multi/aki",
        rate=24000,
        pitch=180,
        tract=0.94,
        pace=0.94,
        level=-25,
        floor=-70,
        gated=True,
    ),
    "fuyu": Voice(
        folder="multi/fuyu", rate=24000, pitch=290, tract=1.14, pace=1.12, level=-24, floor=-64
    ),
}


def engine() -> str:
    """Name and version of the speech synthesiser.

    Raises
    ------
    Refused
        It is not installed.

    """
    try:
        return f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"
    except importlib.metadata.PackageNotFoundError:
        raise Refused(
            f"the demo's voices need {PACKAGE}, which is not installed", f"pip install {PACKAGE}"
        ) from None


def phrase_texts(sentence: str) -> tuple[str, str]:
    """What the source and the target are given to say; they differ in where they pause.

    The marks are explained at the top of demo_sentences.txt.
    """
    source = sentence.replace("＼", "").replace("／", "、")
    target = sentence.replace("／", "").replace("＼", "、")
    return source, target


def speak(text: str, name: str, number: int, seed: int) -> npt.NDArray[np.int16]:
    """Speak `text` as voice `name`; int16 (n,) at the voice's rate.

    Equal arguments give equal samples; `number` is the sentence's, so that pauses and noise
    of each recording are its own.
    """
    voice = VOICES[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    phrases = _levelled(_phrases(text, voice), voice)
    pieces = [_edge(voice, rng, leading=True)]
    for index, phrase in enumerate(phrases):
        if index:
            pieces.append(_pause(voice, rng))
        pieces.append(_over_noise(phrase, voice, rng))
    pieces.append(_edge(voice, rng, leading=False))
    steps = np.rint(np.concatenate(pieces))
    return np.clip(steps, -32768, 32767).astype(np.int16)


# ---------------------------------------------------------------------- speech


@functools.cache
def _open_jtalk() -> Any:
    """Load the synthesiser; what it prints about optional parts is kept off stdout."""
    with contextlib.redirect_stdout(io.StringIO()):
        import pyopenjtalk
    return pyopenjtalk


def _phrases(text: str, voice: Voice) -> list[Samples]:
    """The phrases of `text`, each cut to where it sounds; pauses are left to the caller."""
    import soxr

    jtalk = _open_jtalk()
    labels = jtalk.extract_fullcontext(text, use_sudachi_kanji_yomi=False, predict_nani=False)
    half_tones = 12 * np.log2(voice.pitch / voice.tract / BASE_PITCH)
    phrases = []
    for part in _between_pauses(labels):
        spoken, rate = jtalk.synthesize(part, voice.pace / voice.tract, half_tones)
        played = soxr.resample(spoken, rate * voice.tract, voice.rate)
        phrases.append(_sounding(played, voice.rate))
    return phrases


def _between_pauses(labels: list[str]) -> list[list[str]]:
    """Split full-context labels at pauses, each part with the pauses on both its sides."""
    pauses = [
        index
        for index, label in enumerate(labels)
        if label.split("-", 1)[1].split("+", 1)[0] in ("sil", "pau")
    ]
    return [
        labels[before : after + 1]
        for before, after in itertools.pairwise(pauses)
        if after > before + 1
    ]


def _sounding(samples: Samples, rate: int) -> Samples:
    """Cut a phrase to where it is heard, with soft ends."""
    hop = rate // 200
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    power = np.mean(frames**2, axis=1)
    heard = np.flatnonzero(power > power.max() * 10 ** (QUIET / 10))
    margin = round(MARGIN * rate)
    start = max(0, int(heard[0]) * hop - margin)
    stop = min(len(samples), (int(heard[-1]) + 1) * hop + margin)
    cut = samples[start:stop].copy()
    ramp = np.linspace(0, 1, round(FADE * rate))
    cut[: len(ramp)] *= ramp
    cut[-len(ramp) :] *= ramp[::-1]
    return cut


def _levelled(phrases: list[Samples], voice: Voice) -> list[Samples]:
    """Bring the phrases, taken together, to the voice's level."""
    rms = np.sqrt(np.mean(np.concatenate(phrases) ** 2))
    return [phrase * (_steps(voice.level) / rms) for phrase in phrases]


def _steps(level: float) -> float:
    """RMS in 16-bit steps of a level in dBFS."""
    return float(32768 * 10 ** (level / 20))


def _over_noise(phrase: Samples, voice: Voice, rng: np.random.Generator) -> Samples:
    return phrase + _noise(len(phrase), _steps(voice.floor), rng)


# ---------------------------------------------------------------------- pauses


def _edge(voice: Voice, rng: np.random.Generator, *, leading: bool) -> Samples:
    """What stands before the first phrase or after the last."""
    if not voice.gated:
        return _noise(_draw(voice, rng, 0.15, 0.45), _steps(voice.floor), rng)
    breath = _breath(_draw(voice, rng, 0.15, 0.45), rng)
    zeros = np.zeros(_draw(voice, rng, 0.1, 0.5))
    return np.concatenate([zeros, breath] if leading else [breath, zeros])


def _pause(voice: Voice, rng: np.random.Generator) -> Samples:
    """What stands between two phrases.

    A gated voice's pause is short, or long because of breath on both sides of a short gap,
    or a long gap: at least 500 ms of silence at no threshold, at -80 only, or at both.
    """
    if not voice.gated:
        return _noise(_draw(voice, rng, 0.25, 0.7), _steps(voice.floor), rng)
    kind = rng.choice(["short", "breath", "gap"], p=[0.15, 0.6, 0.25])
    breaths = (0.18, 0.26) if kind == "breath" else (0.04, 0.08)
    zeros = {"short": (0.12, 0.25), "breath": (0.18, 0.3), "gap": (0.54, 0.7)}[str(kind)]
    before = _breath(_draw(voice, rng, *breaths), rng)
    after = _breath(_draw(voice, rng, *breaths), rng)
    return np.concatenate([before, np.zeros(_draw(voice, rng, *zeros)), after])


def _draw(voice: Voice, rng: np.random.Generator, shortest: float, longest: float) -> int:
    """Number of samples between two lengths in seconds."""
    return round(rng.uniform(shortest, longest) * voice.rate)


def _breath(length: int, rng: np.random.Generator) -> Samples:
    """Noise of 1.2 to 2.6 steps RMS, in whole steps: about -89 to -82 dBFS."""
    return np.rint(_noise(length, float(rng.uniform(1.2, 2.6)), rng))


def _noise(length: int, rms: float, rng: np.random.Generator) -> Samples:
    """White noise of `rms` steps, float64 (length,)."""
    noise: Samples = rng.standard_normal(length) * rms
    return noise

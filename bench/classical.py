"""The classical conversion for few pairs: a joint Gaussian mixture and parameter generation.

Toda, Black and Tokuda, "Voice conversion based on maximum-likelihood estimation of spectral
parameter trajectory" (2007), on WORLD: mel-cepstra (24 coefficients beside c0) and their deltas of
aligned frames of both voices are one Gaussian mixture (scikit-learn's); the target's trajectory is
the likeliest one given the source's. F0 moves by mean and deviation of its logarithm; c0,
aperiodicity and durations are the source's own.

    convert = fit(source_sounds, target_sounds)
    samples = convert(samples, rate)                    at 16 kHz
    voice = convert.voice(samples, rate)                what it would be if sound held it exactly
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.audio import resample
from corpuskit.features import pyworld
from trainer.metrics import (
    ALPHA,
    FRAME,
    ORDER,
    RATE,
    Voice,
    frequency_transform,
    mel_cepstrum,
)
from trainer.warping import warping_path

Float64 = npt.NDArray[np.float64]
Sound = tuple[Float64, int]
COMPONENTS = 16
ROUNDS = 2  # of aligning with what the mixture so far makes of the source
LOUD = 40.0  # dB under the loudest frame; quieter frames are not learnt from


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """WORLD's view of a sound, T frames of 5 ms at 16 kHz."""

    f0: Float64  # (T,) Hz
    envelope: Float64  # (T, bins) power
    aperiodicity: Float64  # (T, bins)
    cepstrum: Float64  # (T, 25), c0 first

    @property
    def loud(self) -> npt.NDArray[np.bool_]:
        """Which frames are speech (T,)."""
        level = 10 * np.log10(self.envelope.mean(axis=1))
        return np.asarray(level > level.max() - LOUD)


def parameters(sound: Sound) -> Parameters:
    world = pyworld()
    samples = np.ascontiguousarray(resample(np.asarray(sound[0], float), sound[1], RATE))
    f0, times = world.harvest(samples, RATE, frame_period=FRAME)
    envelope = np.maximum(world.cheaptrick(samples, f0, times, RATE), 1e-16)
    return Parameters(
        f0=f0,
        envelope=envelope,
        aperiodicity=world.d4c(samples, f0, times, RATE),
        cepstrum=mel_cepstrum(envelope, ORDER, ALPHA),
    )


def with_deltas(cepstrum: Float64) -> Float64:
    """Return (T, 2 D): the values and their slopes."""
    padded = np.pad(cepstrum, ((1, 1), (0, 0)), mode="edge")
    return np.concatenate([cepstrum, (padded[2:] - padded[:-2]) / 2], axis=1)


def fit(
    sources: Sequence[Sound], targets: Sequence[Sound], components: int = COMPONENTS, seed: int = 0
) -> Conversion:
    """Learn to convert from pairs of sounds."""
    from sklearn.mixture import GaussianMixture

    pairs = [(parameters(a), parameters(b)) for a, b in zip(sources, targets, strict=True)]
    tracks = [
        tuple(with_deltas(each.cepstrum[:, 1:])[each.loud] for each in pair) for pair in pairs
    ]
    guesses = [source for source, _ in tracks]
    mixture: Any = None
    for _ in range(ROUNDS):
        joint = []
        for (source, target), guess in zip(tracks, guesses, strict=True):
            i, j = _aligned(guess[:, :ORDER], target[:, :ORDER])
            joint.append(np.concatenate([source[i], target[j]], axis=1))
        mixture = GaussianMixture(components, reg_covar=1e-5, random_state=seed, max_iter=40)
        mixture.fit(np.concatenate(joint))
        guesses = [with_deltas(_trajectory(mixture, source)) for source, _ in tracks]
    voiced = zip(*([np.log(p.f0[p.f0 > 0]) for p in pair] for pair in pairs), strict=True)
    source, target = (np.concatenate(side) for side in voiced)
    return Conversion(
        mixture=mixture,
        source_f0=(float(source.mean()), float(source.std())),
        target_f0=(float(target.mean()), float(target.std())),
    )


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What was learnt."""

    mixture: Any
    source_f0: tuple[float, float]  # mean and deviation of log F0
    target_f0: tuple[float, float]

    def __call__(self, samples: Float64, rate: int) -> Float64:
        """Convert a sound; the result is at 16 kHz."""
        found, cepstrum, f0 = self._converted(samples, rate)
        envelope = _envelope(cepstrum, found.envelope.shape[1])
        return np.asarray(pyworld().synthesize(f0, envelope, found.aperiodicity, RATE, FRAME))

    def voice(self, samples: Float64, rate: int) -> Voice:
        """Return the converted parameters themselves, as if they had been measured."""
        found, cepstrum, f0 = self._converted(samples, rate)
        loud = np.flatnonzero(found.loud)
        seconds = float(loud[-1] - loud[0] + 1) * FRAME / 1000
        return Voice(cepstrum=cepstrum[loud, 1:], f0=f0[loud], seconds=seconds)

    def _converted(self, samples: Float64, rate: int) -> tuple[Parameters, Float64, Float64]:
        found = parameters((samples, rate))
        cepstrum = found.cepstrum.copy()
        cepstrum[:, 1:] = _trajectory(self.mixture, with_deltas(cepstrum[:, 1:]))
        (mean, deviation), (wanted, spread) = self.source_f0, self.target_f0
        moved = (np.log(np.maximum(found.f0, 1)) - mean) / deviation
        return found, cepstrum, np.where(found.f0 > 0, np.exp(moved * spread + wanted), 0.0)


def _aligned(guess: Float64, target: Float64) -> tuple[Any, Any]:
    from scipy.spatial.distance import cdist

    return warping_path(cdist(guess, target))


def _trajectory(mixture: Any, source: Float64) -> Float64:
    """Return the likeliest (T, D) given the source's values and slopes (T, 2 D)."""
    from scipy.linalg import solveh_banded
    from scipy.stats import multivariate_normal

    width = source.shape[1]
    half = width // 2
    means, covariances = mixture.means_, mixture.covariances_
    scores = np.stack(
        [
            np.log(weight)
            + multivariate_normal.logpdf(source, mean[:width], covariance[:width, :width])
            for weight, mean, covariance in zip(mixture.weights_, means, covariances, strict=True)
        ]
    )
    chosen = scores.argmax(axis=0)  # the likeliest mixture sequence, as in the paper
    expected, precision = np.empty_like(source), np.empty_like(source)
    for k in np.unique(chosen):
        rows = chosen == k
        xx, yx = covariances[k][:width, :width], covariances[k][width:, :width]
        gain = np.linalg.solve(xx, yx.T).T
        expected[rows] = means[k][width:] + (source[rows] - means[k][:width]) @ gain.T
        precision[rows] = 1 / np.diag(covariances[k][width:, width:] - gain @ yx.T)
    out = np.empty((len(source), half))
    for d in range(half):
        out[:, d] = _smoothest(
            expected[:, d],
            precision[:, d],
            expected[:, half + d],
            precision[:, half + d],
            solveh_banded,
        )
    return out


def _smoothest(
    value: Float64, weight: Float64, slope: Float64, slope_weight: Float64, solve: Any
) -> Float64:
    """Solve W' P W y = W' P m for one coefficient: a banded (T, T) system."""
    frames = len(value)
    bands = np.zeros((3, frames))
    right = weight * value
    bands[2] = weight
    for shift in (-1, 1):  # y[t + shift] enters the slope at t with shift / 2
        t = np.clip(np.arange(frames) + shift, 0, frames - 1)
        np.add.at(bands[2], t, slope_weight * 0.25)
        np.add.at(right, t, slope_weight * slope * shift * 0.5)
    before, after = (
        np.maximum(np.arange(frames) - 1, 0),
        np.minimum(np.arange(frames) + 1, frames - 1),
    )
    cross = -0.25 * slope_weight
    for low, high, each in zip(before, after, cross, strict=True):
        bands[2 - (high - low), high] += each * (2 if high == low else 1)
    return np.asarray(solve(bands, right))


def _envelope(cepstrum: Float64, bins: int) -> Float64:
    """Return the power envelope (T, bins) of mel-cepstra (T, 25): SPTK's `mc2sp`."""
    unwarped = cepstrum @ frequency_transform(cepstrum.shape[1], bins - 1, -ALPHA).T
    angles = np.outer(np.arange(bins), np.linspace(0, np.pi, bins))
    return np.ascontiguousarray(np.exp(2 * unwarped @ np.cos(angles)))

"""The mel in torch is corpuskit's, and has a gradient everywhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from corpuskit.config import FeatureConfig
from corpuskit.features import extract
from synthetic import FULL_SCALE, Voice, sentence, speak
from trainer.vocoders.mel import MelSpectrum

RATE = 22050
SETTINGS = FeatureConfig()


def voice() -> np.ndarray:
    return speak(sentence(1), Voice(rate=RATE, floor=-60.0)).samples / FULL_SCALE


def noise(level: float) -> np.ndarray:
    return level * np.random.default_rng(0).normal(size=RATE)


def batch(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(samples.astype(np.float32))[None]


@pytest.mark.parametrize(
    "samples",
    [voice(), noise(0.1), noise(1e-5), np.zeros(RATE), np.r_[noise(0.3), np.zeros(RATE)]],
    ids=["speech", "noise", "hiss", "silence", "speech into silence"],
)
@pytest.mark.parametrize(
    "settings",
    [SETTINGS, dataclasses.replace(SETTINGS, win_length=800, hop_length=200, mels=64, fmin=50.0)],
    ids=["default", "short window"],
)
def test_it_is_corpuskits(samples: np.ndarray, settings: FeatureConfig) -> None:
    found = MelSpectrum(settings, RATE).whole(batch(samples))[0].T.numpy()

    np.testing.assert_allclose(found, extract(samples, RATE, settings).mel, atol=1e-4)


def test_frames_of_a_segment_are_those_of_the_whole() -> None:
    samples, hop, first = voice(), 256, 20
    spectrum = MelSpectrum(SETTINGS, RATE)
    whole = spectrum.whole(batch(samples))[0]

    cut = samples[first * hop - hop // 2 :][: 32 * hop]
    segment = spectrum.segment(batch(cut))[0]

    assert segment.shape == (80, 32)
    inside = slice(2, 30)  # two frames on either side hear the mirrored edge
    torch.testing.assert_close(
        segment[:, inside], whole[:, first : first + 32][:, inside], atol=1e-4, rtol=0
    )


def test_another_highest_band_is_that_of_other_settings() -> None:
    wide = dataclasses.replace(SETTINGS, fmax=11025.0)

    found = MelSpectrum(SETTINGS, RATE, 11025.0).whole(batch(voice()))[0].T.numpy()

    np.testing.assert_allclose(found, extract(voice(), RATE, wide).mel, atol=1e-4)


@pytest.mark.parametrize("samples", [np.zeros(8192), noise(0.1)[:8192]], ids=["silence", "noise"])
def test_its_gradient_is_finite(samples: np.ndarray) -> None:
    given = batch(samples).requires_grad_()

    MelSpectrum(SETTINGS, RATE).segment(given).abs().mean().backward()

    assert given.grad is not None
    assert given.grad.isfinite().all()
    assert bool(given.grad.any()) == bool(samples.any())  # below the floor nothing is to learn

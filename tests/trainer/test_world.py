"""WORLD from a mel: sounds with known F0, the mel that was asked for, and real speech."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from corpuskit.audio import decode, resample
from corpuskit.config import FeatureConfig
from corpuskit.features import extract
from synthetic import FULL_SCALE, Voice, sentence, speak
from trainer.metrics import analyse, compare
from trainer.vocoders.griffinlim import GriffinLim
from trainer.vocoders.speech import Speech, aloud
from trainer.vocoders.world import World, _smoothed

RATE = 22050
SETTINGS = FeatureConfig()
FLOOR = float(np.log(SETTINGS.mel_floor))


def speech_of(samples: np.ndarray, features: FeatureConfig = SETTINGS) -> Speech:
    found = extract(samples, RATE, features)
    return Speech(mel=found.mel, f0=found.f0)


def voice(seed: int = 1) -> np.ndarray:
    return speak(sentence(seed), Voice(rate=RATE, floor=-60.0)).samples / FULL_SCALE


# ------------------------------------------------------------------------- sounds


@pytest.mark.parametrize("hertz", [90.0, 180.0, 320.0])
def test_it_speaks_at_the_f0_it_is_given_not_at_the_mels(hertz: float) -> None:
    spoken = speech_of(voice())
    spoken = dataclasses.replace(spoken, f0=np.where(spoken.f0 > 0, hertz, 0).astype(np.float32))

    samples = World(SETTINGS, RATE)(spoken)

    found = extract(samples.astype(np.float64), RATE, SETTINGS).f0
    heard = found[found > 0]
    assert len(heard) > 0.5 * np.count_nonzero(spoken.f0)
    assert np.median(heard) == pytest.approx(hertz, rel=0.01)


def test_unvoiced_frames_have_no_pitch() -> None:
    spoken = speech_of(voice())
    mel = gaussian_filter1d(spoken.mel, 4.0, axis=1)  # no harmonics to be seen
    voiced = extract(World(SETTINGS, RATE)(Speech(mel=mel, f0=spoken.f0)), RATE, SETTINGS).f0 > 0

    samples = World(SETTINGS, RATE)(Speech(mel=mel, f0=np.zeros_like(spoken.f0)))

    found = extract(samples.astype(np.float64), RATE, SETTINGS).f0 > 0
    assert found.mean() < 0.1 < 0.4 < voiced.mean()
    assert np.std(samples) > 0.2 * np.std(voice())


def test_its_mel_is_the_mel_that_was_asked_for() -> None:
    spoken = speech_of(voice())

    samples = World(SETTINGS, RATE)(spoken)

    again = extract(samples.astype(np.float64), RATE, SETTINGS).mel
    loud = spoken.mel > spoken.mel.max() - 7
    assert np.abs(again - spoken.mel)[loud].mean() < 0.2
    assert abs(np.mean((again - spoken.mel)[loud])) < 0.1


def test_length_and_type_follow_the_frames() -> None:
    spoken = speech_of(voice())
    few = Speech(mel=spoken.mel[:21], f0=spoken.f0[:21])

    samples = World(SETTINGS, RATE)(few)

    assert samples.shape == (20 * 256,)
    assert samples.dtype == np.float32


@pytest.mark.parametrize("frames", [0, 1])
def test_too_few_frames_for_a_sample_give_none(frames: int) -> None:
    few = Speech(mel=np.zeros((frames, 80), np.float32), f0=np.full(frames, 100.0, np.float32))

    assert len(World(SETTINGS, RATE)(few)) == 0


@given(frames=st.integers(2, 9), pitch=st.sampled_from([0.0, 40.0, 200.0, 1500.0]))
def test_a_few_frames_are_finite_and_can_be_heard_in_full_scale(frames: int, pitch: float) -> None:
    draw = np.random.default_rng(frames)
    mel = draw.normal(0, 4, (frames, 80)).astype(np.float32)
    f0 = np.where(draw.random(frames) < 0.5, pitch, 0).astype(np.float32)

    samples = aloud(World(SETTINGS, RATE), Speech(mel=mel, f0=f0))

    assert samples.shape == ((frames - 1) * 256,)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0


def test_silence_stays_inaudible() -> None:
    mel = np.full((40, 80), FLOOR, dtype=np.float32)

    samples = World(SETTINGS, RATE)(Speech(mel=mel, f0=np.zeros(40, dtype=np.float32)))

    assert np.abs(samples).max() < 10 ** (-80 / 20)


def test_the_same_frames_give_the_same_samples() -> None:
    spoken = speech_of(voice())

    assert np.array_equal(World(SETTINGS, RATE)(spoken), World(SETTINGS, RATE)(spoken))


@pytest.mark.parametrize(
    "features",
    [
        dataclasses.replace(SETTINGS, n_fft=1024, win_length=800, hop_length=200),
        dataclasses.replace(SETTINGS, n_fft=2048, win_length=1200, hop_length=300),
        dataclasses.replace(SETTINGS, n_fft=1024, mels=64, fmax=RATE / 2),
    ],
    ids=["short window", "hop not in n_fft", "bands to the Nyquist frequency"],
)
def test_other_frame_settings_fit_too(features: FeatureConfig) -> None:
    samples = voice()

    copy = World(features, RATE)(speech_of(samples, features))

    assert len(copy) == len(samples) // features.hop_length * features.hop_length
    assert compare(analyse(copy, RATE), analyse(samples, RATE)).mcd < 4.5


def test_smoothing_is_the_mean_over_the_width() -> None:
    power = np.random.default_rng(0).random((3, 50))
    width = np.array([1.0, 3.0, 9.0])

    found = _smoothed(power, width)

    for row, half in enumerate((0, 1, 4)):
        mirrored = np.pad(power[row], half, mode="reflect")
        expected = [mirrored[k : k + 2 * half + 1].mean() for k in range(50)]
        np.testing.assert_allclose(found[row], expected, rtol=1e-9)


# --------------------------------------------------------------------- real speech


def test_real_speech_is_nearer_than_griffin_lims(arctic: Path) -> None:
    mcd: dict[str, list[float]] = {"world": [], "griffinlim48": []}
    for name in ("clb/arctic_a0026", "slt/arctic_a0027", "slt/arctic_a0003"):
        sound = decode(arctic / f"{name}.wav")
        samples = resample(sound.samples, sound.rate, RATE)
        reference = analyse(sound.samples, sound.rate)
        for vocoder in (World(SETTINGS, RATE), GriffinLim(SETTINGS, RATE)):
            distances = compare(analyse(vocoder(speech_of(samples)), RATE), reference)
            mcd[vocoder.name].append(distances.mcd)
            assert distances.log_f0_rmse is not None
            assert distances.log_f0_rmse < 0.08
            assert distances.voicing_error < 0.12
            assert distances.duration_error < 0.05

    assert np.mean(mcd["world"]) < np.mean(mcd["griffinlim48"]) - 0.15

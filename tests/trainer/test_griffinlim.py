"""Mel to samples: the inverse's residual, sounds with known content, and real speech."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.audio import decode, resample
from corpuskit.config import FeatureConfig
from corpuskit.features import extract, mel_filterbank
from synthetic import FULL_SCALE, Voice, sentence, speak
from trainer.metrics import analyse, compare
from trainer.vocoders.griffinlim import GriffinLim, linear_magnitude
from trainer.vocoders.speech import Speech, aloud

RATE = 22050
SETTINGS = FeatureConfig()


def mel_of(samples: np.ndarray, features: FeatureConfig = SETTINGS) -> np.ndarray:
    return extract(samples, RATE, features).mel


def spoken(mel: np.ndarray) -> Speech:
    return Speech(mel=mel, f0=np.zeros(len(mel), dtype=np.float32))


def voice(seed: int = 1) -> np.ndarray:
    return speak(sentence(seed), Voice(rate=RATE, floor=-60.0)).samples / FULL_SCALE


def tone(hertz: float, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)


def magnitude_of(samples: np.ndarray, features: FeatureConfig = SETTINGS) -> np.ndarray:
    """(T, bins) STFT magnitude on the grid of `extract`, frame by frame."""
    padded = np.pad(samples, features.n_fft // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(features.n_fft) / features.n_fft)
    starts = range(0, len(padded) - features.n_fft + 1, features.hop_length)
    return np.abs([np.fft.rfft(window * padded[k : k + features.n_fft]) for k in starts])


# ---------------------------------------------------------------- the mel inverse


def test_the_linear_spectrum_has_the_mel_it_was_made_from() -> None:
    mel = mel_of(voice())

    again = np.log(linear_magnitude(mel, RATE, SETTINGS) @ mel_filterbank(RATE, SETTINGS).T)

    assert np.abs(again - mel).mean() < 1e-3


def test_the_linear_spectrum_is_nearer_to_the_truth_than_a_clipped_pseudo_inverse(
    arctic: Path,
) -> None:
    sound = decode(arctic / "slt" / "arctic_a0026.wav")
    samples = resample(sound.samples, sound.rate, RATE)
    mel, truth = mel_of(samples), magnitude_of(samples)
    pseudo = np.linalg.pinv(mel_filterbank(RATE, SETTINGS))
    clipped = np.maximum(np.exp(mel) @ pseudo.T, 0)

    found = linear_magnitude(mel, RATE, SETTINGS)

    assert (found >= 0).all()
    assert np.linalg.norm(found - truth) < 0.65 * np.linalg.norm(clipped - truth)


# ------------------------------------------------------------------------- sounds


@pytest.mark.parametrize("hertz", [220.0, 1000.0, 4000.0])
def test_a_tone_keeps_its_frequency_and_level(hertz: float) -> None:
    samples = GriffinLim(SETTINGS, RATE)(spoken(mel_of(tone(hertz))))

    middle = samples[4096:-4096]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    found = np.argmax(spectrum) * RATE / len(middle)
    band = 40.0 + 0.05 * hertz  # Hz; half of a mel band's width
    assert found == pytest.approx(hertz, abs=band)
    assert 20 * np.log10(np.std(middle) / np.std(tone(hertz))) == pytest.approx(0, abs=2.0)


def test_length_and_type_follow_the_mel() -> None:
    samples = GriffinLim(SETTINGS, RATE, iterations=2)(spoken(mel_of(voice())[:21]))

    assert samples.shape == (20 * 256,)
    assert samples.dtype == np.float32


@pytest.mark.parametrize("frames", [0, 1])
def test_too_few_frames_for_a_sample_give_none(frames: int) -> None:
    assert len(GriffinLim(SETTINGS, RATE)(spoken(np.zeros((frames, 80), dtype=np.float32)))) == 0


def test_silence_stays_digitally_silent() -> None:
    mel = np.full((30, 80), np.log(SETTINGS.mel_floor), dtype=np.float32)

    assert not GriffinLim(SETTINGS, RATE)(spoken(mel)).any()


def test_a_silent_gap_stays_quiet_between_loud_parts() -> None:
    gap = np.concatenate((tone(500), np.zeros(RATE // 2), tone(700)))

    samples = GriffinLim(SETTINGS, RATE)(spoken(mel_of(gap)))

    inside = samples[RATE + 2048 : RATE + RATE // 2 - 2048]
    assert np.abs(inside).max() < 1e-4


def test_the_same_mel_gives_the_same_samples() -> None:
    mel = mel_of(voice())

    assert np.array_equal(
        GriffinLim(SETTINGS, RATE)(spoken(mel)), GriffinLim(SETTINGS, RATE)(spoken(mel))
    )


def test_another_seed_gives_another_waveform_of_the_same_mel() -> None:
    mel = mel_of(voice())

    one, other = (GriffinLim(SETTINGS, RATE, seed=seed)(spoken(mel)) for seed in (0, 1))

    assert not np.array_equal(one, other)
    assert compare(analyse(one, RATE), analyse(other, RATE)).mcd < 2.5


@settings(max_examples=10, deadline=None)
@given(gain=st.floats(1.0, 100.0))
def test_a_louder_mel_is_louder_to_any_level_and_turned_down_as_a_whole(gain: float) -> None:
    mel, vocoder = mel_of(voice()), GriffinLim(SETTINGS, RATE, iterations=2)
    louder = spoken(mel + np.float32(np.log(gain)))

    samples, heard = vocoder(louder), aloud(vocoder, louder)

    peak = np.abs(samples).max()
    quiet = vocoder(spoken(mel))
    assert peak == pytest.approx(gain * np.abs(quiet).max(), rel=0.05)
    np.testing.assert_allclose(heard, samples / max(peak, 1.0), rtol=1e-6)
    assert np.abs(heard).max() <= 1.0


@pytest.mark.parametrize(
    "features",
    [
        dataclasses.replace(SETTINGS, n_fft=1024, win_length=800, hop_length=200),
        dataclasses.replace(SETTINGS, n_fft=2048, win_length=1200, hop_length=300),
        dataclasses.replace(SETTINGS, n_fft=512, win_length=512, hop_length=100, mels=64),
    ],
    ids=["short window", "hop not in n_fft", "hop not in window"],
)
def test_other_frame_settings_fit_too(features: FeatureConfig) -> None:
    samples = voice()

    copy = GriffinLim(features, RATE)(spoken(mel_of(samples, features)))

    assert len(copy) == len(samples) // features.hop_length * features.hop_length
    assert compare(analyse(copy, RATE), analyse(samples, RATE)).mcd < 4.5


def test_more_iterations_come_nearer_to_the_spectrum() -> None:
    mel = mel_of(voice())
    wanted = linear_magnitude(mel, RATE, SETTINGS)

    errors = [
        np.linalg.norm(magnitude_of(GriffinLim(SETTINGS, RATE, iterations=n)(spoken(mel))) - wanted)
        for n in (2, 10, 50)
    ]

    assert errors == sorted(errors, reverse=True)
    assert errors[-1] / np.linalg.norm(wanted) < 0.15


def test_the_name_tells_what_the_sound_depends_on() -> None:
    assert GriffinLim(SETTINGS, RATE, iterations=60).name == "griffinlim60"


# --------------------------------------------------------------------- real speech


@pytest.mark.parametrize("speaker", ["clb", "slt"])
def test_real_speech_survives(arctic: Path, speaker: str) -> None:
    sound = decode(arctic / speaker / "arctic_a0026.wav")
    mel = mel_of(resample(sound.samples, sound.rate, RATE))

    copy = GriffinLim(SETTINGS, RATE)(spoken(mel))

    distances = compare(analyse(copy, RATE), analyse(sound.samples, sound.rate))
    assert distances.mcd < 3.5  # measured over ten sentences: 3.17 dB
    assert distances.log_f0_rmse is not None
    assert distances.log_f0_rmse < 0.05
    assert distances.voicing_error < 0.08
    assert distances.duration_error < 0.03

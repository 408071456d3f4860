"""Features: librosa and WORLD, called directly, are the truth; so is a voice of known F0."""

from __future__ import annotations

import dataclasses
import math
import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
import pyworld
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from threadpoolctl import threadpool_limits

from corpuskit.audio import decode, resample
from corpuskit.config import FeatureConfig
from corpuskit.features import (
    Features,
    continuous_log_f0,
    extract,
    features_key,
    for_voice,
    frame_count,
    mel_filterbank,
)
from synthetic import FULL_SCALE, Spoken, Voice, sentence, speak

DEFAULT = FeatureConfig()
# Settings that differ in everything; (rate, settings).
CASES = {
    "hifigan": (22050, DEFAULT),
    "16k": (16000, FeatureConfig(n_fft=512, hop_length=200, win_length=400, mels=40, fmax=7600.0)),
    "48k": (48000, FeatureConfig(n_fft=2048, hop_length=300, win_length=1200, mels=128, fmin=60.0)),
    "8k": (8000, FeatureConfig(n_fft=256, hop_length=80, win_length=256, mels=24, fmax=4000.0)),
}


def spoken(rate: int = 22050, number: int = 1) -> Spoken:
    return speak(sentence(number), Voice(f0=150.0, floor=-60.0, rate=rate))


def signal(rate: int = 22050, number: int = 1) -> np.ndarray:
    return spoken(rate, number).samples / FULL_SCALE


# --------------------------------------------------------------- against librosa


def librosa_magnitude(samples: np.ndarray, settings: FeatureConfig) -> np.ndarray:
    """|STFT| (bins, T) in double precision, reflected at the edges."""
    return np.abs(
        librosa.stft(
            samples.astype(np.float64),
            n_fft=settings.n_fft,
            hop_length=settings.hop_length,
            win_length=settings.win_length,
            center=True,
            pad_mode="reflect",
        )
    )


def librosa_mel(samples: np.ndarray, rate: int, settings: FeatureConfig) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=samples.astype(np.float64),
        sr=rate,
        n_fft=settings.n_fft,
        hop_length=settings.hop_length,
        win_length=settings.win_length,
        center=True,
        pad_mode="reflect",
        power=1.0,
        n_mels=settings.mels,
        fmin=settings.fmin,
        fmax=settings.fmax,
        htk=False,
        norm="slaney",
    )
    return np.log(np.maximum(mel, settings.mel_floor)).T


@pytest.mark.parametrize("case", CASES)
def test_mel_is_librosas(case: str) -> None:
    rate, settings_ = CASES[case]
    samples = signal(rate)

    mel = extract(samples, rate, settings_).mel

    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel, librosa_mel(samples, rate, settings_), rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_energy_is_the_norm_of_librosas_frames(case: str) -> None:
    rate, settings_ = CASES[case]
    samples = signal(rate)

    energy = extract(samples, rate, settings_).energy

    expected = np.linalg.norm(librosa_magnitude(samples, settings_), axis=0) + 1e-6
    np.testing.assert_allclose(energy, expected, rtol=1e-5)


def test_real_speech_has_librosas_mel_and_energy(arctic: Path) -> None:
    recording = decode(arctic / "slt" / "arctic_a0001.wav")
    samples = resample(recording.samples, recording.rate, 22050)

    found = extract(samples, 22050, DEFAULT)

    # In single precision a band 80 dB below its frame's loudest keeps three digits after the point.
    error = np.abs(found.mel - librosa_mel(samples, 22050, DEFAULT))
    assert np.quantile(error, 0.99) < 1e-4
    assert error.max() < 1e-3
    expected = np.linalg.norm(librosa_magnitude(samples, DEFAULT), axis=0) + 1e-6
    np.testing.assert_allclose(found.energy, expected, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_filterbank_is_librosas_and_feeds_a_bin_to_two_bands_at_most(case: str) -> None:
    rate, settings_ = CASES[case]

    bank = mel_filterbank(rate, settings_)

    expected = librosa.filters.mel(
        sr=rate,
        n_fft=settings_.n_fft,
        n_mels=settings_.mels,
        fmin=settings_.fmin,
        fmax=settings_.fmax,
    )
    assert bank.shape == (settings_.mels, settings_.n_fft // 2 + 1)
    np.testing.assert_array_equal(bank, expected.astype(np.float32))
    assert np.count_nonzero(bank, axis=0).max() <= 2


def test_digital_zero_is_the_floor_and_stays_finite() -> None:
    found = extract(np.zeros(5000), 22050, DEFAULT)

    assert (found.mel == np.float32(math.log(1e-5))).all()
    assert found.energy == pytest.approx(1e-6)
    assert not found.f0.any()


# ----------------------------------------------------------------- against WORLD


def world_dio(samples: np.ndarray, rate: int, settings: FeatureConfig) -> np.ndarray:
    period = settings.hop_length / rate * 1000
    coarse, times = pyworld.dio(
        samples, rate, f0_floor=settings.f0_floor, f0_ceil=settings.f0_ceil, frame_period=period
    )
    return pyworld.stonemask(samples, coarse, times, rate)


def world_harvest(samples: np.ndarray, rate: int, settings: FeatureConfig) -> np.ndarray:
    period = settings.hop_length / rate * 1000
    track, _ = pyworld.harvest(
        samples, rate, f0_floor=settings.f0_floor, f0_ceil=settings.f0_ceil, frame_period=period
    )
    return track


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("rate", [16000, 22050])
@pytest.mark.parametrize(("method", "tracker"), [("dio", world_dio), ("harvest", world_harvest)])
def test_f0_is_worlds(method: str, tracker, rate: int, number: int) -> None:
    settings_ = FeatureConfig(f0_method=method, f0_floor=60.0, f0_ceil=500.0)
    samples = signal(rate, number)

    f0 = extract(samples, rate, settings_).f0

    expected = tracker(samples, rate, settings_)
    assert f0.dtype == np.float32
    assert abs(len(expected) - len(f0)) <= 1
    shared = min(len(f0), len(expected))
    np.testing.assert_array_equal(f0[:shared], expected[:shared].astype(np.float32))
    assert not f0[shared:].any()


@pytest.mark.parametrize("method", ["dio", "harvest"])
@pytest.mark.parametrize("voice", [Voice(f0=105.0, floor=-65.0), Voice(f0=240.0, sway=3.0)])
def test_a_known_f0_is_recovered_on_the_frame_grid(method: str, voice: Voice) -> None:
    said = speak(sentence(4), voice)

    f0 = extract(said.samples / FULL_SCALE, voice.rate, FeatureConfig(f0_method=method)).f0

    times = np.arange(len(f0)) * DEFAULT.hop_length / voice.rate  # frame k is at k * hop
    inner = np.zeros(len(f0), dtype=bool)
    outer = np.zeros(len(f0), dtype=bool)
    for start, stop in said.truth.phrases:  # trackers smear the edges of a phrase
        inner |= (times > start / voice.rate + 0.04) & (times < stop / voice.rate - 0.04)
        outer |= (times > start / voice.rate - 0.04) & (times < stop / voice.rate + 0.04)
    cents = 1200 * np.abs(np.log2(f0[inner] / said.truth.f0(times)[inner]))
    assert (f0[inner] > 0).all()
    assert np.median(cents) < 10
    assert np.quantile(cents, 0.95) < 50
    if voice.floor is None or method == "dio":  # Harvest hears voices in a room's noise
        assert not f0[~outer].any()


def test_f0_keeps_between_its_bounds() -> None:
    # The voice is at 150 Hz; a search from 200 Hz on must not report it.
    above = FeatureConfig(f0_floor=200.0, f0_ceil=700.0, f0_method="harvest")

    f0 = extract(signal(), 22050, above).f0

    assert (f0[f0 > 0] > 190).all()


# ------------------------------------------------------------------- frame counts


@settings(max_examples=60)
@given(
    st.integers(1, 9000),
    st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000]),
    st.sampled_from([80, 200, 256, 300, 512]),
    st.sampled_from(["dio", "harvest"]),
)
@example(1, 22050, 256, "dio")
@example(255, 22050, 256, "dio")
@example(256, 22050, 256, "dio")
@example(257, 22050, 256, "harvest")
@example(25 * 256, 22050, 256, "harvest")
@example(32 * 300, 44100, 300, "dio")
def test_every_feature_has_one_frame_more_than_whole_hops(
    length: int, rate: int, hop: int, method: str
) -> None:
    samples = 0.1 * np.sin(np.arange(length) * 2 * np.pi * 140 / rate)
    settings_ = FeatureConfig(hop_length=hop, f0_method=method, fmax=4000.0)

    found = extract(samples, rate, settings_)

    expected = 1 + length // hop
    assert frame_count(length, hop) == expected
    assert len(found) == expected
    assert found.f0.shape == found.energy.shape == (expected,)
    assert found.mel.shape == (expected, 80)
    for array in (found.f0, found.energy, found.mel):
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    assert (found.energy > 0).all()
    assert (found.f0 >= 0).all()


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_frame_counts_agree_around_every_multiple_of_the_hop(rate: int) -> None:
    # WORLD counts in floating-point milliseconds, and is one off at some of these lengths.
    off = 0
    for frames in range(3, 32):
        for length in (frames * 256 - 1, frames * 256, frames * 256 + 1):
            samples = 0.1 * np.sin(np.arange(length) * 0.04)
            found = extract(samples, rate, DEFAULT)
            assert len(found.f0) == len(found.mel) == 1 + length // 256
            off += len(world_dio(samples, rate, DEFAULT)) != len(found)
    if rate == 22050:
        assert off  # else this test tries nothing that needs care


@pytest.mark.parametrize("length", [2, 100, 500, 1023, 1500])
def test_recordings_shorter_than_a_window_are_reflected_as_librosa_does(length: int) -> None:
    samples = np.random.default_rng(length).uniform(-0.5, 0.5, length)

    mel = extract(samples, 22050, DEFAULT).mel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa remarks on the length
        expected = librosa_mel(samples, 22050, DEFAULT)
    np.testing.assert_allclose(mel, expected, rtol=0, atol=1e-4)


def test_features_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="f0 3, energy 4, mel 4"):
        Features(f0=np.zeros(3), energy=np.ones(4), mel=np.zeros((4, 2)))


def test_a_cut_holds_the_frames_asked_for() -> None:
    whole = extract(signal(), 22050, DEFAULT)

    part = whole.cut(10, 25)

    assert len(part) == 15
    np.testing.assert_array_equal(part.f0, whole.f0[10:25])
    np.testing.assert_array_equal(part.energy, whole.energy[10:25])
    np.testing.assert_array_equal(part.mel, whole.mel[10:25])


# ------------------------------------------------------------------ same bits again


def test_threads_order_and_neighbours_change_no_bit() -> None:
    samples = signal()

    with threadpool_limits(1):
        one = extract(samples, 22050, DEFAULT)
    with threadpool_limits(2):
        two = extract(samples, 22050, DEFAULT)
    strided = extract(np.repeat(samples, 2)[::2], 22050, DEFAULT)  # not contiguous in memory

    for other in (two, strided):
        np.testing.assert_array_equal(one.f0, other.f0)
        np.testing.assert_array_equal(one.energy, other.energy)
        np.testing.assert_array_equal(one.mel, other.mel)


def test_a_frame_does_not_depend_on_the_length_of_the_recording() -> None:
    # Frames are measured in blocks of 512; what follows must not reach back.
    rng = np.random.default_rng(0)
    long = rng.uniform(-0.5, 0.5, 256 * 600)
    short = long[: 256 * 530]

    whole, part = extract(long, 22050, DEFAULT), extract(short, 22050, DEFAULT)

    inside = len(part) - 3  # the last frames see the reflected end
    np.testing.assert_allclose(part.mel[:inside], whole.mel[:inside], rtol=0, atol=1e-5)
    np.testing.assert_allclose(part.energy[:inside], whole.energy[:inside], rtol=1e-6)


# ------------------------------------------------------------- continuous log F0


def slow_contour(f0: list[float], energy: list[float], gate: float) -> list[float]:
    """Fill every gap from its two nearest voiced frames, frame by frame."""
    voiced = [
        k
        for k, (hertz, norm) in enumerate(zip(f0, energy, strict=True))
        if hertz > 0 and math.log(norm) >= gate
    ]
    if not voiced:
        return [0.0] * len(f0)
    contour = []
    for k in range(len(f0)):
        left = max((v for v in voiced if v <= k), default=voiced[0])
        right = min((v for v in voiced if v >= k), default=voiced[-1])
        share = (k - left) / (right - left) if right > left else 0.0
        contour.append(math.log(f0[left] + share * (f0[right] - f0[left])))
    return contour


@settings(max_examples=60)
@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(
            hnp.arrays(
                np.float32, n, elements=st.one_of(st.just(0.0), st.floats(50, 800, width=32))
            ),
            hnp.arrays(np.float32, n, elements=st.sampled_from([1e-6, 0.005, 0.01, 1.0, 50.0])),
        )
    ),
    st.sampled_from([-20.0, -5.0, 0.5]),
)
def test_the_contour_is_that_of_a_slow_walk(
    tracks: tuple[np.ndarray, np.ndarray], gate: float
) -> None:
    f0, energy = tracks

    contour = continuous_log_f0(f0, energy, gate)

    assert contour.dtype == np.float32
    expected = slow_contour(f0.tolist(), energy.tolist(), gate)
    np.testing.assert_allclose(contour, expected, rtol=0, atol=2e-6)


def test_gaps_are_bridged_in_hertz_and_edges_held() -> None:
    f0 = np.array([0, 100, 0, 0, 400, 0], dtype=np.float32)

    contour = continuous_log_f0(f0, np.ones(6, dtype=np.float32), -5.0)

    assert np.exp(contour) == pytest.approx([100, 100, 200, 300, 400, 400], rel=1e-6)


def test_frames_below_the_gate_do_not_count_as_voiced() -> None:
    f0 = np.array([100, 700, 200], dtype=np.float32)
    energy = np.array([1.0, math.exp(-5.01), 1.0], dtype=np.float32)

    assert np.exp(continuous_log_f0(f0, energy, -5.0)) == pytest.approx([100, 150, 200], rel=1e-6)
    assert np.exp(continuous_log_f0(f0, energy, -5.02)) == pytest.approx([100, 700, 200], rel=1e-6)


def test_a_stretch_without_voice_is_all_zeros() -> None:
    assert not continuous_log_f0(np.zeros(5), np.ones(5), -5.0).any()


# ----------------------------------------------------------------------------- keys


def test_the_key_holds_what_the_frames_depend_on_and_no_more() -> None:
    base = features_key("a" * 64, 22050, DEFAULT).hex()
    changed = {
        name: features_key("a" * 64, 22050, FeatureConfig(**{name: value})).hex()
        for name, value in {
            "n_fft": 2048,
            "hop_length": 128,
            "win_length": 800,
            "mels": 60,
            "fmin": 40.0,
            "fmax": 7000.0,
            "mel_floor": 1e-6,
            "f0_method": "harvest",
            "f0_floor": 60.0,
            "f0_ceil": 700.0,
        }.items()
    }
    changed["audio"] = features_key("b" * 64, 22050, DEFAULT).hex()
    changed["rate"] = features_key("a" * 64, 24000, DEFAULT).hex()

    assert len({base, *changed.values()}) == len(changed) + 1
    # The gate is applied to stored frames: another gate measures nothing again.
    assert features_key("a" * 64, 22050, FeatureConfig(energy_gate=-7.0)).hex() == base


def test_a_voice_is_searched_in_its_own_range_unless_the_settings_say_otherwise() -> None:
    own = for_voice(DEFAULT, (100.0, 300.0))

    assert own == dataclasses.replace(DEFAULT, f0_floor=100.0, f0_ceil=300.0)
    assert for_voice(DEFAULT, None) == DEFAULT
    switched_off = FeatureConfig(f0_range="settings")
    assert for_voice(switched_off, (100.0, 300.0)) == switched_off
    keys = {features_key("a" * 64, 22050, each).hex() for each in (DEFAULT, switched_off, own)}
    assert len(keys) == 2  # the key holds the range that is really used

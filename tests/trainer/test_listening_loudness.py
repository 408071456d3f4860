"""Loudness against the standard, and sounds at one level."""

from __future__ import annotations

import numpy as np
import pytest

from corpuskit.errors import BadAudio
from trainer.listening import loudness as module
from trainer.listening.loudness import levelled, loudness, low_passed

RATE = 24000


def tone(frequency: float, seconds: float, level: float = 0.0, rate: int = RATE) -> np.ndarray:
    """A sine whose peak is `level` dBFS."""
    time = np.arange(round(seconds * rate)) / rate
    return 10 ** (level / 20) * np.sin(2 * np.pi * frequency * time)


def test_the_filters_are_the_standards_at_48_khz() -> None:
    # ITU-R BS.1770-4, tables 1 and 2.
    numerator, denominator = module._shelf(48000)
    assert numerator == pytest.approx([1.53512485958697, -2.69169618940638, 1.19839281085285])
    assert denominator == pytest.approx([1.0, -1.69065929318241, 0.73248077421585])
    numerator, denominator = module._high_pass(48000)
    assert numerator == [1.0, -2.0, 1.0]
    assert denominator == pytest.approx([1.0, -1.99004745483398, 0.99007225036621])


@pytest.mark.parametrize("rate", [16000, 22050, 24000, 44100, 48000])
def test_a_full_scale_tone_of_997_hz_is_3_lu_below_full_scale(rate: int) -> None:
    # "a 0 dB FS 997 Hz sine wave in one channel gives -3.01 LKFS"
    assert loudness(tone(997, 5, rate=rate), rate) == pytest.approx(-3.01, abs=0.05)


def test_pauses_do_not_make_a_sentence_quieter() -> None:
    speech = tone(500, 2, -20)
    pause = np.zeros(2 * RATE)

    together = np.concatenate([pause, speech, pause, speech])

    # Blocks that straddle an edge are partly silent; all the others hear the same tone.
    assert loudness(together, RATE) == pytest.approx(loudness(speech, RATE), abs=0.5)
    quieter = np.concatenate([speech, tone(500, 2, -40)])  # 20 dB below: not speech, by the gate
    assert loudness(quieter, RATE) == pytest.approx(loudness(speech, RATE), abs=0.5)


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.zeros(0), tone(500, 1, -90)])
def test_silence_has_no_loudness(samples: np.ndarray) -> None:
    with pytest.raises(BadAudio, match="is silent"):
        loudness(samples, RATE)


def test_a_sound_shorter_than_a_block_has_one() -> None:
    assert loudness(tone(997, 0.2), RATE) == pytest.approx(-3.01, abs=0.3)


def test_sounds_are_brought_to_one_level_by_one_factor_each() -> None:
    sounds = {"loud": tone(500, 2, -3), "quiet": tone(200, 3, -40), "short": tone(800, 0.3, -20)}

    found = levelled(sounds, RATE)

    assert found.level == -26.0
    for name, samples in found.sounds.items():
        assert loudness(samples, RATE) == pytest.approx(-26.0, abs=0.2)
        inner = slice(RATE // 100, -RATE // 100)
        factor = samples[inner] @ sounds[name][inner] / (sounds[name][inner] @ sounds[name][inner])
        np.testing.assert_allclose(samples[inner], factor * sounds[name][inner], atol=1e-12)
        assert samples[0] == samples[-1] == 0.0  # no click


def test_the_peakiest_sound_sets_a_level_at_which_nothing_clips() -> None:
    clicks = 1e-3 * tone(500, 2)
    clicks[:: RATE // 4] = 1.0

    found = levelled({"clicks": clicks, "tone": tone(500, 2, -10)}, RATE)

    assert found.level < -30
    for samples in found.sounds.values():
        assert np.abs(samples).max() <= 10 ** (-1 / 20) + 1e-9
        assert loudness(samples, RATE) == pytest.approx(found.level, abs=0.3)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_the_anchor_is_the_recording_below_3500_hz(rate: int) -> None:
    edge = min(3500.0, 0.8 * rate / 2)
    impulse = np.zeros(4 * rate)
    impulse[2 * rate] = 1.0

    found = low_passed(impulse, rate)

    assert np.argmax(found) == 2 * rate  # no delay
    gain = 20 * np.log10(np.abs(np.fft.rfft(found)) + 1e-9)
    at = np.fft.rfftfreq(len(impulse), 1 / rate)
    assert np.abs(gain[at <= edge]).max() < 0.11
    assert gain[at >= 1.15 * edge].max() < -59
    assert len(low_passed(impulse[:50], rate)) == 50

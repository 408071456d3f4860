"""Long recordings: phrase by phrase, pauses where they were, no clicks, memory that stays."""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from pydub import AudioSegment
from pydub.silence import detect_silence

from corpuskit.audio import Sound, to_16_bit
from corpuskit.errors import BadAudio
from corpuskit.silence import analyse, level_curve
from speaking import sound_of, told
from synthetic import PairCorpus, noise
from trainer.convert import Converter
from trainer.manner import Manner
from trainer.many import convert_all
from trainer.pieces import FADE, Piece, batches, joined, pieces_of
from trainer.vocoders.choice import choose
from trainer.vocoders.speech import Float32, Speech, Vocoder
from untrained import dataset_settings

RATE = 22050


def pauses(samples: np.ndarray, rate: int) -> list[list[int]]:
    """What pydub finds silent for 300 ms and more, in ms."""
    segment = AudioSegment(
        to_16_bit(samples).tobytes(), frame_rate=rate, sample_width=2, channels=1
    )
    return detect_silence(segment, min_silence_len=300, silence_thresh=-50)  # type: ignore[no-any-return]


@pytest.mark.parametrize("speed", [1.0, 1.6])
def test_pauses_are_where_and_as_long_as_the_source_has_them(
    timed: Converter,
    speed: float,
) -> None:
    spoken = told(6)

    converted = timed.convert(sound_of(spoken), manner=Manner(speed=speed))

    found = np.array(pauses(converted.samples, RATE))
    inside = np.array(spoken.truth.pauses[1:-1]) - spoken.truth.phrases[0][0]
    wanted = 1000 * inside / spoken.truth.voice.rate / speed
    assert found.shape == wanted.shape == (5, 2)
    np.testing.assert_allclose(found, wanted, atol=60)
    lengths, kept = np.diff(found)[:, 0], np.diff(wanted)[:, 0]
    np.testing.assert_allclose(lengths, kept, atol=60)


def test_what_is_no_longer_than_the_training_is_converted_whole(steady: Converter) -> None:
    short, long = (steady.ready(sound_of(told(n)), "N") for n in (1, 4))

    assert steady.longest * 256 / RATE == pytest.approx(1.4, abs=0.3)
    assert short.heard.pieces == ()
    assert len(long.heard.pieces) >= 4


def test_together_in_threads_as_alone(
    steady: Converter,
    tmp_path: Path,
) -> None:
    paths = [tmp_path / f"{n}.wav" for n in (1, 4, 2)]
    for path, count in zip(paths, (1, 4, 2), strict=True):
        spoken = told(count)
        sf.write(path, spoken.samples, spoken.truth.voice.rate)

    found = dict(convert_all(steady, paths, jobs=2))

    assert list(found) == paths
    with ThreadPoolExecutor(2) as threads:
        alone = steady.convert(paths[1], threads=threads)
    assert np.array_equal(found[paths[1]].samples, alone.samples)  # type: ignore[union-attr]
    assert np.array_equal(steady.convert(paths[1]).samples, alone.samples)


def test_a_stretch_without_a_pause_is_cut_where_it_is_quietest(steady: Converter) -> None:
    """A steady noise with two dips; 1 s is the longest: cuts are in the dips, to half a frame."""
    rate, samples = 16000, noise(int(2.4 * 16000), -20.0, 0)
    for dip in (0.8, 1.5):
        samples[int((dip - 0.03) * rate) : int((dip + 0.03) * rate)] *= 0.1
    curve = level_curve(Sound(samples=samples, rate=rate, channels=1, subtype="DOUBLE"))
    kept = analyse(curve, steady.settings.silence)

    found = pieces_of(curve, kept, steady.settings, longest=round(RATE / 256))

    assert [piece.frames % 3 for piece in found] == [0, 0, 0]
    assert [piece.start / rate for piece in found] == pytest.approx([0, 0.8, 1.5], abs=0.03)
    for before, after in itertools.pairwise(found):
        end = before.start + (before.frames - 1) * 256 * rate / RATE
        assert (end - after.start) / rate == pytest.approx(FADE, abs=1e-4)
        assert after.gap == pytest.approx(-FADE, abs=1e-4)


@given(
    st.lists(st.tuples(st.floats(0.05, 3.0), st.floats(0.5, 1.0)), min_size=1, max_size=5),
    st.sampled_from([8000, 16000, 22050, 48000]),
)
def test_pieces_follow_each_other_and_reach_over_everything(
    spans: list[tuple[float, float]], rate: int
) -> None:
    corpus = PairCorpus(
        root=Path("x"), source=Path("s"), target=Path("t"), truth_source={}, truth_target={}
    )
    settings = dataset_settings(corpus)
    parts = []
    for speech, pause in spans:
        parts += [noise(int(speech * rate), -20.0, 1), np.zeros(int(pause * rate))]
    samples = np.concatenate(parts[:-1])
    curve = level_curve(Sound(samples=samples, rate=rate, channels=1, subtype="DOUBLE"))
    kept = analyse(curve, settings.silence)

    found = pieces_of(curve, kept, settings, longest=90)

    hop, end, covered = 256 * rate / RATE, float(kept.start), np.zeros(len(samples), bool)
    for piece in found:
        assert piece.frames % 3 == 0
        assert 3 <= piece.frames <= 93
        assert piece.gap == pytest.approx((piece.start - end) / rate)
        assert piece.gap >= -FADE - 1 / rate
        end = piece.start + (piece.frames - 1) * hop
        covered[piece.start : int(end) + 1] = True
    silent = np.zeros(len(samples), bool)
    for first, stop in kept.breaks:
        silent[first:stop] = True
    silent[: kept.start] = silent[kept.stop :] = True
    assert (covered | silent).all()


@pytest.mark.parametrize("gap", [0.0, 0.2, -FADE])
def test_joints_do_not_click(gap: float) -> None:
    """Two tones that go on into each other: nowhere does a sample jump more than the tone does."""
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 100 * time).astype(np.float32)
    step = float(np.abs(np.diff(tone)).max())

    found = joined([(tone, 0.0), (tone, gap)], RATE)

    assert len(found) == 2 * RATE + round(gap * RATE)
    assert np.abs(np.diff(found)).max() <= 1.6 * step
    assert abs(found[0]) < 1e-3
    assert abs(found[-1]) < 1e-3


def test_faded_into_each_other_a_steady_sound_stays_steady() -> None:
    ones = np.ones(1000, np.float32)

    found = joined([(ones, 0.0), (ones, -FADE), (ones, -FADE)], RATE)

    np.testing.assert_allclose(found[300:-300], 1.0, atol=1e-6)


@dataclasses.dataclass
class Louder:
    """Says every mel so many times as loud as it is."""

    vocoder: Vocoder
    times: float
    name: str = "louder"
    hears_f0: bool = True

    def __call__(self, speech: Speech) -> Float32:
        mel = speech.mel + np.float32(np.log(self.times))
        return self.vocoder(dataclasses.replace(speech, mel=mel))


@pytest.mark.parametrize("levelled", [True, False])
@pytest.mark.parametrize("name", ["world", "griffinlim"])
def test_phrases_that_would_clip_keep_their_levels_beside_each_other(
    steady: Converter, name: str, levelled: bool
) -> None:
    """The third phrase is 12 dB fainter; the others are far above full scale, each by its own."""
    spoken = told(4)
    edges = np.array(spoken.truth.phrases)
    sound = sound_of(spoken)
    sound.samples[slice(*edges[2])] *= 10 ** (-12 / 20)
    assert steady.usual is not None
    usual = steady.usual if levelled else dataclasses.replace(steady.usual, targets={})
    vocoder = choose(name, steady.settings.features, RATE)

    faint, loud = (
        dataclasses.replace(steady, usual=usual, vocoder=Louder(vocoder, times)).convert(sound)
        for times in (0.1, 10.0)
    )

    places = np.round((edges - edges[0, 0]) / 16000 * RATE).astype(int)
    rise = [
        loudness_of(loud.samples[first:stop]) - loudness_of(faint.samples[first:stop])
        for first, stop in places
    ]
    assert np.ptp(rise) < 0.2  # dB
    assert np.abs(loud.samples).max() <= 1.0
    if not levelled:
        assert np.abs(loud.samples).max() == pytest.approx(1.0)


def loudness_of(samples: np.ndarray) -> float:
    """RMS in dBFS."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


@given(st.lists(st.integers(1, 900), max_size=30))
def test_batches_of_pieces_hold_all_in_order(lengths: Sequence[int]) -> None:
    pieces = [Piece(start=k, frames=each, gap=0.0) for k, each in enumerate(lengths)]

    found = list(batches(pieces, 1000, 4))

    assert [piece for batch in found for piece in batch] == pieces
    for batch in found:
        assert len(batch) <= 4
        assert len(batch) == 1 or max(piece.frames for piece in batch) * len(batch) <= 1000


def test_a_stretch_without_a_voice_is_silent_and_told(steady: Converter) -> None:
    spoken = told(4)
    first, stop = spoken.truth.phrases[2]
    samples = sound_of(spoken).samples.copy()
    samples[first:stop] = noise(stop - first, -40.0, 3)

    converted = steady.convert(Sound(samples=samples, rate=16000, channels=1, subtype="DOUBLE"))

    at = (np.array((first, stop)) - spoken.truth.phrases[0][0]) / 16000 * RATE
    assert not converted.samples[int(at[0]) + 900 : int(at[1]) - 900].any()
    assert any("s without a voice, which are silent" in note for note in converted.notes)


def test_a_long_recording_without_a_voice_is_refused_by_name(
    steady: Converter,
    tmp_path: Path,
) -> None:
    whistle = 0.1 * np.sin(2 * np.pi * 5000 / 16000 * np.arange(5 * 16000))
    sf.write(tmp_path / "wind.wav", whistle, 16000)

    with pytest.raises(BadAudio, match=r"wind\.wav has no voiced frame"):
        steady.convert(tmp_path / "wind.wav")


def peak_of(steady: Converter, phrases: int) -> tuple[float, float]:
    """Seconds of a recording, and the megabytes allocated at most while it is converted."""
    sound = sound_of(told(phrases, vowels=10))
    tracemalloc.start()
    steady.convert(sound)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return sound.seconds, peak / 2**20


@pytest.mark.slow
@pytest.mark.alone
def test_memory_grows_with_the_samples_alone(steady: Converter) -> None:
    (short, little), (long, much) = (peak_of(steady, phrases) for phrases in (8, 32))

    assert (much - little) / (long - short) < 0.6  # MB a second; converted mel and sound


@pytest.mark.slow
@pytest.mark.alone
def test_ten_minutes(
    timed: Converter,
    tmp_path: Path,
) -> None:
    spoken = told(270, vowels=10)
    sf.write(tmp_path / "in.wav", spoken.samples, 16000)
    assert len(spoken.samples) / 16000 > 600

    converted = timed.convert(tmp_path / "in.wav")

    found = np.array(pauses(converted.samples, RATE))
    inside = np.array(spoken.truth.pauses[1:-1]) - spoken.truth.phrases[0][0]
    assert len(found) == len(inside) == 269
    np.testing.assert_allclose(found, 1000 * inside / 16000, atol=60)

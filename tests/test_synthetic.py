"""The synthetic voice keeps its promises: other tests take its word."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import pyworld
import soundfile as sf

from synthetic import (
    SOURCE,
    TARGET,
    PairCorpus,
    Voice,
    level_of,
    sentence,
    speak,
    write_pair_corpus,
)


@pytest.mark.parametrize("voice", [SOURCE, TARGET])
def test_world_hears_the_stated_f0(voice: Voice) -> None:
    spoken = speak(sentence(1), voice)
    signal = spoken.samples / 32768
    f0, times = pyworld.harvest(signal, voice.rate)

    truth = spoken.truth.f0(times)
    inner = np.zeros(len(times), dtype=bool)  # trackers smear the edges of a phrase
    for start, stop in spoken.truth.phrases:
        inner |= (times > start / voice.rate + 0.04) & (times < stop / voice.rate - 0.04)

    cents = 1200 * np.abs(np.log2(f0[inner] / truth[inner]))
    assert (f0[inner] > 0).all()
    assert np.median(cents) < 10
    assert np.quantile(cents, 0.95) < 50


def test_levels_and_digital_zero_are_as_stated() -> None:
    quiet, loud = speak(sentence(2), SOURCE), speak(sentence(2), TARGET)

    for start, stop in quiet.truth.pauses:
        assert level_of(quiet.samples[start:stop]) == pytest.approx(-58.0, abs=0.5)
    for start, stop in loud.truth.pauses:
        assert not loud.samples[start:stop].any()
    for start, stop in loud.truth.phrases:
        assert level_of(loud.samples[start:stop]) == pytest.approx(-18.0, abs=0.05)


def test_spans_tile_the_recording() -> None:
    truth = speak(sentence(3, phrases=3), SOURCE).truth

    spans = sorted(truth.phrases + truth.pauses)
    assert spans[0][0] == 0
    assert spans[-1][1] == truth.length
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))


def test_equal_places_sound_alike_in_both_voices() -> None:
    slow = speak(sentence(4), SOURCE).truth
    fast = speak(sentence(4), TARGET).truth

    for k, (a, b) in enumerate(zip(slow.phrases, fast.phrases, strict=True)):
        for truth, span in ((slow, a), (fast, b)):
            middle = (span[0] + span[1]) / 2 / truth.voice.rate
            assert truth.said_at(np.array([middle])) == pytest.approx(k + 0.5, abs=1e-3)


def test_corpus_is_written_as_stated_and_repeats(pair_corpus: PairCorpus, tmp_path) -> None:
    again = write_pair_corpus(tmp_path / "again")

    assert len(pair_corpus.sentences) == 6
    for name in pair_corpus.sentences:
        for folder, other, truths in (
            (pair_corpus.source, again.source, pair_corpus.truth_source),
            (pair_corpus.target, again.target, pair_corpus.truth_target),
        ):
            samples, rate = sf.read(folder / f"{name}.wav", dtype="int16")
            assert rate == truths[name].voice.rate
            assert len(samples) == truths[name].length
            assert (folder / f"{name}.wav").read_bytes() == (other / f"{name}.wav").read_bytes()

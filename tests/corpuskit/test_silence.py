"""Silence: pydub is the truth in 16-bit steps, a walk over windows the truth in floating point."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydub import AudioSegment
from pydub.silence import detect_leading_silence, detect_silence

from corpuskit import silence
from corpuskit.audio import Sound, decode, resample, to_16_bit
from corpuskit.config import SilenceConfig
from corpuskit.silence import (
    Segmentation,
    analyse,
    kept_frames,
    level_curve,
    silent_spans,
    spans_to_frames,
    threshold_warnings,
    trimmed,
)
from synthetic import FULL_SCALE, Voice, sentence, speak

RATES = (8000, 11025, 16000, 22050, 24000, 44100, 48000)
Span = tuple[int, int]
Int16 = np.ndarray


def sound_of(samples: np.ndarray, rate: int) -> Sound:
    """Samples as the decoder gives them; int16 or floating point."""
    scale = 1 / FULL_SCALE if samples.dtype == np.int16 else 1.0
    subtype = "PCM_16" if samples.dtype == np.int16 else "DOUBLE"
    return Sound(samples=samples * scale, rate=rate, channels=1, subtype=subtype)


def segment_of(samples: Int16, rate: int) -> AudioSegment:
    return AudioSegment(samples.tobytes(), frame_rate=rate, sample_width=2, channels=1)


def int16_settings(**changes: float) -> SilenceConfig:
    return SilenceConfig(**({"rms": "int16"} | changes))


@st.composite
def stretches(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Noise whose level jumps, digital zero and steps of 1 included: float (n,), and a rate."""
    rate = draw(st.one_of(st.sampled_from(RATES), st.integers(8000, 48000)))
    levels = st.one_of(st.none(), st.floats(-100, -3))
    parts = draw(st.lists(st.tuples(levels, st.integers(1, 180)), min_size=1, max_size=7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pieces = [
        rng.standard_normal(rate * ms // 1000) * (0.0 if level is None else 10 ** (level / 20))
        for level, ms in parts
    ]
    pieces.append(rng.standard_normal(draw(st.integers(0, 2 * rate // 1000))) * 1e-3)
    return np.clip(np.concatenate(pieces), -1, 1), rate


thresholds = st.floats(-105, 0)


# ------------------------------------------------------------------ against pydub


@settings(max_examples=80)
@given(stretches(), thresholds, st.integers(1, 250))
def test_int16_spans_are_pydubs(
    recording: tuple[np.ndarray, int], thresh: float, min_len: int
) -> None:
    samples, rate = to_16_bit(recording[0]), recording[1]

    spans = silent_spans(level_curve(sound_of(samples, rate)), thresh, min_len, rms="int16")

    assert [list(span) for span in spans] == detect_silence(
        segment_of(samples, rate), min_len, thresh
    )


@settings(max_examples=120)
@given(stretches(), thresholds, thresholds, st.integers(1, 250))
def test_int16_trimming_is_pydubs_from_either_end(
    recording: tuple[np.ndarray, int], head: float, tail: float, window: int
) -> None:
    samples, rate = to_16_bit(recording[0]), recording[1]
    segment = segment_of(samples, rate)
    head_ms = detect_leading_silence(segment, head, window)
    tail_ms = detect_leading_silence(segment.reverse(), tail, window)

    start, stop = trimmed(
        level_curve(sound_of(samples, rate)),
        int16_settings(head_thresh=head, thresh=tail, trim_window=window),
    )

    # What pydub would cut off, in samples; what is silent from end to end is cut whole.
    cut = [
        len(samples) if ms == len(segment) else int(ms * (rate / 1000)) for ms in (head_ms, tail_ms)
    ]
    assert (start, stop) == (cut[0], len(samples) - cut[1])


def loud_at(*milliseconds: int, total: int) -> Int16:
    """Digital zero at 16 kHz, with so many ms of RMS 1000 at the given places."""
    samples = np.zeros((total, 16), dtype=np.int16)
    samples[list(milliseconds)] = 1000
    return samples.ravel()


# A window of 50 ms with one such millisecond is at -47.3 dBFS, with two at -44.3.
@pytest.mark.parametrize(
    ("samples", "thresh", "spans"),
    [
        (loud_at(50, total=101), -60, [(0, 50), (51, 101)]),  # a millisecond between: apart
        (loud_at(49, 50, total=100), -46, [(0, 100)]),  # windows that touch run together
        (loud_at(49, 51, total=101), -46, [(0, 101)]),
        (loud_at(49, 50, 51, total=101), -46, [(0, 50), (51, 101)]),
    ],
)
def test_spans_run_together_where_they_touch_as_in_pydub(
    samples: Int16, thresh: float, spans: list[Span]
) -> None:
    curve = level_curve(sound_of(samples, 16000))

    assert silent_spans(curve, thresh, 50, rms="int16") == spans
    assert silent_spans(curve, thresh, 50) == spans
    assert detect_silence(segment_of(samples, 16000), 50, thresh) == [list(s) for s in spans]


@pytest.mark.parametrize("rms", ["int16", "float"])
def test_a_level_at_the_threshold_is_silent_inside_and_not_at_the_ends(rms: str) -> None:
    # As in pydub, which asks "at most" inside and "below" at head and tail.
    samples = np.full(16000, -32768, dtype=np.int16)  # 0 dBFS
    curve, segment = level_curve(sound_of(samples, 16000)), segment_of(samples, 16000)

    assert silent_spans(curve, 0, 100, rms) == [(0, 1000)]
    assert detect_silence(segment, 100, 0) == [[0, 1000]]
    assert trimmed(curve, SilenceConfig(thresh=0.0, head_thresh=0.0, rms=rms)) == (0, 16000)
    assert detect_leading_silence(segment, 0, 50) == 0


def test_lengths_agree_with_pydub_at_every_rate() -> None:
    for rate in (*RATES, 11127, 12345):
        for length in (*range(1, 60), rate - 1, rate, rate + rate // 2000, rate + rate // 1999 + 1):
            samples = np.zeros(length, dtype=np.int16)
            curve = level_curve(sound_of(samples, rate))
            assert curve.milliseconds == len(segment_of(samples, rate)), (rate, length)


@pytest.mark.parametrize(
    ("name", "rate"),
    [("clb/arctic_a0003", rate) for rate in RATES] + [("slt/arctic_a0007", 16000)],
)
def test_real_speech_is_cut_as_pydub_cuts_it(arctic: Path, name: str, rate: int) -> None:
    recording = decode(arctic / f"{name}.wav")
    samples = to_16_bit(resample(recording.samples, recording.rate, rate))
    curve, segment = level_curve(sound_of(samples, rate)), segment_of(samples, rate)

    for thresh, min_len in ((-80, 50), (-60, 100), (-50, 200), (-42.5, 37), (-30, 100)):
        spans = silent_spans(curve, thresh, min_len, rms="int16")
        assert [list(s) for s in spans] == detect_silence(segment, min_len, thresh)
    for thresh in (-100, -80, -65.5, -60, -50, -40, -30):
        start, stop = trimmed(curve, int16_settings(head_thresh=thresh, thresh=thresh))
        head = detect_leading_silence(segment, thresh, 50)
        tail = detect_leading_silence(segment.reverse(), thresh, 50)
        assert start == int(head * (rate / 1000))
        assert stop == len(samples) - int(tail * (rate / 1000))


def test_thresholds_find_in_real_speech_what_the_lab_should_have_seen(arctic: Path) -> None:
    # The figures of reference/model.md, with 100 ms: nothing at -100, more with every step up.
    files = sorted((arctic / "clb").glob("*.wav"))[:12]
    curves = [level_curve(decode(path)) for path in files]

    found = [
        sum(len(silent_spans(curve, thresh, 100, rms="int16")) for curve in curves) / len(curves)
        for thresh in (-100, -80, -60, -50, -40, -30)
    ]

    assert found == pytest.approx([0, 0.5, 2.0, 2.1, 3.1, 5.7], abs=0.05)


# --------------------------------------------------- against a walk over windows


def slow_spans(samples: np.ndarray, rate: int, thresh: float, min_len: int) -> list[Span]:
    """Measure every window by itself, mark its milliseconds, and read off the runs."""
    total = round(1000 * (len(samples) / rate))
    silent = [False] * total
    limit = 10 ** (thresh / 20)
    for first in range(total - min_len + 1):
        begin, end = int(first * (rate / 1000)), int((first + min_len) * (rate / 1000))
        energy = math.fsum(x * x for x in samples[begin:end].tolist())
        if math.sqrt(energy / (end - begin)) <= limit:
            silent[first : first + min_len] = [True] * min_len
    return runs(silent)


def runs(flags: list[bool]) -> list[Span]:
    found: list[Span] = []
    for index, flag in enumerate(flags):
        if flag and index and flags[index - 1]:
            found[-1] = (found[-1][0], index + 1)
        elif flag:
            found.append((index, index + 1))
    return found


@settings(max_examples=40)
@given(stretches(), thresholds, st.integers(20, 120))
def test_float_spans_are_those_of_a_slow_walk(
    recording: tuple[np.ndarray, int], thresh: float, min_len: int
) -> None:
    samples, rate = recording[0][:16000], recording[1]

    spans = silent_spans(level_curve(sound_of(samples, rate)), thresh, min_len)

    assert spans == slow_spans(samples, rate, thresh, min_len)


def slow_head(samples: np.ndarray, rate: int, thresh: float, window: int) -> int:
    """Count the leading samples in windows below the threshold, window by window."""
    total = round(1000 * (len(samples) / rate))
    for first in range(0, total, window):
        begin, end = (int(ms * (rate / 1000)) for ms in (first, min(first + window, total)))
        energy = math.fsum(x * x for x in samples[begin:end].tolist())
        if math.sqrt(energy / (end - begin)) >= 10 ** (thresh / 20):
            return begin
    return len(samples)


@settings(max_examples=60)
@given(stretches(), thresholds, thresholds, st.integers(5, 120))
def test_float_trimming_is_that_of_a_slow_walk(
    recording: tuple[np.ndarray, int], head: float, tail: float, window: int
) -> None:
    samples, rate = recording
    wanted = SilenceConfig(head_thresh=head, thresh=tail, trim_window=window)

    start, stop = trimmed(level_curve(sound_of(samples, rate)), wanted)

    assert start == slow_head(samples, rate, head, window)
    assert stop == len(samples) - slow_head(samples[::-1], rate, tail, window)


def test_loud_speech_before_it_does_not_blur_a_faint_silence() -> None:
    # Differences of a running sum lose digits; the faint levels here must survive that.
    rate, rng = 16000, np.random.default_rng(3)
    loud = rng.uniform(-1, 1, 60 * rate)
    faint = np.sign(rng.standard_normal(rate)) * 10 ** (-99.9 / 20)
    curve = level_curve(sound_of(np.concatenate((loud, faint)), rate))

    assert silent_spans(curve, -100.0, 100) == []
    assert silent_spans(curve, -99.8, 100) == [(60_000, 61_000)]


# ---------------------------------------------------------- levels and digital zero


def three_parts(quiet: np.ndarray) -> np.ndarray:
    """Half a second of speech-like noise on either side of half a second of `quiet`, 16 kHz."""
    loud = np.random.default_rng(0).uniform(-8000, 8000, 8000).astype(np.int16)
    return np.concatenate((loud, quiet.astype(np.int16), loud))


@pytest.mark.parametrize("rms", ["float", "int16"])
def test_minus_100_finds_digital_zero_alone_and_minus_80_a_quiet_room(rms: str) -> None:
    zero = level_curve(sound_of(three_parts(np.zeros(8000)), 16000))
    room = level_curve(sound_of(three_parts(np.tile([2, -2], 4000)), 16000))

    assert silent_spans(zero, -100, 100, rms) == [(500, 1000)]
    assert silent_spans(room, -100, 100, rms) == []
    assert silent_spans(zero, -80, 100, rms) == [(500, 1000)]
    assert silent_spans(room, -80, 100, rms) == [(500, 1000)]


def test_floored_steps_hide_what_true_levels_show() -> None:
    # One sample in four is 1 step: an RMS of half a step (-96.3 dBFS), which floors to none.
    curve = level_curve(sound_of(three_parts(np.tile([1, 0, 0, 0], 2000)), 16000))

    assert silent_spans(curve, -120, 100, rms="int16") == [(500, 1000)]
    assert silent_spans(curve, -120, 100, rms="float") == []
    assert silent_spans(curve, -96, 100, rms="float") == [(500, 1000)]


def test_below_the_16_bit_floor_all_thresholds_are_one_in_steps() -> None:
    samples = three_parts(np.concatenate((np.zeros(3200), np.ones(4800))))
    curve = level_curve(sound_of(samples, 16000))

    found = {tuple(silent_spans(curve, thresh, 50, "int16")) for thresh in (-91, -100, -120)}

    # The zeros end at 700 ms; a window of ones with a single zero left still floors to nothing.
    assert found == {((500, 749),)}


def test_thresholds_below_the_16_bit_floor_are_warned_of() -> None:
    both = threshold_warnings(SilenceConfig(thresh=-100.0, head_thresh=-91.0))

    assert [text.split(" dBFS")[0] for text in both] == [
        "silence.thresh -100",
        "silence.head_thresh -91",
    ]
    assert all("digital zero only" in text for text in both)
    assert threshold_warnings(SilenceConfig(thresh=-90.3, head_thresh=-90.3)) == []


# ------------------------------------------------------------------- whole analysis


@settings(max_examples=100)
@given(
    stretches(),
    st.tuples(thresholds, thresholds),
    st.tuples(st.integers(1, 120), st.integers(1, 120), st.integers(1, 300)),
    st.booleans(),
)
def test_spans_lie_in_the_kept_part_in_order_and_apart(
    recording: tuple[np.ndarray, int],
    levels: tuple[float, float],
    lengths: tuple[int, int, int],
    floored: bool,
) -> None:
    samples, rate = recording
    min_len, break_len, window = lengths
    wanted = SilenceConfig(
        thresh=levels[0],
        head_thresh=levels[1],
        min_len=min_len,
        min_silence_len=break_len,
        trim_window=window,
        rms="int16" if floored else "float",
    )

    found = analyse(level_curve(sound_of(to_16_bit(samples), rate)), wanted)

    assert 0 <= found.start <= len(samples)
    assert 0 <= found.stop <= len(samples)
    assert found.empty == (found.start >= found.stop)
    if found.empty:
        assert found.silences == found.breaks == ()
    for spans, least in ((found.silences, min_len), (found.breaks, break_len)):
        edges = [edge for span in spans for edge in span]
        assert edges == sorted(set(edges))
        assert all(found.start <= edge <= found.stop for edge in edges)
        assert all(end - begin >= least * rate // 1000 for begin, end in spans)


@settings(max_examples=80)
@given(stretches(), st.tuples(thresholds, thresholds), st.integers(1, 150))
def test_a_higher_threshold_never_keeps_more(
    recording: tuple[np.ndarray, int], levels: tuple[float, float], min_len: int
) -> None:
    samples, rate = recording
    low, high = sorted(levels)
    curve = level_curve(sound_of(samples, rate))

    def covered(thresh: float) -> set[int]:
        spans = silent_spans(curve, thresh, min_len)
        return {ms for begin, end in spans for ms in range(begin, end)}

    def kept(thresh: float) -> Span:
        return trimmed(curve, SilenceConfig(thresh=thresh, head_thresh=thresh))

    assert covered(low) <= covered(high)
    assert kept(low)[0] <= kept(high)[0]
    assert kept(low)[1] >= kept(high)[1]


@pytest.mark.parametrize("rest", range(23))
def test_a_silence_at_the_very_end_stays_inside_the_recording(rest: int) -> None:
    # Half a window is loud, so the tail is kept; the last millisecond may hang over the end.
    rate = 22050
    samples = np.concatenate((np.full(rate, 0.5), np.zeros(rate // 10 + rest)))
    wanted = SilenceConfig(thresh=-60.0, trim_window=300, min_len=50)

    found = analyse(level_curve(sound_of(samples, rate)), wanted)

    assert (found.start, found.stop) == (0, len(samples))
    ((begin, end),) = found.silences
    assert rate <= begin < rate + 23
    assert len(samples) - 23 < end <= len(samples)


def test_a_known_voice_is_cut_at_its_pauses() -> None:
    spoken = speak(sentence(5, phrases=3, pause=0.3), Voice(level=-20.0, floor=-70.0, rate=16000))
    head, *between, tail = spoken.truth.pauses
    wanted = SilenceConfig(thresh=-60.0, head_thresh=-60.0, min_silence_len=200)

    found = analyse(level_curve(sound_of(spoken.samples, 16000)), wanted)

    window = 50 * 16  # samples: trimming goes by whole windows, spans overlap speech by less
    assert head[1] - window < found.start <= head[1]
    assert tail[0] <= found.stop < tail[0] + window
    assert len(found.silences) == len(between)
    for (begin, end), (first, stop) in zip(found.silences, between, strict=True):
        assert abs(begin - first) < 16 * 5
        assert abs(end - stop) < 16 * 5
    assert len(found.breaks) == len(between)


def test_a_silence_shorter_than_a_phrase_break_is_silence_but_no_break() -> None:
    spoken = speak(sentence(5, phrases=2, pause=0.2), Voice(floor=None, rate=22050))

    found = analyse(
        level_curve(sound_of(spoken.samples, 22050)), SilenceConfig(min_silence_len=500)
    )

    assert len(found.silences) == 1
    assert found.breaks == ()


@pytest.mark.parametrize("length", [0, 1, 5, 21, 22, 23, 700])
def test_recordings_shorter_than_any_window_are_answered(length: int) -> None:
    quiet, loud = np.zeros(length), np.full(length, 0.5)

    nothing = analyse(level_curve(sound_of(quiet, 22050)), SilenceConfig())
    everything = analyse(level_curve(sound_of(loud, 22050)), SilenceConfig())

    assert nothing.empty
    if length > 22050 / 2000:  # half a millisecond: what pydub takes for a length of at least 1 ms
        assert (everything.start, everything.stop) == (0, length)
    else:
        assert everything.empty
    assert everything.silences == ()


# --------------------------------------------------------------------------- frames


@st.composite
def cuts(draw: st.DrawFn) -> tuple[Segmentation, int, int, int, tuple[int, int]]:
    """A segmentation of a recording: with samples, rate, frames and the frames' (rate, hop)."""
    rate = draw(st.sampled_from(RATES))
    samples = draw(st.integers(1, 6000))
    start, stop = sorted(draw(st.tuples(*[st.integers(0, samples)] * 2)))
    stop = draw(st.sampled_from([stop, samples]))
    edges = sorted(draw(st.lists(st.integers(start, stop), unique=True, max_size=8)))
    spans = tuple(zip(edges[::2], edges[1::2], strict=False))
    working = draw(st.sampled_from(RATES))
    hop = draw(st.sampled_from([1, 64, 200, 256, 300]))
    frames = 1 + -(-samples * working // rate) // hop
    segmentation = Segmentation(start=start, stop=stop, silences=spans, breaks=spans)
    return segmentation, samples, rate, frames, (working, hop)


@settings(max_examples=150)
@given(cuts())
def test_kept_frames_are_those_whose_centres_are_kept(
    cut: tuple[Segmentation, int, int, int, tuple[int, int]],
) -> None:
    found, samples, rate, frames, (working, hop) = cut
    centres = [Fraction(k * hop, working) for k in range(frames)]
    # Nothing cut at the tail: frames that hang over the end belong to the recording too.
    end = Fraction(found.stop, rate) if found.stop < samples else math.inf
    inside = [k for k, at in enumerate(centres) if Fraction(found.start, rate) <= at < end]

    first, stop = kept_frames(found, samples, rate, frames, (working, hop))

    assert list(range(first, stop)) == inside
    assert 0 <= first <= stop <= frames


@settings(max_examples=150)
@given(cuts())
def test_silent_frames_are_the_kept_ones_with_silent_centres(
    cut: tuple[Segmentation, int, int, int, tuple[int, int]],
) -> None:
    found, samples, rate, frames, (working, hop) = cut
    first, stop = kept_frames(found, samples, rate, frames, (working, hop))

    spans = spans_to_frames(found.silences, (first, stop), rate, (working, hop))

    expected = []
    for begin, end in found.silences:
        frames_in = [
            k - first
            for k in range(first, stop)
            if Fraction(begin, rate) <= Fraction(k * hop, working) < Fraction(end, rate)
        ]
        if frames_in:
            expected.append((frames_in[0], frames_in[-1] + 1))
    assert list(spans) == expected


def test_levels_are_keyed_by_audio_alone() -> None:
    keys = {silence.levels_key(digest).hex() for digest in ("a" * 64, "b" * 64, "a" * 64)}

    assert len(keys) == 2
    assert silence.levels_key("a" * 64).parts()["settings"] == {}

"""Alignment: every warping path of small cases, librosa's DTW, and voices of known timing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpuskit.align import (
    align,
    durations_from_path,
    phrase_lengths,
    reduce_frames,
    spread_in_silence,
    warp,
)
from corpuskit.audio import decode, resample
from corpuskit.config import FeatureConfig
from corpuskit.features import extract
from synthetic import FULL_SCALE, SOURCE, TARGET, Spoken, sentence, speak

Path2 = list[tuple[int, int]]
HOP = FeatureConfig().hop_length


def mels(seed: int, frames: int, bands: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(-5, 2, (frames, bands)).astype(np.float32)


@st.composite
def two_mels(draw: st.DrawFn, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Two mels of different lengths; half of them of few values, so that costs are tied."""
    bands = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    lengths = draw(st.tuples(st.integers(1, most), st.integers(1, most)))
    source, target = (rng.normal(0, 2, (n, bands)) for n in lengths)
    if draw(st.booleans()):
        source, target = np.round(source), np.round(target)
    return source.astype(np.float32), target.astype(np.float32)


# ----------------------------------------------------------------------------- paths


def every_path(rows: int, columns: int) -> Iterator[Path2]:
    """All monotonic paths from the first cell to the last."""
    if rows == columns == 1:
        yield [(0, 0)]
        return
    for down, right in ((1, 1), (1, 0), (0, 1)):
        if rows - down >= 1 and columns - right >= 1:
            for path in every_path(rows - down, columns - right):
                yield [*path, (rows - 1, columns - 1)]


def cost_of(path: Path2, source: np.ndarray, target: np.ndarray) -> float:
    return sum(
        float(np.abs(source[i].astype(float) - target[j].astype(float)).sum()) for i, j in path
    )


def slow_cost(source: np.ndarray, target: np.ndarray) -> float:
    """The least cost by the textbook's recursion, in Python floats."""
    local = [
        [sum(abs(a - b) for a, b in zip(x, y, strict=True)) for y in target.tolist()]
        for x in source.tolist()
    ]
    best: dict[tuple[int, int], float] = {}
    for i, j in itertools.product(range(len(source)), range(len(target))):
        before = [best[at] for at in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if at in best]
        best[i, j] = local[i][j] + min(before, default=0.0)
    return best[len(source) - 1, len(target) - 1]


def assert_is_a_path(path: np.ndarray, rows: int, columns: int) -> None:
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [rows - 1, columns - 1]
    steps = {tuple(step) for step in np.diff(path, axis=0).tolist()}
    assert steps <= {(0, 1), (1, 0), (1, 1)}


@settings(max_examples=60)
@given(two_mels(most=5))
def test_no_other_path_is_cheaper(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair

    path, cost = warp(source, target)

    assert_is_a_path(path, len(source), len(target))
    assert cost == pytest.approx(cost_of(path.tolist(), source, target), rel=1e-5)
    cheapest = min(cost_of(p, source, target) for p in every_path(len(source), len(target)))
    assert cost == pytest.approx(cheapest, rel=1e-5)


@settings(max_examples=60)
@given(two_mels(most=18))
def test_the_cost_is_that_of_the_textbook_recursion(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair

    path, cost = warp(source, target)

    assert_is_a_path(path, len(source), len(target))
    assert cost == pytest.approx(cost_of(path.tolist(), source, target), rel=1e-5)
    assert cost == pytest.approx(slow_cost(source, target), rel=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(120, 90), (60, 200), (1, 30), (30, 1)])
def test_the_cost_is_librosas(rows: int, columns: int) -> None:
    source, target = mels(1, rows, 80), mels(2, columns, 80)

    _, cost = warp(source, target)

    total = librosa.sequence.dtw(X=source.T, Y=target.T, metric="cityblock", backtrack=False)
    assert cost == pytest.approx(total[-1, -1], rel=1e-5)


def test_the_same_mel_is_warped_along_the_diagonal_at_no_cost() -> None:
    mel = mels(3, 50)

    path, cost = warp(mel, mel)

    assert cost == 0
    assert path.tolist() == [[k, k] for k in range(50)]


def test_arrays_need_not_lie_contiguous_in_memory() -> None:
    source, target = mels(4, 60), mels(5, 80)

    path, cost = warp(source[::2], target[::2, ::-1][:, ::-1])

    again, same = warp(source[::2].copy(), target[::2].copy())
    assert cost == same
    np.testing.assert_array_equal(path, again)


# ------------------------------------------------------------------------- durations


@st.composite
def paths(draw: st.DrawFn) -> np.ndarray:
    steps = draw(st.lists(st.sampled_from([(1, 1), (1, 0), (0, 1)]), max_size=40))
    return np.cumsum([(0, 0), *steps], axis=0).astype(np.int32)


@given(paths())
def test_every_target_frame_belongs_to_the_first_source_frame_that_meets_it(
    path: np.ndarray,
) -> None:
    sources, targets = path[-1] + 1

    durations = durations_from_path(path, int(sources))

    owners = [min(i for i, j in path.tolist() if j == frame) for frame in range(targets)]
    assert durations.dtype == np.int32
    assert durations.tolist() == [owners.count(i) for i in range(sources)]
    assert durations.sum() == targets


def test_repeats_count_for_the_source_and_skips_give_zero() -> None:
    # Source frame 1 meets targets 1 to 3; target 3 is held while the source goes on to frame 3.
    path = np.array([(0, 0), (1, 1), (1, 2), (1, 3), (2, 3), (3, 3), (4, 4)], dtype=np.int32)

    assert durations_from_path(path, 5).tolist() == [1, 3, 0, 0, 1]


@st.composite
def durations_and_mask(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    durations = draw(st.lists(st.integers(0, 9), min_size=1, max_size=30))
    mask = draw(st.lists(st.booleans(), min_size=len(durations), max_size=len(durations)))
    return np.array(durations, dtype=np.int32), np.array(mask)


@given(durations_and_mask())
def test_silence_keeps_the_sum_of_every_run_and_spreads_it_evenly(
    given_: tuple[np.ndarray, np.ndarray],
) -> None:
    durations, silent = given_
    before = durations.copy()

    result = spread_in_silence(durations, silent)

    assert result.dtype == np.int32
    np.testing.assert_array_equal(durations, before)  # the argument is left alone
    np.testing.assert_array_equal(result[~silent], durations[~silent])
    for is_silent, group in itertools.groupby(range(len(silent)), key=lambda k: bool(silent[k])):
        run = list(group)
        if is_silent:
            assert result[run].sum() == durations[run].sum()
            assert result[run].max() - result[run].min() <= 1


def test_a_run_of_silence_is_spread_over_its_whole_length() -> None:
    durations = np.array([5, 9, 0, 0, 0, 4], dtype=np.int32)

    result = spread_in_silence(durations, np.array([False, True, True, True, True, False]))

    assert result.tolist() == [5, 2, 2, 2, 3, 4]


@given(st.integers(1, 8), st.integers(0, 60))
def test_reduced_frames_are_means_of_r_and_the_rest_is_left(reduction: int, frames: int) -> None:
    mel = mels(6, frames)

    reduced = reduce_frames(mel, reduction)

    assert reduced.shape == (frames // reduction, 5)
    for k, row in enumerate(reduced):
        expected = mel[k * reduction : (k + 1) * reduction].astype(float).mean(axis=0)
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------------- alignment


@settings(max_examples=60)
@given(
    st.integers(1, 6).flatmap(
        lambda r: st.tuples(st.just(r), st.integers(r, 90), st.integers(r, 90))
    ),
    st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20)), max_size=4),
)
def test_durations_fit_both_sides(
    sizes: tuple[int, int, int], silences: list[tuple[int, int]]
) -> None:
    reduction, source, target = sizes
    spans = [(begin, min(begin + length, source)) for begin, length in silences if begin < source]

    found = align(mels(7, source), mels(8, target), spans, reduction)

    assert len(found.durations) == source // reduction
    assert found.durations.sum() == target // reduction
    assert (found.durations >= 0).all()
    assert found.cost >= 0


def test_the_cost_is_a_mean_over_path_and_bands() -> None:
    # Levels 3 apart in every band, whatever path is taken.
    low, high = np.full((12, 7), -5, np.float32), np.full((20, 7), -2, np.float32)

    assert align(low, high, [], 2, normalise="none").cost == pytest.approx(3.0)
    assert align(low, low, [], 2, normalise="none").cost == 0


def test_a_louder_recording_or_a_darker_voice_does_not_bend_the_path() -> None:
    source, target = mels(11, 60), mels(12, 75)
    darker = target + np.linspace(2, -3, 5, dtype=np.float32)

    plain, other = align(source, target, [], 3), align(source, darker, [], 3)

    assert other.durations.tolist() == plain.durations.tolist()
    assert other.cost == pytest.approx(plain.cost, rel=1e-4)
    bent = align(source, darker, [], 3, normalise="none")
    assert bent.cost > other.cost


def test_the_mean_is_that_of_the_speech_on_either_side() -> None:
    # The same speech, each side with its own silence: only the speech decides the means.
    speech, rng = mels(13, 40), np.random.default_rng(14)
    quiet = rng.normal(-11, 0.01, (12, 5)).astype(np.float32)
    source, target = np.concatenate((speech, quiet)), np.concatenate((speech + 2, quiet[:4]))

    told = align(source, target, [(40, 52)], 1, target_silences=[(40, 44)])
    untold = align(source, target, [], 1)

    assert told.durations[:40].tolist() == [1] * 40
    # 52 steps, of which the 12 in silence meet levels 2 apart.
    assert told.cost == pytest.approx(12 * 2 / 52, rel=0.01)
    assert untold.cost > told.cost


def test_a_recording_taken_for_silent_throughout_is_aligned_all_the_same() -> None:
    source, target = mels(15, 30), mels(16, 20)

    found = align(source, target, [(0, 30)], 3, target_silences=[(0, 20)])

    assert found.durations.sum() == 6
    assert np.isfinite(found.cost)


def test_only_frames_mostly_silent_are_spread() -> None:
    # r = 3: reduced frame 1 is silent in 1 of its 3 frames, frames 2 and 3 wholly or mostly.
    source = np.repeat(np.arange(5, dtype=np.float32) * 10, 3)[:, None]
    target = np.repeat(np.float32([0, 10, 20, 20, 20, 20, 30, 40]), 3)[:, None]

    plain = align(source, target, [], 3, normalise="none").durations
    silent = align(source, target, [(5, 11)], 3, normalise="none").durations

    assert plain.tolist() == [1, 1, 4, 1, 1]
    assert silent.tolist() == [1, 1, 2, 3, 1]


def test_a_known_warp_of_a_mel_is_recovered() -> None:
    repeats = np.random.default_rng(9).integers(1, 5, 40)
    source = mels(10, 40, 80)

    found = align(source, np.repeat(source, repeats, axis=0) - 1, [], 1)

    assert found.durations.tolist() == repeats.tolist()
    assert found.cost < 0.1  # repeats weigh the means, which so differ a little


def measured(spoken: Spoken) -> np.ndarray:
    rate = spoken.truth.voice.rate
    return extract(spoken.samples / FULL_SCALE, rate, FeatureConfig()).mel


@pytest.mark.parametrize("number", [1, 2, 3])
def test_two_voices_are_aligned_where_they_say_the_same(number: int) -> None:
    source, target = speak(sentence(number), SOURCE), speak(sentence(number), TARGET)
    reduction, rate = 3, TARGET.rate

    found = align(measured(source), measured(target), [], reduction)

    # The boundary after each reduced source frame, and where it came to lie in the target.
    step = reduction * HOP / rate
    at_source = np.arange(1, len(found.durations) + 1) * step
    at_target = np.cumsum(found.durations) * step
    said = source.truth.said_at(at_source)
    inside = (said % 1 > 0.05) & (said % 1 < 0.95)  # within phrases: pauses say nothing
    error = np.abs(target.truth.said_at(at_target) - said)[inside]  # shares of a phrase
    phrase = (target.truth.phrases[0][1] - target.truth.phrases[0][0]) / rate
    assert inside.sum() > 15
    assert np.median(error) * phrase < 0.03  # seconds: a reduced frame is 0.035
    assert error.max() * phrase < 0.12


def test_real_speech_is_nearest_to_its_own_sentence(arctic: Path) -> None:
    def mel(speaker: str, number: int) -> np.ndarray:
        recording = decode(arctic / speaker / f"arctic_a000{number}.wav")
        samples = resample(recording.samples, recording.rate, 22050)
        return extract(samples, 22050, FeatureConfig()).mel

    sides = [[mel(speaker, number) for number in (1, 2, 3)] for speaker in ("clb", "slt")]

    found = [[align(source, target, [], 3) for target in sides[1]] for source in sides[0]]

    for k, row in enumerate(found):
        others = min(row[j].cost for j in range(3) if j != k)
        assert row[k].cost < 0.8 * others
        # Two readers keep about the same time: one is never far ahead of the other.
        reached = np.cumsum(row[k].durations) / row[k].durations.sum()
        through = np.arange(1, len(reached) + 1) / len(reached)
        assert np.abs(reached - through).max() < 0.15


# --------------------------------------------------------------------------- phrases


@st.composite
def broken(draw: st.DrawFn) -> tuple[list[int], np.ndarray, int]:
    """Target frames where silences start, durations that are not all 0, and r."""
    durations = draw(
        st.lists(st.integers(0, 6), min_size=1, max_size=25).filter(lambda d: sum(d) > 0)
    )
    reduction = draw(st.integers(1, 5))
    last = (sum(durations) + 1) * reduction
    breaks = draw(st.lists(st.integers(0, last), max_size=10, unique=True))
    return sorted(breaks), np.array(durations, dtype=np.int32), reduction


@settings(max_examples=200)
@given(broken())
@example(([], np.array([1], dtype=np.int32), 3))
@example(([0, 1, 2, 3], np.array([0, 4, 0, 0], dtype=np.int32), 1))
def test_phrases_are_never_empty_and_add_up(given_: tuple[list[int], np.ndarray, int]) -> None:
    breaks, durations, reduction = given_

    phrases = phrase_lengths(breaks, durations, reduction)

    assert min(phrases.source) >= 1
    assert min(phrases.target) >= 1
    assert len(phrases.source) == len(phrases.target)
    assert sum(phrases.source) == len(durations)
    assert sum(phrases.target) == durations.sum()
    # Every break is kept, merged, or lies before the first reduced frame and so breaks nothing.
    counted = [frame for frame in breaks if int(frame / reduction + 0.5) > 0]
    assert len(phrases.target) - 1 + phrases.merged == len(counted)


@settings(max_examples=200)
@given(broken())
def test_kept_breaks_lie_on_the_nearest_reduced_frame(
    given_: tuple[list[int], np.ndarray, int],
) -> None:
    breaks, durations, reduction = given_

    phrases = phrase_lengths(breaks, durations, reduction)

    allowed = {int(frame / reduction + 0.5) for frame in breaks}
    cuts = np.cumsum(phrases.target)[:-1].tolist()
    assert set(cuts) <= allowed
    # The source is cut beside the frame whose target frames hold the break.
    reached = [0, *np.cumsum(durations).tolist()]
    for source, target in zip(np.cumsum(phrases.source)[:-1].tolist(), cuts, strict=True):
        distance = min(abs(at - target) for at in reached)
        assert abs(reached[source] - target) == distance


def test_breaks_follow_to_the_source() -> None:
    durations = np.array([2, 2, 0, 3, 3, 2], dtype=np.int32)  # target frames reached: 2 4 4 7 10 12

    phrases = phrase_lengths([12, 30], durations, 3)  # reduced target frames 4 and 10

    assert phrases.target == (4, 6, 2)
    assert phrases.source == (2, 3, 1)
    assert phrases.merged == 0


def test_breaks_too_close_to_tell_apart_are_merged_and_counted() -> None:
    durations = np.array([4, 4, 4], dtype=np.int32)

    close = phrase_lengths([12, 13], durations, 3)  # both at reduced frame 4
    same_source = phrase_lengths([10, 14], durations, 3)  # 3 and 5, both beside source frame 1
    at_the_end = phrase_lengths([36], durations, 3)
    at_the_start = phrase_lengths([0, 1], durations, 3)

    assert (close.target, close.merged) == ((4, 8), 1)
    assert (same_source.target, same_source.merged) == ((3, 9), 1)
    assert (at_the_end.target, at_the_end.merged) == ((12,), 1)
    assert (at_the_start.target, at_the_start.merged) == ((12,), 0)

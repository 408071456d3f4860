"""Distances between utterances: the parts against independent truths, the whole on real speech."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corpuskit.audio import decode
from corpuskit.errors import BadAudio
from synthetic import FULL_SCALE, Voice, sentence, speak
from trainer import metrics
from trainer.metrics import analyse, compare, frequency_transform, mel_cepstrum
from trainer.warping import warping_path

VOICE = Voice(f0=130.0, level=-20.0, floor=-65.0)


def spoken(voice: Voice, number: int = 1) -> np.ndarray:
    return speak(sentence(number), voice).samples / FULL_SCALE


def measured(voice: Voice, number: int = 1) -> metrics.Voice:
    return analyse(spoken(voice, number), voice.rate)


# ------------------------------------------------------------------ mel-cepstrum


def test_frequency_transform_gives_sptk_values() -> None:
    # pysptk 1.0.1: freqt([1, 0.8, -0.5, 0.3], order=6, alpha=0.41)
    sptk = [1.2646263, 0.4502992, -0.2752822, 0.3227529, -0.2891964, 0.2119199, -0.1370643]

    warped = frequency_transform(4, 6, 0.41) @ [1, 0.8, -0.5, 0.3]

    assert warped == pytest.approx(sptk, abs=1e-7)


@given(
    cepstrum=hnp.arrays(np.float64, 8, elements=st.floats(-2, 2)),
    alpha=st.floats(-0.6, 0.6),
    radians=st.floats(0, np.pi),
)
def test_a_warped_series_is_the_same_spectrum_on_the_warped_axis(
    cepstrum: np.ndarray, alpha: float, radians: float
) -> None:
    # The phase of the all-pass function: where `radians` comes to lie.
    warped_to = radians + 2 * np.arctan2(alpha * np.sin(radians), 1 - alpha * np.cos(radians))
    plain = np.sum(cepstrum * np.cos(np.arange(8) * radians))

    warped = frequency_transform(8, 200, alpha) @ cepstrum

    assert np.sum(warped * np.cos(np.arange(201) * warped_to)) == pytest.approx(plain, abs=1e-6)


def test_mel_cepstrum_describes_the_log_magnitude() -> None:
    # pysptk 1.0.1: sp2mc(exp(1 + 2 cos w - 0.7 cos 3w), order=5, alpha=0.41)
    w = np.linspace(0, np.pi, 257)
    power = np.exp(1 + 2 * np.cos(w) - 0.7 * np.cos(3 * w))

    cepstrum = mel_cepstrum(power[None], 5, 0.41)[0]

    sptk = [0.8858777, 0.6850655, -0.5788077, 0.1579598, 0.0503868, -0.1017428]
    assert cepstrum == pytest.approx(sptk, abs=1e-7)


def test_without_warping_the_cepstrum_is_the_series_itself() -> None:
    w = np.linspace(0, np.pi, 65)
    power = np.exp(2 * (0.3 + 0.5 * np.cos(w) - 0.2 * np.cos(4 * w)))

    assert mel_cepstrum(power[None], 4, 0.0)[0] == pytest.approx([0.3, 0.5, 0, 0, -0.2], abs=1e-12)


# --------------------------------------------------------------------------- DTW


def slow_cost(cost: np.ndarray) -> float:
    """The cheapest path's sum, by the textbook recursion written out cell by cell."""
    rows, columns = cost.shape
    total = [[float("inf")] * columns for _ in range(rows)]
    for i in range(rows):
        for j in range(columns):
            reached = [
                total[i - di][j - dj] for di, dj in ((1, 1), (1, 0), (0, 1)) if i >= di and j >= dj
            ]
            total[i][j] = cost[i, j] + (min(reached) if i or j else 0.0)
    return total[-1][-1]


costs = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.integers(0, 9).map(float),
)


@given(cost=costs)
def test_the_path_is_the_cheapest_one(cost: np.ndarray) -> None:
    rows, columns = warping_path(cost)

    assert cost[rows, columns].sum() == slow_cost(cost)


@given(cost=costs)
def test_the_path_goes_from_corner_to_corner_one_step_at_a_time(cost: np.ndarray) -> None:
    rows, columns = warping_path(cost)

    steps = set(zip(np.diff(rows).tolist(), np.diff(columns).tolist(), strict=True))
    assert (rows[0], columns[0]) == (0, 0)
    assert (rows[-1] + 1, columns[-1] + 1) == cost.shape
    assert steps <= {(1, 1), (1, 0), (0, 1)}


def test_of_equal_paths_the_diagonal_is_taken() -> None:
    rows, columns = warping_path(np.zeros((5, 5)))

    assert rows.tolist() == columns.tolist() == [0, 1, 2, 3, 4]


# --------------------------------------------------------------- known differences


def test_an_utterance_is_no_distance_from_itself() -> None:
    voice = measured(VOICE)

    distances = compare(voice, voice)

    assert distances.mcd == 0
    assert distances.log_f0_rmse == 0
    assert distances.log_f0_correlation == pytest.approx(1)
    assert distances.voicing_error == 0
    assert distances.duration_error == 0


def test_mcd_is_kubicheks_formula() -> None:
    frame = np.zeros((1, 24))
    other = frame.copy()
    other[0, [2, 7]] = 0.3, -0.4  # length 0.5
    f0 = np.array([100.0])

    distances = compare(
        metrics.Voice(cepstrum=frame, f0=f0, seconds=1.0),
        metrics.Voice(cepstrum=other, f0=f0, seconds=1.0),
    )

    assert distances.mcd == pytest.approx(10 / np.log(10) * np.sqrt(2) * 0.5)


def test_level_and_silence_around_are_no_distance() -> None:
    plain = spoken(VOICE)
    padded = np.concatenate((np.zeros(7000), 0.25 * plain, np.zeros(3000)))

    distances = compare(analyse(padded, VOICE.rate), analyse(plain, VOICE.rate))

    assert distances.mcd < 0.6  # the 5 ms grid falls elsewhere
    assert distances.duration_error <= 0.01


def test_pitch_is_told_in_log_hertz() -> None:
    higher = dataclasses.replace(VOICE, f0=VOICE.f0 * 1.5)

    distances = compare(measured(higher), measured(VOICE))

    assert distances.log_f0_rmse == pytest.approx(np.log(1.5), abs=0.03)
    assert distances.log_f0_correlation is not None
    assert distances.log_f0_correlation > 0.8


def test_a_longer_tract_is_farther_than_the_same_one() -> None:
    near = compare(measured(VOICE), measured(dataclasses.replace(VOICE, tract=1.03)))
    far = compare(measured(VOICE), measured(dataclasses.replace(VOICE, tract=1.2)))

    assert 0 < near.mcd < far.mcd


def test_duration_error_is_the_difference_of_the_spoken_spans() -> None:
    slower = dataclasses.replace(VOICE, pace=0.8)
    fast, slow = (speak(sentence(1), voice).truth for voice in (VOICE, slower))
    truth = [(spoken.phrases[-1][1] - spoken.phrases[0][0]) / VOICE.rate for spoken in (fast, slow)]

    distances = compare(measured(VOICE), measured(slower))

    assert distances.duration_error == pytest.approx(truth[1] - truth[0], abs=0.03)


def test_a_whisper_differs_in_voicing_and_has_no_f0_to_compare() -> None:
    voice = measured(VOICE)
    whisper = dataclasses.replace(voice, f0=np.zeros_like(voice.f0))

    distances = compare(whisper, voice)

    assert distances.voicing_error == pytest.approx(np.mean(voice.f0 > 0))
    assert distances.log_f0_rmse is None
    assert distances.log_f0_correlation is None


def test_the_rate_of_the_recording_does_not_matter() -> None:
    fine = dataclasses.replace(VOICE, rate=44100, floor=None)
    coarse = dataclasses.replace(VOICE, rate=22050, floor=None)

    distances = compare(measured(fine), measured(coarse))

    assert distances.mcd < 1.5  # harmonics end at 0.45 of each rate; both lie above 8 kHz
    assert distances.log_f0_rmse is not None
    assert distances.log_f0_rmse < 0.01


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0), np.zeros(16000), np.full(16000, np.nan), np.full(16000, np.inf)],
    ids=["empty", "silent", "nan", "infinite"],
)
def test_what_cannot_be_measured_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(BadAudio, match="no sound"):
        analyse(samples, 16000)


def test_every_figure_has_a_definition_of_its_own() -> None:
    assert list(metrics.DEFINITIONS) == [f.name for f in dataclasses.fields(metrics.Distances)]
    assert len(set(metrics.DEFINITIONS.values())) == len(metrics.DEFINITIONS)


def test_every_definition_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")

    assert [name for name in metrics.DEFINITIONS.values() if f"`{name}`" not in text] == []


# --------------------------------------------------------------------- real speech


def unconverted(arctic: Path, sentence_id: str) -> metrics.Distances:
    sounds = [decode(arctic / speaker / f"{sentence_id}.wav") for speaker in ("clb", "slt")]
    return compare(*(analyse(sound.samples, sound.rate) for sound in sounds))


def test_unconverted_arctic_is_as_far_as_the_literature_says(arctic: Path) -> None:
    """clb -> slt, sentences 26-30: 7.65 dB is the published figure of this definition."""
    distances = [unconverted(arctic, f"arctic_a{number:04d}") for number in range(26, 31)]

    # Measured: 7.668 dB, 0.089, 7.7 %.
    assert np.mean([d.mcd for d in distances]) == pytest.approx(7.65, abs=0.05)
    assert np.mean([d.log_f0_rmse for d in distances]) == pytest.approx(0.089, abs=0.01)
    assert np.mean([d.voicing_error for d in distances]) == pytest.approx(0.077, abs=0.01)

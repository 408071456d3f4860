"""Statistics: NumPy's mean and variance over all frames at once are the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.build import Built, Request, build
from corpuskit.config import DatasetConfig, from_mapping
from corpuskit.features import Features, continuous_log_f0
from corpuskit.statistics import SideStatistics, moments, pooled
from corpuskit.versions import Pair, Version
from synthetic import write_pair_corpus

GATE = -5.0


def measured(seed: int, frames: int, bands: int = 4) -> Features:
    """Frames as speech has them: some unvoiced, some below the gate."""
    rng = np.random.default_rng(seed)
    voiced = rng.random(frames) < 0.7
    return Features(
        f0=(rng.uniform(80, 400, frames) * voiced).astype(np.float32),
        energy=np.exp(rng.uniform(-9, 4, frames)).astype(np.float32),
        mel=rng.normal(-6, 2, (frames, bands)).astype(np.float32),
    )


def pitch(part: Features) -> np.ndarray:
    return continuous_log_f0(part.f0, part.energy, GATE)


def energy(part: Features) -> np.ndarray:
    return np.maximum(np.log(part.energy), np.float32(GATE))


def assert_are_those_of(found: SideStatistics, parts: list[Features]) -> None:
    """Compare with NumPy over all frames, in double precision."""
    mel = np.concatenate([part.mel for part in parts]).astype(np.float64)
    contour = np.concatenate([pitch(part) for part in parts]).astype(np.float64)
    loudness = np.concatenate([energy(part) for part in parts]).astype(np.float64)
    assert found.frames == len(mel)
    np.testing.assert_allclose(found.mel_mean, mel.mean(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.mel_var, mel.var(axis=0), rtol=1e-6, atol=2e-10)
    assert found.pitch_mean == pytest.approx(contour.mean(), rel=1e-9)
    assert found.pitch_var == pytest.approx(contour.var(), rel=1e-6, abs=2e-10)
    assert found.energy_mean == pytest.approx(loudness.mean(), rel=1e-9, abs=1e-9)
    assert found.energy_var == pytest.approx(loudness.var(), rel=1e-6, abs=2e-10)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 120), min_size=1, max_size=8), st.integers(0, 1000))
def test_pooled_moments_are_the_statistics_of_all_frames_together(
    lengths: list[int], seed: int
) -> None:
    parts = [measured(seed + k, length) for k, length in enumerate(lengths)]

    found = pooled((moments(part, pitch(part), energy(part)) for part in parts), sum(lengths))

    assert_are_those_of(found, parts)


def test_a_long_recording_weighs_by_its_frames() -> None:
    short, long = (
        Features(
            f0=np.full(n, 100, np.float32),
            energy=np.ones(n, np.float32),
            mel=np.full((n, 1), level, np.float32),
        )
        for n, level in ((10, 0.0), (90, 1.0))
    )

    found = pooled([moments(part, pitch(part), energy(part)) for part in (short, long)], 100)

    assert found.mel_mean == pytest.approx((0.9,))
    assert found.mel_var == pytest.approx((0.09,))
    assert found.pitch_mean == pytest.approx(np.log(100))


def test_what_never_changes_has_a_variance_one_can_divide_by() -> None:
    flat = Features(
        f0=np.full(50, 123, np.float32),
        energy=np.full(50, 0.3, np.float32),
        mel=np.full((50, 3), -11.512925, np.float32),
    )

    found = pooled([moments(flat, pitch(flat), energy(flat))], 50)

    for variance in (*found.mel_var, found.pitch_var, found.energy_var):
        assert 0 < variance < 1e-8


# --------------------------------------------------------------- of a built version


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """Four synthetic pairs, two of them held out."""
    corpus = write_pair_corpus(tmp_path / "corpus", count=4)
    config = from_mapping(
        DatasetConfig,
        {
            "corpora": {
                "N2C": {
                    "root": str(corpus.root),
                    "speakers": {"N": "source", "C": "target"},
                }
            },
            "pairs": [{"source": "N", "target": "C"}],
            "split": {"dev": 1, "eval": 1},
        },
        "test",
    )
    *_, end = build(Request(name="N2C", settings=config, workspace=tmp_path / "w", jobs=1))
    assert isinstance(end, Built)
    return end.version


def parts_of(version: Version, name: str, pairs: tuple[Pair, ...]) -> list[Features]:
    return [version.features(getattr(pair, name)) for pair in pairs]


def test_a_version_states_the_kept_frames_of_its_training_split_alone(version: Version) -> None:
    train = version.split("train")

    assert len(train) == 2
    for name in ("source", "target"):
        stated = getattr(version.statistics, name)
        assert_are_those_of(stated, parts_of(version, name, train))
        everything = parts_of(version, name, version.pairs)
        assert stated.frames < sum(map(len, everything))
        assert stated.mel_mean != pytest.approx(np.concatenate([p.mel for p in everything]).mean(0))
    # The voices are the synthetic ones: about 115 and 235 Hz.
    assert np.exp(version.statistics.source.pitch_mean) == pytest.approx(115, rel=0.1)
    assert np.exp(version.statistics.target.pitch_mean) == pytest.approx(235, rel=0.1)

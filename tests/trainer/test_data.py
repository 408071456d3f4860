"""From a version to the model: normalised by side and band, packed pair by pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.errors import BadSetting, BadVersion
from corpuskit.features import Features, continuous_log_f0
from corpuskit.statistics import SideStatistics, Statistics
from corpuskit.versions import Side, Version, open_version
from trainer.config import ModelConfig
from trainer.data import SMALLEST_DEVIATION, Normaliser, check_fit, load

CPU = torch.device("cpu")
GATE = -5.0


def side(bands: int, seed: int, variance: float | None = None) -> SideStatistics:
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.5, 2, bands) if variance is None else np.full(bands, variance)
    return SideStatistics(
        mel_mean=tuple(rng.normal(size=bands)),
        mel_var=tuple(spread),
        pitch_mean=5.0 + seed,
        pitch_var=0.04,
        energy_mean=2.0,
        energy_var=4.0,
        frames=100,
    )


def features(seed: int, frames: int = 20, bands: int = 4) -> Features:
    rng = np.random.default_rng(seed)
    return Features(
        f0=np.where(rng.random(frames) < 0.3, 0, rng.uniform(80, 300, frames)).astype(np.float32),
        energy=rng.uniform(0.5, 50, frames).astype(np.float32),
        mel=rng.normal(-5, 2, (frames, bands)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def version(n2c_workspace: Path) -> Version:
    return open_version(n2c_workspace, "N2C")


def test_each_side_is_normalised_by_its_own_statistics() -> None:
    statistics = Statistics(source=side(4, 1), target=side(4, 2))
    normaliser = Normaliser(statistics, GATE)
    seen = features(3)

    for frames, values in (
        (normaliser.source(seen), statistics.source),
        (normaliser.target(seen), statistics.target),
    ):
        mel = (seen.mel - np.array(values.mel_mean)) / np.sqrt(values.mel_var)
        pitch = (continuous_log_f0(seen.f0, seen.energy, GATE) - values.pitch_mean) / 0.2
        energy = (np.maximum(np.log(seen.energy), GATE) - 2.0) / 2.0
        np.testing.assert_allclose(frames.mel, mel, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(frames.pitch, pitch, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(frames.energy, energy, rtol=1e-4, atol=1e-5)
        assert frames.mel.dtype == frames.pitch.dtype == frames.energy.dtype == np.float32


@given(st.integers(0, 1000), st.integers(1, 50))
def test_what_is_normalised_can_be_restored(seed: int, frames: int) -> None:
    normaliser = Normaliser(Statistics(source=side(4, 1), target=side(4, 2)), GATE)
    seen = features(seed, frames)

    made = normaliser.target(seen)

    np.testing.assert_allclose(normaliser.target_mel(made.mel), seen.mel, atol=1e-4)
    log_f0 = continuous_log_f0(seen.f0, seen.energy, GATE)
    np.testing.assert_allclose(normaliser.target_f0(made.pitch), np.exp(log_f0), rtol=1e-4)
    np.testing.assert_allclose(
        normaliser.target_energy(made.energy), np.maximum(np.log(seen.energy), GATE), atol=1e-4
    )


def test_a_band_that_never_changes_does_not_explode() -> None:
    flat = side(4, 1, variance=1e-10)
    seen = features(5)

    made = Normaliser(Statistics(source=flat, target=flat), GATE).source(seen)

    largest = np.abs(seen.mel - np.array(flat.mel_mean)).max()
    assert np.abs(made.mel).max() <= 1.001 * largest / SMALLEST_DEVIATION


def test_the_training_split_has_mean_0_and_variance_1(version: Version) -> None:
    normaliser = Normaliser(version.statistics, version.settings.features.energy_gate)

    for role in ("source", "target"):
        frames = [
            getattr(normaliser, role)(version.features(getattr(pair, role)))
            for pair in version.split("train")
        ]
        for values in (
            np.concatenate([each.mel for each in frames]),
            np.concatenate([each.pitch for each in frames]),
            np.concatenate([each.energy for each in frames]),
        ):
            np.testing.assert_allclose(values.mean(axis=0), 0, atol=2e-3)
            np.testing.assert_allclose(values.var(axis=0), 1, atol=2e-2)


def test_a_packed_pair_is_the_versions(version: Version) -> None:
    normaliser = Normaliser(version.statistics, version.settings.features.energy_gate)
    pairs = version.split("train")[:4]

    made = load(version, pairs, normaliser, version.speakers, CPU)

    assert made.ids([2, 0]) == [pairs[2].id, pairs[0].id]
    batch = made.packed.gather([2])
    frames = normaliser.source(version.features(pairs[2].source)).whole(3)
    np.testing.assert_array_equal(batch.mel[0].numpy(), frames.mel)
    np.testing.assert_array_equal(batch.pitch[0].numpy(), frames.pitch)
    np.testing.assert_array_equal(batch.energy[0].numpy(), frames.energy)
    target = normaliser.target(version.features(pairs[2].target)).whole(3)
    np.testing.assert_array_equal(batch.target_mel[0].numpy(), target.mel)
    np.testing.assert_array_equal(batch.durations[0].numpy(), version.durations(pairs[2]))
    assert int(batch.source_speaker[0]) == version.speakers.index("N")
    assert int(batch.target_speaker[0]) == version.speakers.index("C")


def test_a_recording_in_several_pairs_is_read_once(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    features = Version.features

    def counted(self: Version, side: Side) -> Features:
        read.append(side.recording)
        return features(self, side)

    monkeypatch.setattr(Version, "features", counted)
    pairs = version.split("train")
    normaliser = Normaliser(version.statistics, version.settings.features.energy_gate)

    data = load(version, [*pairs, *pairs], normaliser, version.speakers, CPU)

    sides = [each.recording for pair in pairs for each in (pair.source, pair.target)]
    assert sorted(read) == sorted(sides)
    once, again = (data.packed.gather([number]) for number in (1, len(pairs) + 1))
    for name in ("mel", "pitch", "energy", "target_mel", "target_pitch", "target_energy"):
        assert torch.equal(getattr(once, name), getattr(again, name))


def test_a_speaker_without_a_row_is_named(version: Version) -> None:
    normaliser = Normaliser(version.statistics, GATE)

    with pytest.raises(BadSetting, match="does not know speaker 'C'; it knows N, X"):
        load(version, version.pairs, normaliser, ("N", "X"), CPU)


def test_damaged_features_name_their_recording(workspace: Path) -> None:
    version = open_version(workspace, "N2C")
    pair = version.pairs[0]
    name = pair.source.object
    path = next((workspace / "objects").rglob(f"*{name[2:]}*"))
    path.write_bytes(path.read_bytes()[:-7])

    with pytest.raises(BadVersion, match=pair.source.recording):
        load(version, [pair], Normaliser(version.statistics, GATE), version.speakers, CPU)


@pytest.mark.parametrize(("key", "value"), [("reduction", 2), ("mels", 40)])
def test_a_model_of_other_frames_is_refused(version: Version, key: str, value: int) -> None:
    model = ModelConfig(**{key: value})  # type: ignore[arg-type]

    with pytest.raises(BadSetting, match=f"model.{key} is {value}, but dataset N2C has"):
        check_fit(model, version)


def test_whole_reduced_frames_are_kept() -> None:
    frames = Normaliser(Statistics(source=side(4, 1), target=side(4, 2)), GATE).source(features(1))

    assert len(frames.whole(3).pitch) == len(frames.whole(3).mel) == 18
    assert len(frames.whole(20).energy) == 20

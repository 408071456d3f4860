"""The golden version of tests/golden, read as a training reads it."""

from __future__ import annotations

import numpy as np
import torch

from corpuskit.features import continuous_log_f0
from corpuskit.versions import open_version
from golden_version import GOLDEN, NAME
from trainer.data import Normaliser, load

CPU = torch.device("cpu")


def test_the_golden_version_becomes_batches() -> None:
    version = open_version(GOLDEN, NAME)
    normaliser = Normaliser(version.statistics, version.settings.features.energy_gate)
    data = load(version, version.pairs, normaliser, version.speakers, CPU)

    batch = data.packed.gather([0, 1, 2, 3])

    assert [pair.sentence for pair in data.pairs] == ["s1", "s2", "s3", "s4"]
    assert batch.lengths.tolist() == [21, 22, 21, 21]
    assert batch.target_lengths.tolist() == [20, 20, 20, 19]
    assert batch.durations.sum(dim=1).tolist() == [20, 20, 20, 19]
    assert batch.source_speaker.tolist() == [1, 1, 1, 1]  # C, N
    assert batch.target_speaker.tolist() == [0, 0, 0, 0]


def test_its_frames_come_back_when_denormalised() -> None:
    version = open_version(GOLDEN, NAME)
    normaliser = Normaliser(version.statistics, version.settings.features.energy_gate)
    batch = load(version, version.pairs, normaliser, version.speakers, CPU).packed.gather([0])
    pair, stated = version.pairs[0], version.statistics.target
    kept = version.features(pair.target)
    frames = len(kept) // 3 * 3

    mel = batch.target_mel[0].numpy() * np.sqrt(stated.mel_var) + stated.mel_mean
    pitch = batch.target_pitch[0].numpy() * np.sqrt(stated.pitch_var) + stated.pitch_mean

    np.testing.assert_allclose(mel, kept.mel[:frames], rtol=1e-4, atol=1e-4)
    contour = continuous_log_f0(kept.f0, kept.energy, version.settings.features.energy_gate)
    np.testing.assert_allclose(pitch, contour[:frames], rtol=1e-4, atol=1e-4)

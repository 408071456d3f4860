"""Samples: what the model makes of dev pairs, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from corpuskit.audio import decode
from corpuskit.versions import open_version
from trainer import samples
from trainer.convert import Converter
from trainer.samples import Sample
from trainer.vocoders.speech import aloud
from training import started


@pytest.fixture
def sample() -> Sample:
    rng = np.random.default_rng(1)
    return Sample(
        name="a.N-C",
        mel=rng.normal(-5, 2, (30, 8)).astype(np.float32),
        target=rng.normal(-5, 2, (20, 8)).astype(np.float32),
        samples=(0.5 * np.sin(np.arange(2205) / 10)).astype(np.float32),
        rate=22050,
    )


def test_a_sample_is_written_as_wav_and_npz(tmp_path: Path, sample: Sample) -> None:
    samples.write(tmp_path / "epoch-0001", sample)

    sound = decode(tmp_path / "epoch-0001" / "a.N-C.wav")
    np.testing.assert_allclose(sound.samples, sample.samples, atol=1 / 32768)
    with np.load(tmp_path / "epoch-0001" / "a.N-C.npz") as held:
        np.testing.assert_array_equal(held["mel"], sample.mel)
        np.testing.assert_array_equal(held["target"], sample.target)


def test_a_picture_has_both_mels_with_low_bands_below(sample: Sample) -> None:
    picture = sample.picture()

    assert picture.shape == (16, 30)
    assert picture.dtype == np.uint8
    target = sample.target
    grey = 255 * (target - target.min()) / (target.max() - target.min())
    np.testing.assert_allclose(picture[8:, :20], grey.T[::-1], atol=1)
    assert (picture[8:, 20:] == 0).all()


def test_a_flat_mel_is_a_picture_too(sample: Sample) -> None:
    flat = np.full((5, 8), -11.5, np.float32)

    assert Sample(
        name="a", mel=flat, target=flat, samples=sample.samples, rate=22050
    ).picture().shape == (16, 5)


def test_pairs_are_converted_by_the_given_model(workspace: Path) -> None:
    run = started(workspace)
    version = open_version(workspace, "N2C")
    converter = Converter.of(run, run.checkpoint("last"), "cpu")
    pair = version.split("dev")[0]

    (made,) = samples.convert(converter, version, [pair])

    (again,) = converter.made([(version.features(pair.source), ())], "N", "C")
    np.testing.assert_array_equal(made.mel, again.mel)
    np.testing.assert_array_equal(made.samples, aloud(converter.vocoder, again.speech))
    np.testing.assert_array_equal(made.target, version.features(pair.target).mel)
    assert made.name == f"{pair.sentence}.N-C"

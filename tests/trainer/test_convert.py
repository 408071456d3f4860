"""Any wav in, sound out, by the very code that made the dataset; bad wavs are named and refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from corpuskit.audio import Sound, decode
from corpuskit.config import DatasetConfig, from_mapping
from corpuskit.errors import BadAudio, BadSetting, CorpuskitError, UnknownName
from corpuskit.versions import open_version
from synthetic import FULL_SCALE, Voice, sentence, speak, write_pair_corpus
from trainer.convert import Converter, phrases_of, targets_by_source, usable_features, voiced_as
from trainer.errors import BadRun
from untrained import built, dataset_settings, untrained_run


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("convert")
    built(folder / "ws", "demo", dataset_settings(write_pair_corpus(folder / "corpus")))
    untrained_run(folder / "ws", "demo", tag="demo_1")
    return folder / "ws"


@pytest.fixture
def converter(workspace: Path) -> Converter:
    return Converter.open(workspace, "demo_1", device="cpu")


def sound_of(samples: np.ndarray, rate: int = 22050) -> Sound:
    return Sound(samples=samples, rate=rate, channels=1, subtype="DOUBLE")


def spoken(rate: int = 22050) -> np.ndarray:
    return speak(sentence(9), Voice(floor=-60.0, rate=rate)).samples / FULL_SCALE


# --------------------------------------------------------------------- converting


def test_a_recording_becomes_sound_at_the_datasets_rate(converter: Converter) -> None:
    converted = converter.convert(sound_of(spoken()))

    frames, bands = converted.speech.mel.shape
    assert (converted.source, converted.target, bands) == ("N", "C", 80)
    assert len(converted.samples) == (frames - 1) * 256
    assert converted.seconds == len(converted.samples) / 22050
    assert converted.speed == pytest.approx(converted.seconds / converted.took)
    assert np.abs(converted.samples).max() <= 1.0


def test_the_frames_are_those_the_dataset_has(converter: Converter, workspace: Path) -> None:
    version = open_version(workspace, "demo")
    for pair in version.pairs:
        recording = next(r for r in version.recordings if r.id == pair.source.recording)

        features, _ = usable_features(decode(version.source_path(recording)), converter.settings)

        stored = version.features(pair.source)
        assert np.array_equal(features.mel, stored.mel)
        assert np.array_equal(features.f0, stored.f0)
        assert np.array_equal(features.energy, stored.energy)


def test_converting_twice_gives_the_same_samples(converter: Converter) -> None:
    one, other = (converter.convert(sound_of(spoken())).samples for _ in range(2))

    assert np.array_equal(one, other)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_any_rate_will_do(converter: Converter, rate: int) -> None:
    wanted, _ = usable_features(sound_of(spoken()), converter.settings)

    features, _ = usable_features(sound_of(spoken(rate), rate), converter.settings)
    converted = converter.convert(sound_of(spoken(rate), rate))

    assert len(features) == pytest.approx(len(wanted), abs=1)
    assert np.median(features.f0[features.f0 > 0]) == pytest.approx(
        np.median(wanted.f0[wanted.f0 > 0]), rel=0.02
    )
    assert converted.rate == 22050


def test_stereo_and_float_files_are_decoded(converter: Converter, tmp_path: Path) -> None:
    samples = spoken()
    sf.write(tmp_path / "in.wav", np.stack((samples, samples), axis=1), 22050, subtype="FLOAT")

    converted = converter.convert(tmp_path / "in.wav")

    assert np.array_equal(converted.samples, converter.convert(sound_of(samples)).samples)


# ------------------------------------------------------------------ unusable input


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(22050), "silent from end to end"),
        (np.full(22050, 1e-4), "below the silence thresholds"),
        (spoken()[5000:5300], "less than one reduced frame"),
        (0.1 * np.random.default_rng(0).standard_normal(22050), "no voiced frame"),
    ],
    ids=["zeros", "quiet", "short", "noise"],
)
def test_unusable_input_is_named_with_its_reason(
    converter: Converter, tmp_path: Path, samples: np.ndarray, reason: str
) -> None:
    path = tmp_path / "in.wav"
    sf.write(path, samples, 22050, subtype="DOUBLE")

    with pytest.raises(BadAudio, match=reason) as caught:
        converter.convert(path)

    assert str(path) in str(caught.value)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty file"), (b"RIFF no wav at all", "decoded|truncated"), (None, "does not exist")],
    ids=["empty", "garbage", "missing"],
)
def test_files_that_are_no_recordings_are_named(
    converter: Converter, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "in.wav"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(BadAudio, match=reason) as caught:
        converter.convert(path)

    assert str(path) in str(caught.value)


def test_nan_is_refused(converter: Converter, tmp_path: Path) -> None:
    sf.write(tmp_path / "in.wav", np.full(22050, np.nan), 22050, subtype="FLOAT")

    with pytest.raises(BadAudio, match="NaN"):
        converter.convert(tmp_path / "in.wav")


# ------------------------------------------------------------------------ speakers


def several(*pairs: dict[str, object]) -> DatasetConfig:
    speakers = {name: name for name in "ABCD"}
    return from_mapping(
        DatasetConfig,
        {"corpora": {"all": {"root": "x", "speakers": speakers}}, "pairs": list(pairs)},
        "the test",
    )


def test_directions_are_those_the_run_was_trained_on() -> None:
    settings = several(
        {"source": "A", "target": "B", "both": True},
        {"source": "A", "target": "C"},
        {"source": "A", "target": "D"},  # D has no usable pair, so the run does not know it
    )

    assert targets_by_source(settings, ("A", "B", "C")) == {"A": ("B", "C"), "B": ("A",)}


def test_several_targets_must_be_chosen_from(converter: Converter) -> None:
    settings = several({"source": "A", "target": "B"}, {"source": "A", "target": "C"})
    many = dataclasses.replace(converter, settings=settings, speakers=("A", "B", "C"))

    with pytest.raises(BadSetting, match=r"B, C.*--target"):
        many.direction(None, None)

    assert many.direction(None, "C") == ("A", "C")


def test_the_source_left_out_is_the_first_that_reaches_the_target(converter: Converter) -> None:
    settings = several({"source": "A", "target": "B"}, {"source": "C", "target": "D"})
    many = dataclasses.replace(converter, settings=settings, speakers=("A", "B", "C", "D"))

    assert many.direction(None, None) == ("A", "B")
    assert many.direction(None, "D") == ("C", "D")


@pytest.mark.parametrize(("source", "target"), [("X", None), (None, "N"), (None, "X")])
def test_unknown_speakers_are_refused(
    converter: Converter, source: str | None, target: str | None
) -> None:
    with pytest.raises(UnknownName):
        converter.convert(sound_of(spoken()), target=target, source=source)


# ---------------------------------------------------------------------------- runs


def test_unknown_runs_and_checkpoints_are_refused(workspace: Path) -> None:
    with pytest.raises(UnknownName, match="demo_1"):
        Converter.open(workspace, "demo_2", device="cpu")
    with pytest.raises(CorpuskitError, match="epoch 7"):
        Converter.open(workspace, "demo_1", checkpoint="7", device="cpu")


def test_a_model_that_gives_no_numbers_is_refused(converter: Converter) -> None:
    import torch

    with torch.no_grad():
        converter.model.mel_out.bias.fill_(float("nan"))

    with pytest.raises(BadRun, match="no numbers"):
        converter.convert(sound_of(spoken()))


# ------------------------------------------------------------------ phrases


def test_phrases_end_where_a_long_silence_begins() -> None:
    """At 22,050 Hz and a hop of 256, 500 ms are 43.07 frames; three frames make a reduced one."""
    settings = from_mapping(
        DatasetConfig,
        {
            "corpora": {"x": {"root": "r", "speakers": {"N": "n", "C": "c"}}},
            "pairs": [{"source": "N", "target": "C"}],
        },
        "the test",
    )
    silences = ((0, 60), (90, 133), (151, 195), (240, 250), (299, 301), (280, 400))

    assert phrases_of(silences, 301, settings) == (50, 43, 7)
    assert phrases_of((), 301, settings) == (100,)
    assert phrases_of(((1, 301),), 301, settings) == (100,)


def test_target_frames_are_voiced_where_their_source_frames_are() -> None:
    f0 = np.array([0, 100, 100, 0, 0, 0, 90, 90, 0, 80, 80], dtype=np.float32)  # one too many at 2

    found = voiced_as(f0, np.array([2, 0, 1, 1, 0]), 2)

    # frames 0 1 | 2 3 | 4 5 | 6 7 | 8 9 of the source become 4, 0, 2, 2 and 0 of the target
    assert found.tolist() == [False, False, True, True, False, False, True, True]

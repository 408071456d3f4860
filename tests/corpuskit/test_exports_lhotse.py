"""The manifests, loaded and validated by lhotse itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from building import built, quick_corpus, settings
from corpuskit.exports.registry import export
from corpuskit.exports.request import Means
from corpuskit.versions import Pair, Side, Version

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of lhotse's own imports
    lhotse = pytest.importorskip("lhotse")


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """Both directions; one source in stereo, one of another rate than the features."""
    corpus = quick_corpus(tmp_path_factory.mktemp("lhotse") / "corpus", 5)
    samples, rate = sf.read(corpus.source / "utt_002.wav")
    sf.write(corpus.source / "utt_002.wav", np.stack([samples, samples * 0.5], axis=1), rate)
    samples, rate = sf.read(corpus.source / "utt_003.wav")
    sf.write(corpus.source / "utt_003.wav", np.repeat(samples, 2), 2 * rate)
    config = settings(corpus.root, 'pairs=[{source="N", target="C", both=true}]')
    return built(corpus.root.parent / "w", config).version


@pytest.fixture(scope="module")
def folder(version: Version, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "lhotse"
    list(export(version, "lhotse", out, Means()))
    return out


def sides(version: Version) -> dict[str, Side]:
    return {side.recording: side for p in version.pairs for side in (p.source, p.target)}


def by_id(manifest: Any) -> dict[str, Any]:
    return {each.id: each for each in manifest}


def frame_times(version: Version, side: Side) -> np.ndarray:
    """Seconds on which the kept frames are centred."""
    step = version.settings.features.hop_length / version.settings.audio.rate
    return np.arange(*side.frames) * step


def test_lhotse_finds_nothing_wrong(folder: Path) -> None:
    recordings = lhotse.RecordingSet.from_file(folder / "recordings.jsonl.gz")
    supervisions = lhotse.SupervisionSet.from_file(folder / "supervisions.jsonl.gz")
    features = lhotse.FeatureSet.from_file(folder / "features.jsonl.gz")
    cuts = lhotse.CutSet.from_file(folder / "cuts.jsonl.gz")

    lhotse.validate(recordings, read_data=True)
    lhotse.validate(supervisions)
    lhotse.validate(features, read_data=True)
    lhotse.validate(cuts)
    lhotse.qa.validate_recordings_and_supervisions(recordings, supervisions)
    assert (len(recordings), len(supervisions), len(features), len(cuts)) == (10, 10, 10, 10)


def test_recordings_are_the_files(version: Version, folder: Path) -> None:
    recordings = by_id(lhotse.RecordingSet.from_file(folder / "recordings.jsonl.gz"))

    assert recordings.keys() == sides(version).keys()
    for recording in version.recordings:
        if recording.state == "used":
            whole, rate = sf.read(version.source_path(recording), always_2d=True, dtype="float32")
            found = recordings[recording.id]
            assert (found.sampling_rate, found.num_samples) == (rate, len(whole))
            np.testing.assert_array_equal(found.load_audio(), whole.T)


def test_supervisions_are_what_is_kept_to_the_sample(version: Version, folder: Path) -> None:
    found = by_id(lhotse.SupervisionSet.from_file(folder / "supervisions.jsonl.gz"))

    for name, side in sides(version).items():
        segment = found[name]
        assert segment.samples == list(side.samples)
        assert round(segment.end * side.rate, 4) == side.samples[1]
        assert segment.start == pytest.approx(frame_times(version, side)[0], abs=1e-9)
        assert segment.speaker == side.speaker
        assert segment.split == {p.sentence: p.split for p in version.pairs}[segment.sentence]
        assert segment.sentence == name.split("/")[1]


def test_features_are_ours_frame_for_frame(version: Version, folder: Path) -> None:
    features = lhotse.FeatureSet.from_file(folder / "features.jsonl.gz")

    for found in features:
        side = sides(version)[found.recording_id]
        times = frame_times(version, side)
        ours = version.features(side).mel
        np.testing.assert_array_equal(found.load(), ours)
        assert found.start == pytest.approx(times[0], abs=1e-9)
        assert found.frame_shift == pytest.approx(times[1] - times[0], abs=1e-9)
        # Seconds asked of lhotse come from the frames that are centred there.
        part = found.load(start=float(times[5]), duration=7 * found.frame_shift)
        np.testing.assert_array_equal(part, ours[5:12])


def cut_of(folder: Path, pair: Pair) -> Any:
    return by_id(lhotse.CutSet.from_file(folder / "cuts.jsonl.gz"))[pair.id]


def test_a_cut_holds_all_of_a_pair(version: Version, folder: Path) -> None:
    for pair in version.pairs:
        cut = cut_of(folder, pair)
        source, target = version.features(pair.source), version.features(pair.target)

        np.testing.assert_array_equal(cut.load_features(), source.mel)
        np.testing.assert_array_equal(cut.load_f0(), source.f0)
        np.testing.assert_array_equal(cut.load_energy(), source.energy)
        np.testing.assert_array_equal(cut.load_target_mel(), target.mel)
        np.testing.assert_array_equal(cut.load_target_f0(), target.f0)
        np.testing.assert_array_equal(cut.load_target_energy(), target.energy)
        np.testing.assert_array_equal(cut.load_durations(), version.durations(pair))
        assert cut.num_frames == len(source)
        assert cut.custom["split"] == pair.split
        assert cut.phrases == list(pair.source.phrases)
        assert cut.target_phrases == list(pair.target.phrases)
        [segment] = cut.supervisions
        assert segment.recording_id == pair.source.recording
        assert cut.start + segment.end == pytest.approx(pair.source.samples[1] / pair.source.rate)


def test_a_cuts_sound_is_what_its_frames_were_measured_on(version: Version, folder: Path) -> None:
    for pair in version.pairs:
        recording = next(r for r in version.recordings if r.id == pair.source.recording)
        whole, rate = sf.read(version.source_path(recording), always_2d=True, dtype="float32")
        start = round(frame_times(version, pair.source)[0] * rate)

        found = cut_of(folder, pair).load_audio()

        np.testing.assert_array_equal(found[:, :1000], whole[start : start + 1000].T)


def test_the_targets_kept_sound_can_be_loaded(version: Version, folder: Path) -> None:
    pair = version.pairs[0]
    recording = next(r for r in version.recordings if r.id == pair.target.recording)
    whole, _ = sf.read(version.source_path(recording), always_2d=True, dtype="float32")
    cut = cut_of(folder, pair)

    kept = cut.target_recording.load_audio(offset=cut.target_start, duration=cut.target_duration)

    np.testing.assert_array_equal(kept, whole[slice(*pair.target.samples)].T)
    np.testing.assert_array_equal(cut.load_target_recording(), whole.T)


def test_lhotse_makes_the_same_of_the_three_manifests(version: Version, folder: Path) -> None:
    cuts = lhotse.CutSet.from_manifests(
        recordings=lhotse.RecordingSet.from_file(folder / "recordings.jsonl.gz"),
        supervisions=lhotse.SupervisionSet.from_file(folder / "supervisions.jsonl.gz"),
        features=lhotse.FeatureSet.from_file(folder / "features.jsonl.gz"),
    )

    for cut in cuts:
        side = sides(version)[cut.recording_id]
        np.testing.assert_array_equal(cut.load_features(), version.features(side).mel)
        assert [segment.speaker for segment in cut.supervisions] == [side.speaker]

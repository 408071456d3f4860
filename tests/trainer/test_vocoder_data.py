"""What a vocoder hears: each recording once, samples and mels in step, cut where it was drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from corpuskit.audio import decode, write_wav
from corpuskit.errors import BadSetting, CorpuskitError
from corpuskit.versions import Version, open_version
from synthetic import PairCorpus, write_pair_corpus
from trainer import vocoder_data
from trainer.vocoder_data import load_sounds
from trainer.vocoders.mel import MelSpectrum
from training import CPU
from untrained import built, dataset_settings

SEGMENT = 8  # frames


@pytest.fixture
def version(n2c_workspace: Path) -> Version:
    return open_version(n2c_workspace, "N2C")


def test_each_recording_comes_once_and_dev_stays_apart(version: Version) -> None:
    splits = load_sounds(version, (), CPU, SEGMENT)

    def recordings(split: str) -> set[str]:
        pairs = version.split(split)
        return {side.recording for pair in pairs for side in (pair.source, pair.target)}

    assert splits.train.names == tuple(sorted(recordings("train")))
    assert splits.dev.names == tuple(sorted(recordings("dev")))
    assert not recordings("train") & recordings("dev")
    assert len(splits.train) == 20


def test_mels_are_those_of_the_samples_beside_them(version: Version) -> None:
    train = load_sounds(version, (), CPU, SEGMENT).train
    rows = train.first + train.frames // 3

    mel, samples = train.cut(torch.from_numpy(rows), SEGMENT)
    found = MelSpectrum(version.settings.features, 22050).segment(samples)

    assert mel.shape == found.shape == (20, 80, SEGMENT)
    inside = slice(2, SEGMENT - 2)  # the others hear the segment's mirrored edges
    torch.testing.assert_close(found[..., inside], mel[..., inside], atol=2e-3, rtol=0)


def test_a_recordings_first_frame_begins_half_a_hop_before_it(version: Version) -> None:
    train = load_sounds(version, (), CPU, SEGMENT).train
    sides = {side.recording: side for pair in version.pairs for side in (pair.source, pair.target)}
    recording = next(each for each in version.recordings if each.id == train.names[0])
    start = sides[recording.id].frames[0] * 256 - 128

    wanted = np.concatenate([np.zeros(128), version.sound(recording).samples])[128 + start :][:2048]

    np.testing.assert_allclose(train.samples[:8].flatten().numpy(), wanted, atol=1e-6)


def test_segments_lie_inside_their_recordings(version: Version) -> None:
    train = load_sounds(version, (), CPU, SEGMENT).train
    order = list(range(20)) * 2

    first = train.starts(order, SEGMENT, np.zeros(40)).numpy()
    last = train.starts(order, SEGMENT, np.full(40, 1 - 1e-12)).numpy()

    np.testing.assert_array_equal(first, train.first[order])
    np.testing.assert_array_equal(last + SEGMENT, (train.first + train.frames)[order])


def test_recordings_shorter_than_a_segment_are_followed_by_silence(version: Version) -> None:
    usual = load_sounds(version, (), CPU, SEGMENT).train
    longest = int(usual.frames.max())

    train = load_sounds(version, (), CPU, longest).train

    assert set(train.frames) == {longest}
    short = int(np.argmin(usual.frames))
    kept = int(usual.frames[short])
    torch.testing.assert_close(
        train.mel[train.rows_of(short)][:kept], usual.mel[usual.rows_of(short)]
    )
    floor = np.float32(np.log(version.settings.features.mel_floor))
    assert (train.mel[train.rows_of(short)][kept:] == floor).all()
    row = int(train.first[short])
    assert not train.samples[row + kept : row + longest].any()


def test_dev_pairs_left_out_do_not_count(version: Version) -> None:
    dev = [pair.id for pair in version.split("dev")]

    assert len(load_sounds(version, dev[:1], CPU, SEGMENT).dev) == 2
    with pytest.raises(BadSetting, match="no dev recordings"):
        load_sounds(version, dev, CPU, SEGMENT)


def test_recordings_that_do_not_fit_the_device_are_refused(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(vocoder_data, "_load", full)

    with pytest.raises(CorpuskitError, match="recordings of dataset N2C do not fit into the mem"):
        load_sounds(version, (), CPU, SEGMENT)


@pytest.mark.parametrize("change", ["gone", "other"])
def test_recordings_that_are_not_what_they_were_are_refused(tmp_path: Path, change: str) -> None:
    corpus: PairCorpus = write_pair_corpus(tmp_path / "corpus", 5)
    built(tmp_path, "N2C", dataset_settings(corpus, split={"dev": 1, "eval": 1}))
    version = open_version(tmp_path, "N2C")
    side = version.split("train")[0].target
    recording = next(each for each in version.recordings if each.id == side.recording)
    path = version.source_path(recording)
    sound = decode(path)
    path.unlink()
    if change == "other":
        write_wav(path, sound.samples[::-1], sound.rate)

    with pytest.raises(CorpuskitError, match=r"does not exist|has changed") as refused:
        load_sounds(version, (), CPU, SEGMENT)
    assert recording.id in refused.value.problem

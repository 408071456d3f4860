"""The folder, loaded by `datasets` itself in a process that may not ask the network."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from building import built, corpuskit, quick_corpus, settings
from corpuskit.exports import hf, request
from corpuskit.exports.registry import export
from corpuskit.exports.request import Means
from corpuskit.versions import Version

pytest.importorskip("pyarrow")

LOAD = """
import pickle, sys
from datasets import load_dataset
loaded = load_dataset(sys.argv[1])
told = {split: list(rows.with_format("numpy")) for split, rows in loaded.items()}
types = {name: repr(kind) for name, kind in loaded["train"].features.items()}
pickle.dump((told, types), open(sys.argv[2], "wb"))
"""


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A row group and a bit; one source in 24 bits."""
    corpus = quick_corpus(tmp_path_factory.mktemp("hf") / "corpus", 6)
    samples, rate = sf.read(corpus.source / "utt_002.wav")
    noise = np.random.default_rng(0).normal(0, 1e-6, samples.shape)
    sf.write(corpus.source / "utt_002.wav", 0.9 * samples + noise, rate, "PCM_24")
    config = settings(corpus.root, "silence.thresh=-50", "silence.min_silence_len=100")
    return built(corpus.root.parent / "w", config).version


@pytest.fixture(scope="module")
def folder(version: Version, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "hf"
    with pytest.MonkeyPatch.context() as small:
        small.setattr(hf, "GROUP", 2)
        small.setattr(hf, "SHARD", 60_000)
        list(export(version, "hf", out, Means()))
    return out


@pytest.fixture(scope="module")
def loaded(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    pytest.importorskip("datasets")
    work = tmp_path_factory.mktemp("loading")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(work / "home")}
    subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), str(work / "rows")],
        env={**os.environ, **offline},
        check=True,
        timeout=300,
    )
    answer: tuple[dict[str, list[dict[str, Any]]], dict[str, str]] = pickle.loads(
        (work / "rows").read_bytes()
    )
    return answer


def test_every_pair_is_a_row_of_its_split(version: Version, loaded: Any) -> None:
    rows, _ = loaded

    assert {split: [str(row["id"]) for row in rows[split]] for split in rows} == {
        "train": [pair.id for pair in version.split("train")],
        "validation": [pair.id for pair in version.split("dev")],
        "test": [pair.id for pair in version.split("eval")],
    }


def test_every_number_is_the_versions(version: Version, loaded: Any) -> None:
    rows = {str(row["id"]): row for split in loaded[0].values() for row in split}

    for pair in version.pairs:
        row = rows[pair.id]
        np.testing.assert_array_equal(row["durations"], version.durations(pair))
        assert row["sentence"] == pair.sentence
        for role, side in (("source", pair.source), ("target", pair.target)):
            features = version.features(side)
            np.testing.assert_array_equal(row[f"{role}_mel"], features.mel)
            np.testing.assert_array_equal(row[f"{role}_f0"], features.f0)
            np.testing.assert_array_equal(row[f"{role}_energy"], features.energy)
            np.testing.assert_array_equal(row[f"{role}_phrases"], side.phrases)
            silences = np.asarray(row[f"{role}_silences"]).reshape(-1, 2)
            np.testing.assert_array_equal(silences, np.reshape(side.silences, (-1, 2)))
            assert row[f"{role}_speaker"] == side.speaker
            assert row[f"{role}_seconds"] == side.kept_seconds


def test_the_sound_is_the_recordings_sample_for_sample(version: Version, loaded: Any) -> None:
    rows = {str(row["id"]): row for split in loaded[0].values() for row in split}
    recordings = {recording.id: recording for recording in version.recordings}

    for pair in version.pairs:
        for role, side in (("source", pair.source), ("target", pair.target)):
            sound = rows[pair.id][f"{role}_audio"]
            path = version.source_path(recordings[side.recording])
            whole, rate = sf.read(path, dtype="int32")
            found, found_rate = sf.read(io.BytesIO(sound["bytes"]), dtype="int32")
            np.testing.assert_array_equal(found, whole[slice(*side.samples)])
            assert found_rate == rate
            assert sf.info(io.BytesIO(sound["bytes"])).subtype == sf.info(path).subtype


def test_sound_is_handed_over_without_decoding(loaded: Any) -> None:
    _, types = loaded

    assert "decode=False" in types["source_audio"]
    assert types.keys() == {column.name for column in hf.COLUMNS}


def test_large_splits_are_several_files(version: Version, folder: Path) -> None:
    train = sorted(path.name for path in (folder / "data").glob("train-*"))

    assert train == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]


def test_a_split_that_is_not_chosen_is_not_there(version: Version, tmp_path: Path) -> None:
    list(export(version, "hf", tmp_path / "out", Means(splits=("dev",))))

    names = [path.name for path in (tmp_path / "out" / "data").iterdir()]
    assert names == ["validation-00000-of-00001.parquet"]
    assert "split: train" not in (tmp_path / "out" / "README.md").read_text()


def test_without_pyarrow_one_message_says_what_to_install(
    version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request.importlib.util, "find_spec", lambda *_: None)

    said = corpuskit(
        "export", "N2C", "--to", "hf", tmp_path / "out", "--workspace", version.workspace
    )

    assert said.code == 2
    assert said.err == (
        "error: an export to hf needs pyarrow, which is not installed; "
        "pip install 'corpuskit[hf]'\n"
    )
    assert list(tmp_path.iterdir()) == []

"""The cut recordings, read back sample for sample."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from building import built, corpuskit, quick_corpus, settings
from corpuskit.exports.registry import export
from corpuskit.exports.request import Means
from corpuskit.versions import Version
from synthetic import PairCorpus

# Form of the file -> (libsndfile's subtype there and in the export, how it is read)
FORMS = {
    "utt_001": ("WAV", "PCM_U8", "PCM_U8", "int16"),
    "utt_002": ("WAV", "PCM_16", "PCM_16", "int16"),
    "utt_003": ("WAV", "PCM_24", "PCM_24", "int32"),
    "utt_004": ("WAV", "PCM_32", "PCM_32", "int32"),
    "utt_005": ("WAV", "FLOAT", "FLOAT", "float32"),
    "utt_006": ("WAV", "DOUBLE", "DOUBLE", "float64"),
    "utt_007": ("WAV", "ULAW", "PCM_16", "int16"),
    "utt_008": ("FLAC", "PCM_24", "PCM_24", "int32"),
    "utt_009": ("FLAC", "PCM_S8", "PCM_U8", "int16"),
}


def rewritten(corpus: PairCorpus) -> None:
    """Give each source another form; what 16 bits cannot hold is added where there is room."""
    draw = np.random.default_rng(0)
    for name, (form, subtype, *_) in FORMS.items():
        path = corpus.source / f"{name}.wav"
        samples, rate = sf.read(path)
        samples = 0.9 * samples + draw.normal(0, 1e-6, samples.shape)
        if name == "utt_005":
            samples = np.stack([samples, 0.5 * samples], axis=1)
        path.unlink()
        sf.write(path.with_suffix(f".{form.lower()}"), samples, rate, subtype, format=form)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PairCorpus:
    made = quick_corpus(tmp_path_factory.mktemp("audio") / "corpus", len(FORMS))
    rewritten(made)
    return made


@pytest.fixture(scope="module")
def version(corpus: PairCorpus) -> Version:
    louder = ("silence.thresh=-35", "silence.head_thresh=-35")  # than the noise of 8 bits
    return built(corpus.root.parent / "w", settings(corpus.root, *louder)).version


@pytest.fixture(scope="module")
def folder(version: Version, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "audio"
    list(export(version, "audio", out, Means()))
    return out


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "pairs.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", FORMS)
def test_every_kept_sample_is_the_recordings(
    corpus: PairCorpus, version: Version, folder: Path, name: str
) -> None:
    form, subtype, kept_as, dtype = FORMS[name]
    pair = next(pair for pair in version.pairs if pair.sentence == name)
    row = next(row for row in table(folder) if row["id"] == pair.id)
    whole, rate = sf.read(corpus.source / f"{name}.{form.lower()}", dtype=dtype, always_2d=True)
    start, stop = pair.source.samples

    found, found_rate = sf.read(folder / row["source_wav"], dtype=dtype, always_2d=True)

    assert 0 < start < stop < len(whole)
    np.testing.assert_array_equal(found, whole[start:stop])
    assert found_rate == rate
    assert sf.info(corpus.source / f"{name}.{form.lower()}").subtype == subtype
    assert sf.info(folder / row["source_wav"]).subtype == kept_as


def test_the_table_tells_every_pair(version: Version, folder: Path) -> None:
    rows = table(folder)

    assert [row["id"] for row in rows] == [pair.id for pair in version.pairs]
    for row, pair in zip(rows, version.pairs, strict=True):
        assert (row["split"], row["sentence"]) == (pair.split, pair.sentence)
        for side in ("source", "target"):
            assert row[side] == getattr(pair, side).speaker
            told = sf.info(folder / row[f"{side}_wav"])
            assert float(row[f"{side}_seconds"]) == pytest.approx(told.duration, abs=1e-6)


def test_odd_sentences_stay_apart_and_stay_themselves(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    odd = ["a b", 'a,"b"', "a_b", "会話 ×"]
    for side in (corpus.source, corpus.target):
        for number, name in enumerate(odd):
            (side / f"utt_{number + 1:03d}.wav").rename(side / f"{name}.wav")
    version = built(tmp_path / "w", settings(corpus.root)).version

    list(export(version, "audio", tmp_path / "out", Means()))

    rows = table(tmp_path / "out")
    assert {row["sentence"] for row in rows} == set(odd)
    assert len({row["source_wav"] for row in rows}) == 4
    assert all((tmp_path / "out" / row["target_wav"]).is_file() for row in rows)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "is truncated"),
        (lambda path: sf.write(path, np.ones(9000) * 0.1, 8000), "holds other samples"),
    ],
)
def test_a_changed_recording_is_named(tmp_path: Path, change: Any, told: str) -> None:
    corpus = quick_corpus(tmp_path / "corpus", 4)
    version = built(tmp_path / "w", settings(corpus.root)).version
    change(corpus.source / "utt_002.wav")

    said = corpuskit(
        "export", "N2C", "--to", "audio", tmp_path / "out", "--workspace", version.workspace
    )

    assert said.code == 2
    assert "recording N/utt_002" in said.err
    assert told in said.err
    assert not (tmp_path / "out").exists()

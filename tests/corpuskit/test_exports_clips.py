"""Recordings that are a part of their file (JVS: sentence 15 of jvs058), and texts."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile as sf

from building import QUICK, built
from corpuskit.config import DatasetConfig, from_mapping
from corpuskit.exports.registry import export
from corpuskit.exports.request import Means
from corpuskit.versions import Pair, Version
from standins import WAVS, speak_into, text_of, write_transcript
from synthetic import FULL_SCALE, SOURCE, TARGET, Voice, sentence, speak

RATE = 24000
NATURAL = dataclasses.replace(SOURCE, rate=RATE, f0=150.0)
OTHER = dataclasses.replace(TARGET, rate=RATE, f0=235.0)
CLIP = "VOICEACTRESS100_015"
BEGIN = round(3.94 * RATE)  # samples of file 014 before sentence 15


def samples(number: int, voice: Voice) -> np.ndarray:
    return speak(sentence(number, vowels=2), voice, seed=number).samples / FULL_SCALE


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    root = tmp_path_factory.mktemp("clips")
    one, two = (root / "jvs" / name / "parallel100" for name in ("jvs057", "jvs058"))
    names = [f"VOICEACTRESS100_{number:03d}" for number in (14, 15, 16, 17)]
    for number, name in zip((14, 15, 16, 17), names, strict=True):
        speak_into(one / WAVS / f"{name}.wav", samples(number, NATURAL), RATE)
    both = np.zeros(BEGIN)
    both[: len(samples(14, OTHER))] = samples(14, OTHER)
    both = np.concatenate([both, samples(15, OTHER)])
    speak_into(two / WAVS / f"{names[0]}.wav", both, RATE)
    for number, name in zip((16, 17), names[1:3], strict=True):  # the names are one behind
        speak_into(two / WAVS / f"{name}.wav", samples(number, OTHER), RATE)
    for folder in (one, two):
        write_transcript(folder, names)
    ranges = "speaker Male_or_Female minf0[Hz] maxf0[Hz]\njvs057 M 80 230\njvs058 F 150 400\n"
    (root / "jvs" / "gender_f0range.txt").write_text(ranges)
    return built(root / "w", definition(root / "jvs")).version


def definition(root: Path) -> DatasetConfig:
    corpus = {"root": str(root), "layout": "jvs", "subsets": ["parallel100"]}
    mapping = {
        **QUICK,
        "corpora": {"jvs": {**corpus, "speakers": ["jvs057", "jvs058"]}},
        "pairs": [{"source": "jvs057", "target": "jvs058"}],
        "split": {"dev": 0, "eval": 0},
    }
    return from_mapping(DatasetConfig, mapping, "the test")


@pytest.fixture(scope="module")
def clipped(version: Version) -> Pair:
    return next(pair for pair in version.pairs if pair.sentence == CLIP)


@pytest.fixture(scope="module")
def kept(clipped: Pair) -> np.ndarray:
    """What is kept of the clip, in 16-bit steps, from what was spoken."""
    start, stop = clipped.target.samples
    return np.round(samples(15, OTHER)[start:stop] * FULL_SCALE).astype(np.int16)


def exported(version: Version, form: str, out: Path) -> Path:
    list(export(version, form, out, Means()))
    return out


def test_audio_holds_the_clips_samples_and_the_texts(
    version: Version, kept: np.ndarray, tmp_path: Path
) -> None:
    out = exported(version, "audio", tmp_path / "out")

    with (out / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["sentence"]: row for row in csv.DictReader(file)}
    found, _ = sf.read(out / rows[CLIP]["target_wav"], dtype="int16")
    np.testing.assert_array_equal(found, kept)
    assert {name: row["text"] for name, row in rows.items()} == {n: text_of(n) for n in rows}


def test_hf_holds_the_clips_samples_and_the_texts(
    version: Version, kept: np.ndarray, tmp_path: Path
) -> None:
    out = exported(version, "hf", tmp_path / "out")

    [row] = [row for row in pq.read_table(out / "data").to_pylist() if row["sentence"] == CLIP]
    found, _ = sf.read(io.BytesIO(row["target_audio"]["bytes"]), dtype="int16")
    np.testing.assert_array_equal(found, kept)
    assert row["text"] == text_of(CLIP)


def test_npy_lists_hold_the_texts(version: Version, tmp_path: Path) -> None:
    out = exported(version, "npy", tmp_path / "out")

    for line in (out / "train.txt").read_text(encoding="utf-8").splitlines():
        name, source, target, text = line.split("|")
        assert (source, target, text) == ("jvs057", "jvs058", text_of(name))


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_lhotse_counts_from_the_beginning_of_the_file(
    version: Version, clipped: Pair, kept: np.ndarray, tmp_path: Path
) -> None:
    out = exported(version, "lhotse", tmp_path / "out")

    name = f"jvs058/{CLIP}"
    [recording] = [row for row in lines(out / "recordings.jsonl.gz") if row["id"] == name]
    [segment] = [row for row in lines(out / "supervisions.jsonl.gz") if row["id"] == name]
    [features] = [r for r in lines(out / "features.jsonl.gz") if r["recording_id"] == name]
    whole, rate = sf.read(recording["sources"][0]["source"], dtype="int16")
    np.testing.assert_array_equal(whole[slice(*segment["custom"]["samples"])], kept)
    assert segment["text"] == text_of(CLIP)
    shift = version.settings.features.hop_length / version.settings.audio.rate
    first = clipped.target.frames[0]
    assert features["start"] == pytest.approx(BEGIN / rate + first * shift, abs=1e-9)
    end = segment["start"] + segment["duration"]
    assert end == pytest.approx((BEGIN + clipped.target.samples[1]) / rate, abs=1e-9)

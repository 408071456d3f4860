"""A corpus with an F0 range for each speaker: conversion searches where the build did."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from corpuskit.audio import decode
from corpuskit.config import DatasetConfig, from_mapping
from corpuskit.versions import open_version
from standins import WAVS, speak_into
from synthetic import FULL_SCALE, SOURCE, TARGET, sentence, speak
from trainer import hearing
from trainer.convert import Converter, usable_features
from untrained import built, untrained_run

RANGES = {"jvs001": (90.0, 150.0), "jvs002": (180.0, 340.0)}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on five sentences of two speakers of JVS."""
    place = tmp_path_factory.mktemp("ranges")
    voices = (("jvs001", SOURCE), ("jvs002", TARGET))
    rows = ["speaker Male_or_Female minf0[Hz] maxf0[Hz]"]
    for speaker, voice in voices:
        rows.append(f"{speaker} - {RANGES[speaker][0]:g} {RANGES[speaker][1]:g}")
        for number in range(1, 6):
            said = speak(sentence(number), dataclasses.replace(voice, rate=24000), seed=number)
            name = f"{speaker}/parallel100/{WAVS}/VOICEACTRESS100_{number:03d}.wav"
            speak_into(place / "jvs" / name, said.samples / FULL_SCALE, 24000)
    (place / "jvs" / "gender_f0range.txt").write_text("\n".join(rows))
    mapping = {
        "corpora": {"jvs": {"root": str(place / "jvs"), "layout": "jvs"}},
        "pairs": [{"source": "jvs001", "target": "jvs002"}],
        "silence": {"thresh": -50.0},
        "split": {"dev": 1, "eval": 1},
    }
    built(place / "w", "few", from_mapping(DatasetConfig, mapping, "the test"))
    untrained_run(place / "w", "few", tag="few_1")
    return place / "w"


def test_a_run_carries_the_ranges_of_its_speakers(workspace: Path) -> None:
    converter = Converter.open(workspace, "few_1", device="cpu")

    assert converter.f0_ranges == RANGES


def test_the_frames_are_those_the_dataset_has(workspace: Path) -> None:
    version = open_version(workspace, "few")
    converter = Converter.open(workspace, "few_1", device="cpu")
    recordings = {recording.id: recording for recording in version.recordings}
    for pair in version.pairs:
        sound = decode(version.source_path(recordings[pair.source.recording]))
        stored = version.features(pair.source)

        features, *_ = usable_features(sound, converter.settings, converter.f0_ranges["jvs001"])
        elsewhere, *_ = usable_features(sound, converter.settings, (90.0, 118.0))

        assert np.array_equal(features.f0, stored.f0)
        assert not np.array_equal(elsewhere.f0, stored.f0)


def test_converting_uses_the_range_of_the_source(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = open_version(workspace, "few")
    recording = next(r for r in version.recordings if r.speaker == "jvs001" and r.state == "used")
    converter = Converter.open(workspace, "few_1", device="cpu")
    asked = []

    measure = hearing.whole

    def noted(*arguments: object) -> object:
        asked.append(arguments[3])
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(hearing, "whole", noted)

    converter.convert(version.source_path(recording), source="jvs001")

    assert asked == [RANGES["jvs001"]]

"""The .npy tree, read as the field's repositories read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from building import built, quick_corpus, settings
from corpuskit.exports.registry import export
from corpuskit.exports.request import Means
from corpuskit.versions import Version


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """Both directions, so that every recording is in two pairs."""
    corpus = quick_corpus(tmp_path_factory.mktemp("npy") / "corpus", 5)
    config = settings(corpus.root, 'pairs=[{source="N", target="C", both=true}]')
    return built(corpus.root.parent / "w", config).version


@pytest.fixture(scope="module")
def tree(version: Version, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "npy"
    list(export(version, "npy", out, Means()))
    return out


def rows(tree: Path, listed: str) -> Iterator[tuple[str, str, str, str]]:
    """What FastSpeech2's `Dataset.process_meta` makes of a list: four columns at each "|"."""
    for line in (tree / listed).read_text(encoding="utf-8").split("\n")[:-1]:
        name, source, target, text = line.strip("\n").split("|")
        yield name, source, target, text


def read(tree: Path, kind: str, speaker: str, name: str) -> Any:
    """As FastSpeech2's `Dataset.__getitem__` opens its files."""
    return np.load(tree / kind / f"{speaker}-{kind}-{name}.npy", allow_pickle=False)


@pytest.mark.parametrize(
    ("split", "listed"), [("train", "train.txt"), ("dev", "val.txt"), ("eval", "test.txt")]
)
def test_every_array_is_the_versions(version: Version, tree: Path, split: str, listed: str) -> None:
    pairs = version.split(split)
    found = list(rows(tree, listed))

    assert len(found) == len(pairs) > 0
    for pair, (name, source, target, _) in zip(pairs, found, strict=True):
        for side, speaker in ((pair.source, source), (pair.target, target)):
            features = version.features(side)
            np.testing.assert_array_equal(read(tree, "mel", speaker, name), features.mel)
            np.testing.assert_array_equal(read(tree, "pitch", speaker, name), features.f0)
            np.testing.assert_array_equal(read(tree, "energy", speaker, name), features.energy)
        durations = read(tree, "duration", f"{source}-{target}", name)
        np.testing.assert_array_equal(durations, version.durations(pair))
        r = version.settings.align.reduction
        assert durations.sum() == len(read(tree, "mel", target, name)) // r


def test_shapes_and_types_are_the_readers(version: Version, tree: Path) -> None:
    name, source, _, _ = next(rows(tree, "train.txt"))
    mel = read(tree, "mel", source, name)

    assert mel.shape == (len(read(tree, "pitch", source, name)), version.settings.features.mels)
    assert mel.dtype == read(tree, "energy", source, name).dtype == np.float32


def test_every_recording_is_there_once(version: Version, tree: Path) -> None:
    used = {recording.id for recording in version.recordings if recording.state == "used"}
    for kind in ("mel", "pitch", "energy"):
        assert len(list((tree / kind).iterdir())) == len(used) == 10
    assert len(list((tree / "duration").iterdir())) == len(version.pairs) == 10


def test_speakers_and_statistics_fit_the_files(version: Version, tree: Path) -> None:
    assert json.loads((tree / "speakers.json").read_text()) == {"C": 0, "N": 1}
    stats = json.loads((tree / "stats.json").read_text())
    sides = [side for p in version.split("train") for side in (p.source, p.target)]
    for kind in ("pitch", "energy"):
        values = np.concatenate(
            [read(tree, kind, side.speaker, side.recording.split("/")[1]) for side in sides]
        )
        assert stats[kind] == [values.min(), values.max(), 0.0, 1.0]


def test_a_chosen_split_is_written_alone(version: Version, tmp_path: Path) -> None:
    list(export(version, "npy", tmp_path / "out", Means(splits=("eval",))))

    assert list(rows(tmp_path / "out", "train.txt")) == []
    names = {name for name, *_ in rows(tmp_path / "out", "test.txt")}
    assert {pair.sentence for pair in version.split("eval")} == names
    assert len(list((tmp_path / "out" / "mel").iterdir())) == 2 * len(names)

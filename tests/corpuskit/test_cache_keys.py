"""Changing any one setting changes exactly the keys it should, and nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from corpuskit.config import DatasetConfig, from_mapping, with_settings
from corpuskit.decisions import Segmented, alignment_key
from corpuskit.features import features_key
from corpuskit.recordings import Facts
from corpuskit.silence import levels_key
from corpuskit.versions import fingerprint

BASE = {
    "corpora": {"N2C": {"root": "N2C", "speakers": {"N": "source", "C": "target"}}},
    "pairs": [{"source": "N", "target": "C"}],
}
FEATURES = {"features", "alignment", "fingerprint"}  # an alignment is keyed by its features
ALIGNMENT = {"alignment", "fingerprint"}
DECISIONS = {"fingerprint"}  # they reach an alignment through what is kept, not by themselves

# Every field: another value, and what it must change. A new field fails until it has a row.
TABLE: dict[str, tuple[str, set[str]]] = {
    "audio.rate": ("24000", FEATURES),
    "features.n_fft": ("2048", FEATURES),
    "features.hop_length": ("200", FEATURES),
    "features.win_length": ("800", FEATURES),
    "features.mels": ("40", FEATURES),
    "features.fmin": ("20.0", FEATURES),
    "features.fmax": ("7600.0", FEATURES),
    "features.mel_floor": ("1e-6", FEATURES),
    "features.f0_method": ("harvest", FEATURES),
    "features.f0_floor": ("60.0", FEATURES),
    "features.f0_ceil": ("600.0", FEATURES),
    "features.energy_gate": ("-4.0", ALIGNMENT),
    "silence.thresh": ("-70.0", DECISIONS),
    "silence.head_thresh": ("-60.0", DECISIONS),
    "silence.trim_window": ("20", DECISIONS),
    "silence.min_len": ("80", DECISIONS),
    "silence.min_silence_len": ("200", DECISIONS),
    "silence.rms": ("int16", DECISIONS),
    "align.method": ("", set()),  # there is one method only
    "align.normalise": ("none", ALIGNMENT),
    "align.reduction": ("2", ALIGNMENT),
    "split.dev": ("3", DECISIONS),
    "split.eval": ("3", DECISIONS),
    "corpora": ('{x = {root = "N2C", speakers = {N = "a", C = "b"}}}', DECISIONS),
    "pairs": ('[{source = "N", target = "C", both = true}]', DECISIONS),
}


def keys(settings: DatasetConfig) -> dict[str, str]:
    sides = []
    for digest in ("a" * 64, "b" * 64):
        features = features_key(digest, settings.audio.rate, settings.features).hex()
        facts = Facts(digest=digest, rate=16000, samples=16000)
        sides.append(Segmented(facts=facts, levels="", features=features, segmentation=None))
    return {
        "levels": levels_key("a" * 64).hex(),
        "features": sides[0].features,
        "alignment": alignment_key(sides, [(0, 9), (0, 9)], [[], []], settings).hex(),
        "fingerprint": fingerprint(settings, [], [], np.zeros(0, dtype=np.int32)),
    }


def base() -> DatasetConfig:
    return from_mapping(DatasetConfig, BASE, "test")


def fields() -> list[str]:
    names = []
    for table in dataclasses.fields(DatasetConfig):
        value: Any = getattr(base(), table.name)
        if dataclasses.is_dataclass(value):
            names += [f"{table.name}.{field.name}" for field in dataclasses.fields(value)]
        else:
            names.append(table.name)
    return names


def test_every_field_has_a_row() -> None:
    assert sorted(fields()) == sorted(TABLE)


@pytest.mark.parametrize("name", sorted(set(TABLE) - {"align.method"}))
def test_a_field_changes_exactly_its_keys(name: str) -> None:
    value, expected = TABLE[name]
    before = keys(base())
    after = keys(from_mapping(DatasetConfig, with_settings(BASE, [f"{name}={value}"]), "test"))

    assert {key for key in before if before[key] != after[key]} == expected


def test_folders_are_in_no_key() -> None:
    moved = with_settings(BASE, ["corpora.N2C.root=/elsewhere"])
    moved = with_settings(moved, ['corpora.N2C.speakers={N = "other", C = "place"}'])

    assert keys(from_mapping(DatasetConfig, moved, "test")) == keys(base())


def test_audio_is_in_every_key_of_a_recording() -> None:
    settings = base()

    assert levels_key("a").hex() != levels_key("b").hex()
    one, two = (features_key(d, 22050, settings.features).hex() for d in ("a", "b"))
    assert one != two

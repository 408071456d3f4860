"""Every setting, to the last field, is built with another value: what is made again, what is not.

Whole builds answer, in copies of one workspace, so that what was measured and aligned again is
counted as well.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from building import built, definition, quick_corpus
from corpuskit import align, features, recordings, silence
from corpuskit.build import Built
from corpuskit.config import DatasetConfig, from_mapping, to_mapping, with_settings
from corpuskit.objects import Store
from corpuskit.settings import load_toml

FEATURES = {"features", "alignment", "fingerprint"}  # an alignment rests on its features
ALIGNMENT = {"alignment", "fingerprint"}
DECISION = {"fingerprint"}
NOTHING: set[str] = set()

# Levels at which every threshold finds something: the source's room lies at -58 dBFS.
BASE = ("silence.thresh=-58", "silence.head_thresh=-50")
SWAPPED = 'pairs=[{ source = "C", target = "N" }]'
# N and C as two of the five readings of JSUT's repeat500.
REPEATED = (
    "corpora.N2C.root=REPEATED",
    "corpora.N2C.layout=jsut",
    "corpora.N2C.speakers=[]",
    'pairs=[{ source = "jsut_set1", target = "jsut_set2" }]',
)
# Field: the settings that change it, and exactly which names change. A field without a row fails.
TABLE: dict[str, list[tuple[tuple[str, ...], set[str]]]] = {
    "corpora.*.root": [(("corpora.N2C.root=MOVED",), NOTHING)],
    "corpora.*.layout": [(REPEATED, DECISION)],  # the same samples, found in another tree
    "corpora.*.speakers": [
        (
            ("corpora.N2C.root=RENAMED", 'corpora.N2C.speakers={ N = "one", C = "two" }'),
            NOTHING,
        ),
        (
            (
                'corpora.N2C.speakers={ M = "source", C = "target" }',
                'pairs=[{ source = "M", target = "C" }]',
            ),
            DECISION,
        ),
    ],
    "corpora.*.labels": [(("corpora.N2C.labels=MOVED",), NOTHING)],
    "corpora.*.subsets": [((*REPEATED, 'corpora.N2C.subsets=["repeat500"]'), DECISION)],
    "corpora.*.leave_out": [((*REPEATED, 'corpora.N2C.leave_out=["jsut_set3"]'), DECISION)],
    "corpora.*.faulty": [(("corpora.N2C.faulty=true",), DECISION)],
    "pairs.*.source": [((SWAPPED,), ALIGNMENT)],
    "pairs.*.target": [((SWAPPED,), ALIGNMENT)],
    "pairs.*.both": [(('pairs=[{ source = "N", target = "C", both = true }]',), ALIGNMENT)],
    "pairs.*.targets": [(('pairs=[{ source = "N", target = "C", targets = 1 }]',), DECISION)],
    "pairs.*.salt": [(('pairs=[{ source = "N", target = "C", salt = "2" }]',), DECISION)],
    "audio.rate": [(("audio.rate=11025",), FEATURES)],
    "features.n_fft": [(("features.n_fft=512",), FEATURES)],
    "features.hop_length": [(("features.hop_length=80",), FEATURES)],
    "features.win_length": [(("features.win_length=200",), FEATURES)],
    "features.mels": [(("features.mels=16",), FEATURES)],
    "features.fmin": [(("features.fmin=50",), FEATURES)],
    "features.fmax": [(("features.fmax=3500",), FEATURES)],
    "features.mel_floor": [(("features.mel_floor=1e-6",), FEATURES)],
    "features.f0_method": [(("features.f0_method=harvest",), FEATURES)],
    "features.f0_floor": [(("features.f0_floor=60",), FEATURES)],
    "features.f0_ceil": [(("features.f0_ceil=600",), FEATURES)],
    "features.f0_range": [(("features.f0_range=settings",), DECISION)],  # no ranges in a folder
    "features.energy_gate": [(("features.energy_gate=-3",), ALIGNMENT)],
    "silence.thresh": [(("silence.thresh=-40",), ALIGNMENT)],
    "silence.head_thresh": [(("silence.head_thresh=-70",), ALIGNMENT)],
    "silence.trim_window": [(("silence.trim_window=7",), ALIGNMENT)],
    "silence.min_len": [(("silence.min_len=400",), ALIGNMENT)],
    "silence.min_silence_len": [(("silence.min_silence_len=200",), DECISION)],
    "silence.rms": [(("silence.rms=int16",), ALIGNMENT)],
    "align.method": [],
    "align.normalise": [(("align.normalise=none",), ALIGNMENT)],
    "align.reduction": [(("align.reduction=2",), ALIGNMENT)],
    "split.dev": [(("split.dev=0",), DECISION)],
    "split.eval": [(("split.eval=0.3",), DECISION)],
    "tiers.folder": [(("tiers.folder=MOVED",), NOTHING)],  # what is in them: test_corrections.py
}


def leaves(cls: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field below a settings class with its type; * stands for names and positions."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint, name = hints[field.name], f"{prefix}{field.name}"
        arguments = [a for a in typing.get_args(hint) if dataclasses.is_dataclass(a)]
        if dataclasses.is_dataclass(hint):
            yield from leaves(hint, f"{name}.")
        elif arguments and typing.get_origin(hint) is not types.UnionType:
            yield from leaves(arguments[0], f"{name}.*.")
        else:
            yield name, hint


def test_every_field_has_its_row() -> None:
    assert [name for name, _ in leaves(DatasetConfig)] == list(TABLE)


def test_only_fields_with_one_possible_value_go_untried() -> None:
    choices = {name: typing.get_args(hint) for name, hint in leaves(DatasetConfig)}

    for name, rows in TABLE.items():
        assert rows or len(choices[name]) == 1, name


@dataclass(frozen=True)
class Ground:
    """Where everything is tried: a corpus, copies of it, and a workspace with a first build."""

    place: Path
    first: Built

    def config(self, *changes: str) -> DatasetConfig:
        mapping = definition(self.place / "corpus", *BASE)
        paths = [
            functools.reduce(
                lambda text, name: text.replace(name, str(self.place / name.lower())),
                ("MOVED", "RENAMED", "REPEATED"),
                change,
            )
            for change in changes
        ]
        return from_mapping(DatasetConfig, with_settings(mapping, paths), "a test")


def names(end: Built) -> dict[str, Any]:
    """The names of everything a version rests on, by kind."""
    version = end.version
    return {
        "levels": {recording.levels for recording in version.recordings},
        "features": {recording.features for recording in version.recordings},
        "alignment": {pair.alignment for pair in version.pairs},
        "fingerprint": version.fingerprint,
    }


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    place = tmp_path_factory.mktemp("keys")
    quick_corpus(place / "corpus", 3)
    shutil.copytree(place / "corpus", place / "moved")
    for old, new in (("source", "one"), ("target", "two")):
        shutil.copytree(place / "corpus" / old, place / "renamed" / new)
    wavs = place / "repeated" / "repeat500" / "wav"
    wavs.mkdir(parents=True)
    for number, side in enumerate(("source", "target"), start=1):
        for path in (place / "corpus" / side).glob("*.wav"):
            shutil.copy(path, wavs / f"REPEAT500_set{number}_{path.stem}.wav")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recordings, "_SETTLED", -(10**15))  # the index may remember new files
        config = from_mapping(DatasetConfig, definition(place / "corpus", *BASE), "a test")
        yield Ground(place, built(place / "w", config))


ROWS = [(name, *row) for name, rows in TABLE.items() for row in rows]


@pytest.mark.parametrize(
    ("name", "changes", "expected"), ROWS, ids=[f"{row[0]}-{k}" for k, row in enumerate(ROWS)]
)
def test_a_field_makes_exactly_this_again(
    ground: Ground, tmp_path: Path, name: str, changes: tuple[str, ...], expected: set[str]
) -> None:
    shutil.copytree(ground.place / "w" / "objects", tmp_path / "objects")
    shutil.copytree(ground.place / "w" / "index", tmp_path / "index")
    config = ground.config(*changes)
    assert config != ground.config()

    end = built(tmp_path, config)

    before, after = names(ground.first), names(end)
    assert {kind for kind in before if before[kind] != after[kind]} == expected
    assert (end.measured > 0) == ("features" in expected)
    assert (end.aligned > 0) == ("alignment" in expected)
    if "features" in expected:
        assert not before["features"] & after["features"]
        assert (end.measured, end.aligned) == (6, 3)


def test_a_direction_more_keeps_the_first(ground: Ground, tmp_path: Path) -> None:
    shutil.copytree(ground.place / "w" / "objects", tmp_path / "objects")

    end = built(tmp_path, ground.config('pairs=[{ source = "N", target = "C", both = true }]'))

    assert names(ground.first)["alignment"] < names(end)["alignment"]
    assert end.aligned == 3


# ------------------------------------------------------------------- versions and libraries


@pytest.mark.parametrize(
    ("module", "constant", "expected"),
    [
        (silence, "LEVELS_VERSION", {"levels"}),
        (features, "VERSION", {"features", "alignment"}),
        (align, "VERSION", {"alignment"}),
        (recordings, "DECODE_VERSION", set()),
    ],
)
def test_a_raised_stage_makes_its_own_again(
    ground: Ground,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    constant: str,
    expected: set[str],
) -> None:
    shutil.copytree(ground.place / "w" / "objects", tmp_path / "objects")
    monkeypatch.setattr(module, constant, getattr(module, constant) + 1)

    end = built(tmp_path, ground.config())

    before, after = names(ground.first), names(end)
    # The fingerprint is of inputs, settings and decisions, and those are the same.
    assert {kind for kind in before if before[kind] != after[kind]} == expected


LIBRARIES = {
    "levels": {"numpy"},
    "features": {"numpy", "scipy", "librosa", "pyworld", "soxr"},
    "alignment": {"numpy", "numba"},
}


def test_an_objects_key_names_what_it_was_made_with(ground: Ground) -> None:
    store = Store(ground.place / "w")
    seen = set()
    for name in store.names():
        parts = store.key_parts(name)
        assert set(parts["libraries"]) == LIBRARIES[parts["stage"]]
        seen.add(parts["stage"])

    assert seen == set(LIBRARIES)


def test_a_features_key_holds_the_features_settings_and_nothing_else(ground: Ground) -> None:
    store = Store(ground.place / "w")
    config = ground.config()
    stated = to_mapping(config.features) | {"rate": config.audio.rate}
    del stated["energy_gate"]  # it is applied to the contour, not to what is stored
    del stated["f0_range"]  # it decides whose floor and ceiling are in the key

    [name, *_] = sorted(names(ground.first)["features"])

    assert store.key_parts(name)["settings"] == stated


def test_the_documented_definition_shows_every_table() -> None:
    shown = load_toml(Path(__file__).resolve().parents[2] / "configs" / "datasets" / "N2C.toml")
    tables = {name.split(".")[0] for name in TABLE}

    assert tables == set(shown)

"""The golden version: a build kept in the repository, which every later release must still read.

Its numbers stand here as they were on the day it was built. Where the voice's truth is known they
are held against that as well; and today's code must still decide the same.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from building import contents
from corpuskit.build import Built
from corpuskit.objects import Store
from corpuskit.verify import Checked, verify
from corpuskit.versions import Side, Version, describe, list_versions, open_version
from golden_version import GOLDEN, NAME, make, settings, write_recordings
from synthetic import PairCorpus, Truth

FORMAT = Path(__file__).resolve().parents[2] / "docs" / "version-format.md"
FINGERPRINT = "a63500bae09387bd6be4704bc5731de167eaeaaf134a108133a604d8404141ce"
# sentence: split; source samples, frames, silences, phrases; the same of the target
PAIRS = {
    "s1": (
        "train",
        ((2400, 19090), (10, 75), ((22, 43),), (8, 13)),
        ((2400, 17952), (10, 71), ((20, 41),), (7, 13)),
    ),
    "s2": (
        "eval",
        ((2400, 19298), (10, 76), ((22, 44),), (8, 14)),
        ((2400, 18160), (10, 71), ((20, 41),), (7, 13)),
    ),
    "s3": (
        "train",
        ((2400, 18994), (10, 75), ((22, 42),), (8, 13)),
        ((2400, 17856), (10, 70), ((20, 40),), (7, 13)),
    ),
    "s4": (
        "dev",
        ((2400, 18738), (10, 74), ((22, 41),), (8, 13)),
        ((2400, 17600), (10, 69), ((20, 39),), (7, 12)),
    ),
}
DURATIONS = {
    "s1": [1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "s2": [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1],
    "s3": [1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "s4": [1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1],
}
# recording: F0 and energy of the 13th kept frame, and its 8th mel band
FRAME_12 = {
    "N/s1": (112.7329330444336, 29.347957611083984, -3.0931177139282227),
    "C/s1": (228.04266357421875, 52.078365325927734, -5.199928283691406),
    "N/s4": (112.7352294921875, 27.855077743530273, -2.206510305404663),
    "C/s4": (228.09976196289062, 45.668182373046875, -3.8839573860168457),
}
# side: mean and variance of the 8th mel band, of pitch, of energy; frames
STATISTICS = {
    "source": (
        (-4.014885121125442, 2.6301853855662216),
        (4.74176496725816, 0.006215072845204617),
        (2.196488585208471, 2.9690431586917194),
        65 + 65,
    ),
    "target": (
        (-4.865787403827364, 18.545577684834385),
        (5.501898087745856, 0.014570336939748074),
        (1.3728336649985353, 15.915261246136492),
        61 + 60,
    ),
}


@pytest.fixture(scope="module")
def golden() -> Version:
    return open_version(GOLDEN, NAME)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PairCorpus:
    return write_recordings(tmp_path_factory.mktemp("spoken") / "recordings")


def sides(version: Version) -> Iterator[Side]:
    for pair in version.pairs:
        yield from (pair.source, pair.target)


# ------------------------------------------------------------------- what it says


def test_it_is_listed_and_says_who_it_is(golden: Version) -> None:
    assert list_versions(GOLDEN) == [NAME]
    assert (golden.name, golden.family, golden.speakers) == ("golden_1", "golden", ("C", "N"))
    assert golden.fingerprint == FINGERPRINT
    assert golden.settings == settings()
    assert golden.warnings == ()


def test_its_decisions_are_those_of_its_day(golden: Version) -> None:
    found = {
        pair.sentence: (
            pair.split,
            *((s.samples, s.frames, s.silences, s.phrases) for s in (pair.source, pair.target)),
        )
        for pair in golden.pairs
    }

    assert found == PAIRS
    assert {p.sentence: golden.durations(p).tolist() for p in golden.pairs} == DURATIONS
    assert {(pair.breaks, pair.merged) for pair in golden.pairs} == {((1, 1), 0)}
    assert [golden.cost(pair) for pair in golden.pairs] == pytest.approx(
        [1.9213488, 1.8990080, 1.8886473, 1.7950618], rel=1e-6
    )


def test_its_features_are_those_of_its_day(golden: Version) -> None:
    for side in sides(golden):
        features = golden.features(side)
        assert len(features) == side.frames[1] - side.frames[0]
        assert features.mel.shape == (len(features), 40)
        if side.recording in FRAME_12:
            frame = (features.f0[12], features.energy[12], features.mel[12, 7])
            assert tuple(map(float, frame)) == FRAME_12[side.recording]


def test_its_statistics_are_those_of_its_day(golden: Version) -> None:
    for name, stated in STATISTICS.items():
        side = getattr(golden.statistics, name)
        found = (
            (side.mel_mean[7], side.mel_var[7]),
            (side.pitch_mean, side.pitch_var),
            (side.energy_mean, side.energy_var),
            side.frames,
        )
        assert found == stated


def test_everything_it_found_is_accounted_for(golden: Version) -> None:
    assert golden.totals["recordings"] == {
        "corrected": {},
        "found": 11,
        "used": 8,
        "set_aside": {
            "has no partner": 1,
            "is an empty file": 1,
            "its pair is set aside: target is an empty file": 1,
        },
    }
    assert golden.totals["pairs"] == {
        "candidates": 5,
        "used": 4,
        "set_aside": {"target is an empty file": 1},
    }
    assert [(row.pair, row.reason) for row in golden.set_aside] == [
        ("N>C/half", "target is an empty file")
    ]


# ------------------------------------------------------------ is it what the voices said?


def truth_of(corpus: PairCorpus, side: Side) -> Truth:
    truths = corpus.truth_source if side.speaker == "N" else corpus.truth_target
    return truths[side.recording.partition("/")[2]]


def test_the_kept_part_is_what_was_spoken(golden: Version, corpus: PairCorpus) -> None:
    for side in sides(golden):
        truth = truth_of(corpus, side)
        window = side.rate * 50 // 1000  # what is cut is cut in steps of 50 ms
        assert side.length == truth.length
        assert 0 <= truth.phrases[0][0] - side.samples[0] < window
        assert 0 <= side.samples[1] - truth.phrases[-1][1] < window


def test_the_silence_is_the_pause(golden: Version, corpus: PairCorpus) -> None:
    for side in sides(golden):
        (_, pause, _) = truth_of(corpus, side).pauses
        [span] = side.silences
        assert [(side.frames[0] + frame) * 256 for frame in span] == pytest.approx(pause, abs=320)


def test_the_pitch_is_the_voices(golden: Version, corpus: PairCorpus) -> None:
    for side in sides(golden):
        f0 = golden.features(side).f0
        times = np.arange(*side.frames) * 256 / side.rate
        spoken = truth_of(corpus, side).f0(times)
        both = (f0 > 0) & (spoken > 0)
        assert both.sum() > 0.8 * (spoken > 0).sum()
        assert np.median(np.abs(f0[both] / spoken[both] - 1)) < 0.01


# --------------------------------------------------------------------- does it hold?


def test_it_is_whole(golden: Version, corpus: PairCorpus) -> None:
    with contextlib.chdir(corpus.root.parent):  # its corpus root is relative
        assert list(verify(GOLDEN, NAME, jobs=1)) == [
            Checked(objects=8 * 2 + 4, recordings=9, absent_roots=())
        ]


def test_reading_it_changes_nothing(golden: Version) -> None:
    before = contents(GOLDEN)
    for side in sides(golden):
        golden.features(side)
    golden.whole()
    list(verify(GOLDEN, NAME, jobs=1))

    assert contents(GOLDEN) == before


def test_it_knows_no_machine() -> None:
    for name, content in contents(GOLDEN).items():
        assert b"/home" not in content, name
        assert b"/tmp" not in content, name
    assert describe(GOLDEN, NAME)["settings"]["corpora"]["spoken"]["root"] == "recordings"


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return make(tmp_path_factory.mktemp("rebuilt"))


def test_todays_code_decides_the_same(rebuilt: Built) -> None:
    assert rebuilt.version.fingerprint == FINGERPRINT


def test_whoever_changes_a_stages_numbers_raises_its_version(
    golden: Version, rebuilt: Built
) -> None:
    # An object of the same name must hold the same numbers, or caches would mix two releases.
    kept, made = Store(GOLDEN), Store(rebuilt.version.workspace)
    shared = set(kept.names()) & set(made.names())
    if golden.libraries == rebuilt.version.libraries:
        assert shared, "all stages were raised: make the golden version again"
    for name in shared:
        before, after = kept.get(name), made.get(name)
        assert before.keys() == after.keys()
        for tensor in before:
            np.testing.assert_allclose(after[tensor], before[tensor], rtol=1e-4, atol=1e-4)


def test_a_build_continues_it(tmp_path: Path, corpus: PairCorpus) -> None:
    shutil.copytree(GOLDEN, tmp_path / "w")
    before = contents(tmp_path / "w" / "versions")
    shutil.copytree(corpus.root, tmp_path / "w" / "recordings")

    again = make(tmp_path / "w")

    assert not again.new
    assert contents(tmp_path / "w" / "versions") == before


# ------------------------------------------------------------- its objects, as documented


def documented() -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Stage -> (inputs, settings, tensors), from the table in docs/version-format.md."""
    text = FORMAT.read_text(encoding="utf-8").split("\n## Objects\n")[1].split("\n## ")[0]
    rows = [row.split("|")[1:5] for row in text.splitlines() if row.startswith("| `")]
    return {
        stage.strip(" `"): tuple(sorted(re.findall(r"`(\w+)`", cell)) for cell in cells)  # type: ignore[misc]
        for stage, *cells in rows
    }


def test_every_object_is_as_the_format_says(golden: Version) -> None:
    store, seen = Store(GOLDEN), set()
    for name in store.names():
        parts: dict[str, Any] = store.key_parts(name)
        stated = documented()[parts["stage"]]
        found = (parts["inputs"], parts["settings"], store.get(name))
        assert tuple(sorted(part) for part in found) == stated
        assert sorted(parts) == ["inputs", "libraries", "settings", "stage", "version"]
        seen.add(parts["stage"])

    assert seen == set(documented())


def test_objects_are_named_by_their_recordings(golden: Version) -> None:
    store = Store(GOLDEN)
    for recording in golden.recordings:
        for name in filter(None, (recording.levels, recording.features)):
            assert store.key_parts(name)["inputs"] == {"audio": recording.digest}
    for pair in golden.pairs:
        inputs = store.key_parts(pair.alignment)["inputs"]
        assert (inputs["source"], inputs["target"]) == (pair.source.object, pair.target.object)
        assert inputs["source_frames"] == list(pair.source.frames)


def test_json_on_disk_is_readable_and_sorted() -> None:
    text = (GOLDEN / "versions" / NAME / "version.json").read_text(encoding="utf-8")

    assert list(json.loads(text)) == sorted(json.loads(text))
    assert text.endswith("}\n")
    assert max(map(len, text.splitlines())) < 120

"""Differences of versions made by hand: what was changed is known, and so is what must be told."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from corpuskit.diff import (
    ASPECTS,
    Difference,
    Measure,
    SettingChange,
    diff_settings,
    diff_versions,
)
from corpuskit.versions import Pair, Version
from handmade import pair, recording, settings, version

NAMES = ("a", "b", "c")


@pytest.fixture
def before(tmp_path: Path) -> Version:
    """Three pairs: one break inside the target of each."""
    return made(tmp_path, "N2C_2", [plain(name) for name in NAMES])


def plain(name: str, **changes: Any) -> Pair:
    halves = {"silences": ((30, 40),), "phrases": (20, 20)}
    sides = {side: halves | changes.pop(side, {}) for side in ("source", "target")}
    return pair(name, **({"breaks": (1, 1)} | sides | changes))


def made(tmp_path: Path, name: str, pairs: Sequence[Pair], **options: Any) -> Version:
    return version(tmp_path, name, pairs, **options)


def compared(before: Version, tmp_path: Path, *changed: Pair, **options: Any) -> Difference:
    """Compare `before` with itself, but for the pairs that are given in place of its own."""
    others = {each.sentence: each for each in changed}
    after = made(tmp_path, "N2C_4", [others.get(n, plain(n)) for n in NAMES], **options)
    return diff_versions(before, after)


# ------------------------------------------------------------------------- nothing


def test_equal_versions_are_identical(before: Version, tmp_path: Path) -> None:
    found = compared(before, tmp_path)

    assert (found.before, found.after) == ("N2C_2", "N2C_4")
    assert found.identical
    assert found.settings == found.added == found.removed == found.changed == ()
    assert found.unchanged == 3
    assert found.aspects == {}
    assert found.sentence == "nothing differs"
    assert all(measure.change == 0 for measure in found.totals.values())


def test_a_setting_that_changed_no_pair_is_told_as_such(before: Version, tmp_path: Path) -> None:
    found = compared(before, tmp_path, config=settings("silence.rms=int16"))

    assert not found.identical
    assert found.settings == (SettingChange(key="silence.rms", before="float", after="int16"),)
    assert found.sentence == "1 setting differs: silence.rms float -> int16; no pair changed"


# ------------------------------------------------------------------------- settings


def test_settings_that_differ_are_listed_by_key() -> None:
    found = diff_settings(
        settings(), settings("silence.thresh=-100", "features.mels=40", "split.dev=0.5")
    )

    assert [(s.key, s.before, s.after) for s in found] == [
        ("features.mels", 80, 40),
        ("silence.thresh", -80.0, -100.0),
        ("split.dev", 0, 0.5),
    ]


def test_folders_are_no_settings_but_speakers_and_corpora_are() -> None:
    base = settings()

    moved = settings("corpora.N2C.root=elsewhere", "corpora.N2C.speakers.N=other")
    joined = settings("corpora.N2C.speakers.X=x")
    more = settings('corpora.jsut={ root = "jsut", speakers = { J = "j" } }')

    assert diff_settings(base, moved) == ()
    assert diff_settings(base, joined) == (
        SettingChange(key="corpora.N2C.speakers", before=["C", "N"], after=["C", "N", "X"]),
    )
    told = {s.key: (s.before, s.after) for s in diff_settings(base, more)}
    assert told["corpora.jsut.layout"] == (None, "folder")
    assert told["corpora.jsut.speakers"] == (None, ["J"])
    assert "corpora.jsut.root" not in told
    assert all(key.startswith("corpora.jsut.") for key in told)


@pytest.mark.parametrize(
    "setting",
    ["corpora.N2C.speakers.X=x", "silence.min_len=60", "split.dev=1", "features.energy_gate=-6.0"],
)
def test_what_the_fingerprint_covers_is_never_told_as_nothing(
    before: Version, tmp_path: Path, setting: str
) -> None:
    found = compared(before, tmp_path, config=settings(setting))

    assert not found.identical
    assert found.sentence.startswith("1 setting differs: ")


def test_many_settings_are_counted_and_the_first_ones_shown(
    before: Version, tmp_path: Path
) -> None:
    changes = ("mels=40", "n_fft=2048", "fmin=50", "fmax=7000", "f0_floor=60", "f0_ceil=700")

    found = compared(before, tmp_path, config=settings(*(f"features.{c}" for c in changes)))

    assert found.sentence == (
        "6 settings differ: features.f0_ceil 800 -> 700, features.f0_floor 71 -> 60, "
        "features.fmax 8000 -> 7000, features.fmin 0 -> 50 and 2 more; no pair changed"
    )


# ---------------------------------------------------------------------------- pairs


def test_pairs_that_came_and_went_are_named(before: Version, tmp_path: Path) -> None:
    after = made(tmp_path, "N2C_4", [plain("b"), plain("d"), plain("e"), plain("f")])

    found = diff_versions(before, after)

    assert found.added == ("N>C/d", "N>C/e", "N>C/f")
    assert found.removed == ("N>C/a", "N>C/c")
    assert (found.changed, found.unchanged) == ((), 1)
    assert found.totals["pairs"] == Measure(before=3, after=4)
    # 0.7 s of speech on either side of every pair.
    assert found.sentence == "3 pairs added, 2 removed; speech kept +1.4 s (+33.3 %)"


CHANGED: dict[str, tuple[Pair, tuple[str, ...]]] = {
    "silence": (plain("b", source={"silences": ((30, 41),)}), ("silence",)),
    "silence gone": (plain("b", target={"silences": ()}), ("silence",)),
    "break moved": (plain("b", target={"phrases": (21, 19)}), ("phrases",)),
    "source broken elsewhere": (plain("b", source={"phrases": (10, 30)}), ("phrases",)),
    "break lost": (plain("b", target={"phrases": (40,)}, source={"phrases": (40,)}), ("phrases",)),
    "break of the source by itself": (plain("b", breaks=(2, 1)), ("phrases",)),
    "break merged": (plain("b", merged=1), ("phrases",)),
    "split": (plain("b", split="dev"), ("split",)),
    "features": (plain("b", target={"object": "of other settings"}), ("features",)),
    # Trimmed by 20 ms more at the head; what is silent and where phrases break stays in place.
    "trim": (
        plain("b", source={"samples": (1920, 14400), "silences": ((28, 38),), "phrases": (19, 20)}),
        ("trim", "durations"),
    ),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_a_changed_pair_is_named_with_what_changed(
    before: Version, tmp_path: Path, kind: str
) -> None:
    changed, aspects = CHANGED[kind]

    found = compared(before, tmp_path, changed)

    assert [(change.pair, change.aspects) for change in found.changed] == [("N>C/b", aspects)]
    assert found.aspects == dict.fromkeys(aspects, 1)
    assert found.unchanged == 2
    assert set(aspects) <= set(ASPECTS)
    if kind != "features":  # what was measured by other libraries may still be decided alike
        assert not found.identical


def test_durations_alone_are_a_change(before: Version, tmp_path: Path) -> None:
    other = [2, 0, *([1] * 38)]

    found = compared(before, tmp_path, durations={"b": other})

    assert [(change.pair, change.aspects) for change in found.changed] == [
        ("N>C/b", ("durations",))
    ]


def test_other_samples_are_told_as_audio_and_not_as_features(
    before: Version, tmp_path: Path
) -> None:
    changed = plain("b", source={"object": "features of other samples"})
    pairs = [plain("a"), changed, plain("c")]
    sides = [side for each in pairs for side in (each.source, each.target)]
    recordings = [
        recording(side, **({"digest": "other"} if side is changed.source else {})) for side in sides
    ]

    found = compared(before, tmp_path, changed, recordings=recordings)

    assert [(change.pair, change.aspects) for change in found.changed] == [("N>C/b", ("audio",))]


def test_a_change_is_measured_in_seconds_phrases_and_frames(
    before: Version, tmp_path: Path
) -> None:
    # The source loses 0.1 s at its head and 0.2 s at its tail, the target its silence of 0.1 s
    # and its break.
    changed = plain(
        "b",
        source={"samples": (3200, 11200), "silences": ((20, 30),), "phrases": (15, 10)},
        target={"silences": (), "phrases": (40,)},
        breaks=(1, 0),
    )

    (change,) = compared(before, tmp_path, changed).changed

    assert change.speech == Measure(before=1.4, after=1.2)
    assert change.trimmed == Measure(before=0.4, after=0.7)
    assert change.silent == Measure(before=0.2, after=0.1)
    assert change.phrases == Measure(before=2, after=1)
    assert change.target_frames == Measure(before=40, after=40)
    assert change.aspects == ("trim", "silence", "phrases", "durations")
    assert change.size == pytest.approx(0.2 + 0.3 + 0.1 + 1)


def test_the_largest_change_comes_first_and_equal_ones_by_name(
    before: Version, tmp_path: Path
) -> None:
    small = plain("a", split="dev")
    large = plain("b", target={"phrases": (10, 10, 10, 10)}, source={"phrases": (10, 10, 10, 10)})
    also_small = plain("c", split="dev")

    found = compared(before, tmp_path, small, large, also_small)

    assert [change.pair for change in found.changed] == ["N>C/b", "N>C/a", "N>C/c"]
    assert found.aspects == {"phrases": 1, "split": 2}


def test_frames_of_another_grid_are_told_in_the_same_seconds(
    before: Version, tmp_path: Path
) -> None:
    # Hops twice as long: half the frames, cut and silent at the same times.
    coarse = settings("features.hop_length=320")
    halves = {
        "frames": (5, 45),
        "silences": ((15, 20),),
        "phrases": (10, 10),
        "object": "coarse features",
    }
    pairs = [plain(name, source=halves, target=halves) for name in NAMES]

    found = diff_versions(before, made(tmp_path, "N2C_4", pairs, config=coarse))

    assert {change.pair for change in found.changed} == {f"N>C/{name}" for name in NAMES}
    for change in found.changed:
        assert "features" in change.aspects
        assert change.speech.change == change.trimmed.change == change.silent.change == 0
    assert found.totals["speech_seconds"].change == 0


# ------------------------------------------------------------------------ sentences


def quiet_and_whole(tmp_path: Path) -> tuple[Version, Version]:
    """Threshold -80: silences and breaks found; -100: nothing found, nothing cut at the tail."""
    at_80 = made(tmp_path, "N2C_2", [plain(name) for name in NAMES], config=settings())
    whole = {"samples": (1600, 16000), "frames": (10, 101), "silences": (), "phrases": (45,)}
    at_100 = made(
        tmp_path,
        "N2C_4",
        [plain(name, source=whole, target=whole, breaks=(0, 0)) for name in NAMES],
        config=settings("silence.thresh=-100"),
    )
    return at_80, at_100


def test_a_lowered_threshold_is_told_in_one_sentence(tmp_path: Path) -> None:
    found = diff_versions(*quiet_and_whole(tmp_path))

    # A side kept 0.7 s of speech and now 0.91 s; there are six.
    assert found.sentence == (
        "1 setting differs: silence.thresh -80 -> -100; "
        "speech kept +1.3 s (+30.0 %), phrases per utterance 2.0 -> 1.0"
    )
    assert found.totals["silent_seconds"] == Measure(before=0.6, after=0)
    assert found.totals["tail_seconds"] == Measure(before=0.6, after=0)
    assert found.totals["head_seconds"] == Measure(before=0.6, after=0.6)
    assert found.totals["source_speech_seconds"].change == pytest.approx(0.63)
    assert found.totals["target_speech_seconds"].change == pytest.approx(0.63)
    assert found.totals["phrases_per_utterance"] == Measure(before=2, after=1)
    assert found.totals["pairs_without_break"] == Measure(before=0, after=3)


def test_the_other_way_round_every_change_is_turned(tmp_path: Path) -> None:
    at_80, at_100 = quiet_and_whole(tmp_path)

    down, up = diff_versions(at_80, at_100), diff_versions(at_100, at_80)

    for name, measure in down.totals.items():
        assert up.totals[name] == Measure(before=measure.after, after=measure.before)
    for one, other in itertools.zip_longest(down.changed, up.changed):
        assert (one.pair, one.aspects, one.size) == (other.pair, other.aspects, other.size)
    assert up.sentence == (
        "1 setting differs: silence.thresh -100 -> -80; "
        "speech kept -1.3 s (-23.1 %), phrases per utterance 1.0 -> 2.0"
    )


def test_small_changes_of_phrases_keep_two_digits(before: Version, tmp_path: Path) -> None:
    names = [f"s{k:02d}" for k in range(20)]
    one = made(tmp_path, "P", [plain(name) for name in names])
    broken = plain("s07", target={"phrases": (20, 10, 10)}, source={"phrases": (20, 10, 10)})
    other = made(tmp_path, "P_2", [broken if n == "s07" else plain(n) for n in names])

    assert diff_versions(one, other).sentence == "phrases per utterance 2.00 -> 2.05"


def test_silence_is_told_where_speech_and_phrases_stay(before: Version, tmp_path: Path) -> None:
    # 0.1 s more of silence in the source is 0.1 s less of speech: both say the same, once.
    quieter = compared(before, tmp_path, plain("b", source={"silences": ((30, 50),)}))

    assert quieter.sentence == "speech kept -0.1 s (-2.4 %)"


def test_changes_too_small_for_a_figure_are_counted(before: Version, tmp_path: Path) -> None:
    found = compared(before, tmp_path, plain("a", split="dev"), plain("c", split="eval"))

    assert found.sentence == "2 pairs changed in split"


def test_one_pair_is_no_pairs(before: Version, tmp_path: Path) -> None:
    moved = compared(before, tmp_path, plain("b", split="dev", merged=1))
    one_more = made(tmp_path, "N2C_5", [plain(name) for name in (*NAMES, "d")])

    assert moved.sentence == "1 pair changed in phrases, split"
    assert diff_versions(before, one_more).sentence.startswith("1 pair added, 0 removed; ")


# -------------------------------------------------------------- nothing is overlooked

OF_A_SIDE: dict[str, Any] = {
    "samples": (1600, 14399),
    "silences": ((30, 41),),
    "phrases": (19, 21),
    "object": "another",
}
OF_A_PAIR: dict[str, Any] = {"split": "eval", "breaks": (1, 2), "merged": 3}
# These name a pair, or cannot differ alone: other lengths and rates are other samples, other
# frames come with other samples or another grid, and alignments show in the durations.
NAMES_AND_DERIVED = {"speaker", "recording", "rate", "length", "frames"}
NAMES_AND_DERIVED |= {"id", "sentence", "source", "target", "alignment", "durations"}


def test_every_field_of_a_pair_is_decided_about_below() -> None:
    one = plain("a")

    fields = {field.name for each in (one, one.source) for field in dataclasses.fields(each)}

    assert fields == OF_A_SIDE.keys() | OF_A_PAIR.keys() | NAMES_AND_DERIVED


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("name", OF_A_SIDE)
def test_no_field_of_a_side_is_overlooked(
    before: Version, tmp_path: Path, side: str, name: str
) -> None:
    found = compared(before, tmp_path, plain("b", **{side: {name: OF_A_SIDE[name]}}))

    assert [change.pair for change in found.changed] == ["N>C/b"]


@pytest.mark.parametrize("name", OF_A_PAIR)
def test_no_field_of_a_pair_is_overlooked(before: Version, tmp_path: Path, name: str) -> None:
    found = compared(before, tmp_path, plain("b", **{name: OF_A_PAIR[name]}))

    assert [change.pair for change in found.changed] == ["N>C/b"]

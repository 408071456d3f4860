"""Pair checks against planted truth: what was planted comes first, what is sound stays unnamed."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from building import built, corpuskit, settings
from corpuskit.checks import Checked, Finding, Lapse, Measures, check, distinct, measure
from corpuskit.checks.measures import PAUSE
from corpuskit.checks.suspicion import FEWEST, UNUSUAL, _suspicion, _unusual
from corpuskit.config import DatasetConfig, from_mapping
from corpuskit.errors import BadVersion
from corpuskit.objects import Store
from corpuskit.versions import Version
from corpuskit.wording import check as wording
from synthetic import SOURCE, TARGET, Sentence, sentence, speak, write_recording

COUNT = 24
N = dataclasses.replace(SOURCE, rate=8000, tract=1.0, floor=-70.0)
C = dataclasses.replace(TARGET, rate=8000, tract=1.1, f0=180.0)
Change = Callable[[Sentence], Sentence]
THRESH = "silence.thresh=-50"


def said(number: int) -> Sentence:
    """Three phrases of three to seven vowels."""
    drawn = sentence(number, phrases=3, vowels=7)
    lengths = np.random.default_rng([number, 3]).integers(3, 8, 3)
    phrases = tuple(vowels[:n] for vowels, n in zip(drawn.phrases, lengths, strict=True))
    return dataclasses.replace(drawn, phrases=phrases)


def name(number: int) -> str:
    return f"utt_{number:03d}"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean corpus of 24 pairs, built."""
    root = tmp_path_factory.mktemp("checks")
    for number in range(COUNT):
        for folder, voice in (("source", N), ("target", C)):
            spoken = speak(said(number), voice, seed=number)
            write_recording(root / "corpus" / folder / f"{name(number)}.wav", spoken)
    built(root / "workspace", settings(root / "corpus", THRESH), "clean")
    return root


def planted(ground: Path, folder: Path, **changes: Any) -> Version:
    """A copy of the corpus in which the target of sentence `number` says something else."""
    shutil.copytree(ground, folder)
    for number, change in changes["plants"].items():
        spoken = speak(change(said(number)), C, seed=number)
        write_recording(folder / "corpus" / "target" / f"{name(number)}.wav", spoken)
    return built(folder / "workspace", settings(folder / "corpus", THRESH), "planted").version


def outcome(version: Version) -> Checked:
    *_, last = check(version, 1)
    assert isinstance(last, Checked)
    return last


def repeated(said: Sentence) -> Sentence:
    """The second phrase is said twice without a pause."""
    first, second, third = said.phrases
    return dataclasses.replace(said, phrases=(first, second + second, third))


def without_pause(said: Sentence) -> Sentence:
    """The first pause is left out."""
    first, second, third = said.phrases
    head, _, inside, tail = said.pauses
    return dataclasses.replace(said, phrases=(first + second, third), pauses=(head, inside, tail))


# --------------------------------------------------------------------------- planted


def test_a_sound_corpus_has_no_suspects(ground: Path) -> None:
    found = outcome(
        built(ground / "workspace", settings(ground / "corpus", THRESH), "clean").version
    )

    assert found.suspects == ()
    assert [(g.source, g.target, g.pairs, g.judged) for g in found.groups] == [
        ("N", "C", COUNT, True)
    ]


def test_wrong_partners_come_first_and_the_right_ones_are_named(
    ground: Path, tmp_path: Path
) -> None:
    swapped = {3: 11, 11: 3, 7: 18, 18: 7}
    plants = {a: (lambda _, b=b: said(b)) for a, b in swapped.items()}
    version = planted(ground, tmp_path / "copy", plants=plants)

    found = outcome(version)

    first = found.suspects[: len(swapped)]
    assert {s.pair for s in first} == {f"N>C/{name(a)}" for a in swapped}
    assert len(found.suspects) == len(swapped)
    for suspect in first:
        assert suspect.findings[0].reason == "partner"
        partner = suspect.findings[0].partner
        assert partner is not None
        own = int(suspect.pair[-3:])
        assert partner.recording == f"C/{name(swapped[own])}"
        assert partner.distance < partner.own


def test_a_partner_that_is_not_in_the_corpus_is_still_unlike(ground: Path, tmp_path: Path) -> None:
    version = planted(ground, tmp_path / "copy", plants={5: lambda _: said(500)})

    found = outcome(version)

    assert found.suspects[0].pair == f"N>C/{name(5)}"
    reasons = [finding.reason for finding in found.suspects[0].findings]
    assert "distance" in reasons
    assert "partner" not in reasons


def test_a_repeated_phrase_is_found_where_it_is_said(ground: Path, tmp_path: Path) -> None:
    version = planted(ground, tmp_path / "copy", plants={9: repeated})

    found = outcome(version)

    assert found.suspects[0].pair == f"N>C/{name(9)}"
    words = next(f for f in found.suspects[0].findings if f.reason == "words")
    second = speak(repeated(said(9)), C).truth.phrases[1]
    assert words.place is not None
    assert words.place.side == "target"
    assert second[0] / 8000 - 0.1 <= words.place.start < words.place.stop <= second[1] / 8000 + 0.1


def test_a_missing_pause_is_found_on_the_side_that_makes_it(ground: Path, tmp_path: Path) -> None:
    version = planted(ground, tmp_path / "copy", plants={14: without_pause})

    found = outcome(version)

    assert [s.pair for s in found.suspects] == [f"N>C/{name(14)}"]
    pause = next(f for f in found.suspects[0].findings if f.reason == "pause")
    begin, end = speak(said(14), N).truth.pauses[1]
    assert pause.place is not None
    assert pause.place.side == "source"
    assert pause.place.start == pytest.approx(begin / 8000, abs=0.05)
    assert pause.place.seconds == pytest.approx((end - begin) / 8000, abs=0.08)


def test_a_version_without_silences_says_that_pauses_were_not_compared(ground: Path) -> None:
    config = settings(ground / "corpus", "silence.min_len=5000")
    version = built(ground / "workspace", config, "clean_2").version

    found = outcome(version)

    assert not found.pauses_known
    assert list(wording.checked(found)) == [
        "no silence was found at this threshold: pauses cannot be compared",
        "Dataset clean_2: none of 24 pairs is suspect.",
    ]


def test_a_pair_and_its_mirror_are_shown_once(ground: Path, tmp_path: Path) -> None:
    shutil.copytree(ground / "corpus", tmp_path / "corpus")
    write_recording(tmp_path / "corpus" / "target" / f"{name(4)}.wav", speak(said(400), C))
    config = settings(
        tmp_path / "corpus", THRESH, 'pairs=[{ source = "N", target = "C", both = true }]'
    )

    found = outcome(built(tmp_path / "workspace", config).version)

    assert {s.pair for s in found.suspects} == {"N>C/utt_004", "C>N/utt_004"}
    (shown,) = distinct(found.suspects)
    assert shown == found.suspects[0]
    told = list(wording.checked(found))
    assert sum("suspicion" in line for line in told) == 1
    assert told[-1].startswith("Dataset N2C: 2 of 48 pairs are suspect")


def test_a_pause_counts_less_than_other_words() -> None:
    pause = Finding(reason="pause", value=0.8, usual=0.0, deviations=16.0)
    unlike = Finding(reason="distance", value=1.0, usual=0.5, deviations=9.0)

    assert _suspicion([pause]) == 8.0 < _suspicion([unlike]) == 9.0
    assert _suspicion([pause, unlike]) == pytest.approx(np.hypot(8, 9))


def test_a_recording_that_fails_with_every_partner_is_named_itself(
    ground: Path, tmp_path: Path
) -> None:
    shutil.copytree(ground / "corpus", tmp_path / "corpus")
    for voice, f0 in (("two", 160.0), ("three", 200.0)):
        for number in range(COUNT):
            spoken = speak(said(number), dataclasses.replace(C, f0=f0), seed=number)
            write_recording(tmp_path / "corpus" / voice / f"{name(number)}.wav", spoken)
    write_recording(tmp_path / "corpus" / "source" / f"{name(4)}.wav", speak(said(400), N))
    config = settings(
        tmp_path / "corpus",
        THRESH,
        'corpora.N2C.speakers={ N = "source", C = "target", D = "two", E = "three" }',
        'pairs=[{ source = "N", target = "C" }, { source = "N", target = "D" }, '
        '{ source = "N", target = "E" }]',
    )

    found = outcome(built(tmp_path / "workspace", config).version)

    assert [(c.recording, c.suspects, c.pairs) for c in found.culprits] == [("N/utt_004", 3, 3)]
    assert {s.pair for s in found.suspects} == {f"N>{voice}/utt_004" for voice in "CDE"}
    assert next(wording.checked(found)) == (
        "3 of 3 pairs of N/utt_004 are suspect: that recording rather than its partners"
    )


# ----------------------------------------------------------------------- too few pairs


def test_too_few_pairs_are_said_and_only_pauses_checked(ground: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    for number in range(6):
        for side in ("source", "target"):
            (folder / side).mkdir(parents=True, exist_ok=True)
            shutil.copy(ground / "corpus" / side / f"{name(number)}.wav", folder / side)
    write_recording(folder / "target" / f"{name(1)}.wav", speak(said(90), C))
    write_recording(folder / "target" / f"{name(2)}.wav", speak(without_pause(said(2)), C))
    version = built(tmp_path / "workspace", settings(folder, THRESH)).version

    found = outcome(version)

    assert [group.judged for group in found.groups] == [False]
    assert {f.reason for s in found.suspects for f in s.findings} <= {"pause"}
    assert f"N>C/{name(2)}" in {s.pair for s in found.suspects}
    assert next(wording.checked(found)).startswith(
        "too few pairs to know what is usual: N>C (6 pairs)"
    )


# ------------------------------------------------------------------------- statistics


def numbers(pair: str, **changes: Any) -> Measures:
    values: dict[str, Any] = {
        "pair": pair,
        "speakers": ("N", "C"),
        "distance": 0.6,
        "ratio": 0.0,
        "pause": None,
        "words": None,
        "voicing": 0.1,
    }
    return Measures(**(values | changes))


def test_deviations_are_robust_and_counted_by_hand() -> None:
    ratios = np.linspace(-0.2, 0.2, 41)  # median 0, median absolute deviation 0.1
    group = [numbers(f"{k:02d}", ratio=float(r)) for k, r in enumerate(ratios)]
    group[0] = numbers("00", ratio=5.0)  # an outlier moves neither: median 0.01, MAD still 0.1

    found = _unusual(group)

    assert list(found) == ["00"]
    (finding,) = found["00"]
    assert finding.reason == "ratio"
    assert finding.value == pytest.approx(np.exp(5.0))
    assert finding.deviations == pytest.approx((5.0 - 0.01) / (1.4826 * 0.1), rel=1e-3)


def test_short_lengths_are_as_suspect_as_long_ones() -> None:
    rng = np.random.default_rng(1)
    group = [numbers(f"{k:02d}", ratio=float(r)) for k, r in enumerate(rng.normal(0, 0.05, 60))]
    group += [numbers("long", ratio=1.0), numbers("short", ratio=-1.0)]

    assert {"long", "short"} == set(_unusual(group))


def test_a_group_that_never_varies_is_judged_in_units_a_listener_notices() -> None:
    lapse = Lapse(side="source", start=1.0, stop=1.0 + PAUSE, seconds=PAUSE)
    group = [numbers(f"{k:02d}") for k in range(FEWEST)]
    group += [numbers("paused", pause=lapse), numbers("a little", voicing=0.11)]

    found = _unusual(group)

    assert list(found) == ["paused"]
    assert found["paused"][0].deviations == pytest.approx(UNUSUAL)
    assert found["paused"][0].place == lapse


@given(st.lists(st.floats(0.2, 3.0), min_size=FEWEST, max_size=60), st.floats(0.5, 2.0))
def test_a_scale_common_to_all_pairs_changes_no_verdict(values: list[float], scale: float) -> None:
    plain = _unusual([numbers(str(k), distance=v) for k, v in enumerate(values)])
    scaled = _unusual([numbers(str(k), distance=v * scale) for k, v in enumerate(values)])

    firm = {
        name: found
        for name, found in plain.items()
        if abs(found[0].deviations - UNUSUAL) > 0.01  # away from the edge, where rounding decides
    }
    assert firm.keys() <= scaled.keys()


# ------------------------------------------------------------------------- the measures


def test_a_recording_against_itself_differs_in_nothing(tmp_path: Path) -> None:
    for number in range(2):
        spoken = speak(said(number), C, seed=number)
        for folder in ("source", "target"):
            write_recording(tmp_path / "corpus" / folder / f"{name(number)}.wav", spoken)
    version = built(
        tmp_path / "workspace", settings(tmp_path / "corpus", THRESH, "split.dev=0", "split.eval=0")
    ).version

    found = measure(version, version.pairs[0])

    assert found.distance == pytest.approx(0.0, abs=1e-6)
    assert found.ratio == 0.0
    assert found.pause is None
    assert found.words is not None
    assert found.words.seconds == pytest.approx(0.0, abs=0.05)
    assert found.voicing == 0.0


def test_missing_features_are_named(ground: Path, tmp_path: Path) -> None:
    shutil.copytree(ground, tmp_path / "copy")
    version = built(
        tmp_path / "copy" / "workspace", settings(ground / "corpus", THRESH), "clean"
    ).version
    Store(version.workspace).path(version.pairs[2].target.object).unlink()

    with pytest.raises(BadVersion, match="C/utt_002"):
        outcome(version)


# -------------------------------------------------------------------------- the command


def test_the_command_ranks_tells_and_exits_by_strict(ground: Path, tmp_path: Path) -> None:
    version = planted(
        ground,
        tmp_path / "copy",
        plants={3: lambda _: said(11), 11: lambda _: said(3), 14: without_pause},
    )
    words = ("check", version.name, "--workspace", version.workspace, "--jobs", "1")

    plain, machine = corpuskit(*words, "--top", "1"), corpuskit(*words, "--json")

    assert plain.code == machine.code == 0
    assert plain.out.startswith("  1. N>C/utt_003  suspicion ")
    assert "and 2 more (--top, --json)" in plain.out
    assert plain.out.splitlines()[-1].startswith(
        "Dataset planted: 3 of 24 pairs are suspect (wrong partner 2, "
    )
    told = json.loads(machine.out)
    assert [s["pair"] for s in told["suspects"]] == ["N>C/utt_003", "N>C/utt_011", "N>C/utt_014"]
    assert corpuskit(*words, "--strict").code == 1
    assert corpuskit("check", "clean", "--workspace", version.workspace, "--strict").code == 0


def test_real_speech_gives_few_flags_and_finds_swapped_files(arctic: Path, tmp_path: Path) -> None:
    shutil.copytree(arctic, tmp_path / "corpus")
    folder = tmp_path / "corpus" / "slt"
    for a, b in (("0003", "0017"), ("0009", "0022")):
        one, other = (folder / f"arctic_a{n}.wav" for n in (a, b))
        kept = one.read_bytes()
        one.unlink()
        one.write_bytes(other.read_bytes())
        other.unlink()
        other.write_bytes(kept)
    mapping = {
        "corpora": {
            "arctic": {"root": str(tmp_path / "corpus"), "speakers": {"clb": "clb", "slt": "slt"}}
        },
        "pairs": [{"source": "clb", "target": "slt"}],
        "audio": {"rate": 16000},
        "silence": {"thresh": -50.0},
    }
    config = from_mapping(DatasetConfig, mapping, "a test")
    version = built(tmp_path / "workspace", config, "arctic").version

    found = outcome(version)

    assert {
        s.pair[-4:]: s.findings[0].partner and s.findings[0].partner.recording[-4:]
        for s in found.suspects
    } == {
        "0003": "0017",
        "0017": "0003",
        "0009": "0022",
        "0022": "0009",
    }

"""What the terminal says of versions made by hand: every figure in it was chosen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from corpuskit.build import Built, Planned
from corpuskit.config import to_mapping
from corpuskit.diff import diff_versions
from corpuskit.inventory import DiskUse
from corpuskit.verify import Checked, Problem
from corpuskit.versions import SetAside, Version, describe
from corpuskit.wording import build as wording_of_build
from corpuskit.wording import diff as wording_of_diff
from corpuskit.wording import verify as wording_of_verify
from corpuskit.wording import versions as wording_of_versions
from handmade import aside, pair, settings, version


@pytest.fixture
def made(tmp_path: Path) -> Version:
    """Three pairs used, one set aside; N pauses twice and C once in each."""
    halves = {
        "source": {"silences": ((10, 20), (50, 60)), "phrases": (20, 20)},
        "target": {"silences": ((30, 40),), "phrases": (20, 20)},
        "breaks": (2, 1),
    }
    return version(
        tmp_path,
        "N2C_4",
        [pair("a", **halves), pair("b", **halves, split="dev"), pair("c")],
        others=[aside("N", "d", "has no partner"), aside("C", "e", "is an empty file")],
        set_aside=[SetAside(pair="N>C/e", reason="target is an empty file")],
        warnings=["silence.thresh -100 dBFS finds digital zero only"],
    )


EFFECTS = """\
side        recorded  head cut  tail cut  silent inside  silences  speech
source (N)     3.0 s    0.30 s    0.30 s         0.40 s         4   2.0 s
target (C)     3.0 s    0.30 s    0.30 s         0.20 s         2   2.2 s
phrases per utterance 1.67; without any phrase break 1 of 3 pairs (33 %); \
source and target pause differently in 2; breaks merged 0"""


# -------------------------------------------------------------------------- building


def test_a_build_tells_what_was_set_aside_and_what_the_thresholds_did(made: Version) -> None:
    result = Built(version=made, new=True, measured=7, aligned=3, previous=None)

    assert "\n".join(wording_of_build.built(result)) == (
        "set aside: 1 recording: has no partner\n"
        "set aside: 1 recording: is an empty file\n"
        "set aside: 1 pair: target is an empty file\n"
        f"{EFFECTS}"
    )


def test_a_build_is_compared_with_the_familys_last_version(made: Version, tmp_path: Path) -> None:
    pairs = [pair(name) for name in "abc"]
    one = version(tmp_path, "N2C_5", pairs, config=settings("silence.thresh=-70"))
    two = version(
        tmp_path, "N2C_6", pairs, config=settings("silence.thresh=-60", "silence.rms=int16")
    )

    def told(after: Version, before: Version) -> list[str]:
        difference = diff_versions(before, after)
        result = Built(version=after, new=True, measured=0, aligned=0, previous=difference)
        return [
            line for line in wording_of_build.built(result) if line.startswith(("against", "note"))
        ]

    assert told(one, made) == [f"against N2C_4: {diff_versions(made, one).sentence}"]
    assert told(two, one) == [
        "against N2C_5: 2 settings differ: silence.rms float -> int16, silence.thresh -70 -> -60; "
        "no pair changed",
        "note: 2 settings changed at once (silence.rms, silence.thresh); "
        "`corpuskit diff N2C_5 N2C_6 --why` tells what each did",
    ]


def test_a_build_closes_with_one_sentence_in_the_fields_units(made: Version) -> None:
    first = Built(version=made, new=True, measured=1200, aligned=3, previous=None)
    again = Built(version=made, new=False, measured=0, aligned=0, previous=None)
    seal = made.fingerprint[:12]

    assert wording_of_build.closing(first, 4.21) == (
        f"Built N2C_4: 3 pairs (train 2, dev 1, eval 0), 4.8 s, fingerprint {seal}, in 4.2 s "
        "(1,200 recordings measured, 3 pairs aligned)."
    )
    assert wording_of_build.closing(again, 0.33) == (
        f"Dataset N2C_4 is already built and unchanged: 3 pairs, fingerprint {seal}, "
        "checked in 0.3 s."
    )


def test_a_dry_run_says_what_would_be_measured() -> None:
    assert wording_of_build.planned(Planned(candidates=1180, recordings=2360, unmeasured=12)) == (
        "Would build from 1,180 candidate pairs of 2,360 recordings: "
        "12 to be measured, 2,348 in the store."
    )


# ------------------------------------------------------------------------ list, show


def test_a_row_of_the_list(made: Version) -> None:
    row = wording_of_versions.version_row(
        describe(made.workspace, "N2C_4"), DiskUse(files=900_000, own=4_100_000, shared=12_000)
    )

    assert row == [
        *("N2C_4", "3", "2", "1", "0", "4.2 s", "1.67", made.fingerprint[:12]),
        *("5.0 MB", "12.0 kB"),
    ]
    assert len(row) == len(wording_of_versions.VERSION_HEADER)


def test_a_version_is_shown_with_states_settings_and_reasons(made: Version) -> None:
    lines = list(wording_of_versions.version(made))

    assert lines[:5] == [
        "dataset N2C_4 (family N2C), built 2024-01-01T00:00:00+00:00",
        f"fingerprint {made.fingerprint}",
        "pairs: 4 candidates = 3 used + 1 set aside",
        "recordings: 8 found = 6 used + 2 set aside",
        "splits: train 2, dev 1, eval 0",
    ]
    assert "\n".join(lines[5:9]) == EFFECTS
    assert lines[9].startswith("voice  side ")
    assert lines[-4:] == [
        "warning: silence.thresh -100 dBFS finds digital zero only",
        "set aside: pair N>C/e: target is an empty file",
        "set aside: recording C/e: is an empty file",
        "set aside: recording N/d: has no partner",
    ]


def test_every_setting_is_shown_with_its_value(made: Version) -> None:
    lines = list(wording_of_versions.version(made))

    shown = lines[lines.index("settings:") + 1 :]
    for table, values in to_mapping(made.settings).items():
        if table not in ("corpora", "pairs"):
            for key, value in values.items():
                assert f"  {table}.{key} = {value}" in shown


def test_many_speakers_are_counted(tmp_path: Path) -> None:
    one = pair("a")
    pairs = [
        dataclasses.replace(
            one, id=f"N>voice{k}/a", target=dataclasses.replace(one.target, speaker=f"voice{k}")
        )
        for k in range(5)
    ]

    lines = list(wording_of_versions.effects(version(tmp_path, "many", pairs)))

    assert lines[1].startswith("source (N) ")
    assert lines[2].startswith("target (5 speakers) ")


# ------------------------------------------------------------------------------ diff


def test_a_difference_is_told_from_settings_to_the_largest_changes(
    made: Version, tmp_path: Path
) -> None:
    whole = {"samples": (1600, 16000), "frames": (10, 101), "silences": (), "phrases": (45,)}
    after = version(
        tmp_path,
        "N2C_5",
        [pair("a", source=whole, target=whole), pair("b", split="dev"), pair("d"), pair("e")],
        config=settings("silence.thresh=-100"),
    )

    told = list(wording_of_diff.difference(diff_versions(made, after)))

    assert "\n".join(told) == (
        "dataset N2C_4 -> dataset N2C_5\n"
        "  silence.thresh: -80 -> -100\n"
        "pairs: 2 added, 1 removed, 2 changed, 0 unchanged\n"
        "added: N>C/d, N>C/e\n"
        "removed: N>C/c\n"
        "changed in: trim 1, silence 2, phrases 2, durations 1\n"
        "                        N2C_4   N2C_5   change\n"
        "pairs                       3       4       +1\n"
        "speech                 4.20 s  6.62 s  +2.42 s\n"
        "source speech          2.00 s  3.31 s  +1.31 s\n"
        "target speech          2.20 s  3.31 s  +1.11 s\n"
        "head                   0.60 s  0.80 s  +0.20 s\n"
        "tail                   0.60 s  0.60 s  +0.00 s\n"
        "silent                 0.60 s  0.00 s  -0.60 s\n"
        "phrases per utterance    1.67    1.00    -0.67\n"
        "pairs without break         1       4       +3\n"
        "pairs that disagree         2       0       -2\n"
        "largest of 2 changes:\n"
        "pair    speech  trimmed   silent  phrases  target frames  changed in\n"
        "N>C/a  +0.52 s  -0.20 s  -0.30 s   2 -> 1       40 -> 45  trim silence phrases durations\n"
        "N>C/b  +0.30 s  +0.00 s  -0.30 s   2 -> 1       40 -> 40  silence phrases\n"
        "1 setting differs: silence.thresh -80 -> -100; 2 pairs added, 1 removed; "
        "speech kept +2.4 s (+57.6 %), phrases per utterance 1.7 -> 1.0"
    )


def test_of_many_pairs_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    few = version(tmp_path, "F", [pair("s00")])
    many = version(tmp_path, "F_2", [pair(f"s{k:02d}") for k in range(15)])
    changed = version(tmp_path, "F_3", [pair(f"s{k:02d}", split="dev") for k in range(15)])

    added = list(wording_of_diff.difference(diff_versions(few, many), shown=3))
    ranked = list(wording_of_diff.difference(diff_versions(many, changed), shown=3))

    assert "added: N>C/s01, N>C/s02, N>C/s03, and 11 more" in added
    at = ranked.index("largest of 15 changes:")
    assert [line.split()[0] for line in ranked[at + 2 : -1]] == ["N>C/s00", "N>C/s01", "N>C/s02"]


def test_equal_versions_need_three_lines(made: Version, tmp_path: Path) -> None:
    assert list(wording_of_diff.difference(diff_versions(made, made))) == [
        "dataset N2C_4 -> dataset N2C_4",
        "pairs: 0 added, 0 removed, 0 changed, 3 unchanged",
        "nothing differs",
    ]


# ---------------------------------------------------------------------------- verify


def test_a_problem_names_recordings_and_pairs() -> None:
    recordings = tuple(f"N/s{k}" for k in range(4))

    told = wording_of_verify.problem(
        Problem(what="object 0123 is damaged", recordings=recordings, pairs=("N>C/s0",)), shown=2
    )

    assert told == "object 0123 is damaged; recordings: N/s0, N/s1 and 2 more; pairs: N>C/s0"
    assert (
        wording_of_verify.problem(Problem(what="version.json is damaged"))
        == "version.json is damaged"
    )


def test_a_check_closes_with_what_was_looked_at() -> None:
    counts = Checked(objects=3540, recordings=2360, absent_roots=())

    assert wording_of_verify.checked("N2C_4", counts, 0) == (
        "Dataset N2C_4 is whole: 3,540 objects and 2,360 recordings are what they were."
    )
    assert wording_of_verify.checked("N2C_4", counts, 2).startswith("Dataset N2C_4: 2 problems; ")
    assert wording_of_verify.checked("N2C_4", None, 2).startswith("Dataset N2C_4: 2 problems; ")

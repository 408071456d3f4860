"""Copied files: told by the build, kept with the version, first in the check."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from building import built, corpuskit, events, quick_corpus, settings, written_toml
from corpuskit.build import Note
from corpuskit.checks import Checked, check
from corpuskit.versions import open_version

WARNING = "several sentences, sample for sample"


def copied(root: Path, source: str, *names: str) -> None:
    for name in names:
        shutil.copyfile(root / source, root / name)


def warnings(tmp_path: Path) -> list[str]:
    told = events(tmp_path / "w", settings(tmp_path / "corpus"))
    found = [each.text for each in told if isinstance(each, Note) and each.serious]
    assert list(open_version(tmp_path / "w", "N2C").warnings) == found
    return found


def test_a_sound_corpus_is_not_warned_of(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus")

    assert warnings(tmp_path) == []


def test_one_recording_on_both_sides_is_named(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 5)
    copied(tmp_path / "corpus", "source/utt_002.wav", "target/utt_002.wav")

    assert warnings(tmp_path) == [
        "1 pair has the same recording on both sides, sample for sample: N>C/utt_002; "
        "is a file in the wrong folder?"
    ]


def test_many_are_counted_and_a_few_named(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 5)
    shutil.copytree(tmp_path / "corpus/source", tmp_path / "corpus/target", dirs_exist_ok=True)

    [told] = warnings(tmp_path)

    assert told.startswith("5 pairs have the same recording on both sides")
    assert "N>C/utt_001, N>C/utt_002, N>C/utt_003 and 2 more" in told


def test_a_copy_is_found_in_another_depth_and_form(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus")
    samples, rate = sf.read(tmp_path / "corpus/source/utt_002.wav")
    sf.write(tmp_path / "corpus/target/utt_002.wav", samples, rate, subtype="FLOAT")

    assert "N>C/utt_002" in warnings(tmp_path)[0]


def test_one_sample_more_is_another_recording(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus")
    samples, rate = sf.read(tmp_path / "corpus/source/utt_002.wav")
    sf.write(tmp_path / "corpus/target/utt_002.wav", np.append(samples, 0.0), rate)

    assert warnings(tmp_path) == []


def test_a_sentence_under_two_names_is_named_with_the_splits_it_joins(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 5)
    splits = {
        pair.sentence: pair.split
        for pair in built(tmp_path / "before", settings(tmp_path / "corpus")).version.pairs
    }
    [heldout] = [name for name, split in splits.items() if split == "eval"]
    train = sorted(name for name, split in splits.items() if split == "train")
    for side in ("source", "target"):
        copied(tmp_path / "corpus", f"{side}/{train[0]}.wav", f"{side}/{heldout}.wav")
    copied(tmp_path / "corpus", f"source/{train[1]}.wav", f"source/{train[2]}.wav")

    [told] = warnings(tmp_path)

    assert told.startswith(f"3 sounds stand under {WARNING}: ")
    assert f"N/{train[1]} = N/{train[2]}" in told
    for speaker in "NC":
        assert " = ".join(sorted([f"{speaker}/{train[0]}", f"{speaker}/{heldout}"])) in told
    assert "; 2 of them both in train and in dev or eval, whose figures" in told


def test_copies_among_what_is_trained_on_leak_nothing(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 5)
    before = built(tmp_path / "before", settings(tmp_path / "corpus")).version
    one, two, *_ = [pair.sentence for pair in before.pairs if pair.split == "train"]
    copied(tmp_path / "corpus", f"source/{one}.wav", f"source/{two}.wav")

    assert warnings(tmp_path) == [
        f"1 sound stands under {WARNING}: N/{one} = N/{two}; "
        "was a file copied under another's name?"
    ]


def test_a_sound_under_many_names_is_named_briefly(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus", 6)
    names = [f"source/utt_{number:03d}.wav" for number in range(1, 7)]
    copied(tmp_path / "corpus", names[0], *names[1:])

    [told] = warnings(tmp_path)

    assert "1 sound stands under" in told
    assert ": N/utt_001 = N/utt_002 = N/utt_003 = 3 more; was a file" in told


def test_a_recording_that_is_set_aside_repeats_nothing(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus")
    copied(tmp_path / "corpus", "source/utt_002.wav", "source/nobody.wav")

    assert warnings(tmp_path) == []


def test_the_commands_tell_it_now_and_later(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus")
    copied(tmp_path / "corpus", "target/utt_002.wav", "source/utt_002.wav")
    toml = written_toml(tmp_path / "N2C.toml", tmp_path / "corpus")
    where = ("--workspace", tmp_path / "w")

    first = corpuskit("build", "N2C", "--config", toml, *where)
    again = corpuskit("build", "N2C", "--config", toml, *where)
    shown = corpuskit("show", "N2C", *where)

    told = "warning: 1 pair has the same recording on both sides"
    assert first.code == again.code == 0
    assert told in first.err
    assert told in again.err
    assert told in shown.out


@pytest.mark.parametrize("count", [4, 22])
def test_the_check_puts_copies_first_however_few_the_pairs(tmp_path: Path, count: int) -> None:
    quick_corpus(tmp_path / "corpus", count)
    copied(tmp_path / "corpus", "target/utt_002.wav", "source/utt_002.wav")
    version = built(tmp_path / "w", settings(tmp_path / "corpus")).version

    *_, found = check(version, 1)

    assert isinstance(found, Checked)
    assert found.reasons["copy"] == 1
    assert found.suspects[0].pair == "N>C/utt_002"
    assert found.suspects[0].findings[0].reason == "copy"
    assert [s.pair for s in found.suspects if s.suspicion >= 100] == ["N>C/utt_002"]


def test_the_check_says_in_words_and_on_its_page_what_a_copy_is(tmp_path: Path) -> None:
    quick_corpus(tmp_path / "corpus")
    copied(tmp_path / "corpus", "target/utt_002.wav", "source/utt_002.wav")
    built(tmp_path / "w", settings(tmp_path / "corpus"))
    page = tmp_path / "check.html"

    said = corpuskit("check", "N2C", "--html", page, "--workspace", tmp_path / "w")

    told = "same recording: both sides are one sound, sample for sample"
    assert told in said.out
    assert told in page.read_text(encoding="utf-8")
    assert "1 of 4 pairs is suspect (same recording 1)" in said.out

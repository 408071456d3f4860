"""Pairs and splits: what belongs together, and that a sentence stays where it was drawn."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corpuskit.config import SplitConfig
from corpuskit.errors import BadSetting
from corpuskit.layouts import Found
from corpuskit.pairs import Candidate, candidates, split_sentences


def found(speaker: str, sentence: str, problem: str = "") -> Found:
    return Found(
        id=f"{speaker}/{sentence}",
        speaker=speaker,
        sentence=sentence,
        corpus="x",
        relative=f"{speaker}/{sentence}.wav",
        path=Path(f"{speaker}/{sentence}.wav"),
        problem=problem,
    )


def ids(pairs: list[Candidate]) -> list[str]:
    return [pair.id for pair in pairs]


# ----------------------------------------------------------------------------- pairs

speakers = st.sampled_from("ABCD")
spoken = st.sets(st.tuples(speakers, st.sampled_from(["s1", "s2", "s3", "s4", "s5"])))
pairings = st.lists(
    st.tuples(speakers, speakers).filter(lambda pair: pair[0] != pair[1]),
    min_size=1,
    max_size=5,
)


@given(spoken, pairings)
def test_a_pair_is_every_sentence_that_both_have_said(
    said: set[tuple[str, str]], wanted: list[tuple[str, str]]
) -> None:
    made = candidates([found(*one) for one in sorted(said)], wanted)

    asked = set(wanted)
    expected = {
        f"{a}>{b}/{sentence}"
        for a, b in asked
        for sentence in ("s1", "s2", "s3", "s4", "s5")
        if (a, sentence) in said and (b, sentence) in said
    }
    assert ids(made) == sorted(expected)
    for pair in made:
        assert pair.sentence == pair.source.sentence == pair.target.sentence
        assert pair.id == f"{pair.source.speaker}>{pair.target.speaker}/{pair.sentence}"


def test_a_direction_asked_for_twice_is_one() -> None:
    recordings = [found(speaker, "s1") for speaker in "ABC"]

    assert ids(candidates(recordings, [("A", "B"), ("C", "A"), ("A", "B")])) == ["A>B/s1", "C>A/s1"]


def test_what_has_no_partner_or_a_problem_is_in_no_pair() -> None:
    recordings = [
        found("A", "alone"),
        found("A", "twice", problem="shares its stem with another file"),
        found("B", "twice"),
        found("A", "good"),
        found("B", "good"),
        found("C", "alone"),
    ]

    assert ids(candidates(recordings, [("A", "B")])) == ["A>B/good"]
    assert candidates(recordings, [("A", "D")]) == []


# ---------------------------------------------------------------------------- splits

names = st.text("abcdefghijklmnop_0123456789", min_size=1, max_size=6)


@settings(max_examples=80)
@given(st.sets(names, min_size=3, max_size=60), st.sets(names, max_size=40), st.data())
def test_more_sentences_move_others_only_at_the_margin(
    few: set[str], more: set[str], data: st.DataObject
) -> None:
    dev = data.draw(st.integers(0, len(few) - 1))
    held_out = data.draw(st.integers(0, len(few) - 1 - dev))
    counts = SplitConfig(dev=dev, eval=held_out)

    before, after = split_sentences(few, counts), split_sentences(few | more, counts)

    for splits in (before, after):
        counted = Counter(splits.values())
        assert (counted["dev"], counted["eval"]) == (dev, held_out)
    moved = {(before[s], after[s]) for s in few if before[s] != after[s]}
    assert moved <= {("dev", "train"), ("eval", "train")}
    for split in ("dev", "eval"):
        left = {s for s in few if before[s] == split != after[s]}
        came = {s for s in more - few if after[s] == split}
        assert len(left) == len(came)


@given(st.lists(names, min_size=4, max_size=40), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(sentences: list[str], random) -> None:
    assume(len(set(sentences)) >= 4)
    shuffled = [*sentences, sentences[0]]
    random.shuffle(shuffled)

    assert split_sentences(shuffled, SplitConfig(dev=1, eval=2)) == split_sentences(
        sentences, SplitConfig(dev=1, eval=2)
    )


def test_a_sentence_is_in_one_split_whichever_voices_say_it() -> None:
    names = [f"s{k:02d}" for k in range(30)]
    counts = SplitConfig(dev=5, eval=5)
    two = candidates([found(s, n) for s in "AB" for n in names], [("A", "B")])
    many = candidates(
        [found(s, n) for s in "BCDE" for n in names],
        [(way[0], way[1]) for way in ("CD", "DC", "DE", "ED", "BC", "CB")],
    )

    splits = [split_sentences((pair.sentence for pair in pairs), counts) for pairs in (two, many)]

    assert len(many) == 6 * len(two)
    assert splits[0] == splits[1]


def test_the_draw_is_the_same_in_every_release() -> None:
    # Ranks are SHA-256 of "split/" + sentence: eval is the lowest, dev the highest.
    names = [f"arctic_a{k:04d}" for k in range(1, 13)]

    splits = split_sentences(names, SplitConfig(dev=3, eval=2))

    assert {s for s in names if splits[s] == "eval"} == {"arctic_a0008", "arctic_a0012"}
    assert {s for s in names if splits[s] == "dev"} == {
        "arctic_a0001",
        "arctic_a0003",
        "arctic_a0007",
    }


@given(st.sets(names, min_size=4, max_size=60), st.sets(names, max_size=40))
def test_with_shares_more_sentences_move_nobody(few: set[str], more: set[str]) -> None:
    shares = SplitConfig(dev=0.25, eval=0.15)
    drawn = {"eval": sum(share(s) < 0.15 for s in few), "dev": sum(share(s) >= 0.75 for s in few)}
    assume(all(drawn.values()) and sum(drawn.values()) < len(few))

    before, after = split_sentences(few, shares), split_sentences(few | more, shares)

    assert before.items() <= after.items()
    assert Counter(before.values()) == Counter(train=len(few) - sum(drawn.values()), **drawn)


def share(sentence: str) -> float:
    """Where a sentence lies between 0 and 1."""
    digest = hashlib.sha256(f"split/{sentence}".encode()).hexdigest()
    return int(digest[:13], 16) / 16**13


def test_shares_of_many_sentences_are_about_what_was_asked_for() -> None:
    splits = Counter(
        split_sentences((f"s{k}" for k in range(10_000)), SplitConfig(dev=0.1, eval=0.05)).values()
    )

    assert splits["dev"] == pytest.approx(1000, abs=90)  # three standard deviations
    assert splits["eval"] == pytest.approx(500, abs=65)


@pytest.mark.parametrize("total", [3, 8, 50])
def test_a_share_holds_out_one_sentence_at_least(total: int) -> None:
    few = SplitConfig(dev=1e-9, eval=1e-9)

    splits = Counter(split_sentences((f"s{k}" for k in range(total)), few).values())

    assert splits == {"train": total - 2, "dev": 1, "eval": 1}


def test_counts_of_nothing_leave_all_for_training() -> None:
    assert set(split_sentences(["a", "b"], SplitConfig(dev=0, eval=0)).values()) == {"train"}


@pytest.mark.parametrize(
    ("dev", "held_out", "total"), [(5, 5, 10), (0, 10, 10), (50, 0, 10), (0.9, 0.1, 10), (1, 1, 1)]
)
def test_a_draw_that_leaves_nothing_to_train_on_is_refused(
    dev: float, held_out: float, total: int
) -> None:
    with pytest.raises(BadSetting) as caught:
        split_sentences([f"s{k}" for k in range(total)], SplitConfig(dev=dev, eval=held_out))

    assert f"there are {total} sentences" in caught.value.problem
    assert "--set split.dev=N" in caught.value.remedy

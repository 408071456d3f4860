"""Who is paired with whom: lists, corpora, both directions, and a chosen number of targets."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.config import DatasetConfig, from_mapping
from corpuskit.directions import directions
from corpuskit.errors import BadSetting


def ways(*pairs: dict[str, Any], speakers: Sequence[str] = "ABCD") -> list[tuple[str, str]]:
    """Directions between the speakers of corpus "all" and of corpus "jvs"."""
    corpora = {
        "all": {"root": "x", "speakers": {name: name for name in speakers}},
        "jvs": {"root": "y", "layout": "jvs", "subsets": ["parallel100"]},
    }
    settings = {"corpora": corpora, "pairs": list(pairs)}
    return directions(from_mapping(DatasetConfig, settings, "the test"))


def test_one_to_one_and_both_ways() -> None:
    pairs = [{"source": "A", "target": "B", "both": True}, {"source": "C", "target": "A"}]

    assert ways(*pairs) == [("A", "B"), ("B", "A"), ("C", "A")]


def test_a_direction_asked_for_twice_is_one() -> None:
    pairs = [
        {"source": "A", "target": "B", "both": True},
        {"source": "B", "target": "A"},
        {"source": ["A"], "target": "B"},
    ]

    assert ways(*pairs) == [("A", "B"), ("B", "A")]


def test_lists_are_paired_each_with_each_and_nobody_with_itself() -> None:
    assert ways({"source": ["A", "B"], "target": ["B", "C"]}) == [
        ("A", "B"),
        ("A", "C"),
        ("B", "C"),
    ]


def test_a_corpus_stands_for_all_its_speakers() -> None:
    assert ways({"source": "A", "target": "all"}) == [("A", "B"), ("A", "C"), ("A", "D")]
    assert len(ways({"source": "all", "target": "all"})) == 12
    assert len(ways({"source": ["A", "jvs"], "target": "jvs"})) == 100 + 100 * 99


def test_a_speakers_name_goes_before_a_corpus_of_that_name() -> None:
    corpora = {
        "jsut": {"root": "x", "layout": "jsut"},
        "jsss": {"root": "x", "layout": "jsss"},
    }
    pairs = [{"source": "jsut", "target": "jsss"}]

    made = directions(from_mapping(DatasetConfig, {"corpora": corpora, "pairs": pairs}, "test"))

    assert made == [("jsut", "jsss")]


# ---------------------------------------------------------------- chosen targets


def test_each_source_gets_as_many_targets_as_asked_for() -> None:
    made = ways({"source": "jvs", "target": "jvs", "targets": 4})

    assert Counter(source for source, _ in made) == {f"jvs{n:03d}": 4 for n in range(1, 101)}
    assert all(source != target for source, target in made)
    assert len(set(made)) == 400
    assert len(ways({"source": "all", "target": "all", "targets": 9})) == 12  # all there are


def test_the_choice_is_the_lowest_hashes_in_every_release() -> None:
    def rank(source: str, target: str, salt: str) -> str:
        return hashlib.sha256(f"{salt}/{source}>{target}".encode()).hexdigest()

    for salt in ("", "2"):
        made = ways({"source": "jvs", "target": "jvs", "targets": 4, "salt": salt})
        for source in ("jvs001", "jvs050"):
            others = [f"jvs{n:03d}" for n in range(1, 101) if f"jvs{n:03d}" != source]
            lowest = sorted(others, key=lambda name, s=source, x=salt: rank(s, name, x))[:4]
            assert {target for a, target in made if a == source} == set(lowest)


def test_another_salt_is_another_choice_and_both_adds_the_way_back() -> None:
    pairs = {"source": "jvs", "target": "jvs", "targets": 4}
    first, second = ways(pairs), ways({**pairs, "salt": "second"})

    assert len(set(first) & set(second)) < 50
    back = ways({**pairs, "both": True})
    assert set(back) == set(first) | {(target, source) for source, target in first}


names = st.lists(st.sampled_from("ABCDEFGHIJKLMN"), min_size=3, max_size=12, unique=True)


@given(names, st.integers(1, 4))
def test_a_speaker_less_moves_one_choice_of_those_who_had_it_and_no_other(
    speakers: list[str], count: int
) -> None:
    pairs = {"source": "all", "target": "all", "targets": count}
    gone, *left = speakers

    before, after = ways(pairs, speakers=speakers), ways(pairs, speakers=left)

    for source in left:
        had = {target for a, target in before if a == source}
        has = {target for a, target in after if a == source}
        assert had - has <= {gone}
        assert len(has - had) <= 1
        assert len(has) == min(count, len(left) - 1)


@given(names, st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_count(speakers: list[str], random: Any) -> None:
    turned = list(speakers)
    random.shuffle(turned)
    pairs = {"source": "all", "target": "all", "targets": 2}

    assert set(ways(pairs, speakers=speakers)) == set(ways(pairs, speakers=turned))


# --------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ({"source": "A", "target": "K"}, "pairs name speaker 'K', which no corpus has; known"),
        ({"source": "A", "target": "jvs01"}, "did you mean jvs091 or"),
        ({"source": ["A", "jvss"], "target": "B"}, "did you mean jvs or"),
        ({"source": ["A"], "target": ["A"]}, "pair nobody; name two different speakers"),
    ],
)
def test_names_that_lead_nowhere_are_refused(pair: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting) as caught:
        ways(pair)

    assert said in str(caught.value)

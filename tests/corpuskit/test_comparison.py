"""Columns compared at once find what a comparison pair by pair finds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as some

from corpuskit import comparison
from corpuskit.diff import diff_versions
from corpuskit.totals import silent_seconds, speech_seconds
from corpuskit.versions import Pair, Side
from handmade import FRAME, REDUCTION, even_durations, pair, version

SENTENCES = ("a", "b", "c", "d", "e")

spans = some.sampled_from([(), ((10, 20),), ((10, 21),), ((9, 19),), ((10, 20), (50, 60))])
sides = some.fixed_dictionaries(
    {"silences": spans, "phrases": some.sampled_from([(40,), (20, 20), (19, 21), (10, 10, 20)])},
    optional={
        "object": some.sampled_from(["one", "other"]),
        "samples": some.sampled_from([(1600, 14400), (1760, 14560), (1600, 14300)]),
    },
)
pairs = some.fixed_dictionaries(
    {"source": sides, "target": sides},
    optional={
        "split": some.sampled_from(["train", "dev"]),
        "breaks": some.sampled_from([(0, 0), (1, 0), (1, 1)]),
        "merged": some.integers(0, 1),
    },
)
corpora = some.dictionaries(some.sampled_from(SENTENCES), pairs, min_size=1)


def starts(side: Side) -> list[int]:
    """Frames of the recording at which phrases after the first begin."""
    reached, found = side.frames[0], []
    for length in side.phrases[:-1]:
        reached += length * REDUCTION
        found.append(reached)
    return found


def moved(side: Side) -> list[tuple[int, int]]:
    return [(a + side.frames[0], b + side.frames[0]) for a, b in side.silences]


def told(old: Pair, new: Pair) -> list[str]:
    """The aspects in which two pairs differ, the slow way (audio and tiers never do here)."""
    both = [(old.source, new.source), (old.target, new.target)]
    found = {
        "features": any(a.object != b.object for a, b in both),
        "trim": any(a.samples != b.samples for a, b in both),
        "silence": any(moved(a) != moved(b) for a, b in both),
        "phrases": (old.breaks, old.merged) != (new.breaks, new.merged)
        or any(starts(a) != starts(b) for a, b in both),
        "durations": even_durations(old) != even_durations(new),
        "split": old.split != new.split,
    }
    return [name for name, differs in found.items() if differs]


def summed(one: Pair, quantity: Any) -> float:
    return round(quantity(one.source) + quantity(one.target), 6)


@pytest.mark.parametrize("block", [1, 2, 8192])
@limits(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=corpora, other=corpora)
def test_every_change_is_found_and_measured(
    monkeypatch: pytest.MonkeyPatch, block: int, one: dict[str, Any], other: dict[str, Any]
) -> None:
    monkeypatch.setattr(comparison, "_BLOCK", block)
    with tempfile.TemporaryDirectory() as folder:
        made = [
            version(
                Path(folder),
                f"N2C_{number}",
                [pair(name, **each) for name, each in corpus.items()],
            )
            for number, corpus in ((2, one), (4, other))
        ]
        old, new = ({each.id: each for each in each_version.pairs} for each_version in made)

        found = diff_versions(*made)

    assert found.added == tuple(sorted(new.keys() - old.keys()))
    assert found.removed == tuple(sorted(old.keys() - new.keys()))
    expected = {
        name: tuple(aspects)
        for name in old.keys() & new.keys()
        if (aspects := told(old[name], new[name]))
    }
    assert {change.pair: change.aspects for change in found.changed} == expected
    assert found.unchanged == len(old.keys() & new.keys()) - len(expected)
    assert list(found.changed) == sorted(found.changed, key=lambda c: (-c.size, c.pair))
    assert found.changed[:2] == tuple(found.changed)[:2]
    for change in found.changed:
        for pairs_of, when in ((old, "before"), (new, "after")):
            each = pairs_of[change.pair]
            assert getattr(change.speech, when) == summed(
                each, lambda side: speech_seconds(side, FRAME)
            )
            assert getattr(change.silent, when) == summed(
                each, lambda side: silent_seconds(side, FRAME)
            )
            assert getattr(change.trimmed, when) == summed(
                each, lambda side: side.head_seconds + side.tail_seconds
            )
            assert getattr(change.phrases, when) == len(each.target.phrases)
            assert getattr(change.target_frames, when) == sum(each.target.phrases)

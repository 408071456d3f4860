"""Totals: versions made by hand, counted by hand; and sums that must close whatever is in them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.totals import silent_seconds, speech_seconds, totals_of
from corpuskit.versions import Pair, SetAside
from handmade import FRAME, RATE, aside, pair, recording, settings, side


def test_every_number_of_a_small_version() -> None:
    pairs = [
        pair(
            "a",
            breaks=(2, 1),
            source={"silences": ((10, 20), (50, 60)), "phrases": (20, 20)},
            target={"silences": ((30, 45),), "phrases": (15, 25)},
            merged=1,
        ),
        pair("b", split="dev", target={"samples": (0, 16000), "frames": (0, 101)}),
        pair("c", split="eval", source={"length": 32000, "samples": (8000, 24000)}),
    ]
    recordings = [recording(each) for p in pairs for each in (p.source, p.target)]
    recordings[0] = dataclasses.replace(recordings[0], note="was renamed")
    recordings += [aside("N", "d", "has no partner"), aside("N", "e", "has no partner")]
    recordings += [aside("C", "f", "is an empty file")]
    reasons = [SetAside(pair="N>C/g", reason="source has no voiced frame")]

    totals = totals_of(pairs, recordings, reasons, settings())

    assert totals == {
        "recordings": {
            "found": 9,
            "used": 6,
            "set_aside": {"has no partner": 2, "is an empty file": 1},
            "corrected": {"was renamed": 1},
        },
        "pairs": {"candidates": 4, "used": 3, "set_aside": {"source has no voiced frame": 1}},
        "splits": {
            "train": {"pairs": 1, "sentences": 1},
            "dev": {"pairs": 1, "sentences": 1},
            "eval": {"pairs": 1, "sentences": 1},
        },
        "source": {
            "seconds": 4.0,  # 1 + 1 + 2
            "head_seconds": 0.7,  # 0.1 + 0.1 + 0.5
            "tail_seconds": 0.7,
            "kept_seconds": 2.6,  # 0.8 + 0.8 + 1.0
            "silent_seconds": 0.2,  # two silences of 10 frames
            "speech_seconds": 2.4,  # 80 + 80 + 100 frames, less 20
            "silences": 2,
            "frames": 260,
        },
        "target": {
            "seconds": 3.0,
            "head_seconds": 0.2,
            "tail_seconds": 0.2,
            "kept_seconds": 2.6,
            "silent_seconds": 0.15,
            "speech_seconds": 2.46,  # 80 + 101 + 80 frames, less 15
            "silences": 1,
            "frames": 261,
        },
        "phrases": {
            "per_utterance": pytest.approx(4 / 3, abs=1e-6),
            "pairs_without_break": 2,
            "pairs_that_disagree": 1,
            "merged": 1,
        },
    }


def test_a_sentence_in_many_pairs_is_one_sentence() -> None:
    both_ways = [pair("a"), pair("b"), pair("a", id="C>N/a")]

    totals = totals_of(both_ways, [], [], settings())

    assert totals["splits"]["train"] == {"pairs": 3, "sentences": 2}


def test_frames_are_told_in_the_seconds_of_their_own_grid() -> None:
    coarse = settings("features.hop_length=320")
    one = pair("a", source={"silences": ((0, 10),)})

    assert totals_of([one], [], [], settings())["source"]["silent_seconds"] == 0.1
    assert totals_of([one], [], [], coarse)["source"]["silent_seconds"] == 0.2


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    def one() -> dict[str, object]:
        start = draw(st.integers(0, RATE - 320))
        stop = draw(st.integers(start + 320, RATE))
        frames = -(-stop // 160) - -(-start // 160)
        edges = sorted(draw(st.lists(st.integers(0, frames), unique=True, max_size=6)))
        return {
            "samples": (start, stop),
            "silences": tuple(zip(edges[::2], edges[1::2], strict=False)),
        }

    return pair(
        draw(st.text("abc", min_size=1, max_size=3)),
        split=draw(st.sampled_from(["train", "dev", "eval"])),
        source=one(),
        target=one(),
    )


reasons = st.sampled_from(["has no partner", "is an empty file", "is truncated"])


@given(st.lists(pairs(), min_size=1, max_size=6), st.lists(reasons), st.lists(reasons))
def test_the_states_and_the_seconds_add_up(
    made: list[Pair], not_recorded: list[str], not_paired: list[str]
) -> None:
    recordings = [recording(each) for p in made for each in (p.source, p.target)]
    recordings += [aside("N", f"r{k}", reason) for k, reason in enumerate(not_recorded)]
    unused = [SetAside(pair=f"N>C/p{k}", reason=reason) for k, reason in enumerate(not_paired)]

    totals = totals_of(made, recordings, unused, settings())

    for what, all_of_them in (("recordings", "found"), ("pairs", "candidates")):
        counts = totals[what]
        assert counts[all_of_them] == counts["used"] + sum(counts["set_aside"].values())
    assert totals["recordings"]["used"] == 2 * len(made)
    assert sum(split["pairs"] for split in totals["splits"].values()) == len(made)
    for name in ("source", "target"):
        sums = totals[name]
        parts = sums["head_seconds"] + sums["kept_seconds"] + sums["tail_seconds"]
        assert parts == pytest.approx(sums["seconds"], abs=1e-5)
        framed = sums["silent_seconds"] + sums["speech_seconds"]
        assert framed == pytest.approx(sums["frames"] * FRAME, abs=1e-5)


def test_speech_is_what_is_kept_and_not_silent() -> None:
    one = side("N", "a", silences=((0, 5), (70, 80)))

    assert silent_seconds(one, FRAME) == pytest.approx(0.15)
    assert speech_seconds(one, FRAME) == pytest.approx(0.65)
    assert one.head_seconds == pytest.approx(0.1)
    assert one.tail_seconds == pytest.approx(0.1)
    assert one.kept_seconds == pytest.approx(0.8)

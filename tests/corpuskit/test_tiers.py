"""Segmentations as tiers and back: identical to the sample, through this code and the library's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import textgrid
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.audio import Sound
from corpuskit.config import SilenceConfig
from corpuskit.errors import BadLabels
from corpuskit.labels import Phone
from corpuskit.silence import Segmentation, analyse, level_curve
from corpuskit.textgrids import Interval, TextGrid, Tier, parse, read_textgrid, written
from corpuskit.tiers import HandTiers, segmentation_of, textgrid_of, tiers_digest

RATES = [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000]
PLAIN = Segmentation(
    start=1600, stop=14400, silences=((4000, 4800), (8000, 12000)), breaks=((8000, 12000),)
)


def rows(grid: TextGrid, name: str) -> list[tuple[float, float, str]]:
    tier = next(tier for tier in grid.tiers if tier.name == name)
    return [(each.begin, each.end, each.text) for each in tier.intervals]


def replaced(grid: TextGrid, name: str, intervals: list[tuple[float, float, str]]) -> TextGrid:
    """The grid with other intervals in one tier."""
    tiers = tuple(
        Tier(
            name=name,
            intervals=tuple(Interval(begin=a, end=b, text=t, line=7) for a, b, t in intervals),
        )
        if tier.name == name
        else tier
        for tier in grid.tiers
    )
    return TextGrid(begin=grid.begin, end=grid.end, tiers=tiers)


def test_tiers_say_what_was_decided() -> None:
    grid = textgrid_of(PLAIN, 16000, 16000, [Phone(begin=2 * 10**6, end=3 * 10**6, name="a")])
    assert [tier.name for tier in grid.tiers] == ["speech", "phrases", "cut", "phones"]
    assert rows(grid, "cut") == [(0, 0.1, "head"), (0.1, 0.9, "kept"), (0.9, 1, "tail")]
    assert rows(grid, "speech") == [
        (0, 0.1, ""),
        (0.1, 0.25, "speech"),
        (0.25, 0.3, "silence"),
        (0.3, 0.5, "speech"),
        (0.5, 0.75, "silence"),
        (0.75, 0.9, "speech"),
        (0.9, 1, ""),
    ]
    assert rows(grid, "phrases") == [
        (0, 0.1, ""),
        (0.1, 0.5, "phrase"),
        (0.5, 0.75, "break"),
        (0.75, 0.9, "phrase"),
        (0.9, 1, ""),
    ]
    assert rows(grid, "phones") == [(0, 0.2, ""), (0.2, 0.3, "a"), (0.3, 1, "")]


@st.composite
def segmentations(draw: st.DrawFn) -> tuple[Segmentation, int]:
    """A segmentation of a recording of up to some minutes, and the recording's length."""
    edges = draw(st.lists(st.integers(0, 10**7), min_size=8, max_size=16, unique=True).map(sorted))
    start, stop, samples = edges[0], edges[-2], edges[-1]

    def spans() -> tuple[tuple[int, int], ...]:
        inner = sorted(draw(st.sets(st.sampled_from(edges[:-1]))))
        return tuple(zip(inner[0::2], inner[1::2], strict=False))

    return Segmentation(start=start, stop=stop, silences=spans(), breaks=spans()), samples


@given(segmentations(), st.sampled_from(RATES))
def test_every_segmentation_returns_to_the_sample(
    made: tuple[Segmentation, int], rate: int
) -> None:
    segmentation, samples = made
    grid = parse(written(textgrid_of(segmentation, samples, rate)).decode(), "a")
    assert segmentation_of(grid, samples, rate) == segmentation


@given(st.integers(0, 2**32), st.sampled_from([8000, 11025, 22050]), st.integers(50, 4000))
def test_what_thresholds_decide_returns_to_the_sample(seed: int, rate: int, length: int) -> None:
    """Whatever ends the millisecond grid has: a cut or a silence may end a few samples early."""
    noise = np.random.default_rng(seed)
    loud = np.repeat(noise.choice([0.0, 1e-4, 0.3], size=40), length // 10 + 1)
    samples = noise.standard_normal(len(loud)) * loud
    curve = level_curve(Sound(samples=samples, rate=rate, channels=1, subtype="PCM_16"))
    decided = analyse(curve, SilenceConfig(thresh=-50, min_len=5, min_silence_len=20))
    if not decided.empty:
        grid = parse(written(textgrid_of(decided, len(samples), rate)).decode(), "a")
        assert segmentation_of(grid, len(samples), rate) == decided


def edited(tmp_path: Path, seconds: float) -> TextGrid:
    """PLAIN with its first silence ending elsewhere, edited with the library."""
    path = tmp_path / "a.TextGrid"
    path.write_bytes(written(textgrid_of(PLAIN, 16000, 16000)))
    grid = textgrid.TextGrid()
    grid.read(str(path), round_digits=12)
    speech = grid.getFirst("speech")
    speech[2].maxTime = speech[3].minTime = seconds
    grid.write(str(path))
    return read_textgrid(path)


@pytest.mark.parametrize(("seconds", "sample"), [(0.31, 4960), (0.310031, 4960), (0.31004, 4961)])
def test_a_boundary_moved_by_hand_goes_to_the_nearest_sample(
    tmp_path: Path, seconds: float, sample: int
) -> None:
    decided = segmentation_of(edited(tmp_path, seconds), 16000, 16000)
    assert decided.silences == ((4000, sample), (8000, 12000))
    assert (decided.start, decided.stop, decided.breaks) == (1600, 14400, PLAIN.breaks)


def decided_by(name: str, intervals: list[tuple[float, float, str]]) -> Segmentation:
    return segmentation_of(
        replaced(textgrid_of(PLAIN, 16000, 16000), name, intervals), 16000, 16000
    )


def test_silences_that_touch_are_one() -> None:
    given = [(0.2, 0.3, "silence"), (0.3, 0.4, " Silence "), (0.4, 1.0, "")]
    assert decided_by("speech", given).silences == ((3200, 6400),)


def test_what_lies_outside_the_kept_part_is_not_looked_at() -> None:
    given = [(0.0, 0.2, "silence"), (0.2, 0.8, "speech"), (0.95, 1.0, "silence")]
    assert decided_by("speech", given).silences == ((1600, 3200),)


def test_the_cut_is_moved_by_its_own_tier_alone() -> None:
    moved = decided_by("cut", [(0.0, 0.28, "head"), (0.28, 1.0, "kept")])
    assert (moved.start, moved.stop) == (4480, 16000)
    assert moved.silences == ((4480, 4800), (8000, 12000))


@pytest.mark.parametrize(
    ("name", "intervals", "told"),
    [
        ("cut", [(0.0, 1.0, "head")], "has 0 parts labelled 'kept'"),
        ("cut", [(0.0, 0.2, "kept"), (0.2, 0.3, ""), (0.3, 1.0, "kept")], "has 2 parts labelled"),
        ("cut", [(0.0, 0.5, "kept"), (0.5, 1.0, "head")], "'head' on the wrong side"),
        ("cut", [(0.0, 0.5, "tail"), (0.5, 1.0, "kept")], "'tail' on the wrong side"),
        ("speech", [(0.0, 1.0, "silnce")], "line 7: 'silnce' is no label of tier 'speech'"),
        ("phrases", [(0.0, 1.0, "silence")], "'silence' is no label of tier 'phrases'"),
        ("speech", [(0.0, 1.2, "silence")], "line 7: .* outside the recording"),
        ("speech", [(-0.5, 1.0, "silence")], "line 7: .* outside the recording"),
    ],
)
def test_what_contradicts_itself_is_refused(
    name: str, intervals: list[tuple[float, float, str]], told: str
) -> None:
    with pytest.raises(BadLabels, match=told):
        decided_by(name, intervals)


@pytest.mark.parametrize("samples", [15900, 16100, 8000, 32000])
def test_another_recordings_length_is_refused(samples: int) -> None:
    with pytest.raises(BadLabels, match=r"goes from 0 to 1\.0000 s, the recording from 0 to"):
        segmentation_of(textgrid_of(PLAIN, 16000, 16000), samples, 16000)


def test_a_length_rounded_to_milliseconds_is_the_recordings() -> None:
    whole = Segmentation(start=0, stop=16005, silences=((16000, 16005),), breaks=())
    grid = textgrid_of(whole, 16005, 16000)
    rounded = TextGrid(
        begin=0.0,
        end=round(grid.end, 3),
        tiers=tuple(
            Tier(
                name=tier.name,
                intervals=tuple(
                    Interval(begin=round(e.begin, 3), end=round(e.end, 3), text=e.text)
                    for e in tier.intervals
                ),
            )
            for tier in grid.tiers
        ),
    )
    assert segmentation_of(rounded, 16005, 16000).stop == 16005


def test_tiers_missing_twice_or_of_points_are_refused() -> None:
    grid = textgrid_of(PLAIN, 16000, 16000)
    speech, phrases, cut = grid.tiers
    points = Tier(name="cut", intervals=(), points=True)
    for tiers, told in [
        ((speech, phrases), "'cut' not .*'speech', 'phrases'"),
        ((speech, phrases, cut, cut), "'cut' twice"),
        ((speech, phrases, points), "'cut' as points"),
        ((), "its tiers: none"),
    ]:
        with pytest.raises(BadLabels, match=told):
            segmentation_of(TextGrid(begin=0.0, end=1.0, tiers=tiers), 16000, 16000)


def test_other_tiers_are_left_alone() -> None:
    grid = textgrid_of(PLAIN, 16000, 16000)
    notes = Tier(name="my notes", intervals=(Interval(begin=0.0, end=1.0, text="loud breath"),))
    more = TextGrid(begin=0.0, end=1.0, tiers=(notes, *grid.tiers))
    assert segmentation_of(more, 16000, 16000) == PLAIN


def test_the_digest_is_of_every_decision() -> None:
    others = [
        Segmentation(start=1601, stop=14400, silences=PLAIN.silences, breaks=PLAIN.breaks),
        Segmentation(start=1600, stop=14401, silences=PLAIN.silences, breaks=PLAIN.breaks),
        Segmentation(start=1600, stop=14400, silences=PLAIN.silences[1:], breaks=PLAIN.breaks),
        Segmentation(start=1600, stop=14400, silences=PLAIN.silences, breaks=()),
    ]
    digests = {tiers_digest(each, 16000, 16000) for each in [PLAIN, *others]}
    digests |= {tiers_digest(PLAIN, 16001, 16000), tiers_digest(PLAIN, 16000, 8000)}
    assert len(digests) == 7
    hand = HandTiers.of("N/a", PLAIN, 16000, 16000)
    assert (hand.segmentation, hand.digest) == (PLAIN, tiers_digest(PLAIN, 16000, 16000))


@given(st.data())
def test_damaged_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever byte is lost or changed: a decision within the recording, or a named refusal."""
    path = tmp_path_factory.mktemp("damaged") / "a.TextGrid"
    whole = written(textgrid_of(PLAIN, 16000, 16000))
    at = data.draw(st.integers(0, len(whole) - 1))
    gone = data.draw(st.integers(0, 40))
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=6)) + whole[at + gone :])
    try:
        decided = segmentation_of(read_textgrid(path), 16000, 16000)
    except BadLabels:
        return
    assert 0 <= decided.start < decided.stop <= 16000
    for begin, end in (*decided.silences, *decided.breaks):
        assert decided.start <= begin < end <= decided.stop

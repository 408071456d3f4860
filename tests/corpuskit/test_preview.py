"""Previews: measured noise and speech are the true ones, cuts are a build's, advice is sound."""

from __future__ import annotations

import dataclasses
import itertools
import json
import operator
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

import building
import corpuskit.preview.curves
from corpuskit.audio import Sound, decode
from corpuskit.errors import BadSetting
from corpuskit.levels import Levels, Profile, levels_of, profile, window_levels
from corpuskit.pages.preview_page import preview_page, write_preview
from corpuskit.preview.recommend import recommend
from corpuskit.preview.survey import Note, Previewed, Progress, Request, preview
from corpuskit.preview.words import command, findings, voices_of
from corpuskit.report.page import render
from corpuskit.silence import level_curve
from corpuskit.wording.preview import previewed
from pages import check_page, chromium, console_of, sounds
from synthetic import Voice, level_of, noise, sentence, speak, write_pair_corpus

RATE = 8000
ROOM = Voice(f0=120, level=-22.0, floor=-58.0, rate=RATE)
STUDIO = Voice(f0=220, level=-18.0, floor=None, rate=RATE)


def sound(samples: np.ndarray, rate: int = RATE) -> Sound:
    return Sound(samples=samples.astype(np.float64), rate=rate, channels=1, subtype="PCM_16")


def spoken(voice: Voice, count: int = 8, pause: float = 0.3) -> Levels:
    """The levels of some sentences of a voice."""
    curves = (
        level_curve(sound(speak(sentence(k, pause=pause), voice, seed=k).samples / 32768))
        for k in range(count)
    )
    return reduce(operator.add, map(levels_of, curves))


def known(levels: Levels) -> Profile:
    found = profile(levels)
    assert found is not None
    return found


# -------------------------------------------------------------------------- levels


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_window_levels_are_the_rms_of_each_window(rate: int) -> None:
    samples = noise(rate, -30.0, 1) * np.linspace(0, 1, rate)

    levels, zero = window_levels(level_curve(sound(samples, rate)))

    edges = [int(50 * k * rate / 1000) for k in range(1, 20)]
    slow = [10 * np.log10(np.mean(part**2)) for part in np.split(samples, edges)]
    assert np.allclose(levels, slow, atol=1e-6)
    assert not zero.any()


def test_digital_zero_has_no_level_even_after_loud_speech() -> None:
    samples = np.concatenate([noise(RATE, -3.0, 1), np.zeros(RATE // 2)])

    levels, zero = window_levels(level_curve(sound(samples)))

    assert np.isneginf(levels[20:]).all()
    assert zero.tolist() == [0.0] * 20 + [1.0] * 10


def test_windows_on_the_edge_of_digital_zero_are_not_taken_for_quiet_speech() -> None:
    counted = spoken(STUDIO)

    quietest = -120 + 0.5 * int(np.flatnonzero(counted.all)[0])
    assert quietest > STUDIO.level - 10
    assert counted.zero > 0


def test_levels_add_up() -> None:
    one, two = spoken(ROOM, 2), spoken(STUDIO, 3)

    both = one + two

    assert both.milliseconds == one.milliseconds + two.milliseconds
    assert both.all.sum() == one.all.sum() + two.all.sum()
    assert (one.head + two.head).tolist() == both.head.tolist()


# ------------------------------------------------------------------------- profiles


@settings(max_examples=12)
@given(floor=st.floats(-80, -45), level=st.floats(-24, -12))
def test_the_noise_floor_is_the_true_one(floor: float, level: float) -> None:
    found = known(spoken(dataclasses.replace(ROOM, floor=floor, level=level)))

    assert found.floor == pytest.approx(floor, abs=1.0)
    assert found.noise is not None
    assert floor - 0.5 <= found.noise < floor + 3
    assert found.speech == pytest.approx(level, abs=2.0)
    assert found.noise < found.quietest < level


def test_recordings_gated_to_digital_zero_have_no_noise_floor() -> None:
    found = known(spoken(STUDIO))

    silent = sum(b - a for k in range(8) for a, b in speak(sentence(k), STUDIO).truth.pauses)
    total = sum(speak(sentence(k), STUDIO).truth.length for k in range(8))
    assert (found.floor, found.noise) == (None, None)
    assert found.zero_share == pytest.approx(silent / total, abs=0.01)
    assert STUDIO.level - 15 < found.quietest < STUDIO.level


def test_trimmed_recordings_without_pauses_have_no_noise_floor() -> None:
    samples = [speak(sentence(k, phrases=1), ROOM, seed=k) for k in range(8)]
    cut = (s.samples[slice(*s.truth.phrases[0])] / 32768 for s in samples)
    levels = reduce(operator.add, (levels_of(level_curve(sound(part[200:-200]))) for part in cut))

    found = known(levels)

    assert (found.floor, found.zero_share) == (None, 0.0)


def test_breath_before_speech_is_found_in_the_head_alone() -> None:
    heads = []
    for k in range(8):
        breath = [
            noise(length, level, k) for length, level in ((2400, -60), (2400, -50), (1600, -60))
        ]
        heads.append(np.concatenate([*breath, speak(sentence(k), ROOM, seed=k).samples / 32768]))

    found = known(reduce(operator.add, (levels_of(level_curve(sound(s))) for s in heads)))

    assert found.head == pytest.approx(-50, abs=1.5)
    assert found.floor == pytest.approx(-58, abs=2.5)


def test_nothing_but_digital_zero_has_no_profile() -> None:
    assert profile(levels_of(level_curve(sound(np.zeros(RATE))))) is None


def test_the_share_of_speech_below_a_threshold_counts_speech_alone() -> None:
    counts = np.zeros(240, dtype=np.int64)
    counts[[100, 180, 200]] = 50, 25, 75  # -69.75 is noise, -29.75 and -19.75 are speech
    levels = Levels(all=counts, head=counts * 0, zero=0, milliseconds=1)
    voice = voice_of(noise=-69.75, quietest=-30.0, valley=-50.0)

    assert voice.below(levels, -60) == 0.0
    assert voice.below(levels, -25) == 0.25
    assert voice.below(levels, 0) == 1.0


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(1, 900), st.none() | st.floats(-110, 0)), min_size=1, max_size=6
    ),
    st.sampled_from([4000, 8000, 22050]),
)
def test_any_recording_has_levels_and_a_profile_that_holds_together(
    parts: list[tuple[int, float | None]], rate: int
) -> None:
    pieces = [
        np.zeros(length * 5) if level is None else noise(length * 5, level, seed)
        for seed, (length, level) in enumerate(parts)
    ]

    levels = levels_of(level_curve(sound(np.concatenate(pieces), rate)))
    found = profile(levels)

    assert 0 <= levels.head.sum() <= levels.all.sum() <= levels.milliseconds / 50
    assert (found is None) == (levels.all.sum() == 0)
    if found is not None:
        assert found.speech >= found.quietest - 30
        assert 0 <= found.below(levels, found.quietest) <= 1
        assert (found.noise is None) == (found.floor is None)
        if found.noise is not None and found.floor is not None:
            assert found.floor <= found.noise <= found.valley <= found.speech


# ------------------------------------------------------------------- recommendations


def voice_of(**changes: Any) -> Profile:
    """A voice in a quiet room: noise up to -60 dBFS, speech from -40 on."""
    values: dict[str, Any] = {
        "speech": -20.0,
        "quietest": -40.0,
        "valley": -50.0,
        "floor": -65.0,
        "noise": -60.0,
        "head": None,
        "zero_share": 0.0,
    }
    return Profile(**(values | changes))


def test_a_threshold_lies_above_all_noise_and_below_all_speech() -> None:
    best = recommend({"N": voice_of(noise=-52.0), "C": voice_of(quietest=-44.0)})

    assert best.fits
    assert (best.low, best.high) == (-52.0, -44.0)
    assert best.thresh == -49.0
    assert best.reasons == (
        "95 % of the noise lies below -52 dBFS (N's is the loudest) and the quietest speech (C) "
        "begins at -44 dBFS: -49 is between the two",
    )


def test_an_asked_threshold_that_fits_is_taken() -> None:
    voices = {"N": voice_of(), "C": voice_of()}

    assert recommend(voices).thresh == -57.0
    assert recommend(voices, [-100, -80, -60, -55, -40]).thresh == -55.0
    assert recommend(voices, [-100, -80, -60, -45, -40]).thresh == -57.0


def test_speech_wins_where_no_threshold_does_both() -> None:
    best = recommend({"N": voice_of(noise=-38.0, floor=-44.0), "C": voice_of(quietest=-55.0)})

    assert not best.fits
    assert best.thresh == -56.0
    assert "no threshold finds all noise and spares all speech" in best.reasons[0]
    assert best.reasons[0].endswith("-56 spares speech; of the pauses of N it finds hardly any")


def test_noise_floors_far_apart_are_told_with_what_each_would_take() -> None:
    voices = {"N": voice_of(floor=-54.0, noise=-50.0), "C": voice_of(floor=-75.0, noise=-70.0)}

    (finding,) = recommend(voices).findings

    assert finding.startswith("the noise floors are 21 dB apart (C -75, N -54 dBFS)")
    assert finding.endswith("each voice would do with C -67, N -47")


def test_a_noisy_voice_is_told() -> None:
    noisy = voice_of(speech=-20.0, floor=-42.0, noise=-38.0, quietest=-34.0)

    (finding,) = recommend({"N": noisy}).findings

    assert finding.startswith("the noise of N is less than 25 dB below the speech")
    assert recommend({"N": voice_of()}).findings == ()


def test_a_gated_side_beside_a_room_is_told() -> None:
    gated = voice_of(floor=None, noise=None, zero_share=0.3)

    best = recommend({"N": voice_of(), "C": gated})

    assert best.thresh == -57.0
    assert best.findings == (
        "the pauses of C are digitally zero, those of N are not: a threshold below -90.3 dBFS "
        "finds the first and none of the second",
    )


def test_gated_on_both_sides_takes_the_lowest_threshold_there_is() -> None:
    gated = voice_of(floor=None, noise=None, zero_share=0.3)

    best = recommend({"N": gated, "C": gated})

    assert (best.thresh, best.head_thresh) == (-90.0, -90.0)
    assert "the lowest keeps what fades out" in best.reasons[0]


def test_without_noise_or_zeros_it_says_that_nothing_will_be_found() -> None:
    trimmed = voice_of(floor=None, noise=None)

    assert "no threshold will find much" in recommend({"N": trimmed}).reasons[0]


def test_the_head_gets_a_threshold_of_its_own_when_breath_is_heard_there() -> None:
    best = recommend({"N": voice_of(head=-50.0), "C": voice_of()})

    assert (best.thresh, best.head_thresh) == (-57.0, -47.0)


def test_in_a_crowd_one_odd_voice_does_not_decide() -> None:
    crowd = {f"v{k:02}": voice_of(noise=-60.0 + k / 100) for k in range(20)}

    assert recommend(crowd | {"odd": voice_of(noise=-41.0)}).thresh == -57.0
    assert recommend({"v": voice_of(), "odd": voice_of(noise=-41.0)}).thresh > -45


@given(
    st.lists(
        st.tuples(st.none() | st.floats(-90, -20), st.floats(-70, -10)), min_size=1, max_size=6
    )
)
def test_a_recommendation_never_lies_above_the_quietest_speech(
    voices: list[tuple[float | None, float]],
) -> None:
    profiles = {
        f"v{k}": voice_of(noise=edge, floor=edge, quietest=speech)
        for k, (edge, speech) in enumerate(voices)
    }

    best = recommend(profiles, [-100.0, -80.0, -60.0, -50.0, -40.0])

    quietest = min(speech for _, speech in voices)
    assert best.thresh <= quietest
    assert best.thresh <= best.head_thresh <= max(best.thresh, quietest)
    if best.fits and best.low is not None:
        assert best.low < best.thresh


# ------------------------------------------------------------------------- previews


def corpus(root: Path, source: Voice = ROOM, target: Voice = STUDIO, count: int = 8) -> Path:
    write_pair_corpus(root, count, source=source, target=target)
    return root


def looked(
    tmp_path: Path, thresholds: Sequence[float] = (-100.0, -50.0), **changes: Any
) -> Previewed:
    request = Request(
        name="N2C",
        settings=building.settings(tmp_path / "corpus"),
        workspace=tmp_path / "ws",
        thresholds=tuple(thresholds),
        jobs=1,
    )
    last = list(preview(dataclasses.replace(request, **changes)))[-1]
    assert isinstance(last, Previewed)
    return last


def test_a_preview_tells_what_a_build_does(tmp_path: Path) -> None:
    config = building.settings(
        corpus(tmp_path / "corpus"), "silence.thresh=-50", "silence.min_silence_len=200"
    )

    (row,) = looked(tmp_path, [-50.0], settings=config, sample=None).rows
    totals = building.built(tmp_path / "ws", config).version.totals

    for side, of_preview in (("source", row.source), ("target", row.target)):
        for key in ("seconds", "head_seconds", "tail_seconds"):
            assert getattr(of_preview, key) == pytest.approx(totals[side][key], abs=1e-5)
        assert of_preview.silences == totals[side]["silences"]
        assert of_preview.silent_seconds == pytest.approx(totals[side]["silent_seconds"], rel=0.05)
    (phrases,) = row.phrases
    assert phrases.without_break == totals["phrases"]["pairs_without_break"] == 0
    assert phrases.target == {2: 8}


def test_a_threshold_that_finds_nothing_is_named(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", target=dataclasses.replace(STUDIO, floor=-62.0))

    nothing, sensible, words = looked(tmp_path, [-100.0, -50.0, -15.0]).rows

    assert nothing.warnings == (
        "finds nothing at all: no tail to cut, no silence inside",
        "is below the 16-bit floor (-90.31 dBFS): on 16-bit recordings it finds digital zero only",
    )
    assert (nothing.source.tail_seconds, nothing.target.silences) == (0.0, 0)
    assert sensible.warnings == ()
    assert "it would cut into speech" in words.warnings[0]
    assert words.warnings[1] == "leaves nothing of 16 recordings"
    assert words.source.speech_below > 0.5


def test_digital_zero_is_found_by_any_threshold(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus")

    row, _ = looked(tmp_path, [-100.0, -50.0]).rows

    assert (row.source.silences, row.target.silences) == (0, 8)
    assert [text.split(":")[0] for text in row.warnings] == [
        "is below the noise floor (N -58 dBFS)",
        "is below the 16-bit floor (-90.31 dBFS)",
    ]


def test_a_head_threshold_that_cuts_words_is_told(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus")

    told = findings(looked(tmp_path, head_thresh=-12.0))

    assert (
        "the head's threshold -12 is above the quietest speech of C, N: "
        "it would cut into the first words"
    ) in told
    assert not any("head" in text for text in findings(looked(tmp_path)))


def test_the_recommendation_is_tried_as_well(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus")

    found = looked(tmp_path, [-100.0, -80.0])

    best, row = found.recommended, found.recommended_row
    assert -58 < best.thresh < -50
    assert (row.thresh, row.head_thresh) == (best.thresh, best.head_thresh)
    assert row.warnings == ()
    assert row.source.silences == row.target.silences == 8


def test_minimal_silence_lengths_change_phrases_alone(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus")

    (row,) = looked(tmp_path, [-50.0], min_silence_lens=(500, 100)).rows

    assert [(p.min_silence_len, p.target) for p in row.phrases] == [(500, {1: 8}), (100, {2: 8})]
    assert [p.without_break for p in row.phrases] == [8, 0]


def test_the_sample_is_the_same_wherever_the_corpus_lies(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", count=12)
    corpus(tmp_path / "moved" / "corpus", count=12)

    here = looked(tmp_path, sample=5)
    there = looked(tmp_path / "moved", sample=5)
    more = looked(tmp_path, sample=7)

    drawn = [pair.id for pair in here.looked.pairs]
    assert len(drawn) == 5
    assert drawn == [pair.id for pair in there.looked.pairs]
    assert drawn == [pair.id for pair in more.looked.pairs][:5]
    assert drawn != sorted(drawn)
    assert here.rows == there.rows


def test_a_second_preview_opens_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus(tmp_path / "corpus")
    monkeypatch.setattr("corpuskit.recordings._SETTLED", 0)
    first = looked(tmp_path)

    def refuse(*_: Any) -> None:
        raise AssertionError("a recording was decoded again")

    monkeypatch.setattr(corpuskit.preview.curves, "opened", refuse)

    assert looked(tmp_path, [-100.0, -50.0]).rows == first.rows


def test_a_preview_uses_what_a_build_measured_and_freezes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = building.settings(corpus(tmp_path / "corpus"))
    monkeypatch.setattr("corpuskit.recordings._SETTLED", 0)
    building.built(tmp_path / "ws", config)
    before = building.contents(tmp_path / "ws")
    monkeypatch.setattr(corpuskit.preview.curves, "opened", None)

    looked(tmp_path)

    assert building.contents(tmp_path / "ws") == before
    assert not (tmp_path / "other" / "versions").exists()


def test_a_workspace_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus")
    (tmp_path / "ws").write_text("a file where the workspace would be")

    assert len(looked(tmp_path).looked.pairs) == 8


def test_recordings_that_cannot_be_used_are_left_out_and_named(tmp_path: Path) -> None:
    root = corpus(tmp_path / "corpus")
    (root / "source" / "utt_001.wav").write_bytes(b"")
    sf.write(root / "target" / "utt_002.wav", np.zeros(800, dtype=np.int16), RATE)

    found = looked(tmp_path)

    assert len(found.looked.pairs) == 6
    assert found.set_aside == {
        "N/utt_001": "is an empty file",
        "C/utt_002": "is silent from end to end (every sample is zero)",
    }
    assert any("set aside: 2 recordings" in line for line in previewed(found))


def test_a_preview_of_nothing_usable_says_why(tmp_path: Path) -> None:
    root = corpus(tmp_path / "corpus", count=2)
    for path in root.rglob("*.wav"):
        path.write_bytes(b"")

    with pytest.raises(BadSetting, match="4 x is an empty file"):
        looked(tmp_path)


def test_recordings_without_any_level_are_refused_by_name(tmp_path: Path) -> None:
    for side in ("source", "target"):
        path = tmp_path / "corpus" / side / "a.wav"
        path.parent.mkdir(parents=True)
        sf.write(path, np.array([0, 0, 1], dtype=np.int16), RATE)

    with pytest.raises(BadSetting, match="no level can be measured"):
        looked(tmp_path)


def test_progress_and_missing_folders_are_told_on_the_way(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", count=4)
    config = building.settings(
        tmp_path / "corpus", 'corpora.N2C.speakers={N="source",C="target",D="absent"}'
    )
    request = Request(
        name="N2C", settings=config, workspace=tmp_path / "ws", thresholds=(-50.0,), jobs=1
    )

    events = list(preview(request))

    assert [e.text for e in events if isinstance(e, Note)] == [
        f"speaker D: folder {tmp_path / 'corpus' / 'absent'} does not exist"
    ]
    done = [(e.done, e.total) for e in events if isinstance(e, Progress) and e.stage == "levels"]
    assert done == [(k, 8) for k in range(1, 9)]


def test_hand_corrections_are_told_to_be_left_out(tmp_path: Path) -> None:
    config = building.settings(corpus(tmp_path / "corpus", count=4), 'tiers.folder="grids"')
    request = Request(
        name="N2C", settings=config, workspace=tmp_path / "ws", thresholds=(-50.0,), jobs=1
    )

    notes = [event.text for event in preview(request) if isinstance(event, Note)]

    assert notes == ["tiers corrected by hand are not looked at: thresholds alone are shown"]


def test_of_many_voices_those_with_the_loudest_noise_are_shown(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus")
    found = looked(tmp_path)

    assert voices_of(found, 2) == ["C", "N"]
    assert voices_of(found, 1) == ["N"]  # C is gated


def test_on_real_recordings(arctic: Path, tmp_path: Path) -> None:
    config = building.settings(arctic, 'corpora.N2C.speakers={N="clb",C="slt"}', "audio.rate=16000")

    found = looked(tmp_path, [-100.0, -80.0, -60.0, -50.0, -40.0], settings=config)

    assert "finds nothing at all" in found.rows[0].warnings[0]
    assert [any("cut into speech" in w for w in row.warnings) for row in found.rows] == [
        False,
        False,
        False,
        False,
        True,
    ]
    assert -52 <= found.recommended.thresh <= -42
    floors = {name: voice.floor for name, voice in found.profiles.items()}
    assert floors == {"N": pytest.approx(-70, abs=3), "C": pytest.approx(-54, abs=2)}
    assert "dB apart" in found.recommended.findings[0]


@pytest.mark.parametrize("floor", [-50.0, -40.0, -32.0])
def test_noise_added_to_real_speech_is_found_at_its_level(arctic: Path, floor: float) -> None:
    def hissing(seed: int, path: Path) -> Levels:
        clean = decode(path)
        samples = clean.samples + noise(len(clean.samples), floor, seed)
        return levels_of(level_curve(sound(samples, clean.rate)))

    recordings = sorted((arctic / "clb").glob("*.wav"))[:15]

    found = known(reduce(operator.add, map(hissing, range(15), recordings)))

    assert found.floor == pytest.approx(floor, abs=1.0)
    assert found.floor < recommend({"clb": found}).thresh < found.quietest


# ----------------------------------------------------------------------------- page


def test_the_page_is_self_contained_and_plays_the_exact_samples(tmp_path: Path) -> None:
    root = corpus(tmp_path / "corpus", count=3)

    page = check_page(render(preview_page(found := looked(tmp_path))))

    heard = sounds(page)
    assert len(heard) == 6
    for number, pair in enumerate(found.looked.pairs):
        for side in ("source", "target"):
            samples, rate = heard[f"{side}-{number}"]
            truth, true_rate = sf.read(root / side / f"{pair.sentence}.wav", dtype="int16")
            assert rate == true_rate
            assert np.array_equal(samples, truth)


def test_kept_and_thrown_away_add_up_to_the_recording(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", count=2)

    page = check_page(render(preview_page(looked(tmp_path, [-50.0]))))

    for audio in page.all("audio"):
        name = audio.attributes["id"]
        length = len(sounds(page)[name][0]) / RATE
        for kept, cut in by_threshold(page, name):
            pieces = sorted([*kept, *cut])
            assert pieces[0][0] == 0
            assert pieces[-1][1] == pytest.approx(length, abs=1e-4)
            assert all(a[1] == pytest.approx(b[0]) for a, b in itertools.pairwise(pieces))


def by_threshold(page: Any, name: str) -> list[tuple[list[Any], list[Any]]]:
    """The spans of a recording's first two buttons (kept, cut off), threshold by threshold."""
    buttons = page.all("button", data_of=name)
    spans = [json.loads(button.attributes["data-spans"]) for button in buttons]
    assert len(spans) % 3 == 0
    return [(spans[k], spans[k + 1]) for k in range(0, len(spans), 3)]


def test_a_hostile_file_name_stays_text(tmp_path: Path) -> None:
    root = corpus(tmp_path / "corpus", count=1)
    name = "<img src=x onerror=alert(1)>\"'&声.wav"
    for side in ("source", "target"):
        (root / side / "utt_001.wav").rename(root / side / name)

    page = check_page(render(preview_page(looked(tmp_path))))

    assert name.removesuffix(".wav") in [heading.text for heading in page.all("h3")]
    assert page.all("img") == []


def test_recordings_of_high_rate_are_brought_down_to_keep_the_page_small(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", source=dataclasses.replace(ROOM, rate=48000), count=1)

    heard = sounds(check_page(render(preview_page(looked(tmp_path)))))

    assert {name: rate for name, (_, rate) in heard.items()} == {
        "source-0": 24000,
        "target-0": 8000,
    }


def test_the_page_leads_with_the_recommendation(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", count=2)
    found = looked(tmp_path)

    page = check_page(render(preview_page(found)))

    assert command(found) in page.all("p", class_="lead")[0].text
    assert command(found) in page.all("section")[0].text
    assert len(page.all("input")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("query", ["?theme=light", "?theme=dark&threshold=0"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_has_nothing_to_complain_about(tmp_path: Path, width: int, query: str) -> None:
    if chromium() is None:
        pytest.skip("Chromium is not here")
    corpus(tmp_path / "corpus", count=2)
    write_preview(tmp_path / "p.html", looked(tmp_path))

    assert console_of(tmp_path / "p.html", tmp_path / "profile", width=width, query=query) == []


# ---------------------------------------------------------------------- command line


def said(tmp_path: Path, *words: object) -> building.Said:
    toml = building.written_toml(tmp_path / "N2C.toml", tmp_path / "corpus")
    return building.corpuskit("preview", "--workspace", tmp_path / "ws", "--config", toml, *words)


def test_the_command_prints_tables_and_the_recommendation_last(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", count=4)

    answer = said(tmp_path, "--silence-thresh", "-100,-50", "--html", tmp_path / "p.html")

    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == "4 of 4 pairs of N2C"
    assert lines[-2] == "recommended: --silence-thresh -55 --head-thresh -55"
    assert lines[-1] == f"page: {tmp_path / 'p.html'}"
    assert answer.err == ""
    check_page((tmp_path / "p.html").read_text(encoding="utf-8"))


def test_json_holds_every_figure(tmp_path: Path) -> None:
    corpus(tmp_path / "corpus", count=4)

    thresholds = ("--silence-thresh", "-100", "--silence-thresh", "-50")
    answer = said(tmp_path, *thresholds, "--min-silence-len", "300", "--json")

    told = json.loads(answer.out)
    assert [row["thresh"] for row in told["thresholds"]] == [-100.0, -50.0]
    assert told["thresholds"][1]["phrases"][0]["target"] == {"2": 4}
    assert told["voices"]["C"]["floor"] is None
    assert told["recommended"]["thresh"] == told["recommended_does"]["thresh"]


def test_a_built_version_is_previewed_with_its_own_settings(tmp_path: Path) -> None:
    config = building.settings(corpus(tmp_path / "corpus", count=4), "silence.head_thresh=-33")
    building.built(tmp_path / "ws", config, "N2C_7")

    answer = building.corpuskit("preview", "N2C_7", "--workspace", tmp_path / "ws", "--json")

    rows = json.loads(answer.out)["thresholds"]
    assert [row["head_thresh"] for row in rows] == [-33.0] * 5


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--silence-thresh", "-50,loud"], "--silence-thresh: 'loud' is not a number"),
        (["--silence-thresh", "nan"], "--silence-thresh: 'nan' is not a number"),
        (["--silence-thresh=-inf"], "--silence-thresh: '-inf' is not a number"),
        (["--silence-thresh", ","], "--silence-thresh names no threshold"),
        (["--silence-thresh", "3"], "silence.thresh is 3.0 dBFS"),
        (["--head-thresh", "3"], "silence.head_thresh is 3.0 dBFS"),
        (["--min-silence-len", "0"], "silence.min_silence_len is 0 ms"),
        (["--sample", "0"], "--sample '0' is not a number of pairs"),
        (["--sample", "some"], "--sample 'some' is not a number of pairs"),
        (["--html", "/dev/null/p.html"], "cannot write /dev/null/p.html"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, words: list[str], problem: str) -> None:
    corpus(tmp_path / "corpus", count=2)

    answer = said(tmp_path, *words)

    assert answer.code == 2
    assert answer.err.startswith(f"error: {problem}")
    assert answer.err.count("\n") == 1


def test_a_name_or_a_definition_is_needed(tmp_path: Path) -> None:
    answer = building.corpuskit("preview", "--workspace", tmp_path / "ws")

    assert (answer.code, answer.out) == (2, "")
    assert "give a dataset's name" in answer.err


def test_level_of_the_true_noise_is_what_the_table_says(tmp_path: Path) -> None:
    root = corpus(tmp_path / "corpus", count=6)

    found = looked(tmp_path)

    heads = [decode(path).samples[:800] for path in sorted((root / "source").glob("*.wav"))]
    true = np.median([level_of((head * 32768).astype(np.int16)) for head in heads])
    assert found.profiles["N"].floor == pytest.approx(true, abs=0.75)

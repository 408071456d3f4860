"""The pages of differences and checks: the tool's own numbers, the very samples, and no harm."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from building import built, corpuskit, quick_corpus, settings
from corpuskit.audio import Sound
from corpuskit.checks import BetterPartner, Checked, Finding, Group, Lapse, Suspect, check
from corpuskit.diff import diff_versions
from corpuskit.pages import diff_page
from corpuskit.pages.check_page import check_page as page_of_check
from corpuskit.pages.diff_page import diff_page as page_of_diff
from corpuskit.pages.marks import marks_of, without
from corpuskit.pages.recordings import QUIETEST, Opener, levels_of
from corpuskit.report.page import render
from corpuskit.silence import level_curve
from corpuskit.versions import Version
from corpuskit.wording.diff import total_row
from handmade import pair, recording, side, version
from handmade import settings as by_hand
from pages import Node, check_page, chromium, console_of, sounds

STRICT, LOOSE = "silence.thresh=-50", "silence.thresh=-100"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs built twice, with one threshold changed."""
    root = tmp_path_factory.mktemp("pages")
    quick_corpus(root / "corpus")
    for name, thresh in (("N2C", LOOSE), ("N2C_2", STRICT)):
        built(
            root / "workspace",
            settings(root / "corpus", thresh, "silence.min_silence_len=100"),
            name,
        )
    return root


def opened(ground: Path) -> tuple[Version, Version]:
    from corpuskit.versions import open_version

    before, after = (open_version(ground / "workspace", name) for name in ("N2C", "N2C_2"))
    return before, after


def diffed(before: Version, after: Version) -> Node:
    return check_page(render(page_of_diff(before, after, diff_versions(before, after))))


def buttons(page: Node, words: str) -> dict[str, list[list[float]]]:
    """The spans of the excerpts whose label holds `words`, by the player they belong to."""
    return {
        node.attributes["data-of"]: json.loads(node.attributes["data-spans"])
        for node in page.all("button")
        if "data-of" in node.attributes and words in node.text
    }


def cells(page: Node) -> list[list[str]]:
    return [
        [cell.text for cell in row.below() if cell.tag in ("td", "th")] for row in page.all("tr")
    ]


# ------------------------------------------------------------------------ differences


def test_the_page_says_what_diff_says(ground: Path) -> None:
    before, after = opened(ground)
    found = diff_versions(before, after)

    page = diffed(before, after)

    assert page.all("p", class_="lead")[0].text == found.sentence
    rows = cells(page)
    for name, measure in found.totals.items():
        assert total_row(name, measure) in rows
    assert ["silence.thresh", "-100 dBFS", "-50 dBFS"] in rows
    marked = [row.all("th")[0].text for row in page.all("tr", class_="marked")]
    assert "silence.thresh" in marked
    assert "silence.head_thresh" not in marked
    for change in found.changed:
        assert change.pair in page.text


def test_players_hold_the_very_samples_of_both_sides(ground: Path) -> None:
    before, after = opened(ground)

    page = diffed(before, after)

    captions = [node.text for node in page.all("figcaption")]
    held = list(sounds(page).values())
    assert len(captions) == len(held) == 2 * len(before.pairs)
    for caption, (samples, rate) in zip(captions, held, strict=True):
        speaker, sentence = caption.split(" ")[0].split("/")
        folder = {"N": "source", "C": "target"}[speaker]
        expected, expected_rate = sf.read(
            ground / "corpus" / folder / f"{sentence}.wav", dtype="int16"
        )
        assert rate == expected_rate
        np.testing.assert_array_equal(samples, expected)


def speech_of(version: Version, name: str, step: float) -> np.ndarray:
    """Slow reference: for each moment of a recording whether a version counts it as speech."""
    mine = next(s for p in version.pairs for s in (p.source, p.target) if s.recording == name)
    hop = version.settings.features.hop_length / version.settings.audio.rate
    moments = np.arange(0, mine.length / mine.rate, step)
    speech = np.zeros(len(moments), dtype=bool)
    for k, moment in enumerate(moments):
        kept = mine.samples[0] <= moment * mine.rate < mine.samples[1]
        silent = any(
            (mine.frames[0] + a) * hop <= moment < (mine.frames[0] + b) * hop
            for a, b in mine.silences
        )
        speech[k] = kept and not silent
    return speech


def test_buttons_play_what_only_one_of_the_two_throws_away(ground: Path) -> None:
    before, after = opened(ground)

    page = diffed(before, after)

    only_after = buttons(page, "only N2C_2 throws away")
    assert only_after
    assert not buttons(page, "only N2C throws away")
    for figure in page.all("figure"):
        name = figure.all("figcaption")[0].text.split(" ")[0]
        player = figure.all("audio")[0].attributes["id"]
        one, other = (speech_of(each, name, 0.001) for each in (before, after))
        lost = (one & ~other).sum() * 0.001
        spans = only_after.get(player, [])
        # Parts too short to hear are left out of the buttons.
        assert sum(b - a for a, b in spans) == pytest.approx(lost, abs=0.006 * (1 + len(spans)))
        kept = buttons(page, "speech in N2C_2")[player]
        assert sum(b - a for a, b in kept) == pytest.approx(other.sum() * 0.001, abs=0.01)


def test_identical_versions_are_said_to_be_the_same(ground: Path) -> None:
    before, _ = opened(ground)

    page = diffed(before, before)

    assert page.all("p", class_="lead")[0].text == "nothing differs"
    assert "Their fingerprints are equal." in page.text
    assert not page.all("audio")


def test_versions_without_a_common_pair_are_compared_in_numbers(
    ground: Path, tmp_path: Path
) -> None:
    before, _ = opened(ground)
    other = version(tmp_path, "JSUT", [pair("x"), pair("y")], config=by_hand())

    page = diffed(before, other)

    assert "No pair is in both" in page.text
    assert not page.all("figure")
    assert "Only in JSUT: 2 pairs" in page.text


def test_without_the_audio_the_levels_are_drawn_and_it_is_said(
    ground: Path, tmp_path: Path
) -> None:
    shutil.copytree(ground / "workspace", tmp_path / "workspace")
    before, after = opened(tmp_path)
    gone = dataclasses.replace(before.settings.corpora["N2C"], root=str(tmp_path / "gone"))
    away = [
        dataclasses.replace(v, settings=dataclasses.replace(v.settings, corpora={"N2C": gone}))
        for v in (before, after)
    ]

    page = diffed(away[0], away[1])

    assert not page.all("audio")
    assert "Cannot be played: its audio is not on this machine." in page.text
    drawn = [svg.attributes["aria-label"] for svg in page.all("svg")]
    assert sum(label.startswith("Level of ") for label in drawn) == 2 * len(before.pairs)
    assert not any(label.startswith("Waveform of ") for label in drawn)


def test_a_file_that_changed_since_is_not_passed_off_for_what_was_measured(
    ground: Path, tmp_path: Path
) -> None:
    before, _ = opened(ground)
    shutil.copytree(ground / "corpus", tmp_path / "corpus")
    wrong = next((tmp_path / "corpus" / "source").glob("*.wav"))
    sf.write(wrong, np.full(800, 0.1), 8000)
    moved = dataclasses.replace(before.settings.corpora["N2C"], root=str(tmp_path / "corpus"))
    settings = dataclasses.replace(before.settings, corpora={"N2C": moved})

    away = dataclasses.replace(before, settings=settings)
    shown = Opener(away).open(away, f"N/{wrong.stem}")

    assert shown.sound is None
    assert shown.why == "its audio has changed since it was measured"
    assert shown.curve is not None


def test_other_audio_under_one_name_is_drawn_apart(tmp_path: Path) -> None:
    pairs = [pair("a")]
    before = version(tmp_path, "N2C", pairs)
    other = [
        recording(side("N", "a"), digest="other samples", levels="other levels"),
        recording(side("C", "a")),
    ]
    changed = [pair("a", source={"object": "other features"})]
    after = version(tmp_path, "N2C_2", changed, recordings=other)

    page = diffed(before, after)

    assert "The audio itself differs." in page.text
    captions = [node.text for node in page.all("figcaption")]
    assert captions[:2] == ["N/a (source, N2C), 1.00 s", "N/a (source, N2C_2), 1.00 s"]


def test_a_large_difference_makes_a_page_of_bounded_size(tmp_path: Path) -> None:
    many = [pair(f"s{k:04d}") for k in range(1500)]
    silent = [
        pair(f"s{k:04d}", source={"silences": ((10, 20),)}, target={"samples": (3200, 14400)})
        for k in range(1500)
    ]
    before = version(tmp_path, "N2C", many)
    after = version(tmp_path, "N2C_2", silent)

    html = render(page_of_diff(before, after, diff_versions(before, after)))

    page = check_page(html)
    assert len(html) < 400_000
    assert len(page.all("figure")) == 2 * diff_page.FIGURES
    assert f"and {1500 - diff_page.LISTED:,} more" in page.text


def test_the_pages_recordings_are_limited_in_all(ground: Path) -> None:
    before, _ = opened(ground)
    names = [p.source.recording for p in before.pairs]
    length = before.pairs[0].source.length

    opener = Opener(before, most=length)
    shown = [opener.open(before, name) for name in names]

    assert shown[0].sound is not None
    assert shown[1].sound is None
    assert shown[1].why == "the page would grow too large"


def test_a_hostile_name_stays_text(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>\"'&"
    before = version(tmp_path, "N2C", [pair(evil)])
    after = version(tmp_path, "N2C_2", [pair(evil, target={"samples": (3200, 14400)})])

    page = diffed(before, after)

    assert not page.all("img")
    assert f"N>C/{evil}" in page.text


# ------------------------------------------------------------------------------ marks


def test_decisions_become_seconds_of_the_recording() -> None:
    mine = side("N", "a", silences=((10, 20), (75, 80)), phrases=(15, 25))

    marks = marks_of(mine, by_hand())

    assert marks.cut == ((0.0, 0.1), (0.9, 1.0))
    assert np.array(marks.silent) == pytest.approx(np.array([(0.2, 0.3), (0.85, 0.9)]))
    assert np.array(marks.speech) == pytest.approx(np.array([(0.1, 0.2), (0.3, 0.85)]))
    assert marks.breaks == pytest.approx((0.1 + 15 * 2 * 0.01,))
    assert marks.thrown_away[0] == (0.0, 0.1)


span = st.tuples(st.integers(0, 40), st.integers(1, 15)).map(lambda s: (s[0], s[0] + s[1]))


@given(st.lists(span, max_size=5), st.lists(span, max_size=5))
def test_taking_spans_out_of_spans_is_a_difference_of_sets(
    spans: list[tuple[int, int]], taken: list[tuple[int, int]]
) -> None:
    apart: list[tuple[int, int]] = []
    for a, b in sorted(spans):  # spans of one version never overlap
        if not apart or a >= apart[-1][1]:
            apart.append((a, b))

    left = without(apart, taken)

    expected = {k for a, b in apart for k in range(a, b)} - {
        k for a, b in taken for k in range(a, b)
    }
    assert {k for a, b in left for k in range(int(a), int(b))} == expected
    assert all(b > a for a, b in left)


def test_levels_are_those_of_the_samples() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, 8000)
    samples[4000:] = 0.0
    curve = level_curve(Sound(samples=samples, rate=8000, channels=1, subtype="FLOAT"))

    seconds, levels = levels_of(curve)

    assert seconds[0] == pytest.approx(0.025)
    window = samples[:400]
    assert levels[0] == pytest.approx(10 * np.log10(np.mean(window**2)), abs=1e-6)
    assert levels[-1] == QUIETEST


# ------------------------------------------------------------------------------ checks


def suspicious(version: Version) -> Checked:
    """A check's outcome with one of everything."""
    first, second = version.pairs[:2]
    lapse = Lapse(side="target", start=0.4, stop=0.6, seconds=0.2)
    partner = BetterPartner(recording=second.target.recording, distance=0.5, own=1.0, tried=3)
    findings = (
        Finding(reason="partner", value=1.0, usual=0.5, deviations=13.9, partner=partner),
        Finding(reason="words", value=0.2, usual=0.05, deviations=5.0, place=lapse),
        Finding(reason="ratio", value=1.4, usual=0.9, deviations=6.0),
    )
    suspect = Suspect(
        pair=first.id,
        recordings=(first.source.recording, first.target.recording),
        suspicion=15.9,
        findings=findings,
    )
    return Checked(
        version=version.name,
        pairs=len(version.pairs),
        groups=(Group(source="N", target="C", pairs=4, judged=False),),
        suspects=(suspect,),
        culprits=(),
        reasons={"partner": 1, "words": 1, "ratio": 1},
        pauses_known=True,
    )


def test_a_suspect_pair_is_drawn_with_its_reasons_and_the_better_partner(ground: Path) -> None:
    _, after = opened(ground)

    page = check_page(render(page_of_check(after, suspicious(after))))

    lead = page.all("p", class_="lead")[0].text
    assert lead.startswith("Dataset N2C_2: 1 of 4 pairs is suspect (wrong partner 1, ")
    captions = [node.text.split(" s")[0] for node in page.all("figcaption")]
    assert [caption.split(",")[0] for caption in captions] == [
        "N/utt_001 (source)",
        "C/utt_001 (target)",
        "C/utt_002 (fits better)",
    ]
    assert "C/utt_002 fits far better (distance 0.50 against 1.00)" in page.text
    assert "too few pairs to know what is usual: N>C (4 pairs)" in page.text
    assert list(buttons(page, "around the mark").values()) == [
        [[pytest.approx(0.1), pytest.approx(0.9)]]
    ]


def test_a_check_without_suspects_says_so(ground: Path) -> None:
    _, after = opened(ground)
    *_, found = check(after, 1)
    assert isinstance(found, Checked)

    page = check_page(render(page_of_check(after, found)))

    assert "No pair is suspect" in page.text
    assert not page.all("audio")


# ------------------------------------------------------------------------ the commands


def test_the_commands_write_their_pages_and_say_the_same_as_without(
    ground: Path, tmp_path: Path
) -> None:
    where = ("--workspace", ground / "workspace")

    plain = corpuskit("diff", "N2C", "N2C_2", *where)
    paged = corpuskit("diff", "N2C", "N2C_2", *where, "--html", tmp_path / "d.html")
    checked = corpuskit("check", "N2C_2", *where, "--html", tmp_path / "c.html")

    assert (plain.code, plain.out) == (paged.code, paged.out)
    assert checked.code == 0
    for name in ("d.html", "c.html"):
        check_page((tmp_path / name).read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize(("width", "query"), [(1280, ""), (390, "?theme=dark")])
def test_a_browser_shows_the_pages_without_a_complaint(
    ground: Path, tmp_path: Path, width: int, query: str
) -> None:
    if chromium() is None:
        pytest.skip("Chromium is not here")
    where = ("--workspace", ground / "workspace")
    corpuskit("diff", "N2C", "N2C_2", *where, "--html", tmp_path / "d.html")
    corpuskit("check", "N2C_2", *where, "--html", tmp_path / "c.html")

    for name in ("d.html", "c.html"):
        assert console_of(tmp_path / name, tmp_path / "p", width=width, query=query) == []

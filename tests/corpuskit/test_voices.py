"""A voice's figures are those of its recordings, measured again without counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from building import built, corpuskit, quick_corpus, settings
from corpuskit.audio import decode
from corpuskit.levels import levels_of, profile
from corpuskit.silence import level_curve
from corpuskit.statistics import F0_BINS, F0_CENTRES, counted_f0
from corpuskit.versions import Version

QUARTER = 2 ** (1 / 96)  # half a bin: the centre is at most an eighth of a semitone away


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    place = tmp_path_factory.mktemp("voices")
    both = 'pairs=[{source="N", target="C", both=true}]'
    return built(place / "w", settings(quick_corpus(place / "corpus").root, both)).version


def test_every_voice_is_told_on_each_side(version: Version) -> None:
    told = [(each["speaker"], each["side"], each["pairs"]) for each in version.voices]

    assert told == [("C", "source", 4), ("N", "source", 4), ("C", "target", 4), ("N", "target", 4)]


@pytest.mark.parametrize(("speaker", "side"), [("N", "source"), ("N", "target"), ("C", "target")])
def test_the_figures_are_those_of_the_recordings(version: Version, speaker: str, side: str) -> None:
    voice = next(v for v in version.voices if (v["speaker"], v["side"]) == (speaker, side))
    sides = [getattr(p, side) for p in version.pairs if getattr(p, side).speaker == speaker]
    kept = [version.features(each).f0 for each in sides]
    voiced = np.concatenate([f0[f0 > 0] for f0 in kept])
    sounds = [version.sound(r) for r in version.recordings if r.speaker == speaker]
    levels = [levels_of(level_curve(sound)) for sound in sounds]
    expected = profile(levels[0] + levels[1] + levels[2] + levels[3])

    assert voice["recordings"] == len(sides) == 4
    assert voice["seconds"] == pytest.approx(sum(len(s.samples) / s.rate for s in sounds), abs=1e-5)
    assert voice["kept_seconds"] == pytest.approx(sum(s.kept_seconds for s in sides), abs=1e-5)
    assert voice["phrases"] == sum(len(each.phrases) for each in sides)
    for name, share in (("low", 5), ("median", 50), ("high", 95)):
        exact = np.percentile(voiced, share, method="inverted_cdf")
        assert voice["f0"][name] == pytest.approx(exact, rel=QUARTER - 1 + 1e-3)
    share = len(voiced) / sum(map(len, kept))
    assert voice["f0"]["voiced"] == pytest.approx(share, abs=1e-4)
    assert expected is not None
    assert voice["levels"]["speech"] == pytest.approx(expected.speech, abs=0.05)
    assert voice["levels"]["zero_share"] == pytest.approx(expected.zero_share, abs=1e-4)


def test_a_recording_of_several_pairs_is_counted_once(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "corpus").root
    (tmp_path / "corpus" / "third").mkdir()
    for path in (corpus / "target").glob("*.wav"):
        (corpus / "third" / path.name).write_bytes(path.read_bytes())
    three = 'corpora.N2C.speakers={N="source", C="target", D="third"}'
    ways = 'pairs=[{source="N", target=["C", "D"]}]'

    version = built(tmp_path / "w", settings(corpus, three, ways)).version

    source = version.voices[0]
    assert (source["pairs"], source["recordings"]) == (8, 4)
    assert source["seconds"] == pytest.approx(version.totals["source"]["seconds"] / 2, abs=1e-5)


def test_f0_is_counted_where_it_lies() -> None:
    tones = np.array([0.0, 50.1, 100.0, 100.0, 440.0, 1599.0, 20.0, 5000.0], dtype=np.float32)

    counts = counted_f0(tones)

    assert counts.sum() == 7
    for tone, many in ((100.0, 2), (440.0, 1)):
        place = int(np.abs(np.log(F0_CENTRES / tone)).argmin())
        assert counts[place - 1 : place + 2].sum() == many
    assert counts[0] == 2  # 50.1 Hz, and what is lower than all
    assert counts[F0_BINS - 1] == 2  # 1599 Hz, and what is higher


def test_show_tells_every_voice(version: Version) -> None:
    said = corpuskit("show", version.name, "--workspace", version.workspace)

    rows = [line.split() for line in said.out.splitlines() if line.startswith(("N ", "C "))]
    assert [row[:2] for row in rows] == [
        ["C", "source"],
        ["N", "source"],
        ["C", "target"],
        ["N", "target"],
    ]
    assert all("Hz" in row for row in rows)


def test_real_voices_have_their_own_pitch(arctic: Path, tmp_path: Path) -> None:
    for speaker in ("clb", "slt"):
        (tmp_path / "c" / speaker).mkdir(parents=True)
        for path in sorted((arctic / speaker).glob("*.wav"))[:3]:
            (tmp_path / "c" / speaker / path.name).write_bytes(path.read_bytes())
    speakers = 'corpora.N2C.speakers={clb="clb", slt="slt"}'
    config = settings(tmp_path / "c", speakers, 'pairs=[{source="clb", target="slt"}]')

    voices = built(tmp_path / "w", config).version.voices

    assert decode(next((tmp_path / "c" / "clb").iterdir())).rate == 16000
    for voice in voices:  # two women
        assert 140 < voice["f0"]["median"] < 230
        assert -30 < voice["levels"]["speech"] < -10

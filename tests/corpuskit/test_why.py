"""Causes of a difference, on recordings whose heads, pauses and tails are known.

The source has a room's noise of -58 dBFS in 0.15 s of head, one pause of 0.3 s or a little more,
and 0.2 s of tail; the target is digitally silent there. So `head_thresh` between -70 and -50
touches the source's head and nothing else, and `min_silence_len` only where phrases break.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from building import built, contents, corpuskit, quick_corpus, settings
from corpuskit.objects import Store
from corpuskit.versions import Version
from corpuskit.why import EFFECTS, Cause, Why, explain
from pages import check_page

COUNT = 4
HEAD = 0.15 * COUNT  # seconds of head noise


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_corpus(tmp_path_factory.mktemp("why") / "corpus", COUNT).root


def pair(tmp_path: Path, corpus: Path, before: list[str], after: list[str]) -> tuple[Version, ...]:
    return tuple(
        built(tmp_path / "w", settings(corpus, *changes), name).version
        for name, changes in (("N2C", before), ("N2C_2", after))
    )


def why(before: Version, after: Version, *, can_measure: bool = False) -> Why:
    last = list(explain(before, after, can_measure=can_measure, jobs=1))[-1]
    assert isinstance(last, Why)
    adds_up(last)
    return last


def adds_up(found: Why) -> None:
    """What is said of an effect is its total, whatever the causes are."""
    for name in EFFECTS:
        shares = [cause.effects[name] for cause in found.causes if cause.effects is not None]
        parts = [*shares, found.combination[name], found.unexamined_effects[name]]
        assert sum(parts) == pytest.approx(found.total[name], abs=1e-5), name


def cause(found: Why, name: str) -> Cause:
    return next(each for each in found.causes if each.name == name)


def nonzero(effects: object) -> dict[str, float]:
    assert isinstance(effects, dict)
    return {name: value for name, value in effects.items() if value}


def test_two_settings_with_effects_of_their_own_are_told_apart_exactly(
    tmp_path: Path, corpus: Path
) -> None:
    found = why(
        *pair(
            tmp_path,
            corpus,
            ["silence.thresh=-50", "silence.head_thresh=-70"],
            ["silence.thresh=-50", "silence.min_silence_len=200"],
        )
    )

    head = cause(found, "silence.head_thresh").effects
    length = cause(found, "silence.min_silence_len").effects
    assert head is not None
    assert length is not None
    assert head["head_seconds"] == pytest.approx(HEAD)
    assert head["pairs_with_other_durations"] == COUNT
    # The head was silence inside before: thresh finds the same noise. (Frames are 8 ms.)
    assert head["silent_seconds"] == pytest.approx(-HEAD, abs=0.008 * COUNT)
    assert abs(head["speech_seconds"]) <= 0.008 * COUNT
    assert set(nonzero(head)) - {"speech_seconds"} == {
        "head_seconds",
        "silent_seconds",
        "pairs_with_other_durations",
    }
    assert nonzero(length) == {"phrases": COUNT, "pairs_without_break": -COUNT}
    assert nonzero(found.combination) == {}
    assert found.total["head_seconds"] == pytest.approx(HEAD)
    assert found.total["phrases"] == COUNT
    assert not found.unexamined


def test_what_two_settings_only_do_together_is_told(tmp_path: Path, corpus: Path) -> None:
    """The target alone breaks under a shorter length; the source needs the threshold as well."""
    found = why(
        *pair(
            tmp_path,
            corpus,
            ["silence.thresh=-80"],
            ["silence.thresh=-50", "silence.min_silence_len=200"],
        )
    )

    length = cause(found, "silence.min_silence_len").effects
    thresh = cause(found, "silence.thresh").effects
    assert length is not None
    assert thresh is not None
    assert length["pairs_that_disagree"] == COUNT
    assert thresh["pairs_that_disagree"] == 0
    assert found.total["pairs_that_disagree"] == 0
    assert nonzero(found.combination) == {"pairs_that_disagree": -COUNT}


def test_effects_that_cancel_are_seen(tmp_path: Path, corpus: Path) -> None:
    """A share alone is what a version built with that one setting changed would show."""
    before, after = pair(
        tmp_path,
        corpus,
        ["silence.thresh=-80", "silence.trim_window=50"],
        ["silence.thresh=-50", "silence.trim_window=70"],
    )
    alone = built(tmp_path / "w", settings(corpus, "silence.thresh=-50"), "N2C_3").version

    found = why(before, after)

    share = cause(found, "silence.thresh").effects
    assert share is not None
    assert dict(share) == pytest.approx(dict(why(before, alone).total), abs=1e-6)


def test_nothing_is_written(tmp_path: Path, corpus: Path) -> None:
    versions = pair(
        tmp_path, corpus, [], ["silence.thresh=-50", "silence.head_thresh=-70", "align.reduction=2"]
    )
    was = contents(tmp_path / "w")

    found = why(*versions)

    assert len(found.causes) == 3
    assert contents(tmp_path / "w") == was


def test_splits_are_a_cause_of_their_own(tmp_path: Path, corpus: Path) -> None:
    found = why(*pair(tmp_path, corpus, [], ["split.dev=2", "silence.head_thresh=-70"]))

    share = cause(found, "split.dev").effects
    assert share is not None
    assert nonzero(share) == {"pairs_in_another_split": 1}
    assert found.total["pairs_in_another_split"] == 1


def test_other_samples_and_more_recordings_are_causes_of_their_own(
    tmp_path: Path, corpus: Path
) -> None:
    copy = tmp_path / "corpus"
    shutil.copytree(corpus, copy)
    (copy / "source" / "utt_004.wav").rename(tmp_path / "kept.wav")
    before = built(tmp_path / "w", settings(copy)).version
    (tmp_path / "kept.wav").rename(copy / "source" / "utt_004.wav")
    shutil.copy(copy / "source" / "utt_002.wav", copy / "source" / "utt_001.wav")
    after = built(tmp_path / "w", settings(copy, "silence.head_thresh=-70"), "N2C_2").version

    found = why(before, after)

    assert {each.name for each in found.causes} == {"silence.head_thresh", "candidates", "samples"}
    added = cause(found, "candidates").effects
    assert added is not None
    assert added["pairs_added"] == 1
    assert cause(found, "samples").pairs == 1


def test_settings_of_features_are_one_cause_unless_they_may_be_measured(
    tmp_path: Path, corpus: Path
) -> None:
    before, after = pair(
        tmp_path, corpus, [], ["features.mels=16", "features.fmax=3000.0", "silence.thresh=-50"]
    )

    together = why(before, after)
    alone = why(before, after, can_measure=True)

    assert {each.name for each in together.causes} == {
        "features.fmax, features.mels",
        "silence.thresh",
    }
    assert {each.name for each in alone.causes} == {
        "features.fmax",
        "features.mels",
        "silence.thresh",
    }
    assert not together.unexamined
    assert not alone.unexamined


def test_pairs_whose_objects_are_gone_are_named(tmp_path: Path, corpus: Path) -> None:
    before, after = pair(
        tmp_path, corpus, ["silence.thresh=-80"], ["silence.thresh=-50", "silence.head_thresh=-70"]
    )
    lost = next(r for r in before.recordings if r.id == "N/utt_001")
    Store(tmp_path / "w").path(lost.levels).unlink()

    found = why(before, after)

    assert list(found.unexamined) == ["N>C/utt_001"]
    assert "missing" in found.unexamined["N>C/utt_001"]


def test_the_command_tells_a_table_and_a_sentence_a_cause(tmp_path: Path, corpus: Path) -> None:
    pair(
        tmp_path,
        corpus,
        ["silence.thresh=-50", "silence.head_thresh=-70"],
        ["silence.thresh=-50", "silence.min_silence_len=200"],
    )
    words = ("diff", "N2C", "N2C_2", "--why", "--workspace", tmp_path / "w")

    said = corpuskit(*words)
    machine = json.loads(corpuskit(*words, "--json").out)

    assert said.code == 0
    assert "silence.head_thresh -70 -> -50 explains" in said.out
    assert "+0.600 s of +0.600 s head cut" in said.out
    assert "silence.min_silence_len 500 -> 200 explains +4 of +4 phrases" in said.out
    assert "nothing is left for the combination" in said.out
    assert machine["why"]["total"]["phrases"] == COUNT


def test_versions_that_do_not_differ_have_no_cause(tmp_path: Path, corpus: Path) -> None:
    found = why(*pair(tmp_path, corpus, [], []))

    assert found.causes == ()
    assert nonzero(dict(found.total)) == {}


def test_the_page_of_the_difference_tells_each_share(tmp_path: Path, corpus: Path) -> None:
    pair(
        tmp_path,
        corpus,
        ["silence.thresh=-50", "silence.head_thresh=-70"],
        ["silence.thresh=-50", "silence.min_silence_len=200"],
    )
    words = ("diff", "N2C", "N2C_2", "--workspace", tmp_path / "w", "--html", tmp_path / "d.html")

    plain = corpuskit(*words)
    without = check_page((tmp_path / "d.html").read_text(encoding="utf-8"))
    explained = corpuskit(*words, "--why")
    page = check_page((tmp_path / "d.html").read_text(encoding="utf-8"))

    assert plain.code == explained.code == 0
    assert "What each change does" not in without.text
    assert "What each change does" in page.text
    rows = [[cell.text for cell in row.all("td")] for row in page.all("tr")]
    assert ["+0.600 s", "+0.600 s", "+0.000 s", "+0.000 s"] in rows  # head cut
    told = [item.text for item in page.all("li")]
    sentences = explained.out.splitlines()[-3:]  # the very ones of the command
    assert sentences[0].startswith("silence.head_thresh -70 -> -50 explains")
    assert set(sentences) <= set(told)


def test_the_page_of_equal_versions_has_nothing_to_explain(tmp_path: Path, corpus: Path) -> None:
    pair(tmp_path, corpus, [], [])
    page = tmp_path / "d.html"

    said = corpuskit("diff", "N2C", "N2C_2", "--why", "--workspace", tmp_path / "w", "--html", page)

    assert said.code == 0
    assert (
        "Nothing that decides about pairs differs."
        in check_page(page.read_text(encoding="utf-8")).text
    )

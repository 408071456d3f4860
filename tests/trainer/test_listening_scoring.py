"""From files of answers, good and bad, to what a test shows."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from corpuskit.errors import BadSetting, CorpuskitError
from listeners import a_test, answered, by_role, export, saved
from trainer.listening.answers import gather
from trainer.listening.design import PREFERENCE, SCORE, Key, Stimulus
from trainer.listening.scoring import as_results, score, turned
from trainer.wording.listening import as_mapping, scored_lines


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return a_test(tmp_path)


# --------------------------------------------------------------------------- what it shows


def test_what_was_preferred_is_found_under_its_run(tmp_path: Path, key: Key) -> None:
    files = [export(tmp_path, key, name) for name in ("anna", "ben", "carl")]

    found = score(gather(tmp_path, files))

    (between,) = found.figures.between
    assert (between.first, between.second) == (0, 1)
    assert (between.preference.wins, between.preference.losses) == (12, 0)
    assert between.preference.p == pytest.approx(2 / 2**12)
    means = {name: each["naturalness"].mean for name, each in found.figures.means.items()}
    assert means == {"0": 4.0, "1": 3.0, "reference": 5.0, "anchor": 1.0}
    assert between.differences["similarity"].mean == 1.0
    assert found.figures.means["0"]["naturalness"].answers == 12
    assert set(found.by_sentence) == set(key.sentences)
    for each in found.by_sentence.values():
        assert each.between[0].preference.wins == 3
        assert each.means["1"]["similarity"].mean == 3.0


def test_figures_are_those_of_a_count_by_hand(tmp_path: Path) -> None:
    key = a_test(tmp_path, runs=3, sentences=5)
    chance = Random(1)
    worth: dict[str, dict[str, int]] = {}
    files = []
    for name in ("anna", "ben"):
        taste = {each: chance.randint(1, 5) for each in key.stimuli}
        ids = {id(each): taste[name_] for name_, each in key.stimuli.items()}
        worth[name] = taste
        files.append(export(tmp_path, key, name, lambda each, ids=ids: ids[id(each)]))

    found = score(gather(tmp_path, files))

    def sound(role: str, subject: int | None, sentence: str) -> str:
        wanted = Stimulus(role=role, subject=subject, sentence=sentence)  # type: ignore[arg-type]
        return next(name for name, each in key.stimuli.items() if each == wanted)

    for each in found.figures.between:
        two = [
            tuple(worth[who][sound("run", k, s)] for k in (each.first, each.second))
            for who in worth
            for s in key.sentences
        ]
        assert each.preference.wins == sum(a > b for a, b in two)
        assert each.preference.losses == sum(a < b for a, b in two)
        assert each.preference.ties == sum(a == b for a, b in two)
        expected = sum(a - b for a, b in two) / len(two)
        assert each.differences["naturalness"].mean == pytest.approx(expected)
    hidden = [worth[who][sound("hidden", None, s)] for who in worth for s in key.sentences]
    assert found.figures.means["reference"]["naturalness"].mean == pytest.approx(sum(hidden) / 10)


def test_a_listener_who_prefers_the_anchor_is_named_and_left_out_when_asked(
    tmp_path: Path, key: Key
) -> None:
    files = [
        export(tmp_path, key, "anna"),
        export(tmp_path, key, "troll", lambda each: 6 - by_role(each)),
    ]

    counted, screened = (score(gather(tmp_path, files), screen=each) for each in (False, True))

    assert counted.doubtful == screened.doubtful == ("troll",)
    assert counted.listeners == ("anna", "troll")
    assert screened.listeners == ("anna",)
    assert screened.figures.between[0].preference.wins == 4
    assert counted.figures.between[0].preference.share == 0.5
    told = "\n".join(scored_lines(counted))
    assert "scored the hidden reference below the anchor (counted; --screen leaves" in told
    with pytest.raises(CorpuskitError, match="every listener"):
        score(gather(tmp_path, files[1:]), screen=True)


def test_a_test_of_preferences_alone_doubts_nobody(tmp_path: Path) -> None:
    key = a_test(tmp_path, parts=(PREFERENCE,))

    found = score(gather(tmp_path, [export(tmp_path, key, "anna")]), screen=True)

    assert found.doubtful == ()
    assert found.figures.means == {}
    assert "scores, 1 to 5" not in "\n".join(scored_lines(found))


def test_scores_alone_prefer_nothing(tmp_path: Path) -> None:
    key = a_test(tmp_path, parts=(SCORE,), runs=1)

    found = score(gather(tmp_path, [export(tmp_path, key, "anna")]))

    assert found.figures.between == ()
    assert as_results(found)[0]["preferences"] == []
    assert "preferred" not in "\n".join(scored_lines(found))


def test_two_pairs_of_runs_are_counted_on_the_same_sentences_only(tmp_path: Path) -> None:
    key = a_test(tmp_path, runs=3)
    answers = answered(key, "anna")
    dropped = next(name for name in answers["chosen"] if key.trials[name].sentence == "s2")
    del answers["chosen"][dropped]

    found = score(gather(tmp_path, [saved(tmp_path, answers)]))

    assert found.partial == ("anna",)
    assert found.uneven == 2  # the sentence's two other pairs
    assert [each.preference.wins for each in found.figures.between] == [3, 3, 3]
    assert found.by_sentence["s2"].between[0].preference.listeners == 0
    assert "set aside: 2 preferences" in "\n".join(scored_lines(found))


def test_a_preference_turned_round_is_that_of_the_other(tmp_path: Path, key: Key) -> None:
    taste = {"s0": 1, "s1": 1, "s2": 1, "s3": -1}

    def mixed(each: Stimulus) -> int:
        return 3 if each.subject is None else 3 + taste[each.sentence] * (1 - 2 * each.subject)

    first, second = as_results(score(gather(tmp_path, [export(tmp_path, key, "anna", mixed)])))

    (ours,), (theirs,) = first["preferences"], second["preferences"]
    assert (ours["wins"], ours["losses"], ours["run"]) == (3, 1, "N2C_2")
    assert (theirs["wins"], theirs["losses"], theirs["run"]) == (1, 3, "N2C_1")
    assert theirs["share"] == pytest.approx(0.25)
    assert theirs["low"] == pytest.approx(1 - ours["high"])
    assert (ours["vocoder"], first["vocoder"]) == ("world", "world")
    (odd,) = second["by_sentence"]["s3"]["preferences"]
    assert (odd["wins"], odd["losses"], odd["run"]) == (1, 0, "N2C_1")
    assert first["by_sentence"]["s3"]["means"]["run"]["naturalness"]["mean"] == 2.0
    assert second["by_sentence"].keys() == taste.keys()
    between = score(gather(tmp_path, [export(tmp_path, key, "anna", mixed)])).figures.between[0]
    assert turned(turned(between.preference)) == between.preference


def test_json_holds_everything_and_is_json(tmp_path: Path, key: Key) -> None:
    bad = saved(tmp_path, {"kind": "other"}, "bad")
    found = score(gather(tmp_path, [export(tmp_path, key, "anna"), bad]))

    told = json.loads(json.dumps(as_mapping(found), allow_nan=False))

    assert told["subjects"][0]["run"] == "N2C_1"
    assert told["figures"]["between"][0]["preference"]["wins"] == 4
    assert told["by_sentence"]["s0"]["means"]["anchor"]["similarity"]["mean"] == 1.0
    assert told["set_aside"][0]["reason"] == "holds no answers to a listening test"
    assert told["listeners"] == ["anna"]


# ---------------------------------------------------------------------------- who answered


def test_of_one_listeners_files_the_fullest_counts(tmp_path: Path, key: Key) -> None:
    whole = answered(key, "Anna")
    part = {**whole, "listener": "anna ", "session": "another", "scores": {}}
    renamed = {**whole, "listener": "A. again", "chosen": {}}
    files = [saved(tmp_path, each, str(k)) for k, each in enumerate((part, whole, renamed))]

    found = gather(tmp_path, files)

    assert [each.file for each in found.answers] == [str(files[1])]
    assert {file for file, _ in found.set_aside} == {str(files[0]), str(files[2])}
    assert all("is by listener" in reason for _, reason in found.set_aside)


def test_a_partial_file_counts_as_far_as_it_goes(tmp_path: Path, key: Key) -> None:
    answers = answered(key, "anna")
    answers["chosen"] = dict(list(answers["chosen"].items())[:1])
    answers["scores"] = {}

    found = score(gather(tmp_path, [saved(tmp_path, answers)]))

    assert found.partial == ("anna",)
    assert found.figures.between[0].preference.wins == 1
    assert found.figures.means["0"]["naturalness"].mean is None
    assert "not all answered, what is there counts: anna" in "\n".join(scored_lines(found))


def test_names_of_listeners_cannot_write_on_the_terminal(tmp_path: Path, key: Key) -> None:
    answers = answered(key, "x")
    answers["listener"] = "an\x1b[31mna\n\u202e" + "a" * 500

    found = gather(tmp_path, [saved(tmp_path, answers, "x")])

    (one,) = found.answers
    assert one.listener.isprintable()
    assert one.listener.startswith("an [31mna")
    assert len(one.listener) == 60


# ------------------------------------------------------------------------------- bad input


def changed(answers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**answers, **changes}


def first_of(answers: dict[str, Any], scores: Any) -> dict[str, Any]:
    """The first screen's scores replaced."""
    name = next(iter(answers["scores"]))
    return {**answers, "scores": {name: scores}}


DAMAGE = {
    "no JSON": (lambda _: None, "is damaged: it is no JSON"),
    "a list": (lambda a: [a], "holds no answers to a listening test"),
    "another kind": (lambda a: changed(a, kind="x"), "holds no answers to a listening test"),
    "no test": (lambda a: changed(a, test="../x"), "is damaged: it names no test"),
    "another's test": (lambda a: changed(a, test="0123456789"), "of which this workspace has no"),
    "no name": (lambda a: changed(a, listener=" "), "is damaged: it tells no listener"),
    "a number as name": (lambda a: changed(a, listener=7), "is damaged: it tells no listener"),
    "no session": (lambda a: changed(a, session=None), "is damaged: it tells no session"),
    "no scores": (lambda a: changed(a, scores=[1]), "is damaged: scores is missing"),
    "nothing": (lambda a: changed(a, scores={}, chosen={}), "answers nothing yet"),
    "a foreign trial": (lambda a: changed(a, chosen={"x" * 999: None}), "has no preference trial"),
    "a score as choice": (
        lambda a: changed(a, chosen=dict.fromkeys(a["scores"])),
        "has no preference trial",
    ),
    "a foreign sound": (
        lambda a: changed(a, chosen=dict.fromkeys(a["chosen"], "x")),
        "prefers a sound that is not in trial",
    ),
    "a sound of no kind": (
        lambda a: changed(a, chosen={name: ["x"] for name in a["chosen"]}),
        "prefers a sound that is not in trial",
    ),
    "a sound missing": (lambda a: first_of(a, {}), "is not scored as a whole"),
    "scores of no kind": (lambda a: first_of(a, 3), "is not scored as a whole"),
}
SCORES = [0, 6, -1, 3.0, "3", True, None, float("nan"), [3]]


@pytest.mark.parametrize("case", DAMAGE)
def test_a_bad_file_is_set_aside_with_its_reason(tmp_path: Path, key: Key, case: str) -> None:
    damage, reason = DAMAGE[case]
    made = damage(answered(key, "mallory"))
    bad = saved(tmp_path, made, "bad")
    if made is None:
        bad.write_bytes(b'{"kind": \xff')
    good = export(tmp_path, key, "anna")

    found = gather(tmp_path, [bad, good])

    assert [each.listener for each in found.answers] == ["anna"]
    ((file, told),) = found.set_aside
    assert file == str(bad)
    assert reason in told
    assert len(told) < 200
    with pytest.raises(BadSetting, match="no usable answers"):
        gather(tmp_path, [bad])


@pytest.mark.parametrize("value", SCORES)
def test_scores_are_whole_numbers_from_1_to_5(tmp_path: Path, key: Key, value: object) -> None:
    answers = answered(key, "mallory")
    screen = next(iter(answers["scores"].values()))
    next(iter(screen.values()))["similarity"] = value

    with pytest.raises(BadSetting, match="has scores other than 1 to 5"):
        gather(tmp_path, [saved(tmp_path, answers)])


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)

    with pytest.raises(BadSetting) as caught:
        gather(tmp_path, [tmp_path / "gone.json", tmp_path, deep])

    told = str(caught.value)
    assert "gone.json cannot be read (No such file or directory)" in told
    assert "cannot be read (Is a directory)" in told
    assert "deep.json is damaged: it is no JSON" in told


def test_answers_to_two_tests_are_not_mixed(tmp_path: Path, key: Key) -> None:
    other = a_test(tmp_path, seed=1)
    files = [export(tmp_path, key, "anna"), export(tmp_path, other, "ben")]

    with pytest.raises(BadSetting, match="answers to 2 tests"):
        gather(tmp_path, files)

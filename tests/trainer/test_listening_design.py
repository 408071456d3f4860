"""What a listening test plays: balance, chance, blinding, and its key."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from corpuskit.errors import CorpuskitError, UnknownName
from listeners import a_test
from trainer.listening.design import (
    PREFERENCE,
    SCORE,
    Stimulus,
    Trial,
    designed,
    key_path,
    list_tests,
    new_id,
    read_key,
    write_key,
)

SENTENCES = [f"s{k}" for k in range(10)]
BOTH = (PREFERENCE, SCORE)


def subjects(stimuli: dict[str, Stimulus], trial: Trial) -> tuple[int | None, ...]:
    return tuple(stimuli[name].subject for name in trial.stimuli)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [9, 10])
def test_every_two_runs_meet_on_every_sentence_either_first_as_often(seed: int, count: int) -> None:
    stimuli, trials = designed(3, SENTENCES[:count], BOTH, Random(seed))

    pairs = [each for each in trials.values() if each.part == PREFERENCE]
    orders = Counter(subjects(stimuli, each) for each in pairs)
    assert len(pairs) == 3 * count
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert orders[first, second] + orders[second, first] == count
        assert abs(orders[first, second] - orders[second, first]) == count % 2
        met = [each.sentence for each in pairs if set(subjects(stimuli, each)) == {first, second}]
        assert sorted(met) == sorted(SENTENCES[:count])


def test_a_screen_holds_all_runs_a_hidden_reference_and_an_anchor_in_any_order() -> None:
    stimuli, trials = designed(3, SENTENCES, BOTH, Random(0))

    screens = [each for each in trials.values() if each.part == SCORE]
    assert sorted(each.sentence for each in screens) == SENTENCES
    for screen in screens:
        heard = [stimuli[name] for name in screen.stimuli]
        assert Counter(each.role for each in heard) == {"run": 3, "hidden": 1, "anchor": 1}
        assert {each.sentence for each in heard} == {screen.sentence}
        assert stimuli[screen.reference].role == "reference"
        assert screen.reference not in screen.stimuli
    firsts = Counter(
        (stimuli[each.stimuli[0]].role, stimuli[each.stimuli[0]].subject) for each in screens
    )
    assert len(firsts) >= 3


def test_parts_that_are_not_asked_for_have_no_sounds() -> None:
    stimuli, trials = designed(2, SENTENCES, (PREFERENCE,), Random(0))
    assert {each.role for each in stimuli.values()} == {"reference", "run"}
    assert {each.part for each in trials.values()} == {PREFERENCE}

    _, trials = designed(1, SENTENCES, (SCORE,), Random(0))
    assert {each.part for each in trials.values()} == {SCORE}


def test_ids_tell_neither_run_nor_sentence() -> None:
    # The place of a run's ids among all sorted ids is that of any other's.
    places: dict[int | None, list[float]] = {}
    for seed in range(40):
        stimuli, trials = designed(2, SENTENCES, BOTH, Random(seed))
        names = sorted(stimuli)
        assert len(set(names) | set(trials)) == len(stimuli) + len(trials)
        for place, name in enumerate(names):
            assert len(name) == 10
            places.setdefault(stimuli[name].subject, []).append(place / len(names))
    means = {subject: sum(found) / len(found) for subject, found in places.items()}
    # A uniform place has a standard deviation of 0.289; each mean is of 400 and more.
    assert means[0] == pytest.approx(0.5, abs=0.06)
    assert means[1] == pytest.approx(0.5, abs=0.06)


def test_an_id_is_never_given_twice() -> None:
    taken: list[str] = []
    for seed in range(16):
        taken.append(new_id(Random(seed), taken, digits=1))
    assert sorted(taken) == sorted("0123456789abcdef")


def test_a_key_comes_back_as_it_was_written(tmp_path: Path) -> None:
    key = a_test(tmp_path, runs=3)

    assert read_key(tmp_path, key.test) == key
    assert list_tests(tmp_path) == [key.test]
    assert key.sentences == ("s0", "s1", "s2", "s3")
    assert list(key.part(SCORE)) == sorted(key.part(SCORE))


@pytest.mark.parametrize("name", ["0123456789", "../../etc", "", "N2C"])
def test_an_unknown_test_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownName, match="no key here of listening test"):
        read_key(tmp_path, name)


@pytest.mark.parametrize("part", ["stimuli", "subjects"])
def test_a_key_that_does_not_fit_itself_is_damaged(tmp_path: Path, part: str) -> None:
    key = a_test(tmp_path)
    mapping = json.loads(key_path(tmp_path, key.test).read_text())
    mapping[part] = type(mapping[part])()
    key_path(tmp_path, key.test).write_text(json.dumps(mapping))

    with pytest.raises(CorpuskitError, match="is damaged"):
        read_key(tmp_path, key.test)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', "null", '{"schema": 9}'])
def test_a_damaged_key_is_one_message(tmp_path: Path, text: str) -> None:
    key = a_test(tmp_path)
    key_path(tmp_path, key.test).write_text(text)

    with pytest.raises(CorpuskitError, match=f"the key of test {key.test} "):
        read_key(tmp_path, key.test)


def test_a_key_is_readable_json(tmp_path: Path) -> None:
    key = a_test()
    write_key(tmp_path, key)

    told = json.loads(key_path(tmp_path, key.test).read_text())
    one = next(each for each in told["stimuli"].values() if each["role"] == "run")
    assert told["subjects"][one["subject"]] == {
        "run": f"N2C_{one['subject'] + 1}",
        "checkpoint": "epoch-0001",
        "digest": f"d{one['subject']}",
        "vocoder": "world",
    }

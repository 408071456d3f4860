"""A listening test of real (tiny) runs: sentences, sounds and key."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from corpuskit.errors import CorpuskitError
from corpuskit.versions import Version, open_version
from listeners import by_role
from trainer.convert import Converter
from trainer.listening import making
from trainer.listening.design import PREFERENCE, SCORE
from trainer.listening.loudness import loudness
from trainer.listening.making import Made, Request, make
from trainer.runs import Run
from trainer.vocoders.speech import aloud
from training import started


def made(workspace: Path, *places: str, **options: object) -> Made:
    """A test of runs, N2C_1 and N2C_2 by default."""
    asked = tuple((tag, "last") for tag in places or ("N2C_1", "N2C_2"))
    request = Request(workspace=workspace, places=asked, device="cpu", **options)  # type: ignore[arg-type]
    *_, last = make(request)
    assert isinstance(last, Made)
    return last


@pytest.fixture
def runs(workspace: Path) -> list[Run]:
    return [started(workspace), started(workspace, "train.seed=1")]


@pytest.fixture
def version(workspace: Path) -> Version:
    return open_version(workspace, "N2C")


def test_all_runs_say_the_same_held_out_sentences(
    workspace: Path, runs: list[Run], version: Version
) -> None:
    test = made(workspace)

    held_out = tuple(sorted(pair.id for pair in version.split("eval")))
    assert test.key.sentences == held_out
    assert test.key.left_out == {}
    for sentence in held_out:
        told = [each for each in test.key.stimuli.values() if each.sentence == sentence]
        assert sorted(str(each.subject) for each in told if each.role == "run") == ["0", "1"]
        assert sorted(by_role(each) for each in told) == [1, 3, 4, 5, 5]


def test_the_key_tells_exactly_what_is_heard(workspace: Path, runs: list[Run]) -> None:
    test = made(workspace)

    for subject, run in zip(test.key.subjects, runs, strict=True):
        place = run.checkpoint("last")
        assert (subject.run, subject.checkpoint) == (run.tag, place.folder.name)
        assert subject.digest == place.state().digests["weights.safetensors"]
        assert subject.vocoder == "world"
    assert (test.key.dataset, test.key.split) == ("N2C", "eval")
    assert set(test.key.stimuli) == set(test.sounds)


def test_sounds_are_the_runs_own_at_one_level(
    workspace: Path, runs: list[Run], version: Version
) -> None:
    test = made(workspace)
    pair = version.split("eval")[0]
    converter = Converter.of(runs[1], runs[1].checkpoint("last"), "cpu")
    (spoken,) = converter.made(
        [(version.features(pair.source), tuple(pair.source.silences))], "N", "C"
    )
    samples = aloud(converter.vocoder, spoken.speech)

    for samples_heard in test.sounds.values():
        assert loudness(samples_heard, test.rate) == pytest.approx(test.key.level, abs=0.1)
    heard = next(
        test.sounds[name]
        for name, each in test.key.stimuli.items()
        if (each.sentence, each.subject) == (pair.id, 1)
    )
    assert len(heard) == len(samples)
    assert np.corrcoef(heard, samples)[0, 1] > 0.9999


def test_the_seed_draws_sentences_and_nothing_that_blinds(workspace: Path, runs: list[Run]) -> None:
    first, again = (made(workspace, sentences=1, seed=3) for _ in range(2))

    assert first.key.sentences == again.key.sentences
    assert first.asked == 1
    assert not set(first.key.stimuli) & set(again.key.stimuli)
    assert first.key.test != again.key.test
    drawn = {
        made(workspace, sentences=1, seed=seed, test="preference").key.sentences
        for seed in range(6)
    }
    assert len(drawn) == 2


def test_a_sentence_one_run_knows_is_left_out_for_all(
    workspace: Path, runs: list[Run], version: Version
) -> None:
    known, other = version.split("eval")
    path = runs[1].folder / "trained_on.json"
    heard = json.loads(path.read_text())
    heard["C"].append(known.sentence)
    path.write_text(json.dumps(heard))

    test = made(workspace)

    assert test.key.sentences == (other.id,)
    assert set(test.key.left_out) == {known.id}
    assert "was trained on this sentence" in test.key.left_out[known.id]


def test_a_sentence_one_run_cannot_say_is_left_out_for_all(
    workspace: Path, runs: list[Run], version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute, other = (pair.id for pair in version.split("eval"))
    whole = making._converted

    def converted(version: Version, converter: Converter, pair: making.Pair) -> making.Float64:
        samples = whole(version, converter, pair)
        silent = pair.id == mute and converter.label == "run N2C_2"
        return np.zeros_like(samples) if silent else samples

    monkeypatch.setattr(making, "_converted", converted)

    test = made(workspace)

    assert test.key.sentences == (other,)
    assert test.key.left_out == {mute: f"run N2C_2 is silent on {mute}"}


def test_a_sentence_whose_recording_is_gone_is_left_out(
    workspace: Path, runs: list[Run], version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, other = version.split("eval")
    found = making.original

    def original(version: Version, recording: object, side: object) -> object:
        if side is gone.target or side == gone.target:
            raise CorpuskitError("the recording does not exist")
        return found(version, recording, side)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "original", original)

    test = made(workspace)

    assert test.key.sentences == (other.id,)
    assert test.key.left_out == {gone.id: "the recording does not exist"}


def test_one_run_can_be_scored_but_not_preferred(workspace: Path, runs: list[Run]) -> None:
    test = made(workspace, "N2C_1", test="score")

    assert {trial.part for trial in test.key.trials.values()} == {SCORE}
    with pytest.raises(CorpuskitError, match="a preference needs two runs"):
        made(workspace, "N2C_1")


def test_preferences_alone_have_neither_hidden_reference_nor_anchor(
    workspace: Path, runs: list[Run]
) -> None:
    test = made(workspace, test="preference", vocoders=("griffinlim",))

    assert {trial.part for trial in test.key.trials.values()} == {PREFERENCE}
    assert {each.role for each in test.key.stimuli.values()} == {"reference", "run"}
    assert {each.vocoder for each in test.key.subjects} == {"griffinlim48"}
    assert test.seconds > 4 * len(test.key.trials)


def test_one_run_can_be_heard_through_two_vocoders(workspace: Path, runs: list[Run]) -> None:
    test = made(workspace, "N2C_1", "N2C_1", vocoders=("world", "griffinlim"), sentences=1)

    assert [each.vocoder for each in test.key.subjects] == ["world", "griffinlim48"]
    first, second = (
        next(test.sounds[name] for name, each in test.key.stimuli.items() if each.subject == k)
        for k in (0, 1)
    )
    assert len(first) == len(second)
    assert not np.allclose(first, second, atol=0.01)
    with pytest.raises(CorpuskitError, match="2 vocoders for 3 runs"):
        made(workspace, "N2C_1", "N2C_2", "N2C_3", vocoders=("world", "griffinlim"))


def test_what_cannot_be_told_apart_is_refused(workspace: Path, runs: list[Run]) -> None:
    with pytest.raises(CorpuskitError, match="a run stands twice"):
        made(workspace, "N2C_1", "N2C_1")
    request = Request(
        workspace=workspace, places=(("N2C_1", "last"), ("N2C_1", "best")), device="cpu"
    )
    with pytest.raises(CorpuskitError, match="are the same weights and sound the same"):
        list(make(request))
    with pytest.raises(CorpuskitError, match="no run 'N2C_7'"):
        made(workspace, "N2C_1", "N2C_7")
    with pytest.raises(CorpuskitError, match="no vocoder 'wrold'"):
        made(workspace, vocoders=("wrold",))


def test_no_sentence_left_is_told_with_the_reasons(
    workspace: Path, runs: list[Run], version: Version
) -> None:
    path = runs[0].folder / "trained_on.json"
    heard = json.loads(path.read_text())
    heard["N"] += [pair.sentence for pair in version.split("eval")]
    path.write_text(json.dumps(heard))

    with pytest.raises(CorpuskitError, match=r"no eval pair of dataset N2C .*trained on this"):
        made(workspace)

"""What is pointed out before a training; the rest is tested where plans are made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from trainer.config import ModelConfig, OptimConfig, RunConfig, TrainConfig
from trainer.lineage import Leaks
from trainer.notes import on_leaks, on_phrases, on_schedule


def version(**splits: list[str]) -> Any:
    pairs = [SimpleNamespace(id=id_, split=split) for split, ids in splits.items() for id_ in ids]
    return SimpleNamespace(pairs=pairs)


def test_many_leaks_are_counted_and_the_first_named() -> None:
    ids = [f"N>C/s{number:02d}" for number in range(14)]
    leaks = Leaks(pairs=tuple(ids), other_voice=())

    (note,) = on_leaks(leaks, version(dev=ids[:9], eval=ids[9:]), keep=False)

    assert "9 dev and 5 eval pairs" in note
    assert "s00, s01" in note
    assert "s09, ...)" in note
    assert "s10" not in note
    assert note.endswith("left out of scores")


def test_without_leaks_nothing_is_said() -> None:
    assert on_leaks(Leaks(pairs=(), other_voice=()), version(), keep=False) == []


@pytest.mark.parametrize(("pairs", "told"), [(79, True), (80, False), (81, False)])
def test_a_schedule_is_held_against_the_steps_there_will_be(pairs: int, told: bool) -> None:
    config = RunConfig(
        optim=OptimConfig(warm_up=100, max_lr_scale=0), train=TrainConfig(batch_size=1, epochs=1)
    )  # peaks at step 100

    assert bool(on_schedule(config, pairs, first_step=20)) == told


@pytest.mark.parametrize(
    ("model", "broken", "said"),
    [
        ({"prosody": "wgmm"}, 4, 'model.prosody = "wgmm" learns from phrases, but 6 of 10 train'),
        ({"prosody": "wgmm", "pitch_ar": "phrase"}, 0, "10 of 10 train pairs are a single one"),
        ({"pitch_ar": "phrase"}, 4, 'model.pitch_ar = "phrase" learns from phrases, but 6 of 10'),
        ({"prosody": "wgmm"}, 5, ""),
        ({"pitch_ar": "on"}, 0, ""),
        ({}, 0, ""),
    ],
)
def test_a_model_of_phrases_is_held_against_the_phrases_there_are(
    model: dict[str, Any], broken: int, said: str
) -> None:
    phrases = [(3, 4) if number < broken else (7,) for number in range(10)]
    pairs = [SimpleNamespace(target=SimpleNamespace(phrases=each)) for each in phrases]
    silence = SimpleNamespace(thresh=-100.0, min_silence_len=200)
    dataset: Any = SimpleNamespace(
        name="N2C_4", settings=SimpleNamespace(silence=silence), split=lambda _: pairs
    )

    told = on_phrases(RunConfig(model=ModelConfig(**model)), dataset)

    assert len(told) == bool(said)
    assert said in "".join(told)
    if told:
        assert "(silence.thresh -100, silence.min_silence_len 200)" in told[0]
        assert "`corpuskit preview N2C_4`" in told[0]

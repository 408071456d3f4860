"""Listening tests without sound, and listeners whose taste is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from trainer.listening.answers import ANSWERS
from trainer.listening.design import (
    PREFERENCE,
    SCORE,
    Key,
    Stimulus,
    Subject,
    designed,
    new_id,
    write_key,
)

__all__ = ["a_test", "answered", "export", "saved"]

Taste = Callable[[Stimulus], int]  # how good a sound is, 1 to 5


def a_test(
    workspace: Path | None = None,
    *,
    runs: int = 2,
    sentences: int = 4,
    parts: tuple[str, ...] = (PREFERENCE, SCORE),
    seed: int = 0,
) -> Key:
    """A test of runs N2C_1, N2C_2, ... on sentences s0, s1, ...; its key is in the workspace."""
    chance = Random(seed)
    stimuli, trials = designed(runs, [f"s{k}" for k in range(sentences)], parts, chance)
    key = Key(
        test=new_id(chance),
        created="2026-01-02T03:04:05+00:00",
        dataset="N2C",
        fingerprint="f",
        split="eval",
        seed=0,
        level=-26.0,
        loudness="l",
        anchor="the recording, dull",
        subjects=tuple(
            Subject(run=f"N2C_{k + 1}", checkpoint="epoch-0001", digest=f"d{k}", vocoder="world")
            for k in range(runs)
        ),
        stimuli=stimuli,
        trials=trials,
        left_out={},
    )
    if workspace is not None:
        write_key(workspace, key)
    return key


def by_role(stimulus: Stimulus) -> int:
    """The recording is best, then the first run, the second, the anchor."""
    if stimulus.subject is not None:
        return 4 - stimulus.subject
    return {"hidden": 5, "reference": 5, "anchor": 1}[stimulus.role]


def answered(key: Key, listener: str, taste: Taste = by_role) -> dict[str, Any]:
    """What a listener of this taste saves: the better one, no preference between equals."""
    chosen: dict[str, str | None] = {}
    scores = {}
    for name, trial in key.trials.items():
        worth = {each: taste(key.stimuli[each]) for each in trial.stimuli}
        if trial.part == PREFERENCE:
            first, second = trial.stimuli
            best = max(trial.stimuli, key=worth.__getitem__)
            chosen[name] = None if worth[first] == worth[second] else best
        else:
            scores[name] = {
                each: {"naturalness": value, "similarity": value} for each, value in worth.items()
            }
    return {
        "kind": ANSWERS,
        "test": key.test,
        "session": f"session of {listener}",
        "listener": listener,
        "saved": "2026-01-03T00:00:00Z",
        "chosen": chosen,
        "scores": scores,
    }


def saved(folder: Path, answers: object, name: str = "") -> Path:
    """Write answers as a browser's download would be."""
    title = name or (answers["listener"] if isinstance(answers, dict) else "file")
    path = folder / f"answers-{title}.json"
    path.write_text(json.dumps(answers), encoding="utf-8")
    return path


def export(folder: Path, key: Key, listener: str, taste: Taste = by_role) -> Path:
    """The file a listener of this taste sends back."""
    return saved(folder, answered(key, listener, taste))

"""What a listening test plays and asks, and the key that undoes its blinding.

A page knows sounds by random ids only. Which run made which is in the key, which stays in the
workspace: `workspace/listening/TEST.json`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any, Literal

from corpuskit.errors import CorpuskitError, UnknownName, unknown
from corpuskit.files import read_json, write_json

__all__ = [
    "PREFERENCE",
    "QUESTIONS",
    "SCORE",
    "Key",
    "Stimulus",
    "Subject",
    "Trial",
    "designed",
    "is_test",
    "key_path",
    "list_tests",
    "new_id",
    "read_key",
    "write_key",
]

SCHEMA = 1
PREFERENCE, SCORE = "preference", "score"  # the parts of a test
QUESTIONS = ("naturalness", "similarity")  # what is scored from 1 to 5
Role = Literal["run", "reference", "hidden", "anchor"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A run as it is heard."""

    run: str
    checkpoint: str
    digest: str  # SHA-256 of the weights
    vocoder: str

    @property
    def label(self) -> str:
        """Name it as figures do: the vocoder always stands beside it."""
        return f"{self.run} {self.checkpoint} ({self.vocoder})"


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """One sound of a test."""

    role: Role
    sentence: str  # id of the pair
    subject: int | None = None  # which run made it


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One question of the preference part, or one screen of the score part."""

    part: str
    sentence: str  # id of the pair
    reference: str  # id of the sound that is named as the target's recording
    stimuli: tuple[str, ...]  # ids, in the order in which one half of the listeners meets them


@dataclass(frozen=True, kw_only=True)
class Key:
    """Everything about a test that its page does not tell."""

    test: str
    created: str  # UTC
    dataset: str
    fingerprint: str
    split: str
    seed: int  # that drew the sentences
    level: float  # LUFS, of every sound
    loudness: str  # name of its definition
    anchor: str  # what the anchor is
    subjects: tuple[Subject, ...]
    stimuli: Mapping[str, Stimulus]  # by id
    trials: Mapping[str, Trial]  # by id
    left_out: Mapping[str, str]  # pairs of the split that are in no trial, and why
    schema: int = SCHEMA

    @property
    def sentences(self) -> tuple[str, ...]:
        """The pairs that are heard, sorted."""
        return tuple(sorted({trial.sentence for trial in self.trials.values()}))

    def part(self, name: str) -> dict[str, Trial]:
        """Return the trials of a part, sorted by their ids, which are random."""
        return {
            key: self.trials[key] for key in sorted(self.trials) if self.trials[key].part == name
        }


def new_id(chance: Random, taken: Iterable[str] = (), digits: int = 10) -> str:
    """Return hexadecimal digits that are not among `taken` and tell nothing."""
    known = set(taken)
    while (found := f"{chance.getrandbits(4 * digits):0{digits}x}") in known:
        pass
    return found


def designed(
    subjects: int, sentences: Sequence[str], parts: Sequence[str], chance: Random
) -> tuple[dict[str, Stimulus], dict[str, Trial]]:
    """Lay out a test of `subjects` runs over some sentences; returns stimuli and trials by id.

    Preference: every two runs on every sentence, each of the two first in half of the sentences
    (half the listeners meet all of them the other way round, which the page decides). Score: all
    runs, the hidden reference and the anchor on one screen a sentence (after ITU-R BS.1534-3).

    Parameters
    ----------
    chance : draws ids and orders; nobody may be able to guess its state, so `random.SystemRandom`
        for a test that somebody hears
    """
    stimuli: dict[str, Stimulus] = {}
    by_sentence = {
        name: _add_stimuli(stimuli, subjects, name, chance, hidden=SCORE in parts)
        for name in sentences
    }
    trials: list[Trial] = []
    if PREFERENCE in parts:
        trials += _pairs(subjects, by_sentence, chance)
    if SCORE in parts:
        trials += _screens(by_sentence, chance)
    named: dict[str, Trial] = {}
    for trial in trials:
        named[new_id(chance, named)] = trial
    return stimuli, named


def _add_stimuli(
    stimuli: dict[str, Stimulus], subjects: int, sentence: str, chance: Random, *, hidden: bool
) -> dict[Role | int, str]:
    """Give ids to the sounds of a sentence; returns them by role, or by the run's number."""
    roles: list[Role | int] = ["reference", *range(subjects)]
    if hidden:
        roles += ["hidden", "anchor"]
    ids: dict[Role | int, str] = {}
    for role in roles:
        ids[role] = name = new_id(chance, stimuli)
        stimuli[name] = (
            Stimulus(role="run", sentence=sentence, subject=role)
            if isinstance(role, int)
            else Stimulus(role=role, sentence=sentence)
        )
    return ids


def _pairs(
    subjects: int, by_sentence: Mapping[str, Mapping[Role | int, str]], chance: Random
) -> list[Trial]:
    trials = []
    for first, second in combinations(range(subjects), 2):
        for (sentence, ids), swapped in zip(
            by_sentence.items(), _halves(len(by_sentence), chance), strict=True
        ):
            order = (ids[second], ids[first]) if swapped else (ids[first], ids[second])
            trials.append(
                Trial(part=PREFERENCE, sentence=sentence, reference=ids["reference"], stimuli=order)
            )
    return trials


def _halves(count: int, chance: Random) -> list[bool]:
    """Return as many True as False in random order; one more of either where `count` is odd."""
    found = [bool(number % 2) for number in range(count)]
    if chance.random() < 0.5:
        found = [not each for each in found]
    chance.shuffle(found)
    return found


def _screens(by_sentence: Mapping[str, Mapping[Role | int, str]], chance: Random) -> list[Trial]:
    trials = []
    for sentence, ids in by_sentence.items():
        order = [name for role, name in ids.items() if role != "reference"]
        chance.shuffle(order)
        trials.append(
            Trial(part=SCORE, sentence=sentence, reference=ids["reference"], stimuli=tuple(order))
        )
    return trials


# ------------------------------------------------------------------------- on disk


def is_test(name: object) -> bool:
    """Tell whether this could be the id of a test."""
    return isinstance(name, str) and re.fullmatch(r"[0-9a-f]{10}", name) is not None


def key_path(workspace: Path, test: str) -> Path:
    """Return where the key of a test is."""
    return workspace / "listening" / f"{test}.json"


def list_tests(workspace: Path) -> list[str]:
    """Return the ids of the tests this workspace has keys of, sorted."""
    paths = (workspace / "listening").glob("*.json")
    return sorted(path.stem for path in paths if is_test(path.stem))


def write_key(workspace: Path, key: Key) -> None:
    """Write a key, atomically."""
    write_json(key_path(workspace, key.test), dataclasses.asdict(key))


def read_key(workspace: Path, test: str) -> Key:
    """Read the key of a test.

    Raises
    ------
    UnknownName
        This workspace has no key of it.
    CorpuskitError
        The key is damaged, or of a schema this release does not read.
    """
    path = key_path(workspace, test)
    if not is_test(test) or not path.is_file():
        raise _no_key(workspace, test)
    try:
        mapping = read_json(path)
        if mapping["schema"] != SCHEMA:
            told = f"the key of test {test} has schema {mapping['schema']}"
            raise CorpuskitError(f"{told}, this release reads {SCHEMA}")
        return _key_of(mapping)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorpuskitError(f"the key of test {test} is damaged ({error!r})") from None


def _no_key(workspace: Path, test: str) -> UnknownName:
    return unknown("key here of listening test", test, list_tests(workspace))


def _key_of(mapping: dict[str, Any]) -> Key:
    key = Key(
        **{
            **mapping,
            "subjects": tuple(Subject(**each) for each in mapping["subjects"]),
            "stimuli": {name: Stimulus(**each) for name, each in mapping["stimuli"].items()},
            "trials": {
                name: Trial(**{**each, "stimuli": tuple(each["stimuli"])})
                for name, each in mapping["trials"].items()
            },
        }
    )
    for trial in key.trials.values():
        for name in (trial.reference, *trial.stimuli):
            if (key.stimuli[name].subject or 0) not in range(len(key.subjects)):
                raise ValueError(f"{name} is of no run")
    return key

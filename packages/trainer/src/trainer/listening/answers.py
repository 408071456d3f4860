"""The files that listeners send back. They come from anywhere: nothing in them is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit.errors import BadSetting, CorpuskitError, UnknownName
from corpuskit.files import read_json
from trainer.listening.design import PREFERENCE, QUESTIONS, SCORE, Key, Trial, is_test, read_key

__all__ = ["ANSWERS", "SCALE", "Answers", "Gathered", "gather", "read_answers"]

ANSWERS = "listening answers 1"  # what an export says it is
SCALE = (1, 2, 3, 4, 5)
LONGEST = 60  # characters of a listener's name


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one listener answered."""

    file: str
    test: str
    session: str  # random; one for each listener and browser
    listener: str  # the name or code given
    saved: str  # UTC
    chosen: Mapping[str, str | None]  # by trial: the preferred sound; None for no preference
    scores: Mapping[str, Mapping[str, Mapping[str, int]]]  # by trial, sound and question

    @property
    def count(self) -> int:
        """How many trials are answered."""
        return len(self.chosen) + len(self.scores)


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """All usable answers to one test."""

    key: Key
    answers: tuple[Answers, ...]  # one a listener
    partial: tuple[str, ...]  # listeners who left trials unanswered
    set_aside: tuple[tuple[str, str], ...]  # files, and why each does not count


def gather(workspace: Path, paths: Sequence[Path]) -> Gathered:
    """Read exports, hold them against the key of their test, and keep one a listener.

    What is damaged, foreign or there twice is set aside with its reason.

    Raises
    ------
    BadSetting
        Nothing usable is left, or the files answer different tests.
    CorpuskitError
        The test's key is damaged.
    """
    read: list[Answers] = []
    set_aside: list[tuple[str, str]] = []
    keys: dict[str, Key] = {}
    for path in paths:
        try:
            answers = read_answers(path)
            if answers.test not in keys:
                keys[answers.test] = _key(workspace, answers.test)
            _check(answers, keys[answers.test])
            read.append(answers)
        except _Unusable as error:
            set_aside.append((str(path), error.problem))
    if not read:
        raise BadSetting(
            "no usable answers: " + _listed(set_aside), "give the files listeners saved"
        )
    tests = sorted({each.test for each in read})
    if len(tests) > 1:
        files = "; ".join(f"{t}: {', '.join(a.file for a in read if a.test == t)}" for t in tests)
        raise BadSetting(f"answers to {len(tests)} tests ({files})", "score one test at a time")
    kept, repeated = _one_each(read)
    key = keys[tests[0]]
    return Gathered(
        key=key,
        answers=tuple(kept),
        partial=tuple(each.listener for each in kept if each.count < len(key.trials)),
        set_aside=(*set_aside, *repeated),
    )


def _listed(set_aside: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{file} {reason}" for file, reason in set_aside) or "no file given"


def _one_each(read: Sequence[Answers]) -> tuple[list[Answers], list[tuple[str, str]]]:
    """Keep the fullest answers of each listener, of equally full ones those saved last."""
    kept: list[Answers] = []
    repeated = []
    for each in sorted(read, key=lambda each: (each.count, each.saved, each.file), reverse=True):
        same = next((other for other in kept if _same_listener(each, other)), None)
        if same is None:
            kept.append(each)
        else:
            reason = f"is by listener {each.listener}, as {same.file} is, which counts"
            repeated.append((each.file, reason))
    return sorted(kept, key=lambda each: each.listener), repeated


def _same_listener(one: Answers, other: Answers) -> bool:
    same_name = one.listener.casefold() == other.listener.casefold()
    return same_name or one.session == other.session


# ------------------------------------------------------------------------- one file


class _Unusable(CorpuskitError):
    """A file that does not count; `problem` goes on after its name."""


def _key(workspace: Path, test: str) -> Key:
    try:
        return read_key(workspace, test)
    except UnknownName:
        raise _Unusable(f"answers test {test}, of which this workspace has no key") from None


def read_answers(path: Path) -> Answers:
    """Read an export as far as that goes without the key of its test.

    Raises
    ------
    CorpuskitError
        It is none; the problem goes on after the file's name: "is no JSON".
    """
    try:
        mapping = read_json(path)
    except OSError as error:
        raise _Unusable(f"cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise _Unusable("is damaged: it is no JSON") from None
    if not isinstance(mapping, dict) or mapping.get("kind") != ANSWERS:
        raise _Unusable("holds no answers to a listening test")
    if not is_test(mapping.get("test")):
        raise _Unusable("is damaged: it names no test")
    return Answers(
        file=str(path),
        test=mapping["test"],
        session=_text(mapping, "session"),
        listener=_text(mapping, "listener"),
        saved=_text(mapping, "saved"),
        chosen=_mapping(mapping, "chosen"),
        scores=_mapping(mapping, "scores"),
    )


def _text(mapping: Mapping[str, Any], name: str) -> str:
    """Return a short text that can be printed; names come from listeners."""
    value = mapping.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _Unusable(f"is damaged: it tells no {name}")
    plain = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return plain[:LONGEST] or "?"


def _mapping(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = mapping.get(name)
    if not isinstance(value, dict):
        raise _Unusable(f"is damaged: {name} is missing")
    return value


def _check(answers: Answers, key: Key) -> None:
    """Hold answers against what the test asks."""
    if not answers.count:
        raise _Unusable("answers nothing yet")
    for name, chosen in answers.chosen.items():
        trial = _trial(key, name, PREFERENCE)
        if chosen is not None and chosen not in trial.stimuli:
            raise _Unusable(f"is damaged: it prefers a sound that is not in trial {name[:LONGEST]}")
    for name, scores in answers.scores.items():
        trial = _trial(key, name, SCORE)
        if not isinstance(scores, dict) or set(scores) != set(trial.stimuli):
            raise _Unusable(f"is damaged: trial {name[:LONGEST]} is not scored as a whole")
        if not all(_is_scored(each) for each in scores.values()):
            raise _Unusable(f"is damaged: trial {name[:LONGEST]} has scores other than 1 to 5")


def _trial(key: Key, name: str, part: str) -> Trial:
    trial = key.trials.get(name)
    if trial is None or trial.part != part:
        raise _Unusable(f"is damaged: test {key.test} has no {part} trial {name[:LONGEST]!r}")
    return trial


def _is_scored(scores: object) -> bool:
    return (
        isinstance(scores, dict)
        and set(scores) == set(QUESTIONS)
        and all(type(value) is int and value in SCALE for value in scores.values())
    )

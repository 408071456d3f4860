"""Answers and key put together: who was preferred, how well each was scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from corpuskit.errors import CorpuskitError
from trainer.checkpoint import listed
from trainer.listening.answers import Answers, Gathered
from trainer.listening.design import PREFERENCE, QUESTIONS, SCORE, Key, Subject
from trainer.listening.figures import Mean, Preference, mean_of, preference
from trainer.runs import add_listening, open_run, utc_now

__all__ = [
    "ANCHOR",
    "REFERENCE",
    "Between",
    "Figures",
    "Scored",
    "as_results",
    "keep",
    "score",
    "turned",
]

REFERENCE, ANCHOR = "reference", "anchor"  # names of what stands beside the runs


@dataclass(frozen=True, kw_only=True)
class Between:
    """Two runs on the same sentences; numbers are places in `Key.subjects`."""

    first: int
    second: int
    preference: Preference
    differences: Mapping[str, Mean]  # by question: first minus second, on the same screens


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What some sentences show."""

    means: Mapping[str, Mapping[str, Mean]]  # by name ("0" for the first run), then by question
    between: tuple[Between, ...]  # of each two runs


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a test shows."""

    key: Key
    listeners: tuple[str, ...]  # that count
    partial: tuple[str, ...]
    doubtful: tuple[str, ...]  # who scored the hidden reference below the anchor
    screened: bool  # whether the doubtful are left out
    set_aside: tuple[tuple[str, str], ...]  # files, and why
    uneven: int  # preferences that do not count: other pairs of the sentence are unanswered
    figures: Figures
    by_sentence: Mapping[str, Figures]  # by pair


def score(gathered: Gathered, *, screen: bool = False) -> Scored:
    """Say what answers show; `screen` leaves doubtful listeners out.

    A listener is doubtful who scores the hidden reference less natural than the anchor, on
    average (after the post-screening of ITU-R BS.1534-3).

    Raises
    ------
    CorpuskitError
        Nobody is left.
    """
    key = gathered.key
    doubtful = tuple(each.listener for each in gathered.answers if _is_doubtful(each, key))
    left = [each for each in gathered.answers if not (screen and each.listener in doubtful)]
    if not left:
        raise CorpuskitError(
            f"every listener scored the hidden reference below the anchor: {', '.join(doubtful)}",
            "score without --screen, and ask them what they heard",
        )
    even = [_even(each, key) for each in left]
    return Scored(
        key=key,
        listeners=tuple(each.listener for each in left),
        partial=gathered.partial,
        doubtful=doubtful,
        screened=screen,
        set_aside=gathered.set_aside,
        uneven=sum(each.count - kept.count for each, kept in zip(left, even, strict=True)),
        figures=_figures(even, key, key.sentences),
        by_sentence={name: _figures(even, key, [name]) for name in key.sentences},
    )


def _is_doubtful(answers: Answers, key: Key) -> bool:
    reference, anchor = (
        _values([answers], key, key.sentences, name, "naturalness")[answers.listener]
        for name in (REFERENCE, ANCHOR)
    )
    # Screens hold both, so the sums are over equally many.
    return sum(reference) < sum(anchor)


def _even(answers: Answers, key: Key) -> Answers:
    """Keep preferences of those sentences only on which all pairs of runs were answered.

    Else the figures of two pairs would rest on different sentences.
    """
    asked: dict[str, set[str]] = {}
    for name, trial in key.part(PREFERENCE).items():
        asked.setdefault(trial.sentence, set()).add(name)
    whole = {name for names in asked.values() if names <= set(answers.chosen) for name in names}
    chosen = {name: what for name, what in answers.chosen.items() if name in whole}
    return dataclasses.replace(answers, chosen=chosen)


# ---------------------------------------------------------------------- undoing the blinding


def _name(key: Key, stimulus: str) -> str:
    """Return what a sound is in figures: a run's number, "reference" or "anchor"."""
    found = key.stimuli[stimulus]
    if found.subject is not None:
        return str(found.subject)
    return ANCHOR if found.role == "anchor" else REFERENCE


def _figures(answers: Sequence[Answers], key: Key, sentences: Sequence[str]) -> Figures:
    names = [str(number) for number in range(len(key.subjects))]
    heard = [*names, REFERENCE, ANCHOR] if key.part(SCORE) else []
    return Figures(
        means={
            name: {
                question: mean_of(_values(answers, key, sentences, name, question))
                for question in QUESTIONS
            }
            for name in heard
        },
        between=tuple(
            _between(answers, key, sentences, first, second)
            for first, second in combinations(range(len(key.subjects)), 2)
        ),
    )


def _values(
    answers: Sequence[Answers], key: Key, sentences: Sequence[str], name: str, question: str
) -> dict[str, list[int]]:
    """Return every listener's scores of one run (or reference, or anchor), screen by screen."""
    return {
        each.listener: [
            scores[question]
            for trial, screen in sorted(each.scores.items())
            if key.trials[trial].sentence in sentences
            for stimulus, scores in screen.items()
            if _name(key, stimulus) == name
        ]
        for each in answers
    }


def _between(
    answers: Sequence[Answers], key: Key, sentences: Sequence[str], first: int, second: int
) -> Between:
    def difference(question: str) -> Mean:
        ours = _values(answers, key, sentences, str(first), question)
        theirs = _values(answers, key, sentences, str(second), question)
        return mean_of(
            {
                who: [a - b for a, b in zip(values, theirs[who], strict=True)]
                for who, values in ours.items()
            }
        )

    counted = {
        each.listener: _wins(each, key, sentences, (str(first), str(second))) for each in answers
    }
    return Between(
        first=first,
        second=second,
        preference=preference(counted),
        differences={question: difference(question) for question in QUESTIONS},
    )


def _wins(
    answers: Answers, key: Key, sentences: Sequence[str], two: tuple[str, str]
) -> tuple[int, int, int]:
    """Count a listener's choices between two runs: the first, the second, neither."""
    found = [
        None if chosen is None else _name(key, chosen)
        for name, chosen in answers.chosen.items()
        if key.trials[name].sentence in sentences
        and {_name(key, each) for each in key.trials[name].stimuli} == set(two)
    ]
    return found.count(two[0]), found.count(two[1]), found.count(None)


# --------------------------------------------------------------------------- with the runs


def as_results(scored: Scored) -> list[dict[str, Any]]:
    """Return what each run's record keeps of a test, in the order of the key's subjects."""
    return [_result(scored, number) for number in range(len(scored.key.subjects))]


def _result(scored: Scored, number: int) -> dict[str, Any]:
    key, subject = scored.key, scored.key.subjects[number]
    return {
        "test": key.test,
        "scored": utc_now(),
        "dataset": key.dataset,
        "fingerprint": key.fingerprint,
        "split": key.split,
        "sentences": len(key.sentences),
        "listeners": len(scored.listeners),
        "left_out": len(scored.doubtful) if scored.screened else 0,
        "checkpoint": subject.checkpoint,
        "digest": subject.digest,
        "vocoder": subject.vocoder,
        **_told(key, scored.figures, number),
        "by_sentence": {
            name: _told(key, figures, number) for name, figures in scored.by_sentence.items()
        },
    }


def _told(key: Key, figures: Figures, number: int) -> dict[str, Any]:
    """Return what some sentences show of a run, as plain values."""
    return {
        "means": {
            label: {
                question: dataclasses.asdict(mean) for question, mean in figures.means[name].items()
            }
            for label, name in (("run", str(number)), (REFERENCE, REFERENCE), (ANCHOR, ANCHOR))
            if name in figures.means
        },
        "preferences": [
            {**dataclasses.asdict(key.subjects[other]), **dataclasses.asdict(found)}
            for other, found in _preferences_of(figures, number)
        ],
    }


def _preferences_of(figures: Figures, number: int) -> list[tuple[int, Preference]]:
    """Return a run's preferences against each other run, wins being its own."""
    found = []
    for each in figures.between:
        told = each.preference
        if not told.wins + told.losses + told.ties:
            continue
        if each.first == number:
            found.append((each.second, told))
        elif each.second == number:
            found.append((each.first, turned(told)))
    return found


def turned(found: Preference) -> Preference:
    """Return the same preference, seen from the second."""

    def other(share: float | None) -> float | None:
        return None if share is None else 1 - share

    return dataclasses.replace(
        found,
        wins=found.losses,
        losses=found.wins,
        share=other(found.share),
        low=other(found.high),
        high=other(found.low),
        listeners_for=found.listeners_against,
        listeners_against=found.listeners_for,
    )


def keep(
    workspace: Path, scored: Scored, missing: Callable[[str], object] = lambda _: None
) -> list[str]:
    """Write what a test shows into the records of its runs; returns the runs that have it now.

    Scoring again replaces it. A run that is gone, or has other weights now, is told to `missing`.
    """
    kept = []
    for subject, result in zip(scored.key.subjects, as_results(scored), strict=True):
        name = f"{scored.key.test}-{subject.checkpoint}-{subject.vocoder}"
        try:
            _check_same(workspace, subject)
            add_listening(workspace, subject.run, name, result)
            kept.append(subject.run)
        except CorpuskitError as error:
            missing(f"nothing is kept with run {subject.run}: {error}")
    return kept


def _check_same(workspace: Path, subject: Subject) -> None:
    """Refuse a run of the same name with other weights. A checkpoint may be gone, being old."""
    for place in listed(open_run(workspace, subject.run).checkpoints):
        digest = place.state().digests["weights.safetensors"]
        if place.folder.name == subject.checkpoint and digest != subject.digest:
            raise CorpuskitError(f"its {subject.checkpoint} has other weights than were heard")

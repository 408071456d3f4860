"""Listening tests in words. The vocoder stands beside every figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.tables import counted, length, size, table
from trainer.listening.design import QUESTIONS

if TYPE_CHECKING:
    from trainer.listening.design import Key
    from trainer.listening.figures import Mean
    from trainer.listening.making import Made
    from trainer.listening.scoring import Figures, Scored

__all__ = [
    "COUNTS",
    "as_mapping",
    "counts_cell",
    "heard",
    "heavy",
    "in_order",
    "listened",
    "made_as_mapping",
    "mean_cell",
    "missing_sentences",
    "preference_cells",
    "result_name",
    "scored_lines",
    "written",
]

HEAVY = 40_000_000  # bytes; what a browser of a small phone takes in at once
MEANS = {"run": "the run", "reference": "hidden reference", "anchor": "anchor"}


# -------------------------------------------------------------------------- a test is made


def written(made: Made, path: Path, key: Path) -> Iterator[str]:
    """Say what was made, where it is, and how the answers come back."""
    found = made.key
    runs = ", ".join(subject.label for subject in found.subjects)
    yield (
        f"Wrote {path}: {runs} on {counted(len(found.sentences), 'sentence')} of dataset "
        f"{found.dataset}, {counted(len(found.trials), 'screen')}, about "
        f"{length(made.seconds)} a listener, {size(path.stat().st_size)}."
    )
    yield f"The key is {key}: keep it, and keep it from the listeners."
    yield "Answers come back as files: `trainer listen --score answers-*.json`."


def made_as_mapping(made: Made, path: Path, key: Path) -> dict[str, Any]:
    """Return what was made as plain JSON values; for those who hold the key."""
    found = made.key
    return {
        **{name: getattr(found, name) for name in ("test", "dataset", "fingerprint", "split")},
        **{name: getattr(found, name) for name in ("level", "loudness", "anchor", "left_out")},
        "subjects": [dataclasses.asdict(subject) for subject in found.subjects],
        "sentences": list(found.sentences),
        "seconds": round(made.seconds, 1),
        "screens": len(found.trials),
        "page": str(path),
        "key": str(key),
    }


def missing_sentences(made: Made) -> Iterator[str]:
    """Say what was left out for all runs, and whether fewer sentences are left than asked for."""
    reasons = list(made.key.left_out.values())
    for reason in dict.fromkeys(reasons):
        yield f"{counted(reasons.count(reason), 'sentence')} left out for all: {reason}"
    if len(made.key.sentences) < made.asked:
        yield f"{len(made.key.sentences)} of the {made.asked} sentences asked for can be heard"


def heavy(path: Path) -> Iterator[str]:
    """Say when a page may be too much for a phone."""
    if path.stat().st_size > HEAVY:
        yield f"the page has {size(path.stat().st_size)}: for phones, ask for fewer --sentences"


# ------------------------------------------------------------------------ a test is scored


def scored_lines(scored: Scored) -> Iterator[str]:
    """Say who answered, what was preferred, how each was scored, then each sentence."""
    key = scored.key
    sentences = counted(len(key.sentences), f"{key.split} sentence")
    yield (
        f"test {key.test}: dataset {key.dataset}, {sentences}, "
        f"{counted(len(scored.listeners), 'listener')} ({', '.join(scored.listeners)})"
    )
    yield from _who(scored)
    yield from _preferences(scored)
    yield from _means(scored)
    yield from _by_sentence(scored)


def _who(scored: Scored) -> Iterator[str]:
    for file, reason in scored.set_aside:
        yield f"set aside: {file} {reason}"
    if scored.partial:
        yield f"not all answered, what is there counts: {', '.join(scored.partial)}"
    if scored.uneven:
        told = "other pairs of the same sentence are unanswered"
        yield f"set aside: {counted(scored.uneven, 'preference')}, as {told}"
    if scored.doubtful:
        what = "left out" if scored.screened else "counted; --screen leaves them out"
        names = ", ".join(scored.doubtful)
        yield f"scored the hidden reference below the anchor ({what}): {names}"


def _pair(key: Key, first: int, second: int) -> str:
    return f"{key.subjects[first].label} over {key.subjects[second].label}"


def _preferences(scored: Scored) -> Iterator[str]:
    rows = [
        [
            _pair(scored.key, each.first, each.second),
            *preference_cells(dataclasses.asdict(each.preference)),
        ]
        for each in scored.figures.between
        if each.preference.listeners
    ]
    if rows:
        yield ""
        yield from table(["preferred", *PREFERENCE_HEADER], rows)


PREFERENCE_HEADER = ("wins", "ties", "losses", "share", "95 %", "p", "listeners")


def preference_cells(found: Mapping[str, Any]) -> list[str]:
    """Return wins, ties, losses, the share with its interval, p, and the listeners for it."""
    share = low_high = p = "-"
    if found["share"] is not None:
        share = f"{100 * found['share']:.0f} %"
        low_high = f"{100 * found['low']:.0f} to {100 * found['high']:.0f} %"
        p = f"{found['p']:.3f}" if found["p"] >= 0.0005 else "< 0.001"
    listeners = f"{found['listeners_for']} of {found['listeners']}"
    counts = [str(found[name]) for name in ("wins", "ties", "losses")]
    return [*counts, share, low_high, p, listeners]


def mean_cell(mean: Mapping[str, Any], sign: str = "") -> str:
    """Say a mean with half its confidence interval."""
    if mean["mean"] is None:
        return "-"
    half = "" if mean["ci95"] is None else f" ± {mean['ci95']:.2f}"
    return f"{mean['mean']:{sign}.2f}{half}"


def _cell(mean: Mean, sign: str = "") -> str:
    return mean_cell(dataclasses.asdict(mean), sign)


def _names(key: Key) -> dict[str, str]:
    """Return what stands for each name of `Figures.means`."""
    runs = {str(number): subject.label for number, subject in enumerate(key.subjects)}
    return {**runs, "reference": "hidden reference", "anchor": "anchor"}


def _means(scored: Scored) -> Iterator[str]:
    names, figures = _names(scored.key), scored.figures
    rows = [
        [names[name], *(_cell(means[question]) for question in QUESTIONS), _answers(means)]
        for name, means in figures.means.items()
    ]
    if not rows:
        return
    yield ""
    yield from table(["scores, 1 to 5", *QUESTIONS, "answers"], rows)
    for each in figures.between:
        told = ", ".join(f"{name} {_cell(each.differences[name], '+')}" for name in QUESTIONS)
        yield f"{_pair(scored.key, each.first, each.second)}, difference: {told}"
    yield "± is half the 95 % confidence interval over listeners; the anchor is " + (
        scored.key.anchor + "."
    )


def _answers(means: Mapping[str, Mean]) -> str:
    return str(means["naturalness"].answers)


def _by_sentence(scored: Scored) -> Iterator[str]:
    names = _names(scored.key)
    for question in QUESTIONS if scored.figures.means else ():
        rows = [
            [sentence, *(_cell(found.means[name][question]) for name in found.means)]
            for sentence, found in scored.by_sentence.items()
        ]
        yield ""
        yield from table([f"{question} of", *(names[name] for name in scored.figures.means)], rows)
    if any(each.preference.listeners for each in scored.figures.between):
        yield ""
        pairs = [_pair(scored.key, each.first, each.second) for each in scored.figures.between]
        rows = [[name, *_counts(found)] for name, found in scored.by_sentence.items()]
        yield from table([COUNTS, *pairs], rows)


COUNTS = "wins, ties, losses"


def _counts(found: Figures) -> list[str]:
    return [counts_cell(dataclasses.asdict(each.preference)) for each in found.between]


def counts_cell(found: Mapping[str, Any]) -> str:
    """Say wins, ties and losses, and the share with its interval where anything was decided."""
    wins, ties, losses, share, interval, *_ = preference_cells(found)
    decided = "" if found["share"] is None else f": {share} ({interval})"
    return f"{wins}, {ties}, {losses}{decided}"


def as_mapping(scored: Scored) -> dict[str, Any]:
    """Return all of it as plain JSON values, the blinding undone."""
    mapping = dataclasses.asdict(scored)
    key = mapping.pop("key")
    return {
        **mapping,
        "set_aside": [{"file": file, "reason": reason} for file, reason in scored.set_aside],
        **{name: key[name] for name in ("test", "dataset", "fingerprint", "split", "created")},
        **{name: key[name] for name in ("subjects", "level", "loudness", "anchor", "left_out")},
    }


# -------------------------------------------------------------------- what runs keep of it


def in_order(listening: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the results of tests a run was heard in, the newest last."""
    return [
        listening[name] for name in sorted(listening, key=lambda n: (listening[n]["scored"], n))
    ]


def result_name(result: Mapping[str, Any]) -> str:
    """Name a test as it stands beside a run's figures."""
    return (
        f"test {result['test']}, {result['checkpoint']}, vocoder {result['vocoder']}, "
        f"{counted(result['sentences'], 'sentence')} of dataset {result['dataset']}, "
        f"{counted(result['listeners'], 'listener')}"
    )


def heard(listening: Mapping[str, Mapping[str, Any]]) -> str:
    """Say the newest in a few characters: the mean naturalness, else the preference."""
    if not listening:
        return ""
    result = in_order(listening)[-1]
    if result["means"] and result["means"]["run"]["naturalness"]["mean"] is not None:
        return f"{mean_cell(result['means']['run']['naturalness'])} ({result['vocoder']})"
    for found in result["preferences"]:
        if found["share"] is not None:
            share = f"{100 * found['share']:.0f} % over {found['run']}"
            return f"{share} ({_vocoders(result['vocoder'], found['vocoder'])})"
    return ""


def _vocoders(ours: str, theirs: str) -> str:
    return ours if ours == theirs else f"{ours}, {theirs}"


def listened(listening: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Tell of every test a run was heard in, the oldest first."""
    for result in in_order(listening):
        yield f"listened to: {result_name(result)}"
        for question in QUESTIONS if result["means"] else ():
            told = ", ".join(
                f"{words} {mean_cell(result['means'][name][question])}"
                for name, words in MEANS.items()
            )
            yield f"  {question}, 1 to 5: {told}"
        for found in result["preferences"]:
            yield f"  {_against(found)}"


def _against(found: Mapping[str, Any]) -> str:
    other = f"{found['run']} {found['checkpoint']} ({found['vocoder']})"
    wins, ties, losses, share, interval, p, listeners = preference_cells(found)
    told = f"preferred to run {other}: {wins} wins, {ties} ties, {losses} losses"
    if found["share"] is None:
        return told
    return f"{told}; {share} ({interval}), p {p}, by {listeners} listeners"

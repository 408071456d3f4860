"""Evaluations of two runs that can be held against each other: on one dataset, as it was then.

Runs that were trained on two versions were still heard on the same utterances where both were
evaluated on one of them; where they were not, it is said what to type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpuskit.errors import CorpuskitError
from trainer.scores import evaluations

if TYPE_CHECKING:
    from corpuskit.versions import Version
    from trainer.runs import Run

__all__ = ["Ground", "commands", "grounds", "newest"]

Evaluated = Mapping[str, Any]  # evaluations/*.json


@dataclass(frozen=True, kw_only=True)
class Ground:
    """One dataset on which both runs were evaluated through the same vocoder."""

    one: Evaluated
    other: Evaluated
    told: str  # "dataset N2C", with the checkpoints where one is not the run's best


def grounds(a: Run, b: Run) -> list[Ground]:
    """Return what both runs were evaluated on, the first one's dataset first.

    Of several evaluations on one dataset, that of the best checkpoint counts, and of these the
    newest through a vocoder both went through.
    """
    mine, theirs = _by_place(a), _by_place(b)
    found: dict[str, Ground] = {}
    for fingerprint, vocoder in mine:
        if fingerprint in found or (fingerprint, vocoder) not in theirs:
            continue
        one, other = (each[fingerprint, vocoder] for each in (mine, theirs))
        found[fingerprint] = Ground(one=one, other=other, told=_told((a, one), (b, other)))
    own = [run.record.dataset.fingerprint for run in (a, b)]
    first = [found.pop(each) for each in dict.fromkeys(own) if each in found]
    return [*first, *found.values()]


def newest(run: Run) -> dict[str, Evaluated]:
    """Return a run's evaluations on its own dataset by vocoder, the newest first."""
    found: dict[str, Evaluated] = {}
    for each in reversed(evaluations(run.folder)):
        if each["dataset"] == run.record.dataset.name:
            found.setdefault(each["vocoder"], each)
    return found


def commands(a: Run, b: Run, version: Version) -> tuple[str, ...]:
    """Return what to type so that both runs are evaluated on a version; empty if it cannot be."""
    if not version.split("eval") or not all(_fits(run, version) for run in (a, b)):
        return ()
    return tuple(
        f"trainer evaluate {run.tag}"
        + ("" if run.record.dataset.name == version.name else f" --spk {version.name}")
        for run in (a, b)
        if all(fingerprint != version.fingerprint for fingerprint, _ in _by_place(run))
    )


def _by_place(run: Run) -> dict[tuple[str, str], Evaluated]:
    """Return the evaluation that counts of each (fingerprint, vocoder), the newest first."""
    found: dict[tuple[str, str], Evaluated] = {}
    for each in reversed(evaluations(run.folder)):
        place = each["fingerprint"], each["vocoder"]
        if place not in found or (_is_best(run, each) and not _is_best(run, found[place])):
            found[place] = each
    return found


def _is_best(run: Run, evaluation: Evaluated) -> bool:
    return bool(evaluation["checkpoint"] == f"epoch-{run.record.best_epoch or 0:04d}")


def _told(*both: tuple[Run, Evaluated]) -> str:
    others = [
        f"{run.tag} at {evaluation['checkpoint']}"
        for run, evaluation in both
        if not _is_best(run, evaluation)
    ]
    return ", ".join([f"dataset {both[0][1]['dataset']}", *others])


def _fits(run: Run, version: Version) -> bool:
    """Tell whether a run can be evaluated on a version: its frames, its voices."""
    from trainer.evaluate import check_same_frames

    try:
        check_same_frames(run.settings, version.settings, version.name, run.tag)
    except CorpuskitError:
        return False
    return set(_voices(version)) <= set(run.speakers)


def _voices(version: Version) -> Iterator[str]:
    for pair in version.split("eval"):
        yield pair.source.speaker
        yield pair.target.speaker

"""Why one run differs from another: causes in the order in which they usually matter, then results.

A result is compared where it is the same thing: a loss over the same dev pairs in the same units,
a metric of the same definition over the same recordings. Elsewhere it is said why not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpuskit.diff import diff_settings, diff_versions
from corpuskit.errors import BadVersion, UnknownName
from corpuskit.versions import Pair, Side, Version, open_version
from trainer import lineage
from trainer.common_ground import commands, grounds, newest
from trainer.config import idle, with_defaults
from trainer.course import Course, apart
from trainer.courses import trained_course
from trainer.identity import differences
from trainer.near import parent_of_run
from trainer.runs import Run, metrics, open_run

__all__ = ["Cause", "Comparison", "Result", "compare"]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Something that was not the same."""

    what: str  # "dataset", "learning rate", "model.width", ...
    told: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """One figure of both runs."""

    name: str  # a loss, or a metric's definition
    before: float | None
    after: float | None
    pairs: int = 0  # it rests on, the same for both
    half: float | None = None  # of the 95 % confidence interval of the change, over pairs
    reason: str = ""  # why the two are not comparable; empty where they are
    on: str = ""  # the dataset the pairs are of, where it is not that of both runs' training


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How run `after` differs from run `before`."""

    before: str
    after: str
    same: bool  # one identity: the same training
    causes: tuple[Cause, ...]
    results: tuple[Result, ...]
    commands: tuple[str, ...] = ()  # that would make results comparable, where none is


def compare(workspace: Path, before: str, after: str) -> Comparison:
    """Compare two runs of a workspace.

    Raises
    ------
    CorpuskitError
        One does not exist or is damaged. A dataset that is gone is no error.
    """
    runs = open_run(workspace, before), open_run(workspace, after)
    datasets = _Datasets(*runs)
    results = (*_losses(*runs, datasets), *_metrics(*runs, datasets))
    return Comparison(
        before=before,
        after=after,
        same=runs[0].record.identity == runs[1].record.identity,
        causes=tuple(_causes(*runs, datasets)),
        results=results,
        commands=() if any(not each.reason for each in results) else _to_compare(*runs, datasets),
    )


def _to_compare(a: Run, b: Run, datasets: _Datasets) -> tuple[str, ...]:
    """Say what to type for results on the same utterances; those of the first run's dataset."""
    here = [version for version in datasets.versions if version is not None]
    return next((told for each in here if (told := commands(a, b, each))), ())


# ---------------------------------------------------------------------- causes


def _causes(a: Run, b: Run, datasets: _Datasets) -> Iterator[Cause]:
    yield from datasets.causes()
    yield from _parent(a, b)
    yield from _statistics(a, b)
    yield from _rates(trained_course(a), trained_course(b))
    if a.record.epoch != b.record.epoch:
        yield Cause(what="epochs trained", told=f"{a.record.epoch} -> {b.record.epoch}")
    configs = [with_defaults(run.record.parts["config"]) for run in (a, b)]
    changed = differences(*configs)
    told_above = {"optim.warm_up", "optim.max_lr_scale", "train.batch_size"}
    without_effect = idle(configs[0]) & idle(configs[1])
    for key in sorted(changed.keys() - told_above - without_effect, key=_importance):
        old, new = changed[key]
        yield Cause(what=key, told=f"{old} -> {new}")
    yield from _made_with(a, b)


def _importance(key: str) -> tuple[int, str]:
    """Put what a model is before how it is trained, and the seed last."""
    order = ("model.", "optim.", "train.")
    place = next((i for i, start in enumerate(order) if key.startswith(start)), len(order))
    return (len(order) + 1 if key == "train.seed" else place, key)


def _parent(a: Run, b: Run) -> Iterator[Cause]:
    old, new = (parent_of_run(run) for run in (a, b))
    if a.record.parts["parent"] != b.record.parts["parent"]:
        yield Cause(what="parent", told=f"{old} -> {new}")


def _statistics(a: Run, b: Run) -> Iterator[Cause]:
    if a.record.parts["statistics"]["values"] != b.record.parts["statistics"]["values"]:
        old, new = (run.record.statistics.dataset for run in (a, b))
        yield Cause(what="normalisation", told=f"statistics of dataset {old} -> of dataset {new}")


def _rates(a: Course, b: Course) -> Iterator[Cause]:
    if a.batch_size != b.batch_size:
        yield Cause(
            what="batch size",
            told=f"{a.batch_size} -> {b.batch_size} pairs a step "
            f"({a.steps_an_epoch:,} -> {b.steps_an_epoch:,} steps an epoch)",
        )
    ratio = apart(a, b)
    if ratio > 1.0 + 1e-9:
        yield Cause(
            what="learning rate",
            told=f"{_begun(a, b)}warm-up {a.warm_up:,} -> {b.warm_up:,} steps, "
            f"cap {a.cap or 'none'} -> {b.cap or 'none'}; "
            f"peak {_peak(a)} -> {_peak(b)}; sum {a.area:.3g} -> {b.area:.3g}; "
            f"at the same sample apart by up to {ratio:.3g} times{_crossing(a, b)}",
        )


def _begun(a: Course, b: Course) -> str:
    """Say where on the schedule each begins, if a kept optimiser had steps behind it."""
    if not (a.first_step or b.first_step):
        return ""
    return f"begins after step {a.first_step:,} -> {b.first_step:,} of the schedule; "


def _peak(course: Course) -> str:
    rate, step = course.peak
    if course.peaks_before:
        return f"{rate:.2e} at step {step:,} (before it began)"
    return f"{rate:.2e} at step {step:,} (sample {course.samples_at(step):,})"


def _crossing(a: Course, b: Course) -> str:
    """Say at which sample one rate overtakes the other, if it does."""
    last = min(each.samples_at(each.steps) for each in (a, b))
    samples = np.unique(np.linspace(max(a.batch_size, b.batch_size), last, 2000).astype(np.int64))
    higher = np.sign(a.rates_at(samples) - b.rates_at(samples))
    signs = higher[higher != 0]
    if not len(signs) or (signs == signs[0]).all():
        return ""
    first = int(samples[higher != 0][np.flatnonzero(signs != signs[0])[0]])
    return f", crossing near sample {first:,}"


def _made_with(a: Run, b: Run) -> Iterator[Cause]:
    if a.record.parts["code"] != b.record.parts["code"]:
        yield Cause(what="code", told="the code of the model and loop is another one")
    old, new = (run.record.sessions[-1] for run in (a, b))
    for name, (was, now) in differences(old.libraries, new.libraries).items():
        yield Cause(what=f"library {name}", told=f"{was} -> {now}")
    if old.device != new.device:
        yield Cause(what="device", told=f"{old.device} -> {new.device}")


# -------------------------------------------------------------------- datasets


class _Datasets:
    """The dataset versions of two runs, where the workspace still has them."""

    def __init__(self, a: Run, b: Run) -> None:
        self.runs = (a, b)
        self.versions = (_version_of(a), _version_of(b))

    @property
    def same(self) -> bool:
        """Whether both runs saw one version."""
        a, b = self.runs
        return a.record.dataset.fingerprint == b.record.dataset.fingerprint

    def causes(self) -> Iterator[Cause]:
        """Say what differs between the versions, and who moved to another split."""
        a, b = (run.record.dataset for run in self.runs)
        old, new = self.versions
        if not self.same:
            if old is not None and new is not None:
                told = diff_versions(old, new).sentence
            else:
                told = self._settings()
            yield Cause(what="dataset", told=f"{a.name} -> {b.name}: {told}")
        if self.runs[0].record.parts["split"] != self.runs[1].record.parts["split"]:
            yield Cause(what="split", told=self._moved())

    def _settings(self) -> str:
        changed = diff_settings(self.runs[0].settings, self.runs[1].settings)
        told = ", ".join(f"{each.key} {each.before} -> {each.after}" for each in changed)
        gone = [run.record.dataset.name for run, version in self.both() if version is None]
        names = " and ".join(dict.fromkeys(gone))
        return f"{told or 'no setting differs'} ({names} as trained on is not in the workspace)"

    def both(self) -> Iterator[tuple[Run, Version | None]]:
        """Give each run with its version."""
        return zip(self.runs, self.versions, strict=True)

    def _moved(self) -> str:
        if any(version is None for version in self.versions):
            return "other pairs are trained on or scored"
        before, after = (
            {pair.id: _place(pair, run) for pair in version.pairs}
            for run, version in self.both()
            if version is not None
        )
        moved = sum(before[name] != after[name] for name in before.keys() & after.keys())
        only = len(before.keys() - after.keys()), len(after.keys() - before.keys())
        return f"{moved} pairs moved to another split, {only[0]} left out, {only[1]} new"

    def scored(self, split: str) -> tuple[dict[str, Pair], dict[str, Pair]] | None:
        """Return each version's pairs of a split that count in scores; None where one is gone."""
        if any(version is None for version in self.versions):
            return None
        first, second = (
            {pair.id: pair for pair in lineage.without(version.split(split), _left_out(run))}
            for run, version in self.both()
            if version is not None
        )
        return first, second

    def alike(self, one: Pair, other: Pair) -> bool:
        """Tell whether a pair's two sides are the same frames of the same recordings."""
        if self.same:
            return True
        return all(
            _cut(getattr(one, side)) == _cut(getattr(other, side)) for side in ("source", "target")
        )

    def aligned_alike(self, one: Pair, other: Pair) -> bool:
        """Tell whether a pair has the same durations in both versions."""
        old, new = self.versions
        assert old is not None
        assert new is not None
        return self.same or np.array_equal(old.durations(one), new.durations(other))


def _version_of(run: Run) -> Version | None:
    dataset = run.record.dataset
    try:
        version = open_version(run.workspace, dataset.name)
    except (BadVersion, UnknownName):
        return None
    return version if version.fingerprint == dataset.fingerprint else None


def _place(pair: Pair, run: Run) -> str:
    return f"{pair.split}, not scored" if pair.id in _left_out(run) else pair.split


def _left_out(run: Run) -> tuple[str, ...]:
    return () if run.record.leaks.kept else run.record.leaks.pairs


def _cut(side: Side) -> tuple[Any, ...]:
    return side.object, side.frames, side.samples


# --------------------------------------------------------------------- results


def _losses(a: Run, b: Run, datasets: _Datasets) -> Iterator[Result]:
    """Compare the dev losses of the best epochs."""
    rows = _best_row(a), _best_row(b)
    if rows[0] is None or rows[1] is None:
        return
    before, after = rows[0]["dev"], rows[1]["dev"]
    reason, pairs = _why_no_loss(a, b, datasets)
    searched = {run.config.model.align for run in (a, b)} != {"dtw"}
    for name in (each for each in before if each in after):
        own = reason
        if not own and searched and name in ("duration", "total"):
            own = "durations are the model's own, other ones in each run"
        yield Result(
            name=f"dev loss {name}",
            before=before[name],
            after=after[name],
            pairs=pairs,
            reason=own,
        )


def _best_row(run: Run) -> dict[str, Any] | None:
    rows = metrics(run.folder)
    found = [row for row in rows if row["epoch"] == run.record.best_epoch]
    return found[0] if found else None


def _why_no_loss(a: Run, b: Run, datasets: _Datasets) -> tuple[str, int]:
    """Return why dev losses cannot be compared (empty if they can), and over how many pairs."""
    if a.record.parts["statistics"]["values"] != b.record.parts["statistics"]["values"]:
        return "normalised by other statistics", 0
    scored = datasets.scored("dev")
    if scored is None:
        return ("", 0) if datasets.same else ("a dataset is gone, its dev pairs are unknown", 0)
    one, other = scored
    if one.keys() != other.keys():
        common = len(one.keys() & other.keys())
        return f"other dev pairs ({len(one)} and {len(other)}, {common} of them the same)", 0
    cut = [name for name in one if not datasets.alike(one[name], other[name])]
    cut += [
        name
        for name in one
        if name not in cut and not datasets.aligned_alike(one[name], other[name])
    ]
    if cut:
        return f"{len(cut)} of {len(one)} dev pairs are cut or aligned otherwise", 0
    return "", len(one)


def _metrics(a: Run, b: Run, datasets: _Datasets) -> Iterator[Result]:
    """Compare evaluations on every dataset both were evaluated on, utterance by utterance.

    Where there is none, those on their own datasets, over utterances that are alike in both.
    """
    leaked = {*_left_out(a), *_left_out(b)}
    shared = grounds(a, b)
    for ground in shared:
        heard = {each["pair"] for each in ground.one["utterances"]} - leaked
        yield from _measured(ground.one, ground.other, heard, ground.told)
    found = [newest(run) for run in (a, b)]
    if shared or not all(found):
        return
    same = [name for name in found[0] if name in found[1]]
    one, other = (each[same[0]] if same else next(iter(each.values())) for each in found)
    yield from _measured(one, other, _same_utterances(datasets))


def _measured(
    one: Mapping[str, Any], other: Mapping[str, Any], common: set[str] | None, on: str = ""
) -> Iterator[Result]:
    """Compare two evaluations over some utterances; None where nobody knows what was scored."""
    for metric, definition in one["definitions"].items():
        reason = _why_no_metric(one, other, metric, common)
        values = [_values(each, metric) for each in (one, other)]
        names = sorted(values[0].keys() & values[1].keys() & (common or set()))
        if not reason and not names:
            reason = "no utterance was scored in both"
        pair = [np.array([each[name] for name in names]) for each in values]
        yield Result(
            name=definition,
            before=float(pair[0].mean()) if names else _mean(one, metric),
            after=float(pair[1].mean()) if names else _mean(other, metric),
            pairs=0 if reason else len(names),
            half=None if reason else _half(pair[1] - pair[0]),
            reason=reason,
            on=on,
        )


def _same_utterances(datasets: _Datasets) -> set[str] | None:
    """Return the eval pairs whose recordings are kept alike; None where that is unknown."""
    scored = datasets.scored("eval")
    if scored is None:
        return None
    one, other = scored
    return {name for name in one.keys() & other.keys() if datasets.alike(one[name], other[name])}


def _why_no_metric(
    one: Mapping[str, Any], other: Mapping[str, Any], metric: str, common: set[str] | None
) -> str:
    if one["definitions"][metric] != other["definitions"].get(metric):
        return f"another definition ({other['definitions'].get(metric)})"
    if one["vocoder"] != other["vocoder"]:
        return f"vocoder {one['vocoder']} and {other['vocoder']}"
    if common is None:
        return "a dataset is gone, so what was scored is unknown"
    if not common:
        return "no eval utterance is the same recording, kept alike, in both datasets"
    return ""


def _values(evaluation: Mapping[str, Any], metric: str) -> dict[str, float]:
    found = {
        each["pair"]: each["distances"]["converted"][metric]
        for each in evaluation["utterances"]
        if each["distances"]
    }
    return {name: value for name, value in found.items() if value is not None}


def _mean(evaluation: Mapping[str, Any], metric: str) -> float | None:
    mean: float | None = evaluation["figures"]["converted"][metric]["mean"]
    return mean


def _half(changes: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    """Return half the 95 % confidence interval of a mean change, after Student."""
    from scipy.special import stdtrit

    count = len(changes)
    if count < 2:
        return None
    return float(stdtrit(count - 1, 0.975) * changes.std(ddof=1) / np.sqrt(count))

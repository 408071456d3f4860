"""What thresholds would do to the recordings of a dataset definition: where its stages meet.

layouts -> pairs -> a sample -> level curves -> rows, profiles -> recommendation
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpuskit import engine
from corpuskit.bookkeeping import nothing_to_pair
from corpuskit.config import DatasetConfig, SilenceConfig
from corpuskit.directions import directions
from corpuskit.errors import BadSetting
from corpuskit.layouts import Found, scan
from corpuskit.levels import Levels, Profile, levels_of, profile
from corpuskit.pairs import Candidate, candidates
from corpuskit.preview.curves import open_curve
from corpuskit.preview.recommend import Recommendation, recommend
from corpuskit.preview.rows import Looked, Measured, Row, cut_of, row_of
from corpuskit.recordings import Index

__all__ = ["Event", "Note", "Previewed", "Progress", "Request", "preview"]

Grid = Sequence[Sequence[SilenceConfig]]  # by threshold and minimal silence length


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be looked at."""

    name: str  # of the family or version
    settings: DatasetConfig
    workspace: Path
    thresholds: tuple[float, ...]  # dBFS
    head_thresh: float | None = None  # dBFS; the settings' own when None
    min_silence_lens: tuple[int, ...] = ()  # ms; the settings' own when empty
    sample: int | None = 200  # pairs; None for all
    jobs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`done` of `total` recordings are measured."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something to read on the way."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """Everything a preview found."""

    request: Request
    candidates: int  # pairs there are
    looked: Looked
    rows: tuple[Row, ...]  # as asked, in order
    grid: Grid  # the settings behind them
    recommended: Recommendation
    recommended_row: Row  # what the recommended thresholds do
    recommended_grid: Grid
    set_aside: dict[str, str]  # recordings that cannot be used, and why

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """What the levels of each voice say."""
        return self.looked.profiles


Event = Progress | Note | Previewed


def preview(request: Request) -> Iterator[Event]:
    """Look at a sample of pairs, yielding events; the last is `Previewed`.

    Level curves come from the store where the workspace has them, and are added where not;
    nothing else is written.

    Raises
    ------
    BadSetting
        A setting cannot be used, or no pair is there to look at.

    """
    grid = _grid(request, request.thresholds, request.head_thresh)
    ways = directions(request.settings)
    scanned = scan(request.settings.corpora)
    wanted = candidates(scanned.recordings, ways)
    if not wanted:
        raise nothing_to_pair(scanned, request.settings)
    for text in scanned.warnings:
        yield Note(text=text)
    if request.settings.tiers.folder:
        yield Note(text="tiers corrected by hand are not looked at: thresholds alone are shown")
    drawn = _drawn(wanted, request.sample)
    levels: dict[str, Levels] = {}
    measured = yield from _measure(request, drawn, grid, levels)
    usable = [
        pair
        for pair in drawn
        if not any(measured[found.id].facts.problem for found in (pair.source, pair.target))
    ]
    if not usable:
        raise _nothing_usable(measured)
    told = {speaker: profile(levels[speaker]) for speaker in sorted(levels)}
    looked = Looked(
        pairs=usable,
        measured=measured,
        levels=levels,
        profiles={speaker: p for speaker, p in told.items() if p is not None},
    )
    if not looked.profiles:
        raise BadSetting(
            "no recording looked at has 50 ms without digital zero, so no level can be measured",
            "look at more with --sample, or check the recordings",
        )
    best = recommend(looked.profiles, request.thresholds)
    best_grid = _grid(request, (best.thresh,), best.head_thresh)
    again = yield from _measure(request, usable, best_grid, None)
    yield Previewed(
        request=request,
        candidates=len(wanted),
        looked=looked,
        rows=tuple(row_of(looked, place, each) for place, each in enumerate(grid)),
        grid=grid,
        recommended=best,
        recommended_row=row_of(dataclasses.replace(looked, measured=again), 0, best_grid[0]),
        recommended_grid=best_grid,
        set_aside={name: m.facts.problem for name, m in measured.items() if m.facts.problem},
    )


def _grid(request: Request, thresholds: Sequence[float], head: float | None) -> Grid:
    own = request.settings.silence
    return [
        [
            dataclasses.replace(
                own,
                thresh=thresh,
                head_thresh=own.head_thresh if head is None else head,
                min_silence_len=length,
            )
            for length in request.min_silence_lens or (own.min_silence_len,)
        ]
        for thresh in thresholds
    ]


def _drawn(wanted: Sequence[Candidate], sample: int | None) -> list[Candidate]:
    """Draw pairs by a hash of their id: the same ones wherever and whenever it is asked."""

    def rank(pair: Candidate) -> bytes:
        return hashlib.sha256(f"preview/{pair.id}".encode()).digest()

    return sorted(wanted, key=rank)[:sample]


def _nothing_usable(measured: Mapping[str, Measured]) -> BadSetting:
    reasons = Counter(m.facts.problem for m in measured.values() if m.facts.problem)
    told = ", ".join(f"{count} x {text}" for text, count in reasons.most_common(3))
    return BadSetting(
        f"none of the pairs looked at can be used: {told}",
        "check the recordings, or look at more with --sample",
    )


def _measure(
    request: Request, pairs: Sequence[Candidate], grid: Grid, levels: dict[str, Levels] | None
) -> Generator[Event, None, dict[str, Measured]]:
    """Measure every recording of the pairs once, in threads: decoding releases the GIL.

    Levels are summed up by speaker into `levels`, unless they are known already.
    """
    involved = {found.id: found for pair in pairs for found in (pair.source, pair.target)}
    order = [involved[name] for name in sorted(involved)]
    index = Index(request.workspace, [c.root for c in request.settings.corpora.values()])
    task = functools.partial(_measure_one, request.workspace, index, grid, levels is not None)
    stage = "recommendation" if levels is None else "levels"
    measured: dict[str, Measured] = {}
    runs = engine.run(task, order, engine.job_count(request.jobs), "threading")
    try:
        for done, (position, (outcome, counted)) in enumerate(runs, start=1):
            found = order[position]
            measured[found.id] = outcome
            if levels is not None and counted is not None:
                before = levels.get(found.speaker)
                levels[found.speaker] = counted if before is None else before + counted
            yield Progress(stage=stage, done=done, total=len(order))
    finally:
        index.save()
    return measured


def _measure_one(
    workspace: Path, index: Index, grid: Grid, count: bool, found: Found
) -> tuple[Measured, Levels | None]:
    facts, curve = open_curve(workspace, index, found)
    if curve is None:
        return Measured(facts=facts, cuts=()), None
    cuts = tuple(tuple(cut_of(curve, settings) for settings in each) for each in grid)
    return Measured(facts=facts, cuts=cuts), levels_of(curve) if count else None

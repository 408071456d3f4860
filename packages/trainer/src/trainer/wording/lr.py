"""Learning rates in words, and as a drawing in characters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from corpuskit.tables import table
from trainer.course import Course, Proposal, apart
from trainer.courses import Asked

__all__ = ["as_mapping", "described", "drawing"]

WIDTH, HEIGHT = 64, 12  # characters of a drawing
MARKS = ("*", "o")
SAME = 1.005  # times apart: less is the rounding of a step


def described(asked: Asked, proposals: Sequence[Proposal]) -> Iterator[str]:
    """Describe a course, beside another where there is one."""
    named = asked.named()
    yield from (f"{mark} {name}" for mark, (name, _) in zip(MARKS, named, strict=False))
    yield from drawing([course for _, course in named])
    columns = [_figures(course) for _, course in named]
    rows = [[name, *(each[name] for each in columns)] for name in columns[0]]
    yield from table(["", *(name for name, _ in named)], rows)
    if asked.other is not None:
        ratio = apart(asked.own, asked.other)
        yield (
            "at the same sample the rates are the same"
            if ratio <= SAME
            else f"at the same sample the rates differ by up to {ratio:.3g} times"
        )
    for each in proposals:
        far = "the same rates" if each.apart <= SAME else f"apart by up to {each.apart:.3g} times"
        yield (
            f"to keep {each.what}: {' '.join(f'--set {text}' for text in each.settings)} "
            f"(peak {each.course.peak.lr:.2e} at step {each.course.peak.step:,}, "
            f"{each.course.samples_at(each.course.peak.step):,} samples; "
            f"{far})"
        )


def _figures(course: Course) -> dict[str, str]:
    rate, step = course.peak
    cap = course.capped_from
    return {
        "warm-up": f"{course.warm_up:,} steps, {course.warm_up * course.batch_size:,} samples",
        "cap": "none" if not course.cap else f"{course.cap:g} of 1/16",
        "batch": f"{course.batch_size} pairs, {course.steps_an_epoch:,} steps an epoch",
        "training": f"{course.epochs:,} epochs, {course.steps:,} steps, "
        f"{course.samples_at(course.steps):,} samples",
        "peak": f"{rate:.2e} at step {step:,}, "
        + (
            f"before it begins, with {course.rate(course.first_step + 1):.2e}"
            if course.peaks_before
            else f"epoch {course.epoch_at(step):.1f}, sample {course.samples_at(step):,}"
        ),
        "rise": f"{course.slope:.2e} a step, {course.slope / course.batch_size:.2e} a sample",
        "cap acts": "never" if cap is None else f"from step {cap:,}",
        "at the end": f"{course.rate(max(1, course.steps)):.2e}",
        "sum of all rates": f"{course.area:.4g}",
    }


def drawing(courses: Sequence[Course]) -> Iterator[str]:
    """Draw courses over samples, the first one's steps and epochs below."""
    own = courses[0]
    last = max(course.samples_at(course.steps) for course in courses)
    highest = max(_highest(course) for course in courses)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for mark, course in reversed(list(zip(MARKS, courses, strict=False))):
        for column, rate in enumerate(_sampled(course, last)):
            if rate is not None:
                row = min(HEIGHT - 1, int(HEIGHT * rate / highest))
                grid[HEIGHT - 1 - row][column] = mark
    labels = [f"{highest:.1e}", *[""] * (HEIGHT - 2), "0"]
    for label, line in zip(labels, grid, strict=True):
        yield f"{label:>8} |{''.join(line)}".rstrip()
    yield f"{'':>8} +{'-' * WIDTH}"
    places = [last * share for share in (0, 0.25, 0.5, 0.75, 1)]
    for name, values in (
        ("sample", places),
        ("step", [own.first_step + place / own.batch_size for place in places]),
        ("epoch", [place / own.batch_size / own.steps_an_epoch for place in places]),
    ):
        yield f"{name:>8}  " + _spread([_short(value) for value in values])


def _highest(course: Course) -> float:
    reached = min(max(course.peak.step, course.first_step + 1), max(1, course.steps))
    return course.rate(reached)


def _sampled(course: Course, last: int) -> Iterator[float | None]:
    """Give the rate in the middle of each column; None after the training."""
    for place in (np.arange(WIDTH) + 0.5) / WIDTH * last:
        step = course.first_step + max(1, math.ceil(place / course.batch_size))
        yield course.rate(step) if step <= course.steps else None


def _spread(labels: Sequence[str]) -> str:
    """Put labels at equal distances over the width of a drawing, the last one at its end."""
    gap = WIDTH // (len(labels) - 1)
    return "".join(f"{label:<{gap}}" for label in labels[:-1]) + labels[-1]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def as_mapping(asked: Asked, proposals: Sequence[Proposal]) -> dict[str, Any]:
    """Return the same as plain JSON values."""
    return {
        "courses": [{"name": name, **_plain(course)} for name, course in asked.named()],
        "apart": None if asked.other is None else apart(asked.own, asked.other),
        "lr_limit": asked.limit,
        "proposals": [
            {
                "keeps": each.what,
                "settings": list(each.settings),
                "apart": each.apart,
                **_plain(each.course),
            }
            for each in proposals
        ],
    }


def _plain(course: Course) -> dict[str, Any]:
    rate, step = course.peak
    return {
        "warm_up": course.warm_up,
        "max_lr_scale": course.cap or 0.0,
        "batch_size": course.batch_size,
        "pairs": course.pairs,
        "epochs": course.epochs,
        "steps": course.steps,
        "samples": course.samples_at(course.steps),
        "peak": {"lr": rate, "step": step, "sample": course.samples_at(step)},
        "slope": course.slope,
        "capped_from": course.capped_from,
        "area": course.area,
    }

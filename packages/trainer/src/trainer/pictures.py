"""Drawings in files, by matplotlib, without a display."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from corpuskit.files import write_file
from trainer.course import Course

__all__ = ["draw_courses"]

_POINTS = 1000


def draw_courses(file: Path, courses: Sequence[tuple[str, Course]]) -> None:
    """Draw learning rates over steps, over epochs and over samples, side by side, into a PNG.

    Raises
    ------
    CorpuskitError
        The file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for number, (name, course) in enumerate(courses):
        steps = np.unique(np.linspace(course.first_step + 1, course.steps, _POINTS).astype(int))
        rates = course.rates(steps)
        epochs = [course.epoch_at(step) for step in steps.tolist()]
        samples = [course.samples_at(step) for step in steps.tolist()]
        style = {"label": name, "linestyle": ("-", "--")[number % 2], "color": f"C{number}"}
        for axis, places in zip(axes, (steps, epochs, samples), strict=True):
            axis.plot(places, rates, **style)
    for axis, what in zip(axes, ("step", "epoch", "sample"), strict=True):
        axis.set_xlabel(what)
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("learning rate")
    axes[0].legend(fontsize="small")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    write_file(file, drawn.getvalue())

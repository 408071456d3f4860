"""The rows of metrics.jsonl again, as TensorBoard events: curves, pictures and sounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

    from trainer.samples import Sample

__all__ = ["Curves"]


class Curves:
    """Writes events into a folder; the writer is made when there is something to write."""

    def __init__(self, folder: Path, first_step: int) -> None:
        """Hide what an earlier session wrote from `first_step` on."""
        self._folder = folder
        self._first_step = first_step
        self._made: SummaryWriter | None = None

    def _writer(self) -> SummaryWriter:
        if self._made is None:
            import warnings

            with warnings.catch_warnings():  # tensorboard brings its dependencies' notices
                warnings.simplefilter("ignore", DeprecationWarning)
                from torch.utils.tensorboard.writer import SummaryWriter

            self._made = SummaryWriter(str(self._folder), purge_step=self._first_step)
        return self._made

    def row(self, row: Mapping[str, Any]) -> None:
        """Add an epoch's row: one curve a number, over optimiser steps."""
        writer, step = self._writer(), row["step"]
        for name, value in row.items():
            values = value if isinstance(value, Mapping) else {"": value}
            for part, number in values.items() if name != "step" else ():
                label = f"{name}/{part}" if part else name
                writer.add_scalar(label, number, step)
        writer.flush()

    def sample(self, sample: Sample, step: int) -> None:
        """Add a converted pair: its mel as a picture, its sound."""
        writer = self._writer()
        writer.add_image(sample.name, sample.picture(), step, dataformats="HW")
        writer.add_audio(sample.name, sample.samples, step, sample.rate)

    def close(self) -> None:
        """Write out what is left."""
        if self._made is not None:
            self._made.close()

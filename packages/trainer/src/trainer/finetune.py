"""Start a run from another run's weights: what fits is taken, what does not is told.

Tensors are matched by name and shape. Rows of speaker tables are matched by the speaker's
name; a speaker the parent does not know starts from the mean of the parent's rows, which is
nearer to any voice than a random row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corpuskit.errors import Refused

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

__all__ = ["SPEAKER_TABLES", "Transfer", "check_optimiser", "transfer"]

SPEAKER_TABLES = ("source_speakers.weight", "target_speakers.weight")  # one row a speaker


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What became of the parent's tensors and of the new model's."""

    loaded: tuple[str, ...]  # same name and shape, or a speaker table
    misfits: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]  # name, parent's shape, ours
    new: tuple[str, ...]  # the parent has none: as initialised
    unused: tuple[str, ...]  # the parent's alone
    new_speakers: tuple[str, ...]  # start from the mean of the parent's rows

    def left(self) -> tuple[str, ...]:
        """Say what was not taken over, a line each."""
        return (
            *(
                f"{name}: the parent's is {_shape(theirs)}, this model's {_shape(ours)}"
                for name, theirs, ours in self.misfits
            ),
            *(f"{name}: new, the parent has none" for name in self.new),
            *(f"{name}: only the parent has it" for name in self.unused),
            *(
                f"speaker {name}: new, starts from the mean of the parent's speakers"
                for name in self.new_speakers
            ),
        )


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def transfer(
    fresh: Mapping[str, torch.Tensor],
    parent: Mapping[str, torch.Tensor],
    speakers: Sequence[str],
    parent_speakers: Sequence[str],
) -> tuple[Tensors, Transfer]:
    """Return the weights to start from, and the report.

    Parameters
    ----------
    fresh : the new model's initial tensors
    parent : the parent's tensors
    speakers, parent_speakers : names in the order of the speaker tables' rows
    """
    weights: Tensors = {}
    loaded, misfits, new = [], [], []
    for name, ours in fresh.items():
        theirs = parent.get(name)
        if theirs is None:
            new.append(name)
        elif name in SPEAKER_TABLES and theirs.shape[1:] == ours.shape[1:]:
            weights[name] = _rows(theirs, speakers, parent_speakers)
            loaded.append(name)
            continue
        elif theirs.shape != ours.shape:
            misfits.append((name, tuple(theirs.shape), tuple(ours.shape)))
        else:
            loaded.append(name)
            weights[name] = theirs.clone()
            continue
        weights[name] = ours.clone()
    report = Transfer(
        loaded=tuple(loaded),
        misfits=tuple(misfits),
        new=tuple(new),
        unused=tuple(name for name in parent if name not in fresh),
        new_speakers=tuple(name for name in speakers if name not in parent_speakers),
    )
    return weights, report


def _rows(
    table: torch.Tensor, speakers: Sequence[str], parent_speakers: Sequence[str]
) -> torch.Tensor:
    """Return one row a speaker from the parent's table."""
    import torch

    known = {name: index for index, name in enumerate(parent_speakers)}
    mean = table.mean(dim=0)
    return torch.stack([table[known[name]] if name in known else mean for name in speakers])


def check_optimiser(report: Transfer, speakers: Sequence[str], parent: Sequence[str]) -> None:
    """Make sure that the parent's optimiser state belongs to these very parameters.

    Raises
    ------
    Refused
        Parameters or speakers differ; what differs first is named.
    """
    remedy = "use --reset-optim (the default)"
    if report.misfits:
        name, theirs, ours = report.misfits[0]
        raise Refused(
            f"--keep-optim: {len(report.misfits)} parameters have another shape than the parent's, "
            f"e.g. {name} ({_shape(theirs)} -> {_shape(ours)})",
            remedy,
        )
    for names, problem in (
        (report.new, "are not in the parent's optimiser"),
        (report.unused, "of the parent's optimiser are not in this model"),
    ):
        if names:
            raise Refused(
                f"--keep-optim: {len(names)} parameters {problem}, e.g. {names[0]}", remedy
            )
    if tuple(speakers) != tuple(parent):
        raise Refused(
            "--keep-optim: the speakers differ "
            f"(parent: {', '.join(parent)}; this dataset: {', '.join(speakers)})",
            remedy,
        )

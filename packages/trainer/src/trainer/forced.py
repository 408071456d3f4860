"""The mels a conversion model makes when it is told when and how the target speaks.

Durations, pitch and energy are the target's own (teacher forcing), so frame k of such a mel is
frame k of the target's recording, as blurred as the model's conversions are. A vocoder that is to
speak for the model learns from them; they are made once, before it starts, and stay with its run:

    runs/N2C_9/mels.safetensors      {pair: (T, bands) natural log}
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from corpuskit.config import to_mapping
from corpuskit.errors import BadSetting, Refused
from corpuskit.files import write_file
from trainer import identity, runs
from trainer.checkpoint import Checkpoint
from trainer.convert import model_of
from trainer.data import Normaliser, load
from trainer.device import deterministic
from trainer.errors import BadRun
from trainer.vocoder_runs import mels_of

if TYPE_CHECKING:
    import torch

    from corpuskit.versions import Pair, Version

__all__ = ["FILE", "Mels", "Teacher", "check", "make", "read", "teacher_of", "write"]

Mels = Mapping[str, npt.NDArray[np.float32]]  # (T, bands) natural log, by pair

FILE = "mels.safetensors"  # in the run's folder
READ = 256  # pairs read at once
BATCH = 8  # pairs computed at once


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """The checkpoint of a conversion model that makes the mels."""

    run: runs.Run
    place: Checkpoint
    digest: str  # SHA-256 of its weights

    @property
    def name(self) -> str:
        """Its name in settings, N2C_28@100."""
        return f"{self.run.tag}@{self.place.epoch}"

    @property
    def part(self) -> dict[str, Any]:
        """What of it is part of a vocoder's identity."""
        return {
            "weights": self.digest,
            "statistics": identity.digest_of(to_mapping(self.run.statistics)),
            "code": identity.code_digest((*identity.CODE, "forced")),
        }


def teacher_of(workspace: Path, name: str) -> Teacher:
    """Find the checkpoint that `name` (TAG or TAG@EPOCH) means.

    Raises
    ------
    CorpuskitError
        There is none such, or the run is a vocoder.
    Refused
        It has not learnt anything yet.
    """
    tag, _, epoch = name.partition("@")
    run = runs.open_run(workspace, tag)
    place = run.checkpoint(epoch or "best")
    if not place.epoch:
        raise Refused(
            f"run {tag} has not finished an epoch, so its mels mean nothing yet",
            f"`trainer resume {tag}` trains it",
        )
    return Teacher(run=run, place=place, digest=place.state().digests["weights.safetensors"])


def check(teacher: Teacher, version: Version) -> None:
    """Make sure that a model can make mels of a version's pairs.

    Raises
    ------
    BadSetting
        Its mels or its reduced frames are others, or it does not know a voice.
    """
    run, tag = teacher.run, teacher.run.tag
    mels_of(run.settings).check(
        version.settings.features,
        version.settings.audio.rate,
        f"run {tag}",
        "name a run on such mels",
    )
    ours, theirs = version.settings.align.reduction, run.settings.align.reduction
    if ours != theirs:
        raise BadSetting(
            f"the model of run {tag} makes {theirs} frames at once, dataset {version.name} is "
            f"aligned for {ours} (align.reduction)",
            f"name a run on such a dataset, or build a version with --set align.reduction={theirs}",
        )
    pairs = (*version.split("train"), *version.split("dev"))
    voices = {side.speaker for pair in pairs for side in (pair.source, pair.target)}
    unknown = sorted(voices - set(run.speakers))
    if unknown:
        raise BadSetting(
            f"run {tag} does not know {', '.join(unknown)} of dataset {version.name}",
            f"name a run that does; this one knows {', '.join(run.speakers)}",
        )


def make(
    teacher: Teacher, version: Version, pairs: Sequence[Pair], device: torch.device
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the mel of every pair's target, in fp32 whatever the precision of trainings.

    Each is as long as the target's kept part, less what does not fill a reduced frame.

    Raises
    ------
    BadData
        A pair cannot be said at all; it is named.
    BadVersion
        A features object is missing or damaged.
    BadRun
        The model gives values that are no numbers.
    """
    import torch

    run = teacher.run
    normaliser = Normaliser(run.statistics, run.settings.features.energy_gate)
    model = model_of(run, teacher.place).to(device).eval()
    search, reduction = run.config.model.align == "search", run.config.model.reduction
    made: dict[str, npt.NDArray[np.float32]] = {}
    by_length = sorted(pairs, key=lambda pair: (_frames(pair), pair.id))  # little padding
    with torch.inference_mode(), deterministic(device):
        for start in range(0, len(by_length), READ):
            some = by_length[start : start + READ]
            packed = load(version, some, normaliser, run.speakers, device, search=search).packed
            for first in range(0, len(some), BATCH):
                chosen = range(first, min(first + BATCH, len(some)))
                found = model(packed.gather(chosen)).postnet.float().cpu().numpy()
                for row, position in enumerate(chosen):
                    length = int(packed.target_lengths[position]) * reduction
                    made[some[position].id] = normaliser.target_mel(found[row, :length])
    broken = sorted(name for name, mel in made.items() if not np.isfinite(mel).all())
    if broken:
        raise BadRun(
            f"run {teacher.name} gives values that are no numbers for pair {broken[0]}",
            "use another checkpoint",
        )
    return made


def _frames(pair: Pair) -> int:
    first, stop = pair.target.frames
    return stop - first


def write(folder: Path, mels: Mels) -> str:
    """Write the mels of a run that is being made; returns their SHA-256."""
    from safetensors.numpy import save

    data = save({name: np.ascontiguousarray(mel) for name, mel in mels.items()})
    write_file(folder / FILE, data)
    return hashlib.sha256(data).hexdigest()


def read(run: runs.Run) -> Mels | None:
    """Read the mels a vocoder run learns from; None where they are the recordings' own.

    Raises
    ------
    BadRun
        They are missing or damaged.
    """
    from safetensors.numpy import load as from_bytes

    if run.record.mels is None:
        return None
    remedy = f"`trainer vocoder run --pretrain {run.tag}` goes on from its weights as a new run"
    try:
        data = (run.folder / FILE).read_bytes()
    except OSError as error:
        raise BadRun(f"run {run.tag}: {FILE} cannot be read ({error.strerror})", remedy) from None
    if hashlib.sha256(data).hexdigest() != run.record.mels.file:
        raise BadRun(f"run {run.tag}: {FILE} is damaged", remedy)
    mels: Mels = from_bytes(data)
    return mels

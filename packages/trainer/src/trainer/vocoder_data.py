"""What a vocoder learns from: recordings of a version as samples and mels, cut on the device.

Frame k of a recording is centred on sample k * hop, so its hop of samples begins half a hop
before: recording after recording lies flat in memory, a row of samples for every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from corpuskit.audio import resample
from corpuskit.errors import BadSetting
from trainer import lineage
from trainer.originals import original

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from corpuskit.versions import Pair, Side, Version

__all__ = ["Sounds", "VocoderSplits", "load_sounds"]

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """Recordings of a split on the device; F frames in all."""

    names: tuple[str, ...]  # of the recordings, sorted
    first: npt.NDArray[np.int64]  # (recordings,) row of each one's first frame
    frames: npt.NDArray[np.int64]  # (recordings,)
    mel: Tensor  # (F, bands) natural log
    samples: Tensor  # (F, hop)

    def __len__(self) -> int:
        return len(self.names)

    def mel_of(self, index: int) -> Tensor:
        """Return the mel (T, bands) of a recording."""
        start = int(self.first[index])
        return self.mel[start : start + int(self.frames[index])]

    def starts(self, order: Sequence[int], length: int, draws: npt.NDArray[np.float64]) -> Tensor:
        """Return the rows where segments of `length` frames begin, one for each of `order`.

        `draws` from [0, 1) say where in its recording each lies.
        """
        import torch

        picked = np.asarray(order)
        room = self.frames[picked] - length + 1  # recordings are at least one segment long
        rows = self.first[picked] + np.floor(draws * room).astype(np.int64)
        return torch.from_numpy(rows).to(self.mel.device)

    def cut(self, rows: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Cut segments: mel (batch, bands, length) and samples (batch, length * hop)."""
        import torch

        within = rows[:, None] + torch.arange(length, device=rows.device)
        return self.mel[within].transpose(1, 2), self.samples[within].flatten(1)


@dataclass(frozen=True, kw_only=True)
class VocoderSplits:
    """What a vocoder is trained and scored on."""

    train: Sounds
    dev: Sounds


def load_sounds(
    version: Version, left_out: Iterable[str], device: torch.device, segment: int
) -> VocoderSplits:
    """Read all recordings of train and dev pairs, each once, in whichever pairs it is.

    Dev pairs `left_out` do not count. Recordings shorter than `segment` frames are followed by
    silence.

    Raises
    ------
    CorpuskitError
        A recording is gone, cannot be read, or was changed since the build.
    BadVersion
        A features object is missing or damaged.
    BadSetting
        There is nothing to train or score on.
    """
    train = _sides(version.split("train"))
    dev = _sides(lineage.without(version.split("dev"), left_out))
    held_out = {name: side for name, side in dev.items() if name not in train}
    for name, sides in (("train", train), ("dev", held_out)):
        if not sides:
            raise BadSetting(
                f"dataset {version.name} has no {name} recordings",
                "build it with other [split] counts, or with more recordings",
            )
    return VocoderSplits(
        train=_load(version, train, device, segment), dev=_load(version, held_out, device, segment)
    )


def _sides(pairs: Iterable[Pair]) -> dict[str, Side]:
    """Return each recording of the pairs once, sorted by name."""
    found = {side.recording: side for pair in pairs for side in (pair.source, pair.target)}
    return dict(sorted(found.items()))


def _load(version: Version, sides: dict[str, Side], device: torch.device, least: int) -> Sounds:
    import torch

    recordings = {recording.id: recording for recording in version.recordings}
    settings, rate = version.settings.features, version.settings.audio.rate
    mels, rows = [], []
    for name, side in sides.items():
        samples, own_rate = original(version, recordings[name], side).whole()
        framed = _framed(resample(samples, own_rate, rate), settings.hop_length, side.frames)
        missing = max(0, least - len(framed))
        rows.append(np.pad(framed, ((0, missing), (0, 0))))
        mels.append(
            np.pad(
                version.features(side).mel,
                ((0, missing), (0, 0)),
                constant_values=np.log(settings.mel_floor),
            )
        )
    frames = np.array([len(each) for each in rows], dtype=np.int64)
    return Sounds(
        names=tuple(sides),
        first=np.cumsum(frames) - frames,
        frames=frames,
        mel=torch.from_numpy(np.concatenate(mels)).to(device),
        samples=torch.from_numpy(np.concatenate(rows)).to(device),
    )


def _framed(samples: npt.NDArray[np.float64], hop: int, span: tuple[int, int]) -> Float32:
    """Return the hop of samples around each frame of `span`, (frames, hop); 0 outside."""
    start, stop = (frame * hop - hop // 2 for frame in span)
    inside = samples[max(0, start) : max(0, stop)]
    before = max(0, -start)
    padded = np.pad(inside, (before, stop - start - before - len(inside)))
    return padded.astype(np.float32).reshape(-1, hop)

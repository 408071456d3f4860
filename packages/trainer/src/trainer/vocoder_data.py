"""What a vocoder learns from: recordings of a version as samples and mels, cut on the device.

The mels are the recordings' own, or those a model made of the pairs' targets (`forced`), which
are told frame by frame to the same samples.

Frame k of a recording is centred on sample k * hop, so its hop of samples begins half a hop
before: recording after recording lies flat in memory, a row of samples for every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from corpuskit.audio import resample
from corpuskit.errors import BadSetting, CorpuskitError
from trainer import lineage
from trainer.device import name_of
from trainer.originals import original

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from corpuskit.versions import Pair, Recording, Side, Version

__all__ = ["Sounds", "VocoderSplits", "load_sounds"]

Float32 = npt.NDArray[np.float32]
Mels = Mapping[str, Float32]  # (T, bands) natural log, by pair


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """Recordings of a split on the device; F frames in all."""

    names: tuple[str, ...]  # of the recordings, or of the pairs whose mels were made; sorted
    first: npt.NDArray[np.int64]  # (recordings,) row of each one's first frame
    frames: npt.NDArray[np.int64]  # (recordings,)
    mel: Tensor  # (F, bands) natural log, what the vocoder is given
    recorded: Tensor  # (F, bands) natural log, what it should sound like; `mel` itself if own
    samples: Tensor  # (F, hop)

    def __len__(self) -> int:
        return len(self.names)

    def rows_of(self, index: int) -> slice:
        """Return the rows of a recording."""
        start = int(self.first[index])
        return slice(start, start + int(self.frames[index]))

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
    version: Version,
    left_out: Iterable[str],
    device: torch.device,
    segment: int,
    mels: Mels | None = None,
) -> VocoderSplits:
    """Read all recordings of train and dev pairs, each once, in whichever pairs it is.

    Where `mels` were made of the pairs, these and the targets they are of, pair by pair.

    Dev pairs `left_out` do not count. Recordings shorter than `segment` frames are followed by
    silence.

    Raises
    ------
    CorpuskitError
        A recording is gone, cannot be read, or was changed since the build; or the device's
        memory does not hold them.
    BadVersion
        A features object is missing or damaged.
    BadSetting
        There is nothing to train or score on.
    """
    import torch

    train = _sides(version.split("train"), mels)
    dev = _sides(lineage.without(version.split("dev"), left_out), mels)
    heard = {side.recording for side in train.values()}
    held_out = {name: side for name, side in dev.items() if side.recording not in heard}
    for name, sides in (("train", train), ("dev", held_out)):
        if not sides:
            raise BadSetting(
                f"dataset {version.name} has no {name} recordings",
                "build it with other [split] counts, or with more recordings",
            )
    try:
        return VocoderSplits(
            train=_load(version, train, device, segment, mels),
            dev=_load(version, held_out, device, segment, mels),
        )
    except torch.OutOfMemoryError:
        raise CorpuskitError(
            f"the recordings of dataset {version.name} do not fit into the memory of "
            f"{name_of(device)}",
            "train on a larger device, or on a version of fewer recordings",
        ) from None


def _sides(pairs: Iterable[Pair], mels: Mels | None) -> dict[str, Side]:
    """Return each recording of the pairs once, or each pair's target; sorted by name."""
    if mels is None:
        found = {side.recording: side for pair in pairs for side in (pair.source, pair.target)}
    else:
        found = {pair.id: pair.target for pair in pairs}
    return dict(sorted(found.items()))


def _load(
    version: Version, sides: dict[str, Side], device: torch.device, least: int, mels: Mels | None
) -> Sounds:
    import torch

    settings = version.settings.features
    recordings = {recording.id: recording for recording in version.recordings}
    given, recorded, rows = list[Float32](), list[Float32](), list[Float32]()
    silence = float(np.log(settings.mel_floor))
    for name, side in sides.items():
        mel = version.features(side).mel
        if mels is not None:  # in whole reduced frames, so that some at the end may be missing
            given.append(_longer(mels[name], least, silence))
            mel = mel[: len(mels[name])]
        recorded.append(_longer(mel, least, silence))
        samples = _framed(version, recordings[side.recording], side)
        rows.append(_longer(samples[: len(mel)], least, 0.0))

    def laid(parts: list[Float32]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(device)

    frames = np.array([len(each) for each in rows], dtype=np.int64)
    own = laid(recorded)
    return Sounds(
        names=tuple(sides),
        first=np.cumsum(frames) - frames,
        frames=frames,
        mel=laid(given) if given else own,
        recorded=own,
        samples=laid(rows),
    )


def _longer(rows: Float32, least: int, filling: float) -> Float32:
    """Return (T, C) rows, followed by others where they are fewer than `least`."""
    missing = max(0, least - len(rows))
    return np.pad(rows, ((0, missing), (0, 0)), constant_values=filling)


def _framed(version: Version, recording: Recording, side: Side) -> Float32:
    """Return the hop of samples around each of a side's frames, (frames, hop); 0 outside."""
    hop = version.settings.features.hop_length
    samples, own_rate = original(version, recording, side).whole()
    samples = resample(samples, own_rate, version.settings.audio.rate)
    start, stop = (frame * hop - hop // 2 for frame in side.frames)
    inside = samples[max(0, start) : max(0, stop)]
    before = max(0, -start)
    padded = np.pad(inside, (before, stop - start - before - len(inside)))
    return padded.astype(np.float32).reshape(-1, hop)

"""A few dev pairs, converted as the model stands: to be looked at and listened to.

samples/epoch-0010/arctic_a0001.N-C.wav    through the vocoder
samples/epoch-0010/arctic_a0001.N-C.npz    mel: converted, and the target's own

Of a vocoder run they are copies: mels of the targets, their own or those a model made for it to
learn from, made sound, arctic_a0001.C.wav.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from corpuskit.audio import write_wav
from corpuskit.features import extract
from corpuskit.files import write_file
from trainer.vocoders.speech import Speech, aloud

if TYPE_CHECKING:
    from corpuskit.versions import Pair, Version
    from trainer.convert import Converter
    from trainer.vocoders.speech import Vocoder

__all__ = ["Sample", "convert", "copies", "write"]

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One converted pair, or one copy."""

    name: str  # sentence.source-target
    mel: Float32  # (T, bands) natural log, converted, or of the copy
    target: Float32  # (T', bands) natural log, as the target voice said it
    samples: Float32  # (n,), full scale is 1.0
    rate: int  # Hz

    def picture(self) -> npt.NDArray[np.uint8]:
        """Return converted above target as grey values (2 * bands, frames), low bands below."""
        frames = max(len(self.mel), len(self.target))
        floor, ceiling = float(self.target.min()), float(self.target.max())
        rows = [
            np.pad(mel, ((0, frames - len(mel)), (0, 0)), constant_values=floor).T[::-1]
            for mel in (self.mel, self.target)
        ]
        grey = (np.concatenate(rows) - floor) / max(ceiling - floor, 1e-6)
        return np.asarray(255 * np.clip(grey, 0, 1), dtype=np.uint8)


def convert(converter: Converter, version: Version, pairs: Sequence[Pair]) -> Iterator[Sample]:
    """Convert pairs of a version.

    Raises
    ------
    BadRun
        The model gives values that are no numbers.
    """
    for pair in pairs:
        source, target = pair.source.speaker, pair.target.speaker
        given = (version.features(pair.source), pair.source.silences)
        (made,) = converter.made([given], source, target)
        yield Sample(
            name=f"{pair.sentence}.{source}-{target}",
            mel=made.mel,
            target=version.features(pair.target).mel,
            samples=aloud(converter.vocoder, made.speech),
            rate=version.settings.audio.rate,
        )


def copies(
    vocoder: Vocoder,
    version: Version,
    pairs: Sequence[Pair],
    mels: Mapping[str, Float32] | None = None,
) -> Iterator[Sample]:
    """Say the targets of pairs again from their own mels, or from those made of the pairs."""
    features, rate = version.settings.features, version.settings.audio.rate
    for pair in pairs:
        own = version.features(pair.target)
        mel = own.mel if mels is None else mels[pair.id]
        said = aloud(vocoder, Speech(mel=mel, f0=own.f0[: len(mel)]))
        yield Sample(
            name=f"{pair.sentence}.{pair.target.speaker}",
            mel=extract(said.astype(np.float64), rate, features).mel,
            target=own.mel,
            samples=said,
            rate=rate,
        )


def write(folder: Path, sample: Sample) -> None:
    """Write a sample as wav and npz."""
    buffer = io.BytesIO()
    np.savez(buffer, mel=sample.mel, target=sample.target)
    write_file(folder / f"{sample.name}.npz", buffer.getvalue(), durable=False)
    write_wav(folder / f"{sample.name}.wav", sample.samples, sample.rate)

"""Converters whose timing is known, and recordings for them to convert."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from corpuskit.audio import Sound
from synthetic import FULL_SCALE, Sentence, Spoken, Voice, sentence, speak, write_pair_corpus
from trainer.batches import Inputs
from trainer.convert import Converter
from trainer.model import FS2VC, Draw, Generated, hurried
from trainer.packing import valid_frames
from untrained import built, dataset_settings, untrained_run


def keeping_time(converter: Converter) -> Converter:
    """Let a model repeat every frame once, so that what is said when is known."""
    out = converter.model.variance.duration.out
    with torch.no_grad():
        torch.nn.init.zeros_(out.weight)
        torch.nn.init.constant_(out.bias, float(np.log(2)))
    return converter


class Parrot(FS2VC):
    """Says what it hears with the target's statistics: sound like speech, known truth.

    The mel is blurred, as a predicted one is: it shows no harmonics.
    """

    def generate(
        self,
        inputs: Inputs,
        draw: Draw | None = None,  # noqa: ARG002
        speed: float = 1.0,
    ) -> Generated:
        r = self.config.reduction
        durations = valid_frames(inputs.lengths, inputs.mel.shape[1] // r).long()
        if speed != 1.0:
            durations = hurried(durations, speed)
        places = [
            (torch.repeat_interleave(each)[:, None] * r + torch.arange(r)).flatten()
            for each in durations
        ]

        def said(values: Tensor) -> Tensor:
            return pad_sequence(
                [own[at] for own, at in zip(values, places, strict=True)], batch_first=True
            )

        return Generated(
            mel=functional.avg_pool1d(said(inputs.mel), 9, 1, 4, count_include_pad=False),
            lengths=durations.sum(1),
            pitch=said(inputs.pitch),
            energy=said(inputs.energy),
            durations=durations,
        )


def parrot(converter: Converter) -> Converter:
    """Let a converter's model say what it hears."""
    converter.model.__class__ = Parrot
    return converter


def workspace_in(folder: Path) -> Path:
    """A workspace with dataset demo and the untrained run demo_1."""
    built(folder / "ws", "demo", dataset_settings(write_pair_corpus(folder / "corpus")))
    untrained_run(folder / "ws", "demo", tag="demo_1")
    return folder / "ws"


def told(
    phrases: int, *, vowels: int = 5, pause: float = 0.6, floor: float = -60.0, rate: int = 16000
) -> Spoken:
    """A recording of several phrases, about 0.9 s each."""
    said: Sentence = sentence(3, phrases=phrases, vowels=vowels, pause=pause)
    return speak(said, Voice(level=-24.0, floor=floor, rate=rate))


def sound_of(spoken: Spoken, gain: float = 1.0) -> Sound:
    """What a recording decodes to, so many times as loud."""
    samples = spoken.samples / FULL_SCALE * gain
    return Sound(samples=samples, rate=spoken.truth.voice.rate, channels=1, subtype="DOUBLE")

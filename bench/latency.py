"""Time a single conversion through a converter kept open: when the first sound can be heard.

The model has random weights and repeats every frame once; HiFi-GAN's have random weights, too,
which changes no time. Nothing is streamed: the first sound comes when the last stage is done, so
the time to it is the sum of analysis (silence, F0, energy, mel), model and vocoder. Each figure is
the median of several conversions; the real-time factor is that sum over the input's length.

    just bench-latency
    python bench/latency.py --model tiny --threads 2
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from typing import Any

import numpy as np

from convert import speech_like, untrained

V3 = {
    "upsample_rates": (8, 8, 4),
    "upsample_kernel_sizes": (16, 16, 8),
    "upsample_initial_channel": 256,
    "resblock": "2",
    "resblock_kernel_sizes": (3, 5, 7),
    "resblock_dilation_sizes": ((1, 2), (2, 6), (3, 12)),
}
SECONDS = (1.0, 3.0, 10.0)
RATE = 16000


def main() -> None:
    """Print the table."""
    given = _arguments()
    import torch

    from corpuskit.audio import Sound

    torch.set_num_threads(given.threads)
    converter = untrained(given.model, [], torch.device("cpu"))
    print(f"{given.model}, CPU, {given.threads} threads, median of {given.times}; milliseconds")
    print(f"{'vocoder':<14}{'input':>7}{'analysis':>10}{'model':>8}{'vocoder':>9}", end="")
    print(f"{'first sound':>13}{'real-time factor':>18}")
    for name, vocoder in _vocoders(converter):
        opened = dataclasses.replace(converter, vocoder=vocoder)
        for seconds in SECONDS:
            samples = speech_like(int(seconds * RATE), 0)
            sound = Sound(samples=samples, rate=RATE, channels=1, subtype="DOUBLE")
            rows = [_timed(opened, sound) for _ in range(given.times + 1)][1:]
            stages = [statistics.median(column) for column in zip(*rows, strict=True)]
            total = sum(stages)
            analysis, model, spoken = (1000 * each for each in stages)
            print(
                f"{name:<14}{seconds:>5.0f} s{analysis:>10.0f}{model:>8.0f}{spoken:>9.0f}", end=""
            )
            print(f"{1000 * total:>13.0f}{total / seconds:>18.3f}", flush=True)


def _timed(converter: Any, sound: Any) -> tuple[float, float, float]:
    """Return the seconds of analysis, model and vocoder."""
    marks = [time.perf_counter()]
    ready = converter.ready(sound, "A")
    marks.append(time.perf_counter())
    (made,) = converter.made([ready.measured], "A", "B")
    marks.append(time.perf_counter())
    converter.sounding(ready, made.speech, ("A", "B"))
    marks.append(time.perf_counter())
    first, second, third = np.diff(marks).tolist()
    return first, second, third


def _vocoders(converter: Any) -> list[tuple[str, Any]]:
    """Return all vocoders by the names they stand in the table with."""
    from trainer.vocoders.choice import VOCODERS
    from trainer.vocoders.config import GeneratorConfig

    settings, rate = converter.settings.features, converter.settings.audio.rate
    plain = [(name, made(settings, rate)) for name, made in VOCODERS.items()]
    sizes = {"hifigan V1": GeneratorConfig(), "hifigan V3": GeneratorConfig(**V3)}  # type: ignore[arg-type]
    return [*plain, *((name, _random(config)) for name, config in sizes.items())]


def _random(config: Any) -> Any:
    """Return a HiFi-GAN that was never trained."""
    import torch

    from trainer.vocoders.generator import Generator
    from trainer.vocoders.hifigan import HifiGan
    from trainer.vocoders.public import MelConfig, Public

    mels = MelConfig(
        sampling_rate=22050,
        n_fft=1024,
        hop_size=256,
        win_size=1024,
        num_mels=80,
        fmin=0.0,
        fmax=8000.0,
    )
    weights = Generator(config).state_dict()
    public = Public(config=config, mels=mels, weights=weights)
    return HifiGan(public, torch.device("cpu"), ())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="fs2vc", help="name or file of the sizes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--times", type=int, default=5, help="conversions timed of each length")
    return parser.parse_args()


if __name__ == "__main__":
    main()

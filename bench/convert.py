"""Time conversion, stage by stage and as a whole: how many times faster than real time.

The model has random weights but for its durations, which are made to repeat every frame once, so
that as much speech comes out as went in. Without --recordings, sounds like speech are made up: a
voiced pulse train through formants, with pauses. Seconds are those of the recordings.

    just bench-convert                                    40 recordings of about 4 s
    python bench/convert.py --recordings DIR --jobs 2
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RATE, AIM = 16000, 20


def main() -> None:
    """Print the table."""
    given = _arguments()
    import torch

    from trainer.convert import Converter  # noqa: F401  (imports are not what is timed)
    from trainer.device import name_of, pick
    from trainer.many import batches_of, convert_all, outcomes, written
    from trainer.vocoders.choice import VOCODERS, choose

    torch.set_num_threads(given.jobs)
    device = pick(given.device)
    clock = time.process_time if given.cpu_time else time.perf_counter
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.recordings or _made_up(Path(scratch) / "in", given.count)
        wanted = outcomes([folder], Path(scratch) / "out")
        paths = list(wanted)
        converter = untrained(given.model, given.settings, device)
        seconds = sum(_seconds(path) for path in paths)
        print(
            f"{given.model}, {name_of(device)}: {len(paths)} recordings, {seconds:.0f} s of sound, "
            f"{given.jobs} jobs"
        )

        def row(name: str, work: Callable[[], Any]) -> Any:
            began = clock()
            done = work()
            took = clock() - began
            print(f"{name:<52}{took:9.2f} s {seconds / took:9.1f} x real time", flush=True)
            return done

        converter.convert(paths[0])  # what is made once is not timed
        measured = row(
            "reading, silence, F0, energy, mel (one thread)",
            lambda: [converter.ready(path, "A").measured for path in paths],
        )
        made = row(
            "model, one recording at a time",
            lambda: [converter.made([each], "A", "B")[0] for each in measured],
        )
        row(
            "model, in batches of like length",
            lambda: [
                converter.made([measured[k] for k in batch], "A", "B")
                for batch in batches_of([len(each) for each, _ in measured])
            ],
        )
        for name in VOCODERS:
            vocoder = choose(name, converter.settings.features, converter.settings.audio.rate)
            row(
                f"vocoder, {vocoder.name} (one thread)",
                lambda vocoder=vocoder: [vocoder(each.speech) for each in made],
            )
        row("one after the other, whole", lambda: [converter.convert(path) for path in paths])
        row(
            f"together, whole, with writing            (aim: {AIM} x)",
            lambda: list(written(convert_all(converter, paths, jobs=given.jobs), wanted)),
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="fs2vc", help="name or file of the sizes")
    parser.add_argument("--set", dest="settings", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--recordings", type=Path, help="a folder of recordings")
    parser.add_argument("--count", type=int, default=40, help="recordings to make up")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--cpu-time", action="store_true", help="seconds of CPU, on a busy machine")
    return parser.parse_args()


def untrained(model: str, settings: list[str], device: Any) -> Any:
    """Return a converter that no training made."""
    import torch

    from corpuskit.config import DatasetConfig, from_mapping
    from corpuskit.statistics import SideStatistics, Statistics
    from trainer.config import find_model, resolve
    from trainer.convert import Converter
    from trainer.data import Normaliser
    from trainer.model import FS2VC
    from trainer.vocoders.choice import choose

    tables, where = find_model(model)
    network = FS2VC(resolve(tables, settings, where).model, 2).to(device).eval()
    torch.nn.init.zeros_(network.variance.duration.out.weight)
    torch.nn.init.constant_(network.variance.duration.out.bias, float(np.log(2)))
    corpus = {"root": "in", "speakers": {"A": "source", "B": "target"}}
    dataset = {"corpora": {"made": corpus}, "pairs": [{"source": "A", "target": "B"}]}
    config = from_mapping(DatasetConfig, dataset, "the benchmark")
    side = SideStatistics(
        frames=1,
        mel_mean=(-5.0,) * 80,
        mel_var=(4.0,) * 80,
        pitch_mean=5.0,
        pitch_var=0.1,
        energy_mean=1.0,
        energy_var=4.0,
    )
    return Converter(
        model=network,
        device=device,
        settings=config,
        normaliser=Normaliser(Statistics(source=side, target=side), config.features.energy_gate),
        speakers=("A", "B"),
        vocoder=choose("world", config.features, config.audio.rate),
        label="the benchmark's model",
    )


def _made_up(folder: Path, count: int) -> Path:
    """Write recordings of about four seconds: pulses through formants, with pauses and noise."""
    import soundfile

    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(count):
        length = int(RATE * 4 * np.exp(0.3 * draw.standard_normal()))
        soundfile.write(folder / f"{number:04d}.wav", speech_like(length, number), RATE)
    return folder


def speech_like(length: int, number: int) -> Any:
    """Return samples of pulses through formants, with pauses and noise."""
    from scipy.signal import lfilter

    draw = np.random.default_rng(number)
    t = np.arange(length) / RATE
    f0 = 120 * np.exp(0.2 * np.sin(2 * np.pi * 0.7 * t + number))
    pulses = np.diff(np.floor(np.cumsum(f0) / RATE), prepend=0)
    sound = pulses + 0.003 * draw.standard_normal(length)
    for formant in (600.0, 1400.0, 2600.0):
        pole = 0.97 * np.exp(2j * np.pi * formant / RATE)
        sound = lfilter([1.0], np.poly([pole, pole.conjugate()]).real, sound)
    sound *= 0.3 / np.abs(sound).max() * (np.sin(2 * np.pi * 0.5 * t) > -0.9)
    sound += 0.0005 * draw.standard_normal(length)
    return sound


def _seconds(path: Path) -> float:
    import soundfile

    return float(soundfile.info(path).duration)


if __name__ == "__main__":
    main()

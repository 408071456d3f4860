"""Hear what few pairs are worth: our conversion beside the classical one, on the same recordings.

Two folders hold the same sentences by two speakers, under the same file names. The last --test
sentences by name are kept away from everything that learns; the others are a corpus: a dataset is
built of them as `corpuskit init` writes it, and a run trained with the trainer's own defaults. The
table compares what comes out, always as audio, with the target's recordings of the test sentences
(definitions: docs/metrics.md), and reads it with an offline recogniser.

    just bench-sound ARCTIC/clb ARCTIC/slt                    train on all but five, score five
    python bench/sound.py A B --without kernel ema window      and leave these out, one at a time
    python bench/sound.py A B --test 10 --epochs 200 --keep DIR

Rows: the unconverted source; the target through each vocoder from its own mel, which is as good as
that vocoder can get; a joint-density Gaussian mixture with parameter generation (see
`classical.py`), as audio and as the parameters it never made audible; and ours with each vocoder.

"wer" is the recogniser's share of wrong words (pocketsphinx, US English), who hears every sound
four times, a few milliseconds apart. What the sentences are is read from --text (lines of
"name|words") or else is what it understands of the target's recordings at first.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import classical
from corpuskit.audio import decode, resample
from corpuskit.versions import open_version
from trainer.convert import Converter, usable_features
from trainer.metrics import RATE, Distances, Voice, analyse, compare
from trainer.vocoders.choice import choose
from trainer.vocoders.speech import Speech, aloud

Samples = npt.NDArray[np.floating[Any]]
COLUMNS = ("mcd", "log_f0_rmse", "log_f0_correlation", "voicing_error", "duration_error")
HEADS = ("MCD dB", "F0 rmse", "F0 corr", "voicing", "dur. s", "wer")
VOCODERS = ("world", "griffinlim")
BEFORE = (0.0, 0.003, 0.006, 0.009)  # s of silence in front: a recogniser's whims even out

# What can be left out: for `corpuskit build --set`, `trainer run --set` or `--model`.
INGREDIENTS = {
    "kernel": ("run", "model.kernel=0"),
    "curves": ("run", "model.kernel=0 model.linear=0.95"),  # a linear conversion for it
    "ema": ("run", "optim.ema=0"),
    "dropout": ("run", "model.dropout=0"),
    "steps": ("run", "train.batch_size=16"),  # a quarter of them
    "window": ("build", "features.win_length=1024"),
    "frames": ("build", "features.hop_length=256"),
    "dtw": ("run", "model.align=search"),
    "small": ("model", "fs2vc"),
}


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One test sentence."""

    name: str
    source: Path
    target: Path
    reference: Voice
    words: tuple[str, ...]


def main() -> None:
    """Print the table."""
    given = _arguments()
    train, test = _divided(given.source, given.target, given.test)
    print(f"{len(train)} sentences to learn from, {len(test)} to judge: {', '.join(test)}")
    hear = _recogniser()
    sentences = list(_sentences(given, test, hear))
    home = given.keep or Path(tempfile.mkdtemp(prefix="sound-"))
    try:
        print(f"{'':38}" + "".join(f"{head:>9}" for head in HEADS))
        for label, convert in _rows(given, train, home):
            _line(label, convert, sentences, hear)
        for label in given.without:
            kind, option = INGREDIENTS[label]
            spoken = _ours(given, home, f"without {label}", kind, option)
            _line(f"ours without {label}", spoken("world"), sentences, hear)
    finally:
        if given.keep is None:
            shutil.rmtree(home)


Convert = Callable[[Sentence], tuple[Samples, int] | Voice]


def _rows(
    given: argparse.Namespace, train: Sequence[str], home: Path
) -> Iterator[tuple[str, Convert]]:
    """Give each row's label, and what to do with a sentence."""
    yield "source, unconverted", lambda sentence: _sound(sentence.source)
    _build(given, train, home, "pair")
    settings = open_version(home / "workspace", "pair").settings
    for name in VOCODERS:
        vocoder = choose(name, settings.features, settings.audio.rate)

        def copied(sentence: Sentence, vocoder: Any = vocoder) -> tuple[Samples, int]:
            kept, _ = usable_features(decode(sentence.target), settings)
            return aloud(vocoder, Speech(mel=kept.mel, f0=kept.f0)), settings.audio.rate

        yield f"target through {name}", copied
    began = time.perf_counter()
    baseline = classical.fit(
        [_sound(given.source / name) for name in train],
        [_sound(given.target / name) for name in train],
        given.components,
    )
    took = time.perf_counter() - began
    yield f"JD-GMM, {given.components} Gaussians", lambda s: (baseline(*_sound(s.source)), RATE)
    yield "  its parameters, not made audible", lambda s: baseline.voice(*_sound(s.source))
    print(f"  (the mixture took {took:.0f} s)")
    spoken = _ours(given, home, "ours")
    for name in VOCODERS:
        yield f"ours, {name}", spoken(name)


# ------------------------------------------------------------------------ ours


def _build(
    given: argparse.Namespace, train: Sequence[str], home: Path, name: str, *options: str
) -> None:
    """Build a dataset of the sentences to learn from, as `init` writes it."""
    definition = home / "configs" / "datasets" / f"{name}.toml"
    if not definition.exists():
        for side, folder in (("source", given.source), ("target", given.target)):
            (home / side).mkdir(parents=True, exist_ok=True)
            for each in train:
                shutil.copy(folder / each, home / side / each)
        _do(home, "corpuskit", "init", name, "--source", "source", "--target", "target")
        text = definition.read_text(encoding="utf-8")
        split = re.sub(r"(?m)^eval = .*$", "eval = 0", text)  # the test sentences are elsewhere
        definition.write_text(split, encoding="utf-8")
    _do(home, "corpuskit", "build", name, *options)


def _ours(
    given: argparse.Namespace, home: Path, label: str, kind: str = "", option: str = ""
) -> Callable[[str], Convert]:
    """Train a run; returns what converts with a vocoder."""
    tag = re.sub(r"\W+", "_", label).strip("_")
    dataset, options = "pair", ["--tag", tag, "--quiet", "--device", given.device]
    if kind == "build":
        dataset = f"pair_{tag}"
        _do(
            home,
            "corpuskit",
            "build",
            dataset,
            "--config",
            "configs/datasets/pair.toml",
            "--set",
            option,
        )
    elif kind == "model":
        options += ["--model", option]
    elif kind == "run":
        options += [word for each in option.split() for word in ("--set", each)]
    if given.epochs:
        options += ["--epochs", str(given.epochs)]
    told = _do(home, "trainer", "run", "--spk", dataset, *options)
    print(f"  ({told.splitlines()[-1]})")

    def through(vocoder: str) -> Convert:
        converter = Converter.open(home / "workspace", tag, device=given.device, vocoder=vocoder)

        def convert(sentence: Sentence) -> tuple[Samples, int]:
            made = converter.convert(sentence.source)
            return made.samples, made.rate

        return convert

    return through


def _do(home: Path, program: str, *options: str) -> str:
    """Run one of our commands as a user would; what it says is told where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", f"{program}.cli", *options], cwd=home, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{program} {' '.join(options)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


# --------------------------------------------------------------------- figures


def _line(label: str, convert: Convert, sentences: Sequence[Sentence], hear: Any) -> None:
    """Print one row: means over the sentences, but the words all together."""
    found: list[Distances] = []
    wrong, spoken = 0, 0
    for sentence in sentences:
        made = convert(sentence)
        if isinstance(made, Voice):
            found.append(compare(made, sentence.reference))
            continue
        found.append(compare(analyse(*made), sentence.reference))
        samples, rate = made
        for silence in BEFORE:
            later = np.concatenate([np.zeros(round(silence * rate), samples.dtype), samples])
            wrong += _edits(hear(later, rate), sentence.words)
            spoken += len(sentence.words)
    values = [_mean(getattr(each, column) for each in found) for column in COLUMNS]
    values.append(wrong / spoken if spoken else math.nan)
    texts = ["" if math.isnan(value) else f"{value:.3f}" for value in values]
    print(f"{label:38}" + "".join(f"{text:>9}" for text in texts), flush=True)


def _mean(values: Iterable[float | None]) -> float:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else math.nan


def _recogniser() -> Callable[[Samples, int], tuple[str, ...]]:
    """Return what hears words; an adaptive recogniser is begun anew for every sound."""
    from pocketsphinx import Decoder

    def hear(samples: Samples, rate: int) -> tuple[str, ...]:
        decoder = Decoder(samprate=RATE, loglevel="FATAL")
        sound = resample(np.asarray(samples, np.float64), rate, RATE)
        loud = np.clip(sound, -1, 1) * 32767
        decoder.start_utt()
        decoder.process_raw(loud.astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        said = decoder.hyp()
        return _words(said.hypstr) if said else ()

    return hear


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9']+", text.lower()))


def _edits(heard: Sequence[str], said: Sequence[str]) -> int:
    """Return how many words to insert, drop or replace (Levenshtein)."""
    row = list(range(len(said) + 1))
    for i, word in enumerate(heard, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


# ------------------------------------------------------------------ recordings


def _divided(source: Path, target: Path, test: int) -> tuple[list[str], list[str]]:
    names = sorted(
        {each.name for each in source.glob("*.wav")} & {e.name for e in target.glob("*.wav")}
    )
    if len(names) < test + 5:
        sys.exit(f"{source} and {target} share {len(names)} wav files; {test + 5} are needed")
    return names[:-test], names[-test:]


def _sentences(given: argparse.Namespace, test: Sequence[str], hear: Any) -> Iterator[Sentence]:
    text = {}
    if given.text:
        rows = given.text.read_text(encoding="utf-8").splitlines()
        text = dict(row.split("|", 1) for row in rows if "|" in row)
    for name in test:
        samples, rate = _sound(given.target / name)
        words = _words(text[Path(name).stem]) if text else hear(samples, rate)
        yield Sentence(
            name=name,
            source=given.source / name,
            target=given.target / name,
            reference=analyse(samples, rate),
            words=words,
        )


def _sound(path: Path) -> tuple[Samples, int]:
    sound = decode(path)
    return sound.samples, sound.rate


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=lambda text: Path(text).resolve())
    parser.add_argument("target", type=lambda text: Path(text).resolve())
    parser.add_argument("--test", type=int, default=5, help="sentences to judge by")
    parser.add_argument("--epochs", type=int, help="instead of the model's own")
    parser.add_argument("--components", type=int, default=16, help="Gaussians of the baseline")
    parser.add_argument(
        "--without", nargs="+", default=(), choices=INGREDIENTS, help="leave out, one at a time"
    )
    parser.add_argument("--text", type=Path, help='lines of "name|words"')
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep", type=lambda text: Path(text).resolve(), help="folder to work in")
    return parser.parse_args()


if __name__ == "__main__":
    main()

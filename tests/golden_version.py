"""The golden version in tests/golden: a small real build that every later release must still read.

Its recordings are the synthetic voice's, so they need not be kept: `write_recordings` speaks them
again. Its corpus root is relative, as no build through the command line would leave it, so that
the files know no machine. To make it again after the format changed on purpose:

    cd tests && python golden_version.py
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from pathlib import Path

from corpuskit.build import Built, Request, build
from corpuskit.config import DatasetConfig, from_mapping
from synthetic import SOURCE, TARGET, PairCorpus, Truth, sentence, speak, write_recording

GOLDEN = Path(__file__).resolve().parent / "golden"
NAME = "golden_1"
RATE = 16000
PAIRS = 4


def settings() -> DatasetConfig:
    return from_mapping(
        DatasetConfig,
        {
            "corpora": {
                "spoken": {"root": "recordings", "speakers": {"N": "source", "C": "target"}}
            },
            "pairs": [{"source": "N", "target": "C"}],
            "audio": {"rate": RATE},
            "features": {"mels": 40},
            "silence": {"thresh": -50.0, "min_silence_len": 200},
            "split": {"dev": 1, "eval": 1},
        },
        "the golden version",
    )


def write_recordings(root: Path) -> PairCorpus:
    """Four pairs of about 1.2 s, a source without partner, and a pair whose target is empty."""
    truths: dict[str, dict[str, Truth]] = {"source": {}, "target": {}}
    for number in range(1, PAIRS + 1):
        said = sentence(number, vowels=2)
        for side, voice in (("source", SOURCE), ("target", TARGET)):
            spoken = speak(said, dataclasses.replace(voice, rate=RATE), seed=number)
            write_recording(root / side / f"s{number}.wav", spoken)
            truths[side][f"s{number}"] = spoken.truth
    for alone in ("alone", "half"):
        shutil.copy(root / "source" / "s1.wav", root / "source" / f"{alone}.wav")
    (root / "target" / "half.wav").write_bytes(b"")
    return PairCorpus(
        root=root,
        source=root / "source",
        target=root / "target",
        truth_source=truths["source"],
        truth_target=truths["target"],
    )


def make(folder: Path) -> Built:
    """Speak the recordings below `folder` and build the version into the workspace `folder`."""
    write_recordings(folder / "recordings")
    request = Request(name=NAME, settings=settings(), workspace=folder, jobs=1)
    with contextlib.chdir(folder):
        *_, last = build(request)
    assert isinstance(last, Built)
    return last


if __name__ == "__main__":
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir()
    make(GOLDEN)
    shutil.rmtree(GOLDEN / "recordings")
    shutil.rmtree(GOLDEN / "index", ignore_errors=True)
    (GOLDEN / ".lock").unlink()
    (GOLDEN / ".gitattributes").write_text("* -text\n")  # these bytes are what is tested

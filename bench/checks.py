"""Plant faults in a sound corpus and count what `corpuskit check` makes of them.

Each trial copies the folder pair, plants one kind of fault at a place drawn by chance, builds
it and checks it. A fault is found when its pair is suspect; "first" when no sound pair ranks
above it; false alarms are sound pairs that are suspect.

    python bench/checks.py --source CORPUS/clb --target CORPUS/slt --trials 10
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from corpuskit.build import Built, Request, build
from corpuskit.checks import Checked, check
from corpuskit.config import DatasetConfig, from_mapping

Samples = npt.NDArray[np.float64]
Plant = Callable[[Path, list[str], np.random.Generator], dict[str, str]]


def main() -> None:
    """Print the table."""
    arguments = _arguments()
    names = sorted(p.name for p in arguments.source.glob("*.wav"))
    names = [name for name in names if (arguments.target / name).is_file()]
    print(f"{len(names)} pairs, {arguments.trials} trials of each kind, {arguments.thresh:g} dBFS")
    print(f"{'fault':34} planted  found  first  right partner named  false alarms")
    with tempfile.TemporaryDirectory() as scratch:
        for kind, plant in PLANTS.items():
            rows = [
                _trial(Path(scratch), arguments, names, plant, np.random.default_rng([seed, 5]))
                for seed in range(1 if plant is _nothing else arguments.trials)
            ]
            told = np.sum(rows, axis=0)
            print(f"{kind:34} {told[0]:7} {told[1]:6} {told[2]:6} {told[3]:20} {told[4]:13}")


def _trial(
    root: Path,
    arguments: argparse.Namespace,
    names: list[str],
    plant: Plant,
    rng: np.random.Generator,
) -> tuple[int, int, int, int, int]:
    corpus = root / "corpus"
    shutil.rmtree(corpus, ignore_errors=True)
    for side in ("source", "target"):
        (corpus / side).mkdir(parents=True)
        for name in names:
            shutil.copyfile(getattr(arguments, side) / name, corpus / side / name)
    planted = plant(corpus / "target", names, rng)
    found = _checked(root, corpus, arguments.thresh)
    suspects = {suspect.pair.split("/")[-1]: suspect for suspect in found.suspects}
    right = sum(
        any(
            f.partner and f.partner.recording.endswith(f"/{Path(partner).stem}") for f in s.findings
        )
        for name, partner in planted.items()
        if partner and (s := suspects.get(Path(name).stem))
    )
    stems = {Path(name).stem for name in planted}
    first = [name in stems for name in suspects]
    return (
        len(planted),
        len(stems & suspects.keys()),
        first.index(False) if False in first else sum(first),
        right,
        len(suspects.keys() - stems),
    )


def _checked(root: Path, corpus: Path, thresh: float) -> Checked:
    settings = from_mapping(
        DatasetConfig,
        {
            "corpora": {"c": {"root": str(corpus), "speakers": {"a": "source", "b": "target"}}},
            "pairs": [{"source": "a", "target": "b"}],
            "silence": {"thresh": thresh},
        },
        "bench",
    )
    shutil.rmtree(root / "workspace" / "versions", ignore_errors=True)
    request = Request(name="checks", settings=settings, workspace=root / "workspace", jobs=1)
    *_, built = build(request)
    assert isinstance(built, Built)
    *_, found = check(built.version, 1)
    assert isinstance(found, Checked)
    return found


# --------------------------------------------------------------------- faults


def _nothing(_folder: Path, _names: list[str], _rng: np.random.Generator) -> dict[str, str]:
    return {}


def _swap(folder: Path, names: list[str], rng: np.random.Generator) -> dict[str, str]:
    """Exchange two files."""
    a, b = rng.choice(names, 2, replace=False)
    return _moved(folder, {a: b, b: a})


def _shift(folder: Path, names: list[str], rng: np.random.Generator) -> dict[str, str]:
    """Name five files after the sentence before theirs (JVS has such a place)."""
    at = int(rng.integers(0, len(names) - 6))
    chosen = names[at : at + 6]
    moved = _moved(folder, dict(itertools.pairwise(chosen)))
    return {name: partner for name, partner in moved.items() if name != chosen[-1]}


def _moved(folder: Path, content: dict[str, str]) -> dict[str, str]:
    """Give each name the content of another; return which target is now right for a source."""
    kept = {name: (folder / name).read_bytes() for name in content.values()}
    for name, other in content.items():
        (folder / name).write_bytes(kept[other])
    holder = {other: name for name, other in content.items()}
    return {name: holder.get(name, "") for name in content}


def _repeat(folder: Path, names: list[str], rng: np.random.Generator) -> dict[str, str]:
    """Say 0.5 s of speech twice."""
    return _edited(folder, names, rng, lambda s, a, n: np.concatenate([s[: a + n], s[a:]]))


def _omit(folder: Path, names: list[str], rng: np.random.Generator) -> dict[str, str]:
    """Leave 0.5 s of speech out."""
    return _edited(folder, names, rng, lambda s, a, n: np.concatenate([s[:a], s[a + n :]]))


def _pause(folder: Path, names: list[str], rng: np.random.Generator) -> dict[str, str]:
    """Pause for 0.5 s inside speech, with the noise of the recording's own head."""

    def paused(samples: Samples, at: int, length: int) -> Samples:
        head = np.resize(samples[:800], length)
        return np.concatenate([samples[:at], head, samples[at:]])

    return _edited(folder, names, rng, paused)


def _edited(
    folder: Path,
    names: list[str],
    rng: np.random.Generator,
    edit: Callable[[Samples, int, int], Samples],
) -> dict[str, str]:
    name = str(rng.choice(names))
    samples, rate = sf.read(folder / name)
    length = rate // 2
    at = int(rng.integers(int(0.25 * len(samples)), int(0.75 * len(samples)) - length))
    sf.write(folder / name, edit(samples, at, length), rate, subtype="PCM_16")
    return {name: ""}


PLANTS: dict[str, Plant] = {
    "none": _nothing,
    "two files exchanged": _swap,
    "five files shifted by one": _shift,
    "0.5 s of speech said twice": _repeat,
    "0.5 s of speech left out": _omit,
    "0.5 s pause on one side": _pause,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--source", type=Path, required=True, help="folder of wavs")
    parser.add_argument("--target", type=Path, required=True, help="folder of wavs, same names")
    parser.add_argument("--trials", type=int, default=10, help="of each kind")
    parser.add_argument("--thresh", type=float, default=-50.0, help="silence threshold, dBFS")
    return parser.parse_args()


if __name__ == "__main__":
    main()

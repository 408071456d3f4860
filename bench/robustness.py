"""Malformed inputs by the hundred: how many were accepted, refused by name, crashed, were lost.

Every kind of tests/hostile.py is built as a corpus of its own beside four sound pairs, in a process
with a time limit. "Lost" counts inputs without exactly one state, refusals without a reason, and
sound pairs that were not built. Damaged definitions and stored files are given to the commands
that read them; "lost" is then damage that verify did not find. Killed builds are killed at random
points, and "lost" is a next build with another fingerprint.

    python bench/robustness.py              a few minutes
    python bench/robustness.py --scale 10   ten times as many of what is drawn at random
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import building
import hostile
from building import corpuskit, ended, quick_corpus, settings, started, written_toml
from corpuskit.versions import list_versions, open_version
from hostile import Input

COLUMNS = ("tried", "accepted", "refused", "crashes", "lost")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=1)
    scale = parser.parse_args().scale
    print(f"{'kind of input':<38}" + "".join(f"{name:>10}" for name in COLUMNS))
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for number, (kind, inputs) in enumerate(hostile.kinds(scale).items()):
            total += _row(kind, _recordings(root / str(number), inputs))
        base = root / "base"
        quick_corpus(base / "corpus")
        building.built(base / "w", settings(base / "corpus"))
        total += _row("damaged definitions", _definitions(base, 200 * scale))
        total += _row("damaged files of a version", _stored(base, "versions", 60 * scale))
        total += _row("damaged objects", _stored(base, "objects", 40 * scale))
        total += _row("builds killed (SIGKILL)", _killed(base, 10 * scale))
    _row("all", total)


def _row(kind: str, counts: Counter[str]) -> Counter[str]:
    print(f"{kind:<38}" + "".join(f"{counts[name]:>10,}" for name in COLUMNS), flush=True)
    return counts


def _recordings(root: Path, inputs: Sequence[Input]) -> Counter[str]:
    quick_corpus(root / "corpus")
    partner = hostile.encoded(hostile.voice(0.5, seed=7))
    for each in inputs:
        each.write(root / "corpus" / "source" / each.name)
        (root / "corpus" / "target" / each.name).with_suffix(".wav").write_bytes(partner)
    toml = written_toml(root / "N2C.toml", root / "corpus")
    words = ("build", "N2C", "--config", toml, "--workspace", root / "w", "--jobs", "1")
    said = ended(started(*words, "--quiet"))
    if said.code != 0 or "Traceback" in said.err:
        return Counter(tried=len(inputs), crashes=len(inputs))
    version = open_version(root / "w", "N2C")
    states = Counter(recording.path for recording in version.recordings)
    by_path = {recording.path: recording for recording in version.recordings}
    counts = Counter(tried=len(inputs))
    for each in inputs:
        path = os.fsencode(f"source/{each.name}").decode("utf-8", "backslashreplace")
        found = by_path.get(path)
        if found is None or states[path] != 1 or (found.state == "used") == bool(found.reason):
            counts["lost"] += 1
        else:
            counts["accepted" if found.state == "used" else "refused"] += 1
    sound = {f"N>C/utt_{number:03d}" for number in range(1, 5)}
    counts["lost"] += len(sound - {pair.id for pair in version.pairs})
    return counts


def _definitions(root: Path, count: int) -> Counter[str]:
    rng = random.Random(1)
    toml = written_toml(root / "N2C.toml", root / "corpus")
    whole = toml.read_text(encoding="utf-8")
    counts: Counter[str] = Counter()
    for _ in range(count):
        toml.write_text(hostile.damaged_text(whole, rng), encoding="utf-8")
        words = ("build", "N2C_9", "--config", toml, "--dry-run", "--workspace", root / "w")
        counts += _outcome(words)
    toml.write_text(whole, encoding="utf-8")
    return counts


def _outcome(words: Sequence[object]) -> Counter[str]:
    try:
        said = corpuskit(*words)
    except Exception:
        return Counter(tried=1, crashes=1)
    if said.code == 0:
        return Counter(tried=1, accepted=1)
    named = "error: " in said.err or said.code == 1
    return Counter(tried=1, refused=1) if named else Counter(tried=1, crashes=1)


def _stored(root: Path, folder: str, count: int) -> Counter[str]:
    """Damage one file at a time; verify must find it."""
    rng = random.Random(2)
    files = sorted(path for path in (root / "w" / folder).rglob("*") if path.is_file())
    counts: Counter[str] = Counter()
    for _ in range(count):
        path = rng.choice(files)
        whole = path.read_bytes()
        data = hostile.damaged_bytes(whole, rng)
        try:
            path.write_bytes(data)
            found = _outcome(("verify", "N2C", "--jobs", "1", "--workspace", root / "w"))
            for name in ("list", "show"):
                words = (name, "N2C") if name == "show" else (name,)
                crash = _outcome((*words, "--workspace", root / "w"))["crashes"]
                found["crashes"] += crash
        finally:
            path.write_bytes(whole)
        if found["accepted"] and data != whole:
            found["lost"] += 1
        counts += found
    return counts


def _killed(root: Path, count: int) -> Counter[str]:
    """Kill builds at random points; the next one must go on from there."""
    rng = random.Random(3)
    toml = written_toml(root / "N2C.toml", root / "corpus")
    expected = open_version(root / "w", "N2C").fingerprint
    counts: Counter[str] = Counter()
    words = ("build", "N2C", "--config", toml, "--jobs", "2", "--workspace")
    begun = time.perf_counter()
    ended(started(*words, root / "timed"))
    whole = time.perf_counter() - begun
    for number in range(count):
        workspace = root / f"killed{number % 4}"
        process = started(*words, workspace)
        time.sleep(rng.uniform(0.2, 1.0) * whole)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        counts["tried"] += 1
        counts["accepted"] += int(list_versions(workspace) == ["N2C"])
        said = ended(started(*words, workspace))
        whole_again = said.code == 0 and open_version(workspace, "N2C").fingerprint == expected
        counts["lost"] += int(not whole_again)
        counts["crashes"] += int("Traceback" in said.err)
    return counts


if __name__ == "__main__":
    main()

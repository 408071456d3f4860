"""What each backend costs: 200 recordings measured by each, with the same fingerprint.

`start` is the time to the first recording measured, less the median time between two: starting
processes, importing libraries, connecting. `all` is a whole first build.

    python bench/backends.py                 200 recordings of 3 s
    python bench/backends.py --pairs 20 --jobs 4
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from corpuskit.build import Built, Progress, Request, build
from fullbuilds import definition
from synthetic import PairCorpus, write_pair_corpus

BACKENDS = (("loky", 1), ("loky", 0), ("threading", 0), ("dask", 0), ("ray", 0))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        corpus = write_pair_corpus(Path(scratch) / "corpus", arguments.pairs)
        warm_up = write_pair_corpus(Path(scratch) / "warm", 4)
        _measured(warm_up, Path(scratch) / "w", "loky", 1)
        print(f"{2 * arguments.pairs} recordings, {arguments.jobs} processes")
        print(f"{'backend':<24}{'start s':>9}{'all s':>9}{'ms a recording':>16}  fingerprint")
        for number, (backend, jobs) in enumerate(BACKENDS):
            jobs = jobs or arguments.jobs
            start, whole, print_ = _measured(corpus, Path(scratch) / str(number), backend, jobs)
            each = 1000 * (whole - start) / (2 * arguments.pairs)
            name = f"{backend}, --jobs {jobs}"
            print(f"{name:<24}{start:9.1f}{whole:9.1f}{each:16.1f}  {print_[:12]}", flush=True)


def _measured(
    corpus: PairCorpus, workspace: Path, backend: str, jobs: int
) -> tuple[float, float, str]:
    """Return seconds until work began, seconds in all, and the fingerprint."""
    request = Request(
        name="T", settings=definition(corpus), workspace=workspace, jobs=jobs, backend=backend
    )
    started, seen, last = time.perf_counter(), [], None
    for event in build(request):
        if isinstance(event, Progress) and event.stage == "measure":
            seen.append(time.perf_counter() - started)
        last = event
    assert isinstance(last, Built)
    steps = sorted(after - before for before, after in itertools.pairwise(seen))
    start = max(0.0, seen[0] - steps[len(steps) // 2])
    return start, time.perf_counter() - started, last.version.fingerprint


if __name__ == "__main__":
    main()

"""Exact dynamic time warping, without a band: short utterances, where the right path matters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["warping_path"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


def warping_path(cost: Float64) -> tuple[Int64, Int64]:
    """Return the cheapest path through a (K, L) cost matrix: exact DTW without a band.

    Steps go one frame on in either sequence or in both, all with weight 1; of equal
    paths the more diagonal one is taken. Worked out one anti-diagonal at a time, whose
    cells do not depend on each other.

    Returns
    -------
    Two index arrays of the path's length, from (0, 0) to (K - 1, L - 1).

    """
    rows, columns = cost.shape
    skewed = np.full((rows + columns - 1, rows), np.inf)  # cell (i, j) at [i + j, i]
    for i in range(rows):
        skewed[i : i + columns, i] = cost[i]
    steps = np.zeros(skewed.shape, dtype=np.int8)  # 0 both, 1 first sequence, 2 second
    before = np.full(rows + 1, np.inf)  # sums of the diagonal before the last; [i + 1] is row i
    before[0] = 0.0  # where the path enters cell (0, 0)
    last = np.full(rows + 1, np.inf)
    for diagonal, own in enumerate(skewed):
        choices = np.stack((before[:-1], last[:-1], last[1:]))
        steps[diagonal] = choices.argmin(axis=0)
        before, last = last, np.concatenate(([np.inf], own + choices.min(axis=0)))
    return _walk_back(steps, rows - 1, columns - 1)


def _walk_back(steps: npt.NDArray[np.int8], i: int, j: int) -> tuple[Int64, Int64]:
    path = [(i, j)]
    while i or j:
        step = steps[i + j, i]
        i -= step != 2
        j -= step != 1
        path.append((i, j))
    indices = np.array(path[::-1], dtype=np.int64)
    return indices[:, 0], indices[:, 1]

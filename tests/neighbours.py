"""What conversions frame by frame look at, by a loop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainer.fitted import TAPS


def near(frames: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Frames with their neighbours, by a loop."""
    rows = []
    for t in range(len(frames)):
        row = []
        for k in range(t - TAPS // 2, t + TAPS // 2 + 1):
            row.extend(frames[k] if 0 <= k < len(frames) else [0.0] * frames.shape[1])
        rows.append(row)
    return np.array(rows, dtype=np.float64)

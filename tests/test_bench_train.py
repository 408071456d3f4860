"""bench/train.py still trains with the product's own loop and with the plain one, and tells it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from thorough import thoroughly

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["--model", str(ROOT / "configs/models/tiny.toml"), "--batch", "2", "--seconds", "0.5"]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    monkeypatch.setattr(
        sys, "argv", ["train.py", *SMALL, "--steps", "3", "--warm-up", "1", "--threads", "1"]
    )
    before = torch.get_num_threads()
    import train

    yield train
    torch.set_num_threads(before)
    for name in ("train", "plain"):
        sys.modules.pop(name, None)


@thoroughly("variant", ["pitch_ar", "fs2vc", "wgmm", "search"])
def test_both_loops_are_measured_on_the_same_frames(bench: Any, variant: str) -> None:
    given = bench._arguments()

    rows = {(variant, loop): bench._measured(given, variant, loop) for loop in bench.LOOPS}

    ours, plain = rows[variant, "ours"], rows[variant, "plain"]
    for row in rows.values():
        assert all(
            math.isfinite(row[key]) and row[key] > 0 for key in ("steps", "frames", "memory")
        )
        assert 0 < row["padding"] < 1
        assert 0 < row["utilised"] < 1
    assert ours["flops"] == plain["flops"]
    assert ours["frames"] / ours["steps"] == pytest.approx(plain["frames"] / plain["steps"])
    line = bench._line(variant, "ours", ours)
    assert f"{ours['steps']:.3f}" in line
    assert f"{ours['epochs']:.0f} s" in line
    (told,) = bench._conclusions(rows)
    assert "aim: at least 1.5" in told


@pytest.mark.slow
def test_an_epochs_end_is_passed(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--pairs", "4"])

    row = bench._measured(bench._arguments(), "fs2vc", "ours")

    assert row["steps"] > 0

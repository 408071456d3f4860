"""TensorBoard events: the rows again, and nothing twice after a resume."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from trainer.curves import Curves
from trainer.samples import Sample


def row(epoch: int) -> dict[str, object]:
    return {
        "epoch": epoch,
        "step": epoch * 10,
        "lr": 1e-4 * epoch,
        "train": {"mel": 2.0 / epoch},
        "dev": {"mel": 3.0 / epoch},
        "padding_share": 0.25,
        "seconds": 1.5,
    }


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read the events back with TensorBoard itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder)).Reload()
        return {
            tag: [(event.step, event.value) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]
        }


def test_every_number_of_a_row_is_a_curve(tmp_path: Path) -> None:
    curves = Curves(tmp_path, first_step=1)
    curves.row(row(1))
    curves.row(row(2))
    curves.close()

    found = scalars(tmp_path)

    assert set(found) == {
        "epoch", "lr", "train/mel", "dev/mel", "padding_share", "seconds",
    }  # fmt: skip
    assert found["dev/mel"] == [(10, 3.0), (20, 1.5)]


def test_nothing_is_there_twice_after_a_resume(tmp_path: Path) -> None:
    first = Curves(tmp_path, first_step=1)
    for epoch in (1, 2, 3):
        first.row(row(epoch))
    first.close()

    second = Curves(tmp_path, first_step=21)  # epoch 3 was not saved
    second.row(row(3))
    second.close()

    assert [step for step, _ in scalars(tmp_path)["dev/mel"]] == [10, 20, 30]


def test_without_a_row_nothing_is_written(tmp_path: Path) -> None:
    Curves(tmp_path / "tensorboard", first_step=1).close()

    assert not (tmp_path / "tensorboard").exists()


def test_a_sample_is_a_picture_and_a_sound(tmp_path: Path) -> None:
    mel = np.linspace(-11, 1, 40 * 8, dtype=np.float32).reshape(40, 8)
    sample = Sample(
        name="a.N-C", mel=mel, target=mel, samples=np.zeros(2205, np.float32), rate=22050
    )
    curves = Curves(tmp_path, first_step=1)

    curves.sample(sample, step=10)
    curves.close()

    (file,) = tmp_path.iterdir()
    assert b"PNG" in file.read_bytes()
    assert b"WAVE" in file.read_bytes()

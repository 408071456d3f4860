"""What is drawn of a search, read back from the axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trainer.search_pictures import draw_history, draw_importance, draw_search
from trainer.study import Trial, Trials


def trial(number: int, *values: float, state: str = "complete") -> Trial:
    return Trial(
        number=number,
        state=state,
        settings={"optim.warm_up": number},
        values=values,
        epoch=3,
        best_epoch=2 if values else None,
        told="",
    )


def test_the_history_shows_every_trial_and_the_best_so_far() -> None:
    ended = (trial(0, 3.0), trial(1, state="pruned"), trial(2, 2.0), trial(3, 2.5))
    figure = draw_history(["pitch"], Trials(all=ended, best=(2,), importances={}))

    (axis,) = figure.axes
    lines = {str(line.get_label()): line.get_xydata() for line in axis.lines}
    np.testing.assert_array_equal(lines["trained"], [[0, 3.0], [2, 2.0], [3, 2.5]])
    np.testing.assert_array_equal(lines["best so far"], [[0, 3.0], [2, 2.0], [3, 2.0]])
    np.testing.assert_array_equal(np.asarray(lines["ended early"])[:, 0], [1])
    assert [text.get_text() for text in axis.texts] == ["#2"]
    assert axis.get_ylabel() == "dev loss pitch"


def test_two_objectives_are_drawn_over_each_other_with_the_front() -> None:
    ended = (trial(0, 3.0, 1.0), trial(1, 1.0, 3.0), trial(2, 3.5, 3.5))
    figure = draw_history(["pitch", "mel"], Trials(all=ended, best=(0, 1), importances={}))

    front = figure.axes[2]
    np.testing.assert_array_equal(front.lines[1].get_xydata(), [[1.0, 3.0], [3.0, 1.0]])
    assert [text.get_text() for text in front.texts] == ["#1", "#0"]
    assert (front.get_xlabel(), front.get_ylabel()) == ("dev loss pitch", "dev loss mel")


def test_settings_stand_in_the_order_of_their_importance() -> None:
    shares = {"pitch": {"a": 0.1, "b": 0.9}, "mel": {"a": 0.3, "b": 0.7}}
    (axis,) = draw_importance(shares).axes

    assert [label.get_text() for label in axis.get_yticklabels()] == ["b", "a"]
    widths = [[bar.get_width() for bar in bars] for bars in axis.containers]
    assert widths == [[0.9, 0.1], [0.7, 0.3]]


def test_files_are_written_of_what_is_known(tmp_path: Path) -> None:
    nothing = Trials(all=(trial(0, state="skipped"),), best=(), importances={})
    assert draw_search(tmp_path, ["mel"], nothing) == []

    found = Trials(all=(trial(0, 1.0), trial(1, 90.0)), best=(0,), importances={"mel": {"a": 1.0}})
    assert draw_search(tmp_path, ["mel"], found) == [
        tmp_path / "history.png",
        tmp_path / "importance.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())

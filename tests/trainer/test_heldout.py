"""Utterances heard side by side are new to every run, and to what speaks for it."""

from __future__ import annotations

from pathlib import Path

import vocoding
from corpuskit.versions import open_version
from trainer.heldout import held_out
from trainer.lineage import read_heard, write_heard
from untrained import untrained_run


def test_what_a_vocoder_was_trained_on_is_left_out(workspace: Path) -> None:
    model, speaker = untrained_run(workspace, "N2C"), vocoding.started(workspace)
    version = open_version(workspace, "N2C")
    leaked, other = version.split("eval")
    heard = read_heard(speaker.folder)
    write_heard(speaker.folder, {**heard, "C": heard["C"] | {leaked.sentence}})

    pairs, left_out = held_out(version, [model], "eval", [speaker])

    assert pairs == (other,)
    assert set(left_out) == {leaked.id}
    assert held_out(version, [model], "eval") == ((leaked, other), {})

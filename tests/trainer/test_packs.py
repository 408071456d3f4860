"""Pairs in mapped files are the pairs in memory, bit for bit."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor

from corpuskit.errors import CorpuskitError
from shaped import pairs
from trainer import packs
from trainer.batches import Batch, PackedSet
from trainer.device import pick_memory
from training import CPU, outcome, resumed, started, trained, watched

ORDER = [[3, 1], [0], [4, 2, 1], [0, 1, 2, 3, 4], [2]]


def written(folder: Path) -> Path:
    with packs.Writer(folder, reduction=3) as writer:
        for pair in pairs():
            writer.add(pair)
        writer.publish(["a note"])
    return folder


def test_a_pack_goes_to_another_process_as_its_name(tmp_path: Path) -> None:
    data = packs.opened(written(tmp_path / "pack"), CPU)
    sent = pickle.dumps(data)

    assert len(sent) < 1000
    assert_equal(pickle.loads(sent).gather([3, 1]), data.gather([3, 1]))
    shutil.rmtree(tmp_path / "pack")
    with pytest.raises(CorpuskitError, match="not on this machine; share the workspace"):
        pickle.loads(sent)


def assert_equal(one: Batch, other: Batch) -> None:
    for each in fields(Batch):
        ours, theirs = getattr(one, each.name), getattr(other, each.name)
        if isinstance(ours, Tensor):
            assert ours.dtype == theirs.dtype
            assert torch.equal(ours, theirs), each.name
        else:
            assert ours == theirs, each.name


@pytest.mark.parametrize("rounded", [False, True])
def test_batches_are_those_of_the_set_in_memory(tmp_path: Path, rounded: bool) -> None:
    mapped = packs.opened(written(tmp_path / "pack"), CPU)
    resident = PackedSet.build(pairs(), reduction=3)

    found = list(mapped.stream(ORDER, rounded=rounded))

    assert len(found) == len(ORDER)
    for chosen, batch in zip(ORDER, found, strict=True):
        assert_equal(batch, resident.gather(chosen, rounded=rounded))
        assert_equal(batch, mapped.gather(chosen, rounded=rounded))
    assert mapped.lengths.tolist() == resident.lengths.tolist()
    assert packs.notes_of(tmp_path / "pack") == ("a note",)


def test_a_stream_can_be_left(tmp_path: Path) -> None:
    mapped = packs.opened(written(tmp_path / "pack"), CPU)

    stream = mapped.stream(ORDER)
    next(stream)
    stream.close()  # type: ignore[attr-defined]

    assert list(mapped.stream([])) == []


def test_a_pack_exists_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with packs.Writer(tmp_path / "pack", reduction=3) as writer:
            writer.add(pairs()[0])
            raise OSError(28, "No space left on device")

    with pytest.raises(CorpuskitError, match="cannot write"):
        interrupted()

    assert list(tmp_path.iterdir()) == []


def test_a_training_from_files_is_the_training_in_memory(workspace: Path) -> None:
    whole = outcome(trained(workspace, "train.memory=device", tag="whole"))
    again = started(workspace, "train.memory=disk", tag="again", again=True)
    watched(again, stop_after=2)

    assert outcome(resumed(again)) == whole
    kept = sorted((workspace / "cache" / "packs").iterdir())
    assert len(kept) == 2  # train and dev, written once
    shutil.rmtree(workspace / "cache")
    third = trained(workspace, "train.memory=disk", "train.accumulate=2", tag="third")
    assert third.record.status == "finished"
    assert sorted((workspace / "cache" / "packs").iterdir()) == kept


def test_frames_stand_on_disk_where_they_would_take_half_of_the_memory() -> None:
    assert pick_memory("auto", 10**6, CPU) == "device"
    assert pick_memory("auto", 10**15, CPU) == "disk"
    assert pick_memory("disk", 1, CPU) == "disk"
    assert pick_memory("device", 10**15, CPU) == "device"

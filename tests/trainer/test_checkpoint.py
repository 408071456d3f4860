"""Checkpoints: whole or not at all, no pickle, and the newest whole one is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.config import from_mapping, to_mapping
from corpuskit.errors import CorpuskitError
from trainer import checkpoint
from trainer.checkpoint import Checkpoint, State
from trainer.errors import BadRun

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1.5)}
TENSORS = {"optimiser/exp_avg/a.weight": torch.ones(2, 3), "running": torch.ones(5, 2)}
MIDDLE = State(epoch=3, batch=7, step=31, best_loss=0.1 + 0.2, best_epoch=2, scaler={"scale": 64.0})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "N2C_1" / "checkpoints"


def save(folder: Path, **state: object) -> Checkpoint:
    return checkpoint.save(folder, State(**state), WEIGHTS, TENSORS)  # type: ignore[arg-type]


def test_what_is_saved_is_loaded_bit_for_bit(folder: Path) -> None:
    place = checkpoint.save(folder, MIDDLE, WEIGHTS, TENSORS)

    state, weights, tensors = checkpoint.load(place)

    assert replace(state, digests={}) == MIDDLE
    for found, truth in ((weights, WEIGHTS), (tensors, TENSORS)):
        assert found.keys() == truth.keys()
        assert all(torch.equal(found[name], truth[name]) for name in truth)


def test_nothing_in_it_is_pickled(folder: Path) -> None:
    place = checkpoint.save(folder, MIDDLE, WEIGHTS, TENSORS)

    files = {path.name: path.read_bytes() for path in place.folder.iterdir()}
    assert set(files) == {"weights.safetensors", "state.safetensors", "state.json"}
    json.loads(files.pop("state.json"))
    for data in files.values():  # safetensors: a length, then JSON, then raw numbers
        size = int.from_bytes(data[:8], "little")
        json.loads(data[8 : 8 + size])


@given(
    st.builds(
        State,
        epoch=st.integers(0, 10**5),
        batch=st.integers(0, 10**6),
        step=st.integers(0, 10**9),
        best_loss=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        scaler=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    )
)
def test_a_state_survives_json_exactly(state: State) -> None:
    text = json.dumps(to_mapping(state))

    assert from_mapping(State, json.loads(text), "the test") == state


@given(st.lists(st.tuples(st.integers(0, 12000), st.integers(0, 120000)), min_size=2))
def test_names_hold_the_position(positions: list[tuple[int, int]]) -> None:
    for epoch, batch in positions:
        match = checkpoint._NAME.fullmatch(State(epoch=epoch, batch=batch).name)
        assert match is not None
        assert (int(match[1]), int(match[2] or 0)) == (epoch, batch)


def test_checkpoints_are_listed_as_training_goes(folder: Path) -> None:
    for epoch, batch in ((10, 0), (9, 12), (0, 0), (9, 3), (9, 0)):
        save(folder, epoch=epoch, batch=batch)

    names = [each.folder.name for each in checkpoint.listed(folder)]
    assert names == [
        "epoch-0000",
        "epoch-0009",
        "epoch-0009+00003",
        "epoch-0009+00012",
        "epoch-0010",
    ]
    assert checkpoint.last(folder).folder.name == "epoch-0010"


def test_an_existing_checkpoint_is_kept_as_it_is(folder: Path) -> None:
    place = save(folder, epoch=1, step=5)
    before = (place.folder / "state.json").stat().st_mtime_ns

    save(folder, epoch=1, step=5)

    assert (place.folder / "state.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["weights.safetensors", "state.safetensors"])
@pytest.mark.parametrize("position", [3, 40, -1])
def test_one_changed_byte_is_found(folder: Path, name: str, position: int) -> None:
    place = save(folder, epoch=1)
    path = place.folder / name
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)

    with pytest.raises(BadRun, match=name):
        checkpoint.load(place)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": 2, "epoch": 1}', '{"schema":1,"x":0}'],
)
def test_a_state_that_is_not_ours_is_refused(folder: Path, text: str) -> None:
    place = save(folder, epoch=1)
    (place.folder / "state.json").write_text(text)

    with pytest.raises(BadRun):
        checkpoint.load(place)


def test_pickled_weights_are_refused(folder: Path) -> None:
    place = save(folder, epoch=1)
    torch.save(WEIGHTS, place.folder / "weights.safetensors")

    with pytest.raises(BadRun, match=r"weights\.safetensors"):
        checkpoint.load_weights(place)


def test_the_newest_whole_one_is_loaded_and_damaged_ones_go(folder: Path) -> None:
    for epoch in (1, 2, 3):
        save(folder, epoch=epoch)
    (folder / "epoch-0003" / "weights.safetensors").write_bytes(b"torn")
    (folder / "epoch-0002" / "state.json").write_text("{")

    place, state, _, _, damaged = checkpoint.load_newest(folder)

    assert (place.epoch, state.epoch) == (1, 1)
    assert len(damaged) == 2
    assert [each.epoch for each in checkpoint.listed(folder)] == [1]


def test_without_a_whole_one_there_is_nothing_to_go_on_from(folder: Path) -> None:
    save(folder, epoch=1)
    (folder / "epoch-0001" / "weights.safetensors").unlink()

    with pytest.raises(BadRun, match="run N2C_1 has no whole checkpoint"):
        checkpoint.load_newest(folder)


def test_best_last_and_epochs_are_found_by_name(folder: Path) -> None:
    save(folder, epoch=2)
    save(folder, epoch=10)
    save(folder, epoch=12, best_epoch=10, best_loss=0.5)

    assert checkpoint.by_epoch(folder, "best").epoch == 10
    assert checkpoint.by_epoch(folder, "last").epoch == 12
    assert checkpoint.by_epoch(folder, "2").epoch == 2


@pytest.mark.parametrize("which", ["3", "tenth", "-1", "", "²"])
def test_an_epoch_that_was_not_kept_names_those_that_were(folder: Path, which: str) -> None:
    save(folder, epoch=2)
    save(folder, epoch=4)

    with pytest.raises(CorpuskitError, match="it keeps best, last, and epochs 2, 4"):
        checkpoint.by_epoch(folder, which)


def test_last_best_and_every_so_many_stay(folder: Path) -> None:
    for epoch in range(8):
        save(folder, epoch=epoch)
    save(folder, epoch=4, batch=2)

    checkpoint.prune(folder, best_epoch=5, save_every=3)

    assert [each.folder.name for each in checkpoint.listed(folder)] == [
        "epoch-0003",
        "epoch-0005",
        "epoch-0006",
        "epoch-0007",
    ]
    assert sorted(path.name for path in folder.iterdir()) == [
        "epoch-0003",
        "epoch-0005",
        "epoch-0006",
        "epoch-0007",
    ]


def attempt(work: Callable[[], object]) -> str:
    """Do something that may fail; returns what it failed with."""
    try:
        work()
    except CorpuskitError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("call", ["_write", "_sync", "_rename"])
def test_a_disk_that_fails_at_any_call_leaves_the_old_ones_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    import corpuskit.files

    save(folder, epoch=1)
    real = getattr(corpuskit.files, call)
    failures = 0
    for nth in range(1, 100):
        calls = 0

        def failing(*arguments: object, nth: int = nth) -> None:
            nonlocal calls
            calls += 1
            if calls == nth:
                raise OSError(5, "Input/output error")
            real(*arguments)

        with monkeypatch.context() as broken:
            broken.setattr(corpuskit.files, call, failing)
            told = attempt(lambda: save(folder, epoch=2, step=9))
        if not told:
            break
        failures += 1
        assert "Input/output error" in told
        # only the very last sync comes after the folder has its name
        assert [each.epoch for each in checkpoint.listed(folder)] in ([1], [1, 2])
        for each in checkpoint.listed(folder):
            checkpoint.load(each)
        assert not list(folder.glob(".tmp*"))
        if len(checkpoint.listed(folder)) == 2:
            break
    else:
        pytest.fail("it never succeeded")
    assert failures >= 3
    assert checkpoint.load(checkpoint.last(folder))[0].step == 9


def test_moments_go_back_to_their_parameters() -> None:
    def pair() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(1)
        model = torch.nn.Linear(3, 2)
        return model, torch.optim.Adam(model.parameters(), lr=0.1, fused=True)

    def step(model: torch.nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
        torch.manual_seed(seed)
        model(torch.randn(4, 3)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()

    model, optimiser = pair()
    step(model, optimiser, 1)
    tensors = checkpoint.optimiser_tensors(model, optimiser)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = {name: value.clone() for name, value in tensors.items()}
    step(model, optimiser, 2)

    other, fresh = pair()
    other.load_state_dict(weights)
    checkpoint.restore_optimiser(other, fresh, tensors)
    step(other, fresh, 2)

    assert set(tensors) == {
        f"optimiser/{key}/{name}"
        for key in ("step", "exp_avg", "exp_avg_sq")
        for name in ("weight", "bias")
    }
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_the_loss_scaler_goes_on_where_it_was() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**5, growth_interval=7)
    state = checkpoint.scaler_state(scaler)

    other = torch.amp.GradScaler("cpu")
    checkpoint.restore_scaler(other, json.loads(json.dumps(state)))

    assert other.state_dict() == scaler.state_dict()
    assert isinstance(other.state_dict()["growth_interval"], int)
    assert checkpoint.scaler_state(torch.amp.GradScaler("cpu", enabled=False)) == {}


@pytest.mark.parametrize(
    ("told", "used"), [(None, 1.0), (0.93, 0.93), (1.1, 1.1), (0.2, 0.8), (7.0, 1.25)]
)
def test_the_pace_is_set_right_within_bounds(told: float | None, used: float) -> None:
    assert State(epoch=3, pace=told).own_pace == used


def test_a_checkpoint_of_before_there_was_a_pace_is_read(folder: Path) -> None:
    place = checkpoint.save(folder, MIDDLE, WEIGHTS, TENSORS)
    path = place.folder / "state.json"
    mapping = json.loads(path.read_text())
    del mapping["pace"]
    path.write_text(json.dumps(mapping))

    assert place.state().own_pace == 1.0

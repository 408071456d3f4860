"""Device and precision: chosen, refused with a remedy, and put back afterwards."""

from __future__ import annotations

import pytest
import torch

from corpuskit.errors import BadSetting
from trainer import device

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_cuda_is_taken_where_it_is_and_refused_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.pick("auto") == CPU
    with pytest.raises(BadSetting, match="use --device cpu"):
        device.pick("cuda")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.pick("auto") == device.pick("cuda") == CUDA
    assert device.pick("cpu") == CPU
    with pytest.raises(BadSetting, match="auto, cpu or cuda"):
        device.pick("tpu")


@pytest.mark.parametrize(
    ("setting", "place", "has_bf16", "precision"),
    [
        ("auto", CPU, False, "fp32"),
        ("auto", CUDA, True, "bf16"),
        ("auto", CUDA, False, "fp16"),
        ("fp32", CUDA, True, "fp32"),
        ("bf16", CPU, False, "bf16"),
    ],
)
def test_the_default_precision_is_the_devices_best(
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    place: torch.device,
    has_bf16: bool,
    precision: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)

    assert device.pick_precision(setting, place) == precision


def test_bf16_is_refused_where_the_device_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Old GPU")

    with pytest.raises(BadSetting, match="Old GPU has no bf16"):
        device.pick_precision("bf16", CUDA)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_products_are_made_in_the_precision(precision: str, dtype: torch.dtype) -> None:
    x = torch.ones(2, 2)

    with device.autocast(CPU, precision):
        assert (x @ x).dtype == dtype

    assert device.scaler(CPU, precision).is_enabled() == (precision == "fp16")


def test_determinism_is_asked_for_and_undone() -> None:
    before = torch.are_deterministic_algorithms_enabled()

    with device.deterministic(CPU):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.allow_tf32
    with pytest.raises(ValueError, match="x"), device.deterministic(CPU):
        raise ValueError("x")

    assert torch.are_deterministic_algorithms_enabled() == before
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.backends.cudnn.allow_tf32


def test_the_record_names_what_computed() -> None:
    assert "threads" in device.name_of(CPU)
    assert device.libraries()["torch"] == torch.__version__
    named = {"python", "numpy", "safetensors", "torch", "corpuskit", "trainer"}
    assert set(device.libraries()) == named


def test_what_is_drawn_depends_on_the_key_alone() -> None:
    drawn = []
    for before in (3, 50):
        torch.rand(before)
        device.reseed(CPU, (0, 1, 2))
        drawn.append(torch.rand(5))
    device.reseed(CPU, (0, 1, 3))

    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(torch.rand(5), drawn[0])

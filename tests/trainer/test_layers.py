"""Each layer against PyTorch's own modules or a slow reference, one utterance at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from trainer.layers import (
    Attention,
    BlockShape,
    Conformer,
    ConformerBlock,
    Conv,
    Dropout,
    FeedForward,
    GatedConv,
    PostNet,
    Predictor,
    StackedLSTM,
    rotate,
    turn,
)
from trainer.packing import Packing, packing

LENGTHS = [5, 1, 9, 2]
SHAPE = BlockShape(width=8, attention=12, heads=2, hidden=16, kernel=5, dropout=0.2)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def place_of(lengths: list[int], gap: int = 3) -> Packing:
    return packing(torch.tensor(lengths), max(lengths), gap)


def noise(place: Packing, channels: int) -> Tensor:
    """Random rows (M, channels) with NaN in the gaps: whoever reads those is found out."""
    return torch.randn(len(place.real), channels).masked_fill(~place.real, torch.nan)


def utterances(x: Tensor, place: Packing) -> list[Tensor]:
    """The rows of each utterance, (T, C) each."""
    real = place.real.squeeze(1)
    return [x[real & (place.utterance == b)] for b in range(len(place.valid))]


def assert_alike(found: Tensor, place: Packing, slow: list[Tensor]) -> None:
    for one, other in zip(utterances(found, place), slow, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


# ---------------------------------------------------------------------- dropout


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_dropout_zeroes_its_share_and_scales_the_rest(share: float) -> None:
    x = torch.full((1000, 1001), 2.0)

    dropped = Dropout(share).train()(x)

    values = dropped.unique()
    spread = math.sqrt(share * (1 - share) / x.numel())
    assert values[0] == 0
    assert values[1:].tolist() == pytest.approx([2 / (1 - share)], rel=1e-4)
    assert (dropped == 0).double().mean().item() == pytest.approx(share, abs=5 * spread)


def test_dropout_draws_are_independent_of_each_other() -> None:
    kept = (Dropout(0.5).train()(torch.ones(1 << 16)) > 0).double() - 0.5

    for lag in (1, 2, 3, 4, 8):
        correlation = 4 * (kept[lag:] * kept[:-lag]).mean().item()
        assert abs(correlation) < 5 / math.sqrt(len(kept))


def test_dropout_passes_the_gradient_where_it_passed_the_value() -> None:
    x = torch.ones(50, 7, requires_grad=True)

    dropped = Dropout(0.3).train()(x)
    dropped.sum().backward()

    assert x.grad is not None
    assert torch.equal(x.grad, dropped.detach())


def test_dropout_repeats_with_the_seed_whatever_else_is_set() -> None:
    drop = Dropout(0.5).train()
    torch.manual_seed(3)
    first = drop(torch.ones(999))
    torch.manual_seed(3)

    assert torch.equal(drop(torch.ones(999)), first)
    assert not torch.equal(drop(torch.ones(999)), first)


def test_dropout_keeps_the_precision_of_its_input() -> None:
    dropped = Dropout(0.2).train()(torch.ones(100, dtype=torch.bfloat16))

    assert dropped.dtype == torch.bfloat16
    assert dropped.unique().tolist() == [0, 1.25]


@pytest.mark.parametrize("drop", [Dropout(0.5).eval(), Dropout(0.0).train()])
def test_dropout_is_off_in_use_and_at_zero(drop: Dropout) -> None:
    x = torch.randn(20)

    assert torch.equal(drop(x), x)


# ---------------------------------------------------------------------- convolution


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_conv_is_torchs_on_each_utterance_alone(kernel: int, groups: int) -> None:
    place = place_of(LENGTHS)
    conv = Conv(4, 8, kernel, groups=groups)
    torchs = nn.Conv1d(4, 8, kernel, padding="same", groups=groups)
    torchs.load_state_dict(conv.state_dict())
    x = noise(place, 4)

    found = conv(x, place.real)

    assert_alike(found, place, [torchs(each.t()).t() for each in utterances(x, place)])


def test_conv_under_autocast_is_close_to_itself() -> None:
    """Autocast, like CUDA, goes through PyTorch's own kernel."""
    place = place_of(LENGTHS)
    conv = Conv(4, 8, 5)
    x = noise(place, 4)

    exact = conv(x, place.real)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = conv(x, place.real)

    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, atol=0.02, rtol=0.02)


def test_convs_gradients_are_those_of_each_utterance_alone() -> None:
    place = place_of(LENGTHS)
    conv, torchs = Conv(4, 3, 5), nn.Conv1d(4, 3, 5, padding="same")
    torchs.load_state_dict(conv.state_dict())
    x = noise(place, 4).requires_grad_()

    conv(x, place.real).masked_fill(~place.real, 0).square().sum().backward()
    grad, x.grad = x.grad, None
    sum(torchs(each.t()).square().sum() for each in utterances(x, place)).backward()

    assert grad is not None
    assert x.grad is not None
    torch.testing.assert_close(grad, x.grad)
    for mine, other in zip(conv.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


# ---------------------------------------------------------------------- attention


def test_rotation_is_a_product_of_complex_numbers() -> None:
    position = torch.tensor([0, 1, 7, 400])
    x = torch.randn(4, 2, 3, 10)
    frequency = torch.tensor([10000 ** (-c / 5) for c in range(5)], dtype=torch.float64)
    angle = position[:, None, None, None] * frequency
    slow = torch.complex(x[..., :5].double(), x[..., 5:].double()) * torch.exp(1j * angle)

    found = rotate(x, turn(position, 10))

    torch.testing.assert_close(
        found, torch.cat((slow.real, slow.imag), -1).float(), atol=1e-4, rtol=0
    )
    assert torch.equal(found[0], x[0])


@settings(max_examples=30)
@given(one=st.integers(0, 500), other=st.integers(0, 500), shift=st.integers(1, 500))
def test_scores_depend_on_the_offset_of_two_frames_only(one: int, other: int, shift: int) -> None:
    query, key = torch.randn(2, 1, 1, 1, 12, dtype=torch.float64)

    def score(first: int, second: int) -> Tensor:
        turned = rotate(query, turn(torch.tensor([first]), 12))
        return (turned * rotate(key, turn(torch.tensor([second]), 12))).sum()

    here, there = score(one, other), score(one + shift, other + shift)

    assert here.item() == pytest.approx(there.item(), abs=2e-3)  # angles are float32


def test_scores_change_with_the_offset() -> None:
    same = torch.ones(1, 1, 1, 12)
    near, far = (
        (
            rotate(same, turn(torch.tensor([0]), 12)) * rotate(same, turn(torch.tensor([t]), 12))
        ).sum()
        for t in (1, 2)
    )

    assert near > far + 0.1


def slow_attention(layer: Attention, x: Tensor) -> Tensor:
    """Softmax of scaled dot products of one utterance (T, width), head by head."""
    channels = layer.out.in_features // layer.heads
    by = turn(torch.arange(len(x)), channels)
    query, key, value = layer.project(x).chunk(3, dim=-1)
    seen = []
    for head in range(layer.heads):
        part = slice(head * channels, (head + 1) * channels)
        q, k = (rotate(each[:, None, None, part], by)[:, 0, 0] for each in (query, key))
        seen.append(torch.softmax(q @ k.t() / math.sqrt(channels), dim=-1) @ value[:, part])
    return layer.out(torch.cat(seen, dim=-1))


@pytest.mark.parametrize("lengths", [LENGTHS, [6, 6], [4]])
def test_attention_is_a_softmax_over_the_utterances_own_frames(lengths: list[int]) -> None:
    place = place_of(lengths)
    layer = Attention(width=8, channels=12, heads=3)
    x = noise(place, 8).nan_to_num(1e3)

    found = layer(x, place, turn(place.position, 4))

    assert_alike(found, place, [slow_attention(layer, each) for each in utterances(x, place)])


# ---------------------------------------------------------------------- Conformer


def slow_feed_forward(layer: FeedForward, x: Tensor) -> Tensor:
    norm, widen, _, _, narrow, _ = layer
    return narrow(functional.silu(widen(norm(x))))


def slow_gated_conv(layer: GatedConv, x: Tensor) -> Tensor:
    """The module as the Conformer paper draws it, on one utterance (T, width)."""
    value, gate = layer.widen(layer.norm(x)).chunk(2, dim=-1)
    gated = (value * torch.sigmoid(gate)).t()
    mixed = functional.conv1d(
        gated,
        layer.depthwise.weight,
        layer.depthwise.bias,
        padding="same",
        groups=gated.shape[0],
    )
    return layer.out(functional.silu(layer.depthwise_norm(mixed.t())))


def slow_block(block: ConformerBlock, x: Tensor) -> Tensor:
    x = x + slow_feed_forward(block.before, x) / 2
    x = x + slow_attention(block.attention, block.attention_norm(x))
    x = x + slow_gated_conv(block.conv, x)
    return block.norm(x + slow_feed_forward(block.after, x) / 2)


def test_gated_conv_is_the_papers_on_each_utterance_alone() -> None:
    place = place_of(LENGTHS)
    layer = GatedConv(8, 5, dropout=0.2).eval()
    x = noise(place, 8)

    found = layer(x, place.real)

    assert_alike(found, place, [slow_gated_conv(layer, each) for each in utterances(x, place)])


def test_conformer_is_its_blocks_on_each_utterance_alone() -> None:
    place = place_of(LENGTHS)
    stack = Conformer(3, SHAPE).eval()
    x = noise(place, 8).nan_to_num(0.5)

    found = stack(x, place)

    slow = utterances(x, place)
    for block in stack.blocks:
        slow = [slow_block(block, each) for each in slow]
    assert_alike(found, place, slow)


# ---------------------------------------------------------------------- convolution stacks


def test_predictor_is_torchs_modules_in_sequence() -> None:
    place = place_of(LENGTHS)
    layer = Predictor(width=8, channels=6, layers=3, kernel=5, dropout=0.5, outputs=2).eval()
    x = noise(place, 8)

    def slow(each: Tensor) -> Tensor:
        for step in layer.steps:
            conv = functional.conv1d(each.t(), step.conv.weight, step.conv.bias, padding="same")
            each = functional.layer_norm(torch.relu(conv.t()), (6,))
        return layer.out(each)

    assert_alike(layer(x, place.real), place, [slow(each) for each in utterances(x, place)])


# ------------------------------------------------------------------------- recurrence


@pytest.mark.parametrize("training", [True, False])
def test_stacked_lstm_is_torchs_with_its_names_and_first_weights(training: bool) -> None:
    torch.manual_seed(3)
    theirs = nn.LSTM(5, 6, 2, batch_first=True)
    torch.manual_seed(3)
    layer = StackedLSTM(5, 6, 2, dropout=0.0).train(training)
    assert list(layer.state_dict()) == list(theirs.state_dict())
    x, state = torch.randn(3, 7, 5), (torch.randn(2, 3, 6), torch.randn(2, 3, 6))

    for before in (None, state):
        found, ends = layer(x, before)
        expected, wanted = theirs(x, before)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(ends, wanted)


def test_stacked_lstm_drops_out_between_its_layers_only() -> None:
    layer = StackedLSTM(5, 6, 2, dropout=0.5)
    x = torch.randn(3, 7, 5)

    (one, (hidden, _)), (other, (again, _)) = layer(x), layer(x)

    assert not torch.equal(one, other)
    assert bool((one != 0).all())
    assert torch.equal(hidden[0], again[0])
    assert torch.equal(layer.eval()(x)[0], layer(x)[0])


def test_each_layers_weights_are_laid_end_to_end_for_cudnn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = StackedLSTM(5, 6, 2, dropout=0.5)
    laid: list[tuple[list[Tensor], int]] = []
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda _: True), raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "is_acceptable", lambda _: True)
    monkeypatch.setattr(torch.backends.cudnn.rnn, "get_cudnn_mode", lambda _: 2)
    monkeypatch.setattr(
        torch,
        "_cudnn_rnn_flatten_weight",
        lambda weights, _count, inputs, *_: laid.append((weights, inputs)),
    )

    layer.flatten_parameters()

    assert [inputs for _, inputs in laid] == [5, 6]
    assert [id(each) for own, _ in laid for each in own] == list(map(id, layer.parameters()))


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_postnet_adds_its_correction(layers: int) -> None:
    place = place_of(LENGTHS)
    layer = PostNet(mels=4, channels=6, layers=layers, kernel=5, dropout=0.5).eval()
    x = noise(place, 4)

    def slow(each: Tensor) -> Tensor:
        hidden = each
        for i, conv in enumerate(layer.convs):
            hidden = functional.conv1d(hidden.t(), conv.weight, conv.bias, padding="same").t()
            if i < layers - 1:
                hidden = torch.tanh(functional.layer_norm(hidden, (6,)))
        return each + hidden

    assert_alike(layer(x, place.real), place, [slow(each) for each in utterances(x, place)])


@pytest.mark.parametrize(
    "make",
    [
        lambda: FeedForward(8, 16, 0.5),
        lambda: Predictor(8, 6, 2, 3, 0.5, 1),
        lambda: PostNet(8, 6, 3, 5, 0.5),
        lambda: GatedConv(8, 5, 0.5),
        lambda: ConformerBlock(SHAPE),
        lambda: Conformer(1, SHAPE),
    ],
)
def test_dropout_is_on_in_training(make: Callable[[], nn.Module]) -> None:
    layer = make().train()
    place = place_of(LENGTHS)
    x = noise(place, 8).nan_to_num(0)
    extra = {
        FeedForward: (),
        ConformerBlock: (place, turn(place.position, 6)),
        Conformer: (place,),
    }.get(type(layer), (place.real,))

    assert not torch.equal(layer(x, *extra), layer(x, *extra))
    layer.eval()
    assert torch.equal(layer(x, *extra), layer(x, *extra))

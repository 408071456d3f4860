"""The layers the model is made of, working on packed utterances (see `packing`).

Shapes: M rows (frames of all utterances end to end, with gaps), C channels. Normalisation is
LayerNorm throughout: batch normalisation would let an utterance's output depend on its neighbours.
Where a paper's layer has BatchNorm (Conformer's convolution module, PostNet), LayerNorm stands in
its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from trainer.packing import Packing

__all__ = [
    "Attention",
    "BlockShape",
    "Conformer",
    "ConformerBlock",
    "Conv",
    "Dropout",
    "FeedForward",
    "GatedConv",
    "PostNet",
    "Predictor",
    "RecurrentPredictor",
    "StackedLSTM",
    "Turn",
    "rotate",
    "turn",
]


# ---------------------------------------------------------------------- dropout

DRAWS = 1 << 16  # values of one 16-bit draw


class Dropout(nn.Module):
    """Zero each value with probability `share` in training, scaling up the rest to match.

    On the CPU the mask comes from 16-bit draws, four to each 64-bit number of torch's default
    generator, which takes a quarter of the time of `nn.Dropout` (whose masks would cost the full
    model a sixth of a training step). The probability is rounded to a multiple of 2^-16 and the
    scale fits the rounded one.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return x (...) with some values dropped."""
        if not self.training or self.share == 0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.share)
        return x * _kept(x, round(self.share * DRAWS))

    def extra_repr(self) -> str:
        """Show the share in the model's print."""
        return f"{self.share}"


def _kept(x: Tensor, dropped: int) -> Tensor:
    """Return a mask like `x`: 0 for `dropped` of DRAWS draws, else the scale that makes up."""
    words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    draws = words.view(torch.int16)[: x.numel()].view(x.shape)
    kept = draws >= dropped - DRAWS // 2
    return kept.to(x.dtype).mul_(DRAWS / (DRAWS - dropped))


# ---------------------------------------------------------------------- convolution


class Conv(nn.Conv1d):
    """Convolution over time, (M, Cin) -> (M, Cout), zero beyond either end of every utterance.

    The kernel is odd and the length stays. Equal to `nn.Conv1d` with "same" padding on each
    utterance alone, as long as the gaps hold at least kernel // 2 rows.

    On the CPU a float32 convolution is a sum of matrix products, one a tap: rows are not transposed
    to PyTorch's channels-first order and back, which takes a sixth off the full model's training
    step.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, groups=groups)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:  # type: ignore[override]
        """Convolve x (M, Cin); real (M, 1) is false on gap rows, whose content is not read."""
        if x.is_cpu and self.groups == 1 and not torch.is_autocast_enabled("cpu"):
            taps = self.weight.permute(2, 1, 0).contiguous()
            return _convolve(x, real, taps, self.bias)
        clean = x.masked_fill(~real, 0)
        return super().forward(clean.t()[None])[0].t()


class _Taps(torch.autograd.Function):
    """x (M, Cin), real (M, 1), taps (K, Cin, Cout), bias (Cout,) -> (M, Cout)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, real: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
        length, half = len(x), len(taps) // 2
        wide = x.new_zeros(length + 2 * half, x.shape[1])
        wide[half : half + length].copy_(x).masked_fill_(~real, 0)
        ctx.save_for_backward(wide, real, taps)
        out = torch.addmm(bias, wide[:length], taps[0])
        for k in range(1, len(taps)):
            out.addmm_(wide[k : k + length], taps[k])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
        wide, real, taps = ctx.saved_tensors
        length, half = len(grad), len(taps) // 2
        wide_grad, taps_grad = torch.zeros_like(wide), torch.empty_like(taps)
        for k in range(len(taps)):
            wide_grad[k : k + length].addmm_(grad, taps[k].t())
            torch.mm(wide[k : k + length].t(), grad, out=taps_grad[k])
        x_grad = wide_grad[half : half + length].masked_fill_(~real, 0)
        return x_grad, None, taps_grad, grad.sum(0)


_convolve: Callable[..., Tensor] = _Taps.apply


# ---------------------------------------------------------------------- attention


class Turn(NamedTuple):
    """Cosine and sine of each row's rotation angles, both (M, 1, 1, D / 2) float32."""

    cos: Tensor
    sin: Tensor


def turn(position: Tensor, channels: int) -> Turn:
    """Return the rotation of each row for heads of `channels` (even), from its position (M,).

    Frequencies fall from 1 to 1/10000 radians a frame (RoFormer, arXiv:2104.09864).
    """
    pairs = torch.arange(channels // 2, device=position.device, dtype=torch.float32)
    angle = position[:, None].float() * 10000.0 ** (-2 * pairs / channels)
    return Turn(angle.cos()[:, None, None], angle.sin()[:, None, None])


def rotate(x: Tensor, by: Turn) -> Tensor:
    """Rotate channel pairs (c, c + D / 2) of x (M, ..., D) by each row's angles."""
    one, two = x.chunk(2, dim=-1)
    turned = torch.cat((one * by.cos - two * by.sin, two * by.cos + one * by.sin), dim=-1)
    return turned.to(x.dtype)


class Attention(nn.Module):
    """Self-attention among the frames of each utterance, with rotary relative positions.

    Rotary rather than Transformer-XL's relative encoding (as the Conformer paper has it): the
    score still depends on nothing but content and the exact offset of two frames, with no
    longest length and no clipping, but no (T, T) bias per head is computed, stored and
    differentiated, so that every kernel of `scaled_dot_product_attention` that takes a key mask
    can serve. Attention weights are not dropped out: that, too, would rule out the fast kernels.
    """

    def __init__(self, width: int, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * channels)
        self.out = nn.Linear(channels, width)

    def forward(self, x: Tensor, place: Packing, by: Turn) -> Tensor:
        """Let rows of x (M, width) attend to the frames of their own utterance: (M, width)."""
        query, key, value = self._heads(self.project(x), place, by)
        mask = None if place.full else place.valid[:, None, None]
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(place.pack(seen.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]

    def _heads(self, projected: Tensor, place: Packing, by: Turn) -> tuple[Tensor, ...]:
        """Split (M, 3 * channels) into query, key and value, each (B, heads, T, D), rotated."""
        heads = projected.view(projected.shape[0], 3, self.heads, -1)
        turned = torch.cat((rotate(heads[:, :2], by), heads[:, 2:]), dim=1)
        padded = place.pad(turned.flatten(1)).view(*place.valid.shape, 3, self.heads, -1)
        return tuple(part.transpose(1, 2) for part in padded.unbind(2))


# ---------------------------------------------------------------------- Conformer


@dataclass(frozen=True, kw_only=True)
class BlockShape:
    """Sizes of a Conformer block, in channels."""

    width: int
    attention: int  # of all heads together
    heads: int
    hidden: int  # of the feed-forwards
    kernel: int  # frames
    dropout: float


class FeedForward(nn.Sequential):
    """LayerNorm, widen, SiLU, narrow: (M, width) -> (M, width)."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.SiLU(),
            Dropout(dropout),
            nn.Linear(hidden, width),
            Dropout(dropout),
        )


class GatedConv(nn.Module):
    """Conformer's convolution module, with LayerNorm for BatchNorm: (M, width) -> (M, width)."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.depthwise = Conv(width, width, kernel, groups=width)
        self.depthwise_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Mix x (M, width) over neighbouring frames; real (M, 1) is false on gap rows."""
        gated = functional.glu(self.widen(self.norm(x)), dim=-1)
        mixed = functional.silu(self.depthwise_norm(self.depthwise(gated, real)))
        return self.dropout(self.out(mixed))  # type: ignore[no-any-return]


class ConformerBlock(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward (arXiv:2005.08100)."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.before = FeedForward(shape.width, shape.hidden, shape.dropout)
        self.attention_norm = nn.LayerNorm(shape.width)
        self.attention = Attention(shape.width, shape.attention, shape.heads)
        self.attention_dropout = Dropout(shape.dropout)
        self.conv = GatedConv(shape.width, shape.kernel, shape.dropout)
        self.after = FeedForward(shape.width, shape.hidden, shape.dropout)
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, x: Tensor, place: Packing, by: Turn) -> Tensor:
        """Return x (M, width) refined: (M, width)."""
        x = x + 0.5 * self.before(x)
        x = x + self.attention_dropout(self.attention(self.attention_norm(x), place, by))
        x = x + self.conv(x, place.real)
        return self.norm(x + 0.5 * self.after(x))  # type: ignore[no-any-return]


class Conformer(nn.Module):
    """A stack of Conformer blocks with an input dropout: (M, width) -> (M, width)."""

    def __init__(self, layers: int, shape: BlockShape) -> None:
        super().__init__()
        self.head_channels = shape.attention // shape.heads
        self.dropout = Dropout(shape.dropout)
        self.blocks = nn.ModuleList(ConformerBlock(shape) for _ in range(layers))

    def forward(self, x: Tensor, place: Packing) -> Tensor:
        """Return x (M, width), laid out as `place`, after all blocks."""
        by = turn(place.position, self.head_channels)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, place, by)
        return x


# ---------------------------------------------------------------------- convolution stacks


class _Step(nn.Module):
    """Convolution, ReLU, LayerNorm, dropout: one layer of a predictor."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, kernel)
        self.norm = nn.LayerNorm(outputs)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        return self.dropout(self.norm(functional.relu(self.conv(x, real))))  # type: ignore[no-any-return]


class Predictor(nn.Module):
    """FastSpeech 2's variance predictor (arXiv:2006.04558): (M, width) -> (M, outputs)."""

    def __init__(
        self, width: int, channels: int, layers: int, kernel: int, dropout: float, outputs: int
    ) -> None:
        super().__init__()
        inputs = [width] + [channels] * (layers - 1)
        self.steps = nn.ModuleList(_Step(each, channels, kernel, dropout) for each in inputs)
        self.out = nn.Linear(channels, outputs)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Predict from x (M, width); real (M, 1) is false on gap rows."""
        for step in self.steps:
            x = step(x, real)
        return self.out(x)  # type: ignore[no-any-return]


WEIGHTS = 4  # of an LSTM layer: two matrices, two biases


class StackedLSTM(nn.LSTM):
    """LSTM layers with `Dropout` between them; called as `nn.LSTM` is, whose weights it has.

    cuDNN has random numbers of its own for the dropout of `nn.LSTM`, which PyTorch starts anew
    whenever the device's are seeded: the host would wait for them in every step, and a step that
    waits cannot be recorded (see `graphs`).
    """

    def __init__(self, inputs: int, channels: int, layers: int, dropout: float) -> None:
        super().__init__(inputs, channels, layers, batch_first=True)
        self.between = Dropout(dropout)

    def forward(  # type: ignore[override]
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the last layer's output (P, L, channels) of x (P, L, inputs), and the state."""
        if x.is_cpu and not self.training:
            return super().forward(x, state)  # all layers at once
        nothing = x.new_zeros(self.num_layers, len(x), self.hidden_size)
        before, ends = state or (nothing, nothing), []
        for layer, weights in enumerate(self.by_layer()):
            x = self.between(x) if layer else x
            own = [each[layer : layer + 1].to(x.dtype) for each in before]
            x, *end = torch.lstm(
                x,
                own,
                weights,
                has_biases=True,
                num_layers=1,
                dropout=0.0,
                train=self.training,
                bidirectional=False,
                batch_first=True,
            )
            ends.append(end)
        hidden, cell = (torch.cat(each) for each in zip(*ends, strict=True))
        return x, (hidden, cell)

    def flatten_parameters(self) -> None:
        """Lay each layer's weights end to end, as cuDNN wants those of one layer.

        Otherwise it would copy them together at every call.
        """
        cuda: Any = torch.cuda
        cudnn: Any = torch.backends.cudnn
        weights = [each for each in self._flat_weights if each is not None]
        if not all(each.is_cuda and cudnn.is_acceptable(each) for each in weights):
            return
        mode = cudnn.rnn.get_cudnn_mode(self.mode)
        with torch.no_grad(), cuda.device_of(weights[0]):
            for layer, own in enumerate(self.by_layer()):
                inputs = self.hidden_size if layer else self.input_size
                torch._cudnn_rnn_flatten_weight(
                    own, WEIGHTS, inputs, mode, self.hidden_size, 0, 1, True, False
                )

    def by_layer(self) -> Iterator[list[Tensor]]:
        """Yield each layer's weights, in the order PyTorch takes them in."""
        weights = [each for each in self._flat_weights if each is not None]
        for first in range(0, len(weights), WEIGHTS):
            yield weights[first : first + WEIGHTS]


class RecurrentPredictor(Predictor):
    """A predictor whose frames hear what the frame before them became.

    Convolutions as in `Predictor`, then two LSTM layers that are fed with them and with the last
    value of the previous reduced frame. When that is known for every frame (training), all frames
    are computed at once; otherwise frame by frame from the predictor's own values.
    """

    BETWEEN = 0.1  # dropout between the LSTM layers; zoneout would need a loop over frames

    def __init__(
        self, width: int, channels: int, layers: int, kernel: int, dropout: float, outputs: int
    ) -> None:
        super().__init__(width, channels, layers, kernel, dropout, outputs)
        self.given = nn.Linear(1, channels)
        self.lstm = StackedLSTM(channels, channels, 2, self.BETWEEN)
        self.out = nn.Linear(2 * channels, outputs)

    def forward(  # type: ignore[override]
        self, x: Tensor, pieces: Packing, truth: Tensor | None = None
    ) -> Tensor:
        """Predict from x (M, width): (M, outputs).

        Every piece of `pieces` starts from nothing. `truth` (M, outputs) stands for the values of
        the frames before; without it the predicted ones do.
        """
        for step in self.steps:
            x = step(x, pieces.real)
        rows = pieces.pad(x)  # (P, L, channels)
        if truth is None:
            return pieces.pack(self._freely(rows))
        last = pieces.pad(truth[:, -1:]).to(rows.dtype)
        before = functional.pad(last[:, :-1], (0, 0, 1, 0))
        hidden, _ = self.lstm(rows + self.given(before))
        return pieces.pack(self.out(torch.cat((rows, hidden), dim=-1)))

    def _freely(self, rows: Tensor) -> Tensor:
        """Predict (P, L, outputs) frame by frame.

        The LSTM is written out: what does not depend on the frame before is computed for all
        frames at once, and what is left of one takes a quarter of the time of a call.
        """
        count, _, channels = rows.shape
        (into, back, *bias), (*both, one_bias, other_bias) = self.lstm.by_layer()
        heard = functional.linear(rows + self.given.bias, into, bias[0] + bias[1])
        of_last = (into @ self.given.weight).t()  # (1, 4 * C)
        second, second_bias = torch.cat(both, dim=1), one_bias + other_bias
        of_row, of_hidden = self.out.weight[:, :channels], self.out.weight[:, channels:]
        told = functional.linear(rows, of_row, self.out.bias)

        nothing = rows.new_zeros(count, channels)
        below, below_cell, above, above_cell = (nothing,) * 4
        last, found = rows.new_zeros(count, 1), []
        for now, value in zip(heard.unbind(1), told.unbind(1), strict=True):
            gates = torch.addmm(now + last * of_last, below, back.t())
            below, below_cell = _lstm_step(gates, below_cell)
            gates = torch.addmm(second_bias, torch.cat((below, above), dim=1), second.t())
            above, above_cell = _lstm_step(gates, above_cell)
            value = torch.addmm(value, above, of_hidden.t())
            found.append(value)
            last = value[:, -1:].to(rows.dtype)
        return torch.stack(found, dim=1)


def _lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden and cell state (P, C) after `gates` (P, 4 * C), in PyTorch's order."""
    enter, keep, new, leave = gates.chunk(4, dim=1)
    cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * cell.tanh(), cell


class PostNet(nn.Module):
    """Tacotron 2's residual refinement of a mel (arXiv:1712.05884), LayerNorm for BatchNorm.

    Convolutions with tanh between them; returns mel + correction, (M, mels) -> (M, mels).
    """

    def __init__(self, mels: int, channels: int, layers: int, kernel: int, dropout: float) -> None:
        super().__init__()
        sizes = [mels] + [channels] * (layers - 1)
        self.convs = nn.ModuleList(
            Conv(inputs, outputs, kernel)
            for inputs, outputs in zip(sizes, [*sizes[1:], mels], strict=True)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(each) for each in sizes[1:])
        self.dropout = Dropout(dropout)

    def forward(self, mel: Tensor, real: Tensor) -> Tensor:
        """Refine mel (M, mels); real (M, 1) is false on gap rows."""
        x = mel
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = self.dropout(torch.tanh(norm(conv(x, real))))
        return mel + self.dropout(self.convs[-1](x, real))  # type: ignore[no-any-return]

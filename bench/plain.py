"""The loop people write: the same models as their repositories train them, to measure against.

Padded batches from a torch DataLoader with worker processes, fp32, eager, modules and masks in the
manner of ESPnet: relative positions by Transformer-XL's score, BatchNorm in the convolution
module and the PostNet, dropout by `nn.Dropout`, the losses read after every step. `pitch_ar`
loops over frames with LSTM cells, `wgmm` over phrases with GRU cells, `search` over utterances
(`ctc_loss`, and a dynamic programme compiled by numba). Sizes are the product's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from trainer.batches import PairArrays
from trainer.config import ModelConfig, RunConfig


def steps(
    config: RunConfig, pairs: Sequence[PairArrays], order: Sequence[list[int]], device: str
) -> Iterator[float]:
    """Train on the batches of `order`; yields the loss of each step."""
    loader = torch.utils.data.DataLoader(
        _Pairs(pairs, config.model.reduction),
        batch_sampler=order,
        num_workers=2,
        collate_fn=_collate,
        pin_memory=device == "cuda",
        persistent_workers=False,
    )
    torch.manual_seed(config.train.seed)
    model = Plain(config.model).to(device).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda n: min((n + 1) ** -0.5, (n + 1) * config.optim.warm_up**-1.5)
    )
    for batch in loader:
        losses = model({name: value.to(device) for name, value in batch.items()})
        loss = sum(losses.values())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip)
        optimiser.step()
        schedule.step()
        yield {name: value.item() for name, value in losses.items()}["mel"]  # as they log


class _Pairs(torch.utils.data.Dataset):
    def __init__(self, pairs: Sequence[PairArrays], reduction: int) -> None:
        self._pairs, self._r = pairs, reduction

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        pair, r = self._pairs[index], self._r
        item: dict[str, Any] = {"durations": torch.from_numpy(pair.durations)}
        for side in ("source", "target"):
            for what in ("mel", "pitch", "energy"):
                values = getattr(pair, f"{side}_{what}")
                whole = len(values) // r
                item[f"{side}_{what}"] = torch.from_numpy(values[: whole * r].reshape(whole, -1))
            item[f"{side}_phrases"] = torch.tensor(getattr(pair, f"{side}_phrases") or (whole,))
            item[f"{side}_speaker"] = torch.tensor(getattr(pair, f"{side}_speaker"))
        return item


def _collate(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    batch = {
        name: torch.stack([item[name] for item in items])
        if value.dim() == 0
        else pad_sequence([item[name] for item in items], batch_first=True)
        for name, value in items[0].items()
    }
    for side in ("source", "target"):
        batch[f"{side}_lengths"] = torch.tensor([len(item[f"{side}_mel"]) for item in items])
    return batch


def _mask(lengths: Tensor, longest: int) -> Tensor:
    return torch.arange(longest, device=lengths.device)[None] < lengths[:, None]


# ------------------------------------------------------------------ Conformer, as in ESPnet


class _RelativeAttention(nn.Module):
    def __init__(self, width: int, channels: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, channels // heads
        self.query, self.key, self.value = (nn.Linear(width, channels) for _ in range(3))
        self.position = nn.Linear(width, channels, bias=False)
        self.out = nn.Linear(channels, width)
        self.u = nn.Parameter(torch.randn(heads, self.size) * 0.02)
        self.v = nn.Parameter(torch.randn(heads, self.size) * 0.02)

    def forward(self, x: Tensor, encoding: Tensor, mask: Tensor) -> Tensor:
        count, time, _ = x.shape
        q = self.query(x).view(count, time, self.heads, self.size)
        k = self.key(x).view(count, time, self.heads, self.size).transpose(1, 2)
        v = self.value(x).view(count, time, self.heads, self.size).transpose(1, 2)
        p = self.position(encoding).view(1, -1, self.heads, self.size).transpose(1, 2)
        content = (q + self.u).transpose(1, 2) @ k.transpose(-2, -1)
        place = (q + self.v).transpose(1, 2) @ p.transpose(-2, -1)
        scores = (content + _shifted(place)) / math.sqrt(self.size)
        scores = scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1).masked_fill(~mask[:, None, None], 0)
        return self.out((weights @ v).transpose(1, 2).reshape(count, time, -1))


def _shifted(x: Tensor) -> Tensor:
    """Turn (B, H, T, 2T - 1) scores of offsets into (B, H, T, T)."""
    count, heads, time, offsets = x.shape
    padded = torch.cat((x.new_zeros(count, heads, time, 1), x), dim=-1)
    padded = padded.view(count, heads, offsets + 1, time)[:, :, 1:]
    return padded.reshape(count, heads, time, offsets)[..., : offsets // 2 + 1]


def _offsets(time: int, width: int, device: torch.device) -> Tensor:
    place = torch.arange(time - 1, -time, -1, device=device, dtype=torch.float32)[:, None]
    rate = torch.exp(
        torch.arange(0, width, 2, device=device, dtype=torch.float32) * -(math.log(1e4) / width)
    )
    return torch.stack((torch.sin(place * rate), torch.cos(place * rate)), dim=-1).flatten(1)[None]


class _ConvModule(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.widen = nn.Conv1d(width, 2 * width, 1)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.BatchNorm1d(width)
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.glu(self.widen(x.transpose(1, 2)), dim=1)
        return self.out(functional.silu(self.norm(self.depthwise(x)))).transpose(1, 2)


def _feed_forward(width: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, width),
        nn.Dropout(dropout),
    )


class _Block(nn.Module):
    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.before = _feed_forward(c.width, c.feed_forward * c.width, c.dropout)
        self.attention_norm = nn.LayerNorm(c.width)
        self.attention = _RelativeAttention(c.width, c.attention_dim, c.heads)
        self.conv_norm = nn.LayerNorm(c.width)
        self.conv = _ConvModule(c.width, c.conv_kernel)
        self.after = _feed_forward(c.width, c.feed_forward * c.width, c.dropout)
        self.norm = nn.LayerNorm(c.width)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, x: Tensor, encoding: Tensor, mask: Tensor) -> Tensor:
        x = x + 0.5 * self.before(x)
        x = x + self.dropout(self.attention(self.attention_norm(x), encoding, mask))
        x = x + self.dropout(self.conv(self.conv_norm(x)))
        return self.norm(x + 0.5 * self.after(x))


class _Conformer(nn.Module):
    def __init__(self, c: ModelConfig, layers: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(c) for _ in range(layers))
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        encoding = self.dropout(_offsets(x.shape[1], x.shape[2], x.device))
        x = self.dropout(x * math.sqrt(x.shape[2]))
        for block in self.blocks:
            x = block(x, encoding, mask)
        return x


# ---------------------------------------------------------------- predictors and the PostNet


class _Norm(nn.LayerNorm):
    """LayerNorm over channels of (B, C, T)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def _stack(inputs: int, channels: int, layers: int, kernel: int, dropout: float) -> nn.Sequential:
    parts: list[nn.Module] = []
    for layer in range(layers):
        conv = nn.Conv1d(channels if layer else inputs, channels, kernel, padding=kernel // 2)
        parts += [conv, nn.ReLU(), _Norm(channels), nn.Dropout(dropout)]
    return nn.Sequential(*parts)


class _Predictor(nn.Module):
    def __init__(self, c: ModelConfig, layers: int, kernel: int, outputs: int) -> None:
        super().__init__()
        self.convs = _stack(c.width, c.variance_channels, layers, kernel, c.variance_dropout)
        self.out = nn.Linear(c.variance_channels, outputs)

    def forward(self, x: Tensor, mask: Tensor, _truth: Tensor) -> Tensor:
        rows = self.convs(x.transpose(1, 2)).transpose(1, 2)
        return self.out(rows).masked_fill(~mask[..., None], 0)


class _PitchLoop(_Predictor):
    """The autoregressive pitch predictor: a Python loop over frames, zoneout 0.1."""

    def __init__(self, c: ModelConfig, layers: int, kernel: int, outputs: int) -> None:
        super().__init__(c, layers, kernel, outputs)
        size = c.variance_channels
        self.given = nn.Linear(1, size)
        self.cells = nn.ModuleList(nn.LSTMCell(size, size) for _ in range(2))
        self.out = nn.Linear(2 * size, outputs)

    def forward(self, x: Tensor, mask: Tensor, truth: Tensor) -> Tensor:
        rows = self.convs(x.transpose(1, 2)).transpose(1, 2)
        count, time, size = rows.shape
        state = [(rows.new_zeros(count, size), rows.new_zeros(count, size)) for _ in self.cells]
        last, found = rows.new_zeros(count, 1), []
        for frame in range(time):
            hidden = rows[:, frame] + self.given(last)
            for number, cell in enumerate(self.cells):
                new = cell(hidden, state[number])
                state[number] = tuple(map(_zoneout, state[number], new))
                hidden = state[number][0]
            found.append(self.out(torch.cat((hidden, rows[:, frame]), dim=-1)))
            last = truth[:, frame, -1:]
        return torch.stack(found, dim=1).masked_fill(~mask[..., None], 0)


def _zoneout(before: Tensor, now: Tensor) -> Tensor:
    kept = torch.bernoulli(torch.full_like(now, 0.1))
    return kept * before + (1 - kept) * now


def _postnet(c: ModelConfig) -> nn.Sequential:
    parts: list[nn.Module] = []
    sizes = [c.mels, *[c.postnet_channels] * (c.postnet_layers - 1), c.mels]
    for number, (a, b) in enumerate(itertools.pairwise(sizes)):
        conv = nn.Conv1d(a, b, c.postnet_kernel, padding=c.postnet_kernel // 2, bias=False)
        last = number == c.postnet_layers - 1
        parts += [conv, nn.BatchNorm1d(b), *([] if last else [nn.Tanh()])]
        parts.append(nn.Dropout(c.postnet_dropout))
    return nn.Sequential(*parts)


# ----------------------------------------------------------------------- phrases' prosody


class _Prosody(nn.Module):
    """Phrase vectors: heard by convolutions and a BiGRU, predicted by GRU cells in a loop."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        half, size, bands = c.prosody_size // 2, c.prosody_size, -(-c.mels // 4)
        self.convs = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, stride=(1, 2), padding=1), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.Conv2d(8, 8, 3, stride=(1, 2), padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        )
        self.heard = nn.GRU(8 * bands, half, 2, batch_first=True, bidirectional=True)
        self.whole = nn.GRU(size, half, batch_first=True, bidirectional=True)
        self.read = _stack(c.width, c.width, 2, 3, c.dropout)
        self.cells = nn.ModuleList([nn.GRUCell(c.width + 2 * size, 512), nn.GRUCell(512, 512)])
        self.phrase = nn.Linear(512, c.prosody_components * (1 + 2 * size))
        self.globe = nn.Linear(c.width, c.prosody_global_components * (1 + 2 * size))
        self.out = nn.Linear(size, c.width)
        self.c = c

    def forward(self, encoded: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        spoken, said = batch["source_phrases"], batch["target_phrases"]
        there = said > 0
        utterance, counts = there.nonzero()[:, 0], there.sum(1)
        mel = batch["target_mel"]
        cut = [
            piece.reshape(-1, self.c.mels)
            for row, lengths in zip(mel, said.tolist(), strict=True)
            for piece in row[: sum(lengths)].split([n for n in lengths if n])
        ]
        frames = self.convs(pad_sequence(cut, batch_first=True)[:, None])
        rows = frames.transpose(1, 2).flatten(2)
        lengths = torch.tensor([len(each) for each in cut])
        vectors = self._ends(self.heard, rows, lengths)
        by_utterance = pad_sequence(vectors.split(counts.tolist()), batch_first=True)
        globe = self._ends(self.whole, by_utterance, counts.cpu())
        vectors = vectors + globe[utterance]
        by_utterance = pad_sequence(vectors.split(counts.tolist()), batch_first=True)

        read = self.read(encoded.transpose(1, 2)).transpose(1, 2)
        ends = spoken.cumsum(1)
        which = torch.searchsorted(
            ends,
            torch.arange(read.shape[1], device=read.device).expand(len(read), -1).contiguous(),
            right=True,
        ).clamp(max=spoken.shape[1] - 1)
        real = _mask(batch["source_lengths"], read.shape[1])
        pooled = (
            read.new_zeros(*spoken.shape, read.shape[2]).scatter_add(
                1, which[..., None].expand_as(read), read.masked_fill(~real[..., None], 0)
            )
            / spoken.clamp(min=1)[..., None]
        )
        state = [read.new_zeros(len(read), 512) for _ in self.cells]
        last, mixtures = torch.zeros_like(globe), []
        for phrase in range(spoken.shape[1]):
            hidden = torch.cat((pooled[:, phrase], last, globe.detach()), dim=-1)
            for number, cell in enumerate(self.cells):
                hidden = state[number] = cell(hidden, state[number])
            mixtures.append(self.phrase(hidden))
            last = by_utterance[:, phrase].detach()
        found = torch.stack(mixtures, dim=1)[there]
        mean = read.masked_fill(~real[..., None], 0).sum(1) / batch["source_lengths"][:, None]
        own = self.out(by_utterance).gather(1, which[..., None].expand_as(encoded))
        components = self.c.prosody_components, self.c.prosody_global_components
        return (
            own,
            _nll(found, vectors.detach(), components[0]).mean(),
            _nll(self.globe(mean), globe.detach(), components[1]).mean(),
        )

    @staticmethod
    def _ends(gru: nn.GRU, rows: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)
        _, last = gru(packed)
        return torch.cat((last[-2], last[-1]), dim=-1)


def _nll(found: Tensor, x: Tensor, components: int) -> Tensor:
    weight, rest = found[..., :components], found[..., components:]
    mean, raw = rest.reshape(len(found), components, -1).chunk(2, dim=-1)
    normal = torch.distributions.Normal(mean, functional.elu(raw) + 1 + 1e-3)
    log_weight = torch.log(weight.softmax(-1) + 1e-7)
    return -torch.logsumexp(log_weight + normal.log_prob(x[:, None]).sum(-1), dim=-1)


# ------------------------------------------------------------------------ alignment search


class _Search(nn.Module):
    """Alignment search with a loop over utterances, on frames against reduced frames."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.c = c
        self.source = nn.Sequential(
            nn.Conv1d(c.width, c.width, 3, padding=1), nn.ReLU(), nn.Conv1d(c.width, 80, 1)
        )
        self.target = nn.Sequential(
            *(nn.Conv1d(c.mels, c.width, 3, padding=1), nn.ReLU()),
            *(nn.Conv1d(c.width, c.width, 1), nn.ReLU(), nn.Conv1d(c.width, 80, 1)),
        )
        self.priors: dict[tuple[int, int], Tensor] = {}

    def forward(self, encoded: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        r, mel = self.c.reduction, batch["target_mel"]
        keys = self.source(encoded.transpose(1, 2)).transpose(1, 2)
        frames = mel.reshape(len(mel), -1, self.c.mels)
        queries = self.target(frames.transpose(1, 2)).transpose(1, 2)
        scores = -torch.cdist(queries, keys, compute_mode="use_mm_for_euclid_dist")
        sources, targets = batch["source_lengths"].tolist(), batch["target_lengths"].tolist()
        loss, path_loss, durations = 0.0, 0.0, torch.zeros(encoded.shape[:2], dtype=torch.long)
        for number, (s, n) in enumerate(zip(sources, targets, strict=True)):
            prior = self._prior(s, n * r).to(scores.device)
            logp = (scores[number, : n * r, :s] + prior).log_softmax(-1)
            blank = functional.pad(logp, (1, 0), value=-1.0)
            order = torch.arange(1, s + 1, device=scores.device)[None]
            lengths = torch.tensor([n * r]), torch.tensor([s])
            loss = loss + functional.ctc_loss(
                blank[:, None].log_softmax(-1), order, *lengths, zero_infinity=True
            )
            path = torch.from_numpy(_best_path()(logp.detach().cpu().numpy()))
            chosen = logp[torch.arange(n * r), path.to(logp.device)]
            path_loss = path_loss - chosen.mean()
            ends = torch.bincount(path, minlength=s).cumsum(0)
            ends = ((2 * ends + r) // (2 * r)).clamp(max=n)
            durations[number, :s] = torch.diff(ends, prepend=torch.zeros(1, dtype=torch.long))
        return durations.to(encoded.device), loss / len(sources), path_loss / len(sources)

    def _prior(self, sources: int, targets: int) -> Tensor:
        if (sources, targets) not in self.priors:
            from scipy.stats import betabinom

            t = np.arange(1, targets + 1)[:, None]
            table = betabinom(sources - 1, t, targets + 1 - t).logpmf(np.arange(sources))
            self.priors[sources, targets] = torch.from_numpy(table.astype(np.float32))
        return self.priors[sources, targets]


_COMPILED: list[Any] = []


def _best_path() -> Any:
    """Return the monotonic path search, compiled once."""
    if _COMPILED:
        return _COMPILED[0]
    from numba import njit

    @njit(cache=False)  # type: ignore[untyped-decorator]
    def search(logp: Any) -> Any:  # pragma: no cover
        targets, sources = logp.shape
        best = np.full((targets, sources), -1e9, dtype=np.float32)
        best[0, 0] = logp[0, 0]
        for t in range(1, targets):
            for s in range(min(sources, t + 1)):
                before = best[t - 1, s - 1] if s > 0 else np.float32(-1e9)
                best[t, s] = max(best[t - 1, s], before) + logp[t, s]
        path = np.zeros(targets, dtype=np.int64)
        s = sources - 1
        for t in range(targets - 1, -1, -1):
            path[t] = s
            if t > 0 and s > 0 and best[t - 1, s - 1] > best[t - 1, s]:
                s -= 1
        return path

    _COMPILED.append(search)
    return search


# ------------------------------------------------------------------------------- the model


class _Contour(nn.Module):
    def __init__(self, c: ModelConfig, layers: int, kernel: int, *, loop: bool) -> None:
        super().__init__()
        self.source = nn.Conv1d(c.reduction, c.width, 3, padding=1)
        self.predictor = (_PitchLoop if loop else _Predictor)(c, layers, kernel, c.reduction)
        self.target = nn.Conv1d(c.reduction, c.width, 3, padding=1)

    def forward(
        self, x: Tensor, given: Tensor, durations: Tensor, mask: Tensor, truth: Tensor
    ) -> tuple[Tensor, Tensor]:
        heard = self.source(given.transpose(1, 2)).transpose(1, 2)
        found = self.predictor(x + _regulated(heard, durations, mask.shape[1]), mask, truth)
        return self.target(truth.transpose(1, 2)).transpose(1, 2), found


def _regulated(x: Tensor, durations: Tensor, longest: int) -> Tensor:
    """Repeat frames (B, S, C) as their durations say, utterance by utterance, and pad."""
    out = pad_sequence(
        [torch.repeat_interleave(row, n, dim=0) for row, n in zip(x, durations, strict=True)],
        batch_first=True,
    )
    return functional.pad(out, (0, 0, 0, longest - out.shape[1]))


class Plain(nn.Module):
    """The model; returns its losses."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.c = c
        self.mel_in = nn.Linear(c.reduction * c.mels, c.width)
        self.speakers = nn.ModuleList(nn.Embedding(2, c.width) for _ in range(2))
        self.encoder = _Conformer(c, c.encoder_layers)
        self.search = _Search(c) if c.align == "search" else None
        self.prosody = _Prosody(c) if c.prosody == "wgmm" else None
        self.duration = _Predictor(c, c.duration_layers, 3, 1)
        self.pitch = _Contour(c, c.pitch_layers, c.pitch_kernel, loop=c.pitch_ar != "off")
        self.energy = _Contour(c, c.energy_layers, c.energy_kernel, loop=False)
        self.decoder = _Conformer(c, c.decoder_layers)
        self.mel_out = nn.Linear(c.width, c.reduction * c.mels)
        self.postnet = _postnet(c)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the weighed losses of a padded batch."""
        mel, truth = batch["source_mel"], batch["target_mel"]
        source = _mask(batch["source_lengths"], mel.shape[1])
        target = _mask(batch["target_lengths"], truth.shape[1])
        x = self.mel_in(mel) + self.speakers[0](batch["source_speaker"])[:, None]
        x = self.encoder(x, source)
        losses, durations = {}, batch["durations"].long()
        if self.search is not None:
            durations, whole, path = self.search(x, batch)
            losses |= {"align": 2 * whole, "path": 2 * path}
        if self.prosody is not None:
            added, phrase, globe = self.prosody(x, batch)
            x = x + added
            losses |= {"phrase": 0.02 * phrase, "global": 0.02 * globe}
        log_duration = self.duration(x, source, x).squeeze(-1)
        long = _regulated(x, durations, target.shape[1])
        pitch_added, pitch = self.pitch(
            long.detach(), batch["source_pitch"], durations, target, batch["target_pitch"]
        )
        energy_added, energy = self.energy(
            long, batch["source_energy"], durations, target, batch["target_energy"]
        )
        x = long + pitch_added + energy_added + self.speakers[1](batch["target_speaker"])[:, None]
        before = self.mel_out(self.decoder(x, target))
        frames = before.reshape(len(before), -1, self.c.mels)
        after = (frames + self.postnet(frames.transpose(1, 2)).transpose(1, 2)).view_as(before)
        wanted = truth[target]
        logs = torch.log1p(durations[source].float())
        return losses | {
            "mel": functional.l1_loss(before[target], wanted),
            "postnet": functional.l1_loss(after[target], wanted),
            "duration": functional.mse_loss(log_duration[source], logs),
            "pitch": functional.mse_loss(pitch[target], batch["target_pitch"][target]),
            "energy": functional.mse_loss(energy[target], batch["target_energy"][target]),
        }

"""FS2VC: parallel, non-autoregressive voice conversion in the manner of FastSpeech 2.

Hayashi et al., "Non-autoregressive sequence-to-sequence voice conversion" (arXiv:2104.06793), on
Ren et al., FastSpeech 2 (arXiv:2006.04558) and Gulati et al., Conformer (arXiv:2005.08100).

    mel (T, 80) -> stack r frames -> Linear -> + source speaker -> Conformer encoder
        -> durations -> repeat frames -> pitch and energy of the target -> + target speaker
        -> Conformer decoder -> Linear -> unstack (T', 80) -> PostNet
        -> in part, conversions of the source's frames fitted in closed form (see `fitted`)

`forward` trains with the true durations, pitch and energy; `generate` uses its own. With `pitch_ar`
each frame's pitch is predicted from the frame before: from the true one in training mode, from its
own when evaluating and generating; what was fitted has its share only then. All values are
normalised features. B utterances, S and N reduced frames of source and target, r the reduction
factor; inside, utterances lie end to end without padding (see `packing`).

    model = FS2VC(ModelConfig(), speakers=2)
    loss = batch_loss(sums(model(batch), batch))
    mel = model.eval().generate(batch).mel
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.aligner import Aligned, Aligner
from trainer.batches import Batch, Inputs
from trainer.config import ModelConfig
from trainer.fitted import TAPS
from trainer.kernel import KernelConversion
from trainer.layers import BlockShape, Conformer, Conv, PostNet, Predictor, RecurrentPredictor
from trainer.linear import LinearConversion
from trainer.packing import (
    Packing,
    Stretch,
    packing,
    pieces,
    stack,
    stretch,
    stretched_pieces,
    take,
    unstack,
)
from trainer.prosody import Draw, PhraseProsody

__all__ = [
    "FS2VC",
    "Batch",
    "Draw",
    "Generated",
    "Inputs",
    "Outputs",
    "gap_of",
    "hurried",
    "whole_durations",
]

DURATION_KERNEL = 3  # reduced frames
EMBEDDING_KERNEL = 3  # reduced frames, of pitch and energy
LONGEST_DURATION = 1000  # reduced frames; half a minute, so only a diverged model meets it


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What `forward` returns; padding is zero."""

    mel: Tensor  # (B, N * r, mels), before the PostNet
    postnet: Tensor  # (B, N * r, mels), after it
    log_duration: Tensor  # (B, S), log(d + 1)
    pitch: Tensor  # (B, N, r)
    energy: Tensor  # (B, N, r)
    source_mask: Tensor  # (B, S) bool, real reduced frames
    target_mask: Tensor  # (B, N) bool, real reduced frames
    phrase_nll: Tensor | None = None  # (P,) of the target's prosody in each phrase, 0 beyond
    global_nll: Tensor | None = None  # (B,) and as a whole
    aligned: Aligned | None = None  # where the model searches the durations itself


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What `generate` returns, in float32; padding is zero."""

    mel: Tensor  # (B, N * r, mels), after the PostNet
    lengths: Tensor  # (B,) int64, reduced frames: utterance b has lengths[b] * r frames
    pitch: Tensor  # (B, N * r)
    energy: Tensor  # (B, N * r)
    durations: Tensor  # (B, S) int64, reduced target frames per reduced source frame


class Prosody(NamedTuple):
    """Pitch and energy in reduced frames, each (M, r)."""

    pitch: Tensor
    energy: Tensor


class FS2VC(nn.Module):
    """The network; `speakers` is how many voices there are on either side."""

    def __init__(self, config: ModelConfig, speakers: int) -> None:
        super().__init__()
        self.config = config
        self.gap = gap_of(config)
        stacked = config.reduction * config.mels
        self.mel_in = nn.Linear(stacked, config.width)
        self.source_speakers = _speakers(speakers, config.width)
        self.encoder = Conformer(config.encoder_layers, _block(config))
        self.aligner = _aligner(config)
        self.prosody = _phrase_prosody(config)
        self.variance = Variance(config)
        self.target_speakers = _speakers(speakers, config.width)
        self.decoder = Conformer(config.decoder_layers, _block(config))
        self.mel_out = nn.Linear(config.width, stacked)
        self.postnet = PostNet(
            config.mels,
            config.postnet_channels,
            config.postnet_layers,
            config.postnet_kernel,
            config.postnet_dropout,
        )
        self.linear = LinearConversion(config.mels, speakers) if config.linear else None
        self.kernel = KernelConversion(config.mels, speakers) if config.kernel else None

    def forward(self, batch: Batch) -> Outputs:
        """Predict the target of `batch` given its durations, pitch and energy."""
        r = self.config.reduction
        source = self._lay(batch.lengths, batch.mel.shape[1] // r, batch.total, batch.room)
        target = self._lay(
            batch.target_lengths,
            batch.target_mel.shape[1] // r,
            batch.target_total,
            batch.target_room,
        )
        truth = _prosody(batch.target_pitch, batch.target_energy, target, r)

        encoded = self._encode(batch, source)
        mel_truth = target.pack(stack(batch.target_mel, r))
        aligned = None
        if self.aligner is not None:
            mel = source.pack(stack(batch.mel, r))
            aligned = self.aligner(mel, source, unstack(mel_truth, r), target, r)
        phrases = self._phrases(batch, target)
        said = None
        if self.prosody is not None:
            spoken = self._spoken(batch, source)
            assert batch.phrases is not None
            assert phrases is not None
            said = self.prosody(encoded, spoken, batch.phrases, mel_truth, phrases)
            encoded = encoded + said.added
        voice = self._voice(batch)
        log_duration = self.variance.log_durations(encoded, source, voice)
        given = _prosody(batch.pitch, batch.energy, source, r)
        durations = aligned.durations if aligned else batch.durations
        over = stretch(durations, source, target)
        anew = phrases if self.config.pitch_ar == "phrase" else None
        mixed, found = self.variance(encoded, given, over, truth, anew, voice)
        mel, postnet = self._decode(mixed, batch.target_speaker, target)
        if not self.training:
            postnet = self._shared(postnet, batch, over)
        return Outputs(
            mel=unstack(_set_out(mel, target), r),
            postnet=unstack(_set_out(postnet, target), r),
            log_duration=_set_out(log_duration, source).squeeze(-1),
            pitch=_set_out(found.pitch, target),
            energy=_set_out(found.energy, target),
            source_mask=source.valid,
            target_mask=target.valid,
            phrase_nll=said.phrase_nll if said else None,
            global_nll=said.global_nll if said else None,
            aligned=aligned,
        )

    @torch.no_grad()
    def generate(self, inputs: Inputs, draw: Draw | None = None, speed: float = 1.0) -> Generated:
        """Convert `inputs` with predicted durations, pitch and energy.

        `draw` tells how phrases' prosody is drawn, where the model has any; the likeliest is the
        default. A draw depends on the utterance and the seed, not on the batch. Durations are
        divided by `speed`.

        Every utterance gets at least one reduced frame. Use `eval()` first: dropout stays on in
        training mode.
        """
        r = self.config.reduction
        source = self._lay(inputs.lengths, inputs.mel.shape[1] // r, inputs.total)
        encoded = self._encode(inputs, source)
        if self.prosody is not None:
            spoken = self._spoken(inputs, source)
            assert inputs.phrases is not None
            drawn = self.prosody.predict(encoded, spoken, inputs.phrases, draw)
            encoded = encoded + self.prosody.spread(drawn, spoken)
        voice = self._voice(inputs)
        log_duration = self.variance.log_durations(encoded, source, voice)
        log_duration = _set_out(log_duration, source).squeeze(-1)
        durations = whole_durations(log_duration, source.valid)
        if speed != 1.0:
            durations = hurried(durations, speed)
        lengths = durations.sum(1)
        target = self._lay(lengths, int(lengths.max()), None)

        given = _prosody(inputs.pitch, inputs.energy, source, r)
        phrases = None
        if self.config.pitch_ar == "phrase" and inputs.phrases is not None:
            phrases = pieces(stretched_pieces(inputs.phrases, durations, source.valid), target)
        over = stretch(durations, source, target)
        mixed, found = self.variance(encoded, given, over, None, phrases, voice)
        _, postnet = self._decode(mixed, inputs.target_speaker, target)
        postnet = self._shared(postnet, inputs, over)
        return Generated(
            mel=unstack(_set_out(postnet, target), r).float(),
            lengths=lengths,
            pitch=_set_out(found.pitch, target).flatten(1).float(),
            energy=_set_out(found.energy, target).flatten(1).float(),
            durations=durations,
        )

    def _voice(self, inputs: Inputs) -> Tensor | None:
        """Return the target voices (B, width) the variance converter is told, if it is."""
        if self.config.target_speaker == "decoder":
            return None
        return self.target_speakers(inputs.target_speaker)  # type: ignore[no-any-return]

    def _spoken(self, inputs: Inputs, source: Packing) -> Packing:
        """See the source as its phrases."""
        if inputs.phrases is None:
            raise ValueError("a model of phrases' prosody needs phrases")
        count = inputs.phrase_room or inputs.phrase_count
        return pieces(inputs.phrases, source, count, inputs.phrase_longest)

    def _phrases(self, batch: Batch, target: Packing) -> Packing | None:
        """See the target as its phrases, for a model that asks for them."""
        if self.config.pitch_ar != "phrase" and self.prosody is None:
            return None
        if batch.target_phrases is None:
            raise ValueError("a model of phrases needs the target's phrases")
        count, longest = batch.phrase_room or batch.phrase_count, batch.target_phrase_longest
        return pieces(batch.target_phrases, target, count, longest)

    def _lay(
        self, lengths: Tensor, longest: int, total: int | None, room: int | None = None
    ) -> Packing:
        return packing(lengths, longest, self.gap, total, room)

    def _encode(self, inputs: Inputs, source: Packing) -> Tensor:
        """Return the encoder's output (Ms, width)."""
        x = self.mel_in(source.pack(stack(inputs.mel, self.config.reduction)))
        x = x + take(self.source_speakers(inputs.source_speaker), source.utterance)
        return self.encoder(x, source)  # type: ignore[no-any-return]

    def _decode(self, mixed: Tensor, speaker: Tensor, target: Packing) -> tuple[Tensor, Tensor]:
        """Return the mel before and after the PostNet, both (Mt, r * mels)."""
        x = mixed + take(self.target_speakers(speaker), target.utterance)
        mel = self.mel_out(self.decoder(x, target))
        frames = unstack(mel, self.config.reduction)
        refined = self.postnet(frames, target.unstacked_real(self.config.reduction))
        return mel, refined.reshape(mel.shape)

    def _shared(self, mel: Tensor, inputs: Inputs, over: Stretch) -> Tensor:
        """Give what was fitted its share of what the network made (Mt, r * mels)."""
        experts = ((self.linear, self.config.linear), (self.kernel, self.config.kernel))
        fitted = [(expert, share) for expert, share in experts if expert is not None]
        if not fitted:
            return mel
        r, place = self.config.reduction, over.source
        frames = unstack(place.pack(stack(inputs.mel, r)), r)
        voices = [
            each[place.utterance].repeat_interleave(r)
            for each in (inputs.source_speaker, inputs.target_speaker)
        ]
        mixed = mel
        for expert, share in fitted:
            made = over.frames(expert(frames, place.unstacked_real(r), *voices), r)
            mixed = mixed + share * (made.reshape(mel.shape).to(mel.dtype) - mel)
        return mixed


class Variance(nn.Module):
    """The variance converter: from the source's prosody and timing to the target's."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.detach_duration = config.detach_duration
        self.duration = _predictor(config, config.duration_layers, DURATION_KERNEL, outputs=1)
        self.pitch = Contour(
            config,
            config.pitch_layers,
            config.pitch_kernel,
            detach=config.detach_pitch,
            recurrent=config.pitch_ar != "off",
        )
        self.energy = Contour(
            config, config.energy_layers, config.energy_kernel, detach=config.detach_energy
        )

    def log_durations(
        self, encoded: Tensor, source: Packing, voice: Tensor | None = None
    ) -> Tensor:
        """Predict log(d + 1), (Ms, 1), of `encoded` (Ms, width) said in `voice` (B, width)."""
        x = encoded.detach() if self.detach_duration else encoded
        if voice is not None:
            x = x + take(voice, source.utterance)
        return self.duration(x, source.real)  # type: ignore[no-any-return]

    def forward(
        self,
        encoded: Tensor,
        given: Prosody,
        over: Stretch,
        truth: Prosody | None = None,
        phrases: Packing | None = None,
        voice: Tensor | None = None,
    ) -> tuple[Tensor, Prosody]:
        """Stretch `encoded` (Ms, width) over the target's frames and add the target's prosody.

        `given` is the source's prosody, (Ms, r) each; `truth` the target's, (Mt, r) each: without
        it the predicted values are used. `phrases` are the target's, where pitch starts anew in
        each; `voice` (B, width) is the target's, where the predictors are told it. Returns
        (Mt, width) and the predictions.
        """
        expanded = over(encoded)
        pitch, energy = truth or (None, None)
        told = None if voice is None else take(voice, over.target.utterance)
        pitch_added, found_pitch = self.pitch(expanded, given.pitch, over, pitch, phrases, told)
        energy_added, found_energy = self.energy(expanded, given.energy, over, energy, None, told)
        return expanded + pitch_added + energy_added, Prosody(found_pitch, found_energy)


class Contour(nn.Module):
    """Pitch or energy: reads the source's values, predicts the target's, embeds the target's."""

    def __init__(
        self,
        config: ModelConfig,
        layers: int,
        kernel: int,
        *,
        detach: bool,
        recurrent: bool = False,
    ) -> None:
        super().__init__()
        self.detach = detach
        self.source = Conv(config.reduction, config.width, EMBEDDING_KERNEL)
        kind = RecurrentPredictor if recurrent else Predictor
        self.predictor = _predictor(config, layers, kernel, outputs=config.reduction, kind=kind)
        self.target = Conv(config.reduction, config.width, EMBEDDING_KERNEL)

    def forward(
        self,
        expanded: Tensor,
        given: Tensor,
        over: Stretch,
        truth: Tensor | None,
        phrases: Packing | None = None,
        voice: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return what to add to `expanded` (Mt, width), and the predicted values (Mt, r)."""
        x = expanded.detach() if self.detach else expanded
        if voice is not None:
            x = x + voice  # (Mt, width)
        x = x + over(self.source(given, over.source.real))
        if isinstance(self.predictor, RecurrentPredictor):
            heard = truth if self.training else None
            found = self.predictor(x, phrases or over.target, heard)
        else:
            found = self.predictor(x, over.target.real)
        values = found if truth is None else truth
        return self.target(values, over.target.real), found


def whole_durations(log_durations: Tensor, valid: Tensor) -> Tensor:
    """Return max(0, round(exp(x) - 1)) of log(d + 1) (B, S) as int64, 0 where not `valid`.

    An utterance whose durations are all 0 gets one reduced frame, of its longest source frame.
    """
    found = torch.round(torch.exp(log_durations.float()) - 1)
    whole = found.nan_to_num(0).clamp(0, LONGEST_DURATION).long().masked_fill(~valid, 0)
    longest = log_durations.masked_fill(~valid, -torch.inf).argmax(1)
    empty = whole.sum(1, keepdim=True) == 0
    return whole + functional.one_hot(longest, whole.shape[1]) * empty


def hurried(durations: Tensor, speed: float) -> Tensor:
    """Divide whole durations (B, S) by `speed`: whole again, their sums right to half a frame.

    Ends are divided and rounded, not durations: one is mostly 1, and would stay it. At least one
    frame is left.
    """
    ends = torch.round(durations.cumsum(1).double() / speed).long()
    empty = ends[:, -1:] == 0
    found = ends.diff(dim=1, prepend=torch.zeros_like(ends[:, :1]))
    return found + functional.one_hot(durations.argmax(1), found.shape[1]) * empty


def _set_out(packed: Tensor, place: Packing) -> Tensor:
    """Return (M, C) as (B, T, C), zero where there is padding."""
    return place.pad(place.clean(packed))


def _prosody(pitch: Tensor, energy: Tensor, place: Packing, reduction: int) -> Prosody:
    """Lay padded frame values (B, T) end to end in reduced frames."""
    return Prosody(*(place.pack(stack(each[..., None], reduction)) for each in (pitch, energy)))


def _aligner(config: ModelConfig) -> Aligner | None:
    if config.align == "dtw":
        return None
    return Aligner(config.width, config.mels, config.reduction)


def _phrase_prosody(config: ModelConfig) -> PhraseProsody | None:
    if config.prosody == "none":
        return None
    return PhraseProsody(
        width=config.width,
        mels=config.mels,
        size=config.prosody_size,
        components=config.prosody_components,
        global_components=config.prosody_global_components,
        dropout=config.dropout,
    )


def _speakers(count: int, width: int) -> nn.Embedding:
    """Return a table of voices that starts small beside what it is added to."""
    table = nn.Embedding(count, width)
    nn.init.normal_(table.weight, std=width**-0.5)
    return table


def _block(config: ModelConfig) -> BlockShape:
    return BlockShape(
        width=config.width,
        attention=config.attention_dim,
        heads=config.heads,
        hidden=config.feed_forward * config.width,
        kernel=config.conv_kernel,
        dropout=config.dropout,
    )


def _predictor(
    config: ModelConfig,
    layers: int,
    kernel: int,
    *,
    outputs: int,
    kind: type[Predictor] = Predictor,
) -> Predictor:
    return kind(
        config.width, config.variance_channels, layers, kernel, config.variance_dropout, outputs
    )


def gap_of(config: ModelConfig) -> int:
    """Return the reduced frames between packed utterances: half the widest kernel."""
    reduced = (config.conv_kernel, config.pitch_kernel, config.energy_kernel)
    halves = [kernel // 2 for kernel in (*reduced, DURATION_KERNEL, EMBEDDING_KERNEL)]
    single = (config.postnet_kernel, TAPS if config.linear or config.kernel else 1)
    return max(*halves, *(math.ceil(kernel // 2 / config.reduction) for kernel in single))

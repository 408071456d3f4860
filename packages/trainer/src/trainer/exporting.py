"""Write a run's model as programs that need no workspace, and no trainer: `torch.export`.

    DIR/export.json     what it is, and all numbers around the programs
    DIR/*.pt2           the model in parts, each with a free number of frames
    DIR/exported.py     runs them, with numpy and torch alone

How long the target becomes is known only once durations are predicted, and models that hear their
own last value loop over frames or phrases: both happen between the programs (docs/exporting.md).
"""

from __future__ import annotations

import hashlib
import inspect
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from corpuskit.config import to_mapping
from corpuskit.errors import Refused
from corpuskit.files import fill_file, publish_folder, temporary_folder, write_json
from trainer import exported, prosody
from trainer.convert import model_of, targets_by_source
from trainer.fitted import FittedConversion, beside
from trainer.layers import Conv, RecurrentPredictor
from trainer.model import FS2VC
from trainer.packing import Packing
from trainer.prosody import Mixture, PhraseProsody
from trainer.usual import of_run

if TYPE_CHECKING:
    from trainer.checkpoint import Checkpoint
    from trainer.model import Contour
    from trainer.runs import Run

__all__ = ["Written", "programs_of", "write"]

TRACED = 24  # frames the programs are traced with; any number will do
LONGEST = 1_000_000  # frames


@dataclass(frozen=True, kw_only=True)
class Written:
    """What an export came to."""

    folder: Path
    programs: tuple[str, ...]
    size: int  # bytes


def write(run: Run, checkpoint: Checkpoint, folder: Path) -> Written:
    """Export a checkpoint of a run into a new or empty folder, whole or not at all.

    Raises
    ------
    Refused
        The folder holds something.
    BadRun
        The weights are missing or damaged.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} exists already", "name a new or empty folder")
    model = model_of(run, checkpoint).eval().requires_grad_(requires_grad=False)
    with temporary_folder(folder.absolute().parent) as prepared:
        digests = {}
        for name, program in programs_of(model).items():
            data = _saved(program)
            fill_file(prepared / f"{name}.pt2", data)
            digests[f"{name}.pt2"] = hashlib.sha256(data).hexdigest()
        fill_file(prepared / "exported.py", inspect.getsource(exported).encode())
        write_json(prepared / "export.json", _description(run, checkpoint, digests))
        size = sum(path.stat().st_size for path in prepared.iterdir())
        if folder.exists():
            folder.rmdir()
        publish_folder(prepared, folder, sync_files=True)
    return Written(folder=folder, programs=tuple(digests), size=size)


def _saved(program: torch.export.ExportedProgram) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "program.pt2"
        torch.export.save(program, path)
        return path.read_bytes()


def _description(run: Run, checkpoint: Checkpoint, digests: dict[str, str]) -> dict[str, Any]:
    """Return all that is known of the model beside its programs."""
    settings, model = run.settings, run.config.model
    usual = of_run(run)
    return {
        "schema": exported.SCHEMA,
        "run": run.tag,
        "checkpoint": checkpoint.folder.name,
        "weights": checkpoint.state().digests["weights.safetensors"],
        "identity": run.record.identity,
        "model": to_mapping(model),
        "audio": to_mapping(settings.audio),
        "features": to_mapping(settings.features),
        "silence": to_mapping(settings.silence),
        "reduction": model.reduction,
        "statistics": to_mapping(run.statistics),
        "speakers": list(run.speakers),
        "targets": {k: list(v) for k, v in targets_by_source(settings, run.speakers).items()},
        "f0_ranges": {name: list(span) for name, span in run.f0_ranges.items()},
        "pace": checkpoint.state().own_pace,
        "usual": None if usual is None else to_mapping(usual),
        "recurrent_pitch": model.pitch_ar,
        "linear": model.linear,
        "kernel": model.kernel,
        "prosody": model.prosody,
        "prosody_hidden": prosody.HIDDEN,
        "torch": torch.__version__.split("+")[0],
        "files": digests,
    }


# ------------------------------------------------------------------ the parts


def _alone(x: Tensor) -> Packing:
    """Return the packing of one utterance of len(x) frames: no gaps, no padding."""
    count = x.shape[0]
    time = torch.arange(count)
    return Packing(
        valid=torch.ones(1, count, dtype=torch.bool),
        rows=time[None],
        frames=time,
        real=torch.ones(count, 1, dtype=torch.bool),
        utterance=torch.zeros(count, dtype=torch.int64),
        position=time,
        full=True,
    )


class _Plain(Conv):
    """The convolution as every backend knows it, over one utterance without gaps."""

    def forward(self, x: Tensor, real: Tensor) -> Tensor:  # type: ignore[override]  # noqa: ARG002
        return nn.Conv1d.forward(self, x.t()[None])[0].t()


def _plain(model: FS2VC) -> FS2VC:
    """Let a model's convolutions be traced: theirs on the CPU counts its rows, which fixes them."""
    for module in model.modules():
        if type(module) is Conv:
            module.__class__ = _Plain
    return model


class _Encode(nn.Module):
    """mel (S, r * mels), source () -> encoded (S, width)."""

    def __init__(self, model: FS2VC) -> None:
        super().__init__()
        self.mel_in, self.speakers, self.encoder = (
            model.mel_in,
            model.source_speakers,
            model.encoder,
        )

    def forward(self, mel: Tensor, source: Tensor) -> Tensor:
        return self.encoder(self.mel_in(mel) + self.speakers(source), _alone(mel))  # type: ignore[no-any-return]


class _Told(nn.Module):
    """Predictors that are told the target voice, or not."""

    def __init__(self, model: FS2VC) -> None:
        super().__init__()
        told = model.config.target_speaker == "variance"
        self.speakers = model.target_speakers if told else None

    def told(self, x: Tensor, target: Tensor) -> Tensor:
        return x if self.speakers is None else x + self.speakers(target)


class _Timing(_Told):
    """encoded (S, width), pitch, energy (S, r), target () -> log_duration (S,), both embedded."""

    def __init__(self, model: FS2VC) -> None:
        super().__init__(model)
        self.duration = model.variance.duration
        self.pitch, self.energy = model.variance.pitch.source, model.variance.energy.source

    def forward(
        self, encoded: Tensor, pitch: Tensor, energy: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        real = _alone(encoded).real
        found = self.duration(self.told(encoded, target), real)
        return found[:, 0], self.pitch(pitch, real), self.energy(energy, real)


class _Contour(_Told):
    """expanded, given (N, width), target () -> values (N, r), or frames (N, channels) to loop."""

    def __init__(self, model: FS2VC) -> None:
        super().__init__(model)
        self.predictor = model.variance.pitch.predictor
        self.recurrent = isinstance(self.predictor, RecurrentPredictor)

    def forward(self, expanded: Tensor, given: Tensor, target: Tensor) -> Tensor:
        x, real = self.told(expanded, target) + given, _alone(expanded).real
        if not self.recurrent:
            return self.predictor(x, real)  # type: ignore[no-any-return]
        for step in self.predictor.steps:
            x = step(x, real)
        return x


class _PitchStep(nn.Module):
    """frame (1, channels), last (1, 1), state h, c (2, 1, channels) -> value (1, r), h, c."""

    def __init__(self, predictor: RecurrentPredictor) -> None:
        super().__init__()
        self.given, self.lstm, self.out = predictor.given, predictor.lstm, predictor.out

    def forward(
        self, frame: Tensor, last: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        heard, (h, c) = self.lstm((frame + self.given(last))[None], (h, c))
        return self.out(torch.cat((frame, heard[0]), dim=-1)), h, c


class _Speak(_Told):
    """expanded, energy_given (N, width), pitch (N, r), target () -> mel (N, r * mels), energy."""

    def __init__(self, model: FS2VC) -> None:
        super().__init__(model)
        self.pitch: nn.Module = model.variance.pitch.target
        self.energy: Contour = model.variance.energy
        self.voices, self.decoder = model.target_speakers, model.decoder
        self.mel_out, self.postnet = model.mel_out, model.postnet
        self.reduction, self.mels = model.config.reduction, model.config.mels

    def forward(
        self, expanded: Tensor, energy_given: Tensor, pitch: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        place = _alone(expanded)
        energy = self.energy.predictor(self.told(expanded, target) + energy_given, place.real)
        x = expanded + self.pitch(pitch, place.real) + self.energy.target(energy, place.real)
        mel = self.mel_out(self.decoder(x + self.voices(target), place))
        frames = mel.reshape(mel.shape[0] * self.reduction, self.mels)
        real = torch.ones(mel.shape[0] * self.reduction, 1, dtype=torch.bool)
        return self.postnet(frames, real).reshape(mel.shape), energy


class _Fitted(nn.Module):
    """mel (S, r * mels), source (), target () -> the same, converted frame by frame."""

    def __init__(self, fitted: FittedConversion, mels: int) -> None:
        super().__init__()
        self.fitted = fitted
        self.mels = mels

    def forward(self, mel: Tensor, source: Tensor, target: Tensor) -> Tensor:
        near = beside(mel.reshape(-1, self.mels))
        return self.fitted.convert(near, source, target).reshape(mel.shape)


class _Phrases(nn.Module):
    """encoded (S, width) -> what is averaged over phrases (S, width)."""

    def __init__(self, prosody: PhraseProsody) -> None:
        super().__init__()
        self.convs, self.norms = prosody.predictor.convs, prosody.predictor.norms

    def forward(self, encoded: Tensor) -> Tensor:
        x, real = encoded, _alone(encoded).real
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(torch.relu(conv(x, real)))
        return x


class _Head(nn.Module):
    """A mixture head without its switch of precision: x (1, inputs) -> weights, means, sigmas."""

    def __init__(self, head: nn.Linear, components: int) -> None:
        super().__init__()
        self.linear = nn.Linear(head.in_features, head.out_features)
        self.linear.load_state_dict(head.state_dict())
        self.components = components

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.linear(x)
        weight, rest = found[..., : self.components], found[..., self.components :]
        mean, raw = rest.reshape(*rest.shape[:-1], self.components, -1).chunk(2, dim=-1)
        mixture = Mixture(
            log_weight=torch.log_softmax(weight, dim=-1),
            mean=mean,
            sigma=torch.nn.functional.elu(raw) + 1,
        )
        return mixture[0][0], mixture[1][0], mixture[2][0]


class _PhraseStep(nn.Module):
    """pooled (1, width), last and given (1, D), state (2, 1, hidden) -> mixture and state."""

    def __init__(self, prosody: PhraseProsody) -> None:
        super().__init__()
        self.gru = prosody.predictor.gru
        self.head = _Head(prosody.predictor.phrase, prosody.predictor.phrase.components)

    def forward(
        self, pooled: Tensor, last: Tensor, given: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        hidden, state = self.gru(torch.cat((pooled, last, given), dim=-1)[None], state)
        return (*self.head(hidden[0]), state)


def programs_of(model: FS2VC) -> dict[str, torch.export.ExportedProgram]:
    """Trace a model's parts, each for any number of frames; the model is used up."""
    _plain(model)
    with warnings.catch_warnings():
        # torch lists an LSTM's weights twice and remarks on it while it traces.
        warnings.filterwarnings("ignore", "The tensor attributes", UserWarning)
        return {
            name: torch.export.export(part.eval(), given, dynamic_shapes=free)
            for name, part, given, free in _parts(model)
        }


def _parts(model: FS2VC) -> Iterator[tuple[str, nn.Module, tuple[Tensor, ...], Any]]:
    """Yield name, module, example and free dimensions of each part."""
    config = model.config
    r, width, channels = config.reduction, config.width, config.variance_channels
    frames = {0: torch.export.Dim("frames", min=1, max=LONGEST)}

    def rows(size: int, count: int = TRACED) -> Tensor:
        return torch.randn(count, size)

    voice = torch.tensor(0)
    encoded = rows(width)
    yield "encode", _Encode(model), (rows(r * config.mels), voice), (frames, None)
    timed = (encoded, rows(r), rows(r), voice)
    yield "timing", _Timing(model), timed, (frames, frames, frames, None)
    yield "contour", _Contour(model), (encoded, rows(width), voice), (frames, frames, None)
    spoken = (encoded, rows(width), rows(r), voice)
    yield "speak", _Speak(model), spoken, (frames, frames, frames, None)
    for name, fitted in (("linear", model.linear), ("kernel", model.kernel)):
        if fitted is not None:
            made = (rows(r * config.mels), voice, voice.clone())
            yield name, _Fitted(fitted, config.mels), made, (frames, None, None)
    predictor = model.variance.pitch.predictor
    if isinstance(predictor, RecurrentPredictor):
        h, c = (
            torch.zeros(2, 1, channels),
            torch.ones(2, 1, channels),
        )  # one tensor is traced as one
        given = (rows(channels, 1), rows(1, 1), h, c)
        yield "pitch_step", _PitchStep(predictor), given, None
    if model.prosody is not None:
        size, gru = config.prosody_size, model.prosody.predictor.gru
        whole = model.prosody.predictor.whole
        yield "phrases", _Phrases(model.prosody), (encoded,), (frames,)
        yield "utterance", _Head(whole, whole.components), (rows(width, 1),), None
        heard = (rows(width, 1), rows(size, 1), rows(size, 1), torch.zeros(2, 1, gru.hidden_size))
        yield "phrase_step", _PhraseStep(model.prosody), heard, None
        yield "spread", model.prosody.out, (rows(size),), (frames,)

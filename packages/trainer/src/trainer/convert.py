"""From any recording to the target's voice, with everything a run carries in its folder.

A recording is treated exactly as the dataset's were: trimmed by the version's silence
settings, measured by corpuskit's code, normalised by the run's statistics. One longer than what
the run was trained on is converted phrase by phrase (see `pieces`).

    >>> converter = Converter.open(workspace, "N2C_28")
    >>> converted = converter.convert(Path("in.wav"))
    >>> write_wav(Path("out.wav"), converted.samples, converted.rate)
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt

from corpuskit.audio import Sound, decode, header
from corpuskit.config import DatasetConfig
from corpuskit.directions import directions
from corpuskit.errors import BadAudio, BadSetting, unknown
from corpuskit.features import extract
from corpuskit.silence import level_curve
from trainer import hearing
from trainer.data import Frames, Normaliser
from trainer.errors import BadRun
from trainer.hearing import Heard, Measured, phrases_of, usable_features
from trainer.manner import Manner
from trainer.pieces import Piece, batches, joined
from trainer.usual import Usual, level_of_curve
from trainer.vocoder_runs import vocoder_named
from trainer.vocoders.speech import Speech, Vocoder, within_full_scale

if TYPE_CHECKING:
    import torch

    from trainer.batches import Inputs
    from trainer.checkpoint import Checkpoint
    from trainer.model import FS2VC
    from trainer.prosody import Draw
    from trainer.runs import Run

__all__ = [
    "Converted",
    "Converter",
    "Made",
    "Measured",
    "Ready",
    "model_of",
    "phrases_of",
    "targets_by_source",
    "usable_features",
    "voiced_as",
]

Float32 = npt.NDArray[np.float32]
Span = tuple[int, int]

LONGEST = 15.0  # seconds converted at once by a run that does not tell what it was trained on
BATCH = 12_000  # frames of pieces in one batch, with padding
BATCHED = 16  # pieces in one batch
PEAK = 10 ** (-0.1 / 20)  # no sample of a conversion is above -0.1 dBFS once its level is set
SHORT_OF = 0.5  # dB; a level missed by more, because of the peaks, is told


@dataclass(frozen=True, kw_only=True)
class Made:
    """What the model makes of a recording."""

    speech: Speech  # T' frames
    durations: npt.NDArray[np.int64]  # (S,) reduced target frames of each reduced source frame

    @property
    def mel(self) -> Float32:
        """Natural-log mel (T', bands)."""
        return self.speech.mel


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A recording that was measured."""

    name: str  # of the recording, in messages
    heard: Heard
    measured: Measured | Sound  # samples, where it is converted in pieces
    took: float  # seconds so far


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What became of one recording."""

    samples: Float32  # (n,), full scale is 1.0
    rate: int  # Hz
    speech: Speech  # what the vocoder was given; of pieces, end to end without their pauses
    vocoder: str  # its name
    source: str  # speaker the recording was taken for
    target: str  # speaker it was converted to
    took: float  # seconds for analysis, model and vocoder
    notes: tuple[str, ...] = ()  # what it suffered from, each continuing the recording's name

    @property
    def seconds(self) -> float:
        """Length of the converted speech."""
        return len(self.samples) / self.rate

    @property
    def speed(self) -> float:
        """How many times faster than real time it was made."""
        return self.seconds / max(self.took, 1e-9)

    def without_sound(self) -> Converted:
        """Return what is to be told of it, without the memory its sound takes."""
        silent = np.broadcast_to(np.float32(0), self.samples.shape)
        none = Speech(mel=np.zeros((0, 0), np.float32), f0=np.zeros(0, np.float32))
        return replace(self, samples=silent, speech=none)


@dataclass(frozen=True, kw_only=True)
class Converter:
    """A trained model with all it needs to convert."""

    model: FS2VC  # in evaluation mode, on `device`
    device: torch.device
    settings: DatasetConfig  # of the dataset the run was trained on
    normaliser: Normaliser
    speakers: tuple[str, ...]  # rows of the model's speaker tables
    vocoder: Vocoder
    label: str  # names the run in messages
    f0_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # Hz, by speaker
    usual: Usual | None = None  # levels and lengths it was trained on, where they are known
    pace: float = 1.0  # lengths the model says by itself, over those it should

    @classmethod
    def open(
        cls,
        workspace: Path,
        tag: str,
        *,
        checkpoint: str = "best",
        device: str = "auto",
        vocoder: str | None = None,
    ) -> Self:
        """Load checkpoint "best", "last" or an epoch's ("100") of a run.

        `vocoder` names what makes sound; None: what the run's settings name.

        Raises
        ------
        UnknownName, BadRun, CorpuskitError
            No such run, checkpoint or vocoder, or it is damaged.
        """
        from trainer.runs import open_run

        run = open_run(workspace, tag)
        return cls.of(run, run.checkpoint(checkpoint), device, vocoder)

    @classmethod
    def of(cls, run: Run, checkpoint: Checkpoint, device: str, vocoder: str | None = None) -> Self:
        """Load a checkpoint of an opened run; the errors of `open`."""
        from trainer.device import pick
        from trainer.usual import of_run

        place = pick(device)
        model = model_of(run, checkpoint)
        settings = run.settings
        _load_libraries(settings)
        return cls(
            model=model.to(place).eval(),
            device=place,
            settings=settings,
            normaliser=Normaliser(run.statistics, settings.features.energy_gate),
            speakers=run.speakers,
            vocoder=vocoder_named(
                run.workspace,
                vocoder or run.config.train.vocoder,
                settings.features,
                settings.audio.rate,
                place.type,
            ),
            label=f"run {run.tag}",
            f0_ranges=run.f0_ranges,
            usual=of_run(run),
            pace=checkpoint.state().own_pace,
        )

    def convert(
        self,
        recording: Path | Sound,
        target: str | None = None,
        source: str | None = None,
        draw: Draw | None = None,
        manner: Manner | None = None,
        threads: Executor | None = None,
    ) -> Converted:
        """Convert a recording (a file, or decoded samples).

        Parameters
        ----------
        target : speaker to convert to; may be left out where the run knows one only
        source : speaker of the run whose voice the recording is nearest to; the first by name
            when left out
        draw : how phrases' prosody is drawn, for a model that has any; the likeliest when left out
        manner : pitch, speed and level; as the model speaks when left out
        threads : measure and make audible the pieces of a long recording

        Raises
        ------
        BadAudio
            The recording cannot be used; the message names it and says why.
        BadSetting, UnknownName
            The target is not named though there are several, or not one of the run's; or
            something is asked for that model or vocoder cannot do.
        """
        manner = manner or Manner()
        between = self.agreed(source, target, draw, manner)
        ready = self.ready(recording, between[0])
        began = time.perf_counter()
        if isinstance(ready.measured, Sound):
            return self._in_pieces(ready, ready.measured, between, draw, manner, threads)
        (made,) = self.made([ready.measured], *between, draw, manner)
        ready = replace(ready, took=ready.took + time.perf_counter() - began)
        return self.sounding(ready, made.speech, between, manner)

    def agreed(
        self,
        source: str | None,
        target: str | None,
        draw: Draw | None,
        manner: Manner | None = None,
    ) -> tuple[str, str]:
        """Return the speakers to convert between; the errors of `convert` that no recording has."""
        if draw is not None and draw.temperature and self.model.prosody is None:
            raise BadSetting(
                f"{self.label} draws no prosody, so a temperature means nothing to it",
                "leave --temperature out, or use a model with model.prosody = wgmm",
            )
        if manner is not None and manner.pitch_shift and not self.vocoder.hears_f0:
            raise BadSetting(
                f"vocoder {self.vocoder.name} takes the pitch from the mel, "
                "which a pitch shift does not move",
                "use --vocoder world, or leave --pitch-shift out",
            )
        return self.direction(source, target)

    @property
    def longest(self) -> int:
        """Frames of the longest recording that is converted at once."""
        if self.usual is not None:
            return self.usual.longest
        return int(LONGEST * self.settings.audio.rate / self.settings.features.hop_length)

    def may_be_long(self, path: Path) -> bool:
        """Tell by a file's header whether it can be longer than what is converted at once."""
        try:
            found = header(path)
        except BadAudio:  # which `ready` will say
            return False
        hop = self.settings.features.hop_length / self.settings.audio.rate
        return found.samples / found.rate > self.longest * hop

    def ready(self, recording: Path | Sound, source: str) -> Ready:
        """Decode a recording of `source` and measure it, unless it is one for pieces.

        Raises
        ------
        BadAudio
            It cannot be used; the message names it and says why.
        """
        began = time.perf_counter()
        name = str(recording) if isinstance(recording, Path) else "the recording"
        try:
            sound = decode(recording) if isinstance(recording, Path) else recording
            level = self.usual.sources.get(source) if self.usual is not None else None
            heard = hearing.hear(sound, self.settings, level, self.longest)
            measured: Measured | Sound = sound
            if not heard.pieces:
                measured = hearing.whole(sound, heard, self.settings, self.f0_ranges.get(source))
        except BadAudio as error:
            raise BadAudio(f"{name} {error.problem}", error.remedy or _REMEDY) from None
        return Ready(name=name, heard=heard, measured=measured, took=time.perf_counter() - began)

    def _in_pieces(
        self,
        ready: Ready,
        sound: Sound,
        between: tuple[str, str],
        draw: Draw | None,
        manner: Manner,
        threads: Executor | None,
    ) -> Converted:
        """Convert a long recording piece by piece; memory holds its samples and some pieces."""
        began = time.perf_counter()
        parts, spoken, voiceless = list[tuple[Float32, float]](), list[Speech](), 0.0
        for piece, speech, samples in self._by_piece(ready, sound, between, draw, manner, threads):
            parts.append((samples, piece.gap))
            if speech is None:
                voiceless += len(samples) / self.settings.audio.rate
            else:
                spoken.append(speech)
        if not spoken:
            raise BadAudio(f"{ready.name} has no voiced frame", _REMEDY)
        if voiceless:
            told = f"has {voiceless:.1f} s without a voice, which are silent in the conversion"
            ready = replace(ready, heard=replace(ready.heard, notes=(*ready.heard.notes, told)))
        samples = joined(parts, self.settings.audio.rate, manner.speed)
        speech = Speech(
            mel=np.concatenate([each.mel for each in spoken]),
            f0=np.concatenate([each.f0 for each in spoken]),
        )
        return self._finished(ready, samples, speech, between, manner, began)

    def _by_piece(
        self,
        ready: Ready,
        sound: Sound,
        between: tuple[str, str],
        draw: Draw | None,
        manner: Manner,
        threads: Executor | None,
    ) -> Iterator[tuple[Piece, Speech | None, Float32]]:
        """Convert some pieces at a time; one without a voice becomes silence of its length."""
        over = map if threads is None else threads.map
        f0_range, hop = self.f0_ranges.get(between[0]), self.settings.features.hop_length

        def measured(piece: Piece) -> Measured | None:
            return hearing.piece(sound, ready.heard, piece, self.settings, f0_range)

        def audible(piece: Piece, speech: Speech | None) -> Float32:
            if speech is None:
                return np.zeros(round((piece.frames - 1) * hop / manner.speed), np.float32)
            return self.vocoder(speech)

        count = itertools.count()  # of the pieces that have a voice
        for batch in batches(ready.heard.pieces, BATCH, BATCHED):
            found = list(over(measured, batch))
            voiced = [each for each in found if each]
            own = _of_pieces(draw, [next(count) for _ in voiced])
            made = iter(self.made(voiced, *between, own, manner))
            speech = [next(made).speech if each else None for each in found]
            yield from zip(batch, speech, over(audible, batch, speech), strict=True)

    def sounding(
        self,
        ready: Ready,
        speech: Speech,
        between: tuple[str, str],
        manner: Manner | None = None,
    ) -> Converted:
        """Turn what was made of a recording into sound.

        Raises
        ------
        BadRun
            There is nothing to hear.
        """
        began = time.perf_counter()
        if len(speech) < 2:
            raise BadRun(f"{self.label} made no speech of {ready.name}", "train it longer")
        samples = self.vocoder(speech)
        return self._finished(ready, samples, speech, between, manner or Manner(), began)

    def _finished(
        self,
        ready: Ready,
        samples: Float32,
        speech: Speech,
        between: tuple[str, str],
        manner: Manner,
        began: float,
    ) -> Converted:
        """Bring a conversion to its level; its last work began at `began`."""
        wanted: float | None = None
        if manner.level == "keep":
            wanted = ready.heard.level
        elif manner.level != "match":
            wanted = manner.level
        elif self.usual is not None and between[1] in self.usual.targets:
            wanted = self.usual.targets[between[1]].median
        whole = within_full_scale(samples)  # once, so that pieces keep their levels
        samples, notes = _levelled(whole, self.settings.audio.rate, wanted)
        if manner.level == "match":  # nobody asked for a figure
            notes = ()
        return Converted(
            samples=samples,
            rate=self.settings.audio.rate,
            speech=speech,
            vocoder=self.vocoder.name,
            source=between[0],
            target=between[1],
            took=ready.took + time.perf_counter() - began,
            notes=(*ready.heard.notes, *notes),
        )

    def direction(self, source: str | None, target: str | None) -> tuple[str, str]:
        """Return the speakers to convert between, filling in what is left out."""
        known = targets_by_source(self.settings, self.speakers)
        if source is None:
            fitting = [name for name, targets in known.items() if target in (None, *targets)]
            source = min(fitting, default=min(known))
        if source not in known:
            raise unknown("source speaker", source, known)
        targets = known[source]
        if target is None and len(targets) > 1:
            raise BadSetting(
                f"{self.label} can convert to several speakers: {', '.join(targets)}",
                f"choose one, e.g. --target {targets[0]}",
            )
        target = targets[0] if target is None else target
        if target not in targets:
            raise unknown("target speaker", target, targets)
        return source, target

    def made(
        self,
        recordings: Sequence[Measured],
        source: str,
        target: str,
        draw: Draw | None = None,
        manner: Manner | None = None,
    ) -> list[Made]:
        """Convert the kept frames of recordings, and their silent spans, in one batch.

        Each is what it would be alone, to 1e-5. Phrases end at the long silences. Of `manner`,
        pitch and speed are followed.

        Raises
        ------
        BadRun
            The model gives values that are no numbers.
        """
        import torch

        from trainer.device import deterministic

        if not recordings:
            return []
        manner = manner or Manner()
        interval = np.float32(2 ** (manner.pitch_shift / 12))
        reduction = self.settings.align.reduction
        frames = [self.normaliser.source(kept).whole(reduction) for kept, _ in recordings]
        silences = [spans for _, spans in recordings]
        with torch.inference_mode(), deterministic(self.device):
            inputs = self._inputs(frames, source, target, silences)
            made = self.model.generate(inputs, draw, manner.speed * self.pace)
        found = []
        for row, (kept, _) in enumerate(recordings):
            length = int(made.lengths[row]) * reduction
            durations = made.durations[row, : len(kept) // reduction].cpu().numpy()
            mel = self.normaliser.target_mel(made.mel[row, :length].cpu().numpy())
            contour = self.normaliser.target_f0(made.pitch[row, :length].cpu().numpy()) * interval
            if not (np.isfinite(mel).all() and np.isfinite(contour).all()):
                problem = f"{self.label} gives values that are no numbers"
                raise BadRun(problem, "use another checkpoint")
            f0 = np.where(voiced_as(kept.f0, durations, reduction), contour, np.float32(0))
            found.append(Made(speech=Speech(mel=mel, f0=f0), durations=durations))
        return found

    def _inputs(
        self,
        frames: Sequence[Frames],
        source: str,
        target: str,
        silences: Sequence[Sequence[Span]],
    ) -> Inputs:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        from trainer.batches import Inputs

        def rows(name: str) -> torch.Tensor:
            return torch.full((len(frames),), self.speakers.index(name))

        def padded(values: Iterable[npt.NDArray[Any]]) -> torch.Tensor:
            return pad_sequence([torch.from_numpy(each) for each in values], batch_first=True)

        lengths = [len(each.pitch) for each in frames]
        phrases = [
            np.array(phrases_of(spans, length, self.settings))
            for spans, length in zip(silences, lengths, strict=True)
        ]
        return Inputs(
            mel=padded(each.mel for each in frames),
            pitch=padded(each.pitch for each in frames),
            energy=padded(each.energy for each in frames),
            lengths=torch.tensor(lengths) // self.settings.align.reduction,
            source_speaker=rows(source),
            target_speaker=rows(target),
            phrases=padded(phrases),
        ).to(self.device)


def model_of(run: Run, checkpoint: Checkpoint) -> FS2VC:
    """Return a run's model with the weights of a checkpoint, on the CPU.

    Raises
    ------
    BadRun
        They are missing or damaged, or were trained by another release.
    """
    from trainer.checkpoint import load_weights
    from trainer.model import FS2VC

    model = FS2VC(run.config.model, len(run.speakers))
    try:
        model.load_state_dict(load_weights(checkpoint))
    except RuntimeError:  # names or shapes; torch lists them all over many lines
        raise BadRun(
            f"the weights of run {run.tag} do not fit this release's model",
            "convert with the release that trained it",
        ) from None
    return model


_REMEDY = "give a recording of speech"


def voiced_as(
    f0: Float32, durations: npt.NDArray[np.int64], reduction: int
) -> npt.NDArray[np.bool_]:
    """Return which target frames (T',) are voiced: those whose source frame is.

    Model and mel have an F0 everywhere; the same words are voiced in the same places. The
    `reduction` frames of a reduced source frame are spread over all frames it becomes.

    Parameters
    ----------
    f0 : (T,) Hz of the source, 0 where unvoiced
    durations : (S,) reduced target frames of each reduced source frame
    """
    voiced = (f0 > 0)[: len(durations) * reduction].reshape(-1, reduction)
    counts = durations * reduction
    first = np.repeat(np.cumsum(counts) - counts, counts)
    within = (np.arange(counts.sum()) - first) * reduction // np.repeat(counts, counts)
    return np.asarray(voiced[np.repeat(np.arange(len(durations)), counts), within])


def _levelled(samples: Float32, rate: int, wanted: float | None) -> tuple[Float32, tuple[str, ...]]:
    """Bring samples to a level (dBFS, RMS over speech), or as near to it as their peaks allow."""
    peak = float(np.abs(samples).max(initial=0.0))
    if wanted is None or peak == 0:
        return samples, ()
    heard = cast("npt.NDArray[np.float64]", samples)  # which a level does not need
    sound = Sound(samples=heard, rate=rate, channels=1, subtype="FLOAT")
    level = level_of_curve(level_curve(sound))
    if level is None:
        return samples, ()
    gain = 10 ** ((wanted - level) / 20)
    possible = min(gain, PEAK / peak)
    short = 20 * np.log10(gain / possible)
    notes: tuple[str, ...] = ()
    if short > SHORT_OF:
        notes = (f"is converted to {wanted - short:.1f} dBFS: at {wanted:g} it would clip",)
    return samples * np.float32(possible), notes


def _of_pieces(draw: Draw | None, numbers: Sequence[int]) -> Draw | None:
    """Let each piece of a recording draw for itself."""
    return None if draw is None else replace(draw, pieces=tuple(numbers))


def _load_libraries(settings: DatasetConfig) -> None:
    """Have what measures sound loaded, which takes longer than converting an utterance."""
    rate = settings.audio.rate
    extract(np.zeros(rate), rate, settings.features)


def targets_by_source(
    settings: DatasetConfig, speakers: tuple[str, ...]
) -> Mapping[str, tuple[str, ...]]:
    """Return the target speakers of each source speaker a run was trained on, by name."""
    known: dict[str, set[str]] = {}
    for source, target in directions(settings):
        if source in speakers and target in speakers:
            known.setdefault(source, set()).add(target)
    return {source: tuple(sorted(known[source])) for source in sorted(known)}

"""From any recording to the target's voice, with everything a run carries in its folder.

A recording is treated exactly as the dataset's were: trimmed by the version's silence
settings, measured by corpuskit's code, normalised by the run's statistics.

    >>> converter = Converter.open(workspace, "N2C_28")
    >>> converted = converter.convert(Path("in.wav"))
    >>> write_wav(Path("out.wav"), converted.samples, converted.rate)
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from corpuskit import silence
from corpuskit.audio import Sound, decode, resample
from corpuskit.config import DatasetConfig
from corpuskit.directions import directions
from corpuskit.errors import BadAudio, BadSetting, unknown
from corpuskit.features import Features, continuous_log_f0, extract, for_voice
from trainer.data import Frames, Normaliser
from trainer.errors import BadRun
from trainer.vocoder_runs import vocoder_named
from trainer.vocoders.speech import Speech, Vocoder

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
    "model_of",
    "phrases_of",
    "targets_by_source",
    "usable_features",
    "voiced_as",
]

Float32 = npt.NDArray[np.float32]
Span = tuple[int, int]
Measured = tuple[Features, tuple[Span, ...]]  # kept frames, and the silent spans among them


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
class Converted:
    """What became of one recording."""

    samples: Float32  # (n,), full scale is 1.0
    rate: int  # Hz
    speech: Speech  # what the vocoder was given
    vocoder: str  # its name
    source: str  # speaker the recording was taken for
    target: str  # speaker it was converted to
    took: float  # seconds for analysis, model and vocoder

    @property
    def seconds(self) -> float:
        """Length of the converted speech."""
        return len(self.samples) / self.rate

    @property
    def speed(self) -> float:
        """How many times faster than real time it was made."""
        return self.seconds / max(self.took, 1e-9)


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
        )

    def convert(
        self,
        recording: Path | Sound,
        target: str | None = None,
        source: str | None = None,
        draw: Draw | None = None,
    ) -> Converted:
        """Convert a recording (a file, or decoded samples).

        Parameters
        ----------
        target : speaker to convert to; may be left out where the run knows one only
        source : speaker of the run whose voice the recording is nearest to; the first by name
            when left out
        draw : how phrases' prosody is drawn, for a model that has any; the likeliest when left out

        Raises
        ------
        BadAudio
            The recording cannot be used; the message names it and says why.
        BadSetting, UnknownName
            The target is not named though there are several, or not one of the run's; or a
            temperature is given to a model that draws nothing.
        """
        began = time.perf_counter()
        source, target = self.agreed(source, target, draw)
        name = str(recording) if isinstance(recording, Path) else "the recording"
        (made,) = self.made([self.measured(recording, source)], source, target, draw)
        return self.sounding(name, made.speech, (source, target), began)

    def agreed(self, source: str | None, target: str | None, draw: Draw | None) -> tuple[str, str]:
        """Return the speakers to convert between; the errors of `convert` that no recording has."""
        if draw is not None and draw.temperature and self.model.prosody is None:
            raise BadSetting(
                f"{self.label} draws no prosody, so a temperature means nothing to it",
                "leave --temperature out, or use a model with model.prosody = wgmm",
            )
        return self.direction(source, target)

    def measured(self, recording: Path | Sound, source: str) -> Measured:
        """Decode and measure a recording of `source`.

        Raises
        ------
        BadAudio
            It cannot be used; the message names it and says why.
        """
        name = str(recording) if isinstance(recording, Path) else "the recording"
        try:
            sound = decode(recording) if isinstance(recording, Path) else recording
            return usable_features(sound, self.settings, self.f0_ranges.get(source))
        except BadAudio as error:
            raise BadAudio(f"{name} {error.problem}", error.remedy or _REMEDY) from None

    def sounding(
        self, name: str, speech: Speech, between: tuple[str, str], began: float
    ) -> Converted:
        """Turn what was made of recording `name` into sound; its work began at `began`.

        Raises
        ------
        BadRun
            There is nothing to hear.
        """
        if len(speech) < 2:
            raise BadRun(f"{self.label} made no speech of {name}", "train it longer")
        return Converted(
            samples=self.vocoder(speech),
            rate=self.settings.audio.rate,
            speech=speech,
            vocoder=self.vocoder.name,
            source=between[0],
            target=between[1],
            took=time.perf_counter() - began,
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
    ) -> list[Made]:
        """Convert the kept frames of recordings, and their silent spans, in one batch.

        Each is what it would be alone, to 1e-5. Phrases end at the long silences.

        Raises
        ------
        BadRun
            The model gives values that are no numbers.
        """
        import torch

        reduction = self.settings.align.reduction
        frames = [self.normaliser.source(kept).whole(reduction) for kept, _ in recordings]
        silences = [spans for _, spans in recordings]
        with torch.inference_mode():
            made = self.model.generate(self._inputs(frames, source, target, silences), draw)
        found = []
        for row, (kept, _) in enumerate(recordings):
            length = int(made.lengths[row]) * reduction
            durations = made.durations[row, : len(kept) // reduction].cpu().numpy()
            mel = self.normaliser.target_mel(made.mel[row, :length].cpu().numpy())
            contour = self.normaliser.target_f0(made.pitch[row, :length].cpu().numpy())
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


def _load_libraries(settings: DatasetConfig) -> None:
    """Have what measures sound loaded, which takes longer than converting an utterance."""
    rate = settings.audio.rate
    extract(np.zeros(rate), rate, settings.features)


def phrases_of(silences: Sequence[Span], frames: int, settings: DatasetConfig) -> tuple[int, ...]:
    """Return the phrases of a recording of `frames` frames by its own pauses, in reduced frames.

    A phrase ends where a silence of at least `silence.min_silence_len` begins, to the nearest
    reduced frame; none is empty. What the target of a pair would pause at is not known at use.
    """
    reduction, hop = settings.align.reduction, settings.features.hop_length
    enough = settings.silence.min_silence_len * settings.audio.rate / (1000 * hop)
    whole = frames // reduction
    begins = {round(a / reduction) for a, b in silences if b - a >= enough}
    cuts = [0, *sorted(cut for cut in begins if 0 < cut < whole), whole]
    return tuple(b - a for a, b in itertools.pairwise(cuts))


def usable_features(
    sound: Sound, settings: DatasetConfig, f0_range: tuple[float, float] | None = None
) -> Measured:
    """Measure a recording and keep what a build with `settings` would keep of it.

    `f0_range` (Hz) is where the speaker's F0 was searched; None: where the settings say.
    Returns the kept frames and the silent spans among them.

    Raises
    ------
    BadAudio
        Nothing to convert is left; the reasons are those a build sets recordings aside with.
    """
    if not sound.samples.any():
        raise BadAudio("is silent from end to end (every sample is zero)")
    segmentation = silence.analyse(silence.level_curve(sound), settings.silence)
    if segmentation.empty:
        raise BadAudio(
            "is below the silence thresholds from end to end",
            f"the dataset's are {settings.silence.head_thresh:g} dBFS for the head and "
            f"{settings.silence.thresh:g} dBFS for the rest; raise the recording's level",
        )
    rate, hop = settings.audio.rate, settings.features.hop_length
    features = for_voice(settings.features, f0_range)
    whole = extract(resample(sound.samples, sound.rate, rate), rate, features)
    frames = silence.kept_frames(
        segmentation, len(sound.samples), sound.rate, len(whole), (rate, hop)
    )
    kept = whole.cut(*frames)
    if len(kept) < settings.align.reduction:
        raise BadAudio(
            "keeps less than one reduced frame after trimming",
            f"at least {settings.align.reduction * hop / rate:.3f} s of speech are needed",
        )
    if not continuous_log_f0(kept.f0, kept.energy, settings.features.energy_gate).any():
        raise BadAudio("has no voiced frame")
    return kept, silence.spans_to_frames(segmentation.silences, frames, sound.rate, (rate, hop))


def targets_by_source(
    settings: DatasetConfig, speakers: tuple[str, ...]
) -> Mapping[str, tuple[str, ...]]:
    """Return the target speakers of each source speaker a run was trained on, by name."""
    known: dict[str, set[str]] = {}
    for source, target in directions(settings):
        if source in speakers and target in speakers:
            known.setdefault(source, set()).add(target)
    return {source: tuple(sorted(known[source])) for source in sorted(known)}

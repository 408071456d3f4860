"""Run an exported model: from features of a source recording to mel and F0 of the target.

It needs numpy and torch and nothing else: this very file lies in every export.

    model = Exported.open("N2C_28.export")
    made = model.convert(mel, f0, energy)          # made.mel, made.f0

Features are corpuskit's, of what is kept of a recording: mel (T, bands) natural log, f0 (T,) Hz
with 0 where unvoiced, energy (T,) L2 norm of the spectrum; export.json tells their settings.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["SCHEMA", "BadExport", "Exported", "Spoken"]

SCHEMA = 1
SMALLEST_DEVIATION = 0.01  # natural-log units; a band that never changes is not blown up
LONGEST_DURATION = 1000  # reduced frames

Array = np.ndarray[Any, Any]


class BadExport(ValueError):
    """An export that is damaged, or input that does not fit it."""


@dataclass(frozen=True)
class Spoken:
    """What a recording became, T' frames."""

    mel: Array  # (T', bands) natural log
    f0: Array  # (T',) Hz, 0 where unvoiced
    energy: Array  # (T',) natural log
    durations: Array  # (S,) reduced target frames of each reduced source frame


class Exported:
    """An exported model, on the CPU."""

    def __init__(self, description: Mapping[str, Any], programs: Mapping[str, Any]) -> None:
        self.description = description
        self._programs = programs
        self._reduction: int = description["reduction"]
        self._gate: float = description["features"]["energy_gate"]

    @classmethod
    def open(cls, folder: str | Path) -> Exported:
        """Load an export; every file is held against its digest.

        Raises
        ------
        BadExport
            A file is missing or damaged, or the schema is another.
        """
        folder = Path(folder)
        try:
            description = json.loads((folder / "export.json").read_text(encoding="utf-8"))
            schema, files = description["schema"], dict(description["files"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadExport(f"{folder}: export.json cannot be read ({error})") from None
        if schema != SCHEMA:
            raise BadExport(f"{folder} has schema {schema}, this loader reads {SCHEMA}")
        programs = {}
        for name, digest in files.items():
            try:
                data = (folder / name).read_bytes()
            except OSError as error:
                raise BadExport(f"{folder / name} cannot be read ({error.strerror})") from None
            if hashlib.sha256(data).hexdigest() != digest:
                raise BadExport(f"{folder / name} does not fit its digest")
            programs[name.removesuffix(".pt2")] = torch.export.load(io.BytesIO(data)).module()
        return cls(description, programs)

    def convert(
        self,
        mel: Array,
        f0: Array,
        energy: Array,
        source: str | None = None,
        target: str | None = None,
        *,
        phrases: Sequence[int] | None = None,
        speed: float = 1.0,
        pitch_shift: float = 0.0,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Spoken:
        """Convert the T frames of a recording; those beyond the last whole reduced one are dropped.

        Parameters
        ----------
        source, target : speakers; may be left out where there is one only
        phrases : lengths of the recording's phrases in reduced frames, sum T // r, for models of
            phrases; None: one phrase
        speed : durations are divided by it
        pitch_shift : semitones above the predicted F0
        temperature, seed : how phrases' prosody is drawn; 0: the likeliest

        Raises
        ------
        BadExport
            The frames do not fit each other or the model; unknown speaker.
        """
        r = self._reduction
        count = len(mel) // r
        if not (len(mel) == len(f0) == len(energy)) or np.ndim(mel) != 2 or count < 1:
            raise BadExport(f"mel, f0 and energy must be at least {r} frames of equal number")
        bands = self.description["model"]["mels"]
        if np.shape(mel)[1] != bands:
            raise BadExport(f"the mel has {np.shape(mel)[1]} bands, the model's have {bands}")
        if not ((np.asarray(f0) > 0) & (np.log(energy) >= self._gate)).any():
            raise BadExport("no frame is voiced")
        lengths = [count] if phrases is None else [int(each) for each in phrases]
        if sum(lengths) != count or min(lengths) < 1:
            raise BadExport(f"phrases must be positive and sum to {count} reduced frames")
        voices = self._voices(source, target)
        with torch.no_grad():
            return self._converted(
                self._normalised(mel, f0, energy),
                np.asarray(f0)[: count * r],
                voices,
                lengths,
                speed * self.description.get("pace", 1.0),
                2 ** (pitch_shift / 12),
                (temperature, seed),
            )

    def _voices(self, source: str | None, target: str | None) -> tuple[torch.Tensor, torch.Tensor]:
        known = self.description["targets"]
        fitting = [name for name in known if target is None or target in known[name]]
        source = source or min(fitting, default=min(known))
        targets = known.get(source, [])
        if target is None and len(targets) == 1:
            target = targets[0]
        if target not in targets:
            raise BadExport(f"no conversion from {source} to {target}; there are {known}")
        rows = self.description["speakers"]
        return torch.tensor(rows.index(source)), torch.tensor(rows.index(target))

    def _converted(
        self,
        frames: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        f0: Array,
        voices: tuple[torch.Tensor, torch.Tensor],
        phrases: list[int],
        speed: float,
        interval: float,
        draw: tuple[float, int],
    ) -> Spoken:
        run, (mel, pitch, energy), (source, target) = self._programs, frames, voices
        encoded = run["encode"](mel, source)
        if "phrases" in run:
            encoded = encoded + self._prosody(encoded, phrases, *draw)
        log_duration, pitch_given, energy_given = run["timing"](encoded, pitch, energy, target)
        durations = _durations(log_duration, speed)
        over = torch.repeat_interleave(durations)  # the length regulator
        expanded = encoded[over]
        values = run["contour"](expanded, pitch_given[over], target)
        if "pitch_step" in run:
            values = self._looped(values, _stretched(phrases, durations))
        spoken, loud = run["speak"](expanded, energy_given[over], values, target)
        network = spoken
        for name in ("linear", "kernel"):  # what was fitted in closed form has its share
            if name in run:
                made = _evenly(run[name](mel, source, target), durations, self._reduction)
                spoken = spoken + self.description[name] * (made - network)
        return self._restored(spoken, values, loud, f0, durations.numpy(), interval)

    # -------------------------------------------------------------- loops

    def _looped(self, frames: torch.Tensor, phrases: list[int]) -> torch.Tensor:
        """Predict pitch (N, r) frame by frame, each hearing the last value before it."""
        anew = self.description["recurrent_pitch"] == "phrase"
        found = []
        for piece in torch.split(frames, phrases) if anew else [frames]:
            last, h = frames.new_zeros(1, 1), frames.new_zeros(2, 1, frames.shape[1])
            c = h
            for frame in torch.split(piece, 1):
                value, h, c = self._programs["pitch_step"](frame, last, h, c)
                last = value[:, -1:]
                found.append(value)
        return torch.cat(found)

    def _prosody(
        self, encoded: torch.Tensor, phrases: list[int], temperature: float, seed: int
    ) -> torch.Tensor:
        """Return what phrases' prosody adds to the encoding, phrase after phrase."""
        run = self._programs
        heard = run["phrases"](encoded)
        generator = torch.Generator().manual_seed(seed)
        given = _drawn(run["utterance"](heard.mean(0, keepdim=True)), temperature, generator)
        last, state, found = torch.zeros_like(given), None, []
        for piece in torch.split(heard, phrases):
            if state is None:
                state = heard.new_zeros(self._state_shape())
            *mixture, state = run["phrase_step"](piece.mean(0, keepdim=True), last, given, state)
            last = _drawn(tuple(mixture), temperature, generator)
            found.append(last)
        counts = torch.tensor(phrases)
        return run["spread"](torch.cat(found)).repeat_interleave(counts, dim=0)  # type: ignore[no-any-return]

    def _state_shape(self) -> tuple[int, int, int]:
        return 2, 1, int(self.description["prosody_hidden"])

    # -------------------------------------------------------------- numbers

    def _side(self, side: str, what: str) -> tuple[Array, Array]:
        statistics = self.description["statistics"][side]
        mean = np.asarray(statistics[f"{what}_mean"], dtype=np.float32)
        deviation = np.sqrt(np.asarray(statistics[f"{what}_var"], dtype=np.float64))
        return mean, np.maximum(deviation, SMALLEST_DEVIATION).astype(np.float32)

    def _normalised(
        self, mel: Array, f0: Array, energy: Array
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Normalise and stack: mel (S, r * bands), pitch and energy (S, r)."""
        voiced = np.flatnonzero((np.asarray(f0) > 0) & (np.log(energy) >= self._gate))
        filled = np.interp(np.arange(len(f0)), voiced, np.asarray(f0)[voiced])
        values = {
            "mel": np.asarray(mel, dtype=np.float32),
            "pitch": np.log(filled).astype(np.float32),
            "energy": np.maximum(np.log(energy), np.float32(self._gate)),
        }
        count = len(mel) // self._reduction
        stacked = []
        for what, value in values.items():
            mean, deviation = self._side("source", what)
            whole = ((value - mean) / deviation).astype(np.float32)[: count * self._reduction]
            stacked.append(torch.from_numpy(np.ascontiguousarray(whole.reshape(count, -1))))
        return stacked[0], stacked[1], stacked[2]

    def _restored(
        self,
        mel: torch.Tensor,
        pitch: torch.Tensor,
        energy: torch.Tensor,
        f0: Array,
        durations: Array,
        interval: float,
    ) -> Spoken:
        """Bring what the model made to natural units; voiced is what the source is."""

        def natural(values: torch.Tensor, what: str) -> Array:
            mean, deviation = self._side("target", what)
            columns = len(mean) if mean.ndim else 1
            restored = values.numpy().reshape(-1, columns) * deviation + mean
            return np.asarray(restored, dtype=np.float32)

        contour = np.exp(natural(pitch, "pitch")[:, 0]) * np.float32(interval)
        return Spoken(
            mel=natural(mel, "mel"),
            f0=np.where(_voiced(f0, durations, self._reduction), contour, np.float32(0)),
            energy=natural(energy, "energy")[:, 0],
            durations=durations,
        )


def _durations(log_duration: torch.Tensor, speed: float) -> torch.Tensor:
    """Return whole durations (S,) of log(d + 1), divided by `speed`; at least one is left."""
    found = torch.round(torch.exp(log_duration) - 1)
    whole = found.nan_to_num(0).clamp(0, LONGEST_DURATION).long()
    if not whole.any():
        whole[log_duration.argmax()] = 1
    if speed != 1.0:
        ends = torch.round(whole.cumsum(0).double() / speed).long()
        hurried = ends.diff(prepend=ends.new_zeros(1))
        if not hurried.any():
            hurried[whole.argmax()] = 1
        return hurried
    return whole


def _evenly(stacked: torch.Tensor, durations: torch.Tensor, reduction: int) -> torch.Tensor:
    """Stretch single frames, stacked in rows (S, r * bands), evenly: (N, r * bands)."""
    over = torch.repeat_interleave(durations)
    share = durations[over].float().reciprocal()
    starts = (durations.cumsum(0) - durations)[over]
    before = (torch.arange(len(over)) - starts) * share
    middle = torch.arange(reduction) + 0.5
    inside = (reduction * before[:, None] + share[:, None] * middle).floor().long()
    index = over[:, None] * reduction + inside.clamp(0, reduction - 1)
    frames = stacked.reshape(len(stacked) * reduction, -1)
    return frames[index.flatten()].reshape(len(over), -1)


def _stretched(phrases: list[int], durations: torch.Tensor) -> list[int]:
    """Return how long phrases become."""
    return [int(part.sum()) for part in torch.split(durations, phrases) if int(part.sum())]


def _drawn(
    mixture: tuple[torch.Tensor, ...], temperature: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw (1, D) from weights (M,), means and deviations (M, D); 0: the likeliest mean."""
    log_weight, mean, sigma = mixture
    uniform = torch.rand(len(log_weight), generator=generator).clamp(1e-30, 1 - 1e-7)
    normal = torch.randn(mean.shape[1], generator=generator)
    best = int((log_weight - temperature * torch.log(-torch.log(uniform))).argmax())
    return (mean[best] + temperature * sigma[best] * normal)[None]


def _voiced(f0: Array, durations: Array, reduction: int) -> Array:
    """Return which target frames (T',) are voiced: those whose source frame is."""
    voiced = (f0 > 0)[: len(durations) * reduction].reshape(-1, reduction)
    counts = durations * reduction
    first = np.repeat(np.cumsum(counts) - counts, counts)
    within = (np.arange(counts.sum()) - first) * reduction // np.repeat(counts, counts)
    return np.asarray(voiced[np.repeat(np.arange(len(durations)), counts), within])

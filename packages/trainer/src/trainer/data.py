"""From a dataset version to what the model sees: normalised frames, packed on the device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from corpuskit.config import to_mapping
from corpuskit.errors import BadSetting
from corpuskit.features import Features, continuous_log_f0, log_energy
from trainer import identity, lineage, preflight
from trainer.config import FITTED_SPEAKERS
from trainer.device import pick_memory

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from corpuskit.statistics import SideStatistics, Statistics
    from corpuskit.versions import Pair, Side, Version
    from trainer.batches import PackedSet, PairArrays
    from trainer.config import ModelConfig

__all__ = ["Frames", "Normaliser", "SplitData", "Splits", "check_fit", "load", "load_splits"]

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
In = TypeVar("In")
Out = TypeVar("Out")

# A standard deviation below this is a band that never changes (digital silence, say): dividing by
# it would turn another recording's dither into the loudest thing the model hears.
SMALLEST_DEVIATION = 0.01  # natural-log units


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Normalised features of one side (T frames)."""

    mel: Float32  # (T, bands)
    pitch: Float32  # (T,) continuous log F0
    energy: Float32  # (T,) log energy

    def whole(self, reduction: int) -> Frames:
        """Drop the frames at the end that do not fill a reduced frame."""
        kept = len(self.pitch) // reduction * reduction
        return Frames(mel=self.mel[:kept], pitch=self.pitch[:kept], energy=self.energy[:kept])


class _Side:
    """Means and deviations of one side."""

    def __init__(self, statistics: SideStatistics) -> None:
        self.mel = (_float32(statistics.mel_mean), _deviation(statistics.mel_var))
        self.pitch = (_float32(statistics.pitch_mean), _deviation(statistics.pitch_var))
        self.energy = (_float32(statistics.energy_mean), _deviation(statistics.energy_var))


def _float32(values: float | Sequence[float]) -> Float32:
    return np.asarray(values, dtype=np.float32)


def _deviation(variance: float | Sequence[float]) -> Float32:
    deviation = np.sqrt(np.asarray(variance, dtype=np.float64))
    return np.maximum(deviation, SMALLEST_DEVIATION).astype(np.float32)


class Normaliser:
    """Brings features to mean 0 and variance 1 by side, and back.

    Mel is normalised per band, pitch (continuous log F0) and log energy as wholes; source
    and target each have their own statistics.
    """

    def __init__(self, statistics: Statistics, energy_gate: float) -> None:
        self.statistics = statistics
        self._gate = energy_gate  # natural log; quieter frames count as unvoiced
        self._source = _Side(statistics.source)
        self._target = _Side(statistics.target)

    def source(self, features: Features) -> Frames:
        """Normalise features of a source recording."""
        return self._normalise(features, self._source)

    def target(self, features: Features) -> Frames:
        """Normalise features of a target recording."""
        return self._normalise(features, self._target)

    def _normalise(self, features: Features, side: _Side) -> Frames:
        pitch = continuous_log_f0(features.f0, features.energy, self._gate)
        return Frames(
            mel=_standardised(features.mel, side.mel),
            pitch=_standardised(pitch, side.pitch),
            energy=_standardised(log_energy(features.energy, self._gate), side.energy),
        )

    def target_mel(self, mel: Float32) -> Float32:
        """Return (T, bands) natural-log mel from the model's normalised mel."""
        return _restored(mel, self._target.mel)

    def target_f0(self, pitch: Float32) -> Float32:
        """Return F0 in Hz, without gaps, from the model's normalised pitch."""
        return np.exp(_restored(pitch, self._target.pitch))

    def target_energy(self, energy: Float32) -> Float32:
        """Return log energy from the model's normalised energy."""
        return _restored(energy, self._target.energy)


def _standardised(values: Float32, by: tuple[Float32, Float32]) -> Float32:
    mean, deviation = by
    return np.ascontiguousarray((values - mean) / deviation, dtype=np.float32)


def _restored(values: Float32, by: tuple[Float32, Float32]) -> Float32:
    mean, deviation = by
    return np.asarray(values * deviation + mean, dtype=np.float32)


# -------------------------------------------------------------------- loading


@dataclass(frozen=True, kw_only=True)
class SplitData:
    """Pairs of one split on the device; position i of `packed` is `pairs[i]`."""

    pairs: tuple[Pair, ...]
    packed: PackedSet
    notes: tuple[str, ...] = ()  # where its frames lie far from the statistics

    @cached_property
    def seconds(self) -> float:
        """Speech of both sides, trimmed."""
        return sum(pair.source.kept_seconds + pair.target.kept_seconds for pair in self.pairs)

    def ids(self, positions: Sequence[int]) -> list[str]:
        """Return the ids of the pairs at `positions`."""
        return [self.pairs[position].id for position in positions]


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The pairs to learn from and the pairs to score on."""

    train: SplitData
    dev: SplitData


def load_splits(
    version: Version,
    statistics: Statistics,
    speakers: Sequence[str],
    left_out: Sequence[str],
    device: torch.device,
    *,
    search: bool = False,
    memory: str = "auto",
) -> Splits:
    """Load what a training needs; the dev pairs `left_out` are not scored.

    `search` tells that the model searches alignments itself, which not every pair allows. `memory`
    is `train.memory`: whether frames stand on the device or in mapped files.

    Raises
    ------
    BadData, BadSetting, BadVersion
        As `load`.
    """
    normaliser = Normaliser(statistics, version.settings.features.energy_gate)
    scored = lineage.without(version.split("dev"), left_out)
    both = version.split("train"), scored
    mapped = pick_memory(memory, _bytes(version, [*both[0], *both[1]]), device) == "disk"
    train, dev = (
        load(version, pairs, normaliser, speakers, device, search=search, mapped=mapped)
        for pairs in both
    )
    return Splits(train=train, dev=dev)


def _bytes(version: Version, pairs: Sequence[Pair]) -> int:
    """Return how much memory pairs take when they are packed."""
    spans = [side.frames for pair in pairs for side in (pair.source, pair.target)]
    return 4 * (version.settings.features.mels + 2) * sum(stop - first for first, stop in spans)


def load(
    version: Version,
    pairs: Sequence[Pair],
    normaliser: Normaliser,
    speakers: Sequence[str],
    device: torch.device,
    *,
    search: bool = False,
    mapped: bool = False,
) -> SplitData:
    """Read, normalise and pack some pairs of a version.

    `mapped` packs them in files of the workspace's cache, and finds them there the next time.

    Raises
    ------
    BadData
        Nothing can be learnt from some pairs; they are named.
    BadSetting
        A pair's speaker is not among `speakers`, the rows of the model's speaker tables.
    BadVersion
        A features object is missing or damaged; the recording is named.
    """
    from trainer.batches import PackedSet

    reduction, drift = version.settings.align.reduction, preflight.Drift()
    rows = {name: index for index, name in enumerate(speakers)}
    arrays = _arrays_of(version, pairs, normaliser, rows, drift, search=search)
    if not mapped:
        packed = PackedSet.build(list(arrays), reduction=reduction, device=device)
        return SplitData(pairs=tuple(pairs), packed=packed, notes=tuple(drift.notes()))
    from trainer import packs

    folder = _pack_folder(version, pairs, normaliser, speakers, search=search)
    if not folder.exists():
        with packs.Writer(folder, reduction) as writer:
            for each in arrays:
                writer.add(each)
            writer.publish(list(drift.notes()))
    return SplitData(
        pairs=tuple(pairs), packed=packs.opened(folder, device), notes=packs.notes_of(folder)
    )


def _pack_folder(
    version: Version,
    pairs: Sequence[Pair],
    normaliser: Normaliser,
    speakers: Sequence[str],
    *,
    search: bool,
) -> Path:
    """Return where a pack of these pairs is, or will be: its name says what it is made of."""
    made_of = {
        "version": version.fingerprint,
        "pairs": [pair.id for pair in pairs],
        "statistics": to_mapping(normaliser.statistics),
        "speakers": list(speakers),
        "reduction": version.settings.align.reduction,
        "search": search,
        "code": identity.code_digest(),
    }
    return version.workspace / "cache" / "packs" / identity.digest_of(made_of)[:32]


def _arrays_of(
    version: Version,
    pairs: Sequence[Pair],
    normaliser: Normaliser,
    rows: dict[str, int],
    drift: preflight.Drift,
    *,
    search: bool,
) -> Iterator[PairArrays]:
    """Read and normalise pairs one by one; raises at the end where some cannot teach."""
    reduction, found = version.settings.align.reduction, list[tuple[str, str]]()
    sources, targets = [p.source for p in pairs], [p.target for p in pairs]
    read = _Once(version.features, [*sources, *targets])
    normalised = _Once(normaliser.source, sources), _Once(normaliser.target, targets)
    for pair in pairs:
        source, target = read.of(pair.source), read.of(pair.target)
        durations = version.durations(pair)
        faults = preflight.faults(pair, source, target, durations, reduction, search=search)
        found += [(pair.id, fault) for fault in faults]
        if found:
            continue  # only to name them all
        frames = (
            normalised[0].of(pair.source, source),
            normalised[1].of(pair.target, target),
        )
        drift.add("source", vars(frames[0]))
        drift.add("target", vars(frames[1]))
        yield _arrays(pair, *frames, durations, rows)
    preflight.check(found, version.name)


class _Once(Generic[In, Out]):
    """Makes what is wanted of a recording once, and holds it until its last pair has it.

    In many-to-many corpora a recording stands in several pairs: its object is read and checked
    once, and all its pairs share the arrays.
    """

    def __init__(self, make: Callable[[In], Out], wanted: Iterable[Side]) -> None:
        self._make = make
        self._left = Counter((side.object, side.frames) for side in wanted)
        self._held: dict[tuple[str, tuple[int, int]], Out] = {}

    def of(self, side: Side, given: In | None = None) -> Out:
        """Return what is made of `given`, or of the side itself."""
        key = (side.object, side.frames)
        self._left[key] -= 1
        found = self._held.pop(key, None)
        if found is None:
            found = self._make(cast("In", side if given is None else given))
        if self._left[key]:
            self._held[key] = found
        return found


def _arrays(
    pair: Pair, source: Frames, target: Frames, durations: Int32, rows: dict[str, int]
) -> PairArrays:
    from trainer.batches import PairArrays

    return PairArrays(
        source_mel=source.mel,
        source_pitch=source.pitch,
        source_energy=source.energy,
        target_mel=target.mel,
        target_pitch=target.pitch,
        target_energy=target.energy,
        durations=durations,
        source_phrases=pair.source.phrases,
        target_phrases=pair.target.phrases,
        source_speaker=_row(pair.source.speaker, rows),
        target_speaker=_row(pair.target.speaker, rows),
    )


def _row(speaker: str, rows: dict[str, int]) -> int:
    if speaker not in rows:
        raise BadSetting(
            f"the model does not know speaker {speaker!r}", "it knows " + ", ".join(rows)
        )
    return rows[speaker]


def check_fit(model: ModelConfig, version: Version) -> None:
    """Make sure that the model's frames are the dataset's, and its voices not too many.

    Raises
    ------
    BadSetting
        model.reduction or model.mels differ from the version's; model.linear or model.kernel
        with many voices.
    """
    name, settings, voices = version.name, version.settings, len(version.speakers)
    for key, ours, theirs in (
        ("model.reduction", model.reduction, settings.align.reduction),
        ("model.mels", model.mels, settings.features.mels),
    ):
        if ours != theirs:
            raise BadSetting(
                f"{key} is {ours}, but dataset {name} has {theirs}", f"--set {key}={theirs}"
            )
    for key, share in (("model.linear", model.linear), ("model.kernel", model.kernel)):
        if share and voices > FITTED_SPEAKERS:
            raise BadSetting(
                f"{key} is {share}, which serves up to {FITTED_SPEAKERS} speakers, but "
                f"dataset {name} has {voices}",
                f"--set {key}=0",
            )

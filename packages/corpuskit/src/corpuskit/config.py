"""A dataset definition: its tables, its defaults, its bounds, and the names things have.

The resolved settings (every default included) are saved with whatever they made.
"""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from corpuskit.errors import BadSetting, Refused, nearest
from corpuskit.settings import dump_toml, from_mapping, load_toml, to_mapping, with_settings
from corpuskit.subsets import chosen, is_of, voices

__all__ = [
    "AlignConfig",
    "AudioConfig",
    "CorpusConfig",
    "DatasetConfig",
    "FeatureConfig",
    "PairConfig",
    "SilenceConfig",
    "SplitConfig",
    "TiersConfig",
    "check_name",
    "dump_toml",
    "family_of",
    "find_config",
    "from_mapping",
    "listed",
    "load_dataset",
    "load_toml",
    "natural",
    "to_mapping",
    "with_settings",
    "workspace_path",
]


def _require(good: bool, key: str, problem: str, remedy: str) -> None:
    if not good:
        raise BadSetting(f"{key} {problem}", remedy)


# ------------------------------------------------------------------ the tables


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """One folder of recordings and the convention it follows."""

    root: str  # folder of the corpus, or the one it lies in; relative to the TOML file
    layout: Literal["folder", "jsut", "jsss", "jvs"] = "folder"
    # folder: speaker = sub-folder of root; else names of the only speakers wanted, none: all
    speakers: dict[str, str] | tuple[str, ...] = field(default_factory=dict)
    labels: str = ""  # folder of phone labels downloaded apart; relative to the TOML file
    subsets: tuple[str, ...] = ()  # of the layout; none: all
    leave_out: tuple[str, ...] = ()  # speakers; a person's name stands for all its voices
    faulty: bool = False  # also use recordings known as misread or noisy

    def __post_init__(self) -> None:
        folders = isinstance(self.speakers, dict)
        _require(
            (bool(self.speakers) and folders) or self.layout != "folder",
            "corpora.*.speakers",
            "is empty" if folders else "names no folders",
            'give each speaker its folder, e.g. speakers = { N = "source", C = "target" }',
        )
        _require(
            not (self.speakers and folders) or self.layout == "folder",
            "corpora.*.speakers",
            f"gives folders, which layout {self.layout!r} knows by itself",
            'name the speakers you want, e.g. speakers = ["jvs001", "jvs002"], or leave it out',
        )
        for name in self.speakers:
            _check_word(name, "speaker")
        self._check_known(self.leave_out, "leave_out")
        if not folders:
            self._check_known(tuple(self.speakers), "speakers")

    def _check_known(self, names: Sequence[str], key: str) -> None:
        known = self._all_voices()
        for name in names:
            if not any(self._means(name, speaker) for speaker in known):
                close = nearest(name, known)
                raise BadSetting(
                    f"corpora.*.{key} names {name!r}, who is not in the corpus",
                    f"did you mean {close[0]!r}?" if close else f"it has {_some(known)}",
                )

    def _all_voices(self) -> tuple[str, ...]:
        subsets = chosen(self.layout, self.subsets)
        if self.layout == "folder":
            return tuple(self.speakers)
        return voices(self.layout, subsets)

    @property
    def voices(self) -> tuple[str, ...]:
        """The speakers this corpus can have: those of its layout and subsets that are wanted."""
        only = () if isinstance(self.speakers, dict) else self.speakers
        return tuple(
            speaker
            for speaker in self._all_voices()
            if (not only or any(self._means(name, speaker) for name in only))
            and not any(self._means(name, speaker) for name in self.leave_out)
        )

    def _means(self, name: str, speaker: str) -> bool:
        return name == speaker if self.layout == "folder" else is_of(speaker, name)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Which speakers are paired: every sentence both of two have said is one pair.

    A name is a speaker's, or a corpus' for all its speakers. Lists are paired each with each.
    """

    source: str | tuple[str, ...]
    target: str | tuple[str, ...]
    both: bool = False  # also the opposite direction
    targets: int = 0  # of each source, chosen by a stable hash of the names; 0: all
    salt: str = ""  # another salt, another choice

    def __post_init__(self) -> None:
        _require(
            bool(self.source and self.target),
            "pairs",
            "have a source or target that names nobody",
            "name a speaker, a corpus, or a list of them",
        )
        _require(
            self.targets >= 0, "pairs.*.targets", f"is {self.targets}", "use 0 for all of them"
        )


@dataclass(frozen=True, kw_only=True)
class AudioConfig:
    """What every recording is brought to before features are measured."""

    rate: int = 22050  # Hz

    def __post_init__(self) -> None:
        _require(
            8000 <= self.rate <= 192000,
            "audio.rate",
            f"is {self.rate} Hz",
            "use 8000 to 192000 Hz (HiFi-GAN's vocoders want 22050)",
        )


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """F0, energy and mel; the defaults are HiFi-GAN's "universal" setting."""

    n_fft: int = 1024  # samples
    hop_length: int = 256  # samples
    win_length: int = 1024  # samples, Hann
    mels: int = 80  # bands
    fmin: float = 0.0  # Hz
    fmax: float = 8000.0  # Hz
    mel_floor: float = 1e-5  # of the magnitude, before the logarithm
    f0_method: Literal["dio", "harvest"] = "dio"  # dio is refined by StoneMask
    f0_floor: float = 71.0  # Hz
    f0_ceil: float = 800.0  # Hz
    f0_range: Literal["speaker", "settings"] = "speaker"  # whose floor and ceiling are used
    energy_gate: float = -5.0  # natural log; quieter frames count as unvoiced and just as quiet

    def __post_init__(self) -> None:
        _require(
            0 < self.hop_length <= self.win_length <= self.n_fft,
            "features.hop_length, win_length, n_fft",
            f"are {self.hop_length}, {self.win_length}, {self.n_fft}",
            "they must grow in this order",
        )
        _require(self.n_fft % 2 == 0, "features.n_fft", f"is {self.n_fft}", "use an even number")
        _require(self.mels >= 1, "features.mels", f"is {self.mels}", "use at least 1")
        _require(
            0 <= self.fmin < self.fmax,
            "features.fmin, fmax",
            f"are {self.fmin}, {self.fmax}",
            "fmin must be below fmax",
        )
        _require(
            0 < self.f0_floor < self.f0_ceil,
            "features.f0_floor, f0_ceil",
            f"are {self.f0_floor}, {self.f0_ceil}",
            "f0_floor must be below f0_ceil",
        )
        _require(self.mel_floor > 0, "features.mel_floor", f"is {self.mel_floor}", "use 1e-5")


@dataclass(frozen=True, kw_only=True)
class SilenceConfig:
    """What counts as silence. Levels are RMS in dBFS, lengths are in ms."""

    thresh: float = -80.0  # dBFS; tail and inside
    head_thresh: float = -50.0  # dBFS; head
    trim_window: int = 50  # ms; head and tail are trimmed in steps of this
    min_len: int = 50  # ms; shorter quiet spots inside are not silence
    min_silence_len: int = 500  # ms; a silence of this length ends a phrase
    rms: Literal["float", "int16"] = "float"  # int16 floors like pydub

    def __post_init__(self) -> None:
        for key, level in (("thresh", self.thresh), ("head_thresh", self.head_thresh)):
            _require(
                level <= 0,
                f"silence.{key}",
                f"is {level} dBFS",
                "levels below full scale are negative, e.g. -80",
            )
        for key, length in (
            ("trim_window", self.trim_window),
            ("min_len", self.min_len),
            ("min_silence_len", self.min_silence_len),
        ):
            _require(length >= 1, f"silence.{key}", f"is {length} ms", "use at least 1 ms")


@dataclass(frozen=True, kw_only=True)
class AlignConfig:
    """How source frames are mapped to target frames."""

    method: Literal["dtw"] = "dtw"
    normalise: Literal["mean", "none"] = "mean"  # take each band's mean over speech off first
    reduction: int = 3  # frames stacked into one; durations count these

    def __post_init__(self) -> None:
        _require(
            1 <= self.reduction <= 16,
            "align.reduction",
            f"is {self.reduction}",
            "use 1 to 16 (the usual values are 1 to 4)",
        )


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How many sentences are held out: a count, or a share of all sentences."""

    dev: int | float = 0.1
    eval: int | float = 0.05

    def __post_init__(self) -> None:
        for key, value in (("dev", self.dev), ("eval", self.eval)):
            good = value >= 0 if isinstance(value, int) else 0 <= value < 1
            _require(
                good,
                f"split.{key}",
                f"is {value}",
                "give a whole number of sentences, or a share below 1.0",
            )


@dataclass(frozen=True, kw_only=True)
class TiersConfig:
    """TextGrids corrected by hand; where they lie is, like a root, no part of a version."""

    folder: str = ""  # SPEAKER/SENTENCE.TextGrid below it; relative to the TOML file; "" for none


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """One dataset definition, resolved."""

    corpora: dict[str, CorpusConfig]
    pairs: tuple[PairConfig, ...]
    audio: AudioConfig = field(default_factory=AudioConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    silence: SilenceConfig = field(default_factory=SilenceConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    tiers: TiersConfig = field(default_factory=TiersConfig)

    def __post_init__(self) -> None:
        _require(bool(self.corpora), "corpora", "is empty", "add a [corpora.NAME] table")
        _require(bool(self.pairs), "pairs", "is empty", "add a [[pairs]] table")
        _require(
            self.features.fmax <= self.audio.rate / 2,
            "features.fmax",
            f"is {self.features.fmax:g} Hz, above half of audio.rate {self.audio.rate} Hz",
            f"use at most {self.audio.rate / 2:g}",
        )
        voices = {name for corpus in self.corpora.values() for name in corpus.voices}
        for pair in self.pairs:
            _require(
                pair.source != pair.target or pair.source not in voices,
                "pairs",
                f"pair {pair.source!r} with itself",
                "name two different speakers",
            )
        counts = Counter(name for corpus in self.corpora.values() for name in corpus.voices)
        twice = sorted(name for name, count in counts.items() if count > 1)
        _require(not twice, "corpora", f"name speaker {_some(twice)} twice", "use distinct names")


# -------------------------------------------------------------------- on disk


def find_config(name: str, option: Path | None, kind: str = "datasets") -> Path:
    """Find the TOML of a dataset (or model): `option`, or configs/KIND/NAME.toml here.

    A version's own name is tried before its family's, so a family may end in a number.
    """
    if option is not None:
        return option
    folder = Path("configs") / kind
    names = dict.fromkeys((name, family_of(name)))
    for candidate in names:
        path = folder / f"{candidate}.toml"
        if path.is_file():
            return path
    known = sorted(path.stem for path in folder.glob("*.toml")) if folder.is_dir() else []
    close = difflib.get_close_matches(family_of(name), known, n=1, cutoff=0.5)
    remedy = f"did you mean {close[0]}? " if close else ""
    raise BadSetting(
        f"no definition of {name!r}: {folder / family_of(name)}.toml does not exist",
        f"{remedy}give its TOML with --config",
    )


def load_dataset(path: Path, settings: Sequence[str] = ()) -> DatasetConfig:
    """Read a dataset TOML, lay "key=value" settings over it, and resolve its folders.

    Roots in the file are relative to the file; roots in `settings` to the current folder.
    """
    mapping = load_toml(path)
    _anchor_roots(mapping, path.parent)
    mapping = with_settings(mapping, settings)
    _anchor_roots(mapping, Path())
    for name, corpus in _rooted(mapping):
        unset = _VARIABLE.search(corpus["root"])
        if unset and not Path(corpus["root"]).exists():
            raise BadSetting(
                f"{path}: corpora.{name}.root is {corpus['root']!r}, and {unset[1] or unset[2]} "
                "is not set",
                f"set that variable, or give the folder: --set corpora.{name}.root=DIR",
            )
    return from_mapping(DatasetConfig, mapping, f"{path} + --set" if settings else str(path))


_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)


def _anchor_roots(mapping: Mapping[str, Any], folder: Path) -> None:
    """Make folders absolute; one with a variable that is not set waits for another setting."""
    tables: list[Any] = [*(corpus for _, corpus in _rooted(mapping)), mapping.get("tiers")]
    for table in tables:
        for key in ("root", "labels", "folder") if isinstance(table, dict) else ():
            if isinstance(table.get(key), str) and (table[key] or key == "root"):
                text = os.path.expandvars(table[key])
                path = folder / Path(text).expanduser()
                if not _VARIABLE.search(text) or path.exists():
                    table[key] = str(path.resolve())


def _rooted(mapping: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    corpora = mapping.get("corpora", {})
    for name, corpus in corpora.items() if isinstance(corpora, dict) else ():
        if isinstance(corpus, dict) and isinstance(corpus.get("root"), str):
            yield name, corpus


# ----------------------------------------------------------------------- names

_NAME = re.compile(r"[^\W_][\w.+-]*", re.UNICODE)
_LONGEST = 120  # bytes of a name; file systems take 255, and names of files are made of it


def check_name(name: str, what: str = "dataset") -> str:
    """Return `name` if it can be the name of a version or run.

    Raises
    ------
    Refused
        It holds a path separator, starts with a dot, or is otherwise no name.

    """
    _check_word(name, what)
    return name


def _check_word(name: str, what: str) -> None:
    if not _NAME.fullmatch(name) or ".." in name or len(name.encode()) > _LONGEST:
        raise Refused(
            f"{name!r} is not a {what} name",
            "use letters, digits, '_', '-', '+' and '.', beginning with a letter or digit, "
            f"at most {_LONGEST} bytes of them",
        )


def family_of(name: str) -> str:
    """Return the family of a version or run: "N2C_4" -> "N2C", "N2C" -> "N2C"."""
    return re.sub(r"_\d+\Z", "", name) or name


def natural(name: str) -> tuple[str, int]:
    """Return what puts names in order: families together, numbers as numbers."""
    family = family_of(name)
    return (family, -1 if family == name else int(name.removeprefix(f"{family}_")))


def listed(folder: Path, file: str) -> list[str]:
    """Return the names of the versions or runs in a folder, in order: those that hold `file`."""
    names = [path.parent.name for path in folder.glob(f"*/{file}")]
    return sorted((name for name in names if not name.startswith(".")), key=natural)


def workspace_path(option: Path | None) -> Path:
    """Return the workspace: the option, else $CORPUSKIT_WORKSPACE, else ./workspace."""
    if option is not None:
        return option
    return Path(os.environ.get("CORPUSKIT_WORKSPACE") or "workspace")

"""A first dataset definition for a private pair, from a look at its two folders.

The text proposed is complete and commented: what the folders hold, and why the thresholds
are what they are. Headers are read of all recordings, sounds of a small sample only.
"""

from __future__ import annotations

import functools
import os
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpuskit import engine
from corpuskit.audio import decode
from corpuskit.config import CorpusConfig, SilenceConfig, check_name
from corpuskit.errors import BadAudio, BadSetting, Refused, nearest
from corpuskit.files import write_file
from corpuskit.layouts import Found, scan
from corpuskit.levels import Levels, Profile, levels_of, profile
from corpuskit.preview.recommend import Recommendation, recommend
from corpuskit.recordings import Facts, promised
from corpuskit.settings import toml_key, toml_text
from corpuskit.silence import level_curve
from corpuskit.stems import plain_stem
from corpuskit.tables import counted, length

__all__ = ["Draft", "Voice", "draft", "write_draft"]

SAMPLE = 12  # recordings of each voice that are listened to
SMALL = 900.0  # seconds of a voice up to which frames are short: docs/few.md tells what it is worth
_WORD = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One speaker's folder."""

    name: str
    folder: Path
    recordings: tuple[Found, ...]
    facts: Mapping[str, Facts]  # what the headers promise, by recording

    @property
    def sentences(self) -> dict[str, Found]:
        """Recordings that can have a partner, by sentence."""
        return {r.sentence: r for r in self.recordings if not r.problem}

    @property
    def readable(self) -> list[Facts]:
        """Of every recording whose header can be read."""
        return [facts for facts in self.facts.values() if not facts.problem]

    @property
    def seconds(self) -> float:
        """Length of all readable recordings."""
        return sum(facts.samples / facts.rate for facts in self.readable)

    @property
    def rates(self) -> list[int]:
        """Hz, the most frequent first."""
        return [rate for rate, _ in Counter(facts.rate for facts in self.readable).most_common()]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A definition as text, and what it rests on."""

    text: str  # of the TOML file
    source: Voice
    target: Voice
    pairs: int
    recommendation: Recommendation | None  # None when nothing could be listened to
    warnings: tuple[str, ...]


def draft(name: str, source: Path, target: Path, file: Path, jobs: int = 1) -> Draft:
    """Propose the definition of family `name` for two folders paired by file stem.

    `file` is where it will lie: a corpus below the current folder is given relative to it.

    Raises
    ------
    BadSetting
        A folder is missing or holds no recording, one lies in the other, or no file stem
        occurs in both; stems that look alike are named.

    """
    check_name(name)
    folders = [_checked(each, which) for each, which in ((source, "source"), (target, "target"))]
    _check_apart(*folders)
    names = _names(*folders)
    root = Path(os.path.commonpath(folders))
    inside = {n: os.path.relpath(f, root) for n, f in zip(names, folders, strict=True)}
    scanned = scan({name: CorpusConfig(root=str(root), speakers=inside)})
    voices = [
        _voice(speaker, folder, [r for r in scanned.recordings if r.speaker == speaker], jobs)
        for speaker, folder in zip(names, folders, strict=True)
    ]
    pairs = voices[0].sentences.keys() & voices[1].sentences.keys()
    if not pairs:
        raise _nothing_common(*voices)
    profiles = _profiles(voices, sorted(pairs), jobs)
    advice = recommend(profiles) if len(profiles) == 2 else None
    return Draft(
        text=_text(name, _written_root(root, file), inside, voices, len(pairs), profiles, advice),
        source=voices[0],
        target=voices[1],
        pairs=len(pairs),
        recommendation=advice,
        warnings=(*scanned.warnings, *_warnings(*voices)),
    )


# ----------------------------------------------------------------- the folders


def _checked(folder: Path, which: str) -> Path:
    if not folder.is_dir():
        raise BadSetting(f"the {which} folder {folder} does not exist", "check the path")
    return folder.resolve()


def _check_apart(source: Path, target: Path) -> None:
    if source == target or source in target.parents or target in source.parents:
        how = "are one folder" if source == target else "lie one in the other"
        raise BadSetting(
            f"source {source} and target {target} {how}", "give each voice a folder of its own"
        )


def _names(source: Path, target: Path) -> tuple[str, str]:
    """Name the voices by the last folders in which their paths differ."""
    for ours, theirs in zip(reversed(source.parts), reversed(target.parts), strict=False):
        words = [_WORD.sub("_", part).strip("_.+-") for part in (ours, theirs)]
        if ours != theirs and words[0] and words[1] and words[0] != words[1]:
            return words[0], words[1]
    return "source", "target"


def _voice(name: str, folder: Path, recordings: Sequence[Found], jobs: int) -> Voice:
    if not recordings:
        raise BadSetting(f"{folder} holds no recording", "recordings are .wav and .flac files")
    headers = engine.threads(promised, [found.path for found in recordings], jobs)
    facts = {found.id: each for found, each in zip(recordings, headers, strict=True)}
    return Voice(name=name, folder=folder, recordings=tuple(recordings), facts=facts)


def _written_root(root: Path, file: Path) -> str:
    """Write a root below the current folder relative to the file, so that both may move."""
    if root.is_relative_to(Path.cwd().resolve()):
        return Path(os.path.relpath(root, file.resolve().parent)).as_posix()
    return str(root)


# -------------------------------------------------------------- stems that differ


def _nothing_common(source: Voice, target: Voice) -> BadSetting:
    alike = _near_misses(source, target)
    told = "; these look like one sentence: " + ", ".join(alike) if alike else ""
    return BadSetting(
        f"no file stem occurs in both folders: source {source.folder} has "
        f"{counted(len(source.recordings), 'recording')}, target {target.folder} "
        f"{len(target.recordings):,}{told}",
        "two recordings are a pair when their file names without ending are equal; rename one side",
    )


def _warnings(source: Voice, target: Voice) -> list[str]:
    """Say what has no partner and what cannot be used."""
    told = []
    for voice, other in ((source, target), (target, source)):
        lone = len(voice.sentences.keys() - other.sentences.keys())
        if lone:
            told.append(f"{voice.name}: {counted(lone, 'recording')} without a partner")
        bad = [found.id for found in voice.recordings if found.problem]
        bad += [name for name, facts in voice.facts.items() if facts.problem]
        if bad:
            told.append(f"{voice.name}: {len(bad):,} cannot be used: {_some(sorted(set(bad)))}")
    alike = _near_misses(source, target)
    if alike:
        told.append(f"these differ in their stems, but look like one sentence: {', '.join(alike)}")
    return told


def _near_misses(source: Voice, target: Voice, shown: int = 3) -> list[str]:
    """Return stems without partner that look alike: equal but for marks, by number, by letters."""
    ours = sorted(source.sentences.keys() - target.sentences.keys())
    theirs = sorted(target.sentences.keys() - source.sentences.keys())
    found: list[str] = []
    for like in (plain_stem, _number):
        by_key = {like(stem): stem for stem in reversed(theirs)}
        found = [f"{s!r} and {by_key[like(s)]!r}" for s in ours if like(s) and like(s) in by_key]
        if found:
            return found[:shown]
    for stem in ours[:shown]:
        close = nearest(stem, theirs[:2000])
        found += [f"{stem!r} and {close[0]!r}"] if close else []
    return found


def _number(stem: str) -> str:
    """Return the last number of a stem without leading zeros, or nothing."""
    numbers = re.findall(r"\d+", stem)
    return str(int(numbers[-1])) if numbers else ""


def _some(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


# --------------------------------------------------------------------- the sound


def _profiles(voices: Sequence[Voice], pairs: Sequence[str], jobs: int) -> dict[str, Profile]:
    """Listen to recordings of either voice that are spread evenly over the pairs."""
    step = max(1, len(pairs) // SAMPLE)
    chosen = pairs[::step][:SAMPLE]
    found = {}
    for voice in voices:
        paths = [voice.sentences[sentence].path for sentence in chosen]
        heard = [levels for levels in engine.threads(_levels, paths, jobs) if levels is not None]
        told = profile(functools.reduce(Levels.__add__, heard)) if heard else None
        if told is not None:
            found[voice.name] = told
    return found


def _levels(path: Path) -> Levels | None:
    try:
        return levels_of(level_curve(decode(path)))
    except BadAudio:
        return None


# ---------------------------------------------------------------------- the text


def _text(
    name: str,
    root: str,
    inside: Mapping[str, str],
    voices: Sequence[Voice],
    pairs: int,
    profiles: Mapping[str, Profile],
    advice: Recommendation | None,
) -> str:
    source, target = voices
    heading = (
        f"{name}: {counted(pairs, 'pair')} of {source.name} (source) and {target.name} (target). "
        f"`corpuskit build {name}` builds the first version; every setting that is not here has "
        "its default."
    )
    speakers = ", ".join(
        f"{toml_key(speaker)} = {toml_text(path)}" for speaker, path in inside.items()
    )
    sections = [
        [_comment(heading)],
        [
            f"[corpora.{toml_key(name)}]",
            *(_comment(_described(voice)) for voice in voices),
            'layout = "folder"',
            f"root = {toml_text(root)}",
            f"speakers = {{ {speakers} }}",
        ],
        ["[[pairs]]", f"source = {toml_text(source.name)}", f"target = {toml_text(target.name)}"],
        _audio(voices),
        _frames(voices),
        _silence(profiles, advice),
        _split(pairs),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def _comment(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 98, initial_indent="# ", subsequent_indent="# "))


def _described(voice: Voice) -> str:
    rates = ", ".join(f"{rate:,} Hz" for rate in voice.rates) or "no rate"
    recordings = counted(len(voice.recordings), "recording")
    return f"{voice.name}: {recordings}, {length(voice.seconds)}, {rates}"


def _audio(voices: Sequence[Voice]) -> list[str]:
    lowest = min((rate for voice in voices for rate in voice.rates), default=22050)
    lines = ["[audio]"]
    if lowest < 22050:
        held = f"Some recordings have {lowest:,} Hz: above {lowest // 2:,} Hz they hold nothing."
        lines.append(_comment(held))
    lines.append("rate = 22050  # Hz; every recording is resampled to this, as HiFi-GAN wants it")
    return lines


def _frames(voices: Sequence[Voice]) -> list[str]:
    """Return the tables that rates and amount of speech ask for; none are the defaults."""
    lowest = min((rate for voice in voices for rate in voice.rates), default=22050)
    seconds = min(voice.seconds for voice in voices)
    features, align = [], []
    if lowest < 16000:
        features.append(f"fmax = {lowest / 2}  # Hz; the highest they all hold")
    if seconds <= SMALL:
        told = (
            f"{length(seconds)} of speech teach a smooth conversion, and short frames keep what it "
            "says in time. A public HiFi-GAN checkpoint wants 256 and 1024, and reduction 3."
        )
        features += [_comment(told), "hop_length = 128  # samples", "win_length = 512  # samples"]
        align.append("reduction = 4  # frames the model and the alignment take as one")
    tables = [("[features]", features), ("[align]", align)]
    return [row for name, rows in tables if rows for row in ("", name, *rows)][1:]


def _silence(profiles: Mapping[str, Profile], advice: Recommendation | None) -> list[str]:
    plain = SilenceConfig()
    thresh, head = plain.thresh, plain.head_thresh
    told = ["None of the recordings listened to has any sound: these are the defaults."]
    if advice is not None:
        thresh, head = advice.thresh, advice.head_thresh
        told = [_heard(voice, profile) for voice, profile in profiles.items()]
        told += [f"{text[0].upper()}{text[1:]}." for text in (*advice.reasons, *advice.findings)]
    return [
        "[silence]  # levels are RMS in dBFS",
        *map(_comment, told),
        f"thresh = {thresh}  # tail and inside",
        f"head_thresh = {head}  # head",
        f"min_silence_len = {plain.min_silence_len}  # ms; a silence this long ends a phrase",
    ]


def _heard(voice: str, levels: Profile) -> str:
    noise = "no noise apart from it" if levels.floor is None else f"noise {levels.floor:.0f}"
    zeros = f", {100 * levels.zero_share:.0f} % digital zero" if levels.zero_share >= 0.005 else ""
    return f"{voice}: speech {levels.speech:.0f}, quietest {levels.quietest:.0f}, {noise}{zeros}"


def _split(pairs: int) -> list[str]:
    """Hold sentences out: shares, or single ones where shares would take too much."""
    few = pairs < 20
    held = {"dev": int(pairs > 1), "eval": int(pairs > 2)} if few else {"dev": 0.1, "eval": 0.05}
    unit = "sentences" if few else "share of the sentences"
    rows = [f"{key} = {value}  # {unit}" for key, value in held.items()]
    return ["[split]  # drawn by sentence from a stable hash", *rows]


def write_draft(made: Draft, file: Path) -> None:
    """Write a definition where nothing is yet.

    Raises
    ------
    Refused
        The file exists.
    CorpuskitError
        The disk refused.

    """
    if os.path.lexists(file):
        raise Refused(f"{file} exists", "choose another --out, or remove it")
    try:
        data = made.text.encode()
    except UnicodeEncodeError:
        raise BadSetting("the folders have names that are not UTF-8 text", "rename them") from None
    write_file(file, data)

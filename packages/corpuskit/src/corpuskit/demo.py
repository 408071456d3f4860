"""`corpuskit demo DIR`: two voices saying the same sentences, to try everything on.

    DIR/N2C/source/demo_001.wav     voice N: low and slow, 48 kHz, a room's noise
    DIR/N2C/target/demo_001.wav     voice C: high and quick, 24 kHz, digitally silent gaps
    DIR/multi/<voice>/demo_001.wav  four further voices, to pretrain on
    DIR/transcript.txt, DIR/README.md
    DIR/demo.jsonl                  what was asked for, then each finished file and its digest

Equal seeds give equal files, byte for byte. A file counts as finished when it is in
demo.jsonl with the digest it has, so an interrupted demo is completed and a damaged
one healed.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from corpuskit.demo_voices import VOICES, engine, phrase_texts, speak
from corpuskit.engine import job_count, run
from corpuskit.errors import BadSetting, Refused
from corpuskit.files import append_line, canonical, remove_leftovers, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Begun", "Finished", "Spoken", "make_demo", "sentences"]

JOURNAL = "demo.jsonl"
RECIPE = 1  # raised whenever the same seed gives other files
PAIR = ("N", "C")


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The demo is known: how many recordings it has, and how many of them are there."""

    recordings: int
    kept: int


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """One recording was written."""

    path: str  # below the demo's folder
    seconds: float  # of sound


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The demo is whole."""

    folder: Path
    sentences: int
    minutes: dict[str, float]  # of sound, by voice
    recordings: int
    spoken: int  # of them just now
    took: float  # seconds

    def __str__(self) -> str:
        source, target = (self.minutes[name] for name in PAIR)
        others = [name for name in self.minutes if name not in PAIR]
        further = sum(self.minutes[name] for name in others)
        what = (
            f"{self.sentences} pairs of N ({source:.1f} min) and C ({target:.1f} min), "
            f"{len(others)} further voices ({further:.1f} min)"
        )
        if self.spoken == 0:
            return f"The demo in {self.folder} is complete: {what}; nothing was changed."
        return f"Spoke {self.spoken} recordings into {self.folder}: {what}, in {self.took:.1f} s."


@dataclass(frozen=True, kw_only=True)
class _Take:
    """One recording to be made."""

    path: str
    voice: str
    number: int
    text: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One finished file: a line of the journal."""

    path: str
    sha256: str
    seconds: float  # of sound; 0 for text


def sentences() -> tuple[str, ...]:
    """The demo's own Japanese sentences, with their pause marks (see the file's top)."""
    text = resources.files("corpuskit").joinpath("demo_sentences.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def make_demo(
    folder: Path, *, count: int = 60, seed: int = 0, jobs: int | None = None
) -> Iterator[Begun | Spoken | Finished]:
    """Write what of the demo is not there yet, yielding what happens.

    Parameters
    ----------
    folder
        Made if it is not there.
    count
        Sentences of the pair N and C; the further voices speak two thirds of them.
    seed
        Of pauses and noise.
    jobs
        Processes; one for each core if None.

    Raises
    ------
    BadSetting
        There are not that many sentences.
    Refused
        The synthesiser is missing, or the folder holds another demo or someone's corpus.

    """
    began = time.monotonic()
    _check_count(count)
    settings = {"recipe": RECIPE, "engine": engine(), "seed": seed, "sentences": count}
    takes = _takes(count, seed)
    finished = _finished(folder, settings)
    lacking = [take for take in takes if take.path not in finished]
    yield Begun(recordings=len(takes), kept=len(takes) - len(lacking))
    if lacking or any(path not in finished for path in _texts(count)):
        for place in (folder, *(folder / voice.folder for voice in VOICES.values())):
            remove_leftovers(place)
        _open_journal(folder, settings, finished)
        for entry in _write_lacking(folder, count, lacking, job_count(jobs)):
            append_line(folder / JOURNAL, _line(entry))
            finished[entry.path] = entry
            if entry.seconds:
                yield Spoken(path=entry.path, seconds=entry.seconds)
        _open_journal(folder, settings, finished)
    yield Finished(
        folder=folder,
        sentences=count,
        minutes=_minutes(takes, finished),
        recordings=len(takes),
        spoken=len(lacking),
        took=time.monotonic() - began,
    )


def _check_count(count: int) -> None:
    most = len(sentences())
    if not 2 <= count <= most:
        raise BadSetting(f"--sentences is {count}", f"the demo has 2 to {most} sentences")


def _takes(count: int, seed: int) -> list[_Take]:
    """All recordings of a demo, sentence by sentence."""
    takes = []
    for number, sentence in enumerate(sentences()[:count], start=1):
        source, target = phrase_texts(sentence)
        for name, voice in VOICES.items():
            if name not in PAIR and number > count * 2 // 3:
                continue
            path = f"{voice.folder}/demo_{number:03d}.wav"
            text = target if voice.gated else source
            takes.append(_Take(path=path, voice=name, number=number, text=text, seed=seed))
    return takes


def _minutes(takes: list[_Take], finished: dict[str, _Entry]) -> dict[str, float]:
    minutes = dict.fromkeys(VOICES, 0.0)
    for take in takes:
        minutes[take.voice] += finished[take.path].seconds / 60
    return minutes


# --------------------------------------------------------------------- writing


def _write_lacking(folder: Path, count: int, takes: list[_Take], jobs: int) -> Iterator[_Entry]:
    """Write texts and recordings; an entry comes as soon as its file is whole."""
    for path, text in _texts(count).items():
        yield _write(folder, path, text.encode(), seconds=0.0)
    for _, entry in run(functools.partial(_record, folder), takes, jobs, "loky"):
        yield entry


def _record(folder: Path, take: _Take) -> _Entry:
    """Speak and write one recording as a 16-bit wav."""
    import soundfile

    samples = speak(take.text, take.voice, take.number, take.seed)
    rate = VOICES[take.voice].rate
    wav = io.BytesIO()
    soundfile.write(wav, samples, rate, format="WAV", subtype="PCM_16")
    return _write(folder, take.path, wav.getvalue(), seconds=round(len(samples) / rate, 4))


def _write(folder: Path, path: str, data: bytes, *, seconds: float) -> _Entry:
    # Not durable: the journal's digest finds a torn file, and it can be spoken again.
    write_file(folder / path, data, durable=False)
    return _Entry(path=path, sha256=hashlib.sha256(data).hexdigest(), seconds=seconds)


def _texts(count: int) -> dict[str, str]:
    """Content of the demo's text files by path."""
    lines = [
        f"demo_{number:03d}\t{sentence}" for number, sentence in enumerate(sentences(), start=1)
    ]
    readme = resources.files("corpuskit").joinpath("demo_readme.md").read_text("utf-8")
    return {"README.md": readme, "transcript.txt": "\n".join(lines[:count]) + "\n"}


# --------------------------------------------------------------------- journal


def _finished(folder: Path, settings: dict[str, Any]) -> dict[str, _Entry]:
    """Files of an earlier, equal call that are whole, by path.

    Raises
    ------
    Refused
        The folder holds something else.

    """
    try:
        lines = (folder / JOURNAL).read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        _check_foreign(folder)
        return {}
    except OSError as error:
        raise Refused(f"cannot read {folder / JOURNAL}: {error.strerror}") from None
    entries = [entry for entry in map(_entry, lines[1:]) if entry and _whole(folder, entry)]
    _check_settings(folder, lines[0] if lines else "", settings, complete=_done(entries, settings))
    return {entry.path: entry for entry in entries}


def _done(entries: list[_Entry], settings: dict[str, Any]) -> bool:
    wanted = {take.path for take in _takes(settings["sentences"], settings["seed"])}
    return wanted <= {entry.path for entry in entries}


def _check_foreign(folder: Path) -> None:
    for name in sorted({voice.folder.split("/")[0] for voice in VOICES.values()}):
        if (folder / name).exists():
            raise Refused(
                f"{folder / name} exists and is not from this demo", "choose another folder"
            )


def _check_settings(folder: Path, header: str, settings: dict[str, Any], *, complete: bool) -> None:
    """Refuse to mix two demos in one folder."""
    try:
        found = dict(json.loads(header))
    except (ValueError, TypeError):
        raise Refused(f"{folder / JOURNAL} is damaged", f"delete {folder} and try again") from None
    for key, value in settings.items():
        # Another synthesiser speaks otherwise, but need not trouble a demo that is whole.
        if found.get(key) != value and not (key == "engine" and complete):
            raise Refused(
                f"{folder} holds a demo with {key} {found.get(key)}, not {value}",
                "ask for the same, choose another folder, or delete it",
            )


def _open_journal(folder: Path, settings: dict[str, Any], finished: dict[str, _Entry]) -> None:
    """Write the journal anew: the settings, then every finished file in order."""
    lines = [canonical(settings), *(_line(finished[path]) for path in sorted(finished))]
    write_file(folder / JOURNAL, ("\n".join(lines) + "\n").encode())


def _line(entry: _Entry) -> str:
    return canonical(vars(entry))


def _entry(line: str) -> _Entry | None:
    """Read a line of the journal; None for one that a dying writer tore."""
    try:
        return _Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _whole(folder: Path, entry: _Entry) -> bool:
    try:
        data = (folder / entry.path).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == entry.sha256

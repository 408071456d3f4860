"""Malformed inputs by the hundred, each reproducible by its name, for tests and bench.

Every input is used or set aside with a reason; of many it is known which.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 8000
Writer = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input: how it is written, and whether it must be used (None: as it may be)."""

    name: str  # a file name below the folder
    write: Writer
    used: bool | None = None


def voice(seconds: float = 0.4, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A buzz of changing pitch with a little noise: (n,) samples, full scale 1.0."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(7 * times)) / rate
    tones = sum(np.sin(k * phase) / k for k in range(1, 12))
    return 0.1 * tones + rng.normal(0, 1e-3, len(times))


def encoded(
    samples: np.ndarray, rate: int = RATE, form: str = "WAV", subtype: str = "PCM_16"
) -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, samples, rate, format=form, subtype=subtype)
    return buffer.getvalue()


def holding(data: bytes) -> Writer:
    return lambda path: _write(path, data)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# --------------------------------------------------------------- kinds of recordings


def flipped_headers(count: int, seed: int = 1) -> Iterator[Input]:
    """One to eight random bytes of a wav header overwritten."""
    rng = random.Random(seed)
    whole = encoded(voice())
    for number in range(count):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(44)] = rng.randrange(256)
        yield Input(name=f"flipped {number}.wav", write=holding(bytes(data)))


def truncated(count: int, seed: int = 2) -> Iterator[Input]:
    """Wavs that end early; whatever is left after the header is not used."""
    rng = random.Random(seed)
    whole = encoded(voice())
    for number in range(count):
        length = rng.randrange(1, len(whole))
        yield Input(name=f"cut {number}.wav", write=holding(whole[:length]), used=False)


def lying_lengths() -> Iterator[Input]:
    """Chunk sizes that the file does not hold, or that overlap, or that are odd."""
    whole = encoded(voice())
    data = whole.index(b"data") + 4
    for place, label in ((4, "riff"), (16, "fmt"), (data, "data")):
        for value in (0, 1, 3, 7, 0xFFFE, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1):
            lie = whole[:place] + struct.pack("<I", value) + whole[place + 4 :]
            yield Input(name=f"{label} says {value}.wav", write=holding(lie))
    for field, size in ((20, "<H"), (22, "<H"), (24, "<I"), (28, "<I"), (32, "<H"), (34, "<H")):
        for value in (0, 1, 2, 255, 65535):
            lie = whole[:field] + struct.pack(size, value) + whole[field + struct.calcsize(size) :]
            yield Input(name=f"field {field} says {value}.wav", write=holding(lie))


def not_numbers() -> Iterator[Input]:
    """NaN and infinite samples in floats of both sizes; numbers far above full scale."""
    for subtype in ("FLOAT", "DOUBLE"):
        for value in (np.nan, np.inf, -np.inf):
            for place in (0, 1000, -1):
                samples = voice()
                samples[place] = value
                data = encoded(samples, subtype=subtype)
                yield Input(
                    name=f"{subtype} {value} at {place}.wav", write=holding(data), used=False
                )
        for factor in (1e3, 1e30, 1e-30):
            data = encoded(voice() * factor, subtype=subtype)
            yield Input(name=f"{subtype} times {factor:g}.wav", write=holding(data))


def short_ones() -> Iterator[Input]:
    """Recordings of next to nothing."""
    for rate in (8000, 22050, 192000):
        for length in (0, 1, 2, 3, 63, 64, 65, 255, 256):
            data = encoded(voice(1.0, rate)[:length], rate)
            yield Input(name=f"{length} samples at {rate}.wav", write=holding(data))


def unusual_ones() -> Iterator[Input]:
    """Every depth with every rate and channel count: to be used."""
    depths = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
    for depth in depths:
        for rate in (8000, 11025, 44100, 96000, 192000):
            for channels in (1, 2, 8):
                samples = np.stack([voice(rate=rate, seed=c) for c in range(channels)], axis=1)
                data = encoded(samples, rate, subtype=depth)
                name = f"{depth} {rate} Hz {channels} channels.wav"
                yield Input(name=name, write=holding(data), used=True)


_CONTAINERS = {
    "RF64": "PCM_16",
    "W64": "PCM_16",
    "WAVEX": "PCM_24",
    "AIFF": "PCM_16",
    "AU": "PCM_16",
    "CAF": "PCM_16",
    "FLAC": "PCM_16",
    "OGG": "VORBIS",
    "MP3": "MPEG_LAYER_III",
}
# Their headers state no length that could be held against the file.
_OPEN_ENDED = {"OGG", "MP3"}


def containers(count: int, seed: int = 3) -> Iterator[Input]:
    """Other formats under the name wav or flac: whole, cut off, and damaged."""
    rng = random.Random(seed)
    for form, subtype in _CONTAINERS.items():
        whole = encoded(voice(2.0), form=form, subtype=subtype)
        yield Input(name=f"whole {form}.wav", write=holding(whole), used=True)
        for number in range(count):
            cut = whole[: rng.randrange(1, len(whole) - 8)]
            used = None if form in _OPEN_ENDED else False
            yield Input(name=f"cut {form} {number}.wav", write=holding(cut), used=used)
            data = bytearray(whole)
            for _ in range(rng.randint(1, 6)):
                data[rng.randrange(min(len(data), 120))] = rng.randrange(256)
            name = f"flipped {form} {number}.{rng.choice(['wav', 'flac'])}"
            yield Input(name=name, write=holding(bytes(data)))


def not_audio(count: int, seed: int = 4) -> Iterator[Input]:
    """Text, pages, archives and noise under the name wav."""
    rng = random.Random(seed)
    for number, data in enumerate(
        [
            b"",
            b"\0",
            b"RIFF",
            b"RIFF\0\0\0\0WAVE",
            b"<html>404</html>",
            b"PK\3\4" * 99,
            b"\0" * 4096,
        ]
    ):
        yield Input(name=f"other {number}.wav", write=holding(data), used=False)
    for number in range(count):
        data = rng.randbytes(rng.randrange(1, 5000))
        yield Input(name=f"noise {number}.wav", write=holding(data), used=False)


NAMES = (
    "-rf",
    "--help",
    "new\nline",
    "tab\there",
    "emoji 🎤",
    "日本語の文",
    "か\u3099",  # decomposed
    "right‏left",
    "a" * 240,
    "quote'\"`$(id)",
    "percent %s %d {x} {0}",
    "back\\slash",
    " leading and trailing ",
    "dots..",
    "NUL",
    "comma,semi;colon:",
    "*?[a]",
    "\x1b[31mred",
    "\u2028line separator",
)


def odd_names() -> Iterator[Input]:
    """Names nobody expects of a file: to be used, unless they are no text."""
    for number, name in enumerate(NAMES):
        data = encoded(voice(seed=100 + number))
        yield Input(name=f"{name}.wav", write=holding(data), used=True)
    for number, raw in enumerate(("日本".encode("shift_jis"), "é".encode("latin-1"), b"\xff\xfe")):
        data = encoded(voice(seed=200 + number))
        yield Input(name=os.fsdecode(raw) + ".wav", write=holding(data), used=False)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # addresses are short
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def not_files() -> Iterator[Input]:
    """What has the name of a recording and is none; reading some of it would never end."""
    yield Input(name="fifo.wav", write=_fifo, used=False)
    yield Input(name="socket.wav", write=_socket, used=False)
    yield Input(name="dangling.wav", write=lambda p: p.symlink_to("nowhere.wav"), used=False)
    yield Input(name="itself.wav", write=lambda p: p.symlink_to(p.name), used=False)
    yield Input(name="zero.wav", write=lambda p: p.symlink_to("/dev/zero"), used=False)
    yield Input(name="null.wav", write=lambda p: p.symlink_to("/dev/null"), used=False)
    yield Input(name="mem.wav", write=lambda p: p.symlink_to("/proc/self/mem"), used=False)


def folders_and_circles(folder: Path) -> None:
    """Folders named like recordings, and links that lead back; none of it is a recording."""
    (folder / "folder.wav").mkdir(parents=True)
    (folder / "circle").symlink_to(".")
    (folder / "above.wav").symlink_to("..")
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    (folder / "a" / "b").symlink_to("../b")
    (folder / "b" / "a").symlink_to("../a")


def kinds(scale: int = 1) -> Mapping[str, list[Input]]:
    """All kinds of recordings; `scale` multiplies what is drawn at random."""
    return {
        "flipped wav headers": list(flipped_headers(100 * scale)),
        "cut wavs": list(truncated(30 * scale)),
        "lengths and fields that lie": list(lying_lengths()),
        "NaN, infinite, far too loud": list(not_numbers()),
        "next to nothing": list(short_ones()),
        "depths, rates, channels": list(unusual_ones()),
        "other containers, cut and damaged": list(containers(5 * scale)),
        "no audio at all": list(not_audio(20 * scale)),
        "odd names": list(odd_names()),
        "no files": list(not_files()),
    }


# ---------------------------------------------------------------- text and stored files


def damaged_text(text: str, rng: random.Random) -> str:
    """A definition with lines lost, doubled or swapped, characters and values overwritten."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                del lines[place]
            case 1:
                lines.insert(place, rng.choice(lines))
            case 2:
                line = lines[place] or "x"
                at = rng.randrange(len(line))
                lines[place] = line[:at] + rng.choice("\0\"'[]{}=#,.-é\\") + line[at + 1 :]
            case 3:
                key = lines[place].split("=")[0]
                lines[place] = f"{key} = {rng.choice(_VALUES)}"
            case _:
                rng.shuffle(lines)
        lines = lines or [""]
    return "\n".join(lines)


_VALUES = (
    *("nan", "inf", "-1", "0", "1e308", "99999999999999999999", "true", '""', "[]", "{}", "[[1]]"),
    *('"x"', '"\\u0000"', '"../../etc"', "1979-05-27", "0.5", '["a", 1]', "-80"),
)


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """A stored file with a part lost, doubled or overwritten; never as it was."""
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    match rng.randrange(4):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[at + rng.randint(1, 64) :]
        case 2:
            return data[:at] + data[at : at + 50] + data[at:]
        case _:
            return data[:at] + bytes([data[at] ^ rng.randint(1, 255)]) + data[at + 1 :]


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of that size, or OSError where mounting is not permitted."""
    import subprocess

    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise OSError("no small file system can be mounted here") from error
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=False, capture_output=True)


def enlarge(folder: Path, kilobytes: int) -> None:
    import subprocess

    command = ["mount", "-o", f"remount,size={kilobytes}k", str(folder)]
    subprocess.run(command, check=True, capture_output=True)

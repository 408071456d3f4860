"""Whether all the audio is there that a file's header promises.

libsndfile reads what is left of a file that was cut off, and says nothing. Here the chunks of
the containers it forgives are followed to the audio: RIFF, RIFX, RF64 (EBU Tech 3306), Sony
Wave64, AIFF, AU and CAF. Other containers check themselves.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from corpuskit.errors import BadAudio

__all__ = ["check_length"]

_STREAMED = {0, 0xFFFFFFFF}  # sizes written by programs that could not seek back
_UNKNOWN = 2**64 - 1  # the same in 64 bits


@dataclass(frozen=True, kw_only=True)
class _Form:
    """How a container spells its chunks."""

    first: int  # where the chunks begin
    head: str  # struct of a chunk's head: the name, then the length
    audio: bytes  # the chunk that holds the audio
    align: int  # chunks begin at multiples of this
    counts_head: bool = False  # the length includes the head


_RIFF = _Form(first=12, head="<4sI", audio=b"data", align=2)
_FORMS = {
    (b"RIFF", b"WAVE"): _RIFF,
    (b"RF64", b"WAVE"): _RIFF,
    (b"RIFX", b"WAVE"): _Form(first=12, head=">4sI", audio=b"data", align=2),
    (b"FORM", b"AIFF"): _Form(first=12, head=">4sI", audio=b"SSND", align=2),
    (b"FORM", b"AIFC"): _Form(first=12, head=">4sI", audio=b"SSND", align=2),
    (b"caff", b""): _Form(first=8, head=">4sQ", audio=b"data", align=1),
    (b"riff", b""): _Form(first=40, head="<4s12xQ", audio=b"data", align=8, counts_head=True),
}


def check_length(file: io.BufferedReader, size: int) -> None:
    """Hold the length of the audio that the header states against a file of `size` bytes.

    Raises
    ------
    BadAudio
        There is no audio, or less than stated.

    """
    start = file.read(12)
    magic = start[:4]
    if magic == b".snd":
        _check_au(start, size)
        return
    form = _FORMS.get((magic, start[8:12])) or _FORMS.get((magic, b""))
    if form is None:
        return
    promised = None  # by RF64, whose own chunk says what 32 bits cannot
    for name, position, length in _chunks(file, form):
        if name == b"ds64":
            file.seek(position)
            content = file.read(16)
            promised = struct.unpack("<8xQ", content)[0] if len(content) == 16 else None
        if name == form.audio:
            if magic == b"RF64" and length == 0xFFFFFFFF and promised is not None:
                length = promised
            _compare(size - position, length)
            return
    raise BadAudio("is truncated: it has no audio data")


def _chunks(file: io.BufferedReader, form: _Form) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, where the content begins, its length) of each chunk."""
    position, width = form.first, struct.calcsize(form.head)
    while True:
        file.seek(position)
        head = file.read(width)
        if len(head) < width:
            return
        name, length = struct.unpack(form.head, head)
        length -= width if form.counts_head else 0
        if length < 0:
            return
        yield name, position + width, length
        position += width + length
        position += -position % form.align
        if position >= 2**63:
            return


def _check_au(start: bytes, size: int) -> None:
    if len(start) < 12:
        raise BadAudio("is truncated: it has no audio data")
    offset, length = struct.unpack(">II", start[4:])
    _compare(size - offset, length)


def _compare(held: int, length: int) -> None:
    if length not in _STREAMED and length != _UNKNOWN and held < length:
        raise BadAudio(f"is truncated: {max(0, held)} of {length} bytes of audio are there")

"""Audio that a header promises and the file does not hold."""

from __future__ import annotations

import io
import struct

import pytest

from corpuskit.containers import check_length
from corpuskit.errors import BadAudio
from hostile import encoded, voice

FORMS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF")


def check(data: bytes) -> None:
    check_length(io.BufferedReader(io.BytesIO(data)), len(data))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_file_passes(form: str) -> None:
    check(encoded(voice(), form=form))


@pytest.mark.parametrize("form", FORMS)
def test_one_byte_less_is_found(form: str) -> None:
    whole = encoded(voice(), form=form)
    end = len(whole) - 200  # inside the audio, whatever chunks come after it
    with pytest.raises(BadAudio, match=r"is truncated: \d+ of 64\d\d bytes of audio are there"):
        check(whole[:end])


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_ends_before_the_audio_has_none(form: str) -> None:
    with pytest.raises(BadAudio, match="is truncated"):
        check(encoded(voice(), form=form)[:14])


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_lengths_of_streams_are_not_held_against_a_file(length: int) -> None:
    whole = encoded(voice())
    place = whole.index(b"data") + 4
    check(whole[:place] + struct.pack("<I", length) + whole[place + 4 :])


def test_rf64_lengths_are_those_of_64_bits() -> None:
    """A true RF64: 32 bits say nothing, the chunk ds64 says it."""
    audio = bytes(1000)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)

    def file(promised: int) -> bytes:
        sizes = struct.pack("<4sIQQQI", b"ds64", 28, 1072, promised, 500, 0)
        return b"RF64\xff\xff\xff\xffWAVE" + sizes + form + b"data\xff\xff\xff\xff" + audio

    check(file(1000))
    with pytest.raises(BadAudio, match="is truncated: 1000 of 5000000000 bytes"):
        check(file(5_000_000_000))


def test_chunks_that_lead_backwards_end() -> None:
    whole = bytearray(encoded(voice(), form="W64"))
    whole[40 + 16 : 40 + 24] = struct.pack("<Q", 3)  # a chunk shorter than its own head
    with pytest.raises(BadAudio, match="no audio data"):
        check(bytes(whole))


def test_other_containers_are_left_to_the_decoder() -> None:
    check(encoded(voice(), form="FLAC")[:100])
    check(b"once upon a time")

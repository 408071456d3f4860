"""Decoding, identity, resampling: wav bytes are written here by hand, so the truth is known."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit import files
from corpuskit.audio import Sound, decode, digest, resample, to_16_bit, write_wav
from corpuskit.errors import BadAudio, CorpuskitError

RATES = (8000, 11025, 16000, 22050, 24000, 44100, 48000)
PCM, FLOAT = 1, 3  # format tags of a wav


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def wav(
    body: bytes,
    *,
    bits: int = 16,
    channels: int = 1,
    rate: int = 16000,
    tag: int = PCM,
    before: bytes = b"",
    data_size: int | None = None,
) -> bytes:
    """A wav file around `body`; `before` are chunks in front of the samples."""
    width = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * width, width, bits)
    data = chunk(b"data", body)
    if data_size is not None:
        data = b"data" + struct.pack("<I", data_size) + body
    inner = b"WAVE" + chunk(b"fmt ", fmt) + before + data
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def packed_24(values: np.ndarray) -> bytes:
    return b"".join(int(v).to_bytes(3, "little", signed=True) for v in values.ravel())


def steps(*shape: int, bits: int = 16, seed: int = 0) -> np.ndarray:
    """Whole steps of a depth, both extremes among them."""
    values = np.random.default_rng(seed).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape)
    values.flat[:2] = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return values


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# --------------------------------------------------------------------------- formats


def encoded(kind: str, channels: int) -> tuple[bytes, np.ndarray]:
    """Bytes of a wav and the samples (n, channels) it means."""
    if kind in ("float", "double"):
        dtype = np.dtype("<f4" if kind == "float" else "<f8")
        values = np.random.default_rng(1).uniform(-1.5, 1.5, (300, channels)).astype(dtype)
        bits = dtype.itemsize * 8
        return wav(values.tobytes(), bits=bits, channels=channels, tag=FLOAT), values.astype(float)
    bits = int(kind)
    values = steps(300, channels, bits=bits)
    body = {
        8: lambda: (values + 128).astype("u1").tobytes(),  # 8-bit wavs are unsigned
        16: lambda: values.astype("<i2").tobytes(),
        24: lambda: packed_24(values),
        32: lambda: values.astype("<i4").tobytes(),
    }[bits]()
    return wav(body, bits=bits, channels=channels), values / 2.0 ** (bits - 1)


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("kind", ["8", "16", "24", "32", "float", "double"])
def test_every_sample_format_is_decoded_and_mixed(tmp_path: Path, kind: str, channels: int) -> None:
    content, values = encoded(kind, channels)

    sound = decode(saved(tmp_path / "a.wav", content))

    assert (sound.rate, sound.channels) == (16000, channels)
    assert sound.samples.dtype == np.float64
    expected = values[:, 0] if channels == 1 else values.sum(axis=1) / channels
    np.testing.assert_allclose(sound.samples, expected, rtol=0, atol=1e-15)
    if channels == 1:
        assert np.array_equal(sound.samples, values[:, 0])


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(("subtype", "bits"), [("PCM_S8", 8), ("PCM_16", 16), ("PCM_24", 24)])
def test_flac_is_decoded(tmp_path: Path, subtype: str, bits: int, channels: int) -> None:
    values = steps(2000, channels, bits=bits)
    path = tmp_path / "a.flac"
    sf.write(path, (values << (32 - bits)).astype(np.int32), 44100, subtype=subtype)

    sound = decode(path)

    assert (sound.rate, sound.channels, sound.subtype) == (44100, channels, subtype)
    expected = (values / 2.0 ** (bits - 1)).mean(axis=1)
    np.testing.assert_allclose(sound.samples, expected, rtol=0, atol=1e-15)


def test_length_is_told_in_seconds(tmp_path: Path) -> None:
    content = wav(steps(11025).astype("<i2").tobytes(), rate=22050)

    assert decode(saved(tmp_path / "a.wav", content)).seconds == 0.5


def test_a_wav_written_to_a_pipe_is_whole(tmp_path: Path) -> None:
    # Programs that cannot seek back leave the size of the data open.
    values = steps(500)
    content = wav(values.astype("<i2").tobytes(), data_size=0xFFFFFFFF)

    assert np.array_equal(decode(saved(tmp_path / "a.wav", content)).samples * 32768, values)


def test_chunks_around_the_samples_are_passed_over(tmp_path: Path) -> None:
    values = steps(500)
    said = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"speak"))
    content = wav(values.astype("<i2").tobytes(), before=said + chunk(b"odd ", b"123")) + said

    assert np.array_equal(decode(saved(tmp_path / "a.wav", content)).samples * 32768, values)


# ------------------------------------------------------------------------- bad input


def whole() -> bytes:
    return wav(steps(400).astype("<i2").tobytes())


def with_values(*values: float) -> bytes:
    return wav(np.array(values, dtype="<f4").tobytes(), bits=32, tag=FLOAT)


BAD = {
    "empty": (b"", "is an empty file"),
    "no samples": (wav(b""), "holds no samples"),
    "half its data": (whole()[:444], "is truncated: 400 of 800 bytes of audio are there"),
    "header only": (whole()[:36], "is truncated: it has no audio data"),
    "NaN": (with_values(0.1, np.nan, 0.2), "holds NaN or infinite samples"),
    "infinite": (with_values(0.1, -np.inf), "holds NaN or infinite samples"),
    "text": (b"this is no sound at all\n" * 40, "cannot be decoded"),
    "noise": (np.random.default_rng(0).bytes(5000), "cannot be decoded"),
    "unknown codec": (wav(bytes(800), tag=0x1234), "cannot be decoded"),
    "no channel": (wav(bytes(800), channels=0), "cannot be decoded"),
    "rate of 100": (wav(bytes(800), rate=100), "has a sample rate of 100 Hz, too low for speech"),
    "empty flac": (b"fLaC" + bytes(38), "cannot be decoded"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_measured_says_why(tmp_path: Path, kind: str) -> None:
    content, reason = BAD[kind]

    with pytest.raises(BadAudio) as caught:
        decode(saved(tmp_path / "a.wav", content))

    assert caught.value.problem.startswith(reason)
    assert str(tmp_path) not in caught.value.problem  # reasons are equal on every machine
    assert "\n" not in str(caught.value)


def test_a_wav_cut_anywhere_is_never_taken_for_whole(tmp_path: Path) -> None:
    content = whole()

    for length in range(len(content)):
        with pytest.raises(BadAudio):
            decode(saved(tmp_path / "a.wav", content[:length]))


def test_a_flac_cut_anywhere_is_never_taken_for_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    sf.write(path, steps(9000).astype(np.int16), 16000)  # three frames of the codec
    content = path.read_bytes()

    for length in (*range(0, len(content), 53), len(content) - 1):
        with pytest.raises(BadAudio):
            decode(saved(path, content[:length]))


def test_what_is_not_there_or_no_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "circle.wav").symlink_to(tmp_path / "circle.wav")

    reasons = {}
    for name in ("missing", "folder", "dangling", "circle"):
        with pytest.raises(BadAudio) as caught:
            decode(tmp_path / f"{name}.wav")
        reasons[name] = caught.value.problem

    assert reasons["missing"] == reasons["dangling"] == "does not exist"
    assert reasons["folder"] == "is not a file"
    assert reasons["circle"].startswith("cannot be read (")


def test_a_file_without_permission_says_so(tmp_path: Path, monkeypatch) -> None:
    path = saved(tmp_path / "a.wav", whole())

    def closed(self: Path, *arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", closed)  # for root every file is readable

    with pytest.raises(BadAudio, match=r"^cannot be read \(Permission denied\)$"):
        decode(path)


# -------------------------------------------------------------------------- identity


def sound(values: np.ndarray, rate: int = 16000, subtype: str = "PCM_16") -> Sound:
    return Sound(samples=values / 32768, rate=rate, channels=1, subtype=subtype)


def test_a_copy_another_name_and_a_lossless_encoding_are_the_same_recording(
    tmp_path: Path,
) -> None:
    values = steps(3000)
    first = saved(tmp_path / "a.wav", wav(values.astype("<i2").tobytes()))
    copy = Path(shutil.copy(first, tmp_path / "another name.wav"))
    tagged = saved(
        tmp_path / "tagged.wav",
        wav(values.astype("<i2").tobytes(), before=chunk(b"odd ", b"123")),
    )
    for name, subtype in (("a.flac", "PCM_16"), ("24.flac", "PCM_24"), ("32.wav", "PCM_32")):
        sf.write(tmp_path / name, values.astype(np.int16), 16000, subtype=subtype)
    wide = saved(
        tmp_path / "f.wav",
        wav((values / 32768).astype("<f4").tobytes(), bits=32, tag=FLOAT),
    )

    paths = [first, copy, tagged, wide, *tmp_path.glob("*.flac"), tmp_path / "32.wav"]

    assert len(paths) == 7
    assert len({digest(decode(path)) for path in paths}) == 1


@settings(max_examples=40)
@given(st.integers(0, 199), st.sampled_from([-1, 1]), st.sampled_from(["PCM_16", "FLOAT"]))
def test_one_changed_step_is_another_recording(place: int, change: int, subtype: str) -> None:
    values = np.clip(steps(200), -32000, 32000)
    other = values.copy()
    other[place] += change

    assert digest(sound(values, subtype=subtype)) != digest(sound(other, subtype=subtype))
    assert digest(sound(values, subtype=subtype)) == digest(sound(values.copy(), subtype=subtype))


def test_rate_length_and_finer_values_are_part_of_the_identity() -> None:
    values = steps(200)
    half_a_step = values + 0.5

    digests = {
        digest(sound(values)),
        digest(sound(values, rate=16001)),
        digest(sound(np.append(values, 0))),
        digest(sound(np.append(0, values))),
        digest(sound(half_a_step, subtype="PCM_24")),
        digest(sound(half_a_step + 2**-8, subtype="PCM_24")),
    }

    assert len(digests) == 6
    assert all(len(name) == 64 for name in digests)


def test_full_scale_is_not_taken_for_its_opposite() -> None:
    # +1.0 is 32768 steps, one more than 16 bits hold; wrapped, it would be -1.0.
    up, down = np.full(100, 32768.0), np.full(100, -32768.0)

    assert digest(sound(up, subtype="FLOAT")) != digest(sound(down, subtype="FLOAT"))


def test_the_identity_is_the_same_in_every_release() -> None:
    # Stored objects and fingerprints hang on it. SHA-256 of "int16 8000 3\n" + 0000 0100 ffff.
    known = "45bf14f6062b3b5f7125fb47b4244932f6905dd1a25461d43f7fd734741db4a3"

    assert digest(sound(np.array([0, 1, -1]), rate=8000)) == known


# ------------------------------------------------------------------------ resampling


@settings(max_examples=60)
@given(st.integers(1, 5000), st.sampled_from(RATES), st.sampled_from(RATES))
def test_resampled_length_is_rounded_up(length: int, rate: int, new_rate: int) -> None:
    samples = np.random.default_rng(length).uniform(-1, 1, length)

    result = resample(samples, rate, new_rate)

    assert len(result) == -(-length * new_rate // rate)
    assert result.dtype == np.float64
    assert np.isfinite(result).all()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("new_rate", [8000, 22050, 48000])
def test_resampling_shifts_nothing_in_time(rate: int, new_rate: int) -> None:
    def tones(seconds: np.ndarray) -> np.ndarray:
        return 0.4 * np.sin(2 * np.pi * 440 * seconds + 0.3) + 0.2 * np.cos(
            2 * np.pi * 1333 * seconds
        )

    result = resample(tones(np.arange(rate) / rate), rate, new_rate)

    expected = tones(np.arange(len(result)) / new_rate)
    inner = slice(new_rate // 20, -new_rate // 20)  # the filter rings at the ends
    np.testing.assert_allclose(result[inner], expected[inner], rtol=0, atol=2e-4)


def test_a_pulse_stays_where_it_was() -> None:
    samples = np.zeros(48000)
    samples[24000] = 1.0

    result = resample(samples, 48000, 16000)

    assert np.argmax(np.abs(result)) == 8000


def test_the_same_rate_changes_nothing() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 1000)

    assert np.array_equal(resample(samples, 22050, 22050), samples)


# --------------------------------------------------------------------------- writing


def test_what_is_written_is_read_back_by_others(tmp_path: Path) -> None:
    values = steps(1000)
    path = tmp_path / "new" / "folder" / "a.wav"

    write_wav(path, values / 32768, 22050)

    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22050)
        assert file.readframes(2000) == values.astype("<i2").tobytes()
    assert np.array_equal(decode(path).samples * 32768, values)


def test_samples_are_rounded_and_clipped() -> None:
    given_steps = np.array([0.4, 0.6, -0.6, 32767.6, 40000.0, -32768.4, -1e9])

    assert to_16_bit(given_steps / 32768).tolist() == [0, 1, -1, 32767, 32767, -32768, -32768]
    assert to_16_bit(np.array([0.5], dtype=np.float32)).dtype == np.int16


@pytest.mark.parametrize("step", ["_write", "_sync", "_rename"])
def test_a_failing_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch, step: str
) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, np.zeros(10), 16000)
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, step, full)

    with pytest.raises(CorpuskitError, match="No space left on device"):
        write_wav(path, np.ones(10), 16000)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
    assert path.read_bytes() == before

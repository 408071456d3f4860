"""Measured once: what is remembered of a file, when it is trusted, and when it is not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile as sf

from building import quick_corpus
from corpuskit import audio, files, recordings
from corpuskit.config import AudioConfig, FeatureConfig
from corpuskit.errors import CorpuskitError
from corpuskit.layouts import Clip
from corpuskit.objects import Store
from corpuskit.recordings import (
    Facts,
    Index,
    clip_samples,
    load_levels,
    measure,
    object_names,
    stamp_of,
)
from corpuskit.silence import level_curve

AUDIO = AudioConfig(rate=8000)
FEATURES = FeatureConfig(n_fft=256, hop_length=64, win_length=256, mels=20, fmax=4000.0)
FACTS = Facts(digest="ab" * 32, rate=8000, samples=4000)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return quick_corpus(tmp_path / "corpus", 1).source / "utt_001.wav"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "w")


# ------------------------------------------------------------------------ measuring


def test_a_recording_is_measured_once(wav: Path, store: Store) -> None:
    facts, made = measure(wav, store, AUDIO, FEATURES)
    again = measure(wav, store, AUDIO, FEATURES)

    samples, rate = sf.read(wav, dtype="int16")
    text = f"int16 {rate} {len(samples)}\n".encode()
    assert facts == Facts(
        digest=hashlib.sha256(text + samples.tobytes()).hexdigest(), rate=8000, samples=len(samples)
    )
    assert (made, again) == (True, (facts, False))
    assert sorted(object_names(facts, AUDIO, FEATURES)) == list(store.names())


def test_a_copy_and_a_lossless_form_are_the_same_recording(wav: Path, store: Store) -> None:
    facts, _ = measure(wav, store, AUDIO, FEATURES)
    samples, rate = sf.read(wav)
    for name, subtype in (("24.wav", "PCM_24"), ("float.wav", "FLOAT"), ("flac.flac", "PCM_16")):
        sf.write(wav.with_name(name), samples, rate, subtype=subtype)

        assert measure(wav.with_name(name), store, AUDIO, FEATURES) == (facts, False), name


def test_what_is_stored_is_what_was_measured(wav: Path, store: Store) -> None:
    facts, _ = measure(wav, store, AUDIO, FEATURES)
    levels, features = object_names(facts, AUDIO, FEATURES)

    curve, direct = load_levels(store, levels, facts), level_curve(audio.decode(wav))
    np.testing.assert_array_equal(curve.forward, direct.forward)
    np.testing.assert_array_equal(curve.backward, direct.backward)
    assert (curve.rate, curve.samples) == (facts.rate, facts.samples)
    frames = 1 + facts.samples // FEATURES.hop_length
    shapes = {name: array.shape for name, array in store.get(features).items()}
    assert shapes == {"f0": (frames,), "energy": (frames,), "mel": (frames, 20)}


@pytest.mark.parametrize("which", [0, 1])
def test_only_the_object_that_is_not_whole_is_made_again(
    wav: Path, store: Store, which: int
) -> None:
    facts, _ = measure(wav, store, AUDIO, FEATURES)
    paths = [store.path(name) for name in object_names(facts, AUDIO, FEATURES)]
    whole = [path.stat().st_mtime_ns for path in paths]
    paths[which].write_bytes(paths[which].read_bytes()[:-1])

    assert measure(wav, store, AUDIO, FEATURES) == (facts, True)
    assert paths[1 - which].stat().st_mtime_ns == whole[1 - which]
    assert all(store.sound(name) for name in object_names(facts, AUDIO, FEATURES))


@pytest.mark.parametrize(
    ("clip", "span"),
    [((0, 250), (0, 2000)), ((125, 1000), (1000, 8000)), ((250, None), (2000, None))],
)
def test_a_clip_is_a_recording_of_its_own(
    wav: Path, store: Store, clip: Clip, span: tuple[int, int | None]
) -> None:
    samples, rate = sf.read(wav, dtype="int16")
    part = wav.with_name("part.wav")
    sf.write(part, samples[slice(*span)], rate, subtype="PCM_16")

    facts, _ = measure(wav, store, AUDIO, FEATURES, clip)

    assert measure(part, store, AUDIO, FEATURES) == (facts, False)  # the same samples
    stop = len(samples) if span[1] is None else span[1]
    assert clip_samples(clip, facts) == (span[0], stop)
    assert audio.digest(audio.decode(wav, clip_samples(clip, facts))) == facts.digest


def test_a_clip_beyond_the_end_sets_the_recording_aside(wav: Path, store: Store) -> None:
    total = len(sf.read(wav)[0])

    facts, _ = measure(wav, store, AUDIO, FEATURES, (100_000, None))

    assert facts.problem == f"has {total} samples, not the clip 800000 to {total}"
    assert clip_samples((100_000, None), facts) is None


@pytest.mark.parametrize("error", [ValueError, RuntimeError, FloatingPointError, MemoryError])
def test_an_analysis_that_fails_sets_the_recording_aside(
    wav: Path, store: Store, error: type[Exception]
) -> None:
    with mock.patch.object(recordings.features, "extract", side_effect=error("no luck")):
        facts, made = measure(wav, store, AUDIO, FEATURES)

    assert facts == Facts(problem=f"cannot be analysed ({error.__name__}: no luck)")
    assert not made


def test_a_store_that_cannot_be_written_is_no_bad_recording(wav: Path, store: Store) -> None:
    store.workspace.write_bytes(b"a file")

    with pytest.raises(CorpuskitError, match="cannot write"):
        measure(wav, store, AUDIO, FEATURES)


# ------------------------------------------------------------------------- the index


def remembered(workspace: Path, path: Path, facts: Facts = FACTS) -> Index:
    """An index that was told of `path` long after it was last changed."""
    index = Index(workspace, ["corpus"])
    later = time.time_ns() + 10**10
    with mock.patch.object(recordings.time, "time_ns", return_value=later):
        index.put(path, stamp_of(path), facts)
    return index


def reopened(workspace: Path) -> Index:
    return Index(workspace, ["corpus"])


def test_an_unchanged_file_is_remembered(tmp_path: Path, wav: Path) -> None:
    remembered(tmp_path, wav).save()

    assert reopened(tmp_path).get(wav) == FACTS
    assert reopened(tmp_path).get(wav.with_name("other.wav")) is None
    assert Index(tmp_path, ["another corpus"]).get(wav) is None


def rewritten(path: Path) -> None:
    path.write_bytes(bytes(reversed(path.read_bytes())))


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def replaced(path: Path) -> None:
    """Another file of the same size and time, moved into its place."""
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def backdated(path: Path) -> None:
    """Changed, with the old time put back."""
    status = path.stat()
    rewritten(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [rewritten, longer, replaced, backdated, Path.unlink])
def test_a_changed_file_is_forgotten(
    tmp_path: Path, wav: Path, change: Callable[[Path], None]
) -> None:
    remembered(tmp_path, wav).save()
    time.sleep(0.02)  # a clock tick of the file system
    change(wav)

    assert reopened(tmp_path).get(wav) is None


def test_a_file_that_was_just_changed_is_not_trusted(tmp_path: Path, wav: Path) -> None:
    assert stamp_of(wav) is None  # it was written a moment ago
    assert stamp_of(wav.with_name("missing")) is None
    index = Index(tmp_path, ["corpus"])
    index.put(wav, stamp_of(wav), FACTS)

    assert index.get(wav) is None


def test_a_file_changed_while_it_was_read_is_not_remembered(tmp_path: Path, wav: Path) -> None:
    later = time.time_ns() + 10**10
    with mock.patch.object(recordings.time, "time_ns", return_value=later):
        stamp = stamp_of(wav)
    longer(wav)
    index = Index(tmp_path, ["corpus"])
    index.put(wav, stamp, FACTS)

    assert index.get(wav) is None


def test_reasons_are_remembered_too(tmp_path: Path, wav: Path) -> None:
    bad = Facts(problem="holds no samples")
    remembered(tmp_path, wav, bad).save()

    assert reopened(tmp_path).get(wav) == bad


def test_an_index_of_other_libraries_is_not_used(tmp_path: Path, wav: Path) -> None:
    remembered(tmp_path, wav).save()

    with mock.patch.object(recordings, "DECODE_VERSION", 99):
        assert reopened(tmp_path).get(wav) is None


def test_every_damage_to_the_index_costs_only_a_decoding(tmp_path: Path, wav: Path) -> None:
    remembered(tmp_path, wav).save()
    [path] = (tmp_path / "index").iterdir()
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert reopened(tmp_path).get(wav) is None, position
    for damaged in (b"", whole[:70], b"\n", b"\xff\n{}", whole + b"x"):
        path.write_bytes(damaged)
        assert reopened(tmp_path).get(wav) is None

    path.write_bytes(whole)
    assert reopened(tmp_path).get(wav) == FACTS


def test_an_index_that_cannot_be_written_is_no_error(tmp_path: Path, wav: Path) -> None:
    index = remembered(tmp_path, wav)
    with mock.patch.object(files, "_write", side_effect=OSError(28, "No space left on device")):
        index.save()
    assert list((tmp_path / "index").iterdir()) == []

    shutil.rmtree(tmp_path / "index")
    (tmp_path / "index").write_bytes(b"a file")
    index.save()
    assert reopened(tmp_path).get(wav) is None


def test_the_index_is_as_documented(tmp_path: Path, wav: Path) -> None:
    remembered(tmp_path, wav).save()
    [path] = (tmp_path / "index").iterdir()

    seal, text = path.read_text().split("\n")
    content = json.loads(text)
    status = wav.stat()
    assert seal == hashlib.sha256(text.encode()).hexdigest()
    assert content["made_by"].keys() == {"decode", "numpy", "soundfile"}
    assert content["entries"] == {
        str(wav): [
            [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino],
            {"digest": "ab" * 32, "rate": 8000, "samples": 4000, "problem": ""},
        ]
    }


def test_a_file_and_its_clips_are_remembered_apart(
    wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "_SETTLED", -(10**15))
    index = Index(tmp_path / "w", ["corpus"])
    stated = {None: FACTS, (0, 100): Facts(problem="a"), (100, None): Facts(problem="b")}
    for clip, facts in stated.items():
        index.put(wav, stamp_of(wav), facts, clip)
    index.save()

    again = Index(tmp_path / "w", ["corpus"])

    assert {clip: again.get(wav, clip) for clip in stated} == stated
    assert again.get(wav, (0, 200)) is None

"""Builds at full analysis: what they decide, and whatever kills or refuses them in between."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from corpuskit.build import Note, Planned, Request, build, next_name
from corpuskit.errors import BadSetting, CheckFailed, Refused
from corpuskit.objects import Store
from corpuskit.verify import Problem, verify
from corpuskit.versions import list_versions, open_version
from fullbuilds import built, command, definition, write_definition
from synthetic import PairCorpus, write_pair_corpus
from thorough import thoroughly


def problems(workspace: Path, name: str = "T") -> list[Problem]:
    return [event for event in verify(workspace, name, jobs=1) if isinstance(event, Problem)]


# ----------------------------------------------------------------- what a build decides


def test_a_version_holds_what_the_voices_said(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    version = built(pair_corpus, tmp_path / "w").version

    assert [pair.sentence for pair in version.pairs] == list(pair_corpus.sentences)
    assert {name: len(version.split(name)) for name in ("train", "dev", "eval")} == {
        "train": 4,
        "dev": 1,
        "eval": 1,
    }
    r = version.settings.align.reduction
    for pair in version.pairs:
        source, target = version.features(pair.source), version.features(pair.target)
        durations = version.durations(pair)
        assert len(durations) == len(source) // r == sum(pair.source.phrases)
        assert durations.sum() == len(target) // r == sum(pair.target.phrases)
        assert min(*pair.source.phrases, *pair.target.phrases) >= 1


def test_the_kept_part_is_the_spoken_part(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    version = built(pair_corpus, tmp_path / "w").version
    for pair in version.pairs:
        truth = pair_corpus.truth_target[pair.sentence]
        first, last = truth.phrases[0][0], truth.phrases[-1][1]
        window = 0.051 * pair.target.rate
        assert first - window <= pair.target.samples[0] <= first + window
        assert last - window <= pair.target.samples[1] <= last + window


def test_statistics_rest_on_the_train_split_alone(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    version = built(pair_corpus, tmp_path / "w").version
    mel = np.concatenate([version.features(pair.source).mel for pair in version.split("train")])

    assert version.statistics.source.frames == len(mel)
    np.testing.assert_allclose(version.statistics.source.mel_mean, mel.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(version.statistics.source.mel_var, mel.var(axis=0), rtol=1e-3)


# ----------------------------------------------------------------------- one fingerprint


@thoroughly("means", [{"jobs": 2}, {"jobs": 2, "backend": "threading"}])
def test_the_fingerprint_is_free_of_processes(
    pair_corpus: PairCorpus, tmp_path: Path, means: dict[str, object]
) -> None:
    one = built(pair_corpus, tmp_path / "one").version
    other = built(pair_corpus, tmp_path / "other", "T", **means).version  # type: ignore[arg-type]

    assert one.fingerprint == other.fingerprint


def test_the_fingerprint_is_free_of_place_and_name(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    here = built(pair_corpus, tmp_path / "here").version.fingerprint
    moved = write_pair_corpus(tmp_path / "elsewhere" / "deeper")

    assert built(moved, tmp_path / "there", "Other_7").version.fingerprint == here


def test_one_changed_sample_changes_it(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    before = built(pair_corpus, tmp_path / "a").version.fingerprint
    path = pair_corpus.source / "utt_001.wav"
    samples, rate = sf.read(path, dtype="int16")
    samples[len(samples) // 2] += 1
    sf.write(path, samples, rate, subtype="PCM_16")

    assert built(pair_corpus, tmp_path / "b").version.fingerprint != before


def test_a_rebuild_with_another_threshold_opens_no_recording(
    pair_corpus: PairCorpus, tmp_path: Path
) -> None:
    for path in [*pair_corpus.source.iterdir(), *pair_corpus.target.iterdir()]:
        os.utime(path, (time.time() - 3600,) * 2)
    time.sleep(2.1)  # the index trusts no file whose inode changed less than 2 s ago
    first = built(pair_corpus, tmp_path / "w")
    again = built(pair_corpus, tmp_path / "w", "T_2", "silence.thresh=-45")

    assert (first.measured, first.aligned) == (12, 6)
    assert again.measured == 0
    assert again.previous is not None
    assert again.previous.sentence.startswith("1 setting differs: silence.thresh -50 -> -45")


# ------------------------------------------------------------------------------- frozen


def test_the_same_outcome_changes_nothing(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    first = built(pair_corpus, tmp_path)
    path = first.version.folder / "version.json"
    before = path.stat().st_mtime_ns
    again = built(pair_corpus, tmp_path)

    assert (first.new, again.new) == (True, False)
    assert path.stat().st_mtime_ns == before


def test_another_outcome_is_refused_with_the_difference(
    pair_corpus: PairCorpus, tmp_path: Path
) -> None:
    built(pair_corpus, tmp_path)
    with pytest.raises(Refused, match=r"silence\.thresh -50\.0 -> -40\.0.*corpuskit build T_2"):
        built(pair_corpus, tmp_path, "T", "silence.thresh=-40")
    assert list_versions(tmp_path) == ["T"]


def test_next_free_name(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    assert next_name(tmp_path, "T") == "T"
    built(pair_corpus, tmp_path, "T_7")
    assert next_name(tmp_path, "T") == "T_8"


@pytest.mark.slow
def test_two_builds_of_one_name_at_once(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    toml = write_definition(pair_corpus, tmp_path / "T.toml")
    arguments = ["build", "T", "--config", toml, "--workspace", tmp_path / "w", "--jobs", "1"]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "corpuskit.cli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ended = [(process.communicate(timeout=120), process.returncode) for process in running]

    assert [code for _, code in ended] == [0, 0], ended
    assert problems(tmp_path / "w") == []


# -------------------------------------------------------------------------- bookkeeping


def wav(samples: np.ndarray, rate: int, subtype: str) -> Callable[[Path], None]:
    return lambda path: sf.write(path, samples, rate, subtype=subtype)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def not_finite(path: Path) -> None:
    samples, rate = sf.read(path, dtype="float32")
    samples[100] = np.nan
    sf.write(path, samples, rate, subtype="FLOAT")


def in_another_form(subtype: str, channels: int = 1) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        samples, rate = sf.read(path)
        sf.write(path, np.stack([samples] * channels, axis=1), rate, subtype=subtype)

    return write


def at_another_rate(path: Path) -> None:
    samples, rate = sf.read(path)
    sf.write(path, np.repeat(samples, 2), 2 * rate, subtype="PCM_16")


BAD = {
    "unreadable": (lambda p: p.write_bytes(b"RIFF\x10\0\0\0WAVEfmt "), "truncated"),
    "no audio at all": (lambda p: p.write_bytes(b"once upon a time" * 20), "cannot be decoded"),
    "truncated": (truncated, "is truncated"),
    "empty": (lambda p: p.write_bytes(b""), "is an empty file"),
    "zero-length": (wav(np.zeros(0), 16000, "PCM_16"), "holds no samples"),
    "silent": (wav(np.zeros(16000), 16000, "PCM_16"), "is silent from end to end"),
    "NaN": (not_finite, "holds NaN or infinite samples"),
    "noise below every threshold": (
        wav(np.random.default_rng(0).normal(0, 1e-4, 16000), 16000, "PCM_16"),
        "is below the silence thresholds",
    ),
    "too low a rate": (wav(np.ones(4000) * 0.1, 2000, "PCM_16"), "too low for speech"),
    "a few samples": (wav(np.ones(9) * 0.5, 16000, "PCM_16"), "less than one reduced frame"),
}
SOUND = {
    "stereo": in_another_form("PCM_16", channels=2),
    "24 bits": in_another_form("PCM_24"),
    "floats": in_another_form("FLOAT"),
    "8 bits": in_another_form("PCM_U8"),
    "another rate": at_another_rate,
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_recording_is_set_aside_and_the_rest_is_built(
    kind: str, pair_corpus: PairCorpus, tmp_path: Path
) -> None:
    spoil, reason = BAD[kind]
    spoil(pair_corpus.source / "utt_003.wav")
    version = built(pair_corpus, tmp_path / "w").version

    assert [aside.pair for aside in version.set_aside] == ["N>C/utt_003"]
    assert reason in version.set_aside[0].reason
    states = {recording.id: recording for recording in version.recordings}
    assert states["N/utt_003"].state == states["C/utt_003"].state == "set aside"
    assert len(version.pairs) == 5
    for what, total in (("recordings", "found"), ("pairs", "candidates")):
        counts = version.totals[what]
        assert counts[total] == counts["used"] + sum(counts["set_aside"].values())
    assert problems(tmp_path / "w") == []


@pytest.mark.parametrize("kind", SOUND)
def test_an_unusual_recording_is_used(kind: str, pair_corpus: PairCorpus, tmp_path: Path) -> None:
    SOUND[kind](pair_corpus.target / "utt_003.wav")

    assert len(built(pair_corpus, tmp_path / "w").version.pairs) == 6


def test_all_kinds_of_trouble_at_once_add_up(tmp_path: Path) -> None:
    corpus = write_pair_corpus(tmp_path / "corpus", count=18)
    for number, (spoil, _) in enumerate(BAD.values(), start=1):
        spoil(corpus.source / f"utt_{number:03d}.wav")
    (corpus.target / "utt_012.wav").unlink()  # a missing partner
    (corpus.source / "again").mkdir()
    shutil.copy(corpus.source / "utt_013.wav", corpus.source / "again" / "utt_013.wav")
    version = built(corpus, tmp_path / "w").version

    recordings, pairs = version.totals["recordings"], version.totals["pairs"]
    assert recordings["found"] == 18 + 17 + 1 == len(version.recordings)
    assert recordings["found"] == recordings["used"] + sum(recordings["set_aside"].values())
    assert recordings["set_aside"]["has no partner"] == 1  # utt_012's source
    shared = "its partner shares its stem with another file"
    assert recordings["set_aside"][shared] == 1  # utt_013's target
    assert pairs["candidates"] == 16
    assert pairs["used"] == 16 - len(BAD) == len(version.pairs)
    assert sum(pairs["set_aside"].values()) == len(BAD) == len(version.set_aside)


def test_strict_refuses_what_would_be_set_aside(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    truncated(pair_corpus.source / "utt_003.wav")
    with pytest.raises(CheckFailed, match="utt_003"):
        built(pair_corpus, tmp_path / "w", strict=True)
    assert list_versions(tmp_path / "w") == []


def test_nothing_left_is_an_error_with_its_reasons(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    for path in pair_corpus.source.iterdir():
        path.write_bytes(b"")
    with pytest.raises(BadSetting, match=r"none of 6 candidate pairs.*6 x source is an empty file"):
        built(pair_corpus, tmp_path / "w")


def test_a_missing_folder_is_named(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    shutil.rmtree(pair_corpus.target)
    with pytest.raises(BadSetting, match=r"speaker C: folder .*target does not exist"):
        built(pair_corpus, tmp_path / "w")


def test_a_dry_run_writes_nothing(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    request = Request(
        name="T", settings=definition(pair_corpus), workspace=tmp_path / "w", dry_run=True
    )
    *_, last = build(request)

    assert last == Planned(candidates=6, recordings=12, unmeasured=12)
    assert not (tmp_path / "w").exists()


def test_thresholds_below_the_floor_are_warned_of(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    settings = definition(pair_corpus, "silence.thresh=-100")
    events = list(build(Request(name="T", settings=settings, workspace=tmp_path / "w", jobs=1)))

    assert any(isinstance(e, Note) and "digital zero only" in e.text for e in events)
    assert "digital zero only" in open_version(tmp_path / "w", "T").warnings[0]


# ------------------------------------------------------------- whatever fails in between


def kill_and_rebuild(corpus: PairCorpus, tmp_path: Path, kills: int) -> None:
    """Kill a build and all its processes at moments spread over its duration, then build."""
    toml = write_definition(corpus, tmp_path / "T.toml")
    reference = built(corpus, tmp_path / "reference").version.fingerprint
    arguments = ["build", "T", "--config", str(toml), "--jobs", "2", "--workspace"]
    started = time.perf_counter()
    assert command(*arguments, tmp_path / "timed").returncode == 0
    whole = time.perf_counter() - started
    for number in range(kills):
        workspace = tmp_path / f"w{number % 3}"  # some kills hit what a former one left
        process = subprocess.Popen(
            [sys.executable, "-m", "corpuskit.cli", *arguments, str(workspace)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(whole * (number + 1) / (kills + 1))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for name in list_versions(workspace):
            assert problems(workspace, name) == []
    for number in range(min(3, kills)):
        version = built(corpus, tmp_path / f"w{number}").version
        assert version.fingerprint == reference
        assert problems(tmp_path / f"w{number}") == []


@pytest.mark.slow
def test_a_killed_build_goes_on_from_what_is_whole(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    kill_and_rebuild(pair_corpus, tmp_path, kills=4)


@pytest.mark.slow
def test_twenty_killed_builds(tmp_path: Path) -> None:
    kill_and_rebuild(write_pair_corpus(tmp_path / "corpus", count=24), tmp_path, kills=20)


# ------------------------------------------------------------------------------- healing


def test_a_build_heals_damaged_and_missing_objects(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    version = built(pair_corpus, tmp_path / "w").version
    store = Store(tmp_path / "w")
    damaged, missing = version.pairs[0].source.object, version.pairs[1].alignment
    raw = bytearray(store.path(damaged).read_bytes())
    raw[-5] ^= 1
    store.path(damaged).write_bytes(raw)
    store.path(missing).unlink()
    assert len(problems(tmp_path / "w")) == 2
    again = built(pair_corpus, tmp_path / "w")

    assert not again.new
    assert again.version.fingerprint == version.fingerprint
    assert problems(tmp_path / "w") == []


def test_half_a_wav_header_is_no_crash(pair_corpus: PairCorpus, tmp_path: Path) -> None:
    path = pair_corpus.source / "utt_001.wav"
    whole = path.read_bytes()
    chunk = whole.index(b"data")
    path.write_bytes(whole[: chunk + 4] + struct.pack("<I", 2**31) + whole[chunk + 8 :])

    assert len(built(pair_corpus, tmp_path / "w").version.pairs) == 5

"""Pitch, speed and level of conversions, measured on their sound; recordings of all conditions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import pyworld
import soundfile as sf
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydub import AudioSegment

from called import Command, refused
from corpuskit.audio import Sound, to_16_bit
from corpuskit.errors import BadAudio, BadSetting
from corpuskit.silence import level_curve
from corpuskit.versions import open_version
from speaking import sound_of, told
from thorough import thoroughly
from trainer.batches import Inputs
from trainer.convert import Converted, Converter
from trainer.errors import BadRun
from trainer.hearing import hear
from trainer.manner import Manner
from trainer.many import convert_all
from trainer.model import Draw, Generated, hurried
from trainer.runs import open_run
from trainer.usual import Level, level_of_curve, level_of_frames, of_run, of_version
from trainer.vocoders.choice import choose
from training import started

RATE = 22050


def tracked(converted: Converted) -> np.ndarray:
    """F0 every 5 ms, by Harvest; 0 where unvoiced."""
    track, _ = pyworld.harvest(converted.samples.astype(np.float64), converted.rate)
    return np.asarray(track)


def middle_f0(converted: Converted) -> float:
    track = tracked(converted)
    return float(np.median(track[track > 0]))


# ------------------------------------------------------------------ pitch


@thoroughly("semitones", [-7.0, 4.0, -2.5, 9.0], quick=2)
@pytest.mark.parametrize("phrases", [1, 4])
def test_a_pitch_shift_moves_the_measured_f0_by_its_interval(
    steady: Converter, semitones: float, phrases: int
) -> None:
    sound = sound_of(told(phrases))

    plain = steady.convert(sound)
    shifted = steady.convert(sound, manner=Manner(pitch_shift=semitones))

    before, after = tracked(plain), tracked(shifted)
    both = (before > 0) & (after > 0)
    assert both.sum() > 0.6 * (before > 0).sum()
    assert 12 * np.median(np.log2(after[both] / before[both])) == pytest.approx(semitones, abs=0.2)
    assert np.array_equal(plain.speech.mel, shifted.speech.mel)
    assert len(plain.samples) == len(shifted.samples)


def test_a_vocoder_that_hears_no_f0_refuses_a_pitch_shift(
    steady: Converter, tmp_path: Path
) -> None:
    vocoder = choose("griffinlim", steady.settings.features, RATE)
    other = dataclasses.replace(steady, vocoder=vocoder)

    with pytest.raises(BadSetting, match=r"takes the pitch from the mel.*--vocoder world"):
        other.convert(sound_of(told(1)), manner=Manner(pitch_shift=2))
    with pytest.raises(BadSetting, match="takes the pitch"):
        list(convert_all(other, [tmp_path / "absent.wav"], manner=Manner(pitch_shift=2)))


# ------------------------------------------------------------------ speed


@thoroughly("speed", [0.8, 2.0, 0.5, 1.1, 1.25, 3.0], quick=2)
@pytest.mark.parametrize("phrases", [1, 5])
def test_the_length_follows_the_speed_and_the_pitch_does_not(
    steady: Converter, speed: float, phrases: int
) -> None:
    sound = sound_of(told(phrases, vowels=8 if phrases == 1 else 5))

    plain = steady.convert(sound)
    fast = steady.convert(sound, manner=Manner(speed=speed))

    reduced = 3 * 256 / RATE
    assert fast.seconds == pytest.approx(plain.seconds / speed, rel=0.02, abs=reduced)
    assert middle_f0(fast) == pytest.approx(middle_f0(plain), rel=0.04)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_the_models_own_durations_are_divided(timed: Converter, speed: float) -> None:
    sound = sound_of(told(4))

    plain = timed.convert(sound)
    fast = timed.convert(sound, manner=Manner(speed=speed))

    assert fast.seconds * speed == pytest.approx(plain.seconds, rel=0.02)


@pytest.mark.parametrize("speed", [1.0, 1.25])
def test_a_model_that_speaks_too_fast_is_slowed_down(timed: Converter, speed: float) -> None:
    """Its durations are divided by the pace the dev split told, beside the speed asked for."""
    hasty, sound = dataclasses.replace(timed, pace=0.8), sound_of(told(1))

    plain = timed.convert(sound)
    slowed = hasty.convert(sound, manner=Manner(speed=speed))

    assert slowed.seconds == pytest.approx(plain.seconds / 0.8 / speed, rel=0.02)


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=1, max_size=4),
    st.floats(0.25, 4.0),
)
def test_sums_of_durations_are_divided_to_half_a_frame(rows: list[list[int]], speed: float) -> None:
    durations = torch.tensor(rows)
    durations[:, 0] += 1  # an utterance has a frame

    found = hurried(durations, speed)

    wanted = durations.sum(1) / speed
    assert (found >= 0).all()
    assert (found.sum(1) >= 1).all()
    assert ((found.sum(1) - wanted).abs() <= 0.5 + 1e-6).logical_or(wanted < 0.5).all()


# ------------------------------------------------------------------ level


def loudness(samples: np.ndarray) -> float:
    """What pydub says of steady sound, dBFS."""
    data = to_16_bit(samples).tobytes()
    return float(AudioSegment(data, frame_rate=RATE, sample_width=2, channels=1).dBFS)


@pytest.mark.parametrize("gain", [-30.0, -12.0, 12.0, 26.0])
@pytest.mark.parametrize("phrases", [1, 3])
def test_a_recording_of_another_level_is_converted_as_if_it_had_the_trainings(
    steady: Converter, gain: float, phrases: int
) -> None:
    """Its rooms' noise is as loud as its speech is: thresholds find the same pauses."""
    spoken = told(phrases)

    plain = steady.convert(sound_of(spoken))
    other = steady.convert(sound_of(spoken, 10 ** (gain / 20)))

    assert len(other.samples) == len(plain.samples)
    found, wanted = (each.speech.mel for each in (other, plain))
    assert np.abs(found - wanted).mean() < 0.02
    assert level(other) == pytest.approx(level(plain), abs=0.2)


def level(converted: Converted) -> float:
    samples = converted.samples.astype(np.float64)
    found = level_of_curve(level_curve(sound_at(samples, converted.rate)))
    assert found is not None
    return found


def sound_at(samples: np.ndarray, rate: int) -> Sound:
    return Sound(samples=samples, rate=rate, channels=1, subtype="DOUBLE")


@pytest.mark.parametrize("gain", [-20.0, 0.0])
def test_levels_of_conversions_are_those_asked_for(steady: Converter, gain: float) -> None:
    spoken = told(1, vowels=7)
    sound = sound_of(spoken, 10 ** (gain / 20))
    assert steady.usual is not None

    for asked, wanted in (
        ("match", steady.usual.targets["C"].median),
        ("keep", -24.0 + gain),
        (-31.5, -31.5),
    ):
        converted = steady.convert(sound, manner=Manner(level=asked))  # type: ignore[arg-type]
        assert level(converted) == pytest.approx(wanted, abs=0.2)
        assert loudness(converted.samples) == pytest.approx(wanted, abs=1.5)  # all frames
        assert converted.notes == ()


def test_nothing_clips_and_what_is_missing_is_told(steady: Converter) -> None:
    converted = steady.convert(sound_of(told(3)), manner=Manner(level=0.0))

    assert 0.95 < np.abs(converted.samples).max() < 1.0
    (note,) = converted.notes
    assert f"is converted to {level(converted):.1f} dBFS: at 0 it would clip" == note


def test_without_knowledge_of_the_training_levels_stay(steady: Converter) -> None:
    other = dataclasses.replace(steady, usual=None)
    sound = sound_of(told(1), 0.5)

    assert other.ready(sound, "N").heard.gain == 1.0
    assert other.longest == int(15 * RATE / 256)
    kept = other.convert(sound, manner=Manner(level="keep"))
    assert level(kept) == pytest.approx(-30, abs=0.2)


def test_levels_are_those_of_the_speech_whatever_the_pauses() -> None:
    for pause in (0.1, 1.0, 3.0):
        spoken = told(4, pause=pause)
        found = level_of_curve(level_curve(sound_of(spoken)))
        assert found == pytest.approx(spoken.truth.voice.level, abs=0.3)


def test_frames_and_samples_tell_one_level(steady_workspace: Path) -> None:
    version = open_version(steady_workspace, "demo")
    for pair in version.pairs:
        recording = next(r for r in version.recordings if r.id == pair.source.recording)
        energy = version.features(pair.source).energy

        found = level_of_frames(energy, version.settings.features)

        assert found == pytest.approx(
            level_of_curve(level_curve(version.sound(recording))), abs=0.3
        )
        assert found == pytest.approx(-24.0, abs=0.3)


def test_what_is_usual_is_kept_with_the_run_and_found_again_without(
    steady_workspace: Path, tmp_path: Path
) -> None:
    run = open_run(steady_workspace, "demo_1")
    version = open_version(steady_workspace, "demo")
    usual = of_run(run)

    assert usual == of_version(version)
    assert usual is not None
    train = version.split("train")
    assert usual.longest == max(p.source.frames[1] - p.source.frames[0] for p in train)
    assert usual.targets["C"].median == pytest.approx(-18.0, abs=0.3)
    gone = dataclasses.replace(run, folder=tmp_path / "runs" / "moved")
    assert of_run(gone) is None
    old = dataclasses.replace(run, folder=steady_workspace / "runs" / "before")
    assert of_run(old) == usual
    (tmp_path / "usual.json").write_text('{"longest": "x"}')
    with pytest.raises(BadRun, match=r"usual\.json cannot be read"):
        of_run(dataclasses.replace(run, folder=tmp_path))


def test_a_level_near_the_usual_is_left_alone() -> None:
    usual = Level(median=-20, low=-22, high=-19)

    assert [usual.near(level) for level in (-25.1, -24.9, -20, -16.1, -15.9)] == [
        *(False, True, True, True, False)
    ]


# ------------------------------------------------------------------ recordings of all conditions


@pytest.mark.parametrize("phrases", [1, 4])
def test_8_khz_is_converted_with_one_warning(steady: Converter, phrases: int) -> None:
    converted = steady.convert(sound_of(told(phrases, rate=8000)))

    (note,) = converted.notes
    assert note.startswith("has nothing above 4,000 Hz, being sampled at 8,000 Hz")
    assert converted.seconds == pytest.approx(
        steady.convert(sound_of(told(phrases))).seconds, abs=0.1
    )


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("phrases", [1, 4])
def test_higher_rates_are_resampled(steady: Converter, rate: int, phrases: int) -> None:
    plain = steady.convert(sound_of(told(phrases, rate=22050)))

    converted = steady.convert(sound_of(told(phrases, rate=rate)))

    assert (converted.rate, converted.notes) == (RATE, ())
    assert len(converted.samples) == pytest.approx(len(plain.samples), abs=3 * 256)


def test_both_sides_of_a_stereo_recording_are_mixed(steady: Converter, tmp_path: Path) -> None:
    samples = sound_of(told(4)).samples
    sf.write(tmp_path / "in.wav", np.stack((2 * samples, 0 * samples), 1), 16000, subtype="DOUBLE")

    converted = steady.convert(tmp_path / "in.wav")

    assert np.array_equal(converted.samples, steady.convert(sound_of(told(4))).samples)


@pytest.mark.parametrize("phrases", [2, 6])
def test_noise_above_the_threshold_is_told_and_converted(steady: Converter, phrases: int) -> None:
    converted = steady.convert(sound_of(told(phrases, floor=-40.0)))

    note, *_ = converted.notes
    assert note.startswith("has no pause: its noise is everywhere above the dataset's silence")
    assert "(-50 dBFS)" in note
    assert np.isfinite(converted.samples).all()


@pytest.mark.parametrize("phrases", [1, 5])
def test_a_constant_that_would_hide_the_pauses_is_taken_out_and_told(
    steady: Converter, phrases: int
) -> None:
    sound = sound_of(told(phrases))
    plain = steady.convert(sound)

    for offset in (0.03, -0.2):
        converted = steady.convert(sound_at(sound.samples + offset, 16000))

        assert converted.notes == (
            "has a constant offset (DC), which is taken out; check the recorder",
        )
        assert len(converted.samples) == len(plain.samples)
        np.testing.assert_allclose(converted.speech.mel, plain.speech.mel, atol=0.05)
    slight = steady.ready(sound_at(sound.samples + 5e-4, 16000), "N")  # as some datasets have it
    assert (slight.heard.offset, slight.heard.notes) == (0.0, ())


def test_a_clipped_recording_is_told(steady: Converter) -> None:
    samples = sound_of(told(1)).samples
    peak = np.abs(samples).max()
    time = np.arange(len(samples)) / 16000
    hum = to_16_bit(samples + 0.2 * np.sin(2 * np.pi * 50 * time)) / 32768

    def told_of(samples: np.ndarray) -> str:
        return " ".join(hear(sound_at(samples, 16000), steady.settings).notes)

    assert told_of(samples.clip(-peak / 5, peak / 5)).startswith("is clipped:")
    assert "clipped" not in told_of(samples)
    assert "clipped" not in told_of(hum)  # whose crests are flat for some samples, too


def test_channels_that_cancel_each_other_are_told(steady: Converter, tmp_path: Path) -> None:
    samples = sound_of(told(1)).samples
    sf.write(tmp_path / "in.wav", np.stack((samples, -samples), 1), 16000, subtype="DOUBLE")

    with pytest.raises(BadAudio, match="every sample is zero once its 2 channels are mixed"):
        steady.convert(tmp_path / "in.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_long_recording_with_a_bad_sample_is_refused(
    steady: Converter, tmp_path: Path, bad: float
) -> None:
    samples = sound_of(told(4)).samples.copy()
    samples[40000] = bad
    sf.write(tmp_path / "in.wav", samples, 16000, subtype="FLOAT")

    with pytest.raises(BadAudio, match=r"in\.wav holds NaN or infinite samples"):
        steady.convert(tmp_path / "in.wav")


# ------------------------------------------------------------------ the command


@pytest.mark.parametrize(
    ("options", "told_so"),
    [
        (["--pitch-shift", "13"], "a pitch shift of 13 semitones is too far; use -12 to 12"),
        (["--pitch-shift", "nan"], "a pitch shift of nan"),
        (["--speed", "0"], "a speed of 0 is out of range; use 0.25 to 4"),
        (["--speed", "inf"], "a speed of inf"),
        (["--level", "loud"], "'loud' is no level; use match, keep or a number of dBFS"),
        (["--level", "nan"], "'nan' is no level"),
        (["--level", "3"], "a level of 3 dBFS is out of range; use -70 to 0"),
        (["--pitch-shift", "1", "--vocoder", "griffinlim"], "takes the pitch from the mel"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_written(
    command: Command, workspace: Path, tmp_path: Path, options: list[str], told_so: str
) -> None:
    started(workspace)
    sf.write(tmp_path / "in.wav", sound_of(told(1)).samples, 16000)
    out = tmp_path / "out"

    result = command("convert", "N2C_1", str(tmp_path / "in.wav"), str(out / "out.wav"), *options)

    assert told_so in refused(result)
    assert not out.exists()


def test_the_command_speaks_as_asked_and_groups_its_warnings(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    started(workspace)
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a", "b", "c"):
        sf.write(folder / f"{name}.wav", sound_of(told(1, rate=8000)).samples, 8000)

    options = ["--level", "-33", "--speed", "0.5", "--pitch-shift", "-2"]
    result = command("convert", "N2C_1", str(folder), str(out), *options)

    assert result.exit_code == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"warning: {folder / 'a.wav'} (and 2 others) has nothing above 4,000 Hz")
    samples, rate = sf.read(out / "b.wav")
    assert level_of_curve(level_curve(sound_at(samples, rate))) == pytest.approx(-33, abs=0.1)


def test_the_same_seed_draws_the_same_bytes(command: Command, workspace: Path) -> None:
    wgmm = ("model.prosody=wgmm", "model.prosody_size=8", "model.prosody_components=2")
    started(workspace, *wgmm)
    folder = workspace.parent
    sf.write(folder / "in.wav", sound_of(told(4)).samples, 16000)
    made = {}
    for name, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        out = folder / f"{name}.wav"
        drawn = ["--temperature", "1.5", "--seed", seed]
        assert command("convert", "N2C_1", str(folder / "in.wav"), str(out), *drawn).exit_code == 0
        made[name] = out.read_bytes()

    assert made["one"] == made["two"] != made["three"]


def test_the_pieces_of_a_long_recording_draw_for_themselves(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(workspace, "model.prosody=wgmm", "model.prosody_size=8", "model.prosody_components=2")
    converter = Converter.open(workspace, "N2C_1", device="cpu")
    model, pieces = converter.model, list[tuple[int, ...] | None]()
    generate = model.generate

    def watched(inputs: Inputs, draw: Draw, speed: float) -> Generated:
        pieces.append(draw.pieces)
        return generate(inputs, draw, speed)

    monkeypatch.setattr(model, "generate", watched)
    monkeypatch.setattr("trainer.convert.BATCHED", 2)
    samples = np.pad(sound_of(told(1)).samples, (0, 16000))
    cough = np.pad(np.random.default_rng(0).normal(0, 0.1, 16000), (0, 16000))
    parts = [samples, samples, cough, samples, samples]

    made = converter.convert(
        sound_at(np.concatenate(parts), 16000), draw=Draw(temperature=1.0, seed=3)
    )

    assert pieces == [(0, 1), (2,), (3,)]  # what has no voice draws nothing
    assert any("without a voice" in note for note in made.notes)


@pytest.mark.parametrize("option", [("--temperature", "inf"), ("--seed", str(2**63))])
def test_a_draw_that_cannot_be_is_refused(
    command: Command, workspace: Path, option: tuple[str, str]
) -> None:
    started(workspace)
    sf.write(workspace.parent / "in.wav", sound_of(told(1)).samples, 16000)
    out = workspace.parent / "out.wav"

    result = command("convert", "N2C_1", str(workspace.parent / "in.wav"), str(out), *option)

    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert not out.exists()

"""The demo: what its voices promise, and that it is written whole, once and the same."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import pyworld
import soundfile as sf

from corpuskit import demo_voices
from corpuskit.config import load_dataset
from corpuskit.demo import Begun, Finished, Spoken, make_demo, sentences
from corpuskit.demo_voices import VOICES, phrase_texts
from corpuskit.errors import BadSetting, CorpuskitError, Refused
from corpuskit.settings import load_toml

pytest.importorskip("pyopenjtalk", reason="pip install pyopenjtalk-plus")

SMALL = 2  # sentences


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo of two sentences; tests only read it."""
    folder = tmp_path_factory.mktemp("demo")
    list(make_demo(folder, count=SMALL, jobs=1))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def median_f0(wav: Path) -> float:
    samples, rate = sf.read(wav)
    f0, _ = pyworld.dio(samples, rate, f0_floor=60)
    return float(np.median(f0[f0 > 0]))


def zero_runs(samples: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of every run of digital zero."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], samples == 0, [0]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


# -------------------------------------------------------------------- sentences


def test_there_are_sixty_different_sentences() -> None:
    spoken = [phrase_texts(sentence)[0] for sentence in sentences()]

    assert len(spoken) == len(set(spoken)) == 60


def test_some_pauses_are_of_both_voices_and_some_of_one() -> None:
    texts = [phrase_texts(sentence) for sentence in sentences()]

    assert sum("、" in source and "、" in target for source, target in texts) >= 20
    assert sum("、" in source and "、" not in target for source, target in texts) >= 5
    assert sum("、" not in source and "、" in target for source, target in texts) >= 5
    assert not any(mark in text for text in itertools.chain(*texts) for mark in "／＼")


def test_each_voice_pauses_where_its_text_says() -> None:
    source, target = phrase_texts("夕焼けがきれいで／声が、出なかった＼しばらく。")

    assert source == "夕焼けがきれいで、声が、出なかったしばらく。"
    assert target == "夕焼けがきれいで声が、出なかった、しばらく。"


# ----------------------------------------------------------------------- voices


def test_every_voice_speaks_at_its_own_pitch(small: Path) -> None:
    for voice in VOICES.values():
        heard = median_f0(small / voice.folder / "demo_001.wav")
        assert heard == pytest.approx(voice.pitch, rel=0.1)
    assert VOICES["C"].pitch / VOICES["N"].pitch > 2


def test_no_two_voices_are_alike() -> None:
    for one, other in itertools.combinations(VOICES.values(), 2):
        assert abs(np.log2(one.pitch / other.pitch)) > 0.15
        assert abs(np.log2(one.tract / other.tract)) > 0.04


def test_formants_move_with_the_tract(small: Path) -> None:
    """The long-term envelope of N, stretched by the ratio of tracts, is nearest to C's."""

    grid = np.arange(300, 5000, 20)

    def envelope(name: str) -> np.ndarray:
        samples, rate = sf.read(small / VOICES[name].folder / "demo_001.wav")
        f0, times = pyworld.dio(samples, rate, f0_floor=60)
        power = pyworld.cheaptrick(samples, f0, times, rate)[f0 > 0]
        hertz = np.arange(power.shape[1]) * rate / 2 / (power.shape[1] - 1)
        return np.interp(grid, hertz, np.log(power).mean(axis=0))

    source, target = envelope("N"), envelope("C")

    def distance(stretch: float) -> float:
        inside = (grid / stretch > 300) & (grid < 4500)
        return float(np.std((np.interp(grid / stretch, grid, source) - target)[inside]))

    stretches = np.arange(0.8, 1.7, 0.05)
    best = stretches[np.argmin([distance(stretch) for stretch in stretches])]
    assert best == pytest.approx(VOICES["C"].tract / VOICES["N"].tract, abs=0.15)


def test_source_has_a_room_of_its_own_in_every_recording(small: Path) -> None:
    heads = []
    for wav in sorted((small / "N2C/source").glob("*.wav")):
        samples, rate = sf.read(wav)
        assert rate == 48000
        head = samples[: rate // 10]
        assert 20 * np.log10(np.sqrt(np.mean(head**2))) == pytest.approx(-57, abs=1)
        heads.append(head)
    assert abs(np.corrcoef(heads)[0, 1]) < 0.1


def test_target_is_digital_zero_around_and_between_its_phrases(small: Path) -> None:
    for wav in sorted((small / "N2C/target").glob("*.wav")):
        samples, rate = sf.read(wav, dtype="int16")
        assert rate == 24000
        runs = [run for run in zero_runs(samples) if run[1] - run[0] >= 0.09 * rate]
        assert runs[0][0] == 0
        assert runs[-1][1] == len(samples)
        assert len(runs) >= 3


def test_breath_beside_the_zeros_lies_between_the_two_thresholds(small: Path) -> None:
    for wav in sorted((small / "N2C/target").glob("*.wav")):
        samples, rate = sf.read(wav, dtype="int16")
        window = round(0.04 * rate)
        for start, stop in zero_runs(samples):
            if stop - start < 0.09 * rate:
                continue
            for beside in (samples[max(0, start - window) : start], samples[stop : stop + window]):
                if len(beside):
                    level = 20 * np.log10(np.sqrt(np.mean((beside / 32768) ** 2)))
                    assert -90.3 < level < -80


def test_minus_80_and_minus_100_see_different_phrases(small: Path) -> None:
    from pydub import AudioSegment
    from pydub.silence import detect_silence

    tails, silent = {}, {}
    for threshold in (-80, -100):
        spans = []
        for wav in sorted(small.glob("N2C/target/*.wav")):
            samples, rate = sf.read(wav, dtype="int16")
            sound = AudioSegment(samples.tobytes(), sample_width=2, frame_rate=rate, channels=1)
            spans.append(detect_silence(sound, 50, threshold))
        silent[threshold] = sum(stop - start for each in spans for start, stop in each)
        tails[threshold] = sum(each[-1][1] - each[-1][0] for each in spans)

    assert silent[-80] > silent[-100] + 200 * SMALL
    assert tails[-80] > tails[-100] + 100 * SMALL


def test_nothing_clips(small: Path) -> None:
    for wav in small.rglob("*.wav"):
        samples, _ = sf.read(wav, dtype="int16")
        assert np.abs(samples.astype(int)).max() < 32767


# ------------------------------------------------------------------ the writing


def test_layout_and_closing_sentence(tmp_path: Path) -> None:
    begun, *spoken, finished = make_demo(tmp_path / "demo", count=SMALL)

    written = files(tmp_path / "demo")
    wavs = [path for path in written if path.endswith(".wav")]
    assert begun == Begun(recordings=8, kept=0)
    assert len(wavs) == len(spoken) == 8  # 2 of N, 2 of C, 1 of each further voice
    assert sorted(set(written) - set(wavs)) == ["README.md", "demo.jsonl", "transcript.txt"]
    assert written["transcript.txt"].decode().splitlines()[0] == f"demo_001\t{sentences()[0]}"
    assert isinstance(finished, Finished)
    assert "2 pairs of N (" in str(finished)
    assert "8 recordings" in str(finished)


@pytest.mark.parametrize("jobs", [1, 2])
def test_equal_seeds_give_equal_bytes(small: Path, tmp_path: Path, jobs: int) -> None:
    list(make_demo(tmp_path / "again", count=SMALL, jobs=jobs))

    assert files(tmp_path / "again") == files(small)


def test_another_seed_gives_other_pauses_and_noise(small: Path, tmp_path: Path) -> None:
    list(make_demo(tmp_path / "other", count=SMALL, seed=1))

    here, there = files(small), files(tmp_path / "other")
    assert here.keys() == there.keys()
    assert all(here[path] != there[path] for path in here if path.endswith(".wav"))


def test_an_interrupted_demo_is_completed(small: Path, tmp_path: Path) -> None:
    events = make_demo(tmp_path, count=SMALL, jobs=1)
    for _ in range(4):  # Begun and three recordings
        next(events)
    events.close()

    begun, *spoken, _ = make_demo(tmp_path, count=SMALL)

    assert begun == Begun(recordings=8, kept=3)
    assert len(spoken) == 5
    assert files(tmp_path) == files(small)


def test_a_complete_demo_is_left_as_it_is(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    _, finished = make_demo(tmp_path, count=SMALL)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert "nothing was changed" in str(finished)


@pytest.mark.parametrize("damage", ["truncate", "delete", "torn journal"])
def test_damage_is_healed(small: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    wav, journal = tmp_path / "N2C/target/demo_002.wav", tmp_path / "demo.jsonl"
    if damage == "truncate":
        wav.write_bytes(wav.read_bytes()[:-100])
    elif damage == "delete":
        wav.unlink()
    else:
        journal.write_bytes(journal.read_bytes()[:-30])

    _, *spoken, _ = make_demo(tmp_path, count=SMALL)

    assert len(spoken) <= 1
    assert files(tmp_path) == files(small)


@pytest.mark.parametrize("other", [{"seed": 1}, {"count": 3}])
def test_two_demos_are_not_mixed(small: Path, other: dict[str, int]) -> None:
    before = files(small)

    with pytest.raises(Refused, match="holds a demo with"):
        list(make_demo(small, **{"count": SMALL, **other}))

    assert files(small) == before


def test_a_corpus_of_someone_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "N2C" / "source").mkdir(parents=True)

    with pytest.raises(Refused, match="choose another folder"):
        list(make_demo(tmp_path, count=SMALL))

    assert list(tmp_path.rglob("*.wav")) == []


@pytest.mark.parametrize("count", [-1, 0, 1, 61])
def test_a_count_there_are_no_sentences_for_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(BadSetting, match="2 to 60 sentences"):
        list(make_demo(tmp_path, count=count))


def test_without_the_synthesiser_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(demo_voices.importlib.metadata, "version", version)

    with pytest.raises(CorpuskitError, match="pip install pyopenjtalk-plus"):
        list(make_demo(tmp_path / "demo", count=SMALL))

    assert not (tmp_path / "demo").exists()


def test_nothing_but_events_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What the synthesiser prints on being loaded does not reach a pipe's reader."""
    code = (
        "import sys; from pathlib import Path; from corpuskit.demo import make_demo\n"
        f"list(make_demo(Path(sys.argv[1]), count={SMALL}))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "demo")], check=True)

    assert capfd.readouterr().out == ""


def test_the_command_closes_with_one_sentence(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(small, tmp_path / "demo")
    command = [sys.executable, "-m", "corpuskit.cli", "demo", str(tmp_path / "demo")]

    done = subprocess.run([*command, "--sentences", str(SMALL)], check=False)
    said = capfd.readouterr()
    refused = subprocess.run([*command, "--sentences", "61"], check=False)
    complaint = capfd.readouterr()

    assert (done.returncode, refused.returncode) == (0, 2)
    assert said.out.count("\n") == 1
    assert "nothing was changed" in said.out
    assert said.err == complaint.out == ""
    assert "the demo has 2 to 60 sentences" in complaint.err


@pytest.mark.parametrize("name", ["demo", "demo_multi"])
def test_the_definitions_find_all_of_it(small: Path, name: str) -> None:
    """configs/datasets/demo*.toml name the folders and voices that the demo writes."""
    path = Path(__file__).parents[2] / "configs" / "datasets" / f"{name}.toml"
    mapping = load_toml(path)
    corpus = mapping["corpora"]["demo"]
    folder = Path(corpus["root"]).relative_to("../../demo")

    defined = {voice: str(folder / place) for voice, place in corpus["speakers"].items()}

    pair = name == "demo"
    written = {voice: each.folder for voice, each in VOICES.items() if (voice in "NC") == pair}
    assert defined == written
    assert load_dataset(path).pairs


@pytest.mark.slow
@pytest.mark.alone
def test_a_killed_demo_is_completed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from corpuskit.demo import make_demo\n"
        "list(make_demo(Path(sys.argv[1]), count=6))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "killed")])
    while not (tmp_path / "killed" / "N2C" / "source" / "demo_003.wav").exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    begun = next(make_demo(tmp_path / "killed", count=6))
    list(make_demo(tmp_path / "killed", count=6))
    list(make_demo(tmp_path / "whole", count=6))

    assert isinstance(begun, Begun)
    assert 0 < begun.kept < begun.recordings
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.alone
def test_the_whole_demo(tmp_path: Path) -> None:
    begun, *spoken, finished = make_demo(tmp_path, jobs=2)

    assert begun == Begun(recordings=280, kept=0)
    assert all(isinstance(event, Spoken) for event in spoken)
    assert isinstance(finished, Finished)
    assert min(event.seconds for event in spoken if isinstance(event, Spoken)) > 2.0
    assert max(event.seconds for event in spoken if isinstance(event, Spoken)) < 9.0
    digests = {data for path, data in files(tmp_path).items() if path.endswith(".wav")}
    assert len(digests) == 280

"""Many recordings at once become what each would become alone; what cannot is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from called import Command
from corpuskit.errors import BadAudio, BadSetting, Refused
from synthetic import FULL_SCALE, Voice, sentence, speak
from trainer.cli import app
from trainer.convert import Converter
from trainer.many import LONGEST_BATCH, batches_of, convert_all, outcomes, written
from untrained import untrained_run


@pytest.fixture(scope="module")
def workspace(n2c_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "workspace"
    shutil.copytree(n2c_workspace, folder)
    untrained_run(folder, "N2C", tag="N2C_1")
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(3):
        spoken = speak(sentence(number), Voice(floor=-60.0, rate=16000)).samples / FULL_SCALE
        sf.write(folder / f"{number}.wav", spoken[: len(spoken) - 4000 * number], 16000)
    sf.write(folder / "silent.flac", np.zeros(16000), 16000)
    return folder


@pytest.fixture(scope="module")
def converter(workspace: Path) -> Converter:
    return Converter.open(workspace, "N2C_1", device="cpu")


def test_together_as_alone_and_in_the_given_order(converter: Converter, recordings: Path) -> None:
    paths = [recordings / name for name in ("2.wav", "silent.flac", "0.wav", "1.wav")]

    found = dict(convert_all(converter, paths, jobs=2))

    assert list(found) == paths
    assert isinstance(found[paths[1]], BadAudio)
    assert "is silent" in str(found[paths[1]])
    for path in (paths[0], paths[2], paths[3]):
        alone = converter.convert(path)
        np.testing.assert_allclose(found[path].speech.mel, alone.speech.mel, atol=1e-4)  # type: ignore[union-attr]
        assert len(found[path].samples) == len(alone.samples)  # type: ignore[union-attr]


@given(st.lists(st.integers(1, 2 * LONGEST_BATCH), max_size=40))
def test_batches_hold_every_recording_once_and_no_more_than_fits(lengths: list[int]) -> None:
    batches = batches_of(lengths)

    assert sorted(each for batch in batches for each in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[each] for each in batch)
        assert len(batch) == 1 or len(batch) * longest <= LONGEST_BATCH


def test_a_file_goes_to_a_file_and_several_into_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("b.wav", "a.FLAC", ".hidden.wav", "notes.txt"):
        (folder / name).touch()
    one, out = folder / "b.wav", tmp_path / "out"

    assert outcomes([one], out) == {one: out}
    assert outcomes([one], tmp_path) == {one: tmp_path / "b.wav"}
    assert outcomes([folder], out) == {
        folder / "a.FLAC": out / "a.wav",
        one: out / "b.wav",
    }


def test_what_would_overwrite_or_has_nothing_to_convert_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()

    with pytest.raises(BadSetting, match="would both be"):
        outcomes([tmp_path / "x/a.wav", tmp_path / "y/a.flac"], tmp_path / "out")
    with pytest.raises(BadSetting, match="is a file"):
        outcomes([tmp_path / "a.wav", tmp_path / "b.wav"], tmp_path / "file")
    with pytest.raises(BadSetting, match=r"holds no \.wav"):
        outcomes([tmp_path / "empty"], tmp_path / "out")


def test_folders_are_taken_with_what_is_below_them(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "in" / "converted"
    names = ("b.wav", "tue day/a.wav", "tue day/日本.ogg", "x.wav/take.1.mp3")
    for name in (*names, ".trash/c.wav", "converted/b.wav", "tue day/notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()

    wanted = outcomes([folder], out)

    assert list(wanted) == [folder / name for name in names]
    places = ("b.wav", "tue day/a.wav", "tue day/日本.wav", "x.wav/take.1.wav")
    assert list(wanted.values()) == [out / name for name in places]


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    one, other = folder / "a.wav", folder / "sub" / "b.wav"
    for each in (one, other):
        each.touch()
    (tmp_path / "link.wav").symlink_to(one)
    (tmp_path / "away").symlink_to(folder)

    for recordings, out in (
        ([one], one),
        ([one], folder),
        ([tmp_path / "link.wav"], one),
        ([tmp_path / "link.wav"], tmp_path / "link.wav"),
        ([one], tmp_path / "away" / "a.wav"),
        ([folder], folder),
        ([folder], tmp_path / "away"),
        ([other, one], folder / "sub" / ".."),
    ):
        with pytest.raises(Refused, match=r"would overwrite the recording"):
            outcomes(recordings, out)
    assert outcomes([one], tmp_path / "link.wav") == {one: tmp_path / "link.wav"}  # `one` stays


@pytest.mark.parametrize("name", ["out.flac", "out.MP3", "out.ogg"])
def test_a_name_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSetting, match=r"written as \.wav; name it .*out\.wav"):
        outcomes([tmp_path / "a.wav"], tmp_path / name)
    assert outcomes([tmp_path / "a.wav"], tmp_path / "out.WAV") == {
        tmp_path / "a.wav": tmp_path / "out.WAV"
    }


def test_the_command_leaves_its_recording_alone(
    command: Command, workspace: Path, recordings: Path
) -> None:
    before = (recordings / "0.wav").read_bytes()

    result = command("convert", "N2C_1", str(recordings), str(recordings))

    assert result.exit_code == 2
    assert "would overwrite the recording" in result.stderr
    assert (recordings / "0.wav").read_bytes() == before


def test_conversions_are_written_as_they_come(
    converter: Converter, recordings: Path, tmp_path: Path
) -> None:
    wanted = outcomes([recordings / "0.wav", recordings / "1.wav"], tmp_path / "out")

    done = list(written(convert_all(converter, list(wanted)), wanted))

    for path, result in done:
        samples, rate = sf.read(path)
        assert (len(samples), rate) == (len(result.samples), 22050)  # type: ignore[union-attr]


def test_the_command_converts_what_it_can_and_names_the_rest(
    workspace: Path, recordings: Path, tmp_path: Path
) -> None:
    command = ["--workspace", str(workspace), "convert", "N2C_1", str(recordings)]

    result = CliRunner().invoke(app, [*command, str(tmp_path / "out")])

    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["0.wav", "1.wav", "2.wav"]
    assert "Converted N -> C: 3 recordings in" in result.stdout
    assert "silent.flac is silent" in result.stderr
    assert "1 of 4 recordings could not be converted" in str(result.exception or result.stderr)
    assert result.exit_code != 0

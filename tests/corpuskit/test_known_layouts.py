"""JSUT, JSSS and JVS in stand-in trees: every count, every subset, every known defect."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from corpuskit.config import CorpusConfig
from corpuskit.layouts import Found, Scan, recognise, scan
from corpuskit.layouts.defects import DEFECTS
from standins import (
    JSUT_COUNTS,
    JVS_EMPTY,
    JVS_FALSET_NAMES,
    JVS_FAULTY,
    JVS_MISSING,
    JVS_SPEAKERS,
    JVS_WITHOUT_WAV,
    WAVS,
    f0_range_of,
    jsss_short_ids,
    jsut_ids,
    specific_ids,
    text_of,
    write_jsss,
    write_jsut,
    write_jvs,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder with all three corpora, as an archive is unpacked."""
    root = tmp_path_factory.mktemp("data")
    write_jsut(root / "jsut_ver1.1")
    write_jsss(root / "jsss_ver1")
    write_jvs(root / "jvs_ver1")
    return root


@pytest.fixture(scope="module")
def jvs(data: Path) -> Scan:
    return scanned(data, "jvs")


def scanned(root: Path, layout: str, **settings: object) -> Scan:
    return scan({"x": CorpusConfig(root=str(root), layout=layout, **settings)})  # type: ignore[arg-type]


def by_id(found: Scan) -> dict[str, Found]:
    named = {each.id: each for each in found.recordings}
    assert len(named) == len(found.recordings)  # ids are unique
    return named


def wavs(found: Scan) -> list[Found]:
    return [each for each in found.recordings if not each.absent]


# ------------------------------------------------------------------------- JSUT


def test_jsut_has_its_7696_wavs_all_with_their_text(data: Path) -> None:
    found = scanned(data, "jsut")

    assert found.warnings == ()
    assert len(found.recordings) == 7696
    assert not any(each.problem or each.absent or each.note for each in found.recordings)
    folders = Counter(each.relative.split("/")[1] for each in found.recordings)
    assert folders == JSUT_COUNTS
    for each in found.recordings:
        assert each.text == text_of(each.path.stem)
    assert {each.f0_range for each in found.recordings} == {None}
    assert all((data / each.relative).is_file() for each in found.recordings)


@pytest.mark.parametrize("subset", JSUT_COUNTS)
def test_each_subset_of_jsut_by_itself(data: Path, subset: str) -> None:
    found = scanned(data / "jsut_ver1.1", "jsut", subsets=(subset,))

    assert [each.path.stem for each in found.recordings] == sorted(jsut_ids(subset))
    if subset != "repeat500":
        assert {each.id for each in found.recordings} == {f"jsut/{n}" for n in jsut_ids(subset)}


def test_the_five_readings_of_jsut_are_voices_that_say_the_same(data: Path) -> None:
    found = scanned(data, "jsut", subsets=("repeat500",))

    said: dict[str, set[str]] = {}
    for each in found.recordings:
        said.setdefault(each.speaker, set()).add(each.sentence)
    assert sorted(said) == [f"jsut_set{k}" for k in range(1, 6)]
    assert all(sentences == said["jsut_set1"] for sentences in said.values())
    assert len(said["jsut_set1"]) == 100
    one = by_id(found)["jsut_set3/REPEAT500_042"]
    assert one.path.name == "REPEAT500_set3_042.wav"


def test_transcripts_of_jsut_ver1_are_read_by_the_right_names(tmp_path: Path) -> None:
    write_jsut(tmp_path, ver1=True)
    lines = (tmp_path / "basic5000" / "transcript_utf8.txt").read_text(encoding="utf-8")
    assert lines.startswith("BASIC4992_0001:")

    found = scanned(tmp_path, "jsut", subsets=("basic5000", "voiceactress100"))

    assert len(found.recordings) == 5100
    assert all(each.text == text_of(each.sentence) for each in found.recordings)
    assert not any(each.absent for each in found.recordings)


# ------------------------------------------------------------------------- JSSS


def test_jsss_has_its_3284_short_forms(data: Path) -> None:
    found = scanned(data, "jsss", subsets=("short-form",))

    assert found.warnings == ()
    assert len(found.recordings) == 3284
    expected = {n for s in ("basic5000", "onomatopee300", "voiceactress100") for n in _short(s)}
    assert {each.sentence for each in found.recordings} == expected
    assert "VOICEACTRESS100_077" not in expected
    assert all(each.text == text_of(each.sentence) for each in found.recordings)
    assert {each.speaker for each in found.recordings} == {"jsss"}


def _short(subset: str) -> list[str]:
    return jsss_short_ids(subset)


def test_the_longer_forms_of_jsss_have_their_segments_as_text(data: Path) -> None:
    found = by_id(scanned(data, "jsss", subsets=("long-form", "summarization")))

    assert len(found) == 12
    assert found["jsss/UDON_02"].text == "一つ目の文。 二つ目の文。"
    assert found["jsss/UDON_02"].relative == f"jsss_ver1/long-form/udon/{WAVS}/UDON_02.wav"
    simple = by_id(scanned(data, "jsss", subsets=("simplification",)))
    assert simple["jsss/SIMPLIFICATION_001"].text == text_of("SIMPLIFICATION_001")
    assert len(scanned(data, "jsss").recordings) == 3284 + 12 + 3


def test_what_jsss_simplifies_is_never_taken_for_the_sentence_itself(tmp_path: Path) -> None:
    write_jsss(tmp_path)
    folder = tmp_path / "simplification" / WAVS
    (folder / "SIMPLIFICATION_001.wav").rename(folder / "BASIC5000_0001.wav")

    found = by_id(scanned(tmp_path, "jsss"))

    assert found["jsss/BASIC5000_0001"].relative.startswith("short-form/")
    assert found["jsss/BASIC5000_0001"].problem == ""
    assert found["jsss/simplification-BASIC5000_0001"].problem == ""


# -------------------------------------------------------------------------- JVS


def test_jvs_has_a_hundred_speakers_and_their_styles(jvs: Scan) -> None:
    assert jvs.warnings == ()
    assert len(wavs(jvs)) == 14997 + 1  # one file holds two sentences
    assert len({each.path for each in wavs(jvs)}) == 14997
    speakers = {each.speaker for each in jvs.recordings}
    assert speakers == {
        f"{s}{style}" for s in JVS_SPEAKERS for style in ("", "_whisper", "_falset")
    }


def test_a_style_says_the_sentences_of_the_natural_voice(jvs: Scan) -> None:
    found = by_id(jvs)

    for style in ("", "_whisper", "_falset"):
        assert found[f"jvs007{style}/VOICEACTRESS100_003"].text == text_of("VOICEACTRESS100_003")
    whispered = {e.sentence for e in jvs.recordings if e.speaker == "jvs007_whisper"}
    actress = {f"VOICEACTRESS100_{k:03d}" for k in range(1, 6)}
    assert whispered == actress | set(specific_ids("jvs007", "whisper10"))


def test_each_speakers_f0_range_is_for_the_natural_voice_only(jvs: Scan) -> None:
    for each in jvs.recordings:
        natural = "_" not in each.speaker
        assert each.f0_range == (f0_range_of(each.speaker) if natural else None)


def test_every_missing_wav_of_jvs_is_told(jvs: Scan) -> None:
    absent = {e.id: e for e in jvs.recordings if e.absent and "VOICEACTRESS" in e.id}

    assert set(absent) == {f"{s}/VOICEACTRESS100_{n:03d}" for s, n in JVS_MISSING}
    for each in absent.values():
        assert each.problem == "is missing from the corpus (known defect)"
        assert each.text == text_of(each.sentence)


def test_a_missing_wav_is_told_though_no_transcript_names_it(tmp_path: Path) -> None:
    write_jvs(tmp_path, ["jvs030"])
    transcript = tmp_path / "jvs030" / "parallel100" / "transcripts_utf8.txt"
    lines = transcript.read_text(encoding="utf-8").splitlines(keepends=True)
    transcript.write_text("".join(line for line in lines if "_045" not in line), encoding="utf-8")

    found = by_id(scanned(tmp_path, "jvs", speakers=("jvs030",)))

    assert found["jvs030/VOICEACTRESS100_045"].absent


def test_a_missing_wav_that_is_there_is_used(tmp_path: Path) -> None:
    write_jvs(tmp_path, ["jvs030"])
    folder = tmp_path / "jvs030" / "parallel100" / WAVS
    shutil.copy(folder / "VOICEACTRESS100_044.wav", folder / "VOICEACTRESS100_045.wav")

    found = by_id(scanned(tmp_path, "jvs", speakers=("jvs030",)))

    assert found["jvs030/VOICEACTRESS100_045"].problem == ""


def test_the_wav_of_zero_length_is_set_aside_also_when_faulty_ones_are_not(data: Path) -> None:
    speaker, number = JVS_EMPTY
    for faulty in (False, True):
        found = by_id(scanned(data, "jvs", speakers=(speaker,), faulty=faulty))
        each = found[f"{speaker}/VOICEACTRESS100_{number:03d}"]
        assert each.problem == "is a wav of zero length (known defect)"
        assert not each.absent


def test_the_shifted_names_are_corrected_and_the_cut_is_made(data: Path) -> None:
    found = by_id(scanned(data, "jvs", speakers=("jvs058",), faulty=True))

    held = {n: found[f"jvs058/VOICEACTRESS100_{n:03d}"] for n in range(13, 24)}
    files = {n: int(each.path.stem[-3:]) for n, each in held.items()}
    assert files == {13: 13, 14: 14, 15: 14, **{n: n - 1 for n in range(16, 23)}, 23: 23}
    assert (held[14].clip, held[15].clip) == ((0, 3530), (3940, None))
    assert {each.clip for n, each in held.items() if n not in (14, 15)} == {None}
    assert all(each.text == text_of(f"VOICEACTRESS100_{n:03d}") for n, each in held.items())
    assert {n for n, each in held.items() if each.note} == set(range(14, 23))
    assert not any(each.problem for each in held.values())


def test_what_is_named_as_a_shifted_sentence_is_set_aside_with_its_reason(data: Path) -> None:
    found = by_id(scanned(data, "jvs", speakers=("jvs058",), subsets=("parallel100",), faulty=True))

    [left] = [each for each in found.values() if each.problem]
    assert left.id == f"jvs058/jvs_ver1/jvs058/parallel100/{WAVS}/VOICEACTRESS100_022.wav"
    assert left.problem.startswith("has the name of a sentence that is in file 021")
    assert len(found) == 101


def test_faulty_readings_are_left_out_and_can_be_had(data: Path, jvs: Scan) -> None:
    faulty = {f"{speaker}/VOICEACTRESS100_{number:03d}" for speaker, number in JVS_FAULTY}
    assert len(faulty) == 25

    out = {each.id for each in jvs.recordings if "faulty" in each.problem}
    included = scanned(data, "jvs", faulty=True)

    assert out == faulty
    assert not any("faulty" in each.problem for each in included.recordings)
    found = by_id(included)
    assert all(found[name].problem == "" for name in faulty)


def test_transcripts_of_nonpara30_that_have_no_wav_are_counted(jvs: Scan) -> None:
    absent = [e for e in jvs.recordings if e.absent and "nonpara30" in e.relative]

    assert len(absent) == JVS_WITHOUT_WAV * 100
    assert {each.problem for each in absent} == {"is in its transcript, but there is no wav"}


@pytest.mark.parametrize("speaker", JVS_FALSET_NAMES)
def test_wrong_file_names_of_falset10_are_those_of_the_transcript(jvs: Scan, speaker: str) -> None:
    found = [each for each in jvs.recordings if each.speaker == f"{speaker}_falset"]

    assert len(found) == 10
    assert not any(each.problem or each.absent for each in found)
    names = JVS_FALSET_NAMES[speaker]
    assert {e.sentence: e.path.stem for e in found if e.note} == names
    assert all(each.text == text_of(each.sentence) for each in found)


def test_falset10_that_was_renamed_by_hand_is_left_as_it_is(tmp_path: Path) -> None:
    write_jvs(tmp_path, JVS_FALSET_NAMES)
    for speaker, names in JVS_FALSET_NAMES.items():
        folder = tmp_path / speaker / "falset10" / WAVS
        for right, wrong in names.items():
            (folder / f"{wrong}.wav").rename(folder / f"{right}.wav")

    found = scanned(tmp_path, "jvs", subsets=("falset10",), speakers=tuple(JVS_FALSET_NAMES))

    assert len(found.recordings) == 20
    assert not any(each.problem or each.note for each in found.recordings)


def test_a_wrong_name_nobody_can_explain_is_set_aside(tmp_path: Path) -> None:
    write_jvs(tmp_path, ["jvs088"])
    folder = tmp_path / "jvs088" / "falset10" / WAVS
    (folder / "007.wav").rename(folder / "seven.wav")

    found = by_id(scanned(tmp_path, "jvs", subsets=("falset10",), speakers=("jvs088",)))

    assert "what it holds is unknown" in found["jvs088_falset/seven"].problem
    assert found["jvs088_falset/BASIC5000_0284"].absent


def test_every_defect_in_the_table_has_its_reason() -> None:
    assert all(defect.reason for defect in DEFECTS)
    kinds = Counter(defect.kind for defect in DEFECTS)
    assert kinds == {
        "missing": 3,
        "no samples": 1,
        "faulty": 25,
        "other sentence": 2 + 7 + 15,
        "superseded": 1,
    }


# ------------------------------------------------------------- what is wanted of it


def test_speakers_are_chosen_and_left_out_with_all_their_voices(data: Path) -> None:
    def voices(**settings: object) -> set[str]:
        return {each.speaker for each in scanned(data, "jvs", **settings).recordings}

    assert voices(speakers=("jvs001", "jvs002_whisper")) == {
        *("jvs001", "jvs001_whisper", "jvs001_falset", "jvs002_whisper")
    }
    without = voices(leave_out=("jvs030", "jvs074", "jvs089"), subsets=("parallel100",))
    assert without == set(JVS_SPEAKERS) - {"jvs030", "jvs074", "jvs089"}


@pytest.mark.parametrize("layout", ["jsut", "jsss", "jvs"])
def test_a_corpus_is_found_at_its_root_or_below_it(data: Path, layout: str) -> None:
    [own] = data.glob(f"{layout}_*")

    inside, outside = scanned(own, layout), scanned(data, layout)

    assert recognise(own) == (layout, own)
    assert [each.id for each in inside.recordings if not each.problem] == [
        each.id for each in outside.recordings if not each.problem
    ]
    assert inside.recordings[0].path == outside.recordings[0].path


@pytest.mark.parametrize(("folder", "told"), [("empty", "holds no jvs corpus"), ("no", "exist")])
def test_a_root_without_the_corpus_is_told(tmp_path: Path, folder: str, told: str) -> None:
    (tmp_path / "empty").mkdir()

    found = scanned(tmp_path / folder, "jvs")

    assert found.recordings == ()
    [warning] = found.warnings
    assert str(tmp_path / folder) in warning
    assert told in warning
    assert recognise(tmp_path / folder) is None


def test_folders_that_are_not_there_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_jvs(tmp_path, ["jvs001", "jvs002"])
    shutil.rmtree(tmp_path / "jvs002" / "nonpara30")

    found = scanned(tmp_path, "jvs")

    assert found.warnings == (
        f"corpus x: no folder of jvs003, jvs004, jvs005, jvs006, jvs007 and 93 more in {tmp_path}",
        f"speaker jvs002: folder {tmp_path / 'jvs002' / 'nonpara30'} does not exist",
    )
    assert sum(each.speaker == "jvs002" for each in found.recordings) == 100


def test_a_folder_that_is_closed_to_us_is_told_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jvs(tmp_path, ["jvs001", "jvs002"])
    asked = Path.is_dir

    def closed(path: Path, **options: object) -> bool:  # for root every folder is readable
        if "jvs002/" in path.as_posix():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return asked(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "is_dir", closed)

    found = scanned(tmp_path, "jvs", speakers=("jvs001", "jvs002"), subsets=("parallel100",))

    assert len(found.recordings) == 100
    assert [w.split(":")[0] for w in found.warnings] == ["speaker jvs002"]


def test_f0_ranges_that_are_none_are_told_line_by_line(tmp_path: Path) -> None:
    write_jvs(tmp_path, ["jvs001", "jvs002", "jvs003"])
    path = tmp_path / "gender_f0range.txt"
    text = path.read_text().replace("jvs002 F 101 402", "jvs002 F 402 101")
    path.write_text(text.replace("jvs003 M 63 263", "jvs003 M low high"))

    found = scanned(tmp_path, "jvs", speakers=("jvs001", "jvs002", "jvs003"))

    assert [w.split(": line ")[1] for w in found.warnings] == [
        "3 gives no F0 range: 'jvs002 F 402 101'",
        "4 gives no F0 range: 'jvs003 M low high'",
    ]
    ranges = {each.speaker: each.f0_range for each in found.recordings if "_" not in each.speaker}
    assert ranges == {"jvs001": (61, 261), "jvs002": None, "jvs003": None}


def test_two_files_for_one_sentence_are_both_set_aside(tmp_path: Path) -> None:
    write_jvs(tmp_path, ["jvs001"])
    folder = tmp_path / "jvs001" / "parallel100" / WAVS
    shutil.copy(folder / "VOICEACTRESS100_001.wav", folder / "VOICEACTRESS100_001.flac")

    found = scanned(tmp_path, "jvs", speakers=("jvs001",), subsets=("parallel100",))

    bad = [each for each in found.recordings if each.problem]
    assert [each.problem for each in bad] == ["shares its sentence with another file"] * 2
    assert len({each.id for each in found.recordings}) == 101


# ------------------------------------------------------------------ transcripts


def test_a_transcript_in_another_encoding_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_jvs(tmp_path, ["jvs001", "jvs002"])
    path = tmp_path / "jvs001" / "parallel100" / "transcripts_utf8.txt"
    path.write_bytes(path.read_text(encoding="utf-8").encode("shift-jis"))

    found = scanned(tmp_path, "jvs", speakers=("jvs001", "jvs002"), subsets=("parallel100",))

    assert found.warnings == (f"transcript {path} is not UTF-8 text; its recordings have no text",)
    assert len(found.recordings) == 200
    texts = {each.speaker: bool(each.text) for each in found.recordings}
    assert texts == {"jvs001": False, "jvs002": True}


def test_odd_lines_of_a_transcript_are_counted(tmp_path: Path) -> None:
    write_jvs(tmp_path, ["jvs001"])
    path = tmp_path / "jvs001" / "parallel100" / "transcripts_utf8.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    # A byte order mark, lines of another system, an empty line and one without an id.
    path.write_bytes("\r\n".join([*lines, "", "no id here", ""]).encode("utf-8-sig"))

    found = scanned(tmp_path, "jvs", speakers=("jvs001",), subsets=("parallel100",))

    assert found.warnings == (
        f'transcript {path}: 1 of its lines are not "ID:text" and are left out',
    )
    assert all(each.text == text_of(each.sentence) for each in found.recordings)


def test_a_segment_without_text_is_told(tmp_path: Path) -> None:
    write_jsss(tmp_path)
    path = tmp_path / "long-form" / "udon" / "transcript_utf8" / "UDON_01.txt"
    path.write_text("0.0\t1.0\t文。\n1.0\t2.0\n", encoding="utf-8")

    found = scanned(tmp_path, "jsss", subsets=("long-form/udon",))

    assert found.warnings == (f"transcript {path}: 1 of its lines are not start, end and text",)
    assert by_id(found)["jsss/UDON_01"].text == "文。"

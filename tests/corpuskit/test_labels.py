"""Phone labels: both units, HTS contexts, TextGrids, contradictions, and which file labels what."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.errors import BadLabels
from corpuskit.labels import LabelFinder, Phone, Place, check_against, labels_beside, read_labels

CONTEXT = "/A:-3+1+7/B:xx-xx_xx/C:02_xx+xx/D:13+xx_xx/E:xx_xx!xx_xx-xx/F:7_4#0_xx@1_5|1_23"
HTS = f"""0 3125000 xx^xx-sil+m=i{CONTEXT}
3125000 3525000 xx^sil-m+i=z{CONTEXT}
3525000 4325000 sil^m-i+z=u{CONTEXT}
"""
MONO = "0 3125000 sil\n3125000 3525000 m\n3525000 4325000 i\n"
JVS = "0.0000000 0.3125000 sil\n0.3125000 0.3525000 m\n0.3525000 0.4325000 i\n"
PHONES = [(0, 3125000, "sil"), (3125000, 3525000, "m"), (3525000, 4325000, "i")]


def lab(folder: Path, text: str, name: str = "a.lab") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def told(path: Path) -> list[tuple[int, int, str]]:
    return [(phone.begin, phone.end, phone.name) for phone in read_labels(path)]


@pytest.mark.parametrize("text", [HTS, MONO, JVS, JVS.replace("\n", "\r\n"), f"\n{MONO}\n\n"])
def test_units_and_contexts_are_recognised(tmp_path: Path, text: str) -> None:
    assert told(lab(tmp_path, text)) == PHONES


@pytest.mark.parametrize("phone", ["a", "cl", "N", "pau", "a-b", "sil[2]", "^"])
def test_a_plain_phone_stays_as_it_is(tmp_path: Path, phone: str) -> None:
    assert told(lab(tmp_path, f"0 3125000 {phone}\n")) == [(0, 3125000, phone)]


def test_whole_seconds_are_seconds(tmp_path: Path) -> None:
    assert told(lab(tmp_path, "0 1 a\n1 2 b\n")) == [(0, 10**7, "a"), (10**7, 2 * 10**7, "b")]


@given(st.integers(1, 9999), st.integers(10_000, 10**12))
def test_no_length_of_speech_is_mistaken(
    tmp_path_factory: pytest.TempPathFactory, seconds: int, units: int
) -> None:
    folder = tmp_path_factory.mktemp("units")
    assert told(lab(folder, f"0 {seconds} a"))[0][1] == seconds * 10**7
    assert told(lab(folder, f"0 {units} a"))[0][1] == units


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no label"),
        ("\n\n", "holds no label"),
        ("0 1", "line 1: '0 1' is not 'begin end phone'"),
        ("0 3125000 a\nnan 4125000 b", "line 2: .* is not"),
        ("0 3125000 a\n3125000 inf b", "line 2: .* is not"),
        ("-1 3125000 a", "line 1: .* is not"),
        ("0 3125000 a\n3000000 4000000 b", "line 2: 'b' begins before the one ahead of it ends"),
        ("3125000 4125000 a\n0 3125000 b", "line 2: 'b' begins before"),
        ("0 3125000 a\n5125000 4125000 b", "line 2: 'b' ends before it begins"),
        ("0.0 3125000.0 a", "neither seconds nor 100 ns units"),
        ("#!MLF!#\n0 3125000 a", "line 1: '#!MLF!#' is not"),
    ],
)
def test_what_contradicts_itself_is_refused_by_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = lab(tmp_path, text)
    with pytest.raises(BadLabels, match=problem) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_overlaps_of_rounding_are_closed(tmp_path: Path) -> None:
    text = "0.0 0.31251 a\n0.3125 0.4 b\n"
    assert told(lab(tmp_path, text)) == [(0, 3125100, "a"), (3125100, 4000000, "b")]


def test_labels_past_the_end_are_refused(tmp_path: Path) -> None:
    path = lab(tmp_path, JVS)
    phones = read_labels(path)
    check_against(phones, 0.43, path)  # an analysis frame too far is usual
    with pytest.raises(BadLabels, match=r"a\.lab: labels end at 0\.432 s, past .* 0\.300 s"):
        check_against(phones, 0.3, path)


def test_samples_are_the_nearest() -> None:
    assert Phone(begin=3125000, end=3525000, name="m").in_samples(24000) == (7500, 8460)
    assert Phone(begin=1, end=313, name="m").in_samples(16000) == (0, 1)


def test_phones_of_a_textgrid(tmp_path: Path) -> None:
    text = (
        '"ooTextFile" "TextGrid" 0 1 <exists> 2 '
        '"IntervalTier" "words" 0 1 1 0 1 "word" '
        '"IntervalTier" "Phones" 0 1 3 0 0.25 "" 0.25 0.5 "a" 0.5 1 "N"'
    )
    path = lab(tmp_path, text, "a.TextGrid")
    assert told(path) == [(2500000, 5000000, "a"), (5000000, 10000000, "N")]
    with pytest.raises(BadLabels, match=r"no tier 'phones' .*'words', 'kana'"):
        read_labels(lab(tmp_path, text.replace("Phones", "kana"), "b.TextGrid"))


# ------------------------------------------------------------------- which file


def test_labels_lie_beside_or_as_in_jvs(tmp_path: Path) -> None:
    wav = tmp_path / "jvs001" / "parallel100" / "wav24kHz16bit" / "V_001.wav"
    assert labels_beside(wav) is None
    mono = lab(tmp_path / "jvs001" / "parallel100" / "lab" / "mon", JVS, "V_001.lab")
    assert labels_beside(wav) == mono
    beside = lab(wav.parent, JVS, "V_001.lab")
    assert labels_beside(wav) == beside


def found(folder: Path, *places: tuple[str, str]) -> dict[str, Path | None]:
    """The label file of each (speaker, path below the root), looked up in a folder."""
    listed = [Place(recording=path, relative=path, speaker=speaker) for speaker, path in places]
    finder = LabelFinder(folder, listed)
    return {path: finder.of(path, folder / "no" / "where.wav") for _, path in places}


def test_a_folder_of_labels_is_searched_by_stem(tmp_path: Path) -> None:
    one = lab(tmp_path / "basic5000" / "lab", HTS, "B_0001.lab")
    first, second = "basic5000/wav/B_0001.wav", "basic5000/wav/B_0002.wav"
    assert found(tmp_path, ("jsut", first), ("jsut", second)) == {first: one, second: None}


def test_of_several_label_files_the_one_in_folders_of_the_same_name_is_taken(
    tmp_path: Path,
) -> None:
    one = lab(tmp_path / "one", HTS, "x.lab")
    two = lab(tmp_path / "two", HTS, "x.lab")
    assert found(tmp_path, ("s", "two/x.wav")) == {"two/x.wav": two}
    assert found(tmp_path, ("s", "one/x.wav")) == {"one/x.wav": one}
    assert found(tmp_path, ("s", "three/x.wav")) == {"three/x.wav": None}  # nothing tells which


def test_another_speakers_labels_are_not_taken(tmp_path: Path) -> None:
    mine = lab(tmp_path / "N", HTS, "x.lab")
    assert found(tmp_path, ("N", "source/x.wav"), ("C", "target/x.wav")) == {
        "source/x.wav": mine,
        "target/x.wav": None,
    }


def test_labels_of_one_style_are_not_anothers(tmp_path: Path) -> None:
    plain = lab(tmp_path / "jvs001" / "parallel100", JVS, "V_001.lab")
    other = lab(tmp_path / "jvs002" / "parallel100", JVS, "V_001.lab")
    places = [
        ("jvs001", "jvs001/parallel100/wav/V_001.wav"),
        ("jvs001_whisper", "jvs001/whisper10/wav/V_001.wav"),
        ("jvs002", "jvs002/parallel100/wav/V_001.wav"),
    ]
    assert list(found(tmp_path, *places).values()) == [plain, None, other]


def test_labels_that_could_be_either_speakers_are_nobodys(tmp_path: Path) -> None:
    lab(tmp_path, HTS, "x.lab")
    both = found(tmp_path, ("N", "source/x.wav"), ("C", "target/x.wav"))
    assert set(both.values()) == {None}


def test_a_missing_folder_of_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadLabels, match=r"folder of labels .*gone does not exist"):
        LabelFinder(tmp_path / "gone")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.lab"
    path.write_bytes(data)
    try:
        phones = read_labels(path)
    except BadLabels:
        return
    assert all(a.end <= b.begin for a, b in itertools.pairwise(phones))


@given(st.lists(st.text(alphabet="0123456789.e+- \n^=axN", max_size=12), max_size=8))
def test_lines_like_labels_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = lab(tmp_path_factory.mktemp("like"), "\n".join(lines))
    try:
        phones = read_labels(path)
    except BadLabels:
        return
    assert all(0 <= phone.begin <= phone.end for phone in phones)

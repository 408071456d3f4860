"""A dataset definition: its bounds, its file documented line by line, its folders and names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.config import (
    AudioConfig,
    DatasetConfig,
    check_name,
    family_of,
    find_config,
    from_mapping,
    load_dataset,
    load_toml,
    to_mapping,
    with_settings,
    workspace_path,
)
from corpuskit.errors import BadSetting, CorpuskitError, Refused

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "datasets"
SMALLEST = {
    "corpora": {"N2C": {"root": "N2C", "speakers": {"N": "source", "C": "target"}}},
    "pairs": [{"source": "N", "target": "C"}],
}


def built(*settings: str) -> DatasetConfig:
    return from_mapping(DatasetConfig, with_settings(SMALLEST, settings), "N2C.toml")


def written(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        text
        or '[corpora.N2C]\nroot = "recordings"\nspeakers = { N = "source", C = "target" }\n'
        '[[pairs]]\nsource = "N"\ntarget = "C"\n',
        encoding="utf-8",
    )
    return path


# ------------------------------------------------------------------------ the tables


def test_the_smallest_definition_has_the_labs_settings() -> None:
    # reference/model.md, "Features" and "Silence".
    found = built()

    assert found.audio == AudioConfig(rate=22050)
    features = found.features
    assert (features.n_fft, features.hop_length, features.win_length) == (1024, 256, 1024)
    assert (features.mels, features.fmin, features.fmax, features.mel_floor) == (80, 0, 8000, 1e-5)
    assert (features.f0_method, features.energy_gate) == ("dio", -5.0)
    silence = found.silence
    assert (silence.head_thresh, silence.trim_window, silence.min_len) == (-50.0, 50, 50)
    assert (silence.min_silence_len, silence.rms) == (500, "float")
    assert (found.align.method, found.align.reduction) == ("dtw", 3)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("corpora={}", "corpora is empty"),
        ("pairs=[]", "pairs is empty"),
        ("corpora.N2C.speakers={}", "corpora.*.speakers is empty"),
        ("corpora.N2C.layout=jsutt", "corpora.N2C.layout is 'jsutt'"),
        ("corpora.N2C.layout=jvs", "corpora.*.speakers gives folders, which layout 'jvs' knows"),
        ('corpora.N2C.speakers=["N"]', "corpora.*.speakers names no folders"),
        ('corpora.N2C.subsets=["basic5000"]', "but layout 'folder' has no subsets"),
        ('corpora.N2C.leave_out=["M"]', "corpora.*.leave_out names 'M', who is not in the corpus"),
        ('pairs=[{ source = [], target = "N" }]', "a source or target that names nobody"),
        ('pairs=[{ source = "N", target = "C", targets = -1 }]', "pairs.*.targets is -1"),
        ('corpora.N2C.speakers={"../x" = "a"}', "'../x' is not a speaker name"),
        ('pairs=[{ source = "N", target = "N" }]', "pairs pair 'N' with itself"),
        ("audio.rate=7999", "audio.rate is 7999 Hz"),
        ("audio.rate=22050.0", "audio.rate must be a whole number"),
        ("audio.rate=12000", "features.fmax is 8000 Hz, above half of audio.rate 12000 Hz"),
        ("features.hop_length=0", "features.hop_length, win_length, n_fft are 0, 1024, 1024"),
        ("features.hop_length=2048", "are 2048, 1024, 1024"),
        ("features.win_length=2048", "are 256, 2048, 1024"),
        ("features.n_fft=1025", "features.n_fft is 1025"),
        ("features.mels=0", "features.mels is 0"),
        ("features.fmin=-1", "features.fmin, fmax are -1.0, 8000.0"),
        ("features.fmin=8000", "features.fmin, fmax are 8000.0, 8000.0"),
        ("features.mel_floor=0", "features.mel_floor is 0.0"),
        ("features.f0_floor=900", "features.f0_floor, f0_ceil are 900.0, 800.0"),
        ("features.f0_method=pyin", "features.f0_method is 'pyin'"),
        ("silence.thresh=3", "silence.thresh is 3.0 dBFS"),
        ("silence.head_thresh=0.1", "silence.head_thresh is 0.1 dBFS"),
        ("silence.trim_window=0", "silence.trim_window is 0 ms"),
        ("silence.min_len=0", "silence.min_len is 0 ms"),
        ("silence.min_silence_len=-5", "silence.min_silence_len is -5 ms"),
        ("silence.min_silence_len=50.5", "silence.min_silence_len must be a whole number"),
        ("align.reduction=0", "align.reduction is 0"),
        ("align.reduction=17", "align.reduction is 17"),
        ("split.dev=-1", "split.dev is -1"),
        ("split.eval=1.0", "split.eval is 1.0"),
        ("split.eval=nan", "split.eval must be a finite number"),
    ],
)
def test_values_out_of_bounds_are_refused(setting: str, problem: str) -> None:
    with pytest.raises(CorpuskitError) as caught:
        built(setting)

    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("corpus", "problem", "remedy"),
    [
        ({"layout": "jsuts"}, "layout is 'jsuts'", "did you mean 'jsut'?"),
        ({"layout": "jsut", "subsets": ["basic500"]}, "'basic500'", "did you mean 'basic5000'?"),
        ({"layout": "jsss", "subsets": ["shortform"]}, "'shortform'", "did you mean 'short-form'?"),
        ({"layout": "jvs", "leave_out": ["jvs101"]}, "'jvs101'", "did you mean 'jvs100'?"),
        (
            {"layout": "jvs", "speakers": ["jvs0001"]},
            "speakers names 'jvs0001'",
            "did you mean 'jvs001",
        ),
        ({"layout": "jvs", "fault": True}, "'corpora.x.fault'", "did you mean 'corpora.x.faulty'?"),
    ],
)
def test_what_a_layout_has_not_is_told_with_the_nearest_it_has(
    corpus: dict[str, Any], problem: str, remedy: str
) -> None:
    mapping = {"corpora": {"x": {"root": "x", **corpus}}, "pairs": SMALLEST["pairs"]}

    with pytest.raises(BadSetting) as caught:
        from_mapping(DatasetConfig, mapping, "the test")

    assert problem in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        "silence.thresh=0",
        "silence.thresh=-200",
        "align.reduction=1",
        "split.dev=0",
        "split.eval=0.0",
        "features.f0_method=harvest",
        "audio.rate=16000",
        "features.fmax=11025",
    ],
)
def test_values_at_the_bounds_are_taken(setting: str) -> None:
    key, _, value = setting.partition("=")
    table, name = key.split(".")

    found = getattr(getattr(built(setting), table), name)

    assert str(found) == value or found == float(value)


def test_one_speaker_in_two_corpora_is_refused() -> None:
    mapping = with_settings(SMALLEST, ['corpora.other={ root = "x", speakers = { C = "c" } }'])

    with pytest.raises(BadSetting, match="corpora name speaker C twice"):
        from_mapping(DatasetConfig, mapping, "N2C.toml")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("silence.tresh", "silence.thresh"),
        ("silense.thresh", "silence"),
        ("features.hop", "features.hop_length"),
        ("corpora.N2C.rot", "corpora.N2C.root"),
        ("silence.min_silence_length", "silence.min_silence_len"),
    ],
)
def test_an_unknown_key_names_the_nearest(key: str, meant: str) -> None:
    with pytest.raises(BadSetting) as caught:
        built(f"{key}=1")

    assert "unknown key" in caught.value.problem
    assert caught.value.remedy == f"did you mean {meant!r}?"


# -------------------------------------------------------------------- its documentation


def test_the_documented_definition_names_every_setting_with_its_default() -> None:
    shown, defaults = load_toml(CONFIGS / "N2C.toml"), to_mapping(built())

    for table in ("audio", "features", "silence", "align"):
        assert shown[table] == defaults[table]
    assert set(shown) == set(defaults)
    assert set(shown["split"]) == set(defaults["split"])
    assert set(shown["corpora"]["N2C"]) == set(defaults["corpora"]["N2C"])
    assert set(shown["pairs"][0]) == set(defaults["pairs"][0])


def test_every_line_of_the_documented_definition_says_what_it_is() -> None:
    lines = (CONFIGS / "N2C.toml").read_text(encoding="utf-8").splitlines()

    undocumented = [line for line in lines if re.match(r"\w+ = ", line) and "#" not in line]

    assert undocumented == []
    split = next(line for line in lines if line.startswith("eval = "))
    assert f"left out: {built().split.eval}" in split


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_definition_of_the_house_can_be_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JSUT_ROOT", "JSSS_ROOT", "JVS_ROOT"):
        monkeypatch.setenv(name, "/data")

    found = load_dataset(path)

    assert found.pairs
    assert all(Path(corpus.root).is_absolute() for corpus in found.corpora.values())


# --------------------------------------------------------------------------- folders


def test_roots_in_a_file_are_relative_to_it_and_on_the_command_line_to_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "configs" / "N2C.toml")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    in_file = load_dataset(path).corpora["N2C"].root
    by_hand = load_dataset(path, ["corpora.N2C.root=../mine"]).corpora["N2C"].root
    from_afar = load_dataset(Path("../configs/N2C.toml")).corpora["N2C"].root

    assert Path(in_file) == tmp_path / "configs" / "recordings"
    assert Path(by_hand) == tmp_path / "mine"
    assert from_afar == in_file


def test_homes_and_variables_in_roots_are_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CORPORA", str(tmp_path / "corpora"))
    path = written(tmp_path / "N2C.toml")

    home = load_dataset(path, ["corpora.N2C.root=~/N2C"])
    variable = load_dataset(path, ["corpora.N2C.root=$CORPORA/N2C"])

    assert Path(home.corpora["N2C"].root) == tmp_path / "home" / "N2C"
    assert Path(variable.corpora["N2C"].root) == tmp_path / "corpora" / "N2C"


def test_a_variable_that_is_not_set_is_named_unless_the_folder_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    path = written(tmp_path / "N2C.toml")
    text = path.read_text().replace('"recordings"', '"${NOWHERE}/N2C"')
    path.write_text(text)

    with pytest.raises(BadSetting, match=r"NOWHERE is not set.*--set corpora\.N2C\.root=DIR"):
        load_dataset(path)
    assert load_dataset(path, ["corpora.N2C.root=/data"]).corpora["N2C"].root == "/data"
    monkeypatch.setenv("NOWHERE", "/data")
    assert load_dataset(path).corpora["N2C"].root == "/data/N2C"


def test_a_dollar_in_the_name_of_a_folder_that_exists_is_no_variable(tmp_path: Path) -> None:
    (tmp_path / "$recordings").mkdir()
    path = written(tmp_path / "N2C.toml")
    path.write_text(path.read_text().replace('"recordings"', '"$recordings"'))

    assert load_dataset(path).corpora["N2C"].root == str(tmp_path / "$recordings")


def test_settings_overrule_the_file_and_errors_name_both(tmp_path: Path) -> None:
    path = written(tmp_path / "N2C.toml")
    wrong = written(tmp_path / "wrong.toml")
    wrong.write_text(f'{wrong.read_text()}\n[silence]\nthresh = "quiet"\n')

    assert load_dataset(path, ["silence.thresh=-100"]).silence.thresh == -100.0
    with pytest.raises(BadSetting, match=rf"^{re.escape(str(wrong))}: silence.thresh must be"):
        load_dataset(wrong)
    # The fault may be in either, and need not be looked for in the file alone.
    with pytest.raises(BadSetting, match=rf"^{re.escape(str(path))} \+ --set: silence.thresh must"):
        load_dataset(path, ["silence.thresh=quiet"])


def test_a_name_that_is_too_long_is_told_the_limit() -> None:
    assert check_name("N" * 120) == "N" * 120
    with pytest.raises(Refused, match="at most 120 bytes"):
        check_name("N" * 121)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("corpora = 3", "corpora must be a table, not 3"),
        ("[corpora]\nN2C = 3", "corpora.N2C must be a table, not 3"),
        ("[corpora.N2C]\nroot = 3", "corpora.N2C.root must be a text, not 3"),
    ],
)
def test_corpora_that_are_no_tables_are_named(tmp_path: Path, text: str, problem: str) -> None:
    path = written(tmp_path / "N2C.toml", f"pairs = []\n{text}\n")

    with pytest.raises(BadSetting) as caught:
        load_dataset(path)

    assert caught.value.problem == f"{path}: {problem}"


def test_a_definition_is_found_by_the_versions_own_name_before_its_familys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("N2C", "speaker", "speaker_2"):
        written(tmp_path / "configs" / "datasets" / f"{name}.toml")

    assert find_config("N2C_4", None).stem == "N2C"
    assert find_config("N2C", None).stem == "N2C"
    assert find_config("speaker_2", None).stem == "speaker_2"
    assert find_config("speaker_2_7", None).stem == "speaker_2"
    assert find_config("speaker_3", None).stem == "speaker"
    assert find_config("anything", Path("my.toml")) == Path("my.toml")
    with pytest.raises(BadSetting, match=r"no definition of 'N2D_4'.*did you mean N2C\?"):
        find_config("N2D_4", None)


def test_without_any_definition_the_option_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(BadSetting, match=r"does not exist; give its TOML with --config"):
        find_config("N2C", None)


def test_the_workspace_is_the_option_the_variable_or_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CORPUSKIT_WORKSPACE", raising=False)
    assert workspace_path(None) == Path("workspace")
    monkeypatch.setenv("CORPUSKIT_WORKSPACE", "elsewhere")
    assert workspace_path(None) == Path("elsewhere")
    assert workspace_path(Path("mine")) == Path("mine")
    monkeypatch.setenv("CORPUSKIT_WORKSPACE", "")
    assert workspace_path(None) == Path("workspace")


# ----------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["N2C", "N2C_4", "jsut_jsss", "a", "2", "声C_1", "v1.2+b-c"])
def test_names_are_taken(name: str) -> None:
    assert check_name(name) == name


NO_NAMES = ["../x", "..", ".", ".x", "a/b", "/a", "a\\b", "-x", "_x", "a..b", "a:b", "~x", "a*"]


@pytest.mark.parametrize("name", ["", "a b", "a\n", "a\0", "x" * 121, "声" * 41, *NO_NAMES])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="is not a dataset name; use letters"):
        check_name(name)


@given(st.text(max_size=12))
def test_a_name_is_one_visible_folder_and_nothing_else(name: str) -> None:
    try:
        check_name(name)
    except Refused:
        return
    path = Path("versions") / name
    assert path.parent == Path("versions")
    assert path.name == name
    assert not name.startswith((".", "-"))
    assert name.isprintable()
    assert " " not in name


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("N2C", "N2C"),
        ("N2C_4", "N2C"),
        ("N2C_28", "N2C"),
        ("jsut_jsss", "jsut_jsss"),
        ("jsut_jsss_2", "jsut_jsss"),
        ("N2C_4_5", "N2C_4"),
        ("N2C_x4", "N2C_x4"),
        ("N2C4", "N2C4"),
        ("_4", "_4"),
    ],
)
def test_the_family_is_the_name_without_its_number(name: str, family: str) -> None:
    assert family_of(name) == family


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9]*", fullmatch=True), st.integers(0, 10**6))
def test_a_version_belongs_to_the_family_it_is_numbered_in(family: str, number: int) -> None:
    assert family_of(f"{family}_{number}") == family_of(family) == family


def test_what_a_config_is_made_of_comes_back_from_a_version() -> None:
    settings: dict[str, Any] = to_mapping(built("split.dev=7", "silence.rms=int16"))

    assert from_mapping(DatasetConfig, settings, "dataset N2C") == built(
        "split.dev=7", "silence.rms=int16"
    )

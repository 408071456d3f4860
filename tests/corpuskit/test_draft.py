"""Definitions drafted from two folders: they load, they build, and they say what is odd."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from building import built, corpuskit, quick_corpus
from corpuskit.audio import write_wav
from corpuskit.config import load_dataset
from corpuskit.draft import Draft, draft, write_draft
from corpuskit.errors import BadSetting, Refused
from synthetic import PairCorpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PairCorpus:
    return quick_corpus(tmp_path_factory.mktemp("draft") / "corpus", 4)


@pytest.fixture
def copy(corpus: PairCorpus, tmp_path: Path) -> Path:
    """A corpus to be changed."""
    shutil.copytree(corpus.root, tmp_path / "copy")
    return tmp_path / "copy"


def drafted(root: Path, source: str = "source", target: str = "target") -> Draft:
    return draft("mine", root / source, root / target, root / "mine.toml")


def test_a_draft_loads_and_builds(corpus: PairCorpus, tmp_path: Path) -> None:
    file = tmp_path / "configs" / "datasets" / "mine.toml"
    made = draft("mine", corpus.source, corpus.target, file)
    write_draft(made, file)
    config = load_dataset(file)
    assert made.pairs == 4
    assert config.corpora["mine"].root == str(corpus.root)
    assert config.corpora["mine"].speakers == {"source": "source", "target": "target"}
    assert (config.pairs[0].source, config.pairs[0].target) == ("source", "target")
    assert config.features.fmax == 4000.0  # the recordings have 8 kHz
    version = built(tmp_path / "w", config, "mine").version
    assert len(version.pairs) == 4
    assert version.totals["source"]["head_seconds"] > 0


def test_little_speech_gets_short_frames(
    corpus: PairCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tomllib.loads(drafted(corpus.root).text)
    assert few["features"] == {"fmax": 4000.0, "hop_length": 128, "win_length": 512}
    assert few["align"] == {"reduction": 4}

    monkeypatch.setattr("corpuskit.draft.SMALL", 1.0)
    many = tomllib.loads(drafted(corpus.root).text)
    assert many["features"] == {"fmax": 4000.0}
    assert "align" not in many


def test_thresholds_are_above_the_noise_and_below_speech(corpus: PairCorpus) -> None:
    """The source's room lies at -58 dBFS, the target's pauses are digitally zero."""
    made = drafted(corpus.root)
    assert made.recommendation is not None
    assert -58 < made.recommendation.thresh < -30
    assert f"thresh = {made.recommendation.thresh}" in made.text
    assert "# Source: " not in made.text
    assert "digital zero" in made.text


def test_a_corpus_below_the_current_folder_is_given_relative_to_the_file(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    file = Path("configs") / "datasets" / "mine.toml"
    write_draft(draft("mine", copy / "source", copy / "target", file), file)
    assert 'root = "../../copy"' in file.read_text(encoding="utf-8")
    assert load_dataset(file).corpora["mine"].root == str(copy.resolve())


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (("N", "C"), ("N", "C")),
        (("N/wav", "C/wav"), ("N", "C")),
        (("voice one", "声"), ("voice_one", "声")),
        (("a.b", "a-b"), ("a.b", "a-b")),
        (("!", "?"), ("source", "target")),
    ],
)
def test_voices_are_named_by_the_folders_that_differ(
    copy: Path, folders: tuple[str, str], names: tuple[str, str]
) -> None:
    for old, new in zip(("source", "target"), folders, strict=True):
        (copy / new).parent.mkdir(exist_ok=True)
        (copy / old).rename(copy / new)
    file = copy / "mine.toml"
    write_draft(draft("mine", copy / folders[0], copy / folders[1], file), file)
    config = load_dataset(file)
    assert (config.pairs[0].source, config.pairs[0].target) == names
    assert built(copy / "w", config, "mine").version.speakers == tuple(sorted(names))


@pytest.mark.parametrize("name", ["mine", "ми", "a.b+c", "2024"])
def test_any_family_name_is_a_table(corpus: PairCorpus, tmp_path: Path, name: str) -> None:
    file = tmp_path / "a.toml"
    write_draft(draft(name, corpus.source, corpus.target, file), file)
    assert list(load_dataset(file).corpora) == [name]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("N_{:03d}", "'utt_001' and 'N_001'"),
        ("UTT-{:03d}", "'utt_001' and 'UTT-001'"),
        ("take{}", "'utt_001' and 'take1'"),
    ],
)
def test_stems_that_differ_are_told_with_their_near_misses(
    copy: Path, name: str, told: str
) -> None:
    for number in range(1, 5):
        path = copy / "target" / f"utt_{number:03d}.wav"
        path.rename(path.with_name(f"{name.format(number)}.wav"))
    with pytest.raises(BadSetting, match="no file stem occurs in both folders") as caught:
        drafted(copy)
    assert told in str(caught.value)
    assert "has 4 recordings, target" in str(caught.value)


def test_nothing_alike_is_not_made_up(copy: Path) -> None:
    for path, new in zip(sorted((copy / "target").iterdir()), "wxyz", strict=True):
        path.rename(path.with_name(f"{new * 3}.wav"))
    with pytest.raises(BadSetting) as caught:
        drafted(copy)
    assert "look like" not in str(caught.value)


def test_some_that_differ_are_warned_of(copy: Path) -> None:
    (copy / "target" / "utt_002.wav").rename(copy / "target" / "UTT2.wav")
    (copy / "source" / "utt_003.wav").write_bytes(b"")
    (copy / "source" / "more").mkdir()
    shutil.copy(copy / "source" / "utt_004.wav", copy / "source" / "more" / "utt_004.wav")
    made = drafted(copy)
    assert made.pairs == 2
    assert list(made.warnings) == [
        "source: 1 recording without a partner",
        "source: 3 cannot be used: source/more/utt_004.wav, source/utt_003, source/utt_004.wav",
        "target: 2 recordings without a partner",
        "these differ in their stems, but look like one sentence: 'utt_002' and 'UTT2'",
    ]


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("gone", "target", "source folder .*gone does not exist"),
        ("source", "source", "are one folder"),
        (".", "target", "lie one in the other"),
        ("source", "source/..", "lie one in the other"),
        ("empty", "target", "empty holds no recording"),
    ],
)
def test_folders_that_cannot_be_a_pair_are_refused(
    copy: Path, source: str, target: str, told: str
) -> None:
    (copy / "empty").mkdir()
    with pytest.raises(BadSetting, match=told):
        drafted(copy, source, target)


def test_silent_recordings_get_the_defaults(tmp_path: Path) -> None:
    for side in ("source", "target"):
        write_wav(tmp_path / side / "a.wav", np.zeros(8000), 8000)
    made = drafted(tmp_path)
    assert made.recommendation is None
    assert "these are the defaults" in made.text
    assert "thresh = -80.0" in made.text
    assert ("dev = 0" in made.text, "eval = 0" in made.text) == (True, True)


def test_what_exists_is_not_overwritten(corpus: PairCorpus, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("mine")
    with pytest.raises(Refused, match=r"mine\.toml exists"):
        write_draft(draft("mine", corpus.source, corpus.target, file), file)
    assert file.read_text() == "mine"
    with pytest.raises(Refused, match="is not a dataset name"):
        draft("../x", corpus.source, corpus.target, file)


def test_the_command_says_how_to_go_on(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("init", "mine", "--source", copy / "source", "--target", copy / "target")
    said = corpuskit(*words)
    assert said.code == 0
    assert said.out.splitlines()[-1] == (
        "Wrote configs/datasets/mine.toml: 4 pairs of source and target. "
        "Next: corpuskit preview mine, or at once corpuskit build mine"
    )
    again = corpuskit(*words)
    assert (again.code, again.out) == (2, "")
    assert "configs/datasets/mine.toml exists" in again.err
    other = corpuskit(*words, "--out", "other.toml")
    assert other.out.endswith(" or at once corpuskit build mine --config other.toml\n")
    assert corpuskit("build", "mine", "--dry-run").code == 0

"""What `scan` says of folders: known corpora, pairs of folders, and what is neither."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

import standins
from building import corpuskit, quick_corpus
from corpuskit.errors import BadSetting
from corpuskit.inspection import Inspection, inspect_folder
from corpuskit.wording.scan import inspected


def wav(path: Path, seconds: float = 0.1, rate: int = 24000, **form: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = int(str(form.pop("channels", 1)))
    soundfile.write(path, np.full((round(seconds * rate), channels), 0.1), rate, **form)
    return path


def jvs(root: Path) -> Path:
    """Two people, two subsets, labels for one of them; a transcript line without its wav."""
    for person in ("jvs001", "jvs009"):
        for subset, count in (("parallel100", 3), ("whisper10", 1)):
            folder = root / person / subset
            ids = [f"VOICEACTRESS100_{n:03d}" for n in range(1, count + 1)]
            for name in ids:
                wav(folder / "wav24kHz16bit" / f"{name}.wav")
            lines = "".join(f"{name}:text\n" for name in ids)
            (folder / "transcripts_utf8.txt").write_text(lines, encoding="utf-8")
    first = root / "jvs001" / "parallel100"
    (first / "lab" / "mon").mkdir(parents=True)
    (first / "lab" / "mon" / "VOICEACTRESS100_001.lab").write_text("0.0 0.1 a\n")
    wav(root / "jvs009" / "parallel100" / "wav24kHz16bit" / "VOICEACTRESS100_086.wav")
    wav(root / "jvs009" / "parallel100" / "wav24kHz16bit" / "VOICEACTRESS100_095.wav", 0.0)
    with (first / "transcripts_utf8.txt").open("a") as file:
        file.write("VOICEACTRESS100_099:text\n")
    (root / "gender_f0range.txt").write_text(
        "speaker Male_or_Female minf0[Hz] maxf0[Hz]\njvs001 M 70 300\njvs009 M 70 300\n"
    )
    return root


def jsut(root: Path) -> Path:
    folder = root / "onomatopee300"
    for number in (1, 2):
        wav(folder / "wav" / f"ONOMATOPEE300_{number:03d}.wav", rate=48000)
    (folder / "transcript_utf8.txt").write_text("ONOMATOPEE300_001:text\n")
    return root


def only(root: Path) -> Inspection:
    (found,) = inspect_folder(root)
    return found


def test_jvs_is_told_by_speaker_and_subset(tmp_path: Path) -> None:
    found = only(jvs(tmp_path / "jvs_ver1"))
    assert (found.layout, found.root) == ("jvs", tmp_path / "jvs_ver1")
    assert found.speakers == ("jvs001", "jvs001_whisper", "jvs009", "jvs009_whisper")
    rows = {(p.speaker, p.subset): p for p in found.parts}
    first = rows["jvs001", "parallel100"]
    assert (first.files, first.seconds, first.texts, first.labels) == (3, 0.3, 3, 1)
    assert (first.rates, first.depths, first.channels) == ({24000: 3}, {"16-bit": 3}, {1: 3})
    assert rows["jvs001_whisper", "whisper10"].files == 1
    assert (found.files, round(found.seconds, 3)) == (10, 0.9)


def test_defects_are_told_with_their_recordings(tmp_path: Path) -> None:
    found = {each.recordings: each.reason for each in only(jvs(tmp_path / "jvs_ver1")).findings}
    assert "faulty reading" in found["jvs009/VOICEACTRESS100_086",]
    assert "zero length" in found["jvs009/VOICEACTRESS100_095",]
    assert "there is no wav" in found["jvs001/VOICEACTRESS100_099",]


def test_the_whole_of_jsut_is_counted(tmp_path: Path) -> None:
    found = only(standins.write_jsut(tmp_path / "jsut_ver1.1"))
    counts: Counter[str] = Counter()
    for part in found.parts:
        counts[part.subset] += part.files
    assert counts == standins.JSUT_COUNTS
    assert (found.files, found.findings, found.warnings) == (7696, (), ())
    assert sum(part.rates[48000] for part in found.parts) == 7696


def test_every_defect_of_jvs_is_found(tmp_path: Path) -> None:
    people = ("jvs001", "jvs009", "jvs030", "jvs055", "jvs058", "jvs088")
    found = only(standins.write_jvs(tmp_path / "jvs_ver1", people))
    reasons = {name: each.reason for each in found.findings for name in each.recordings}
    told = {name for name, reason in reasons.items() if "faulty reading" in reason}
    faulty = {(who, number) for who, number in standins.JVS_FAULTY if who in people}
    assert told == {f"{who}/VOICEACTRESS100_{n:03d}" for who, n in faulty - {("jvs058", 14)}}
    assert "careful users remove it" in reasons["jvs058/VOICEACTRESS100_014"]
    assert "missing" in reasons["jvs030/VOICEACTRESS100_045"]
    assert "zero length" in reasons["jvs009/VOICEACTRESS100_095"]
    assert "one behind" in reasons["jvs058/VOICEACTRESS100_016"]
    assert sum("wrong file name" in reason for reason in reasons.values()) == 15
    assert any("no folder of" in text for text in found.warnings)


def test_a_corpus_is_found_inside_the_folder(tmp_path: Path) -> None:
    jvs(tmp_path / "unpacked" / "jvs_ver1")
    assert only(tmp_path / "unpacked").root == tmp_path / "unpacked" / "jvs_ver1"


def test_corpora_side_by_side_are_all_told(tmp_path: Path) -> None:
    jvs(tmp_path / "jvs_ver1")
    jsut(tmp_path / "jsut_ver1.1")
    found = inspect_folder(tmp_path)
    assert [(each.layout, each.root.name) for each in found] == [
        ("jsut", "jsut_ver1.1"),
        ("jvs", "jvs_ver1"),
    ]
    table = tomllib.loads("\n".join(each.table for each in found))
    assert {name: corpus["layout"] for name, corpus in table["corpora"].items()} == {
        "jsut": "jsut",
        "jvs": "jvs",
    }


def test_a_pair_of_folders_is_told_with_its_table(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "N2C", 3)
    wav(corpus.source / "alone.wav", rate=48000, subtype="PCM_24", channels=2)
    wav(corpus.source / "float.wav", rate=48000, subtype="FLOAT")
    (corpus.target / "empty.wav").write_bytes(b"")
    found = only(tmp_path)  # the only folder inside is the corpus
    assert (found.layout, found.root) == ("folder", corpus.root)
    assert found.common == {"source target": 3}
    source, target = found.parts
    assert source.rates == {8000: 3, 48000: 2}
    assert source.depths == {"16-bit": 3, "24-bit": 1, "32-bit float": 1}
    assert source.channels == {1: 4, 2: 1}
    assert (target.files, sum(target.rates.values())) == (4, 3)
    assert [each.recordings for each in found.findings] == [("target/empty",)]
    assert found.findings[0].reason == "is an empty file"
    assert tomllib.loads(found.table) == {
        "corpora": {
            "N2C": {
                "layout": "folder",
                "root": str(corpus.root),
                "speakers": {"source": "source", "target": "target"},
            }
        },
        "pairs": [{"source": "source", "target": "target"}],
    }


def test_the_table_builds(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "N2C", 3)
    toml = tmp_path / "N2C.toml"
    quick = "[audio]\nrate = 8000\n[features]\nfmax = 4000.0\n[split]\ndev = 1\neval = 1\n"
    toml.write_text(f"{only(corpus.root).table}\n{quick}", encoding="utf-8")
    said = corpuskit("build", "N2C", "--config", toml, "--workspace", tmp_path / "w", "--jobs", 1)
    assert said.code == 0, said.err


def test_folders_without_a_common_stem_are_no_pair(tmp_path: Path) -> None:
    wav(tmp_path / "x" / "a.wav")
    wav(tmp_path / "y" / "b.wav")
    found = only(tmp_path)
    assert (found.layout, found.common) == ("unknown", {})
    assert "[[pairs]]" not in found.table
    assert "without a partner here" in "\n".join(inspected(found))


def test_one_folder_of_recordings_is_one_speaker(tmp_path: Path) -> None:
    wav(tmp_path / "my voice" / "a.wav")
    wav(tmp_path / "my voice" / "more" / "b.wav")
    found = only(tmp_path / "my voice")
    assert (found.layout, found.speakers, found.files) == ("unknown", ("my_voice",), 2)


def test_names_that_are_no_words_are_made_some(tmp_path: Path) -> None:
    for folder in ("a b", "a,b", "?", "声"):
        wav(tmp_path / folder / "x.wav")
    found = only(tmp_path)
    table = tomllib.loads(found.table)
    speakers = next(iter(table["corpora"].values()))["speakers"]
    assert speakers == {"corpus": "?", "a_b": "a b", "a_b-2": "a,b", "声": "声"}


def test_links_in_circles_and_hidden_folders_end(tmp_path: Path) -> None:
    corpus = quick_corpus(tmp_path / "N2C", 2)
    (corpus.source / "again").symlink_to(corpus.root, target_is_directory=True)
    shutil.copytree(corpus.target, corpus.root / ".hidden")
    assert only(corpus.root).speakers == ("source", "target")


def test_what_holds_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    for name, told in (("gone", "no folder"), ("file", "no folder"), ("empty", "no recording")):
        with pytest.raises(BadSetting, match=told):
            inspect_folder(tmp_path / name)


def test_the_command_tells_it_in_words_and_json(tmp_path: Path) -> None:
    root = jvs(tmp_path / "jvs_ver1")
    said = corpuskit("scan", root)
    assert said.code == 0
    assert "a JVS corpus, 4 speakers (2 people), 10 files, 0.9 s." in said.out
    assert "found: 1 recording: is a faulty reading" in said.out
    assert f'[corpora.jvs]\nlayout = "jvs"\nroot = "{root}"' in said.out
    (told,) = json.loads(corpuskit("scan", root, "--json").out)
    assert (told["layout"], told["root"]) == ("jvs", str(root))
    assert {part["subset"] for part in told["parts"]} == {"parallel100", "whisper10"}
    assert corpuskit("scan", tmp_path / "gone").code == 2

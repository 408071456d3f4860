"""TextGrids out of a version, edited with the textgrid library, and back into a build."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import textgrid

from building import built, corpuskit, events, quick_corpus, settings, written_toml
from corpuskit.build import Built, Note
from corpuskit.config import DatasetConfig
from corpuskit.diff import diff_versions
from corpuskit.errors import BadSetting, Refused
from corpuskit.exports.registry import export
from corpuskit.exports.request import Means
from corpuskit.verify import Problem, verify
from corpuskit.versions import Version, open_version
from corpuskit.wording.diff import difference
from corpuskit.wording.versions import version as described
from synthetic import PairCorpus

LEVELS = ("silence.thresh=-50", "silence.head_thresh=-45", "silence.min_silence_len=200")


class Desk:
    """A corpus, its first version and a folder of its TextGrids."""

    def __init__(self, folder: Path, corpus: PairCorpus) -> None:
        self.folder, self.corpus = folder, corpus
        self.workspace, self.grids = folder / "w", folder / "grids"

    def settings(self, *changes: str) -> DatasetConfig:
        return settings(self.corpus.root, *LEVELS, *changes)

    def by_hand(self, name: str, *changes: str) -> Built:
        return built(self.workspace, self.settings(f"tiers.folder={self.grids}", *changes), name)

    def notes(self, name: str, *changes: str) -> list[str]:
        config = self.settings(f"tiers.folder={self.grids}", *changes)
        return [e.text for e in events(self.workspace, config, name) if isinstance(e, Note)]

    def edit(self, recording: str, change: Callable[[textgrid.TextGrid], None]) -> None:
        path = self.grids / f"{recording}.TextGrid"
        grid = textgrid.TextGrid()
        grid.read(str(path), round_digits=15)
        change(grid)
        grid.write(str(path))


def first_break_ends_at(seconds: float) -> Callable[[textgrid.TextGrid], None]:
    """Move the end of the first break and of the silence around it."""

    def change(grid: textgrid.TextGrid) -> None:
        for name, label in (("speech", "silence"), ("phrases", "break")):
            tier = grid.getFirst(name)
            at = [each.mark for each in tier].index(label)
            tier[at].maxTime = tier[at + 1].minTime = tier[at].minTime + seconds

    return change


def no_break(grid: textgrid.TextGrid) -> None:
    for each in grid.getFirst("phrases"):
        each.mark = each.mark.replace("break", "phrase")


def keep_from(seconds: float) -> Callable[[textgrid.TextGrid], None]:
    def change(grid: textgrid.TextGrid) -> None:
        cut = grid.getFirst("cut")
        cut[0].maxTime = cut[1].minTime = seconds

    return change


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    desk = Desk(folder, quick_corpus(folder / "corpus", 4))
    version = built(desk.workspace, desk.settings(), "N2C").version
    list(export(version, "textgrid", desk.grids, Means()))
    return desk


@pytest.fixture
def desk(first: Desk, tmp_path: Path) -> Desk:
    """A desk of one's own; the corpus is shared."""
    shutil.copytree(first.workspace, tmp_path / "w")
    shutil.copytree(first.grids, tmp_path / "grids")
    return Desk(tmp_path, first.corpus)


def original(desk: Desk) -> Version:
    return open_version(desk.workspace, "N2C")


def test_there_is_one_textgrid_a_recording(desk: Desk) -> None:
    used = sorted(r.id for r in original(desk).recordings if r.state == "used")
    found = sorted(
        path.relative_to(desk.grids).as_posix() for path in desk.grids.rglob("*.TextGrid")
    )
    assert found == [f"{name}.TextGrid" for name in used]
    assert len(used) == 8


def test_the_corpus_has_something_to_correct(desk: Desk) -> None:
    assert all(pair.breaks == (1, 1) for pair in original(desk).pairs)


def test_unedited_textgrids_change_nothing(desk: Desk) -> None:
    again = desk.by_hand("N2C")
    assert not again.new
    second = desk.by_hand("N2C_2").version
    assert second.fingerprint == original(desk).fingerprint
    assert second.tiers == {}
    assert [vars(p) for p in second.pairs] == [vars(p) for p in original(desk).pairs]


def test_unedited_textgrids_pin_nothing(desk: Desk) -> None:
    """Another threshold decides anew where no hand has been."""
    higher = ("silence.thresh=-30", "silence.head_thresh=-30")
    plain = built(desk.workspace, desk.settings(*higher), "N2C_2").version
    assert plain.fingerprint != original(desk).fingerprint
    assert desk.by_hand("N2C_3", *higher).version.fingerprint == plain.fingerprint


def test_without_the_list_of_what_was_exported_every_file_decides(desk: Desk) -> None:
    (desk.grids / "automatic.json").unlink()
    assert desk.by_hand("N2C_2").version.fingerprint == original(desk).fingerprint
    pinned = desk.by_hand("N2C_3", "silence.thresh=-30", "silence.head_thresh=-30").version
    assert len(pinned.tiers) == 8
    assert [p.source.samples for p in pinned.pairs] == [
        p.source.samples for p in original(desk).pairs
    ]


def test_a_moved_boundary_reaches_the_version_to_the_sample(desk: Desk) -> None:
    desk.edit("N/utt_001", keep_from(0.25))
    version = desk.by_hand("N2C_2").version
    side = version.pairs[0].source
    assert side.recording == "N/utt_001"
    assert side.samples == (2000, original(desk).pairs[0].source.samples[1])  # 0.25 s at 8 kHz
    assert list(version.tiers) == ["N/utt_001"]
    assert version.tiers["N/utt_001"].start == 2000
    assert version.fingerprint != original(desk).fingerprint
    for old, new in zip(original(desk).pairs[1:], version.pairs[1:], strict=True):
        assert (old.source, old.target) == (new.source, new.target)
        assert np.array_equal(original(desk).durations(old), version.durations(new))


@pytest.mark.parametrize("recording", ["N/utt_001", "C/utt_001"])
def test_breaks_of_either_side_follow_the_hand(desk: Desk, recording: str) -> None:
    desk.edit(recording, no_break)
    pair = desk.by_hand("N2C_2").version.pairs[0]
    assert pair.breaks == ((0, 1) if recording[0] == "N" else (1, 0))
    assert len(pair.target.phrases) == (2 if recording[0] == "N" else 1)  # the target's count


def test_silences_follow_the_hand(desk: Desk) -> None:
    desk.edit("C/utt_001", first_break_ends_at(0.04))
    old, new = original(desk).pairs[0], desk.by_hand("N2C_2").version.pairs[0]
    assert new.target.silences[0][0] == old.target.silences[0][0]
    assert new.target.silences[0][1] - new.target.silences[0][0] == 5  # 0.04 s in frames of 8 ms


def test_a_recording_in_both_directions_is_corrected_once(desk: Desk) -> None:
    both = 'pairs=[{ source = "N", target = "C", both = true }]'
    desk.edit("N/utt_001", keep_from(0.25))
    version = desk.by_hand("N2C_2", both).version
    sides = {
        s.samples for p in version.pairs for s in (p.source, p.target) if s.recording == "N/utt_001"
    }
    assert {start for start, _ in sides} == {2000}
    assert len(sides) == 1


def test_hand_tiers_survive_export_and_build(desk: Desk) -> None:
    desk.edit("N/utt_001", keep_from(0.25))
    second = desk.by_hand("N2C_2").version
    shutil.rmtree(desk.grids)
    list(export(second, "textgrid", desk.grids, Means()))
    third = desk.by_hand("N2C_3").version
    assert third.fingerprint == second.fingerprint
    assert third.tiers == second.tiers
    higher = desk.by_hand("N2C_4", "silence.thresh=-30", "silence.head_thresh=-30").version
    assert higher.tiers == second.tiers


def test_a_textgrid_of_decisions_that_the_thresholds_share_corrects_nothing(desk: Desk) -> None:
    desk.edit("N/utt_001", keep_from(0.25))
    edited = desk.by_hand("N2C_2").version.fingerprint
    start = original(desk).pairs[0].source.samples[0]
    desk.edit("N/utt_001", keep_from(start / 8000))
    assert desk.by_hand("N2C_3").version.fingerprint == original(desk).fingerprint != edited


def test_the_version_says_what_a_hand_did(desk: Desk) -> None:
    desk.edit("N/utt_001", keep_from(0.25))
    desk.edit("C/utt_002", no_break)
    version = desk.by_hand("N2C_2").version
    assert list(verify(desk.workspace, "N2C_2", 1))[:-1] == []
    assert "tiers corrected by hand: 2 recordings: C/utt_002, N/utt_001" in list(described(version))
    found = diff_versions(original(desk), version)
    assert found.tiers == {"C/utt_002": "added", "N/utt_001": "added"}
    assert {c.pair: "tiers" in c.aspects for c in found.changed} == {
        "N>C/utt_001": True,
        "N>C/utt_002": True,
    }
    assert "tiers by hand added: C/utt_002, N/utt_001" in list(difference(found))
    assert "recordings corrected by hand: 2 added" in found.sentence
    assert diff_versions(version, original(desk)).tiers["N/utt_001"] == "removed"
    desk.edit("N/utt_001", keep_from(0.26))
    third = desk.by_hand("N2C_3").version
    assert diff_versions(version, third).tiers == {"N/utt_001": "changed"}


def test_a_forgotten_folder_is_told_when_the_name_is_built_again(desk: Desk) -> None:
    desk.edit("N/utt_001", keep_from(0.25))
    desk.by_hand("N2C_2")
    with pytest.raises(Refused, match=r"other tiers by hand \(--tiers\) for N/utt_001"):
        built(desk.workspace, desk.settings(), "N2C_2")


def test_tampered_hand_tiers_are_seen(desk: Desk) -> None:
    desk.edit("N/utt_001", keep_from(0.25))
    version = desk.by_hand("N2C_2").version
    path = version.folder / "tiers.jsonl"
    path.write_text(path.read_text().replace('"start":2000', '"start":2001'))
    problems = [p for p in verify(desk.workspace, "N2C_2", 1) if isinstance(p, Problem)]
    assert "tiers.jsonl is damaged" in problems[0].what


# ------------------------------------------------------------------- bad folders


def test_every_textgrid_that_cannot_be_used_is_named(desk: Desk) -> None:
    (desk.grids / "N" / "utt_001.TextGrid").write_text("nothing")
    desk.edit("C/utt_002", lambda grid: grid.tiers.pop(0) and None)
    shutil.copy(desk.grids / "N" / "utt_003.TextGrid", desk.grids / "C" / "utt_001.TextGrid")
    with pytest.raises(BadSetting) as caught:
        desk.by_hand("N2C_2")
    told = str(caught.value)
    assert "3 TextGrids cannot be used" in told
    for part in (
        "N/utt_001.TextGrid ends",
        "C/utt_002.TextGrid: has the interval tier 'speech' not",
    ):
        assert part in told
    assert "C/utt_001.TextGrid: goes from 0 to" in told
    assert not (desk.workspace / "versions" / "N2C_2").exists()


def test_bad_textgrids_stop_before_anything_is_measured(desk: Desk) -> None:
    shutil.rmtree(desk.workspace)
    shutil.copy(desk.grids / "N" / "utt_003.TextGrid", desk.grids / "C" / "utt_001.TextGrid")
    with pytest.raises(
        BadSetting, match=r"1 TextGrid cannot be used.*\n.*C/utt_001.TextGrid: goes"
    ):
        desk.by_hand("N2C_2")
    assert not (desk.workspace / "objects").exists()


def test_textgrids_of_no_recording_are_named(desk: Desk) -> None:
    shutil.copy(desk.grids / "N" / "utt_001.TextGrid", desk.grids / "N" / "utt_999.TextGrid")
    told = desk.notes("N2C_2")
    assert "TextGrids that match no recording with a partner: N/utt_999.TextGrid" in told


def test_two_files_for_one_recording_are_refused(desk: Desk) -> None:
    path = desk.grids / "N" / "utt_001.TextGrid"
    shutil.copy(path, path.with_suffix(".textgrid"))
    with pytest.raises(BadSetting, match="are about one recording"):
        desk.by_hand("N2C_2")


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1', '["a"]'])
def test_a_damaged_list_of_what_was_exported_is_named(desk: Desk, content: str) -> None:
    (desk.grids / "automatic.json").write_text(content)
    with pytest.raises(BadSetting, match=r"automatic\.json is damaged.*remove it"):
        desk.by_hand("N2C_2")


def test_hand_work_on_a_recording_that_is_set_aside_is_named(desk: Desk) -> None:
    desk.edit("N/utt_001", keep_from(0.25))
    wav = desk.corpus.source / "utt_001.wav"
    private = desk.folder / "corpus"
    shutil.copytree(desk.corpus.root, private)
    from corpuskit.audio import decode, write_wav

    sound = decode(wav)
    write_wav(private / "target" / "utt_001.wav", np.zeros(8000), 8000)
    assert sound.rate == 8000
    desk.corpus = PairCorpus(**{**vars(desk.corpus), "root": private})
    shutil.rmtree(desk.grids / "C")
    assert "corrected by hand, but set aside: N/utt_001" in desk.notes("N2C_2")


# ------------------------------------------------------------------ the command line


def test_the_command_line_round_trip(desk: Desk) -> None:
    toml = written_toml(desk.folder / "N2C.toml", desk.corpus.root, *LEVELS)
    where = ("--workspace", desk.workspace)
    shutil.rmtree(desk.grids)
    assert corpuskit("export", "N2C", "--to", "textgrid", desk.grids, *where).code == 0
    desk.edit("N/utt_001", keep_from(0.25))
    said = corpuskit("build", "N2C_2", "--config", toml, "--tiers", desk.grids, "--jobs", 1, *where)
    assert (said.code, "corrected by hand: 1 recording\n" in said.err) == (0, True)
    assert "recordings corrected by hand: 1 added" in said.out
    shown = json.loads(corpuskit("show", "N2C_2", "--json", *where).out)
    assert list(shown["tiers"]) == ["N/utt_001"]
    told = json.loads(corpuskit("diff", "N2C", "N2C_2", "--json", *where).out)
    assert told["tiers"] == {"N/utt_001": "added"}


def test_like_reads_the_versions_folder_again(desk: Desk) -> None:
    desk.edit("N/utt_001", keep_from(0.25))
    desk.by_hand("N2C_2")
    where = ("--jobs", 1, "--workspace", desk.workspace)
    like = ("--like", "N2C_2", *where)
    assert corpuskit("build", "N2C_3", *like).code == 0
    third = open_version(desk.workspace, "N2C_3")
    assert third.fingerprint == open_version(desk.workspace, "N2C_2").fingerprint
    shutil.rmtree(desk.grids)
    said = corpuskit("build", "N2C_4", *like)
    assert said.code == 2
    assert "grids does not exist" in said.err
    assert corpuskit("build", "N2C_4", *like, "--set", 'tiers.folder=""').code == 0
    plain = open_version(desk.workspace, "N2C_4").fingerprint
    assert plain == original(desk).fingerprint


def test_a_folder_in_the_definition_is_relative_to_it(desk: Desk) -> None:
    desk.edit("N/utt_001", keep_from(0.25))
    toml = written_toml(desk.folder / "N2C.toml", desk.corpus.root, *LEVELS, "tiers.folder=grids")
    where = ("--jobs", 1, "--workspace", desk.workspace)
    assert corpuskit("build", "N2C_2", "--config", toml, *where).code == 0
    assert list(open_version(desk.workspace, "N2C_2").tiers) == ["N/utt_001"]


def test_a_phone_tier_is_there_where_labels_are(desk: Desk) -> None:
    labels = desk.folder / "labels" / "N"
    labels.mkdir(parents=True)
    (labels / "utt_001.lab").write_text("0.0 0.1 sil\n0.1 0.2 a\n")
    (labels / "utt_002.lab").write_text("0.0 100.0 sil\n")
    config = desk.settings(f"corpora.N2C.labels={desk.folder / 'labels'}")
    version = built(desk.workspace, config, "N2C_2").version
    assert version.fingerprint == original(desk).fingerprint
    out = desk.folder / "out"
    told = [e.text for e in export(version, "textgrid", out, Means()) if hasattr(e, "text")]
    assert len(told) == 1
    assert told[0].startswith("no phone tier for N/utt_002: ")
    assert "utt_002.lab: labels end at 100.000 s" in told[0]
    grid = textgrid.TextGrid.fromFile(str(out / "N" / "utt_001.TextGrid"))
    assert [each.mark for each in grid.getFirst("phones")] == ["sil", "a", ""]
    assert (
        "phones" not in textgrid.TextGrid.fromFile(str(out / "C" / "utt_001.TextGrid")).getNames()
    )


def test_jvs_brings_its_phones_along(desk: Desk) -> None:
    root = desk.folder / "jvs_ver1"
    for person, side in (("jvs001", desk.corpus.source), ("jvs002", desk.corpus.target)):
        here = root / person / "parallel100"
        (here / "wav24kHz16bit").mkdir(parents=True)
        (here / "lab" / "mon").mkdir(parents=True)
        for number, wav in enumerate(sorted(side.glob("utt_*.wav")), start=1):
            name = f"VOICEACTRESS100_{number:03d}"
            shutil.copy(wav, here / "wav24kHz16bit" / f"{name}.wav")
            phone = f"{person[-1]}{number}"
            (here / "lab" / "mon" / f"{name}.lab").write_text(f"0.0000000 0.1125000 {phone}\n")
    config = desk.settings(
        f'corpora={{ jvs = {{ layout = "jvs", root = "{root}", subsets = ["parallel100"] }} }}',
        'pairs=[{ source = "jvs001", target = "jvs002" }]',
    )
    version = built(desk.workspace, config, "jvs").version
    out = desk.folder / "out"
    list(export(version, "textgrid", out, Means()))
    for person in ("jvs001", "jvs002"):
        for number in (1, 2, 3, 4):
            path = out / person / f"VOICEACTRESS100_{number:03d}.TextGrid"
            phones = textgrid.TextGrid.fromFile(str(path)).getFirst("phones")
            assert (phones[0].maxTime, phones[0].mark) == (0.1125, f"{person[-1]}{number}")

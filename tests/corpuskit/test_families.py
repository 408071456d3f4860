"""The public families: their counts on stand-in trees, and whole builds of a few recordings."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from building import QUICK, built, corpuskit
from corpuskit.audio import Sound, digest
from corpuskit.build import Built
from corpuskit.config import DatasetConfig, from_mapping, load_dataset, with_settings
from corpuskit.directions import directions
from corpuskit.layouts import Scan, scan
from corpuskit.objects import Store
from corpuskit.pairs import Candidate, candidates
from corpuskit.settings import dump_toml
from corpuskit.verify import Checked, verify
from corpuskit.versions import Recording, Version
from standins import (
    JVS_EMPTY,
    JVS_FAULTY,
    JVS_SPEAKERS,
    WAVS,
    jsut_ids,
    speak_into,
    text_of,
    write_jsss,
    write_jsut,
    write_jvs,
    write_transcript,
)
from synthetic import FULL_SCALE, SOURCE, TARGET, Spoken, Voice, sentence, speak

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "datasets"
LEFT_OUT = {"jvs030", "jvs074", "jvs089"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_jsut(root / "jsut_ver1.1")
    write_jsss(root / "jsss_ver1")
    write_jvs(root / "jvs_ver1")
    return root


def family(name: str, data: Path) -> DatasetConfig:
    """The house's own definition, its roots given as on the command line."""
    roots = [f"corpora.{corpus}.root={data}" for corpus in ("jsut", "jsss", "jvs")]
    needed = roots if name == "jsut_jsss_jvs" else roots[:2]
    return load_dataset(CONFIGS / f"{name}.toml", needed)


def matched(config: DatasetConfig) -> tuple[Scan, list[Candidate]]:
    found = scan(config.corpora)
    return found, candidates(found.recordings, directions(config))


def between(data: Path, source: str, target: str, **jvs: Any) -> list[Candidate]:
    corpora = {
        "ut": {"root": str(data), "layout": "jsut"},
        "ss": {"root": str(data), "layout": "jsss"},
        "vs": {"root": str(data), "layout": "jvs", "speakers": ["jvs001", "jvs058"], **jvs},
    }
    pairs = [{"source": source, "target": target}]
    mapping = {"corpora": corpora, "pairs": pairs}
    return matched(from_mapping(DatasetConfig, mapping, "the test"))[1]


# ----------------------------------------------------------------------- counts


def test_jsut_jsss_has_its_3284_pairs(data: Path) -> None:
    found, pairs = matched(family("jsut_jsss", data))

    assert len(pairs) == 3284
    assert found.warnings == ()
    assert {(p.source.speaker, p.target.speaker) for p in pairs} == {("jsut", "jsss")}
    assert all(p.source.path.name == p.target.path.name for p in pairs)


def test_jsut_jsss_jvs_has_99_speakers_and_about_45000_pairs(data: Path) -> None:
    config = family("jsut_jsss_jvs", data)
    found, pairs = matched(config)

    # Counted by hand: 100 sentences a speaker, less what the table of defects takes.
    gone = Counter({JVS_EMPTY[0]: 1}) + Counter(speaker for speaker, _ in JVS_FAULTY)
    unusable = {(s, n) for s, n in (*JVS_FAULTY, JVS_EMPTY)}
    assert sum(gone.values()) == len(unusable) == 26
    ways = [w for w in directions(config) if w[0].startswith("jvs")]
    assert len(ways) == 97 * 4
    lost = [{n for s, n in unusable if s in way} for way in ways]
    expected = 2 * 3284 + sum(100 - len(numbers) for numbers in lost)
    assert len(pairs) == expected
    assert 44_000 < len(pairs) < 45_500

    speakers = {side.speaker for pair in pairs for side in (pair.source, pair.target)}
    assert speakers == {"jsut", "jsss"} | (set(JVS_SPEAKERS) - LEFT_OUT)
    assert len(speakers) == 99
    counts = Counter((p.source.speaker, p.target.speaker) for p in pairs)
    assert counts["jsut", "jsss"] == counts["jsss", "jsut"] == 3284
    targets = Counter(source for source, _ in counts if source.startswith("jvs"))
    assert set(targets.values()) == {4}
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("source", "target", "count"),
    [
        ("jsut", "jvs001", 100 + 30),  # voiceactress100, and the thirty of nonpara30
        ("jsss", "jvs001", 99 + 10),  # of the thirty the ten of BASIC5000 below 3000
        ("jsut_set1", "jsut_set4", 100),
        ("jvs001", "jvs001_whisper", 5),
        ("jvs001_whisper", "jvs001_falset", 5),
        ("jvs001", "jvs058", 99),  # without the faulty 014
    ],
)
def test_what_is_parallel_to_what(data: Path, source: str, target: str, count: int) -> None:
    assert len(between(data, source, target)) == count


def test_with_faulty_readings_two_speakers_share_all_hundred(data: Path) -> None:
    assert len(between(data, "jvs001", "jvs058", faulty=True)) == 100


# ------------------------------------------------------------------ whole builds

RATE = 24000
NATURAL = dataclasses.replace(SOURCE, rate=RATE, f0=150.0)
OTHER = dataclasses.replace(TARGET, rate=RATE, f0=235.0)
ACTRESS = [f"VOICEACTRESS100_{n:03d}" for n in range(14, 24)]


def utterance(number: int, voice: Voice) -> Spoken:
    return speak(sentence(number, vowels=2), voice, seed=number)


def samples(number: int, voice: Voice) -> np.ndarray:
    return utterance(number, voice).samples / FULL_SCALE


def put(folder: Path, name: str, spoken: np.ndarray) -> None:
    speak_into(folder / WAVS / f"{name}.wav", spoken, RATE)


def write_few_of_jvs(root: Path) -> np.ndarray:
    """jvs057 and jvs058 with sentences 14 to 23, and what is known to be wrong with the latter.

    Returns what jvs058 says as sentence 15, at the end of file 014.
    """
    one, two = (root / speaker / "parallel100" for speaker in ("jvs057", "jvs058"))
    for number in range(14, 24):
        put(one, f"VOICEACTRESS100_{number:03d}", samples(number, NATURAL))
    begun = samples(14, OTHER)
    fill = np.zeros(round(3.53 * RATE) - len(begun))
    gap = 0.5 * np.ones(round(3.94 * RATE) - round(3.53 * RATE))  # loud: it would be heard
    end = samples(15, OTHER)
    put(two, "VOICEACTRESS100_014", np.concatenate([begun, fill, gap, end]))
    for number in range(15, 22):
        put(two, f"VOICEACTRESS100_{number:03d}", samples(number + 1, OTHER))
    put(two, "VOICEACTRESS100_022", samples(99, OTHER))
    put(two, "VOICEACTRESS100_023", samples(23, OTHER))
    for folder in (one, two):
        write_transcript(folder, ACTRESS)
    (root / "gender_f0range.txt").write_text(
        "speaker Male_or_Female minf0[Hz] maxf0[Hz]\njvs057 M 80 230\njvs058 F 150 400\n"
    )
    return end


def jvs_definition(root: Path, *changes: str) -> DatasetConfig:
    corpus = {"root": str(root), "layout": "jvs", "subsets": ["parallel100"]}
    mapping = {
        **QUICK,
        "corpora": {"jvs": {**corpus, "speakers": ["jvs057", "jvs058"]}},
        "pairs": [{"source": "jvs057", "target": "jvs058"}],
    }
    return from_mapping(DatasetConfig, with_settings(mapping, changes), "the test")


@pytest.fixture(scope="module")
def jvs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Path, np.ndarray]:
    """A build of the few, its workspace's folder, and the true sentence 15 of jvs058."""
    place = tmp_path_factory.mktemp("jvs")
    end = write_few_of_jvs(place / "jvs_ver1")
    return built(place / "w", jvs_definition(place / "jvs_ver1")), place, end


def recording(version: Version, name: str) -> Recording:
    return next(each for each in version.recordings if each.id == name)


def test_a_version_of_jvs_has_every_recording_in_one_state(
    jvs: tuple[Built, Path, np.ndarray],
) -> None:
    totals = jvs[0].version.totals

    assert totals["pairs"] == {"candidates": 9, "used": 9, "set_aside": {}}
    counts = totals["recordings"]
    assert counts["found"] == 10 + 11 == counts["used"] + sum(counts["set_aside"].values())
    assert counts["used"] == 18
    known = "shares its file with the next sentence, and careful users remove it "
    known += "(known defect; `faulty = true` includes its part)"
    aside = {r.id: r.reason for r in jvs[0].version.recordings if r.state != "used"}
    assert aside == {
        "jvs057/VOICEACTRESS100_014": f"its partner {known}",
        "jvs058/VOICEACTRESS100_014": known,
        f"jvs058/jvs058/parallel100/{WAVS}/VOICEACTRESS100_022.wav": (
            "has the name of a sentence that is in file 021; that file is used, as others do"
        ),
    }
    assert sum(counts["corrected"].values()) == 8  # 015 by its clip, 016 to 022 by their names


def test_the_second_half_of_a_file_is_what_is_used_for_its_sentence(
    jvs: tuple[Built, Path, np.ndarray],
) -> None:
    made, _, end = jvs
    cut = recording(made.version, "jvs058/VOICEACTRESS100_015")

    assert cut.path.endswith("VOICEACTRESS100_014.wav")
    assert cut.clip == (94560, 94560 + len(end))
    assert cut.samples == len(end)
    assert cut.digest == digest(Sound(samples=end, rate=RATE, channels=1, subtype="PCM_16"))
    assert np.array_equal(made.version.sound(cut).samples, end)
    [pair] = [p for p in made.version.pairs if p.sentence == "VOICEACTRESS100_015"]
    assert pair.target.recording == cut.id
    assert pair.target.length == len(end)
    assert 0 <= pair.target.samples[0] < pair.target.samples[1] <= len(end)


def test_partners_of_shifted_names_say_the_same(jvs: tuple[Built, Path, np.ndarray]) -> None:
    version = jvs[0].version
    for number in range(16, 24):
        name = f"VOICEACTRESS100_{number:03d}"
        said = recording(version, f"jvs058/{name}")
        sound = Sound(samples=samples(number, OTHER), rate=RATE, channels=1, subtype="PCM_16")
        assert said.digest == digest(sound), name
        assert said.text == text_of(name)
        assert Path(said.path).stem == f"VOICEACTRESS100_{number - (number < 23):03d}"


def test_f0_is_searched_in_each_speakers_own_range(jvs: tuple[Built, Path, np.ndarray]) -> None:
    version = jvs[0].version
    store = Store(version.workspace)
    ranges = {"jvs057": (80.0, 230.0), "jvs058": (150.0, 400.0)}
    for each in version.recordings:
        if each.state == "used":
            assert each.f0_range == ranges[each.speaker]
            settings = store.key_parts(each.features)["settings"]
            assert (settings["f0_floor"], settings["f0_ceil"]) == ranges[each.speaker]
            f0 = store.get(each.features)["f0"]
            assert (f0 > 0).any()
            assert f0[f0 > 0].min() >= ranges[each.speaker][0] * 0.99  # StoneMask refines
            assert f0.max() <= ranges[each.speaker][1] * 1.01


def test_a_narrow_range_really_narrows_the_search(tmp_path: Path) -> None:
    write_few_of_jvs(tmp_path / "jvs")
    ranges = tmp_path / "jvs" / "gender_f0range.txt"
    ranges.write_text(ranges.read_text().replace("M 80 230", "M 140 170"))

    own = built(tmp_path / "w", jvs_definition(tmp_path / "jvs")).version
    config = jvs_definition(tmp_path / "jvs", "features.f0_range=settings")
    all_of_it = built(tmp_path / "w", config, "jvs_2").version

    def highest(version: Version) -> float:
        store = Store(version.workspace)
        used = [r for r in version.recordings if r.state == "used" and r.speaker == "jvs057"]
        return max(float(store.get(each.features)["f0"].max()) for each in used)

    # The voice sways two semitones about 150 Hz, to 168 Hz; an octave above is out of reach.
    assert highest(own) < 175
    assert {each.f0_range for each in all_of_it.recordings} == {None}
    assert own.fingerprint != all_of_it.fingerprint
    changed = {r.id for r in own.recordings} & {r.id for r in all_of_it.recordings}
    before, after = ({r.id: r.features for r in v.recordings} for v in (own, all_of_it))
    assert all(before[name] != after[name] for name in changed if before[name])


def test_another_range_is_another_version(jvs: tuple[Built, Path, np.ndarray]) -> None:
    made, place, _ = jvs
    ranges = place / "jvs_ver1" / "gender_f0range.txt"
    text = ranges.read_text()
    ranges.write_text(text.replace("M 80 230", "M 80 231"))
    try:
        other = built(place / "w", jvs_definition(place / "jvs_ver1"), "other").version
    finally:
        ranges.write_text(text)

    assert other.fingerprint != made.version.fingerprint


def test_faulty_readings_can_be_had(jvs: tuple[Built, Path, np.ndarray]) -> None:
    _, place, _ = jvs

    version = built(
        place / "w", jvs_definition(place / "jvs_ver1", "corpora.jvs.faulty=true"), "faulty"
    ).version

    assert len(version.pairs) == 10
    begun = recording(version, "jvs058/VOICEACTRESS100_014")
    assert begun.clip == (0, 84720)
    spoken = samples(14, OTHER)
    assert np.array_equal(version.sound(begun).samples[: len(spoken)], spoken)


def test_clips_are_verified_against_their_file(jvs: tuple[Built, Path, np.ndarray]) -> None:
    made, place, end = jvs

    [whole] = verify(made.version.workspace, "N2C", jobs=1)
    path = place / "jvs_ver1/jvs058/parallel100" / WAVS / "VOICEACTRESS100_014.wav"
    kept = path.read_bytes()
    spoken = np.concatenate([np.zeros(94560), end])
    speak_into(path, np.concatenate([spoken[:-1], [0.5]]), RATE)
    try:
        [problem, _] = verify(made.version.workspace, "N2C", jobs=1)
        speak_into(path, spoken[:-1], RATE)
        [shorter, _] = verify(made.version.workspace, "N2C", jobs=1)
    finally:
        path.write_bytes(kept)

    assert isinstance(whole, Checked)
    assert problem.recordings == shorter.recordings == ("jvs058/VOICEACTRESS100_015",)
    assert problem.pairs == ("jvs057>jvs058/VOICEACTRESS100_015",)


def test_show_names_what_was_corrected(jvs: tuple[Built, Path, np.ndarray]) -> None:
    said = corpuskit("show", "N2C", "--workspace", jvs[0].version.workspace)

    corrected = [line for line in said.out.splitlines() if line.startswith("corrected: ")]
    assert len(corrected) == 8
    assert corrected[0].startswith("corrected: recording jvs058/VOICEACTRESS100_015 (")
    assert corrected[0].endswith(
        "_014.wav): two sentences were left in one file: this is its end, from 3.94 s"
    )


def test_labels_of_a_wrong_name_are_not_taken_for_another_sentence(
    jvs: tuple[Built, Path, np.ndarray], tmp_path: Path
) -> None:
    made, place, _ = jvs
    for speaker in ("jvs057", "jvs058"):
        folder = place / "jvs_ver1" / speaker / "parallel100" / "lab" / "mon"
        folder.mkdir(parents=True)
        for number in range(14, 24):
            (folder / f"VOICEACTRESS100_{number:03d}.lab").write_text("0.0 0.2 a\n0.2 0.4 i\n")

    said = corpuskit(
        *("export", "N2C", "--to", "textgrid", tmp_path / "grids"),
        *("--workspace", made.version.workspace),
    )

    assert said.code == 0, said.err
    labelled = [
        path
        for path in sorted((tmp_path / "grids").rglob("*.TextGrid"))
        if '"phones"' in path.read_text("utf-8")
    ]
    assert sum("jvs057" in str(path) for path in labelled) == 9
    assert [path.stem[-3:] for path in labelled if "jvs058" in str(path)] == ["023"]


def test_jsut_and_jsss_are_built_from_a_folder_that_holds_both(tmp_path: Path) -> None:
    names = jsut_ids("basic5000")[:4]
    for number, name in enumerate(names):
        speak_into(
            tmp_path / "data/jsut_ver1.1/basic5000/wav" / f"{name}.wav",
            utterance(number, dataclasses.replace(NATURAL, rate=48000)).samples / FULL_SCALE,
            48000,
        )
        folder = tmp_path / "data" / "jsss_ver1" / "short-form" / "basic5000"
        if number < 3:
            put(folder, name, samples(number, OTHER))
    write_transcript(
        tmp_path / "data/jsut_ver1.1/basic5000", [*names, "BASIC5000_9999"], "transcript_utf8.txt"
    )
    write_transcript(folder, names[:3], "transcript_utf8.txt")
    definition = {
        **{key: value for key, value in QUICK.items() if key != "pairs"},
        "corpora": {
            "jsut": {"root": "${DATA}", "layout": "jsut", "subsets": ["basic5000"]},
            "jsss": {"root": "${DATA}", "layout": "jsss", "subsets": ["short-form/basic5000"]},
        },
        "pairs": [{"source": "jsut", "target": "jsss", "both": True}],
    }
    (tmp_path / "two.toml").write_text(dump_toml(definition), encoding="utf-8")
    said = corpuskit(
        *("build", "two", "--config", tmp_path / "two.toml", "--workspace", tmp_path / "w"),
        *(f"--set=corpora.{name}.root={tmp_path / 'data'}" for name in ("jsut", "jsss")),
        *("--jobs", "1"),
    )

    assert said.code == 0, said.err
    assert "set aside: 1 recording: is in its transcript, but there is no wav" in said.out
    assert "set aside: 1 recording: has no partner" in said.out
    from corpuskit.versions import open_version

    version = open_version(tmp_path / "w", "two")
    assert sorted(pair.id for pair in version.pairs) == sorted(
        f"{way}/{name}" for way in ("jsut>jsss", "jsss>jsut") for name in names[:3]
    )
    assert {r.text for r in version.recordings if r.sentence == names[0]} == {text_of(names[0])}
    assert version.totals["recordings"]["found"] == 8


def test_a_root_that_is_not_given_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JSUT_ROOT", "JSSS_ROOT", "JVS_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(CONFIGS.parents[1])

    said = corpuskit("build", "jsut_jsss_jvs", "--workspace", tmp_path / "w")

    assert said.code == 2
    assert "JSUT_ROOT is not set" in said.err
    assert "--set corpora.jsut.root=DIR" in said.err

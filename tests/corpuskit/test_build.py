"""What a build owes its user beyond the version: one fingerprint, plain refusals, healing, order.

Kills, refusing disks and bad recordings one by one are in test_durability.py and test_files.py.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from building import (
    built,
    contents,
    definition,
    ended,
    events,
    litter,
    quick_corpus,
    settings,
    started,
    written_toml,
)
from corpuskit import engine, recordings
from corpuskit.build import Built, Note, Planned, Progress, next_name
from corpuskit.config import dump_toml, load_dataset
from corpuskit.errors import BadVersion, CorpuskitError, Refused
from corpuskit.objects import Store
from corpuskit.verify import Checked, Problem, verify
from corpuskit.versions import Version, list_versions, open_version
from synthetic import PairCorpus


@pytest.fixture
def corpus(tmp_path: Path) -> PairCorpus:
    return quick_corpus(tmp_path / "corpus")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recordings count as old: the index may remember them at once."""
    monkeypatch.setattr(recordings, "_SETTLED", -(10**15))


def notes(told: list[object]) -> list[str]:
    return [event.text for event in told if isinstance(event, Note)]


def test_a_version_that_exists_under_another_name_is_told(
    tmp_path: Path, corpus: PairCorpus
) -> None:
    built(tmp_path / "w", settings(corpus.root), "N2C")
    built(tmp_path / "w", settings(corpus.root, "silence.thresh=-30"), "N2C_2")

    again = notes(events(tmp_path / "w", settings(corpus.root), "N2C_3"))
    other = notes(events(tmp_path / "w", settings(corpus.root), "other"))
    new = notes(events(tmp_path / "w", settings(corpus.root, "silence.thresh=-35"), "N2C_4"))

    same = "dataset {} is the same version: the fingerprints are equal"
    assert again == [same.format("N2C")]
    assert other == [same.format("N2C"), same.format("N2C_3")]
    assert new == []


def test_equal_to_the_last_version_is_left_to_the_comparison_with_it(
    tmp_path: Path, corpus: PairCorpus
) -> None:
    built(tmp_path / "w", settings(corpus.root), "N2C")

    told = events(tmp_path / "w", settings(corpus.root), "N2C_2")

    assert notes(told) == []
    assert isinstance(told[-1], Built)
    assert told[-1].previous is not None
    assert told[-1].previous.identical


def problems(version: Version) -> list[Problem]:
    found = verify(version.workspace, version.name, jobs=1)
    return [event for event in found if isinstance(event, Problem)]


# ---------------------------------------------------------------------- one fingerprint


def test_the_order_of_keys_and_tables_does_not_count(corpus: PairCorpus, tmp_path: Path) -> None:
    toml = written_toml(tmp_path / "a.toml", corpus.root)
    turned = tmp_path / "b.toml"
    turned.write_text(
        dump_toml(
            {
                name: dict(reversed(table.items())) if isinstance(table, dict) else table
                for name, table in reversed(definition(corpus.root).items())
            }
        )
    )
    assert toml.read_text() != turned.read_text()

    prints = {built(tmp_path / p.stem, load_dataset(p)).version.fingerprint for p in (toml, turned)}

    assert len(prints) == 1


def test_a_moved_and_renamed_corpus_gives_the_same(corpus: PairCorpus, tmp_path: Path) -> None:
    before = built(tmp_path / "w", settings(corpus.root)).version
    moved = corpus.root.rename(tmp_path / "elsewhere")
    (moved / "target").rename(moved / "C's voice")
    config = settings(moved, 'corpora.N2C.speakers={ N = "source", C = "C\'s voice" }')

    again = built(tmp_path / "w", config)

    assert (again.new, again.version.fingerprint) == (False, before.fingerprint)
    assert again.measured == again.aligned == 0


def one_more_pair(corpus: PairCorpus) -> None:
    for side in (corpus.source, corpus.target):
        shutil.copy(side / "utt_001.wav", side / "utt_009.wav")


def one_pair_less(corpus: PairCorpus) -> None:
    (corpus.source / "utt_002.wav").unlink()


def another_name(corpus: PairCorpus) -> None:
    for side in (corpus.source, corpus.target):
        (side / "utt_002.wav").rename(side / "utt_0002.wav")


def exchanged(corpus: PairCorpus) -> None:
    one, two = corpus.target / "utt_001.wav", corpus.target / "utt_002.wav"
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)


@pytest.mark.parametrize("change", [one_more_pair, one_pair_less, another_name, exchanged])
def test_another_folder_content_gives_another(
    corpus: PairCorpus, tmp_path: Path, change: Callable[[PairCorpus], None]
) -> None:
    before = built(tmp_path / "a", settings(corpus.root)).version.fingerprint
    change(corpus)

    assert built(tmp_path / "b", settings(corpus.root)).version.fingerprint != before


def test_what_is_not_used_does_not_count(corpus: PairCorpus, tmp_path: Path) -> None:
    before = built(tmp_path / "a", settings(corpus.root)).version.fingerprint
    (corpus.source / "alone.wav").write_bytes(b"")
    (corpus.root / "notes.txt").write_text("mine")

    assert built(tmp_path / "b", settings(corpus.root)).version.fingerprint == before


# ------------------------------------------------------------------------- bookkeeping


def holding(samples: object, rate: int = 8000, subtype: str = "PCM_16") -> Callable[[Path], None]:
    return lambda path: sf.write(path, samples, rate, subtype=subtype)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def ambiguous(path: Path) -> None:
    (path.parent / "again").mkdir(exist_ok=True)
    shutil.copy(path, path.parent / "again" / path.name)


NOISE = np.random.default_rng(1).normal(0, 0.1, 8000)
# kind: what makes a recording one that cannot be used, and how the reason reads
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is an empty file"),
    "no wav": (lambda path: path.write_bytes(b"once upon a time" * 50), "cannot be decoded"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-500]), "is truncated"),
    "zero-length": (holding(np.zeros(0)), "holds no samples"),
    "silent": (holding(np.zeros(8000)), "is silent from end to end"),
    "faint": (holding(NOISE * 1e-5, 8000, "FLOAT"), "is below the silence thresholds"),
    "NaN": (holding(np.full(8000, np.nan), 8000, "FLOAT"), "holds NaN or infinite samples"),
    "low rate": (holding(NOISE, 2000), "too low for speech"),
    "a few samples": (holding(NOISE[:40]), "less than one reduced frame"),
    "voiceless": (holding(NOISE), "has no voiced frame"),
    "dangling link": (dangling, "does not exist"),
    "missing": (Path.unlink, "has no partner"),
    "ambiguous": (ambiguous, "shares its stem with another file"),
}
COUNT = 5
Kinds = tuple[str | None, str | None]  # of the source and of the target


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_corpus(tmp_path_factory.mktemp("spoken") / "corpus", COUNT).root


def with_and_without(spoken: Path, place: Path, kinds: dict[int, Kinds]) -> None:
    """Copy the corpus with bad recordings, and without the pairs that have one."""
    shutil.copytree(spoken, place / "all")
    shutil.copytree(spoken, place / "good")
    for number, both in kinds.items():
        for side, kind in zip(("source", "target"), both, strict=True):
            if kind is not None:
                BAD[kind][0](place / "all" / side / f"utt_{number:03d}.wav")
            if any(both):
                (place / "good" / side / f"utt_{number:03d}.wav").unlink()


def each_has_one_state(version: Version, root: Path) -> None:
    """Every file on disk is in exactly one state; the states add up."""
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.wav"))
    assert sorted(recording.path for recording in version.recordings) == paths
    used = {s.recording for pair in version.pairs for s in (pair.source, pair.target)}
    for recording in version.recordings:
        state = "used" if recording.id in used else "set aside"
        assert (recording.state, recording.reason == "") == (state, state == "used")
    for what, total in (("recordings", "found"), ("pairs", "candidates")):
        counts = version.totals[what]
        assert counts[total] == counts["used"] + sum(counts["set_aside"].values())
    assert version.totals["recordings"]["found"] == len(paths)
    assert version.totals["pairs"]["candidates"] == len(version.pairs) + len(version.set_aside)
    assert all(aside.reason.startswith(("source ", "target ")) for aside in version.set_aside)


def each_reason_names_it(version: Version, kinds: dict[int, Kinds]) -> None:
    reasons = {recording.path: recording.reason for recording in version.recordings}
    for number, both in kinds.items():
        paths = [f"{side}/utt_{number:03d}.wav" for side in ("source", "target")]
        for mine, kind, partner in zip(paths, both, reversed(paths), strict=True):
            if kind is not None and None in both:  # with both bad, one of the reasons is told
                told = reasons[partner if kind == "missing" else mine]
                assert BAD[kind][1] in told, kind


maybe_bad = st.none() | st.sampled_from(sorted(BAD))


@examples(max_examples=10)
@given(
    kinds=st.dictionaries(
        st.integers(1, COUNT), st.tuples(maybe_bad, maybe_bad), min_size=1, max_size=COUNT - 3
    ),
    means=st.sampled_from([{"jobs": 1}, {"jobs": 3, "backend": "threading"}]),
)
@example(kinds={1: ("empty", "no wav"), 2: ("missing", None)}, means={"jobs": 1})
@example(kinds={1: ("truncated", None), 2: (None, "zero-length")}, means={"jobs": 1})
@example(kinds={1: (None, "silent"), 2: ("faint", None)}, means={"jobs": 1})
@example(kinds={1: ("NaN", None), 2: (None, "low rate")}, means={"jobs": 1})
@example(kinds={1: (None, "a few samples"), 2: ("voiceless", None)}, means={"jobs": 1})
@example(kinds={1: ("dangling link", None), 2: (None, "ambiguous")}, means={"jobs": 1})
def test_whatever_is_bad_the_rest_is_built_and_everything_is_counted(
    spoken: Path,
    tmp_path_factory: pytest.TempPathFactory,
    kinds: dict[int, Kinds],
    means: dict[str, object],
) -> None:
    place = tmp_path_factory.mktemp("bad")
    with_and_without(spoken, place, kinds)

    whole = ("split.dev=0", "split.eval=0")  # splits are drawn from the bad ones as well

    version = built(place / "w", settings(place / "all", *whole), **means).version

    good = built(place / "v", settings(place / "good", *whole)).version
    assert version.fingerprint == good.fingerprint  # as if the bad ones had never been there
    bad = {number for number, both in kinds.items() if any(both)}
    sentences = [pair.sentence for pair in version.pairs]
    assert sentences == [f"utt_{n:03d}" for n in range(1, COUNT + 1) if n not in bad]
    each_has_one_state(version, place / "all")
    each_reason_names_it(version, kinds)
    assert problems(version) == []


def test_a_pair_that_is_set_aside_moves_no_other_to_another_split(
    corpus: PairCorpus, tmp_path: Path
) -> None:
    before = built(tmp_path / "w", settings(corpus.root)).version
    held_out = next(pair for pair in before.pairs if pair.split == "dev")
    (corpus.root / "source" / f"{held_out.sentence}.wav").write_bytes(b"")

    after = built(tmp_path / "w", settings(corpus.root), "N2C_2").version

    assert {p.id: p.split for p in after.pairs} == {
        p.id: p.split for p in before.pairs if p.id != held_out.id
    }


# ------------------------------------------------------------------------------ frozen


def test_an_existing_version_is_left_untouched(corpus: PairCorpus, tmp_path: Path) -> None:
    built(tmp_path / "w", settings(corpus.root))
    folder = tmp_path / "w" / "versions"
    before = contents(folder), [path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))]

    again = built(tmp_path / "w", settings(corpus.root))

    after = contents(folder), [path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))]
    assert not again.new
    assert again.previous is None
    assert after == before


def test_other_samples_are_refused_by_the_recordings_names(
    corpus: PairCorpus, tmp_path: Path
) -> None:
    built(tmp_path / "w", settings(corpus.root))
    before = contents(tmp_path / "w" / "versions")
    for number in (1, 2, 3, 4):
        path = corpus.source / f"utt_{number:03d}.wav"
        samples, rate = sf.read(path, dtype="int16")
        sf.write(path, samples // 2, rate, subtype="PCM_16")

    with pytest.raises(Refused) as refused:
        built(tmp_path / "w", settings(corpus.root))

    assert str(refused.value) == (
        "dataset N2C exists and is frozen, and this build differs: "
        "other samples in N/utt_001, N/utt_002, N/utt_003 and 1 more; "
        "build it under the next free name: corpuskit build N2C_2"
    )
    assert contents(tmp_path / "w" / "versions") == before


def test_other_pairs_and_settings_are_refused_with_both(corpus: PairCorpus, tmp_path: Path) -> None:
    built(tmp_path / "w", settings(corpus.root), "N2C_2")
    one_more_pair(corpus)
    (corpus.source / "utt_002.wav").unlink()

    with pytest.raises(Refused, match=r"split\.dev 1 -> 0, 1 pair more, 1 fewer; .*build N2C_3"):
        built(tmp_path / "w", settings(corpus.root, "split.dev=0"), "N2C_2")


def test_the_next_free_name_is_one_that_is_free(corpus: PairCorpus, tmp_path: Path) -> None:
    for name in ("N2C", "N2C_2", "N2C_9", "Other_30"):
        built(tmp_path, settings(corpus.root), name)

    assert next_name(tmp_path, "N2C") == "N2C_10"
    assert next_name(tmp_path, "Other") == "Other_31"
    assert next_name(tmp_path, "New") == "New"


def test_a_folder_that_is_no_version_is_told_apart(corpus: PairCorpus, tmp_path: Path) -> None:
    (tmp_path / "w" / "versions" / "N2C").mkdir(parents=True)
    (tmp_path / "w" / "versions" / "N2C" / "mine").write_text("mine")

    with pytest.raises(Refused, match=r"versions/N2C exists already; choose another name"):
        built(tmp_path / "w", settings(corpus.root))

    assert contents(tmp_path / "w" / "versions") == {"N2C/mine": b"mine"}


@pytest.mark.parametrize("name", ["version.json", "recordings.jsonl", "arrays.safetensors"])
def test_a_damaged_version_is_never_called_unchanged(
    corpus: PairCorpus, tmp_path: Path, name: str
) -> None:
    version = built(tmp_path / "w", settings(corpus.root)).version
    path = version.folder / name
    path.write_bytes(path.read_bytes()[:-3])

    with pytest.raises(BadVersion, match="remove the version's folder and build it again"):
        built(tmp_path / "w", settings(corpus.root))
    shutil.rmtree(version.folder)
    again = built(tmp_path / "w", settings(corpus.root))

    assert (again.new, again.measured, again.aligned) == (True, 0, 0)
    assert again.version.fingerprint == version.fingerprint


@pytest.mark.parametrize(
    "name",
    [
        "version.json",
        "manifest.jsonl",
        "recordings.jsonl",
        "arrays.safetensors",
        "columns.safetensors",
        "objects.safetensors",
    ],
)
def test_a_damaged_sibling_does_not_stand_in_the_way(
    corpus: PairCorpus, tmp_path: Path, settled: None, name: str
) -> None:
    built(tmp_path / "w", settings(corpus.root))
    sibling = built(tmp_path / "w", settings(corpus.root), "N2C_2").version
    (sibling.folder / name).write_bytes(b"{")

    third = built(tmp_path / "w", settings(corpus.root, "features.mels=16"), "N2C_3")

    assert third.new
    assert third.previous is not None
    assert third.previous.before == "N2C"


# ------------------------------------------------------------------------ two at once


def test_two_outcomes_of_one_name_at_once(corpus: PairCorpus, tmp_path: Path) -> None:
    toml = written_toml(tmp_path / "N2C.toml", corpus.root)
    running = [
        started(
            *("build", "N2C", "--config", toml, "--workspace", tmp_path / "w", "--jobs", 1),
            *("--set", f"split.dev={dev}"),
        )
        for dev in (0, 1)
    ]
    first, second = sorted((ended(process) for process in running), key=lambda said: said.code)

    assert (first.code, second.code) == (0, 2), (first, second)
    assert "Built N2C: 4 pairs" in first.out
    assert "dataset N2C exists and is frozen" in second.err
    assert len(second.err.splitlines()) == 1
    assert "Traceback" not in first.err + second.err
    assert problems(open_version(tmp_path / "w", "N2C")) == []
    assert litter(tmp_path / "w") == []


def test_many_at_once_agree(corpus: PairCorpus, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(_: int) -> Built:
        return built(tmp_path / "w", settings(corpus.root))

    with ThreadPoolExecutor(6) as pool:
        ends = list(pool.map(one, range(6)))

    assert sorted(end.new for end in ends) == [False] * 5 + [True]
    assert len({end.version.fingerprint for end in ends}) == 1
    assert litter(tmp_path / "w") == []


# ------------------------------------------------------------------------------ healing


def damage(store: Store, name: str) -> None:
    raw = bytearray(store.path(name).read_bytes())
    raw[-7] ^= 4
    store.path(name).write_bytes(raw)


@pytest.mark.parametrize("kind", ["levels", "features"])
def test_a_damaged_measurement_is_made_again_and_told(
    corpus: PairCorpus, tmp_path: Path, settled: None, kind: str
) -> None:
    version = built(tmp_path / "w", settings(corpus.root)).version
    victim = next(r for r in version.recordings if r.id == "N/utt_002")
    damage(Store(tmp_path / "w"), getattr(victim, kind))
    assert [problem.recordings for problem in problems(version)] == [("N/utt_002",)]

    told = events(tmp_path / "w", settings(corpus.root))

    assert notes(told) == [
        "measuring 1 recording again: stored objects of N/utt_002 and possibly others "
        "are damaged or missing"
    ]
    last = told[-1]
    assert isinstance(last, Built)
    assert (last.new, last.measured, last.aligned) == (False, 1, 0)
    assert problems(version) == []


def test_a_damaged_alignment_is_made_again_and_counted(
    corpus: PairCorpus, tmp_path: Path, settled: None
) -> None:
    version = built(tmp_path / "w", settings(corpus.root)).version
    damage(Store(tmp_path / "w"), version.pairs[2].alignment)
    assert [problem.pairs for problem in problems(version)] == [("N>C/utt_003",)]

    again = built(tmp_path / "w", settings(corpus.root))

    assert (again.new, again.measured, again.aligned) == (False, 0, 1)
    assert problems(version) == []


def test_all_objects_lost_are_made_again(corpus: PairCorpus, tmp_path: Path) -> None:
    version = built(tmp_path / "w", settings(corpus.root)).version
    shutil.rmtree(tmp_path / "w" / "objects")

    again = built(tmp_path / "w", settings(corpus.root))

    assert (again.new, again.measured, again.aligned) == (False, 8, 4)
    assert problems(version) == []


def test_a_torn_object_is_made_again(corpus: PairCorpus, tmp_path: Path) -> None:
    # What a power cut may leave of a file that was renamed before its data reached the disk.
    reference = built(tmp_path / "whole", settings(corpus.root)).version.fingerprint
    built(tmp_path / "w", settings(corpus.root))
    shutil.rmtree(tmp_path / "w" / "versions")
    store = Store(tmp_path / "w")
    for number, name in enumerate(store.names()):
        path = store.path(name)
        keep = [0, 8, 100, path.stat().st_size // 2][number % 4]
        path.write_bytes(path.read_bytes()[:keep] + bytes(path.stat().st_size - keep))

    again = built(tmp_path / "w", settings(corpus.root))

    assert again.version.fingerprint == reference
    assert (again.measured, again.aligned) == (8, 4)
    assert problems(again.version) == []


def test_a_setting_is_named_when_it_makes_recordings_be_measured_again(
    corpus: PairCorpus, tmp_path: Path, settled: None
) -> None:
    built(tmp_path / "w", settings(corpus.root))

    told = events(tmp_path / "w", settings(corpus.root, "features.mels=16"), "N2C_2")

    assert notes(told) == ["measuring 8 recordings again: features.mels 20 -> 16"]


def test_a_library_is_named_when_it_makes_recordings_be_measured_again(
    corpus: PairCorpus, tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path / "w", settings(corpus.root))
    real = recordings.features.libraries

    def newer(*names: str) -> dict[str, str]:
        return real(*names) | ({"soxr": "99"} if "soxr" in names else {})

    monkeypatch.setattr(recordings.features, "libraries", newer)
    monkeypatch.setattr("corpuskit.build.libraries", newer)
    told = events(tmp_path / "w", settings(corpus.root))

    last = told[-1]
    assert isinstance(last, Built)
    assert (last.new, last.measured) == (False, 8)
    assert notes(told) == [
        f"measuring 8 recordings again: libraries changed (soxr {real('soxr')['soxr']} -> 99)"
    ]


# ------------------------------------------------------------------- processes and leftovers


def test_a_process_that_dies_is_told_in_one_line() -> None:
    with pytest.raises(CorpuskitError, match=r"a process died .*; run it again with fewer --jobs"):
        list(engine.run(signal.raise_signal, [signal.SIGKILL] * 8, 2, "loky"))


def test_an_error_in_a_process_stays_what_it_is(corpus: PairCorpus, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"a file")

    with pytest.raises(CorpuskitError, match=r"cannot write .*; free some space"):
        built(tmp_path / "w", settings(corpus.root), jobs=2)


def test_what_killed_builds_left_is_removed_by_the_next(corpus: PairCorpus, tmp_path: Path) -> None:
    version = built(tmp_path / "w", settings(corpus.root)).version
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    name = f".tmp-{socket.gethostname()}-{dead.pid}-01234567"
    for path in (version.folder.parent, Store(tmp_path / "w").folders()[0], tmp_path / "w/index"):
        path.mkdir(exist_ok=True)
        (path / name).write_bytes(b"half")
    (version.folder.parent / f"{name}-folder").mkdir()

    before = contents(tmp_path / "w")
    *_, last = events(tmp_path / "w", settings(corpus.root), "N2C_2", dry_run=True)
    assert isinstance(last, Planned)
    assert contents(tmp_path / "w") == before  # a dry run changes nothing, this neither
    built(tmp_path / "w", settings(corpus.root), "N2C_2")

    assert litter(tmp_path / "w") == []
    assert list_versions(tmp_path / "w") == ["N2C", "N2C_2"]


# ----------------------------------------------------------------------- what it tells


def test_progress_reaches_its_end_stage_by_stage(corpus: PairCorpus, tmp_path: Path) -> None:
    told = events(tmp_path / "w", settings(corpus.root))
    steps = [event for event in told if isinstance(event, Progress)]

    assert [step.stage for step in steps] == ["measure"] * 8 + ["align"]
    assert [step.done for step in steps] == [*range(1, 9), 4]
    assert {(step.stage, step.total) for step in steps} == {("measure", 8), ("align", 4)}


def test_only_pairs_whose_trims_changed_are_aligned_again(
    corpus: PairCorpus, tmp_path: Path, settled: None
) -> None:
    config = settings(corpus.root)
    built(tmp_path / "w", config)
    path = corpus.source / "utt_003.wav"
    samples, rate = sf.read(path, dtype="int16")
    sf.write(path, np.concatenate([samples, samples]), rate, subtype="PCM_16")

    again = built(tmp_path / "w", config, "N2C_2")

    assert (again.measured, again.aligned) == (1, 1)
    assert again.previous is not None
    assert [change.pair for change in again.previous.changed] == ["N>C/utt_003"]


def test_another_phrase_length_aligns_nothing_again(
    corpus: PairCorpus, tmp_path: Path, settled: None
) -> None:
    built(tmp_path / "w", settings(corpus.root))

    again = built(tmp_path / "w", settings(corpus.root, "silence.min_silence_len=200"), "N2C_2")

    assert (again.measured, again.aligned) == (0, 0)
    assert again.previous is not None
    assert again.previous.aspects == {"phrases": 4}


def test_recordings_of_other_rates_and_forms_live_in_one_version(
    corpus: PairCorpus, tmp_path: Path
) -> None:
    path = corpus.target / "utt_001.wav"
    samples, rate = sf.read(path)
    sf.write(path, np.stack([np.repeat(samples, 3)] * 2, axis=1), 3 * rate, subtype="PCM_24")

    version = built(tmp_path / "w", settings(corpus.root)).version

    pair = version.pairs[0]
    assert (pair.source.rate, pair.target.rate) == (8000, 24000)
    assert pair.target.length == 3 * len(samples)
    assert version.durations(pair).sum() == (pair.target.frames[1] - pair.target.frames[0]) // 3


def test_both_directions_share_everything_but_alignments(
    corpus: PairCorpus, tmp_path: Path
) -> None:
    pairs = 'pairs=[{ source = "N", target = "C", both = true }]'
    end = built(tmp_path / "w", settings(corpus.root, pairs))

    assert (end.measured, end.aligned) == (8, 8)
    by_id = {pair.id: pair for pair in end.version.pairs}
    for number in range(1, 5):
        there, back = (by_id[f"{way}/utt_{number:03d}"] for way in ("N>C", "C>N"))
        assert there.split == back.split
        for one, other in ((there.source, back.target), (there.target, back.source)):
            kept = dataclasses.replace(one, phrases=())
            assert kept == dataclasses.replace(other, phrases=())
    assert end.version.totals["recordings"]["found"] == 8
    [*_, counted] = verify(tmp_path / "w", "N2C", jobs=1)
    assert counted == Checked(objects=8 * 2 + 8, recordings=8, absent_roots=())


def test_the_environment_reaches_the_roots(
    corpus: PairCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICES", str(corpus.root))
    toml = written_toml(tmp_path / "N2C.toml", Path("$VOICES"))

    version = built(tmp_path / "w", load_dataset(toml)).version

    assert version.settings.corpora["N2C"].root == os.fspath(corpus.root)
    assert len(version.pairs) == 4

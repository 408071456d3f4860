"""Scoring a run: every eval pair measured or left out, figures that can be traced."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vocoding
from corpuskit.audio import decode
from corpuskit.errors import BadSetting, CorpuskitError, UnknownName
from corpuskit.versions import open_version
from synthetic import write_pair_corpus
from trainer.convert import Converter
from trainer.evaluate import evaluate
from trainer.lineage import read_heard, write_heard
from trainer.metrics import DEFINITIONS, analyse, compare
from trainer.runs import open_run
from trainer.scores import COLUMNS, Evaluation, Utterance
from untrained import built, dataset_settings, untrained_run

CORPUS_SIZE = 6


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    settings = dataset_settings(write_pair_corpus(folder / "corpus", CORPUS_SIZE))
    built(folder / "ws", "demo", settings)
    untrained_run(folder / "ws", "demo", tag="demo_1")
    return folder


@pytest.fixture
def workspace(original: Path, tmp_path: Path) -> Path:
    """A workspace of the test's own; the corpus is shared."""
    shutil.copytree(original / "ws", tmp_path / "ws")
    return tmp_path / "ws"


def finished(workspace: Path, **options: object) -> Evaluation:
    *_, last = evaluate(workspace, "demo_1", device="cpu", **options)  # type: ignore[arg-type]
    assert isinstance(last, Evaluation)
    return last


def test_every_eval_pair_is_measured_in_every_column(workspace: Path) -> None:
    events = list(evaluate(workspace, "demo_1", device="cpu"))

    *utterances, evaluation = events
    held_out = [pair.id for pair in open_version(workspace, "demo").split("eval")]
    assert isinstance(evaluation, Evaluation)
    assert [u.pair for u in utterances if isinstance(u, Utterance)] == held_out
    assert [u.pair for u in evaluation.utterances] == held_out
    assert evaluation.measured == len(held_out) == 2
    assert all(tuple(u.distances) == COLUMNS for u in evaluation.utterances)


def test_the_unconverted_column_is_the_trimmed_source_against_the_trimmed_target(
    workspace: Path,
) -> None:
    version = open_version(workspace, "demo")
    pair = version.split("eval")[0]
    by_id = {recording.id: recording for recording in version.recordings}
    voices = []
    for side in (pair.source, pair.target):
        sound = decode(version.source_path(by_id[side.recording]))
        voices.append(analyse(sound.samples[slice(*side.samples)], sound.rate))

    evaluation = finished(workspace)

    assert evaluation.utterances[0].distances["unconverted"] == compare(*voices)


def test_the_converted_column_is_what_convert_makes_of_the_file(workspace: Path) -> None:
    version = open_version(workspace, "demo")
    pair = version.split("eval")[0]
    by_id = {recording.id: recording for recording in version.recordings}
    path = version.source_path(by_id[pair.source.recording])
    converter = Converter.open(workspace, "demo_1", device="cpu")
    converted = replace(converter, usual=None).convert(path)  # no level is set: one is measured

    evaluation = finished(workspace)

    kept = decode(evaluation.sounds / f"N-C-{pair.sentence}.wav")
    assert kept.samples == pytest.approx(converted.samples, abs=1 / 32768)


def test_copy_synthesis_is_nearer_than_an_untrained_model(workspace: Path) -> None:
    figures = finished(workspace).figures

    nearest, converted = figures["copy_synthesis"]["mcd"].mean, figures["converted"]["mcd"].mean
    assert nearest is not None
    assert converted is not None
    assert nearest < converted


def test_the_result_is_written_to_the_run(workspace: Path) -> None:
    evaluation = finished(workspace)

    run = open_run(workspace, "demo_1")
    written = json.loads(evaluation.file.read_text(encoding="utf-8"))
    result = run.record.results["demo-epoch-0000-world"]
    assert evaluation.file == run.folder / "evaluations" / "demo-epoch-0000-world.json"
    assert written["fingerprint"] == open_version(workspace, "demo").fingerprint
    assert written["checkpoint_digest"] == run.checkpoint().state().digests["weights.safetensors"]
    assert written["vocoder"] == "world"
    assert result["converted"][DEFINITIONS["mcd"]] == written["figures"]["converted"]["mcd"]["mean"]


def test_two_processes_measure_what_one_does(workspace: Path) -> None:
    one = finished(workspace, jobs=1)
    first = one.file.read_bytes()

    two = finished(workspace, jobs=2)

    assert two.utterances == one.utterances
    assert two.file.read_bytes() == first


# ------------------------------------------------------------------------- left out


def test_sentences_heard_in_training_are_left_out_by_name(workspace: Path) -> None:
    run = open_run(workspace, "demo_1")
    leaked, other = open_version(workspace, "demo").split("eval")
    heard = read_heard(run.folder)
    write_heard(run.folder, {**heard, "C": heard["C"] | {leaked.sentence}})

    evaluation = finished(workspace)

    reasons = {u.pair: u.reason for u in evaluation.utterances}
    assert reasons[leaked.id].startswith("leak")
    assert reasons[other.id] == ""
    assert evaluation.figures["converted"]["mcd"].utterances == 1
    assert finished(workspace, keep_leaks=True).measured == 2


def test_sentences_the_vocoder_was_trained_on_are_left_out_too(workspace: Path) -> None:
    speaker = vocoding.started(workspace, spk="demo", tag="said")
    leaked, other = open_version(workspace, "demo").split("eval")
    heard = read_heard(speaker.folder)
    write_heard(speaker.folder, {**heard, "C": heard["C"] | {leaked.sentence}})

    evaluation = finished(workspace, vocoder="said")

    reasons = {u.pair: u.reason for u in evaluation.utterances}
    assert reasons[leaked.id].startswith("leak: the vocoder")
    assert reasons[other.id] == ""
    assert finished(workspace, vocoder="said", keep_leaks=True).measured == 2
    assert finished(workspace).measured == 2


def test_nothing_but_leaks_is_an_error(workspace: Path) -> None:
    run = open_run(workspace, "demo_1")
    sentences = frozenset(pair.sentence for pair in open_version(workspace, "demo").pairs)
    write_heard(run.folder, {"N": sentences})

    with pytest.raises(BadSetting, match=r"leak.*--keep-leaks"):
        finished(workspace)


def test_a_direction_that_was_not_trained_is_left_out(workspace: Path, original: Path) -> None:
    corpus = write_pair_corpus(original / "corpus", CORPUS_SIZE)
    pairs = [{"source": "N", "target": "C", "both": True}]
    built(workspace, "demo_2", dataset_settings(corpus, pairs=pairs))

    evaluation = finished(workspace, spk="demo_2")

    left_out = [u for u in evaluation.utterances if u.reason]
    assert {u.pair.partition("/")[0] for u in left_out} == {"C>N"}
    assert (evaluation.measured, len(left_out)) == (2, 2)


# ------------------------------------------------------------------------- refusals


def test_another_version_is_scored_with_its_own_eval_split(workspace: Path, original: Path) -> None:
    corpus = write_pair_corpus(original / "corpus", CORPUS_SIZE)
    built(workspace, "demo_3", dataset_settings(corpus, silence={"thresh": -45.0}))

    evaluation = finished(workspace, spk="demo_3")

    assert evaluation.dataset == "demo_3"
    assert evaluation.file.name == "demo_3-epoch-0000-world.json"


def test_a_version_with_other_frames_is_refused(workspace: Path, original: Path) -> None:
    corpus = write_pair_corpus(original / "corpus", CORPUS_SIZE)
    built(workspace, "demo_4", dataset_settings(corpus, features={"hop_length": 128}))

    with pytest.raises(BadSetting, match=r"features\.hop_length is 128, not 256"):
        finished(workspace, spk="demo_4")


def test_a_version_without_eval_pairs_is_refused(workspace: Path, original: Path) -> None:
    corpus = write_pair_corpus(original / "corpus", CORPUS_SIZE)
    built(workspace, "demo_5", dataset_settings(corpus, split={"dev": 1, "eval": 0}))

    with pytest.raises(BadSetting, match=r"no eval pairs.*split.eval"):
        finished(workspace, spk="demo_5")


def test_unknown_runs_and_versions_are_refused(workspace: Path) -> None:
    with pytest.raises(UnknownName, match="demo_1"):
        list(evaluate(workspace, "demo_9"))
    with pytest.raises(UnknownName, match="demo"):
        list(evaluate(workspace, "demo_1", spk="demo_9"))


@pytest.fixture
def own_corpus(tmp_path: Path) -> tuple[Path, Path]:
    """A workspace and a corpus that a test may damage."""
    corpus = write_pair_corpus(tmp_path / "corpus", CORPUS_SIZE)
    built(tmp_path / "ws", "demo", dataset_settings(corpus))
    untrained_run(tmp_path / "ws", "demo", tag="demo_1")
    return tmp_path / "ws", corpus.root


def held_out_file(workspace: Path) -> Path:
    version = open_version(workspace, "demo")
    recording = version.split("eval")[0].target.recording
    return version.source_path(next(r for r in version.recordings if r.id == recording))


def test_a_missing_recording_is_named(own_corpus: tuple[Path, Path]) -> None:
    workspace, _ = own_corpus
    path = held_out_file(workspace)
    path.unlink()

    with pytest.raises(CorpuskitError, match="does not exist") as caught:
        finished(workspace)

    assert str(path) in str(caught.value)
    assert not (open_run(workspace, "demo_1").folder / "evaluations").exists()


def test_a_changed_recording_is_named(own_corpus: tuple[Path, Path]) -> None:
    workspace, _ = own_corpus
    path = held_out_file(workspace)
    raw = bytearray(path.read_bytes())
    raw[-1000] ^= 1
    path.write_bytes(raw)

    with pytest.raises(CorpuskitError, match="has changed since") as caught:
        finished(workspace)

    assert str(path) in str(caught.value)


# ---------------------------------------------------------------------- real speech


def test_arctic_side_by_side(arctic: Path, tmp_path: Path) -> None:
    """A few real pairs: what doing nothing and a perfect model would score."""
    corpus = tmp_path / "arctic"
    for speaker in ("clb", "slt"):
        (corpus / speaker).mkdir(parents=True)
        for number in range(24, 31):
            name = f"arctic_a{number:04d}.wav"
            shutil.copy(arctic / speaker / name, corpus / speaker / name)
    settings = dataset_settings(
        write_pair_corpus(tmp_path / "unused", 0),
        corpora={"arctic": {"root": str(corpus), "speakers": {"clb": "clb", "slt": "slt"}}},
        pairs=[{"source": "clb", "target": "slt"}],
        silence={"thresh": -60.0},
        split={"dev": 1, "eval": 4},
    )
    built(tmp_path / "ws", "arctic", settings)
    untrained_run(tmp_path / "ws", "arctic", tag="demo_1")

    figures = finished(tmp_path / "ws").figures

    means = {column: figures[column]["mcd"].mean for column in COLUMNS}
    assert means["unconverted"] == pytest.approx(7.65, abs=0.6)  # four sentences, not five
    assert means["copy_synthesis"] == pytest.approx(3.2, abs=0.4)
    assert np.isfinite(means["converted"])

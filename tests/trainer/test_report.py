"""Reports and comparisons as pages: what they say, and that a browser shows them."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest

import pages
from called import Command, refused
from corpuskit.audio import decode
from corpuskit.versions import open_version
from synthetic import PairCorpus
from trainer.examples import Example, examples
from trainer.report import report
from trainer.runs import add_remark, open_run
from training import started, trained
from untrained import built, dataset_settings


def text_of(page: pages.Node) -> str:
    return " ".join(page.text.split())


def written(path: Path) -> pages.Node:
    return pages.check_page(path.read_text(encoding="utf-8"))


def test_a_report_says_how_it_went_and_where_it_comes_from(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    trained(workspace, epochs=2)
    trained(workspace, "train.seed=3", pretrain="N2C_1@last", epochs=1)
    command("evaluate", "N2C_1", "--jobs", "1")
    add_remark(workspace, "N2C_1", "a <b>hoarse</b> voice", "bad")
    out = tmp_path / "report.html"

    result = command("report", "N2C_1", "--html", str(out), "--utterances", "1")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"Wrote {out}: N2C_1, 1 utterance, ")
    page = written(out)
    told = text_of(page)
    record = open_run(workspace, "N2C_1").record
    assert f"best dev loss postnet {record.best_loss:.4f} at epoch {record.best_epoch}" in told
    (verdict,) = page.all("div", class_="bad")
    assert verdict.text == "Found bada <b>hoarse</b> voice"
    assert "mcd24_world_a0.41_16k_5ms_dtw_40db" in told
    assert "vocoder world" in told
    assert "trainer reproduce N2C_1" in told
    rows = [row.text for row in page.all("tr")]
    assert any("N2C_2" in row and "N2C_1@2" in row and "bad (N2C_1)" in row for row in rows)
    labels = {node.attributes["aria-label"] for node in page.all("svg")}
    assert {f"loss {name} over epochs" for name in ("total", "mel", "pitch")} <= labels
    assert "F0 of source, conversions and target" in labels


def test_what_is_not_comparable_is_drawn_with_a_warning_and_each_score_is_on_its_own_ground(
    command: Command, workspace: Path, n2c_corpus: PairCorpus, tmp_path: Path
) -> None:
    split = {"dev": 2, "eval": 2}
    built(workspace, "N2C_2", dataset_settings(n2c_corpus, split=split, silence={"thresh": -100.0}))
    trained(workspace, epochs=1)
    trained(workspace, spk="N2C_2", tag="N2C_2", epochs=1)
    own = command("evaluate", "N2C_1", "--jobs", "1").stdout
    command("evaluate", "N2C_1", "--spk", "N2C_2", "--jobs", "1")
    out = tmp_path / "report.html"

    command("report", "N2C_1", "N2C_2", "--html", str(out), "--utterances", "0")

    told = text_of(written(out))
    warning = "Run N2C_2 is drawn with run N2C_1, but not comparable: normalised by other"
    assert warning in told
    assert "To compare them on the same utterances:trainer evaluate N2C_2 --spk N2C" in told
    (mcd,) = re.findall(r"MCD [0-9.]+ -> ([0-9.]+) dB", own)
    assert f"-> {float(mcd):.2f} dB (epoch-0001, world)" in told.partition("In short")[0]

    command("diff", "N2C_1", "N2C_2", "--html", str(out))
    assert warning in text_of(written(out))


def test_players_and_pictures_hold_what_was_recorded_and_made(
    command: Command, workspace: Path, n2c_corpus: PairCorpus, tmp_path: Path
) -> None:
    trained(workspace, epochs=1)
    out = tmp_path / "report.html"
    command("report", "N2C_1", "--html", str(out), "--utterances", "1")
    page = written(out)
    heard = pages.sounds(page)
    assert set(heard) == {"source-0", "run0-0", "target-0"}

    version = open_version(workspace, "N2C")
    name = next(node.text for node in page.all("h3") if "(eval)" in node.text).split()[0]
    pair = next(each for each in version.pairs if each.id == name)
    recording = n2c_corpus.target / f"{pair.sentence}.wav"
    kept = decode(recording).samples[slice(*pair.target.samples)]
    samples, rate = heard["target-0"]
    assert rate == pair.target.rate
    np.testing.assert_allclose(samples / 32768, kept, atol=1 / 32768)

    images = page.all("image")
    assert len(images) == 3
    from matplotlib.image import imread

    mel = version.features(pair.target).mel
    raw = base64.b64decode(images[-1].attributes["href"].partition("base64,")[2])
    picture = imread(io.BytesIO(raw))
    assert picture.shape[:2] == (mel.shape[1], len(mel))
    bright = picture[..., :3].sum(2)[::-1].T  # as (frames, bands)
    assert np.corrcoef(bright.ravel(), mel.ravel())[0, 1] > 0.95


def test_examples_are_held_out_of_every_run_and_the_same_each_time(workspace: Path) -> None:
    runs = [(trained(workspace, epochs=1), "best"), (started(workspace, "train.seed=1"), "last")]

    first = [each for each in examples(runs, 2, device="cpu") if isinstance(each, Example)]
    again = [each for each in examples(runs, 2, device="cpu") if isinstance(each, Example)]

    held_out = {pair.id for pair in open_version(workspace, "N2C").split("eval")}
    assert {each.pair for each in first} == held_out
    assert [each.pair for each in again] == [each.pair for each in first]
    for each in first:
        assert [made.run for made in each.conversions] == ["N2C_1", "N2C_2"]
        for made in each.conversions:
            reduced = len(each.source.mel) // each.reduction
            assert len(made.path) == reduced + 1
            assert made.path[-1] == pytest.approx(len(made.mel) * each.frame)
        assert each.path is not None
        assert each.path[-1] == pytest.approx(
            len(each.target.mel) // each.reduction * each.reduction * each.frame
        )
        voiced = np.isfinite(each.source.contour.f0)
        assert voiced.any()


def test_a_report_without_recordings_or_dataset_still_says_what_it_knows(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    import shutil

    trained(workspace, epochs=1)
    shutil.rmtree(workspace / "versions")
    out = tmp_path / "report.html"

    result = command("report", "N2C_1", "--html", str(out))

    assert result.exit_code == 0, result.stderr
    assert "no utterances: no dataset 'N2C'" in result.stderr
    assert "no utterances" in text_of(written(out))


def test_runs_side_by_side_are_compared_where_they_can_be(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    trained(workspace, epochs=1)
    trained(workspace, "train.seed=3", epochs=1)
    out = tmp_path / "report.html"

    command("report", "N2C_1", "N2C_2", "--html", str(out), "--utterances", "0")

    told = text_of(written(out))
    assert "What differs first: train.seed, 0 -> 3." in told
    assert "dev loss total" in told
    (comparison,) = report(workspace, ["N2C_1", "N2C_2"]).comparisons
    assert comparison.after == "N2C_2"


def test_without_a_page_figures_and_commands_are_printed(command: Command, workspace: Path) -> None:
    trained(workspace, epochs=1)

    lines = command("report", "N2C_1").stdout.splitlines()

    assert lines[0].startswith("Run N2C_1, finished after 1 epoch on dataset N2C, best dev loss")
    assert "not evaluated: `trainer evaluate N2C_1`" in lines
    assert "  trainer reproduce N2C_1" in lines
    assert "no run 'N2C_9'" in refused(command("report", "N2C_9"))


def test_a_comparison_says_the_cause_first(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    trained(workspace, epochs=1)
    trained(workspace, "train.batch_size=6", "optim.lr_limit=0.01", epochs=2)
    out = tmp_path / "diff.html"

    result = command("diff", "N2C_1", "N2C_2", "--html", str(out))

    assert result.exit_code == 0, result.stderr
    page = written(out)
    (lead,) = page.all("p", class_="lead")
    assert lead.text.startswith("What differs first: batch size, 3 -> 6 pairs a step")
    marked = page.all("tr", class_="marked")
    assert "batch size" in marked[0].text
    assert "optim.lr_limit" not in result.stdout  # it acts on nothing
    assert "optim.lr_limit" in text_of(page)  # among all settings
    labels = {node.attributes["aria-label"] for node in page.all("svg")}
    assert "learning rate over pairs seen" in labels


@pytest.mark.skipif(pages.chromium() is None, reason="Chromium is not here")
def test_a_browser_shows_both_pages_without_complaint(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    trained(workspace, epochs=1)
    trained(workspace, "train.seed=3", epochs=1)
    report_page, diff_page = tmp_path / "report.html", tmp_path / "diff.html"
    command("report", "N2C_1", "N2C_2", "--html", str(report_page), "--utterances", "1")
    command("diff", "N2C_1", "N2C_2", "--html", str(diff_page))

    for page in (report_page, diff_page):
        for width in (1280, 420):
            assert pages.console_of(page, tmp_path / "profile", width=width) == []

"""An exported model says what the run says, for every kind and any length, with torch alone."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from called import Command, refused
from corpuskit.features import Features, extract
from speaking import sound_of, told
from thorough import thoroughly
from trainer.convert import Converter, phrases_of
from trainer.exported import BadExport, Exported
from trainer.exporting import write
from trainer.hearing import Measured, usable_features
from trainer.manner import Manner
from trainer.prosody import Draw
from trainer.runs import Run, open_run
from training import started

WGMM = ("model.prosody=wgmm", "model.prosody_size=8", "model.prosody_components=2")
KINDS = {
    "plain": (),
    "told the target": ("model.target_speaker=variance",),
    "pitch_ar": ("model.pitch_ar=on",),
    "pitch_ar by phrase": ("model.pitch_ar=phrase",),
    "align search": ("model.align=search",),
    "linear": ("model.linear=0.4",),
    "linear and kernel": ("model.linear=0.3", "model.kernel=0.4"),
    "wgmm with pitch_ar": (*WGMM, "model.pitch_ar=phrase"),
}


@pytest.fixture(scope="module")
def runs(n2c_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with an untrained run of every kind; not to be changed."""
    workspace = tmp_path_factory.mktemp("exporting") / "workspace"
    shutil.copytree(n2c_workspace, workspace)
    for number, settings in enumerate(KINDS.values()):
        lively(started(workspace, *settings, tag=f"kind_{number}", again=True))
    return workspace


def lively(run: Run) -> None:
    """Give a run weights that say something else for each frame, speaker and phrase."""
    from safetensors.torch import load_file, save_file

    path = run.checkpoint("last").folder / "weights.safetensors"
    torch.manual_seed(1)
    weights = {
        k: v + 0.1 * torch.randn_like(v) if v.is_floating_point() else v
        for k, v in load_file(path).items()
    }
    weights["variance.duration.out.bias"] = torch.full((1,), 0.9)
    save_file(weights, path)
    state = path.with_name("state.json")
    import hashlib

    told_of = json.loads(state.read_text())
    told_of["pace"] = 0.9
    told_of["digests"]["weights.safetensors"] = hashlib.sha256(path.read_bytes()).hexdigest()
    state.write_text(json.dumps(told_of))


def exported(runs: Path, kind: str, folder: Path) -> tuple[Converter, Exported]:
    tag = f"kind_{list(KINDS).index(kind)}"
    run = open_run(runs, tag)
    write(run, run.checkpoint("last"), folder)
    return Converter.open(runs, tag, checkpoint="last", device="cpu"), Exported.open(folder)


def measured(converter: Converter, frames: int | None = None) -> Measured:
    """The frames of a recording of several phrases, or the first of them."""
    features, silences = usable_features(sound_of(told(3, rate=22050)), converter.settings)
    cut = features.cut(0, frames or len(features))
    return cut, tuple((a, min(b, len(cut))) for a, b in silences if a < len(cut))


def phrases(converter: Converter, given: Measured) -> tuple[int, ...]:
    return phrases_of(given[1], len(given[0]), converter.settings)


@thoroughly("kind", KINDS)
def test_an_export_says_what_the_run_says(runs: Path, tmp_path: Path, kind: str) -> None:
    converter, model = exported(runs, kind, tmp_path / "export")

    for frames in (None, 10, 31, 72, 150):
        given = measured(converter, frames)
        features = given[0]
        for draw in (Draw(), *([Draw(temperature=1.3, seed=5)] if "wgmm" in kind else [])):
            (wanted,) = converter.made([given], "N", "C", draw)
            made = model.convert(
                features.mel,
                features.f0,
                features.energy,
                phrases=phrases(converter, given),
                temperature=draw.temperature,
                seed=draw.seed,
            )
            assert np.array_equal(made.durations, wanted.durations)
            assert made.mel.shape == wanted.mel.shape
            np.testing.assert_allclose(made.mel, wanted.mel, atol=2e-4)
            np.testing.assert_allclose(made.f0, wanted.speech.f0, rtol=1e-4)


@pytest.mark.slow
def test_speed_and_pitch_are_the_converters(runs: Path, tmp_path: Path) -> None:
    converter, model = exported(runs, "plain", tmp_path / "export")
    given = measured(converter)
    features = given[0]

    for speed, shift in ((1.7, 0.0), (0.6, -3.0)):
        manner = Manner(speed=speed, pitch_shift=shift)
        (wanted,) = converter.made([given], "N", "C", None, manner)
        made = model.convert(
            features.mel, features.f0, features.energy, speed=speed, pitch_shift=shift
        )
        assert np.array_equal(made.durations, wanted.durations)
        np.testing.assert_allclose(made.f0, wanted.speech.f0, rtol=1e-4)
        np.testing.assert_allclose(made.mel, wanted.mel, atol=2e-4)


@pytest.mark.slow
def test_it_runs_without_trainer_and_corpuskit(runs: Path, tmp_path: Path) -> None:
    converter, _ = exported(runs, "plain", tmp_path / "export")
    given = measured(converter)
    features: Features = given[0]
    (wanted,) = converter.made([given], "N", "C")
    np.savez(tmp_path / "in.npz", **vars(features))
    code = (
        "import sys, numpy as np\n"
        "from exported import Exported\n"
        "given = np.load(sys.argv[1])\n"
        "made = Exported.open('.').convert(given['mel'], given['f0'], given['energy'])\n"
        "assert not {'trainer', 'corpuskit', 'librosa', 'scipy.signal'} & set(sys.modules)\n"
        "np.savez(sys.argv[2], mel=made.mel)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "in.npz"), str(tmp_path / "out.npz")],
        cwd=tmp_path / "export",
        env={"PYTHONPATH": ""},
        check=True,
        timeout=120,
    )

    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["mel"], wanted.mel, atol=2e-4)


def test_the_description_holds_what_is_needed_around_the_programs(
    runs: Path, tmp_path: Path
) -> None:
    _, model = exported(runs, "plain", tmp_path / "export")
    told_of = model.description
    run = open_run(runs, "kind_0")

    assert (told_of["schema"], told_of["run"], told_of["reduction"]) == (1, "kind_0", 3)
    assert told_of["speakers"] == list(run.speakers)
    assert told_of["targets"] == {"N": ["C"]}
    assert told_of["features"] == dataclasses.asdict(run.settings.features)
    assert told_of["audio"] == {"rate": 22050}
    assert len(told_of["statistics"]["source"]["mel_mean"]) == 80
    assert told_of["weights"] == run.checkpoint("last").state().digests["weights.safetensors"]
    assert set(told_of["files"]) == {f"{n}.pt2" for n in ("encode", "timing", "contour", "speak")}


def test_damage_and_input_that_does_not_fit_are_named(runs: Path, tmp_path: Path) -> None:
    converter, model = exported(runs, "plain", tmp_path / "export")
    features, _ = measured(converter)
    mel, f0, energy = features.mel, features.f0, features.energy

    for given, options, reason in (
        ((mel[:2], f0[:2], energy[:2]), {}, "at least 3 frames"),
        ((mel, f0[:-1], energy), {}, "of equal number"),
        ((mel[:, :40], f0, energy), {}, "40 bands, the model's have 80"),
        ((mel, 0 * f0, energy), {}, "no frame is voiced"),
        ((mel, f0, energy), {"phrases": [3]}, "sum to"),
        ((mel, f0, energy), {"target": "X"}, "no conversion from N to X"),
    ):
        with pytest.raises(BadExport, match=reason):
            model.convert(*given, **options)  # type: ignore[arg-type]
    with (tmp_path / "export" / "speak.pt2").open("r+b") as file:
        file.seek(500)
        file.write(b"x")
    with pytest.raises(BadExport, match=r"speak\.pt2 does not fit its digest"):
        Exported.open(tmp_path / "export")
    (tmp_path / "export" / "export.json").write_text("{}")
    with pytest.raises(BadExport, match=r"export\.json cannot be read"):
        Exported.open(tmp_path / "export")


def test_the_command_exports_whole_or_not_at_all(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    started(workspace)
    out = tmp_path / "there" / "export"

    result = command("export", "N2C_1@0", str(out))

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"Exported run N2C_1 to {out}: 4 programs, ")
    assert sorted(path.name for path in out.parent.iterdir()) == ["export"]
    assert "exists already; name a new or empty folder" in refused(
        command("export", "N2C_1", str(out))
    )
    assert "no run 'N2C_9'" in refused(command("export", "N2C_9", str(tmp_path / "x")))
    assert "keeps no checkpoint of epoch 7" in refused(
        command("export", "N2C_1@7", str(tmp_path / "x"))
    )
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_measuring_for_an_export_is_corpuskits(runs: Path, tmp_path: Path) -> None:
    """What export.json tells of features is enough to make them."""
    converter, model = exported(runs, "plain", tmp_path / "export")
    sound = sound_of(told(1, rate=22050))
    settings = type(converter.settings.features)(**model.description["features"])

    made = extract(sound.samples, model.description["audio"]["rate"], settings)

    assert np.array_equal(made.mel, extract(sound.samples, 22050, converter.settings.features).mel)

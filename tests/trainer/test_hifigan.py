"""HiFi-GAN from public checkpoints: their names, their sizes, their sound, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from called import Command, refused
from corpuskit.audio import decode
from corpuskit.config import FeatureConfig
from corpuskit.errors import BadSetting, UnknownName
from hifigans import SMALL, V1, V2, V3, published, shapes_of, spoken, weights_of
from synthetic import PairCorpus
from trainer.errors import BadVocoder
from trainer.vocoders import hifigan, public
from trainer.vocoders.choice import choose
from trainer.vocoders.config import GeneratorConfig
from trainer.vocoders.generator import Generator, reach
from trainer.vocoders.hifigan import HifiGan
from trainer.vocoders.speech import Speech
from untrained import untrained_run

RATE = 22050
SETTINGS = FeatureConfig()
LEARNT = ("weight_g", "weight_v", "bias")
VERSIONS = pytest.mark.parametrize("config", [V1, V2, V3], ids=["V1", "V2", "V3"])


def speech(frames: int, seed: int = 0) -> Speech:
    mel = np.random.default_rng(seed).normal(-4.0, 2.0, (frames, 80)).astype(np.float32)
    return Speech(mel=mel, f0=np.zeros(frames, dtype=np.float32))


def opened(path: Path, settings: FeatureConfig = SETTINGS) -> HifiGan:
    return HifiGan.open(path, settings, RATE)


def sizes(config: dict[str, Any]) -> GeneratorConfig:
    """The generator's sizes, past the code that reads config.json."""
    return GeneratorConfig(
        upsample_rates=tuple(config["upsample_rates"]),
        upsample_kernel_sizes=tuple(config["upsample_kernel_sizes"]),
        upsample_initial_channel=config["upsample_initial_channel"],
        resblock=config["resblock"],
        resblock_kernel_sizes=tuple(config["resblock_kernel_sizes"]),
        resblock_dilation_sizes=tuple(map(tuple, config["resblock_dilation_sizes"])),
    )


def normed(config: dict[str, Any]) -> Generator:
    """A generator under torch's own weight norm, whose names are those of public files."""
    generator = Generator(sizes(config))
    for module in generator.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # the old form of weight norm
                nn.utils.weight_norm(module)
    return generator


# ------------------------------------------------------------- names and sizes


@VERSIONS
def test_public_names_and_shapes_are_those_of_the_generator(config: dict[str, Any]) -> None:
    found = {name: tuple(value.shape) for name, value in normed(config).state_dict().items()}

    assert found == shapes_of(config)
    assert {name.rsplit(".", 1)[1] for name in found} == set(LEARNT)


@pytest.mark.parametrize(
    ("config", "millions"), [(V1, 13.92), (V2, 0.92), (V3, 1.46)], ids=["V1", "V2", "V3"]
)
def test_the_versions_have_as_many_parameters_as_the_paper_says(
    config: dict[str, Any], millions: float
) -> None:
    with torch.device("meta"):
        count = sum(each.numel() for each in Generator(sizes(config)).parameters())

    assert int(count / 1e4) / 100 == millions


@VERSIONS
def test_a_public_checkpoint_loads_and_synthesises(config: dict[str, Any], tmp_path: Path) -> None:
    vocoder = opened(published(tmp_path, config))

    samples = vocoder(speech(9))

    assert samples.shape == (8 * 256,)
    assert samples.dtype == np.float32
    assert 0.01 < np.abs(samples).max() <= 1.0


@pytest.mark.parametrize("config", [SMALL, V2, V3], ids=["small", "V2", "V3"])
def test_fused_weights_sound_as_torch_with_weight_norm(
    config: dict[str, Any], tmp_path: Path
) -> None:
    given = speech(7)
    reference = normed(config)
    reference.load_state_dict(weights_of(config))
    with torch.inference_mode():
        whole = reference(torch.from_numpy(given.mel.T[None]))[0].numpy()

    samples = opened(published(tmp_path, config))(given)

    # half a hop before frame 0's centre, and half a hop after the last one's
    np.testing.assert_allclose(samples, whole[128 : 128 + 6 * 256], atol=1e-5)


@VERSIONS
def test_it_says_what_the_paper_has_a_generator_say(config: dict[str, Any], tmp_path: Path) -> None:
    given, weights = speech(5), weights_of(config)

    samples = opened(published(tmp_path, config, weights))(given)

    whole = spoken(config, weights, torch.from_numpy(given.mel.T)).numpy()
    assert np.abs(whole).max() > 0.1
    np.testing.assert_allclose(samples, whole[128 : 128 + 4 * 256], atol=1e-5)


@pytest.mark.parametrize("frames", [0, 1])
def test_too_few_frames_for_a_sample_give_none(frames: int, tmp_path: Path) -> None:
    assert len(opened(published(tmp_path, SMALL))(speech(frames))) == 0


# --------------------------------------------------------------------- chunks


@pytest.mark.parametrize("config", [SMALL, V3], ids=["resblock 1", "resblock 2"])
def test_chunks_are_the_whole(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocoder, given = opened(published(tmp_path, config)), speech(101)
    whole = vocoder(given)

    monkeypatch.setattr(hifigan, "CHUNK", 17)

    np.testing.assert_allclose(vocoder(given), whole, atol=1e-5)


@pytest.mark.parametrize("config", [SMALL, V3], ids=["resblock 1", "resblock 2"])
def test_a_frame_reaches_as_far_as_is_said_and_no_further(config: dict[str, Any]) -> None:
    generator, far, here = Generator(sizes(config)).double(), reach(sizes(config)), 30
    for parameter in generator.parameters():  # nothing cancels
        parameter.data = parameter.data.abs() / parameter.numel()
    mel = torch.full((1, 80, 61), 0.1, dtype=torch.float64, requires_grad=True)

    generator(mel)[0, here * 256 : (here + 1) * 256].sum().backward()

    assert mel.grad is not None
    heard = np.flatnonzero(mel.grad[0].sum(dim=0).numpy())
    assert max(here - heard[0], heard[-1] - here) == far


# -------------------------------------------------------------- ways of storing


def test_newer_names_and_fused_weights_are_the_same_vocoder(tmp_path: Path) -> None:
    weights = weights_of(SMALL)
    newer = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): value
        for name, value in weights.items()
    }
    first = opened(published(tmp_path / "old", SMALL, weights))
    second = opened(published(tmp_path / "new", SMALL, newer))
    third = opened(published(tmp_path / "fused", SMALL, public.fused(weights, "the test")))
    save_file(weights, tmp_path / "old" / "generator.safetensors")
    fourth = opened(tmp_path / "old" / "generator.safetensors")

    assert {each.name for each in (second, third, fourth)} == {first.name}
    np.testing.assert_array_equal(fourth(speech(5)), first(speech(5)))
    np.testing.assert_array_equal(third(speech(5)), first(speech(5)))


def test_the_name_follows_weights_and_sizes(tmp_path: Path) -> None:
    dilated = {**SMALL, "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 7]]}
    names = [
        opened(published(tmp_path / "a", SMALL)).name,
        opened(published(tmp_path / "b", SMALL, weights_of(SMALL, seed=1))).name,
        opened(published(tmp_path / "c", dilated)).name,  # no weight's shape tells
    ]

    assert len(set(names)) == 3
    assert all(name.startswith("hifigan-") and len(name) == 14 for name in names)


def test_another_process_is_sent_the_place_and_not_the_weights(tmp_path: Path) -> None:
    vocoder = opened(published(tmp_path, SMALL))

    sent = pickle.dumps(vocoder)

    assert len(sent) < 2000
    np.testing.assert_array_equal(pickle.loads(sent)(speech(5)), vocoder(speech(5)))


def test_it_is_chosen_by_name(tmp_path: Path) -> None:
    path = published(tmp_path, SMALL)

    assert choose(f"hifigan:{path}", SETTINGS, RATE).name == opened(path).name
    with pytest.raises(UnknownName, match="did you mean hifigan:PATH"):
        choose("hifigan", SETTINGS, RATE)


# -------------------------------------------------------------------- refused


class _Worm:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/worm",)


def test_pickled_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(os, "system", ran.append)
    path = published(tmp_path, SMALL, {**weights_of(SMALL), "worm": _Worm()})  # type: ignore[dict-item]

    with pytest.raises(BadVocoder, match="needs code of its own to be loaded"):
        opened(path)
    assert ran == []


@pytest.mark.parametrize(
    ("field", "found", "told"),
    [
        ("sampling_rate", 24000, "sampling_rate 24000 (the dataset's audio.rate is 22050)"),
        ("n_fft", 2048, "n_fft 2048 (the dataset's features.n_fft is 1024)"),
        ("win_size", 800, "win_size 800 (the dataset's features.win_length is 1024)"),
        ("fmin", 80, "fmin 80 (the dataset's features.fmin is 0)"),
        ("fmax", 7600, "fmax 7600 (the dataset's features.fmax is 8000)"),
        ("fmax", None, "fmax 11025 (the dataset's features.fmax is 8000)"),
    ],
)
def test_other_mels_are_refused_by_field(
    field: str, found: object, told: str, tmp_path: Path
) -> None:
    path = published(tmp_path, {**SMALL, field: found})

    with pytest.raises(BadSetting) as refused:
        opened(path)

    assert told in refused.value.problem
    assert "build a version with --set" in refused.value.remedy


def test_all_fields_that_differ_are_told_at_once(tmp_path: Path) -> None:
    other = dataclasses.replace(SETTINGS, hop_length=200, mels=64, fmax=7000.0)

    with pytest.raises(BadSetting) as refused:
        opened(published(tmp_path, SMALL), other)

    assert "--set features.hop_length=256 --set features.mels=80 --set features.fmax=8000" in (
        refused.value.remedy
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"upsample_rates": [8, 8, 4, 2]}, "holds 4 for a rate of|hop_size is 256"),
        ({"upsample_kernel_sizes": [16, 16, 5, 4]}, "upsample_kernel_sizes holds 5 for a rate"),
        ({"upsample_kernel_sizes": [16, 16, 4]}, "holds 3 sizes for 4 upsample_rates"),
        ({"upsample_initial_channel": 24}, "upsample_initial_channel is 24"),
        ({"resblock": "3"}, "resblock is '3'"),
        ({"resblock_kernel_sizes": [3, 7, 10]}, "resblock_kernel_sizes holds 10"),
        ({"resblock_dilation_sizes": [[1, 3, 5]]}, "holds 1 lists for 3"),
        ({"hop_size": 300}, "upsample_rates multiply to 256, hop_size is 300"),
        ({"n_fft": "many"}, "n_fft"),
    ],
)
def test_a_configuration_of_no_generator_is_refused(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadSetting, match=told):
        opened(published(tmp_path, {**SMALL, **changes}, weights_of(SMALL)))


def test_sizes_beyond_all_bounds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadVocoder, match="too large for any machine"):
        opened(published(tmp_path, {**SMALL, "upsample_initial_channel": 2**40}, weights_of(SMALL)))


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    path = published(tmp_path, SMALL)
    (tmp_path / "config.json").write_text(
        json.dumps({key: value for key, value in SMALL.items() if key != "win_size"})
    )

    with pytest.raises(BadSetting, match="win_size is missing"):
        opened(path)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_configuration_is_refused(text: str, tmp_path: Path) -> None:
    path = published(tmp_path, SMALL)
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(BadVocoder, match=r"config\.json"):
        opened(path)


def test_weights_without_configuration_are_refused(tmp_path: Path) -> None:
    path = published(tmp_path, SMALL)
    (tmp_path / "config.json").unlink()

    with pytest.raises(BadVocoder, match=r"no config\.json beside it"):
        opened(path)


def _lacking() -> dict[str, torch.Tensor]:
    weights = weights_of(SMALL)
    del weights["conv_post.bias"]
    return weights


def _with(name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**weights_of(SMALL), name: value}


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (_lacking(), "lacks conv_post.bias"),
        (_with("resblocks.12.convs1.0.bias", torch.zeros(1)), "holds resblocks.12.convs1.0.bias,"),
        (_with("conv_pre.bias", torch.zeros(17)), r"conv_pre.bias has shape \(17,\)"),
        (_with("conv_pre.weight_g", torch.zeros(3, 1, 1)), "conv_pre.weight_g"),
        (_with("conv_pre.bias", torch.full((16,), torch.nan)), "no numbers"),
        (_with("conv_pre.weight_v", torch.zeros(16, 80, 7)), "no numbers"),
        (weights_of(V3), "lacks .* and"),
        (_with("conv_pre.weight_v", torch.zeros(16, 80, 7).to_sparse()), "a form that is no"),
        (_with("conv_pre.bias", torch.zeros(16, dtype=torch.complex64)), "conv_pre.bias in a form"),
    ],
    ids=[
        "missing",
        "surplus",
        "shape",
        "norm's shape",
        "nan",
        "no direction",
        "another version",
        "sparse",
        "complex",
    ],
)
def test_weights_that_do_not_fit_are_refused(
    weights: dict[str, torch.Tensor], told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadVocoder, match=told):
        opened(published(tmp_path, SMALL, weights))


@pytest.mark.parametrize("name", ["g_02500000", "generator.safetensors"])
@pytest.mark.parametrize("damage", ["short", "empty", "text"])
def test_a_damaged_file_is_refused(name: str, damage: str, tmp_path: Path) -> None:
    path = published(tmp_path, SMALL)
    if name.endswith("safetensors"):
        save_file(weights_of(SMALL), tmp_path / name)
    path = tmp_path / name
    whole = path.read_bytes()
    path.write_bytes({"short": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage])

    with pytest.raises(BadVocoder, match="damaged"):
        opened(path)


def test_a_discriminators_file_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path, SMALL)
    torch.save({"mpd": weights_of(SMALL), "msd": {}, "steps": 1}, tmp_path / "do_02500000")

    with pytest.raises(BadVocoder, match=r"holds no generator .*mpd"):
        opened(path.with_name("do_02500000"))


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_no_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadVocoder, match="name the file"):
        choose(f"hifigan:{tmp_path / name}", SETTINGS, RATE)


# ------------------------------------------------------------------- commands


def test_conversions_and_evaluations_sound_through_it(
    command: Command, workspace: Path, tmp_path: Path, n2c_corpus: PairCorpus
) -> None:
    tag = untrained_run(workspace, "N2C").tag
    path, out = published(tmp_path, SMALL), tmp_path / "out.wav"
    recording = str(sorted((n2c_corpus.root / "source").glob("*.wav"))[0])

    converted = command("convert", tag, recording, str(out), "--vocoder", f"hifigan:{path}")
    evaluated = command("evaluate", tag, "--vocoder", f"hifigan:{path}", "--jobs", "2")

    assert (converted.exit_code, evaluated.exit_code) == (0, 0)
    name = opened(path).name
    assert f"vocoder {name}" in converted.stdout
    assert name in evaluated.stdout
    assert len(decode(out).samples) > RATE // 4


def test_a_vocoder_that_does_not_fit_leaves_no_run_behind(
    command: Command, workspace: Path, tmp_path: Path
) -> None:
    path = published(tmp_path, {**SMALL, "win_size": 800})

    told = refused(command("run", "--spk", "N2C", "--set", f"train.vocoder=hifigan:{path}"))

    assert "win_size 800" in told
    assert not list((workspace / "runs").glob("*/run.json"))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_same_samples(tmp_path: Path) -> None:
    path = published(tmp_path, SMALL)

    there = HifiGan.open(path, SETTINGS, RATE, "cuda")(speech(600))

    np.testing.assert_allclose(there, opened(path)(speech(600)), atol=1e-4)

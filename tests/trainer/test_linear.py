"""The linear conversion: against least squares by other means, and where it has its share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.errors import BadSetting
from corpuskit.settings import load_toml
from neighbours import near
from noise import SMALL, noise_set
from trainer import fitted, linear
from trainer.checkpoint import load
from trainer.config import FEW, resolve
from trainer.finetune import transfer
from trainer.fitted import TAPS
from trainer.linear import PRIOR, LinearConversion, fit
from trainer.model import FS2VC
from trainer.packing import packing, stack, stretch, unstack
from trainer.plan import plan
from trainer.runs import open_run
from training import asked, go, outcome, resumed, started, trained

Float32 = npt.NDArray[np.float32]
BANDS = 4


# ------------------------------------------------------------------------- fit


def test_a_linear_voice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "PRIOR", 1e-3)
    rng = np.random.default_rng(0)
    true = np.eye(TAPS * BANDS)[:, 2 * BANDS : 3 * BANDS] + 0.05 * rng.normal(
        size=(TAPS * BANDS, BANDS)
    )
    pairs = []
    for _ in range(8):
        source = np.cumsum(rng.normal(size=(60, BANDS)), axis=0).astype(np.float32)
        pairs.append((source, (near(source) @ true + 0.25).astype(np.float32)))

    weight, bias = fit(pairs)

    assert np.abs(weight - true).max() < 0.02
    assert np.abs(bias - 0.25).max() < 0.02


def test_the_fit_is_the_ridge_regression_along_its_paths() -> None:
    """Ridge is least squares with rows that ask for zero (numpy's lstsq knows no ridge)."""
    rng = np.random.default_rng(1)
    pairs = [
        (rng.normal(size=(n, BANDS)).astype(np.float32), rng.normal(size=(n + 3, BANDS)))
        for n in (20, 35)
    ]
    weight, bias = fit([(source, target.astype(np.float32)) for source, target in pairs])

    given = [source for source, _ in pairs]
    wanted = [target.astype(np.float32) for _, target in pairs]
    rows = [np.c_[near(source), np.ones(len(source))] for source in given]
    paths = _paths_of_the_last_round(given, wanted)
    x = np.concatenate([each[i] for each, (i, _) in zip(rows, paths, strict=True)])
    y = np.concatenate([each[j] for each, (_, j) in zip(wanted, paths, strict=True)])
    belief = np.sqrt(PRIOR) * np.eye(TAPS * BANDS, TAPS * BANDS + 1)
    expected, *_ = np.linalg.lstsq(
        np.concatenate([x, belief]),
        np.concatenate([y, np.zeros((TAPS * BANDS, BANDS))]),
        rcond=None,
    )
    np.testing.assert_allclose(weight, expected[:-1], atol=1e-6)
    np.testing.assert_allclose(bias, expected[-1], atol=1e-6)


def _paths_of_the_last_round(
    given: list[Float32], wanted: list[Float32]
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Align with what the fit of one round less makes of the sources."""
    from scipy.spatial.distance import cdist

    from trainer.warping import warping_path

    rounds = linear.ROUNDS
    try:
        linear.ROUNDS = rounds - 1
        weight, bias = fit(list(zip(given, wanted, strict=True)))
    finally:
        linear.ROUNDS = rounds
    return [
        warping_path(cdist(near(source) @ weight.astype(np.float64) + bias, target))
        for source, target in zip(given, wanted, strict=True)
    ]


def test_more_pairs_than_needed_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    pairs = [(each := rng.normal(size=(9, BANDS)).astype(np.float32), each) for _ in range(7)]
    monkeypatch.setattr(fitted, "LONGEST", 3)

    found = fit(pairs)

    for one, other in zip(found, fit([pairs[0], pairs[2], pairs[4]]), strict=True):
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------- the module


def test_each_utterance_is_converted_in_its_direction_and_alone() -> None:
    rng = np.random.default_rng(3)
    module = LinearConversion(BANDS, speakers=3)
    weights = {
        direction: (
            rng.normal(size=(TAPS * BANDS, BANDS)).astype(np.float32),
            rng.normal(size=BANDS).astype(np.float32),
        )
        for direction in ((0, 1), (2, 0))
    }
    module.set(weights)
    lengths, directions = torch.tensor([6, 3, 5]), [(0, 1), (2, 0), (1, 2)]
    padded = torch.randn(3, 6, BANDS)
    place = packing(lengths, 6, gap=TAPS // 2)
    frames = place.pack(padded).masked_fill(~place.real, torch.nan)  # gaps are never read
    source, target = (torch.tensor(side)[place.utterance] for side in zip(*directions, strict=True))

    made = place.pad(place.clean(module(frames, place.real, source, target)))

    for row, (direction, length) in enumerate(zip(directions, lengths, strict=True)):
        own = padded[row, :length].numpy()
        expected = own
        if direction in weights:
            weight, bias = weights[direction]
            expected = near(own) @ weight + bias
        np.testing.assert_allclose(made[row, :length].numpy(), expected, atol=1e-4)


@given(
    durations=st.lists(st.integers(0, 5), min_size=1, max_size=8).filter(any),
    reduction=st.integers(1, 4),
)
def test_single_frames_are_stretched_evenly(durations: list[int], reduction: int) -> None:
    source = packing(torch.tensor([len(durations)]), len(durations), gap=1)
    target = packing(torch.tensor([sum(durations)]), sum(durations), gap=1)
    frames = torch.arange(len(durations) * reduction, dtype=torch.float32)[None, :, None]
    packed = unstack(source.pack(stack(frames, reduction)), reduction)

    over = stretch(torch.tensor([durations]), source, target)
    made = target.pad(over.frames(packed, reduction).view(-1, reduction)).flatten().tolist()

    expected = [
        i * reduction + q // n  # n reduced frames hold each of the reduction frames n times
        for i, n in enumerate(durations)
        for q in range(n * reduction)
    ]
    assert made == expected


def of_share(share: float) -> FS2VC:
    torch.manual_seed(0)
    model = FS2VC(replace(SMALL, linear=share), speakers=2).eval()
    if model.linear is not None:
        torch.manual_seed(1)
        model.linear.weight.normal_(std=0.2)
        model.linear.bias.normal_()
    return model


def test_the_share_is_of_what_is_scored_and_used_only() -> None:
    batch = noise_set([(12, 17), (31, 9)]).gather([0, 1])
    network, half, whole = (of_share(share) for share in (0.0, 0.5, 1.0))

    with torch.no_grad():
        alone, mixed, only = (model(batch) for model in (network, half, whole))
    torch.testing.assert_close(mixed.postnet, (alone.postnet + only.postnet) / 2)
    torch.testing.assert_close(mixed.mel, alone.mel)
    assert not torch.allclose(alone.postnet, only.postnet)

    mels = [model.generate(batch).mel for model in (network, half, whole)]
    torch.testing.assert_close(mels[1], (mels[0] + mels[2]) / 2)

    losses = []
    for model in (network, half):
        torch.manual_seed(2)
        losses.append(model.train()(batch).postnet)
    torch.testing.assert_close(*losses, rtol=0, atol=0)


# -------------------------------------------------------------------- in a run


def test_a_run_holds_its_own_pairs_fit_and_resumes_exactly(workspace: Path) -> None:
    whole = trained(workspace, "model.linear=0.5", tag="a", epochs=3)
    part = go(started(workspace, "model.linear=0.5", tag="c", epochs=3, again=True), stop_after=3)
    _, before, _ = load(part.checkpoint("last"))
    again = resumed(part)

    assert outcome(again) == outcome(whole)
    _, after, _ = load(again.checkpoint("last"))
    unfitted = LinearConversion(80, 2).weight
    changed = [
        not torch.equal(*each)
        for each in zip(before["linear.weight"].flatten(0, 1), unfitted.flatten(0, 1), strict=True)
    ]
    assert changed.count(True) == 1  # the dataset has one direction
    for name in ("linear.weight", "linear.bias"):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)


@pytest.mark.parametrize(("parents", "own"), [(0.5, 0.5), (0.0, 0.5), (0.5, 0.0)])
def test_a_fine_tuning_fits_its_own_pairs(workspace: Path, parents: float, own: float) -> None:
    trained(workspace, f"model.linear={parents}", tag="parent", epochs=1)

    child = started(
        workspace, f"model.linear={own}", tag="child", pretrain="parent", keep_leaks=True
    )

    told = open_run(workspace, "child").record.parent
    assert told is not None
    assert told.left == ()
    _, weights, _ = load(child.checkpoint("last"))
    assert ("linear.weight" in weights) == bool(own)


def test_what_is_fitted_is_no_parameter() -> None:
    model = of_share(0.5)
    assert not [name for name, _ in model.named_parameters() if name.startswith("linear")]
    merged, report = transfer(model.state_dict(), model.state_dict(), ("a", "b"), ("a", "b"))
    assert report.left() == ()
    assert merged.keys() == model.state_dict().keys()


def test_many_voices_are_refused(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.data.FITTED_SPEAKERS", 1)

    with pytest.raises(BadSetting, match="which serves up to 1 speakers"):
        plan(asked(workspace, "model.linear=0.5"))


# ------------------------------------------------------- the settings for few pairs


def test_few_toml_is_what_is_known_without_it() -> None:
    path = Path(__file__).resolve().parents[2] / "configs" / "models" / "few.toml"

    assert load_toml(path) == FEW


def test_little_speech_gets_the_settings_for_few_pairs(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(asked(workspace), settings=(), epochs=None, usual=True)
    few = resolve(FEW, [], "few")

    made = plan(request)
    assert made.config == few
    assert "settings of model `few`" in made.notes[0]

    monkeypatch.setattr("trainer.presets.FITTED_SPEAKERS", 1)
    assert plan(request).config.model == replace(few.model, kernel=0.0)

    monkeypatch.setattr("trainer.presets.SMALL", 1.0)
    made = plan(request)
    assert made.config.model.width == 256
    assert not [note for note in made.notes if "few" in note]

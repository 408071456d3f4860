"""The kernel regression: against scikit-learn's, and where it has its share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from corpuskit.errors import BadSetting
from neighbours import near
from noise import SMALL, noise_set
from trainer import kernel, linear
from trainer.checkpoint import load
from trainer.fitted import TAPS, FittedConversion
from trainer.kernel import KernelConversion, fit
from trainer.linear import LinearConversion, paths_of
from trainer.model import FS2VC
from training import go, outcome, resumed, started, trained

Float32 = npt.NDArray[np.float32]
BANDS = 4


def some_pairs(seed: int, *lengths: int) -> list[tuple[Float32, Float32]]:
    """Voices whose frames are no linear function of each other's."""
    rng = np.random.default_rng(seed)
    pairs = []
    for length in lengths:
        source = np.cumsum(rng.normal(size=(length, BANDS)), axis=0).astype(np.float32)
        target = np.repeat(np.sin(source), rng.integers(1, 3, length), axis=0)
        pairs.append((source, target.astype(np.float32)))
    return pairs


def converted(module: FittedConversion, frames: Float32, source: int, target: int) -> Float32:
    """Convert one utterance."""
    voices = (torch.full((len(frames),), voice) for voice in (source, target))
    real = torch.ones(len(frames), 1, dtype=torch.bool)
    return module(torch.from_numpy(frames), real, *voices).numpy()


# ------------------------------------------------------------------------- fit


def test_with_every_frame_a_landmark_it_is_kernel_ridge_regression() -> None:
    from sklearn.kernel_ridge import KernelRidge

    pairs = some_pairs(0, 20, 35, 28)
    found = fit({1: pairs})[1]
    module = KernelConversion(BANDS, speakers=2)
    module.set({(0, 1): found})

    sources, targets = ([np.float64(side) for side in each] for each in zip(*pairs, strict=True))
    paths = paths_of(sources, targets)
    x = np.concatenate([near(each)[i] for each, (i, _) in zip(sources, paths, strict=True)])
    y = np.concatenate([each[j] for each, (_, j) in zip(targets, paths, strict=True)])
    oracle = KernelRidge(alpha=kernel.NOISE, kernel="rbf", gamma=1 / found.width)
    oracle.fit(x, y - y.mean(axis=0))
    new = some_pairs(1, 25)[0][0]
    expected = oracle.predict(near(new)) + y.mean(axis=0)
    np.testing.assert_allclose(converted(module, new, 0, 1), expected, atol=2e-4)


def test_few_landmarks_are_the_best_sum_of_their_likenesses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The weights are least squares with rows that stand for the ridge (numpy's lstsq)."""
    monkeypatch.setattr(kernel, "LANDMARKS", 12)
    pairs = some_pairs(2, 40, 31)
    found = fit({0: pairs})[0]

    assert found.landmarks.shape == (12, TAPS * BANDS)
    every = np.concatenate([near(source) for source, _ in pairs]).astype(np.float32)
    assert all((every == row).all(axis=1).any() for row in found.landmarks)
    sources, targets = ([np.float64(side) for side in each] for each in zip(*pairs, strict=True))
    paths = paths_of(sources, targets)
    x = np.concatenate([near(each)[i] for each, (i, _) in zip(sources, paths, strict=True)])
    y = np.concatenate([each[j] for each, (_, j) in zip(targets, paths, strict=True)])

    def alike(frames: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        apart = ((frames[:, None] - found.landmarks[None]) ** 2).sum(axis=2)
        return np.exp(-apart / found.width)

    prior = kernel.NOISE * alike(found.landmarks.astype(np.float64)) + kernel.JITTER * np.eye(12)
    rows = np.concatenate([alike(x), np.linalg.cholesky(prior).T])
    wanted = np.concatenate([y - y.mean(axis=0), np.zeros((12, BANDS))])
    expected, *_ = np.linalg.lstsq(rows, wanted, rcond=None)
    np.testing.assert_allclose(found.weight, expected, atol=1e-4)
    np.testing.assert_allclose(found.bias, y.mean(axis=0), atol=1e-6)


def test_it_hears_what_no_line_tells() -> None:
    rng = np.random.default_rng(3)

    def spoken() -> Float32:
        turns = np.cumsum(rng.uniform(0.02, 0.2, size=(60, BANDS)), axis=0)
        return np.sin(turns + rng.uniform(0, 6, BANDS)).astype(np.float32)

    pairs = [(source := spoken(), source + source**2) for _ in range(12)]
    straight, curved = LinearConversion(BANDS, 2), KernelConversion(BANDS, 2)
    straight.set({(0, 1): linear.fit(pairs)})
    curved.set({(0, 1): fit({1: pairs})[1]})

    held_out = spoken()
    errors = [
        float(np.abs(converted(module, held_out, 0, 1) - held_out - held_out**2).mean())
        for module in (straight, curved)
    ]
    assert errors[1] < 0.7 * errors[0]


def test_fewer_frames_than_landmarks_will_do_and_equal_ones_count_once() -> None:
    source = np.zeros((9, BANDS), np.float32)
    target = np.full((9, BANDS), 0.5, np.float32)

    found = fit({0: [(source, target)] * 3})[0]

    assert len(found.landmarks) <= 9
    assert len(np.unique(found.landmarks, axis=0)) == len(found.landmarks)
    module = KernelConversion(BANDS, 1)
    module.set({(0, 0): found})
    np.testing.assert_allclose(converted(module, source, 0, 0), target, atol=1e-5)


def test_directions_of_one_voice_share_its_landmarks() -> None:
    pairs = some_pairs(5, 30, 30)
    both = fit({1: pairs[:1], 2: pairs[1:]})
    module = KernelConversion(BANDS, 3)
    module.set({(0, target): each for target, each in both.items()})

    np.testing.assert_array_equal(both[1].landmarks, both[2].landmarks)
    assert both[1].width == both[2].width
    for target in (1, 2):
        alone = KernelConversion(BANDS, 3)
        alone.set({(0, target): both[target]})
        frames = pairs[0][0]
        np.testing.assert_array_equal(
            converted(module, frames, 0, target), converted(alone, frames, 0, target)
        )
    np.testing.assert_array_equal(converted(module, frames, 1, 2), frames)  # was never fitted


# ----------------------------------------------------------------- in the model


def of_shares(linear: float, share: float) -> FS2VC:
    torch.manual_seed(0)
    model = FS2VC(replace(SMALL, linear=linear, kernel=share), speakers=2).eval()
    torch.manual_seed(1)
    if model.linear is not None:
        model.linear.weight.normal_(std=0.2)
    torch.manual_seed(2)
    if model.kernel is not None:
        model.kernel.landmarks.normal_()
        model.kernel.width.fill_(300.0)
        model.kernel.weight.normal_(std=0.2)
        model.kernel.known.fill_(True)
    return model


def test_each_has_its_share_of_what_is_scored_and_used_only() -> None:
    batch = noise_set([(12, 17), (31, 9)]).gather([0, 1])
    shares = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.2, 0.5))
    models = [of_shares(*each) for each in shares]

    with torch.no_grad():
        network, line, curve, mixed = (model(batch).postnet for model in models)
    torch.testing.assert_close(mixed, 0.3 * network + 0.2 * line + 0.5 * curve)
    network, line, curve, mixed = (model.generate(batch).mel for model in models)
    torch.testing.assert_close(mixed, 0.3 * network + 0.2 * line + 0.5 * curve)

    losses = []
    for model in (models[0], models[3]):
        torch.manual_seed(2)
        losses.append(model.train()(batch).postnet)
    torch.testing.assert_close(*losses, rtol=0, atol=0)


def test_an_utterance_is_the_same_alone_and_among_others() -> None:
    data, model = noise_set([(12, 17), (31, 9), (5, 40)]), of_shares(0.1, 0.8)
    with torch.no_grad():
        together = model(data.gather([0, 1, 2])).postnet
        for row in range(3):
            alone = model(data.gather([row])).postnet[0]
            torch.testing.assert_close(alone, together[row, : len(alone)], rtol=0, atol=1e-5)


def test_shares_of_more_than_all_are_refused() -> None:
    with pytest.raises(BadSetting, match=r"model.kernel is 0.6 beside model.linear = 0.5"):
        replace(SMALL, linear=0.5, kernel=0.6)


# -------------------------------------------------------------------- in a run


def test_a_run_holds_its_own_pairs_fit_and_resumes_exactly(workspace: Path) -> None:
    whole = trained(workspace, "model.kernel=0.5", tag="a", epochs=3)
    part = go(started(workspace, "model.kernel=0.5", tag="c", epochs=3, again=True), stop_after=3)
    _, before, _ = load(part.checkpoint("last"))
    again = resumed(part)

    assert outcome(again) == outcome(whole)
    _, after, _ = load(again.checkpoint("last"))
    assert before["kernel.known"].sum() == 1  # the dataset has one direction
    names = [name for name in before if name.startswith("kernel.")]
    assert len(names) == 5
    for name in names:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)


@pytest.mark.parametrize(("parents", "own"), [("kernel", "kernel"), ("linear", "kernel")])
def test_a_fine_tuning_fits_its_own_pairs(workspace: Path, parents: str, own: str) -> None:
    trained(workspace, f"model.{parents}=0.5", tag="parent", epochs=1)

    child = started(workspace, f"model.{own}=0.5", tag="child", pretrain="parent", keep_leaks=True)

    assert child.record.parent is not None
    assert child.record.parent.left == ()
    _, weights, _ = load(child.checkpoint("last"))
    assert weights["kernel.known"].any()

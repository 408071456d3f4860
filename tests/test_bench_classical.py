"""The baseline of bench/sound.py: its trajectories against a dense solution, its envelopes back."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trainer.metrics import ALPHA, ORDER, mel_cepstrum

BENCH = Path(__file__).resolve().parents[1] / "bench"


@pytest.fixture
def classical(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    import classical

    yield classical
    sys.modules.pop("classical")


def test_the_trajectory_is_the_likeliest_one(classical: Any) -> None:
    """Toda et al. (2007), equation 39: y = (W' D^-1 W)^-1 W' D^-1 E, with W written out."""
    rng = np.random.default_rng(0)
    width, frames, components = 2, 12, 3
    joint = 4 * width
    roots = rng.normal(size=(components, joint, joint))
    covariances = roots @ roots.transpose(0, 2, 1) + np.eye(joint)
    mixture = SimpleNamespace(
        weights_=np.array([0.5, 0.3, 0.2]),
        means_=rng.normal(size=(components, joint)),
        covariances_=covariances,
    )
    source = rng.normal(size=(frames, 2 * width))

    found = classical._trajectory(mixture, source)

    half = 2 * width
    scores = []
    for weight, mean, cov in zip(mixture.weights_, mixture.means_, covariances, strict=True):
        off = source - mean[:half]
        inner = np.einsum("td,de,te->t", off, np.linalg.inv(cov[:half, :half]), off)
        scores.append(np.log(weight) - 0.5 * (inner + np.linalg.slogdet(cov[:half, :half])[1]))
    chosen = np.argmax(scores, axis=0)
    slopes = np.zeros((frames, frames))
    for t in range(frames):
        slopes[t, min(t + 1, frames - 1)] += 0.5
        slopes[t, max(t - 1, 0)] -= 0.5
    both = np.concatenate([np.eye(frames), slopes])
    for d in range(width):
        expected, precision = [], []
        for column in (d, width + d):
            for t, k in enumerate(chosen):
                cov, mean = covariances[k], mixture.means_[k]
                gain = cov[half:, :half] @ np.linalg.inv(cov[:half, :half])
                left = cov[half:, half:] - gain @ cov[:half, half:]
                expected.append((mean[half:] + gain @ (source[t] - mean[:half]))[column])
                precision.append(1 / left[column, column])
        weighed = both.T * np.array(precision)
        likeliest = np.linalg.solve(weighed @ both, weighed @ np.array(expected))
        np.testing.assert_allclose(found[:, d], likeliest, atol=1e-8)


def test_an_envelope_has_the_cepstrum_it_was_made_of(classical: Any) -> None:
    rng = np.random.default_rng(1)
    cepstrum = rng.normal(size=(3, ORDER + 1)) * 0.9 ** np.arange(ORDER + 1) * 0.3

    envelope = classical._envelope(cepstrum, 1025)

    np.testing.assert_allclose(mel_cepstrum(envelope, ORDER, ALPHA), cepstrum, atol=1e-6)

"""Discriminators have the paper's shapes, and losses are its formulae, written out slowly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainer.vocoders.config import DiscriminatorConfig
from trainer.vocoders.discriminators import Discriminators, Opinion
from trainer.vocoders.losses import adversarial_loss, discriminator_loss, feature_loss

SMALL = DiscriminatorConfig(narrow=16)


def samples(seed: int = 0, length: int = 8192) -> Tensor:
    return torch.randn(2, length, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def judges() -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(SMALL).eval()


# ------------------------------------------------------------------- networks


def test_the_papers_discriminators_have_as_many_parameters_as_their_layers_say() -> None:
    with torch.device("meta"):
        full = Discriminators(DiscriminatorConfig())

    period = [(1, 32), (32, 128), (128, 512), (512, 1024), (1024, 1024)]
    scale = [
        *[(1, 128, 15), (128 // 4, 128, 41), (128 // 16, 256, 41), (256 // 16, 512, 41)],
        *[(512 // 16, 1024, 41), (1024 // 16, 1024, 41), (1024, 1024, 5)],
    ]
    # of a layer: weights, one bias a channel; the first of all scales has no norm's lengths
    periods = sum(5 * a * b + 2 * b for a, b in period) + 3 * 1024 + 2
    scales = sum(kernel * a * b + b for a, b, kernel in scale) + 3 * 1024 + 1
    lengths = sum(b for _, b, _ in scale) + 1
    count = sum(each.numel() for each in full.parameters())
    assert count == 5 * periods + 3 * scales + 2 * lengths
    assert count == 70_724_591


def test_each_sees_a_batch_in_layers(judges: Discriminators) -> None:
    opinions = judges(samples())

    assert len(opinions) == 5 + 3
    for period, opinion in zip(SMALL.periods, opinions, strict=False):
        rows = -(-8192 // period)
        for feature, channels in zip(opinion.features, (2, 8, 32, 64, 64, 1), strict=True):
            if channels not in (64, 1) or feature is opinion.features[3]:
                rows = -(-rows // 3)  # a stride of 3 in the first four
            assert feature.shape == (2, channels, rows, period)
        assert opinion.scores.shape == (2, rows * period)
    for number, opinion in enumerate(opinions[5:]):
        length = 8192 // 2**number + (number > 0)  # pooled by 2, padded by 2
        assert opinion.features[0].shape == (2, 8, length)
        assert [feature.shape[1] for feature in opinion.features] == [8, 8, 16, 32, 64, 64, 64, 1]
        assert opinion.scores.shape == (2, opinion.features[-1].shape[2])


def test_columns_of_a_period_never_meet(judges: Discriminators) -> None:
    given = samples().requires_grad_()

    opinion = judges(given)[1]  # every third sample
    folded = opinion.scores.view(2, -1, 3)
    folded[:, :, 1].sum().backward()

    assert given.grad is not None
    touched = given.grad.abs().sum(dim=0).nonzero()[:-3, 0]  # but the mirrored end
    assert {int(place) % 3 for place in touched} == {1}


def test_only_the_waveform_as_it_is_has_the_spectral_norm(judges: Discriminators) -> None:
    def norms(module: nn.Module) -> set[str]:
        return {
            type(each).__name__.strip("_")
            for name, each in module.named_modules()
            if ".parametrizations." in name and name.endswith(".0")
        }

    assert norms(judges.scales[0]) == {"SpectralNorm"}
    assert norms(judges.scales[1]) == norms(judges.periods) == {"WeightNorm"}


# --------------------------------------------------------------------- losses


@pytest.fixture(scope="module")
def opinions(judges: Discriminators) -> tuple[list[Opinion], list[Opinion]]:
    with torch.no_grad():
        return judges(samples(0, 2048)), judges(samples(1, 2048))


def test_the_discriminators_loss_is_least_squares(
    opinions: tuple[list[Opinion], list[Opinion]],
) -> None:
    total = 0.0
    for real, fake in zip(*opinions, strict=True):
        for row in (real.scores.double().numpy() - 1, fake.scores.double().numpy()):
            total += sum(value * value for value in row.ravel()) / row.size

    assert float(discriminator_loss(*opinions)) == pytest.approx(total, rel=1e-5)


def test_the_generators_loss_is_least_squares(
    opinions: tuple[list[Opinion], list[Opinion]],
) -> None:
    total = sum(
        sum((value - 1) ** 2 for value in each.scores.double().numpy().ravel())
        / each.scores.numel()
        for each in opinions[1]
    )

    assert float(adversarial_loss(opinions[1])) == pytest.approx(total, rel=1e-5)


def test_features_are_matched_layer_by_layer(
    opinions: tuple[list[Opinion], list[Opinion]],
) -> None:
    total = 0.0
    for real, fake in zip(*opinions, strict=True):
        for one, other in zip(real.features, fake.features, strict=True):
            difference = np.abs(one.double().numpy() - other.double().numpy())
            total += difference.sum() / difference.size

    assert float(feature_loss(*opinions)) == pytest.approx(total, rel=1e-5)


def test_perfect_opinions_cost_nothing() -> None:
    def opinion(value: float) -> Opinion:
        scores = torch.full((2, 5), value)
        return Opinion(scores=scores, features=[scores])

    assert float(discriminator_loss([opinion(1.0)], [opinion(0.0)])) == 0
    assert float(adversarial_loss([opinion(1.0)])) == 0
    assert float(feature_loss([opinion(0.5)], [opinion(0.5)])) == 0

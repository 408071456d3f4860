"""Prosody of phrases: the likelihood, the draws, and sequences of unequal length."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from noise import SMALL, noise_set
from trainer.model import FS2VC, Draw
from trainer.prosody import LEAST_SIGMA, LEAST_WEIGHT, BiGRU, Mixture, MixtureHead

WGMM = replace(SMALL, prosody="wgmm", prosody_size=12, prosody_components=3)
FRAMES = [(12, 17), (31, 9), (3, 24), (21, 4), (40, 33)]


def mixture(*shape: int, components: int = 4, size: int = 5, seed: int = 0) -> Mixture:
    torch.manual_seed(seed)
    return Mixture(
        log_weight=torch.randn(*shape, components).log_softmax(-1),
        mean=torch.randn(*shape, components, size),
        sigma=torch.rand(*shape, components, size) + 0.1,
    )


# -------------------------------------------------------------------- likelihood


def test_the_likelihood_is_that_of_torchs_own_mixture() -> None:
    made, x = mixture(3, 2), torch.randn(3, 2, 5)
    weights = made.log_weight.exp() + LEAST_WEIGHT
    theirs = MixtureSameFamily(
        Categorical(probs=weights), Independent(Normal(made.mean, made.sigma + LEAST_SIGMA), 1)
    )

    torch.testing.assert_close(made.nll(x), -theirs.log_prob(x), atol=1e-4, rtol=1e-5)


def test_its_gradient_is_that_of_finite_differences() -> None:
    x = torch.randn(2, 3, dtype=torch.float64)
    raw = [torch.randn(2, 4, *tail, dtype=torch.float64) for tail in ((), (3,), (3,))]

    def loss(weight: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
        made = Mixture(weight.log_softmax(-1), mean, nn.functional.elu(sigma) + 1)
        z = (x[..., None, :] - made.mean) / (made.sigma + LEAST_SIGMA)
        assert z.dtype == torch.float64
        return made.nll(x).double().sum()

    inputs = [each.requires_grad_() for each in raw]
    loss(*inputs).backward()
    for each in inputs:
        flat, grad = each.detach().flatten(), each.grad.flatten()
        for i in range(0, len(flat), 5):
            step = torch.zeros_like(flat)
            step[i] = 1e-3
            sides = [(flat + sign * step).view_as(each) for sign in (1, -1)]
            with torch.no_grad():
                ends = [loss(*(s if one is each else one for one in inputs)) for s in sides]
            assert float(ends[0] - ends[1]) / 2e-3 == pytest.approx(
                float(grad[i]), abs=2e-2, rel=1e-2
            )


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e4])
def test_it_is_finite_in_low_precision_and_far_away(precision: torch.dtype, scale: float) -> None:
    torch.manual_seed(0)
    head = MixtureHead(8, 5, 3)
    x = (torch.randn(4, 8) * scale).to(precision)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = head(x)
        loss = made.nll((torch.randn(4, 5) * 10).to(precision)).sum()
    loss.backward()

    assert made.mean.dtype == torch.float32
    assert bool((made.sigma >= 0).all())
    assert loss.isfinite()
    assert all(each.grad.isfinite().all() for each in head.parameters())


# -------------------------------------------------------------------- draws


def test_without_temperature_the_likeliest_mean_is_taken() -> None:
    made = mixture(6)
    best = made.log_weight.argmax(-1)

    found = made.drawn(0.0, torch.rand(4), torch.randn(5))

    assert torch.equal(found, made.mean[torch.arange(6), best])


def test_at_temperature_one_components_come_as_often_as_they_weigh() -> None:
    made = mixture()
    made = made._replace(mean=torch.arange(4.0)[:, None] * 100 + torch.zeros(4, 5))
    draw = torch.Generator().manual_seed(1)
    found = [
        made.drawn(1.0, torch.rand(4, generator=draw), torch.randn(5, generator=draw))
        for _ in range(4000)
    ]

    counts = Counter(round(float(each[0]) / 100) for each in found)
    for component, weight in enumerate(made.log_weight.exp().tolist()):
        assert counts[component] / 4000 == pytest.approx(weight, abs=0.03)
    first = torch.stack([each for each in found if round(float(each[0]) / 100) == 0])
    torch.testing.assert_close(first.std(0), made.sigma[0], rtol=0.15, atol=0)


def generated(draw: Draw | None, indices: list[int]) -> Tensor:
    torch.manual_seed(0)
    model = FS2VC(WGMM, 2).eval()
    nn.init.constant_(model.variance.duration.out.bias, 1.0)
    made = model.generate(noise_set(FRAMES).gather(indices), draw)
    return made.mel[-1, : int(made.lengths[-1]) * 3]


def test_a_seed_repeats_a_draw_in_any_batch_and_another_differs() -> None:
    one = Draw(temperature=1.0, seed=3)

    alone = generated(one, [4])

    torch.testing.assert_close(generated(one, [0, 1, 2, 4]), alone, atol=1e-5, rtol=1e-5)
    other = generated(Draw(temperature=1.0, seed=4), [4])
    assert other.shape != alone.shape or not torch.allclose(other, alone, atol=1e-3)
    assert torch.equal(generated(None, [4]), generated(Draw(temperature=0.0, seed=9), [4]))


def test_pieces_of_a_recording_draw_for_themselves() -> None:
    alone = generated(Draw(temperature=1.0, seed=3), [4])

    first, second, again = (
        generated(Draw(temperature=1.0, seed=3, pieces=pieces), [4] * len(pieces))
        for pieces in ((1, 0), (0, 1), (7, 5, 1))
    )

    torch.testing.assert_close(first, alone, atol=1e-5, rtol=1e-5)  # as if it were the whole
    assert second.shape != alone.shape or not torch.allclose(second, alone, atol=1e-3)
    torch.testing.assert_close(again, second, atol=1e-5, rtol=1e-5)  # whatever is beside it


# -------------------------------------------------------------------- unequal lengths


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), layers=st.integers(1, 2))
def test_both_directions_end_at_each_sequences_own_last_step(
    lengths: list[int], layers: int
) -> None:
    """Held against torch's bidirectional GRU on each sequence alone.

    The lab read position -1 of the padded batch: zeros for all but the longest phrase.
    """
    torch.manual_seed(0)
    made = BiGRU(4, 3, layers)
    theirs = nn.GRU(4, 3, layers, batch_first=True, bidirectional=True)
    for layer in range(layers):
        for suffix, ours in (("", made.forth[layer]), ("_reverse", made.back[layer])):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                value = getattr(ours, f"{name}_l0").detach()
                getattr(theirs, f"{name}_l{layer}{suffix}").data.copy_(value)
    x = torch.randn(len(lengths), max(lengths), 4)

    found = made(x, torch.tensor(lengths))

    for b, length in enumerate(lengths):
        _, last = theirs(x[b : b + 1, :length])
        expected = torch.cat((last[-2, 0], last[-1, 0]))
        torch.testing.assert_close(found[b], expected, atol=1e-6, rtol=1e-5)
    assert bool((found.abs().sum(1) > 0).all())


def test_a_phrases_vector_hears_that_phrase_and_the_whole_only_through_g() -> None:
    torch.manual_seed(0)
    model = FS2VC(WGMM, 2)
    extractor = model.prosody.extractor
    batch = noise_set([(40, 33)]).gather([0])
    from trainer.packing import packing, pieces, stack
    from trainer.prosody import _Place

    target = packing(batch.target_lengths, 11, model.gap)
    phrases = pieces(batch.target_phrases, target)
    place = _Place.of(batch.target_phrases, len(phrases.valid))
    first = int(batch.target_phrases[0, 0])

    def vectors(mel: Tensor) -> tuple[Tensor, Tensor]:
        return extractor(target.pack(stack(mel, 3)), phrases, place)

    louder = batch.target_mel.clone()
    louder[:, : first * 3] += 1.0
    (e, g), (e_louder, g_louder) = vectors(batch.target_mel), vectors(louder)

    own, own_louder = e - g, e_louder - g_louder
    assert (own[0] - own_louder[0]).abs().max() > 1e-3
    torch.testing.assert_close(own[1:], own_louder[1:], atol=1e-6, rtol=1e-5)
    assert (g - g_louder).abs().max() > 1e-5

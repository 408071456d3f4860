"""The search: held against all paths one by one, torch's CTC and scipy's distribution."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom
from torch import Tensor
from torch.nn import functional

from noise import SMALL, noise_set
from trainer.aligner import Aligner, best_path, diagonal_prior, forward_sum, reduced
from trainer.losses import batch_loss, sums, weights_of
from trainer.model import FS2VC
from trainer.packing import packing
from trainer.preflight import faults
from training import outcome, resumed, started, trained, watched

SIZES = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 4)).map(lambda e: (e[0], e[0] + e[1])),
    min_size=1,
    max_size=4,
)


def scores(sizes: list[tuple[int, int]], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """log p (B, T, S) with garbage in the padding, sources (B,), targets (B,)."""
    torch.manual_seed(seed)
    sources, targets = (torch.tensor(each) for each in zip(*sizes, strict=True))
    raw = torch.randn(len(sizes), int(targets.max()), int(sources.max()), dtype=torch.float64)
    valid = torch.arange(raw.shape[2]) < sources[:, None]
    return raw.masked_fill(~valid[:, None], -1e9).log_softmax(-1), sources, targets


def all_paths(source: int, target: int) -> list[list[int]]:
    """Every monotonic path that skips no source frame."""
    return [
        np.repeat(np.arange(source), np.diff([0, *cuts, target])).tolist()
        for cuts in itertools.combinations(range(1, target), source - 1)
    ]


@given(sizes=SIZES)
def test_the_sum_and_the_best_are_those_of_all_paths_one_by_one(
    sizes: list[tuple[int, int]],
) -> None:
    logp, sources, targets = scores(sizes)

    whole, best = forward_sum(logp, sources, targets), best_path(logp, sources, targets)

    for b, (source, target) in enumerate(sizes):
        paths = all_paths(source, target)
        each = torch.stack([logp[b, range(target), path].sum() for path in paths])
        torch.testing.assert_close(whole[b], -each.logsumexp(0))
        assert best[b, :target].tolist() == paths[int(each.argmax())]
        assert set(best[b, target:].tolist()) <= {source - 1}


def test_the_gradient_is_that_of_finite_differences() -> None:
    logp, sources, targets = scores([(3, 7), (2, 2), (4, 5)])

    # masked columns are constants: only what can be moved is asked for
    assert torch.autograd.gradcheck(
        lambda x: forward_sum(logp + x, sources, targets),
        torch.zeros_like(logp).requires_grad_(),
        eps=1e-6,
        atol=1e-6,
    )


def test_the_sum_is_torchs_ctc_without_blanks() -> None:
    logp, sources, targets = scores([(3, 7), (2, 4), (4, 5)])
    blank = torch.full_like(logp[..., :1], -1e9)
    labels = torch.arange(1, 5).expand(3, -1)

    theirs = functional.ctc_loss(
        torch.cat((blank, logp), -1).transpose(0, 1), labels, targets, sources, reduction="none"
    )

    torch.testing.assert_close(forward_sum(logp, sources, targets), theirs)


@pytest.mark.parametrize(("source", "target"), [(1, 4), (5, 5), (7, 30)])
def test_the_prior_is_scipys_beta_binomial(source: int, target: int) -> None:
    found = diagonal_prior(torch.tensor([source]), torch.tensor([target]), source, target)[0]

    for t in range(target):
        expected = betabinom.logpmf(np.arange(source), source - 1, t + 1, target - t)
        np.testing.assert_allclose(found[t].numpy(), expected, atol=2e-4)


@given(sizes=SIZES, reduction=st.integers(1, 3))
def test_reduced_durations_lose_nothing(sizes: list[tuple[int, int]], reduction: int) -> None:
    sizes = [(source, target * reduction) for source, target in sizes]
    logp, sources, targets = scores(sizes)
    path = best_path(logp, sources, targets)

    found = reduced(path, targets, logp.shape[2], reduction)

    assert bool((found >= 0).all())
    for row, own, (source, target) in zip(found, path, sizes, strict=True):
        assert row.sum() == target // reduction
        assert not row[source:].any()
        ends = [int((own[:target] <= s).sum()) / reduction for s in range(source)]
        assert np.abs(row[:source].cumsum(0).numpy() - ends).max() <= 0.5


# ---------------------------------------------------------------------- the whole search


def warped(draw: np.random.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sources (B, 8, 16), each frame repeated 1 to 4 times, cut to 16 frames; the durations."""
    source = torch.from_numpy(draw.standard_normal((count, 8, 16)).astype(np.float32))
    durations = torch.from_numpy(1 + draw.multinomial(8, np.full(8, 1 / 8), size=count))
    target = torch.stack([source[b].repeat_interleave(durations[b], 0) for b in range(count)])
    return source, target, durations


def test_a_warped_copy_is_aligned_where_it_was_warped() -> None:
    """Learnt on other sentences than it is asked for, so that nothing can be known by heart."""
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    place = packing(torch.full((16,), 8), 8, 4)
    frames = packing(torch.full((16,), 16), 16, 4)
    model = Aligner(32, 16, 1)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)

    for step in range(201):
        source, target, durations = warped(draw, 16)
        found = model(place.pack(source), place, frames.pack(target), frames, 1)
        if step < 200:
            optimiser.zero_grad()
            (found.forward_sum.sum() + found.binarisation.sum()).backward()
            optimiser.step()

    assert (found.durations - durations).abs().float().mean() < 0.05


def test_the_searched_durations_are_the_ones_that_are_learnt_and_used() -> None:
    torch.manual_seed(0)
    config = replace(SMALL, align="search")
    model = FS2VC(config, 2).eval()
    batch = noise_set([(12, 17), (31, 18), (21, 24)]).gather(range(3))
    other = replace(batch, durations=batch.durations.flip(1))

    found, same = model(batch), model(other)

    assert torch.equal(found.postnet, same.postnet)
    assert found.aligned is not None
    assert torch.equal(found.aligned.durations.sum(1), batch.target_lengths)
    terms = sums(found, batch)
    wanted = torch.log1p(found.aligned.durations.float())
    error = (found.log_duration - wanted).masked_fill(~found.source_mask, 0).square().sum()
    torch.testing.assert_close(terms["duration"].summed, error)
    assert weights_of(config) | {"align": 2.0, "path": 2.0} == weights_of(config)
    loss = batch_loss(terms, weights=weights_of(config))
    parts = {name: float((term.summed / term.counted).detach()) for name, term in terms.items()}
    whole = sum(value * weights_of(config)[name] for name, value in parts.items())
    assert float(loss.detach()) == pytest.approx(whole, rel=1e-5)


def test_a_run_that_searches_resumes_exactly_and_learns(workspace: Path) -> None:
    settings = ("model.align=search",)
    whole = trained(workspace, *settings, tag="whole", epochs=3)
    cut = started(workspace, *settings, tag="cut", epochs=3, again=True)
    watched(cut, stop_after=5)

    assert outcome(resumed(cut)) == outcome(whole)


def test_a_source_too_long_to_be_searched_is_named(workspace: Path) -> None:
    from corpuskit.versions import open_version

    version = open_version(workspace, "N2C")
    pair = version.pairs[0]
    source, target = version.features(pair.source), version.features(pair.target)
    short = target.cut(0, len(source.f0) // 3 - 1)

    told = faults(pair, source, short, version.durations(pair), 3, search=True)

    assert any("too long for model.align = search" in text for text in told)
    assert not any(
        "search" in text for text in faults(pair, source, short, version.durations(pair), 3)
    )

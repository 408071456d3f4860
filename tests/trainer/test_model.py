"""The model: its size and parts, what it may and may not see, that it learns."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from corpuskit.settings import load_toml
from noise import SMALL, noise_set, widened
from thorough import thoroughly
from trainer.batches import Batch
from trainer.config import ModelConfig, RunConfig, resolve
from trainer.losses import batch_loss, sums, weights_of
from trainer.model import FS2VC, LONGEST_DURATION, Generated, Outputs, whole_durations
from trainer.packing import packing

FRAMES = [(12, 17), (31, 9), (3, 24), (21, 4), (40, 33)]
VARIANTS = {
    "plain": SMALL,
    "unstacked": replace(SMALL, reduction=1),
    "stacked by two": replace(SMALL, reduction=2),
    "pitch_ar": replace(SMALL, pitch_ar="on"),
    "pitch_ar by phrase": replace(SMALL, pitch_ar="phrase"),
    "align search": replace(SMALL, align="search"),
    "told the voice": replace(SMALL, target_speaker="variance", pitch_ar="on"),
    "wgmm": replace(SMALL, prosody="wgmm", prosody_size=12, prosody_components=3),
    "wgmm with pitch_ar": replace(
        SMALL, prosody="wgmm", prosody_size=12, prosody_components=3, pitch_ar="phrase"
    ),
}
SMALL_AR = VARIANTS["pitch_ar"]
every_variant = pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)


def model_of(config: ModelConfig = SMALL, speakers: int = 2) -> FS2VC:
    """A model with untrained weights whose durations are of ordinary length."""
    torch.manual_seed(0)
    model = FS2VC(config, speakers).eval()
    torch.nn.init.constant_(model.variance.duration.out.bias, 1.0)
    return model


def tensors(values: Outputs | Generated) -> dict[str, Tensor]:
    """The frames of what a model gives, by name."""
    names = [each.name for each in fields(values) if not each.name.endswith(("_nll", "aligned"))]
    return {name: getattr(values, name) for name in names}


def assert_alone_is_in_batch(
    alone: Outputs | Generated, batched: Outputs | Generated, row: int, lengths: dict[int, int]
) -> None:
    """Utterance `row` of the batch holds what it gave alone; beyond its end there is nothing.

    `lengths` maps each padded length of the batch to the utterance's own.
    """
    for (name, one), many in zip(tensors(alone).items(), tensors(batched).values(), strict=True):
        if one.dim() == 1:
            assert one[0] == many[row]
            continue
        own = lengths.get(many.shape[1], many.shape[1])
        assert one.shape[1] == own, name
        torch.testing.assert_close(many[row, :own], one[0], atol=1e-5, rtol=1e-5)
        assert not many[row, own:].any(), name


def loss_sum(model: FS2VC, batch: Batch) -> Tensor:
    """The sum of all terms over all frames: adds up over utterances, unlike a mean."""
    return torch.stack([term.summed for term in sums(model(batch), batch).values()]).sum()


def gradients(model: FS2VC, batches: list[Batch]) -> dict[str, Tensor]:
    model.zero_grad()
    for batch in batches:
        loss_sum(model, batch).backward()
    return {
        name: value.grad.clone()
        for name, value in model.named_parameters()
        if value.grad is not None
    }


# ---------------------------------------------------------------------- size and parts


def test_full_size_is_about_21_million() -> None:
    with torch.device("meta"):
        model = FS2VC(ModelConfig(), speakers=2)

    count = sum(each.numel() for each in model.parameters())

    assert 19e6 < count < 23e6


def test_the_autoregressive_one_is_about_22_million() -> None:
    path = Path(__file__).resolve().parents[2] / "configs" / "models" / "fs2vc_ar.toml"
    config = resolve(load_toml(path), [], path.name)
    with torch.device("meta"):
        models = FS2VC(ModelConfig(), 2), FS2VC(config.model, 2)
    counts = [sum(each.numel() for each in model.parameters()) for model in models]

    assert config == replace(RunConfig(), model=replace(ModelConfig(), pitch_ar="on"))
    assert 0.8e6 < counts[1] - counts[0] < 1.4e6


def test_parts_are_found_by_name() -> None:
    model = model_of(speakers=5)

    assert [name for name, _ in model.named_children()] == [
        "mel_in",
        "source_speakers",
        "encoder",
        "variance",
        "target_speakers",
        "decoder",
        "mel_out",
        "postnet",
    ]
    assert [name for name, _ in model.variance.named_children()] == ["duration", "pitch", "energy"]
    assert model.source_speakers.weight.shape == (5, SMALL.width)
    assert model.target_speakers.weight.shape == (5, SMALL.width)


@every_variant
def test_every_weight_learns(config: ModelConfig) -> None:
    model = taught(config)
    data = noise_set(FRAMES, reduction=config.reduction)

    found = gradients(model, [data.gather(range(5))])

    assert set(found) == {name for name, _ in model.named_parameters()}
    assert all(each.abs().sum() > 0 for each in found.values())


def test_outputs_have_the_targets_shape() -> None:
    batch = noise_set(FRAMES).gather([0, 1])

    found = model_of()(batch)

    assert found.mel.shape == found.postnet.shape == batch.target_mel.shape
    assert found.log_duration.shape == batch.durations.shape
    assert found.pitch.shape == found.energy.shape == (2, 5, 3)
    assert found.source_mask.sum(1).tolist() == [4, 10]
    assert found.target_mask.sum(1).tolist() == [5, 3]


# ---------------------------------------------------------------------- nothing sees padding


@every_variant
def test_forward_alone_is_forward_in_a_batch(config: ModelConfig) -> None:
    model, reduction = model_of(config), config.reduction
    data = noise_set(FRAMES, reduction=reduction)
    longest = {side: int(getattr(data, f"{side}_lengths").max()) for side in ("source", "target")}

    with torch.no_grad():
        together = model(data.gather(range(len(FRAMES))))
        for i in range(len(FRAMES)):
            s, n = int(data.source_lengths[i]), int(data.target_lengths[i])
            own = {longest["source"]: s, longest["target"]: n}
            own[longest["target"] * reduction] = n * reduction
            assert_alone_is_in_batch(model(data.gather([i])), together, i, own)


@pytest.mark.parametrize("variant", ["wgmm", "wgmm with pitch_ar"])
@pytest.mark.parametrize("training", [True, False])
def test_the_likelihood_of_prosody_is_the_same_alone_and_in_a_batch(
    variant: str, training: bool
) -> None:
    model = taught(VARIANTS[variant]).train(training)
    data = noise_set(FRAMES)

    together = model(data.gather(range(len(FRAMES))))
    alone = [model(data.gather([i])) for i in range(len(FRAMES))]

    assert together.phrase_nll.isfinite().all()
    for name in ("phrase_nll", "global_nll"):
        one_by_one = torch.cat([getattr(each, name) for each in alone])
        torch.testing.assert_close(getattr(together, name), one_by_one, atol=1e-4, rtol=1e-5)


@every_variant
def test_generate_alone_is_generate_in_a_batch(config: ModelConfig) -> None:
    model, reduction = model_of(config), config.reduction
    data = noise_set(FRAMES, reduction=reduction)

    together = model.generate(data.gather(range(len(FRAMES))))

    longest = int(together.lengths.max())
    assert len(set(together.lengths.tolist())) > 1
    for i in range(len(FRAMES)):
        s, n = int(data.source_lengths[i]), int(together.lengths[i])
        own = {int(data.source_lengths.max()): s, longest * reduction: n * reduction}
        assert_alone_is_in_batch(model.generate(data.gather([i])), together, i, own)


@every_variant
def test_gradients_in_a_batch_are_the_sum_of_those_alone(config: ModelConfig) -> None:
    model, reduction = model_of(config), config.reduction
    data = noise_set(FRAMES, reduction=reduction)

    together = gradients(model, [data.gather(range(len(FRAMES)))])
    alone = gradients(model, [data.gather([i]) for i in range(len(FRAMES))])

    for name, grad in together.items():
        scale = alone[name].abs().max().item()
        torch.testing.assert_close(grad, alone[name], atol=1e-5 * scale, rtol=1e-4)


@every_variant
@pytest.mark.parametrize("fill", [1e4, torch.nan])
def test_garbage_in_the_padding_changes_nothing(fill: float, config: ModelConfig) -> None:
    model, reduction = model_of(config), config.reduction
    batch = noise_set(FRAMES, reduction=reduction).gather(range(len(FRAMES)))
    dirty = widened(batch, reduction=reduction, extra=0, fill=fill)

    for mine, other in (
        (model(batch), model(dirty)),
        (model.generate(batch), model.generate(dirty)),
    ):
        for name, value in tensors(mine).items():
            assert torch.equal(value, getattr(other, name)), name
    clean = gradients(model, [batch])
    for name, grad in gradients(model, [dirty]).items():
        assert torch.equal(grad, clean[name]), name


def test_more_padding_changes_nothing() -> None:
    model = model_of()
    data = noise_set(FRAMES)
    batch = data.gather(range(len(FRAMES)))
    wide = widened(batch, reduction=3, extra=4, fill=torch.nan)
    s, n = int(batch.lengths.max()), int(batch.target_lengths.max())
    narrow = {s + 4: s, n + 4: n, 3 * (n + 4): 3 * n}

    tight, loose = model(batch), model(wide)

    for (name, value), other in zip(tensors(tight).items(), tensors(loose).values(), strict=True):
        own = narrow[other.shape[1]]
        torch.testing.assert_close(other[:, :own], value, atol=1e-5, rtol=1e-5)
        assert not other[:, own:].any(), name


def test_the_order_in_a_batch_changes_nothing() -> None:
    model = model_of()
    data = noise_set(FRAMES)

    forth, back = model(data.gather([0, 1, 4])), model(data.gather([4, 1, 0]))

    torch.testing.assert_close(forth.postnet, back.postnet.flip(0), atol=1e-5, rtol=1e-5)


def test_an_utterance_does_depend_on_itself() -> None:
    """Without this the tests above would pass for a model that returns a constant."""
    model = model_of()
    batch = noise_set(FRAMES).gather([0, 1])
    other = replace(batch, mel=batch.mel + 1.0)

    assert not torch.allclose(model(batch).postnet, model(other).postnet, atol=1e-2)
    last = batch.mel.clone()
    last[1, -1] += 3.0  # a frame far from the first
    changed = (model(replace(batch, mel=last)).mel - model(batch).mel).abs().amax(dim=(1, 2))
    assert changed[0] == 0
    assert changed[1] > 1e-4


# ---------------------------------------------------------------------- pitch, frame after frame


def taught(config: ModelConfig) -> FS2VC:
    """A model in training mode without anything random."""
    still = replace(config, dropout=0.0, variance_dropout=0.0, postnet_dropout=0.0)
    model = model_of(still).train()
    if config.pitch_ar != "off":
        model.variance.pitch.predictor.lstm.between.share = 0.0
    return model


@pytest.mark.parametrize("variant", ["pitch_ar", "pitch_ar by phrase"])
def test_taught_all_at_once_is_taught_frame_by_frame(variant: str) -> None:
    """The slow reference feeds each frame the true last value of the frame before."""
    model = taught(VARIANTS[variant])
    batch = noise_set(FRAMES).gather(range(len(FRAMES)))
    predictor, heard = model.variance.pitch.predictor, {}
    predictor.steps[-1].register_forward_hook(lambda _, __, out: heard.update(conv=out))

    found = model(batch).pitch

    place = packing(batch.target_lengths, found.shape[1], model.gap)
    rows = place.pad(heard["conv"])
    truth = batch.target_pitch.view(len(FRAMES), -1, 3)
    for b, length in enumerate(batch.target_lengths.tolist()):
        phrases = batch.target_phrases[b].tolist() if "phrase" in variant else [length]
        starts = set(np.cumsum([0, *phrases]).tolist())
        for t in range(length):
            if t in starts:
                last, state = torch.zeros(1, 1, 1), None
            frame = rows[b : b + 1, t : t + 1]
            hidden, state = predictor.lstm(frame + predictor.given(last), state)
            expected = predictor.out(torch.cat((frame, hidden), dim=-1))
            torch.testing.assert_close(found[b, t], expected[0, 0], atol=1e-5, rtol=1e-5)
            last = truth[b : b + 1, t : t + 1, -1:]


@pytest.mark.parametrize("variant", ["pitch_ar", "pitch_ar by phrase"])
def test_evaluating_hears_its_own_pitch_and_never_the_truth(variant: str) -> None:
    model = model_of(VARIANTS[variant])
    batch = noise_set(FRAMES).gather(range(len(FRAMES)))
    other = replace(batch, target_pitch=batch.target_pitch + 3.0)

    assert torch.equal(model(batch).pitch, model(other).pitch)
    assert not torch.equal(taught(VARIANTS[variant])(batch).pitch, taught(SMALL_AR)(other).pitch)


def test_own_pitch_as_truth_is_what_is_predicted_freely() -> None:
    model = taught(SMALL_AR)
    batch = noise_set(FRAMES).gather(range(len(FRAMES)))
    free = model.eval()(batch).pitch

    again = model.train()(replace(batch, target_pitch=free.flatten(1).detach())).pitch

    torch.testing.assert_close(again, free, atol=1e-5, rtol=1e-5)


def test_a_phrase_does_not_hear_the_one_before() -> None:
    """With one frame of convolution, so that only the recurrence could carry it over."""
    alone = replace(SMALL, pitch_ar="phrase", pitch_kernel=1, detach_pitch=True)
    for config, carried in ((alone, False), (replace(alone, pitch_ar="on"), True)):
        model = taught(config)
        batch = noise_set([(40, 33)]).gather([0])
        first = int(batch.target_phrases[0, 0])
        other = batch.target_pitch.clone()
        other[:, : first * 3] += 2.0

        change = model(batch).pitch - model(replace(batch, target_pitch=other)).pitch

        assert change[:, 1:first].abs().sum() > 0
        assert bool(change[:, first:].abs().sum() > 0) == carried


# ---------------------------------------------------------------------- durations


@given(value=st.floats(-3, 6))
def test_durations_are_the_notes_formula(value: float) -> None:
    frames = np.exp(value) - 1
    assume(abs(frames % 1 - 0.5) > 1e-3)  # a half is rounded either way in float32

    found = whole_durations(torch.tensor([[value, 9.0]]), torch.ones(1, 2, dtype=torch.bool))

    assert found[0, 0] == max(0, round(frames))


def test_an_utterance_of_no_duration_gets_one_frame_where_it_is_longest() -> None:
    log = torch.tensor([[-5.0, 0.1, -1.0, 9.0], [1.0, -1.0, -1.0, -1.0]])
    valid = torch.tensor([[True, True, True, False], [True, True, True, True]])

    found = whole_durations(log, valid)

    assert found.tolist() == [[0, 1, 0, 0], [2, 0, 0, 0]]


def test_a_diverged_model_does_not_ask_for_all_memory() -> None:
    log = torch.tensor([[80.0, torch.inf, torch.nan, -torch.inf]])

    found = whole_durations(log, torch.ones_like(log, dtype=torch.bool))

    assert found.tolist() == [[LONGEST_DURATION, LONGEST_DURATION, 0, 0]]


def test_generate_gives_every_utterance_a_frame() -> None:
    model = model_of()
    torch.nn.init.zeros_(model.variance.duration.out.weight)
    torch.nn.init.constant_(model.variance.duration.out.bias, -4.0)

    found = model.generate(noise_set(FRAMES).gather([0, 1]))

    assert found.lengths.tolist() == [1, 1]
    assert found.mel.shape == (2, 3, SMALL.mels)
    assert found.mel.isfinite().all()


# ---------------------------------------------------------------------- training and use agree


def test_generate_is_forward_on_its_own_predictions() -> None:
    model = model_of()
    batch = noise_set(FRAMES).gather(range(len(FRAMES)))

    made = model.generate(batch)
    taught = model(
        replace(
            batch,
            durations=made.durations,
            target_mel=made.mel,
            target_pitch=made.pitch,
            target_energy=made.energy,
            target_lengths=made.lengths,
            target_total=None,
        )
    )

    torch.testing.assert_close(made.mel, taught.postnet)
    torch.testing.assert_close(made.pitch, taught.pitch.flatten(1))
    torch.testing.assert_close(made.energy, taught.energy.flatten(1))
    assert torch.equal(made.durations, whole_durations(taught.log_duration, taught.source_mask))
    assert torch.equal(made.durations.sum(1), made.lengths)


@pytest.mark.parametrize("what", ["target_pitch", "target_energy"])
def test_forward_decodes_the_true_prosody_but_predicts_without_it(what: str) -> None:
    model = model_of()
    batch = noise_set(FRAMES).gather([0, 1])

    one = model(batch)
    other = model(replace(batch, **{what: getattr(batch, what) + 1}))

    assert not torch.allclose(one.mel, other.mel, atol=1e-3)
    assert torch.equal(one.pitch, other.pitch)
    assert torch.equal(one.energy, other.energy)


@pytest.mark.parametrize(("what", "other"), [("pitch", "energy"), ("energy", "pitch")])
def test_source_prosody_steers_its_own_prediction(what: str, other: str) -> None:
    model = model_of()
    batch = noise_set(FRAMES).gather([0, 1])

    before, after = model(batch), model(replace(batch, **{what: getattr(batch, what) + 1}))

    assert not torch.allclose(getattr(before, what), getattr(after, what), atol=1e-3)
    assert torch.equal(getattr(before, other), getattr(after, other))


def test_speakers_matter_on_either_side() -> None:
    model = model_of()
    batch = noise_set(FRAMES).gather([0, 1])
    swapped = {
        name: model(replace(batch, **{name: 1 - getattr(batch, name)}))
        for name in ("source_speaker", "target_speaker")
    }
    before = model(batch)

    assert not torch.allclose(swapped["source_speaker"].log_duration, before.log_duration)
    assert torch.equal(swapped["target_speaker"].log_duration, before.log_duration)
    assert not torch.allclose(swapped["target_speaker"].mel, before.mel)


@pytest.mark.parametrize("what", ["log_duration", "pitch", "energy"])
def test_predictors_that_are_told_the_voice_depend_on_it(what: str) -> None:
    batch = noise_set(FRAMES).gather([0, 1])
    other = replace(batch, target_speaker=1 - batch.target_speaker)

    for where, depends in (("decoder", False), ("variance", True)):
        model = model_of(replace(SMALL, target_speaker=where))
        before, after = (getattr(model(each), what) for each in (batch, other))
        assert torch.equal(before, after) is not depends


@pytest.mark.parametrize("term", ["duration", "pitch", "energy"])
@pytest.mark.parametrize("detached", [True, False])
def test_a_detached_predictor_does_not_teach_the_encoder(term: str, detached: bool) -> None:
    model = model_of(replace(SMALL, **{f"detach_{term}": detached}))
    batch = noise_set(FRAMES).gather([0, 1])

    sums(model(batch), batch)[term].summed.backward()

    part = getattr(model.variance, term)
    predictor = part if term == "duration" else part.predictor
    assert {each.grad is not None for each in predictor.parameters()} == {True}
    assert {each.grad is None for each in model.encoder.parameters()} == {detached}


# ---------------------------------------------------------------------- machines


def test_a_training_step_never_waits_for_the_device() -> None:
    """Tensors on "meta" have no values: reading one, as a wait would, fails."""
    model = model_of().train().to("meta")
    batch = noise_set(FRAMES).gather([0, 1]).to("meta")

    batch_loss(sums(model(batch), batch)).backward()

    with pytest.raises(RuntimeError):
        model(replace(batch, total=None))


# A bf16 value is off by up to 2^-9, 0.2 %, an fp16 value by up to 2^-12; twenty layers in sequence
# make of that at most the share below of a typical value.
@every_variant
@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 0.05), (torch.float16, 0.006)])
def test_low_precision_is_close_to_fp32(
    config: ModelConfig, dtype: torch.dtype, bound: float
) -> None:
    model = model_of(config)
    batch = noise_set(FRAMES, reduction=config.reduction).gather(range(len(FRAMES)))

    exact = model(batch)
    with torch.autocast("cpu", dtype=dtype):
        rough = model(batch)

    for name in ("mel", "postnet", "log_duration", "pitch", "energy", "phrase_nll", "global_nll"):
        one, other = getattr(exact, name), getattr(rough, name)
        if one is not None:
            assert (one - other.float()).abs().mean() < bound * one.abs().mean(), name
            assert not torch.equal(one, other)


def test_bf16_generates_float32() -> None:
    model = model_of()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = model.generate(noise_set(FRAMES).gather([0, 1]))

    assert made.mel.dtype == made.pitch.dtype == made.energy.dtype == torch.float32


def trained(steps: int) -> dict[str, Tensor]:
    torch.manual_seed(1)
    model = FS2VC(SMALL, speakers=2)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = noise_set(FRAMES)
    for step in range(steps):
        batch = data.gather([step % 5, (step + 2) % 5])
        optimiser.zero_grad()
        batch_loss(sums(model(batch), batch)).backward()
        optimiser.step()
    return model.state_dict()


def test_training_repeats_to_the_bit() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        first, second = trained(4), trained(4)
    finally:
        torch.use_deterministic_algorithms(before)

    assert all(torch.equal(first[name], second[name]) for name in first)


def tiny() -> ModelConfig:
    """The model of configs/models/tiny.toml."""
    path = Path(__file__).resolve().parents[2] / "configs" / "models" / "tiny.toml"
    return resolve(load_toml(path), [], path.name).model


def test_tiny_is_tiny() -> None:
    assert sum(each.numel() for each in FS2VC(tiny(), speakers=2).parameters()) < 1e6


def test_fs2vc_toml_shows_every_default() -> None:
    path = Path(__file__).resolve().parents[2] / "configs" / "models" / "fs2vc.toml"

    shown = load_toml(path)

    assert resolve(shown, [], path.name) == RunConfig()
    assert {name: set(table) for name, table in shown.items()} == {
        each.name: {key.name for key in fields(getattr(RunConfig(), each.name))}
        for each in fields(RunConfig)
    }


@thoroughly(
    "kind",
    [
        {},
        {"pitch_ar": "on"},
        {"pitch_ar": "phrase"},
        {"prosody": "wgmm", "prosody_size": 16, "prosody_components": 2},
        {"target_speaker": "variance"},
    ],
)
def test_tiny_learns_two_pairs_by_heart(kind: dict[str, Any]) -> None:
    torch.manual_seed(0)
    still = {"dropout": 0.0, "variance_dropout": 0.0, "postnet_dropout": 0.0}
    model = FS2VC(replace(tiny(), **kind, **still), 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
    batch = noise_set([(45, 60), (30, 36)], mels=80).gather([0, 1])
    first = batch_loss(sums(model(batch), batch)).item()

    for _ in range(120):
        optimiser.zero_grad()
        batch_loss(sums(model(batch), batch)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    last = batch_loss(sums(model(batch), batch)).item()
    made = model.eval().generate(batch)
    assert last < first / 10
    assert torch.equal(made.durations, batch.durations)
    assert (made.mel - batch.target_mel).abs().mean() < 0.2 * batch.target_mel.abs().mean()


@pytest.mark.slow
def test_tiny_that_searches_learns_two_pairs_by_heart() -> None:
    torch.manual_seed(0)
    still = {"dropout": 0.0, "variance_dropout": 0.0, "postnet_dropout": 0.0}
    config = replace(tiny(), align="search", **still)
    model = FS2VC(config, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
    batch = noise_set([(45, 60), (30, 36)], mels=80).gather([0, 1])
    weights = weights_of(config)
    first = batch_loss(sums(model(batch), batch), weights=weights).item()

    for _ in range(120):
        optimiser.zero_grad()
        batch_loss(sums(model(batch), batch), weights=weights).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    outputs = model.eval()(batch)
    made = model.generate(batch)
    assert batch_loss(sums(outputs, batch), weights=weights).item() < first / 10
    assert outputs.aligned is not None
    assert torch.equal(made.durations, outputs.aligned.durations)
    assert (made.mel - batch.target_mel).abs().mean() < 0.2 * batch.target_mel.abs().mean()

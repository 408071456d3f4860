"""A training's learning rates, against the formula summed step by step and the lab's figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import RunConfig
from trainer.course import Course, apart, course_of, proposals, warnings
from trainer.schedule import lr

LAB = Course(warm_up=4000, cap=None, batch_size=8, pairs=1000, epochs=100)


def test_a_course_counts_steps_epochs_and_samples() -> None:
    course = replace(LAB, pairs=1001)

    assert course.steps_an_epoch == 126
    assert course.steps == 12_600
    assert course.epoch_at(252) == 2
    assert course.samples_at(252) == 2016


def test_a_course_begins_where_the_optimiser_is() -> None:
    course = replace(LAB, first_step=500)

    assert course.steps == 500 + 12_500
    assert (course.epoch_at(500), course.samples_at(508)) == (0, 64)


def test_a_kept_optimiser_sets_a_course_apart_from_one_that_begins_anew() -> None:
    later = replace(LAB, first_step=1000)

    assert apart(LAB, later) == pytest.approx(1001)  # at the first step, where both rise
    assert apart(later, later) == 1
    assert not later.peaks_before
    assert replace(LAB, first_step=4000).peaks_before


def test_the_area_is_the_sum_of_all_rates() -> None:
    course = replace(LAB, epochs=3, cap=0.003)

    assert course.area == pytest.approx(sum(lr(step, 4000, 0.003) for step in range(1, 376)))


def test_the_rise_is_straight() -> None:
    assert LAB.rate(2) - LAB.rate(1) == pytest.approx(LAB.slope)
    assert LAB.rate(4000) == pytest.approx(4000 * LAB.slope)


@pytest.mark.parametrize(("warm_up", "cap", "step"), [(250, 0.016, 64), (4000, 0.016, None)])
def test_the_cap_acts_from_the_step_after_the_notes_peak(
    warm_up: int, cap: float, step: int | None
) -> None:
    course = replace(LAB, warm_up=warm_up, cap=cap)

    assert course.capped_from == step
    if step:
        assert lr(step - 1, warm_up, cap) == lr(step - 1, warm_up, None)
        assert lr(step, warm_up, cap) < lr(step, warm_up, None)


@given(
    warm_up=st.integers(200, 8000),
    cap=st.floats(0.004, 0.012),
    ratio=st.sampled_from([0.5, 2, 4, 8]),
)
def test_a_capped_course_is_kept_exactly_for_any_batch_size(
    warm_up: int, cap: float, ratio: float
) -> None:
    wanted = replace(LAB, warm_up=warm_up, cap=cap, batch_size=16, pairs=4096, epochs=40)

    best = proposals(wanted, int(16 * ratio))[0]

    if best.course.capped_from is not None:
        assert best.what == "the rate at every sample"
        # A step is a whole number, and so is the warm-up: early steps are rounded.
        for sample in (4096, 20_480, 102_400):
            mine, theirs = (each.rate(sample // each.batch_size) for each in (best.course, wanted))
            assert mine == pytest.approx(theirs, rel=0.02)


def test_larger_batches_keep_an_uncapped_course_by_a_cap() -> None:
    best, other = proposals(LAB, 32)

    assert best.settings == ("optim.warm_up=1587", "optim.max_lr_scale=0.01581")
    assert best.apart < 1.01
    assert best.course.peak.lr == pytest.approx(LAB.peak.lr, rel=1e-3)
    # The lab's rule: as many samples of warm-up, but a peak twice as high.
    assert other.settings == ("optim.warm_up=1000",)
    assert other.course.peak.lr == pytest.approx(1.98e-3, abs=5e-6)
    assert other.apart == pytest.approx(2)


def test_a_changed_batch_with_the_same_settings_is_warned_of() -> None:
    (told,) = warnings(replace(LAB, batch_size=32, epochs=400), LAB)

    assert told.startswith("batch size 8 -> 32 with the same settings is another schedule")
    assert "4 times as many samples" in told
    assert list(warnings(LAB, LAB)) == []
    assert list(warnings(replace(LAB, batch_size=32, warm_up=1000), LAB)) == []
    assert list(warnings(replace(LAB, batch_size=8, epochs=200), LAB)) == []


def test_a_warm_up_longer_than_the_training_is_warned_of() -> None:
    (told,) = warnings(replace(LAB, epochs=10))

    assert told == "the training ends at step 1,250, before the rate peaks (step 4,000)"


def test_a_course_is_no_distance_from_itself_and_the_same_from_either_side() -> None:
    other = replace(LAB, warm_up=1000)

    assert apart(LAB, LAB) == 1
    assert apart(LAB, other) == apart(other, LAB) == pytest.approx(8, rel=0.01)  # 4 ** 1.5


def test_a_runs_settings_make_its_course() -> None:
    config = RunConfig()

    course = course_of(config, pairs=80, first_step=7)

    assert (course.warm_up, course.cap) == (config.optim.warm_up, config.optim.cap)
    assert course.steps == 7 + 10 * config.train.epochs

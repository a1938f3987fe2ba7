"""Learning rates over a run: they rise, fall to their floor, and depend on the step alone."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtgrpo_env.agents.neural.schedules import SCHEDULES, LearningRate, ScheduleName

FALLING = st.sampled_from([name for name in get_args(ScheduleName) if name != "constant"])
SHARES = st.floats(0, 1)


@st.composite
def runs(draw: st.DrawFn) -> LearningRate:
    """Of at least two steps after the warm-up."""
    warmup = draw(st.integers(0, 20))
    num_steps = warmup + draw(st.integers(2, 200))
    return LearningRate(draw(st.floats(1e-7, 1)), num_steps, draw(FALLING), draw(SHARES), warmup)


@given(rate=runs())
def test_a_rate_rises_to_its_peak_and_then_falls_to_its_floor(rate: LearningRate) -> None:
    rates = np.array([rate(step) for step in range(rate.num_steps)])
    rising, falling = np.diff(rates[: rate.warmup_steps + 1]), np.diff(rates[rate.warmup_steps :])
    assert (rates[:-1] > 0).all()
    assert (rising > 0).all()
    assert (falling <= 0).all()
    assert rates[rate.warmup_steps] == rates.max() == rate.peak
    assert rates[-1] == pytest.approx(rate.peak * rate.floor, abs=1e-12)


@given(rate=runs(), more=st.integers(0, 100))
def test_after_the_last_step_a_rate_stays_at_its_floor(rate: LearningRate, more: int) -> None:
    assert rate(rate.num_steps + more) == rate(rate.num_steps - 1)


@given(peak=st.floats(1e-7, 1), step=st.integers(0, 1000), num_steps=st.integers(0, 100))
def test_a_constant_rate_is_its_peak_to_the_bit(peak: float, step: int, num_steps: int) -> None:
    assert LearningRate(peak, num_steps)(step) == peak


def test_linear_and_cosine_are_halfway_in_the_middle_and_cosine_is_slower_at_both_ends() -> None:
    linear, cosine = (LearningRate(1.0, 101, name, floor=0.0) for name in ("linear", "cosine"))
    assert linear(50) == cosine(50) == pytest.approx(0.5)
    assert linear(25) == pytest.approx(0.75)
    assert cosine(25) == pytest.approx((1 + np.cos(np.pi / 4)) / 2)
    assert cosine(25) > linear(25)
    assert cosine(75) < linear(75)


def test_every_schedule_has_a_name() -> None:
    assert set(SCHEDULES) == set(get_args(ScheduleName))


@pytest.mark.parametrize("num_steps", [1, 3])
def test_a_run_that_is_too_short_to_fall_ends_at_its_peak(num_steps: int) -> None:
    assert LearningRate(2.0, num_steps, "linear", warmup_steps=num_steps - 1)(num_steps - 1) == 2.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"floor": 1.5}, "lr_floor must be at least 0 and at most 1, got 1.5"),
        ({"floor": -0.1}, "lr_floor must be at least 0 and at most 1, got -0.1"),
        ({"warmup_steps": -1}, "warmup_steps must be from 0 to below the run's steps, 10, got -1"),
        ({"warmup_steps": 10}, "warmup_steps must be from 0 to below the run's steps, 10, got 10"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LearningRate(1.0, 10, **wrong)


def test_a_rate_is_written_in_a_line() -> None:
    assert str(LearningRate(4e-4, 60)) == "0.0004"
    assert str(LearningRate(4e-4, 60, "linear", warmup_steps=5)) == "0.0004 (linear to 8e-05, warm-up 5)"

"""Laws of intervals, of curves at a budget, and of costs that some seeds never paid in full."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.reports.statistics import (
    area_under_curve,
    arrival,
    at_budget,
    bootstrap_interval,
    cost_ratio,
    mean_band,
    paired_difference,
    running_means,
)

VALUES = st.lists(st.floats(-1, 1), min_size=2, max_size=8)
LAWS = settings(max_examples=40, derandomize=True, deadline=None)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(VALUES)
@LAWS
def test_an_interval_holds_its_mean_and_lies_within_the_values(values: list[float]) -> None:
    interval = bootstrap_interval(values, rng())
    assert interval.low - 1e-12 <= interval.mean <= interval.high + 1e-12
    assert min(values) - 1e-12 <= interval.low
    assert interval.high <= max(values) + 1e-12


@given(VALUES, st.floats(-5, 5), st.floats(0.1, 3))
@LAWS
def test_shifting_and_scaling_the_values_does_the_same_to_the_interval(
    values: list[float], shift: float, scale: float
) -> None:
    before, after = bootstrap_interval(values, rng()), bootstrap_interval(scale * np.array(values) + shift, rng())
    expected = [scale * x + shift for x in (before.mean, before.low, before.high)]
    assert [after.mean, after.low, after.high] == pytest.approx(expected, abs=1e-9)


def test_the_same_generator_gives_the_same_interval_and_another_nearly_the_same() -> None:
    values = rng(1).normal(size=6)
    first, again, other = (bootstrap_interval(values, rng(seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert [other.low, other.high] == pytest.approx([first.low, first.high], abs=0.1)


@pytest.mark.parametrize(("num_seeds", "share"), [(3, 0.74), (5, 0.84), (10, 0.91)])
def test_intervals_of_normal_values_cover_the_truth_as_often_as_documented(num_seeds: int, share: float) -> None:
    draw = rng(2)
    intervals = [bootstrap_interval(draw.normal(size=num_seeds), draw) for _ in range(300)]
    assert np.mean([one.low <= 0 <= one.high for one in intervals]) == pytest.approx(share, abs=0.06)


def test_one_seed_has_a_mean_and_no_interval_and_nothing_is_known_without_any() -> None:
    one = bootstrap_interval([0.5], rng())
    assert one.mean == 0.5
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(bootstrap_interval([], rng()).mean)


def test_a_seed_that_is_not_known_leaves_the_mean_unknown() -> None:
    assert math.isnan(bootstrap_interval([0.1, math.nan, 0.3], rng()).mean)


def test_a_band_is_an_interval_at_every_point() -> None:
    low, high = mean_band(np.array([[0.0, 0.5], [1.0, 0.5]]), rng())
    assert (low.tolist(), high.tolist()) == ([0.0, 0.5], [1.0, 0.5])


def test_pairing_by_seed_takes_out_what_the_seeds_share() -> None:
    common = rng(3).normal(size=6)
    interval = paired_difference(common + 0.25, common, rng())
    assert [interval.low, interval.mean, interval.high] == pytest.approx([0.25] * 3)
    with pytest.raises(ValueError, match="as many seeds on both sides, got 2 and 3"):
        paired_difference(np.zeros(2), np.zeros(3), rng())


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 1)), min_size=1, max_size=8), st.data())
@LAWS
def test_interpolation_stays_between_its_neighbours_and_rises_with_a_rising_curve(
    parts: list[tuple[float, float]], data: st.DataObject
) -> None:
    costs = np.concatenate([[0.0], np.cumsum([width for width, _ in parts])])
    scores = np.concatenate([[0.0], np.cumsum([rise for _, rise in parts])])
    shares = data.draw(st.lists(st.floats(0, 1), min_size=2, max_size=5).map(sorted))
    found = [float(at_budget(costs, scores, share * costs[-1])) for share in shares]
    assert found == pytest.approx(np.interp(np.array(shares) * costs[-1], costs, scores), abs=1e-9)
    assert all(a <= b + 1e-9 for a, b in pairwise(found))


def test_evaluations_are_met_exactly_and_nothing_is_known_beyond_what_was_spent() -> None:
    costs, scores = np.array([0.0, 4.0, 8.0]), np.array([[0.1, 0.5], [0.2, 0.6], [0.7, 0.3]])
    for cost, score in zip(costs, scores, strict=True):
        assert at_budget(costs, scores, cost).tolist() == score.tolist()
    assert at_budget(costs, scores, 6.0).tolist() == pytest.approx([0.45, 0.45])
    assert np.isnan(at_budget(costs, scores, 8.1)).all()
    assert np.isnan(at_budget(costs, scores, -0.1)).all()
    assert float(at_budget(np.array([0.0]), np.array([0.3]), 0.0)) == 0.3


def test_the_area_is_the_mean_height_whatever_the_cost_is_counted_in() -> None:
    costs, scores = np.array([0.0, 1.0, 4.0]), np.array([0.0, 0.4, 0.4])
    assert area_under_curve(costs, scores) == pytest.approx((0.2 + 3 * 0.4) / 4)
    assert area_under_curve(1000 * costs, scores) == pytest.approx(area_under_curve(costs, scores))
    assert area_under_curve(np.array([0.0]), np.array([0.25])) == 0.25


def test_the_area_may_end_before_all_was_spent() -> None:
    costs, scores = np.array([0.0, 1.0, 4.0]), np.array([0.0, 0.4, 0.7])
    assert area_under_curve(costs, scores, up_to=2.0) == pytest.approx((0.2 + 0.45) / 2)
    assert area_under_curve(costs, scores, up_to=1.0) == pytest.approx(0.2)
    assert area_under_curve(costs, scores, up_to=9.0) == area_under_curve(costs, scores)


def test_one_lucky_evaluation_is_no_smoothed_crossing() -> None:
    costs, lucky, steady = np.arange(5.0), np.array([0, 0.6, 0, 0, 0.9]), np.array([0, 0.6, 0.6, 0.6, 0.6])
    paid = [[arrival([costs], [of], 0.5, rng()).median for of in (s, running_means(s))] for s in (lucky, steady)]
    assert paid == [[1, math.inf], [1, 2]]
    assert [running_means(steady[:n]).tolist() for n in (1, 2)] == [[0], [0, 0.3]]


def curves(*firsts: float | None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Runs of 100 steps that reach the threshold at the given evaluation, or never."""
    costs = np.arange(0, 101, 10.0)
    return [costs] * len(firsts), [(costs >= (math.inf if first is None else first)) * 0.6 for first in firsts]


@pytest.mark.parametrize(
    ("firsts", "median", "arrived", "horizon"),
    [
        ((10, 30, 20), 20, 3, math.inf),
        ((10, None, 20), 20, 2, 100),
        ((10, None, None), math.inf, 1, 100),
        ((10, 30, None, None), math.inf, 2, 100),  # half arrive: the median lies beyond the horizon, not at 30
        ((None,), math.inf, 0, 100),
        ((40,), 40, 1, math.inf),
    ],
)
def test_a_seed_that_never_arrives_counts_as_beyond_its_run(
    firsts: tuple[float | None, ...], median: float, arrived: int, horizon: float
) -> None:
    found = arrival(*curves(*firsts), 0.5, rng())
    assert (found.median, found.arrived, found.seeds) == (median, arrived, len(firsts))
    assert found.horizon == horizon


def test_the_interval_of_a_median_holds_it_and_reaches_never_when_too_few_arrive() -> None:
    all_arrive = arrival(*curves(10, 20, 30, 40, 50), 0.5, rng())
    assert 10 <= all_arrive.low <= all_arrive.median == 30 <= all_arrive.high <= 50
    some_do_not = arrival(*curves(10, 20, 30, None, None), 0.5, rng())
    assert some_do_not.low <= some_do_not.median == 30
    assert math.isinf(some_do_not.high)
    assert arrival(*curves(10, 20, 30, None, None), 0.5, rng()) == some_do_not


def test_an_arrival_needs_a_seed() -> None:
    with pytest.raises(ValueError, match="at least one seed"):
        arrival([], [], 0.5, rng())


@pytest.mark.parametrize(
    ("own", "other", "value", "at_most"),
    [
        ((10, 20, 30), (40, 40, 80), 0.5, False),
        ((10, 20, 30), (40, None, 40), 0.5, False),
        ((10, 20, 30), (40, None, None), 0.2, True),  # the other's median is beyond 100
        ((10, None, None), (40, 40, 40), math.inf, False),
        ((20,), (50,), 0.4, False),
    ],
)
def test_a_ratio_of_costs_is_that_of_the_medians_and_never_too_small(
    own: tuple[float | None, ...], other: tuple[float | None, ...], value: float, at_most: bool
) -> None:
    found = cost_ratio(curves(*own), curves(*other), 0.5, rng())
    assert (found.value, found.at_most) == (pytest.approx(value), at_most)


def test_the_interval_of_a_ratio_pairs_the_seeds() -> None:
    """Each seed costs one method half of what it costs the other, however seeds differ."""
    found = cost_ratio(curves(10, 20, 50), curves(20, 40, 100), 0.5, rng())
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)
    loose = cost_ratio(curves(10, 20, 50), curves(40, 20, 100), 0.5, rng())
    assert loose.low < loose.value < loose.high
    assert math.isnan(cost_ratio(curves(10), curves(20), 0.5, rng()).low)

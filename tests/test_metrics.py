from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.metrics import average, averages, cost_to_threshold, relative_change, worst_task, worst_tasks

ACCURACIES = st.lists(st.floats(0.01, 1), min_size=1, max_size=9)


@given(ACCURACIES)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_the_worst_task_is_at_most_the_average(accuracies: list[float]) -> None:
    assert worst_task(np.array(accuracies)) <= average(np.array(accuracies)) + 1e-12


@given(ACCURACIES, st.randoms(use_true_random=False))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_relabelling_tasks_changes_no_metric(accuracies: list[float], random: Random) -> None:
    order = list(range(len(accuracies)))
    random.shuffle(order)
    own, base = np.array(accuracies), np.linspace(0.1, 0.9, len(accuracies))
    assert worst_task(own[order]) == worst_task(own)
    assert average(own[order]) == pytest.approx(average(own))
    assert relative_change(own[order], base[order]) == pytest.approx(relative_change(own, base))


@given(st.lists(st.one_of(st.floats(0, 1), st.none(), st.just(float("nan"))), max_size=9))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_tasks_that_were_not_played_are_left_out(accuracies: list[float | None]) -> None:
    played = [accuracy for accuracy in accuracies if accuracy is not None and not np.isnan(accuracy)]
    if not played:
        assert np.isnan(worst_task(accuracies))
        assert np.isnan(average(accuracies))
        return
    assert worst_task(accuracies) == worst_task(played) == min(played)
    assert average(accuracies) == pytest.approx(sum(played) / len(played))


@given(st.lists(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=3, max_size=3), min_size=1))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_rows_are_worst_tasks_and_averages_one_by_one(rows: list[list[float]]) -> None:
    accuracies = np.array(rows)
    np.testing.assert_array_equal(worst_tasks(accuracies), [worst_task(row) for row in rows])
    np.testing.assert_array_equal(averages(accuracies), [average(row) for row in rows])


@given(ACCURACIES, st.floats(0.1, 3))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_scaling_every_task_alike_is_the_relative_change(base: list[float], factor: float) -> None:
    change = relative_change(np.array(base) * factor, np.array(base))
    assert change == pytest.approx(100 * (factor - 1), abs=1e-9)


def test_figures_by_hand() -> None:
    accuracies = np.array([0.6, 0.3, 0.9])
    assert worst_task(accuracies) == 0.3
    assert average(accuracies) == pytest.approx(0.6)
    assert relative_change(accuracies, np.array([0.5, 0.6, 0.9])) == pytest.approx(100 * (0.2 - 0.5 + 0.0) / 3)


def test_no_relative_change_is_defined_over_a_base_of_zero() -> None:
    with pytest.raises(ValueError, match=r"every base accuracy must be above 0, got \[0.5, 0.0\]"):
        relative_change(np.array([0.5, 0.5]), np.array([0.5, 0.0]))


@pytest.mark.parametrize(
    ("threshold", "cost"), [(0.0, 0.0), (0.1, 0.0), (0.2, 10.0), (0.5, 10.0), (0.6, 30.0), (0.61, float("inf"))]
)
def test_the_cost_is_counted_to_the_first_time_a_threshold_is_reached(threshold: float, cost: float) -> None:
    assert cost_to_threshold([0, 10, 20, 30], [0.1, 0.5, 0.4, 0.6], threshold) == cost


def test_a_score_that_is_not_a_number_reaches_nothing() -> None:
    assert cost_to_threshold([1, 2], [float("nan"), 0.5], 0.5) == 2.0


def test_every_score_needs_a_cost() -> None:
    with pytest.raises(ValueError, match="longer"):
        cost_to_threshold([0], [0.1, 0.2], 0.5)
    assert cost_to_threshold([], [], 0.5) == float("inf")

"""Rules that leave solved tasks, and tasks out of reach, to a floor."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.task_weights import FlooredWeights
from mtgrpo_env.task_weights_floored import GapWeights, ProgressWeights, VarianceWeights
from mtgrpo_env.types import TaskStats

RULES = [GapWeights, VarianceWeights, ProgressWeights]
EVERY_RULE = pytest.mark.parametrize("rule", RULES)
Make = Callable[..., FlooredWeights]
REWARDS = st.floats(0, 1).map(lambda x: round(x, 3))
UPDATES = st.lists(st.lists(REWARDS, min_size=3, max_size=3), min_size=1, max_size=6)


def stats(rewards: Sequence[float], *, absent: Sequence[int] = ()) -> TaskStats:
    pay = np.where(np.isin(np.arange(len(rewards)), absent), np.nan, 0.5)
    return TaskStats(np.array(rewards), np.zeros(len(rewards)), pay)


def after(weights: FlooredWeights, *updates: Sequence[float]) -> FlooredWeights:
    for rewards in updates:
        weights.update(stats(rewards))
    return weights


@EVERY_RULE
@given(updates=UPDATES, floor=st.sampled_from([0.05, 0.25, 1.0]), names=st.permutations(range(3)))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_weights_are_on_the_simplex_above_the_floor_and_follow_a_relabelling(
    rule: Make, updates: list[list[float]], floor: float, names: list[int]
) -> None:
    one, other = rule(3, floor=floor), rule(3, floor=floor)
    for rewards in updates:
        after(one, rewards)
        after(other, [rewards[k] for k in names])
        assert one.probabilities.sum() == pytest.approx(1, abs=1e-12)
        assert one.probabilities.min() >= floor / 3 - 1e-12
    np.testing.assert_allclose(one.probabilities[names], other.probabilities, atol=1e-9)


@EVERY_RULE
def test_a_solved_task_has_its_part_of_the_floor_and_no_more(rule: Make) -> None:
    weights = after(rule(3, floor=0.3), [1.0, 0.2, 0.3], [1.0, 0.3, 0.5])
    assert weights.probabilities[0] == pytest.approx(0.1)


@pytest.mark.parametrize("rule", [VarianceWeights, ProgressWeights])
def test_so_has_a_task_out_of_reach_but_for_what_it_lacks(rule: Make) -> None:
    updates = [0.0, 0.2, 0.3], [0.0, 0.3, 0.5]
    assert after(rule(3, floor=0.3), *updates).probabilities[0] == pytest.approx(0.1)
    assert after(GapWeights(3, floor=0.3), *updates).probabilities.argmax() == 0


@EVERY_RULE
@pytest.mark.parametrize("solved", [0.0, 1.0])
def test_where_nothing_pulls_weights_are_even(rule: Make, solved: float) -> None:
    pulled = after(rule(3), [solved] * 3, [solved] * 3).probabilities
    np.testing.assert_allclose(pulled, 1 / 3)


def test_the_ratio_above_the_floor_is_that_of_the_rule() -> None:
    """.2 of the batch is even, .8 as 1 - J = .2 : .6; as J (1 - J) = .16 : .24."""
    np.testing.assert_allclose(after(GapWeights(2, floor=0.2), [0.8, 0.4]).probabilities, [0.3, 0.7])
    np.testing.assert_allclose(after(VarianceWeights(2, floor=0.2), [0.8, 0.4]).probabilities, [0.42, 0.58])


def test_progress_by_hand() -> None:
    """From .2 to .6: fast .4, slow .24. From .5 to .3: fast .4, slow .48. So progress is .16 : .08."""
    weights = after(ProgressWeights(2, floor=0.1), [0.2, 0.5], [0.6, 0.3])
    np.testing.assert_allclose(weights.probabilities, [0.65, 0.35])


def test_progress_stays_as_it_was_while_a_task_is_absent_and_starts_with_the_first_look_at_it() -> None:
    weights = ProgressWeights(3)
    weights.update(stats([0.2, 0.0, 0.5], absent=[1]))
    weights.update(stats([0.6, 0.0, 0.3], absent=[1]))
    before = weights.probabilities
    for _ in range(5):
        weights.update(stats([0.6, 0.9, 0.3], absent=[0, 1, 2]))
    np.testing.assert_array_equal(weights.probabilities, before)
    weights.update(stats([0.6, 0.9, 0.3], absent=[0, 2]))
    np.testing.assert_array_equal(weights.probabilities, before)


@EVERY_RULE
def test_a_task_of_unknown_reward_is_not_pulled(rule: Make) -> None:
    weights = after(rule(4), [0.2, 0.2, 0.5, 0.9], [0.4, 0.4, 0.6, 0.9], [np.nan, 0.5, 0.8, 0.95])
    assert weights.probabilities[0] < 1 / 4 < weights.probabilities[1]
    settled = weights.probabilities
    after(weights, [np.nan] * 4)
    np.testing.assert_array_equal(weights.probabilities, settled)


@EVERY_RULE
def test_restored_weights_move_on_bit_for_bit(rule: Make) -> None:
    rng = np.random.default_rng(0)
    weights, restored = after(rule(3), *rng.random((3, 3)).tolist()), rule(3)
    restored.load_state_dict(json.loads(json.dumps(weights.state_dict())))
    for rewards in rng.random((3, 3)).tolist():
        np.testing.assert_array_equal(restored.probabilities, weights.probabilities)
        after(weights, rewards)
        after(restored, rewards)
    assert weights.state_dict() == restored.state_dict()


@EVERY_RULE
@pytest.mark.parametrize("rewards", [[0.1, np.inf, 0.3], [0.1, 0.2]])
def test_rewards_that_are_not_k_finite_numbers_are_refused_and_change_nothing(rule: Make, rewards: list[float]) -> None:
    weights = rule(3)
    before = weights.state_dict()
    with pytest.raises(ValueError, match="rewards must be 3 finite numbers, got"):
        weights.update(stats(rewards))
    assert weights.state_dict() == before


def test_a_fast_average_that_is_not_faster_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fast must be at least 0 and below 0\.5, got 0\.5"):
        ProgressWeights(3, fast=0.5, slow=0.5)

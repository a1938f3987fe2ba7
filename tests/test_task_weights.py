from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtgrpo_env.logit_optimizers import Adam, AdamW, GradientDescent, LogitOptimizer
from mtgrpo_env.task_weights import (
    DisparityWeights,
    ImprovementAwareWeights,
    TaskWeights,
    UniformWeights,
    checked_signal,
    softmax,
)
from mtgrpo_env.task_weights_baselines import RegularizedWeights
from mtgrpo_env.types import FloatArray, TaskStats

Signal = Sequence[float] | FloatArray
OPTIMIZERS = [GradientDescent, Adam, AdamW]
SIGNALS = st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=3, max_size=3)
UPDATES = st.lists(st.tuples(SIGNALS, SIGNALS), min_size=1, max_size=8)
DISPARITIES = st.fixed_dictionaries(
    {
        "tolerance": st.sampled_from([0.0, 0.05, 0.2]),
        "strength": st.sampled_from([0.0, 0.5, 2.0, 50.0]),
        "floor": st.sampled_from([0.01, 0.25, 1.0]),
    }
)
STANDINGS = st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=1, max_size=6)


def stats(rewards: Signal, improvements: Signal | None = None) -> TaskStats:
    zeros = np.zeros(len(rewards))
    return TaskStats(np.array(rewards), zeros if improvements is None else np.array(improvements), zeros)


def settled(optimizer: LogitOptimizer, signal: Signal, updates: int, *, reward_coef: float = 1) -> FloatArray:
    """z after many updates with one constant signal."""
    weights = ImprovementAwareWeights(len(signal), reward_coef=reward_coef, optimizer=optimizer)
    for _ in range(updates):
        weights.update(stats(signal))
    return weights.probabilities


# Laws


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@given(updates=UPDATES, lr=st.sampled_from([0.025, 1.0, 1000.0]))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_weights_stay_on_the_simplex(
    optimizer: Callable[..., LogitOptimizer], updates: list[tuple[list[float], list[float]]], lr: float
) -> None:
    weights = ImprovementAwareWeights(3, optimizer=optimizer(lr))
    for rewards, improvements in updates:
        weights.update(stats(rewards, improvements))
        z = weights.probabilities
        assert z.shape == (3,)
        assert (z >= 0).all()
        assert z.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@given(updates=UPDATES, names=st.permutations(range(3)))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_relabelling_tasks_permutes_the_weights(
    optimizer: Callable[[], LogitOptimizer], updates: list[tuple[list[float], list[float]]], names: list[int]
) -> None:
    """Up to the order of a sum; tolerance 1e-5 because Adam blows up rounding of a gradient that is 0."""
    one, other = (ImprovementAwareWeights(3, optimizer=optimizer()) for _ in range(2))
    for rewards, improvements in updates:
        one.update(stats(rewards, improvements))
        other.update(stats([rewards[k] for k in names], [improvements[k] for k in names]))
    np.testing.assert_allclose(one.probabilities[names], other.probabilities, atol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@given(updates=UPDATES, shift=st.floats(-3, 3))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_a_constant_added_to_every_signal_changes_nothing(
    optimizer: Callable[[], LogitOptimizer], updates: list[tuple[list[float], list[float]]], shift: float
) -> None:
    one, other = (ImprovementAwareWeights(3, optimizer=optimizer()) for _ in range(2))
    for rewards, improvements in updates:
        one.update(stats(rewards, improvements))
        other.update(stats([reward + shift for reward in rewards], improvements))
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@given(signal=SIGNALS.filter(lambda s: min(abs(s[0] - s[1]), abs(s[1] - s[2]), abs(s[0] - s[2])) > 0.02))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_the_task_that_is_most_behind_gains_weight_and_the_one_most_ahead_loses_it(
    optimizer: Callable[[], LogitOptimizer], signal: list[float]
) -> None:
    z = settled(optimizer(), signal, 1)
    assert z[np.argmin(signal)] > 1 / 3 > z[np.argmax(signal)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@given(value=st.floats(0, 1), improvement=st.floats(-1, 1))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_weights_do_not_move_when_all_signals_are_equal(
    optimizer: Callable[[], LogitOptimizer], value: float, improvement: float
) -> None:
    weights = ImprovementAwareWeights(3, optimizer=optimizer())
    for _ in range(5):
        weights.update(stats([value] * 3, [improvement] * 3))
    np.testing.assert_allclose(weights.probabilities, 1 / 3, atol=1e-6)


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=6), st.floats(-100, 100))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_softmax_is_on_the_simplex_and_ignores_a_shift(logits: list[float], shift: float) -> None:
    z = softmax(np.array(logits))
    assert z.sum() == pytest.approx(1)
    np.testing.assert_allclose(softmax(np.array(logits) + shift), z, atol=1e-9)


# Subroutine 1


def test_one_step_by_hand() -> None:
    """s = I + λ J = (.05 + .1, .0 + .4); z = (.5, .5); g = z (s - .275); ξ = -β g."""
    weights = ImprovementAwareWeights(2, reward_coef=0.5, optimizer=GradientDescent(0.1))
    weights.update(stats([0.2, 0.8], [0.05, 0.0]))
    np.testing.assert_allclose(weights.logits, [0.1 * 0.5 * 0.125, -0.1 * 0.5 * 0.125])


def test_the_gradient_is_that_of_the_weighted_signal() -> None:
    """g is the derivative of Σ softmax(ξ)_k s_k, here by central differences."""
    weights = ImprovementAwareWeights(3, reward_coef=1, optimizer=GradientDescent(1.0))
    weights.logits = np.array([0.4, -0.3, 0.1])
    signal, start = np.array([0.2, 0.9, 0.5]), weights.logits
    weights.update(stats(signal.tolist()))
    numerical = [(softmax(start + e) - softmax(start - e)) @ signal / 2e-6 for e in np.eye(3) * 1e-6]
    np.testing.assert_allclose(start - weights.logits, numerical, atol=1e-8)


@pytest.mark.parametrize("sign", [1, -1])
def test_improvements_are_clipped(sign: int) -> None:
    large, at_the_bound = (ImprovementAwareWeights(2, improvement_clip=0.1) for _ in range(2))
    large.update(stats([0.5, 0.5], [sign * 7.0, 0.0]))
    at_the_bound.update(stats([0.5, 0.5], [sign * 0.1, 0.0]))
    np.testing.assert_array_equal(large.probabilities, at_the_bound.probabilities)
    assert large.probabilities[0] != 0.5


def test_rewards_are_not_clipped() -> None:
    assert settled(GradientDescent(), [0.0, 1.0], 1)[0] > settled(GradientDescent(), [0.0, 0.2], 1)[0]


@pytest.mark.parametrize(("scale", "z"), [(0.1, (0.37, 0.33, 0.30)), (1.0, (0.69, 0.20, 0.12))])
def test_gradient_descent_moves_in_proportion_to_the_gap(scale: float, z: Sequence[float]) -> None:
    """Signal (.2, .5, .8) c, 400 updates at .025; tolerance .006."""
    np.testing.assert_allclose(settled(GradientDescent(0.025), np.array([0.2, 0.5, 0.8]) * scale, 400), z, atol=0.006)


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0, 10.0])
def test_adam_collapses_on_the_worst_task_whatever_the_size_of_the_gap(scale: float) -> None:
    """Signal (.2, .5, .8) c, 400 updates at .025, no decay; tolerance .001."""
    z = settled(Adam(0.025, l2=0.0), np.array([0.2, 0.5, 0.8]) * scale, 400)
    np.testing.assert_allclose(z, [0.994, 0.002, 0.003], atol=0.001)


def test_coupled_decay_alone_keeps_a_persistent_gap_from_collapsing_the_weights() -> None:
    """Decay 1e-2, 2880 updates, J = (.2, .5, .8) with λ = .2 as in the released code; tolerance .006."""
    signal = [0.2, 0.5, 0.8]
    coupled = settled(Adam(0.025, l2=1e-2), signal, 2880, reward_coef=0.2)
    decoupled = settled(AdamW(0.025, l2=1e-2), signal, 2880, reward_coef=0.2)
    np.testing.assert_allclose(coupled, [0.80, 0.12, 0.08], atol=0.006)
    np.testing.assert_allclose(decoupled, [0.999, 0.0, 0.0], atol=0.001)


# The average and how far tasks may fall behind it


def balanced(rewards: Signal, **settings: float) -> FloatArray:
    """z after one update."""
    weights = DisparityWeights(len(rewards), **settings)
    weights.update(stats(rewards))
    return weights.probabilities


def aim(rewards: FloatArray, tolerance: float, strength: float) -> float:
    """F = J̄ - κ/2 Σ max(J̄ - ε - J_k, 0)²."""
    behind = np.maximum(rewards.mean() - tolerance - rewards, 0)
    return float(rewards.mean() - strength / 2 * (behind**2).sum())


@given(STANDINGS, DISPARITIES)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_disparity_weights_are_on_the_simplex_and_every_task_has_its_share_of_the_floor(
    rewards: list[float], options: dict[str, float]
) -> None:
    z = balanced(rewards, **options)
    assert z.shape == (len(rewards),)
    assert z.sum() == pytest.approx(1, abs=1e-12)
    assert z.min() >= options["floor"] / len(rewards) - 1e-12


@given(st.permutations(range(6)), STANDINGS, DISPARITIES)
@settings(max_examples=80, derandomize=True, deadline=None)
def test_relabelling_tasks_permutes_disparity_weights(
    order: list[int], rewards: list[float], options: dict[str, float]
) -> None:
    names = [k for k in order if k < len(rewards)]
    z = balanced(rewards, **options)
    np.testing.assert_allclose(z[names], balanced([rewards[k] for k in names], **options), atol=1e-9)


@given(STANDINGS, DISPARITIES, st.floats(-3, 3))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_a_constant_added_to_every_reward_leaves_disparity_weights(
    rewards: list[float], options: dict[str, float], shift: float
) -> None:
    shifted = [reward + shift for reward in rewards]
    np.testing.assert_allclose(balanced(shifted, **options), balanced(rewards, **options), atol=1e-9)


@given(STANDINGS, st.sampled_from([0.0, 0.05, 0.2]), st.floats(0.1, 4))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_disparity_weights_are_the_gradient_of_what_they_aim_at(
    rewards: list[float], tolerance: float, strength: float
) -> None:
    """By central differences of 1e-5, error of order κ 1e-5 at a kink; where the floor does not bind."""
    standing, floor = np.array(rewards), 0.05
    assume(strength * np.maximum(standing.mean() - tolerance - standing, 0).sum() < 1 - floor)
    moves = np.eye(len(rewards)) * 1e-5
    numerical = [
        (aim(standing + e, tolerance, strength) - aim(standing - e, tolerance, strength)) / 2e-5 for e in moves
    ]
    z = balanced(rewards, tolerance=tolerance, strength=strength, floor=floor)
    np.testing.assert_allclose(z, numerical, atol=1e-4)


def test_disparity_weights_by_hand() -> None:
    """Average .5, tolerance .1: v = (0, 0, .3), κ v = .6; a strength of 10 wants 3 and is held at 1 - .25."""
    rewards = [0.9, 0.5, 0.1]
    np.testing.assert_allclose(balanced(rewards, tolerance=0.1, strength=2.0), [0.4 / 3, 0.4 / 3, 0.4 / 3 + 0.6])
    np.testing.assert_allclose(balanced(rewards, tolerance=0.1, strength=10.0), [0.25 / 3, 0.25 / 3, 0.25 / 3 + 0.75])


def test_a_floor_that_binds_leaves_the_ratio_of_what_moves_to_the_tasks() -> None:
    """v = (0, .1, .2) of the average .5, and so does the rest share 1 - .4 = .6 as 1 to 2."""
    z = balanced([0.8, 0.4, 0.3], strength=100.0, floor=0.4)
    np.testing.assert_allclose(z, [0.4 / 3, 0.4 / 3 + 0.2, 0.4 / 3 + 0.4])


@given(st.lists(st.floats(0.45, 0.55), min_size=1, max_size=6), st.sampled_from([0.5, 50.0]))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_weights_are_uniform_where_no_task_is_further_behind_than_is_tolerated(
    rewards: list[float], strength: float
) -> None:
    z = balanced(rewards, tolerance=0.11, strength=strength)
    np.testing.assert_array_equal(z, np.full(len(rewards), 1 / len(rewards)))


def test_a_persistent_gap_leaves_disparity_weights_where_they_are_and_a_closed_one_leaves_no_trace() -> None:
    weights = DisparityWeights(3, tolerance=0.05, strength=1.0)
    weights.update(stats([0.2, 0.5, 0.8]))
    first = weights.probabilities
    np.testing.assert_allclose(first, [0.5, 0.25, 0.25])
    for _ in range(1000):
        weights.update(stats([0.2, 0.5, 0.8]))
    np.testing.assert_array_equal(weights.probabilities, first)
    weights.update(stats([0.8, 0.8, 0.8]))
    np.testing.assert_array_equal(weights.probabilities, np.full(3, 1 / 3))


def test_the_further_a_task_is_behind_the_more_weight_it_has() -> None:
    z = [balanced([reward, 0.6, 0.9], strength=1.0)[0] for reward in (0.5, 0.4, 0.2, 0.0)]
    assert z == sorted(z)
    assert 1 / 3 < z[0] < z[-1]


def test_disparity_weights_look_at_rewards_alone() -> None:
    weights = DisparityWeights(2)
    weights.update(TaskStats(np.array([0.2, 0.4]), np.array([9.0, np.nan]), np.full(2, np.nan)))
    np.testing.assert_array_equal(weights.probabilities, balanced([0.2, 0.4]))


def test_restored_disparity_weights_are_the_same() -> None:
    weights, restored = DisparityWeights(3), DisparityWeights(3)
    weights.update(stats([0.2, 0.5, 0.8]))
    restored.load_state_dict(json.loads(json.dumps(weights.state_dict())))
    assert restored.probabilities[0] > 1 / 3
    np.testing.assert_array_equal(restored.probabilities, weights.probabilities)
    assert restored.state_dict() == weights.state_dict()


def test_a_solved_task_leaves_its_even_share_to_the_others_but_for_a_tenth() -> None:
    """κ v wants more than there is above the floor: .75 go to the last task, and .25 to all as .1 : 1 : 1."""
    z = balanced([0.96, 0.7, 0.2], strength=50.0, tolerance=0.3, solved=0.95)
    np.testing.assert_allclose(z, [0.25 / 21, 0.25 * 10 / 21, 0.25 * 10 / 21 + 0.75])


@given(STANDINGS, st.sampled_from([0.3, 0.7, 0.95]), st.permutations(range(6)))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_weights_with_a_ceiling_are_on_the_simplex_follow_a_relabelling_and_give_solved_tasks_least(
    rewards: list[float], solved: float, order: list[int]
) -> None:
    z = balanced(rewards, solved=solved)
    names = [k for k in order if k < len(rewards)]
    np.testing.assert_allclose(z[names], balanced([rewards[k] for k in names], solved=solved), atol=1e-9)
    assert z.sum() == pytest.approx(1, abs=1e-12)
    is_solved = np.array(rewards) >= solved
    if is_solved.any() and not is_solved.all():
        assert 0 < z[is_solved].max() < 0.11 * z[~is_solved].min()


def test_where_all_tasks_are_solved_they_are_even_again() -> None:
    np.testing.assert_allclose(balanced([0.96, 0.99, 0.97], solved=0.95), np.full(3, 1 / 3))


def test_a_solved_task_is_watched_while_it_is_absent_or_unknown_and_returns_when_it_falls() -> None:
    weights = DisparityWeights(2, solved=0.9)
    weights.update(stats([0.95, 0.85]))
    watched = weights.probabilities
    assert watched[0] < 0.1
    weights.update(stats([np.nan, 0.85]))  # its scorer failed
    assert weights.probabilities[0] < 0.1
    restored = DisparityWeights(2, solved=0.9)
    restored.load_state_dict(json.loads(json.dumps(weights.state_dict())))
    np.testing.assert_array_equal(restored.probabilities, weights.probabilities)
    weights.update(stats([0.85, 0.85]))
    np.testing.assert_allclose(weights.probabilities, [0.5, 0.5])


@pytest.mark.parametrize("solved", [0.0, -1.0, float("nan"), float("inf")])
def test_a_ceiling_that_is_none_is_refused(solved: float) -> None:
    with pytest.raises(ValueError, match=f"solved must be above 0.*, got {solved}"):
        DisparityWeights(3, solved=solved)


@pytest.mark.parametrize("pulls", [[0.1, 0.2], [0.1, float("nan"), 0.0]])
def test_a_state_of_disparity_weights_that_is_not_k_finite_numbers_is_refused(pulls: list[float]) -> None:
    with pytest.raises(ValueError, match=r"DisparityWeights.pulls as finite numbers of shape \(3,\), got \[0.1, "):
        DisparityWeights(3).load_state_dict({**DisparityWeights(3).state_dict(), "pulls": pulls})


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["tolerance", "strength"])
def test_a_tolerance_or_strength_that_means_nothing_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0.*, got {value}"):
        DisparityWeights(3, **{name: value})


@pytest.mark.parametrize("floor", [0.0, -0.1, 1.1, float("nan")])
def test_a_floor_that_is_no_share_is_refused(floor: float) -> None:
    with pytest.raises(ValueError, match=f"floor must be above 0 and at most 1, got {floor}"):
        DisparityWeights(3, floor=floor)


# State and misuse


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_restored_weights_move_on_bit_for_bit(optimizer: Callable[[], LogitOptimizer]) -> None:
    rng = np.random.default_rng(0)
    weights, restored = (ImprovementAwareWeights(3, optimizer=optimizer()) for _ in range(2))
    for _ in range(4):
        weights.update(stats(rng.random(3).tolist(), rng.normal(0, 0.1, 3).tolist()))
    restored.load_state_dict(json.loads(json.dumps(weights.state_dict())))
    for _ in range(4):
        signal = stats(rng.random(3).tolist())
        weights.update(signal)
        restored.update(signal)
    np.testing.assert_array_equal(weights.probabilities, restored.probabilities)
    assert weights.state_dict() == restored.state_dict()


def test_two_rules_built_by_default_share_no_optimizer() -> None:
    one, other = ImprovementAwareWeights(2), ImprovementAwareWeights(2)
    one.update(stats([0.0, 1.0]))
    other.update(stats([0.0, 1.0]))
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_uniform_weights_learn_nothing() -> None:
    weights = UniformWeights(4)
    weights.update(stats([0.0, 1.0, 1.0, 1.0]))
    weights.load_state_dict(weights.state_dict())
    np.testing.assert_array_equal(weights.probabilities, [0.25] * 4)


def test_a_caller_cannot_change_weights_through_what_it_was_given() -> None:
    for weights in (UniformWeights(2), ImprovementAwareWeights(2), DisparityWeights(2)):
        weights.probabilities[0] = 9.0
        np.testing.assert_array_equal(weights.probabilities, [0.5, 0.5])


def test_the_state_of_another_number_of_tasks_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"ImprovementAwareWeights.logits as finite numbers of shape \(3,\), got \[0.0, 0.0\]"
    ):
        ImprovementAwareWeights(3).load_state_dict(ImprovementAwareWeights(2).state_dict())


@pytest.mark.parametrize("rewards", [[0.1, -np.inf, 0.3], [0.1, np.inf, 0.3], [0.1, 0.2]])
@pytest.mark.parametrize("rule", [ImprovementAwareWeights, DisparityWeights])
def test_signals_that_are_not_k_finite_numbers_are_refused_and_change_nothing(
    rule: Callable[[int], TaskWeights], rewards: list[float]
) -> None:
    weights = rule(3)
    with pytest.raises(ValueError, match="rewards must be 3 finite numbers, got"):
        weights.update(stats(rewards))
    np.testing.assert_array_equal(weights.probabilities, np.full(3, 1 / 3))


def test_a_signal_that_is_in_order_is_handed_back_and_another_is_refused_by_its_name() -> None:
    signal = np.array([0.1, -2.0])
    assert checked_signal("pulls", signal, 2) is signal
    with pytest.raises(ValueError, match=r"pulls must be 3 finite numbers, got \[ 0.1 -2. \]"):
        checked_signal("pulls", signal, 3)


@pytest.mark.parametrize("rule", [UniformWeights, ImprovementAwareWeights, DisparityWeights])
def test_at_least_one_task_is_needed(rule: Callable[[int], TaskWeights]) -> None:
    with pytest.raises(ValueError, match="num_tasks must be at least 1, got 0"):
        rule(0)
    np.testing.assert_array_equal(rule(1).probabilities, [1.0])


@pytest.mark.parametrize("clip", [0.0, -0.1, float("nan")])
def test_a_clip_that_is_not_positive_is_refused(clip: Any) -> None:
    with pytest.raises(ValueError, match="improvement_clip must be above 0, got"):
        ImprovementAwareWeights(3, improvement_clip=clip)


def test_a_reward_may_not_count_against_its_task() -> None:
    with pytest.raises(ValueError, match="reward_coef must be"):
        ImprovementAwareWeights(3, reward_coef=-0.5)


@pytest.mark.parametrize("rule", [ImprovementAwareWeights, DisparityWeights, RegularizedWeights])
@given(rewards=st.lists(st.floats(0, 1) | st.just(np.nan), min_size=4, max_size=4), updates=st.integers(1, 5))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_a_task_of_unknown_reward_neither_gains_nor_is_counted(
    rule: Callable[[int], TaskWeights], rewards: list[float], updates: int
) -> None:
    weights = rule(4)
    known = ~np.isnan(rewards)
    for _ in range(updates):
        weights.update(stats(rewards))
    z = weights.probabilities
    assert z.sum() == pytest.approx(1)
    assert (z[~known] <= 1 / 4 + 1e-12).all()


def test_tasks_of_known_reward_move_as_if_the_others_had_their_average() -> None:
    """z = (.5, .25, .25), J = (.2, .8): the average of the known is .3 / .75 = .4, g = (-.1, .1)."""
    weights = ImprovementAwareWeights(3, reward_coef=1, optimizer=GradientDescent(1.0))
    weights.logits = np.log([0.5, 0.25, 0.25])
    weights.update(stats([0.2, 0.8, np.nan]))
    z = weights.probabilities
    assert z[2] == pytest.approx(0.25)
    assert z[0] / z[1] == pytest.approx(2 * np.exp(0.2))
    np.testing.assert_allclose(balanced([0.9, 0.1, np.nan], strength=1.0), [0.2, 0.6, 0.2])


def test_an_unknown_reward_leaves_the_moments_of_its_task_where_the_average_does() -> None:
    unknown, average = ImprovementAwareWeights(3), ImprovementAwareWeights(3)
    unknown.update(stats([0.2, 0.8, np.nan]))
    average.update(stats([0.2, 0.8, 0.5]))
    for moment in ("mean", "square"):
        moments = [weights.optimizer.state_dict()[moment] for weights in (unknown, average)]
        np.testing.assert_allclose(*moments, atol=1e-15)


def test_weights_far_beyond_each_other_are_held_without_overflow() -> None:
    weights = ImprovementAwareWeights(3, optimizer=GradientDescent())
    weights.logits = np.array([0.0, 2000.0, 0.0])
    weights.update(stats([0.2, 0.8, np.nan]))
    np.testing.assert_array_equal(weights.probabilities, [0.0, 1.0, 0.0])

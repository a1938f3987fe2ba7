"""Subroutine 2, the bandits SEC and DUMP, GDRO, and one task after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.logit_optimizers import Adam, GradientDescent
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights, UniformWeights, softmax
from mtgrpo_env.task_weights_baselines import (
    ForgettingSelfEvolvingWeights,
    RegularizedWeights,
    SelfEvolvingWeights,
    SequentialWeights,
)
from mtgrpo_env.task_weights_literature import DUMPWeights, GDROWeights
from mtgrpo_env.types import FloatArray, TaskStats

Signal = Sequence[float] | FloatArray
LEARNED: list[Callable[[int], TaskWeights]] = [
    RegularizedWeights,
    SelfEvolvingWeights,
    ForgettingSelfEvolvingWeights,
    DUMPWeights,
    GDROWeights,
]
BANDITS = [SelfEvolvingWeights, ForgettingSelfEvolvingWeights]
SIGNALS = st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=3, max_size=3)


def stats(rewards: Signal, pay: Signal | None = None, improvements: Signal | None = None) -> TaskStats:
    """The same signal as reward and as pay, unless said otherwise; eight rollouts of each task that is present."""
    zeros = np.zeros(len(rewards))
    improved = zeros if improvements is None else np.array(improvements)
    pays = np.array(rewards if pay is None else pay)
    return TaskStats(np.array(rewards), improved, pays, np.where(np.isnan(pays), 0, 8))


def settled(weights: TaskWeights, signal: Signal, updates: int) -> FloatArray:
    """z after many updates with one constant signal."""
    for _ in range(updates):
        weights.update(stats(signal))
    return weights.probabilities


# Laws of all


RULES = [
    *LEARNED,
    ImprovementAwareWeights,
    UniformWeights,
    DisparityWeights,
    lambda k: SequentialWeights([range(k)], num_steps=9),
]


@pytest.mark.parametrize("rule", RULES)
def test_only_rules_that_say_so_look_at_improvements(rule: Callable[[int], TaskWeights]) -> None:
    weights, others = rule(3), rule(3)
    weights.update(stats([0.2, 0.5, 0.8]))
    others.update(stats([0.2, 0.5, 0.8], improvements=[0.1, 0.0, -0.1]))
    assert others.uses_improvements != np.array_equal(weights.probabilities, others.probabilities)


@pytest.mark.parametrize("rule", LEARNED)
@given(signals=st.lists(SIGNALS, min_size=1, max_size=6), names=st.permutations(range(3)))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_weights_stay_on_the_simplex_and_follow_a_relabelling(
    rule: Callable[[int], TaskWeights], signals: list[list[float]], names: list[int]
) -> None:
    one, other = rule(3), rule(3)
    for signal in signals:
        one.update(stats(signal))
        other.update(stats([signal[k] for k in names]))
        assert (one.probabilities >= 0).all()
        assert one.probabilities.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(one.probabilities[names], other.probabilities, atol=1e-9)


@pytest.mark.parametrize("rule", LEARNED)
@given(value=st.floats(0, 1), improvements=SIGNALS)
@settings(max_examples=30, derandomize=True, deadline=None)
def test_equal_signals_move_nothing_whatever_the_improvements(
    rule: Callable[[int], TaskWeights], value: float, improvements: list[float]
) -> None:
    weights = rule(3)
    for _ in range(4):
        weights.update(stats([value] * 3, improvements=improvements))
    np.testing.assert_allclose(weights.probabilities, 1 / 3, atol=1e-9)


@pytest.mark.parametrize("rule", [*LEARNED, lambda k: SequentialWeights([[0], [1], [2]], num_steps=6)])
def test_restored_weights_move_on_bit_for_bit(rule: Callable[[int], TaskWeights]) -> None:
    rng = np.random.default_rng(0)
    weights, restored = rule(3), rule(3)
    settled(weights, rng.random(3), 3)
    restored.load_state_dict(json.loads(json.dumps(weights.state_dict())))
    for _ in range(3):
        signal = rng.random(3)
        np.testing.assert_array_equal(settled(weights, signal, 1), settled(restored, signal, 1))
    assert weights.state_dict() == restored.state_dict()


@pytest.mark.parametrize("rule", LEARNED)
def test_misuse_is_refused(rule: Callable[[int], TaskWeights]) -> None:
    with pytest.raises(ValueError, match="num_tasks must be at least 1, got 0"):
        rule(0)
    with pytest.raises(ValueError, match=r"as finite numbers of shape \(3,\), got \[0.0, 0.0\]"):
        rule(3).load_state_dict(rule(2).state_dict())
    weights = rule(3)
    with pytest.raises(ValueError, match="must be 3"):
        weights.update(stats([np.inf, 0.0, 0.0]))
    with pytest.raises(ValueError, match="must be 3"):
        weights.update(stats([0.0, 0.0]))
    np.testing.assert_array_equal(weights.probabilities, [1 / 3] * 3)


# Subroutine 2


def test_one_step_of_subroutine_2_by_hand() -> None:
    """z = (.5, .5); s = J = (.2, .8); g = z (s - .5) = (-.15, .15); ξ = -.1 g, then ξ - .1 (g' + .5 ξ)."""
    weights = RegularizedWeights(2, optimizer=GradientDescent(0.1, l2=0.5))
    weights.update(stats([0.2, 0.8]))
    first = np.array(weights.state_dict()["logits"])
    np.testing.assert_allclose(first, [0.015, -0.015])
    z = weights.probabilities
    gradient = z * (np.array([0.2, 0.8]) - z @ [0.2, 0.8])
    weights.update(stats([0.2, 0.8]))
    np.testing.assert_allclose(weights.state_dict()["logits"], first - 0.1 * (gradient + 0.5 * first))


@given(signals=st.lists(SIGNALS, min_size=1, max_size=5), coef=st.sampled_from([0.2, 1.0]))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_without_decay_it_is_subroutine_1_without_improvement(signals: list[list[float]], coef: float) -> None:
    one = RegularizedWeights(3, reward_coef=coef, optimizer=GradientDescent(1.0))
    other = ImprovementAwareWeights(3, reward_coef=coef, optimizer=GradientDescent(1.0))
    for signal in signals:
        one.update(stats(signal, improvements=[0.1, -0.1, 0.05]))
        other.update(stats(signal))
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


@given(signal=SIGNALS)
@settings(max_examples=20, derandomize=True, deadline=None)
def test_a_large_decay_keeps_the_weights_uniform(signal: list[float]) -> None:
    """ξ settles at -g/η: |g| ≤ 1/2, so with η = 50 (β η = .5) no logit exceeds .01; tolerance .005 on z."""
    z = settled(RegularizedWeights(3, optimizer=GradientDescent(0.01, l2=50.0)), signal, 100)
    np.testing.assert_allclose(z, 1 / 3, atol=0.005)


def test_the_released_ablation_at_1e_2_is_held_back_by_coupled_decay() -> None:
    """J = (.2, .5, .8), s = .2 J, 2880 updates at .025: z = (.80, .12, .08), tolerance .006; at 1e-5 it collapses."""
    held = RegularizedWeights(3, reward_coef=0.2, optimizer=Adam(0.025, l2=1e-2))
    np.testing.assert_allclose(settled(held, [0.2, 0.5, 0.8], 2880), [0.80, 0.12, 0.08], atol=0.006)
    free = RegularizedWeights(3, reward_coef=0.2, optimizer=Adam(0.025, l2=1e-5))
    assert settled(free, [0.2, 0.5, 0.8], 2880)[0] > 0.98


# SEC


def test_two_steps_of_the_bandit_by_hand() -> None:
    """α = .5: Q = (.4, .2), then (.5 * .4 + .5 * .2, .2) as arm 1 was not played; z = softmax(Q / .2)."""
    weights = SelfEvolvingWeights(2)
    weights.update(stats([0.0, 0.0], [0.8, 0.4]))
    np.testing.assert_allclose(weights.values, [0.4, 0.2])
    weights.update(stats([0.0, 0.0], [0.2, np.nan]))
    np.testing.assert_allclose(weights.values, [0.3, 0.2])
    powers = np.exp([1.5, 1.0])
    np.testing.assert_allclose(weights.probabilities, powers / powers.sum())


def test_a_bandit_of_rate_1_values_an_arm_at_its_last_pay() -> None:
    weights = SelfEvolvingWeights(2, lr=1.0)
    for pay in ([0.8, 0.4], [0.1, 0.7]):
        weights.update(stats([0.0, 0.0], pay))
    np.testing.assert_allclose(weights.values, [0.1, 0.7])


def test_an_arm_that_is_not_played_keeps_its_value_and_in_the_released_code_decays() -> None:
    kept, forgotten = SelfEvolvingWeights(2), ForgettingSelfEvolvingWeights(2)
    for weights in (kept, forgotten):
        settled(weights, [0.8, 0.8], 60)
        for _ in range(60):
            weights.update(stats([0.0, 0.0], [0.8, np.nan]))
    np.testing.assert_allclose(kept.values, [0.8, 0.8], atol=1e-9)
    np.testing.assert_allclose(forgotten.values, [0.8, 0.0], atol=1e-9)


def test_by_default_the_decay_of_subroutine_2_is_the_papers() -> None:
    """β = .025, η = 5e-4; equal rewards have no gradient."""
    weights = RegularizedWeights(2)
    weights.logits = np.array([1.0, -1.0])
    weights.update(stats([0.0, 0.0]))
    np.testing.assert_allclose(weights.logits, np.array([1.0, -1.0]) * (1 - 0.025 * 5e-4), rtol=1e-12)


@pytest.mark.parametrize("bandit", BANDITS)
@given(pay=SIGNALS)
@settings(max_examples=30, derandomize=True, deadline=None)
def test_values_tend_to_a_constant_pay_and_the_temperature_decides_the_rest(
    bandit: Callable[..., SelfEvolvingWeights], pay: list[float]
) -> None:
    weights = bandit(3)
    settled(weights, pay, 60)
    np.testing.assert_allclose(weights.values, pay, atol=1e-9)
    np.testing.assert_allclose(settled(bandit(3, temperature=1e6), pay, 5), 1 / 3, atol=1e-6)
    greedy = settled(bandit(3, temperature=1e-9), pay, 60)
    assert greedy[np.array(pay) == max(pay)].sum() == pytest.approx(1)


@pytest.mark.parametrize("bandit", BANDITS)
@given(pays=st.lists(SIGNALS, min_size=1, max_size=5), shift=st.floats(0, 3))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_a_constant_added_to_every_pay_changes_nothing(
    bandit: Callable[..., SelfEvolvingWeights], pays: list[list[float]], shift: float
) -> None:
    one, other = bandit(3), bandit(3)
    for pay in pays:
        one.update(stats(pay))
        other.update(stats([value + shift for value in pay]))
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "lr must be above 0 and at most 1, got 0"),
        ({"lr": 1.5}, "lr must be above 0 and at most 1, got 1.5"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0"),
    ],
)
def test_numbers_that_make_no_bandit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelfEvolvingWeights(3, **options)


# DUMP


def test_two_steps_of_dump_by_hand() -> None:
    """L + sqrt(2 ln(n + 1) / (n_k + 1)): n = 16 of 8 each, then 24, of which 16 of the first task; τ = .5."""
    weights = DUMPWeights(2, temperature=0.5)
    weights.update(stats([0.0, 0.0], [0.8, 0.4]))
    bonus = np.sqrt(2 * np.log(17) / 9)
    np.testing.assert_allclose(weights.probabilities, softmax((np.array([0.8, 0.4]) + bonus) / 0.5))
    weights.update(stats([0.0, 0.0], [0.2, np.nan]))
    bonuses = np.sqrt(2 * np.log(25) / np.array([17, 9]))
    np.testing.assert_allclose(weights.probabilities, softmax((np.array([0.5, 0.4]) + bonuses) / 0.5))


def test_dump_looks_at_the_rollouts_in_its_window_alone() -> None:
    """20 rollouts are two steps and a half of 8: a quarter of the mean is of the step at .8 that is left in part."""
    weights = DUMPWeights(2, window=20)
    for pay in (0.1, 0.8, 0.5, 0.5):
        weights.update(stats([0.0, 0.0], [pay, 0.0]))
    bonus = np.sqrt(2 * np.log(65) / 33)
    expected = (4 * 0.8 + 16 * 0.5) / 20
    np.testing.assert_allclose(weights.probabilities, softmax((np.array([expected, 0.0]) + bonus) / 0.1))


def test_a_task_that_dump_has_not_played_for_long_is_explored_and_keeps_what_is_known_of_it() -> None:
    weights = DUMPWeights(2)
    weights.update(stats([0.0, 0.0], [0.5, 0.5]))
    for _ in range(30):
        weights.update(stats([0.0, 0.0], [0.5, np.nan]))
    assert weights.probabilities[1] > 0.9
    weights.update(stats([0.0, 0.0], [0.5, 0.5]))
    assert weights.latest[1] == [[8, 0.5], [8, 0.5]]


def test_dump_needs_the_counts_of_rollouts() -> None:
    with pytest.raises(ValueError, match="expected TaskStats with rollouts, got None"):
        DUMPWeights(2).update(TaskStats(np.zeros(2), np.zeros(2), np.zeros(2)))


# GDRO


def test_two_steps_of_gdro_by_hand() -> None:
    """ξ = .5 (1 - J) summed over steps; z is softmax(ξ) times .8 and .1 for each."""
    weights = GDROWeights(2, lr=0.5, exploration=0.2)
    weights.update(stats([0.9, 0.2]))
    weights.update(stats([1.0, 0.4]))
    np.testing.assert_allclose(weights.probabilities, 0.8 * softmax(np.array([0.05, 0.7])) + 0.1)


def test_gdro_ends_on_the_hardest_task_and_leaves_the_others_what_is_explored() -> None:
    z = settled(GDROWeights(3, exploration=0.3), [0.1, 0.5, 0.9], 1000)
    np.testing.assert_allclose(z, [0.8, 0.1, 0.1], atol=1e-6)


@pytest.mark.parametrize("rule", [DUMPWeights, GDROWeights])
def test_a_task_whose_scorer_fails_keeps_its_share(rule: Callable[[int], TaskWeights]) -> None:
    weights = rule(3)
    settled(weights, [0.2, 0.5, 0.9], 5)
    before = weights.probabilities
    for _ in range(5):
        weights.update(stats([np.nan, 0.1, 0.9], [np.nan, 0.1, 0.9]))
    assert weights.probabilities[0] == pytest.approx(before[0])
    assert abs(weights.probabilities[1] - before[1]) > 0.01


# One after the other


@given(order=st.permutations(range(4)), num_steps=st.integers(4, 50))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_every_task_has_an_equal_share_of_the_steps_in_the_order_given(order: list[int], num_steps: int) -> None:
    weights = SequentialWeights([[k] for k in order], num_steps=num_steps)
    trained = []
    for _ in range(num_steps):
        assert weights.probabilities.max() == 1
        trained.append(int(weights.probabilities.argmax()))
        weights.update(stats([0.0] * 4))
    assert list(dict.fromkeys(trained)) == order
    counts = np.bincount(trained, minlength=4)
    assert counts.max() - counts.min() <= 1
    assert weights.probabilities[order[-1]] == 1, "the last task stays"


def test_tasks_of_one_group_are_trained_together() -> None:
    weights = SequentialWeights([[3, 1], [0, 2, 4]], num_steps=2)
    np.testing.assert_allclose(weights.probabilities, [0, 1 / 2, 0, 1 / 2, 0])
    weights.update(stats([0.0] * 5))
    np.testing.assert_allclose(weights.probabilities, [1 / 3, 0, 1 / 3, 0, 1 / 3])


@pytest.mark.parametrize(
    ("groups", "num_steps", "message"),
    [
        ([[0], [0]], 4, "each once"),
        ([[0], [2]], 4, "each once"),
        ([[0, 1], []], 4, "none be empty"),
        ([[0], [1], [2]], 2, "at least the number of groups, 3, got 2"),
        ([], 4, "num_tasks must be at least 1, got 0"),
    ],
)
def test_groups_that_are_no_partition_of_the_tasks_are_refused(
    groups: list[list[int]], num_steps: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SequentialWeights(groups, num_steps=num_steps)

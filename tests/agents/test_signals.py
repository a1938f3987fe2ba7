"""What the weight rules are told: rewards, and improvements of a step or of its minibatches."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from fakes import ScriptedPolicy, guess_suite
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.signals import (
    AverageAccuracy,
    LatestReward,
    RewardEstimate,
    mean_change,
    once_per_minibatch,
    once_per_step,
    summed_change,
)
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.filters import every_group
from mtgrpo_env.rollout import sample_batch
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler
from mtgrpo_env.types import Batch, FloatArray

SHARES = st.lists(st.lists(st.floats(0, 1) | st.just(np.nan), min_size=3, max_size=3), min_size=1, max_size=5)


@pytest.fixture
def batch() -> Batch:
    """Several rounds of one-step groups of two, of three tasks."""
    policy = ScriptedPolicy(lambda observation, task_id, place: place % 2)
    sampler = DynamicSampler(3, 8, seed=0, oversampling=1)
    return sample_batch(guess_suite([0.5, 0.9, 0.2]), policy, sampler, np.full(3, 1 / 3), group_size=2)


def seen(batch: Batch, *, rewards: list[float] | None = None, rounds: list[list[float]] | None = None) -> Batch:
    """The batch with other figures."""
    own = np.array(rewards, dtype=float) if rewards else batch.rewards
    return replace(batch, rewards=own, round_accuracies=np.array(rounds) if rounds else batch.round_accuracies)


def test_the_latest_reward_is_this_steps_or_the_last_known(batch: Batch) -> None:
    estimate = LatestReward(3)
    np.testing.assert_array_equal(estimate.observe(seen(batch, rewards=[0.5, np.nan, 0.25])), [0.5, 0.0, 0.25])
    np.testing.assert_array_equal(estimate.observe(seen(batch, rewards=[np.nan, 0.75, 0.5])), [0.5, 0.75, 0.5])


def test_the_average_accuracy_moves_half_way_in_every_round_from_zero(batch: Batch) -> None:
    estimate = AverageAccuracy(3)
    rounds = [[1.0, np.nan, 0.5], [0.5, np.nan, np.nan]]
    np.testing.assert_allclose(estimate.observe(seen(batch, rounds=rounds)), [0.5, 0.0, 0.25])
    np.testing.assert_allclose(estimate.observe(seen(batch, rounds=[[0.5, 1.0, 1.0]])), [0.5, 0.5, 0.625])


@given(rounds=SHARES)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_an_average_stays_a_share_and_tends_to_a_constant(rounds: list[list[float]]) -> None:
    estimate = AverageAccuracy(3)
    blank = _blank_batch()
    average = estimate.observe(replace(blank, round_accuracies=np.array(rounds)))
    assert ((average >= 0) & (average <= 1)).all()
    constant = replace(blank, round_accuracies=np.full((60, 3), 0.7))
    np.testing.assert_allclose(estimate.observe(constant), 0.7, atol=1e-9)


def _blank_batch() -> Batch:
    zeros, none = np.zeros(3), np.zeros(3, dtype=np.int64)
    return Batch((), np.ones(0), none, none, none, zeros, zeros, zeros, zeros[None], rounds=1, group_size=2)


@pytest.mark.parametrize("make", [LatestReward, AverageAccuracy])
def test_a_restored_estimate_goes_on_as_the_saved_one(make: Callable[[int], RewardEstimate], batch: Batch) -> None:
    estimate, restored = make(3), make(3)
    estimate.observe(batch)
    restored.load_state_dict(json.loads(json.dumps(estimate.state_dict())))
    later = seen(batch, rewards=[0.1, np.nan, 0.3], rounds=[[0.1, np.nan, 0.3]])
    np.testing.assert_array_equal(estimate.observe(later), restored.observe(later))
    assert estimate.state_dict() == restored.state_dict()


def test_an_estimate_that_was_given_out_does_not_change_afterwards(batch: Batch) -> None:
    for estimate in (LatestReward(3), AverageAccuracy(3)):
        first = estimate.observe(batch)
        before = first.copy()
        estimate.observe(seen(batch, rewards=[0.9] * 3, rounds=[[0.9] * 3]))
        np.testing.assert_array_equal(first, before)


def test_a_sum_is_the_mean_times_the_rollouts_of_the_task(batch: Batch) -> None:
    before, after = np.array([0.1, np.nan, 0.0]), np.array([0.3, np.nan, -0.5])
    np.testing.assert_allclose(mean_change(batch, before, after), [0.2, 0.0, -0.5])
    np.testing.assert_allclose(summed_change(batch, before, after), [0.2, 0.0, -0.5] * batch.kept * 2)


def tabular() -> tuple[TabularPolicy, TabularLearner, Batch]:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)
    z = np.array([0.6, 0.4])
    batch = sample_batch(suite, policy, MultinomialSampler(2, 10), z, group_size=6, group_filter=every_group)
    return policy, TabularLearner(policy, lr=4.0, num_minibatches=4), batch


def test_once_per_step_measures_the_whole_batch() -> None:
    _, learner, batch = tabular()
    scalars, improvements = once_per_step(learner, batch)
    assert "gradient_norm" in scalars
    assert len(improvements) == 1
    np.testing.assert_allclose(improvements[0], np.nan_to_num(learner.objectives(batch)), atol=1e-12)


@pytest.mark.parametrize("change", [mean_change, summed_change])
def test_once_per_minibatch_measures_each_on_itself_before_and_after_its_step(
    change: Callable[[Batch, FloatArray, FloatArray], FloatArray],
) -> None:
    """Against a second learner whose minibatches are replayed one at a time."""
    policy, learner, batch = tabular()
    _, improvements = once_per_minibatch(learner, batch, change=change)
    replayed_policy, replayed, _ = tabular()
    order = np.random.default_rng(0).permutation(len(batch.groups))
    expected = []
    for indices in np.array_split(order, 4):
        minibatch = batch.part(indices)
        before = replayed.objectives(minibatch)
        TabularLearner(replayed_policy, lr=4.0, num_minibatches=1).update(minibatch)
        expected.append(change(minibatch, before, replayed.objectives(minibatch)))
    np.testing.assert_allclose(improvements, expected, atol=1e-12)
    np.testing.assert_allclose(policy.logits, replayed_policy.logits, atol=1e-12)


def test_measuring_more_often_trains_no_differently() -> None:
    logits = []
    for improve in (once_per_step, once_per_minibatch, partial(once_per_minibatch, change=summed_change)):
        policy, learner, batch = tabular()
        improve(learner, batch)
        logits.append(policy.logits)
    np.testing.assert_array_equal(logits[0], logits[1])
    np.testing.assert_array_equal(logits[0], logits[2])

"""What the weight rules are told: rewards, and improvements of a step or of its minibatches."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from fakes import ScriptedPolicy, guess_suite
from hypothesis import given, settings
from hypothesis import strategies as st
from mtgrpo_env.agents.signals import (
    AverageAccuracy,
    Improve,
    LatestReward,
    RecentAccuracy,
    RewardEstimate,
    in_passing,
    mean_change,
    on_some_groups,
    once_per_minibatch,
    once_per_step,
    summed_change,
    unmeasured,
)

from mtgrpo_env.agents.base import Objectives, OnMinibatch
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


@pytest.mark.parametrize("make", [LatestReward, AverageAccuracy, RecentAccuracy])
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


EVERY_SIGNAL = (
    once_per_minibatch,
    partial(once_per_minibatch, change=summed_change),
    in_passing,
    on_some_groups,
    unmeasured,
)


@pytest.mark.parametrize("improve", EVERY_SIGNAL)
def test_what_is_measured_changes_nothing_about_the_training(improve: Improve) -> None:
    policy, learner, batch = tabular()
    once_per_step(learner, batch)
    other_policy, other_learner, same_batch = tabular()
    improve(other_learner, same_batch)
    np.testing.assert_array_equal(policy.logits, other_policy.logits)


def test_unmeasured_improvements_are_zero() -> None:
    _, learner, batch = tabular()
    scalars, improvements = unmeasured(learner, batch)
    assert "gradient_norm" in scalars
    np.testing.assert_array_equal(improvements, [[0.0, 0.0]])


def test_on_as_many_groups_as_there_are_the_improvement_is_exact() -> None:
    _, exact = once_per_step(*tabular()[1:])
    _, learner, batch = tabular()
    _, estimated = on_some_groups(learner, batch, groups_per_task=10)
    np.testing.assert_allclose(estimated, exact, atol=1e-12)
    _, learner, batch = tabular()
    _, (first_groups,) = on_some_groups(learner, batch, groups_per_task=1)
    first = [next(i for i, group in enumerate(batch.groups) if group.task_id == k) for k in (0, 1)]
    np.testing.assert_allclose(first_groups, learner.objectives(batch.part(first)), atol=1e-12)


class Drifting:
    """A learner whose objectives rise by .01 and fall by .02 with each of its four steps."""

    def update(self, batch: Batch, on_minibatch: OnMinibatch | None = None) -> dict[str, float]:
        assert on_minibatch is not None
        for j, indices in enumerate(np.array_split(np.arange(len(batch.groups)), 4)):
            part = batch.part(indices)
            sampled = np.where(part.kept > 0, 0.3, np.nan)
            on_minibatch(part, Objectives(sampled, sampled + j * np.array([0.01, -0.02])))
        return {}


def test_a_steady_gain_is_read_off_in_passing() -> None:
    """Four steps of .01 and -.02, whatever tasks the minibatches hold."""
    batch = tabular()[2]
    learner: Any = Drifting()
    _, (improvements,) = in_passing(learner, batch)
    np.testing.assert_allclose(improvements, [0.04, -0.08], atol=1e-12)
    only_first = batch.part(np.flatnonzero(batch.task_ids == 0))
    np.testing.assert_allclose(in_passing(learner, only_first)[1], [[0.04, 0.0]], atol=1e-12)


def test_in_passing_sees_what_the_steps_before_did_for_groups_not_yet_trained_on() -> None:
    """Against a second learner that is stopped before each minibatch."""
    _, learner, batch = tabular()
    _, (found,) = in_passing(learner, batch)
    _, replayed, _ = tabular()
    cross, square = np.zeros(2), np.zeros(2)
    for j, indices in enumerate(np.array_split(np.random.default_rng(0).permutation(len(batch.groups)), 4)):
        minibatch = batch.part(indices)
        cross += j * minibatch.kept * np.nan_to_num(replayed.objectives(minibatch))
        square += j**2 * minibatch.kept
        replayed.num_minibatches = 1
        replayed.update(minibatch)
    np.testing.assert_allclose(found, 4 * cross / square, atol=1e-12)


def test_groups_of_earlier_batches_are_measured_before_the_step_too() -> None:
    """Their ratios are not 1 when the step begins: what they gained before is no improvement of this step."""
    _, learner, batch = tabular()
    once_per_step(learner, batch)
    before = learner.objectives(batch)
    assert np.abs(before).max() > 1e-3
    _, (improvement,) = once_per_step(learner, replace(batch, carried=1))
    np.testing.assert_allclose(improvement, learner.objectives(batch) - before, atol=1e-12)


def test_a_recent_accuracy_follows_rollouts_and_not_batches(batch: Batch) -> None:
    estimate = RecentAccuracy(3, memory=8.0)
    known = replace(batch, generated=np.array([16, 1, 0]), accuracies=np.array([0.5, 0.5, np.nan]))
    estimate.observe(known)
    better = replace(batch, generated=np.array([16, 1, 0]), accuracies=np.array([0.9, 0.9, np.nan]))
    much, little, never = estimate.observe(better)
    assert 0.8 < much < 0.9
    assert 0.5 < little < 0.8
    assert 0.5 < never < 0.9

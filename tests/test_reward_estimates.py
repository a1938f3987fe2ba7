"""What the weight rules see of the rewards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from batches import drawn_batch
from fakes import ScriptedPolicy, guess_suite
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.reward_estimates import AverageAccuracy, LatestReward, RecentAccuracy, RewardEstimate, judged
from mtgrpo_env.samplers import DynamicSampler
from mtgrpo_env.types import Batch

SHARES = st.lists(st.lists(st.floats(0, 1) | st.just(np.nan), min_size=3, max_size=3), min_size=1, max_size=5)


@pytest.fixture
def batch() -> Batch:
    """Several rounds of one-step groups of two, of three tasks."""
    policy = ScriptedPolicy(lambda observation, task_id, place: place % 2)
    sampler = DynamicSampler(3, 8, seed=0, oversampling=1)
    return drawn_batch(guess_suite([0.5, 0.9, 0.2]), policy, sampler, np.full(3, 1 / 3), group_size=2)


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
    return Batch((), np.ones(0), zeros, none, none, none, zeros, zeros, zeros, zeros[None], rounds=1, num_rollouts=0)


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


def test_a_recent_accuracy_follows_rollouts_and_not_batches(batch: Batch) -> None:
    estimate = RecentAccuracy(3, memory=8.0)
    known = replace(batch, generated=np.array([16, 1, 0]), accuracies=np.array([0.5, 0.5, np.nan]))
    estimate.observe(known)
    better = replace(batch, generated=np.array([16, 1, 0]), accuracies=np.array([0.9, 0.9, np.nan]))
    much, little, never = estimate.observe(better)
    assert 0.8 < much < 0.9
    assert 0.5 < little < 0.8
    assert 0.5 < never < 0.9


def test_rollouts_whose_scorer_failed_do_not_count_as_wrong(batch: Batch) -> None:
    right = replace(batch, generated=np.full(3, 16), accuracies=np.full(3, 1.0))
    failed = replace(batch, generated=np.full(3, 16), accuracies=np.full(3, np.nan))
    estimate, undisturbed = RecentAccuracy(3), RecentAccuracy(3)
    undisturbed.observe(right)
    estimate.observe(right)
    np.testing.assert_array_equal(estimate.observe(failed), undisturbed.shares.estimates)


def test_a_reward_is_unknown_until_a_rollout_is_valid_and_while_none_is(batch: Batch) -> None:
    estimates, before = np.array([0.5, 0.0, 0.25]), np.array([0.5, np.nan, np.nan])
    now = replace(batch, generated=np.array([4, 4, 0]), rewards=np.array([np.nan, 0.0, np.nan]))
    np.testing.assert_array_equal(judged(estimates, now, before=before), [np.nan, 0.0, np.nan])


def test_the_reward_of_a_task_is_unknown_after_one_group_whose_scorer_failed(batch: Batch) -> None:
    now = replace(batch, generated=np.array([1, 0, 0]), rewards=np.full(3, np.nan))
    np.testing.assert_array_equal(judged(np.full(3, 0.5), now, before=np.full(3, 0.5)), [np.nan, 0.5, 0.5])


def test_a_recent_accuracy_is_drawn_towards_that_of_all_tasks_by_one_group(batch: Batch) -> None:
    """All tasks: (4 + .5) / (8 + 1) = .5; the first (4 + .5) / (4 + 1), the second .5 / 5, the third .5."""
    seen_once = replace(batch, generated=np.array([4, 4, 0]), accuracies=np.array([1.0, 0.0, np.nan]))
    np.testing.assert_allclose(RecentAccuracy(3).observe(seen_once), [0.9, 0.1, 0.5])


@pytest.mark.parametrize("decay", [-0.5, 1.5])
def test_a_decay_that_is_no_share_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="decay must be"):
        AverageAccuracy(3, decay=decay)

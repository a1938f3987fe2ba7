"""The signals that observe an update: improvements of a step or of its minibatches, exact and estimated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from batches import drawn_batch
from fakes import ScriptedPolicy, guess_suite

from mtgrpo_env.agents.base import Objectives, OnMinibatch
from mtgrpo_env.agents.improvement import (
    ImprovementSignal,
    MakeImprovementSignal,
    MinibatchImprovement,
    NoImprovement,
    SampledImprovement,
    StepImprovement,
    TrendImprovement,
    improvement_for,
    mean_change,
    summed_change,
)
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.filters import every_group
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights
from mtgrpo_env.types import Batch, FloatArray


@pytest.fixture
def batch() -> Batch:
    """Several rounds of one-step groups of two, of three tasks."""
    policy = ScriptedPolicy(lambda observation, task_id, place: place % 2)
    sampler = DynamicSampler(3, 8, seed=0, oversampling=1)
    return drawn_batch(guess_suite([0.5, 0.9, 0.2]), policy, sampler, np.full(3, 1 / 3), group_size=2)


def test_a_sum_is_the_mean_times_the_rollouts_of_the_task(batch: Batch) -> None:
    before, after = np.array([0.1, np.nan, 0.0]), np.array([0.3, np.nan, -0.5])
    np.testing.assert_allclose(mean_change(batch, before, after), [0.2, 0.0, -0.5])
    np.testing.assert_allclose(summed_change(batch, before, after), [0.2, 0.0, -0.5] * batch.kept * 2)


def tabular() -> tuple[TabularPolicy, TabularLearner, Batch]:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)
    z = np.array([0.6, 0.4])
    batch = drawn_batch(suite, policy, MultinomialSampler(2, 10), z, group_size=6, group_filter=every_group)
    return policy, TabularLearner(policy, lr=4.0, num_minibatches=4), batch


def measured(make: MakeImprovementSignal, learner: Any, batch: Batch) -> tuple[Mapping[str, float], FloatArray]:
    """What an update says of itself, and what a signal saw of it: the lines of `train_step`."""
    signal = make(learner, batch)
    scalars = learner.update(batch, signal.on_minibatch)
    return scalars, signal.end()


def test_the_improvement_of_a_step_is_measured_on_the_whole_batch() -> None:
    _, learner, batch = tabular()
    scalars, improvements = measured(StepImprovement, learner, batch)
    assert "gradient_norm" in scalars
    assert len(improvements) == 1
    np.testing.assert_allclose(improvements[0], np.nan_to_num(learner.objectives(batch)), atol=1e-12)


@pytest.mark.parametrize("change", [mean_change, summed_change])
def test_the_improvement_of_a_minibatch_is_measured_on_itself_before_and_after_its_step(
    change: Callable[[Batch, FloatArray, FloatArray], FloatArray],
) -> None:
    """Against a second learner whose minibatches are replayed one at a time."""
    policy, learner, batch = tabular()
    _, improvements = measured(partial(MinibatchImprovement, change=change), learner, batch)
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
    NoImprovement,
    ImprovementSignal,
    StepImprovement,
    partial(StepImprovement, change=summed_change),
    MinibatchImprovement,
    partial(MinibatchImprovement, change=summed_change),
    SampledImprovement,
    TrendImprovement,
)


@pytest.mark.parametrize("make", EVERY_SIGNAL)
def test_a_signal_observes_and_never_trains(make: MakeImprovementSignal) -> None:
    """Parameters and generator are to the bit those of an update that nothing looks at."""
    policy, learner, batch = tabular()
    learner.update(batch)
    other_policy, other_learner, same_batch = tabular()
    untrained = other_policy.logits.copy()
    signal = make(other_learner, same_batch)
    np.testing.assert_array_equal(other_policy.logits, untrained)
    other_learner.update(same_batch, signal.on_minibatch)
    after_update = other_policy.logits.copy()
    signal.end()
    np.testing.assert_array_equal(policy.logits, after_update)
    np.testing.assert_array_equal(policy.logits, other_policy.logits)
    assert learner.state_dict() == other_learner.state_dict()


def test_a_rule_that_looks_at_no_improvements_has_none_measured() -> None:
    assert improvement_for(DisparityWeights(2)) is NoImprovement
    assert improvement_for(ImprovementAwareWeights(2)) is StepImprovement


def test_unmeasured_improvements_are_zero() -> None:
    _, learner, batch = tabular()
    scalars, improvements = measured(NoImprovement, learner, batch)
    assert "gradient_norm" in scalars
    np.testing.assert_array_equal(improvements, [[0.0, 0.0]])


def test_on_as_many_groups_as_there_are_the_improvement_is_exact() -> None:
    _, exact = measured(StepImprovement, *tabular()[1:])
    _, learner, batch = tabular()
    _, estimated = measured(partial(SampledImprovement, groups_per_task=10), learner, batch)
    np.testing.assert_allclose(estimated, exact, atol=1e-12)
    _, learner, batch = tabular()
    _, (first_groups,) = measured(partial(SampledImprovement, groups_per_task=1), learner, batch)
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


def test_a_steady_gain_is_the_trend() -> None:
    """Four steps of .01 and -.02, whatever tasks the minibatches hold."""
    batch = tabular()[2]
    learner: Any = Drifting()
    _, (improvements,) = measured(TrendImprovement, learner, batch)
    np.testing.assert_allclose(improvements, [0.04, -0.08], atol=1e-12)
    only_first = batch.part(np.flatnonzero(batch.task_ids == 0))
    np.testing.assert_allclose(measured(TrendImprovement, learner, only_first)[1], [[0.04, 0.0]], atol=1e-12)


def test_the_trend_is_of_what_the_steps_before_did_for_groups_not_yet_trained_on() -> None:
    """Against a second learner that is stopped before each minibatch."""
    _, learner, batch = tabular()
    _, (found,) = measured(TrendImprovement, learner, batch)
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
    learner.update(batch)
    before = learner.objectives(batch)
    assert np.abs(before).max() > 1e-3
    _, (improvement,) = measured(StepImprovement, learner, replace(batch, replayed=1))
    np.testing.assert_allclose(improvement, learner.objectives(batch) - before, atol=1e-12)

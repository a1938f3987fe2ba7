from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from batches import drawn_batch

from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy, _flatten
from mtgrpo_env.envs.toy import LockEnv
from mtgrpo_env.filters import every_group
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.types import Batch, Group, Problem, Rollout, Step


def trained_a_little(seed: int = 0) -> tuple[TabularPolicy, TabularLearner, Batch]:
    """A policy that has moved away from the one that sampled the batch, locks of one and two digits."""
    suite = TaskSuite([Task(f"lock-{n}", partial(LockEnv, n, num_digits=3)) for n in (1, 2)], seed=seed)
    policy = TabularPolicy(2, 16, 3, seed=seed)
    learner = TabularLearner(policy, lr=3.0, num_minibatches=2)
    sampler = MultinomialSampler(2, 8, seed=seed)
    batch = drawn_batch(suite, policy, sampler, np.array([0.5, 0.5]), group_size=6, group_filter=every_group)
    return policy, learner, batch


def gradient_of(learner: TabularLearner, groups: Sequence[Group], weights: np.ndarray) -> np.ndarray:
    steps = _flatten(groups, weights)
    _, slope = learner._surrogate(steps)
    return learner._gradient(steps, slope)


def objective(learner: TabularLearner, batch: Batch) -> float:
    """The clipped objective, sequence-mean, by plain loops."""
    total, count = 0.0, 0
    for group, weight in zip(batch.groups, batch.loss_weights, strict=True):
        spread = group.rewards.std()
        for rollout in group.rollouts:
            advantage = (rollout.reward - group.rewards.mean()) / spread if spread > 0 else 0.0
            terms = []
            for step in rollout.steps:
                row = learner.policy.logits[group.task_id, step.observation]
                log_prob = row[step.action] - np.log(np.exp(row).sum())
                ratio = np.exp(log_prob - step.extras)
                terms.append(min(ratio * advantage, np.clip(ratio, 0.8, 1.28) * advantage))
            total += weight * float(np.mean(terms))
            count += 1
    return total / count


def test_the_gradient_is_the_derivative_of_the_clipped_objective() -> None:
    policy, learner, batch = trained_a_little()
    policy.logits = policy.logits + np.random.default_rng(1).normal(0, 0.5, policy.logits.shape)
    gradient = gradient_of(learner, batch.groups, batch.loss_weights)
    numerical = np.zeros_like(gradient)
    for index in np.ndindex(*gradient.shape):
        values = []
        for sign in (1, -1):
            policy.logits[index] += sign * 1e-6
            values.append(objective(learner, batch))
            policy.logits[index] -= sign * 1e-6
        numerical[index] = (values[0] - values[1]) / 2e-6
    assert np.abs(numerical).max() > 1e-3
    assert np.allclose(gradient, numerical, atol=1e-7)


def test_groups_of_several_sizes_count_alike() -> None:
    _, learner, batch = trained_a_little()
    whole, *others = batch.groups
    groups = [whole, *(replace(group, rollouts=group.rollouts[: 2 + i % 3]) for i, group in enumerate(others))]
    of_each = [gradient_of(learner, [group], np.ones(1)) for group in groups]
    assert np.allclose(gradient_of(learner, groups, np.ones(len(groups))), np.mean(of_each, axis=0))


def test_an_update_raises_the_objective_of_its_own_batch() -> None:
    _, learner, batch = trained_a_little()
    before = learner.objectives(batch)
    learner.update(batch)
    assert np.nanmin(learner.objectives(batch) - before) > 0


def test_the_objective_at_sampling_needs_no_policy_and_is_zero_for_whole_groups() -> None:
    _, learner, batch = trained_a_little()
    assert np.allclose(learner.sampled_objectives(batch), learner.objectives(batch), atol=1e-12)
    assert np.allclose(learner.sampled_objectives(batch), 0, atol=1e-12)


def test_actions_are_drawn_from_the_softmax() -> None:
    """20,000 draws, standard error .0035; tolerance .015."""
    policy = TabularPolicy(1, 1, 3, seed=0)
    policy.logits[0, 0] = np.log([0.5, 0.3, 0.2])
    actions, log_probs = policy.act([0] * 20_000, [0] * 20_000)
    assert np.allclose(np.bincount(actions) / 20_000, [0.5, 0.3, 0.2], atol=0.015)
    assert np.allclose(np.exp(log_probs), np.array([0.5, 0.3, 0.2])[actions])
    assert policy.act([0], [0], deterministic=True)[0] == [0]


def test_a_reseeded_policy_shares_the_table_and_leaves_the_generator_alone() -> None:
    policy = TabularPolicy(1, 4, 3, seed=0)
    state = policy.rng.bit_generator.state
    other = policy.reseeded(5)
    other.act([0, 1, 2], [0, 0, 0])
    assert policy.rng.bit_generator.state == state
    assert other.logits is policy.logits


def test_policy_and_learner_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    policy, learner, batch = trained_a_little()
    learner.update(batch)
    policy.save(tmp_path)
    learner.save(tmp_path)
    again, again_learner, _ = trained_a_little(seed=9)
    again.load(tmp_path)
    again_learner.load(tmp_path)
    learner.update(batch)
    again_learner.update(batch)
    assert np.array_equal(policy.logits, again.logits)
    assert policy.act([0] * 9, [1] * 9) == again.act([0] * 9, [1] * 9)


def test_the_table_of_other_spaces_is_refused(tmp_path: Path) -> None:
    TabularPolicy(2, 16, 3).save(tmp_path)
    with pytest.raises(ValueError, match=r"saved table has shape \(2, 16, 3\), this one \(2, 16, 4\)"):
        TabularPolicy(2, 16, 4).load(tmp_path)


def test_the_objective_of_a_task_is_its_share_of_the_whole() -> None:
    """With weight 1 throughout, the batch's objective is the mean over rollouts of the tasks' own."""
    policy, learner, batch = trained_a_little()
    policy.logits = policy.logits + np.random.default_rng(1).normal(0, 0.5, policy.logits.shape)
    share = batch.kept / batch.kept.sum()
    assert np.isclose(share @ learner.objectives(batch), objective(learner, batch), atol=1e-12)


def test_a_task_that_is_not_in_the_batch_has_no_objective() -> None:
    _, learner, batch = trained_a_little()
    of_task_0 = [i for i, group in enumerate(batch.groups) if group.task_id == 0]
    alone = replace(batch, groups=tuple(batch.groups[i] for i in of_task_0), loss_weights=batch.loss_weights[of_task_0])
    for objectives in (learner.objectives(alone), learner.sampled_objectives(alone)):
        assert np.isnan(objectives).tolist() == [False, True]


def test_a_rollout_whose_scorer_failed_has_no_gradient() -> None:
    _, learner, batch = trained_a_little()
    group = next(group for group in batch.groups if 0 < group.rewards.sum() < group.rewards.size)
    rollouts = (replace(group.rollouts[0], valid=False), *group.rollouts[1:])
    with_failure = gradient_of(learner, [Group(group.problem, rollouts)], np.ones(1))
    without = gradient_of(learner, [Group(group.problem, rollouts[1:])], np.ones(1))
    size = len(rollouts)
    assert np.allclose(with_failure * size, without * (size - 1))


def test_ratios_beyond_the_clip_have_no_gradient_and_those_on_the_other_side_do() -> None:
    """Ratio e^1: an advantage above 0 is clipped, one below 0 is not; ratio e^-1: the other way round."""
    for log_ratio, clipped in ((1.0, [True, False]), (-1.0, [False, True])):
        policy = TabularPolicy(1, 1, 3)
        log_prob = float(policy.log_probs(np.array([0]), np.array([0]))[0, 0])
        steps = [Step(0, 0, reward, log_prob - log_ratio) for reward in (1.0, 0.0)]
        group = Group(Problem(0, 0), tuple(Rollout((step,), step.reward, step.reward == 1) for step in steps))
        _, slope = TabularLearner(policy)._surrogate(_flatten([group], np.ones(1)))
        assert (slope == 0).tolist() == clipped


def test_loss_weights_scale_the_gradient() -> None:
    _, learner, batch = trained_a_little()
    plain = gradient_of(learner, batch.groups, batch.loss_weights)
    assert np.allclose(gradient_of(learner, batch.groups, 2 * batch.loss_weights), 2 * plain)


def test_each_minibatch_is_told_with_the_objectives_it_had_before_its_step() -> None:
    """The first has ratio 1, hence 0; later ones have been moved by the steps before; each step raises its own."""
    _, learner, batch = trained_a_little()
    told: list[tuple[Batch, np.ndarray, np.ndarray]] = []
    learner.update(batch, lambda part, before: told.append((part, before.current, learner.objectives(part))))
    assert sorted(id(g) for part, _, _ in told for g in part.groups) == sorted(id(g) for g in batch.groups)
    assert np.allclose(np.nan_to_num(told[0][1]), 0, atol=1e-12)
    assert np.abs(np.nan_to_num(told[1][1])).max() > 1e-3
    for part, before, after in told:
        assert (np.isnan(before) == (part.kept == 0)).all()
        assert np.nansum((after - before) * part.kept) > 0


def test_actions_are_counted_per_task() -> None:
    _, learner, batch = trained_a_little()
    np.testing.assert_array_equal(learner.action_counts(batch), batch.kept * 6 * [1, 2])
    np.testing.assert_array_equal(learner.action_counts(batch.part([])), [0, 0])


@pytest.mark.parametrize("num_minibatches", [1, 4, 100])
def test_a_batch_may_have_fewer_groups_than_minibatches(num_minibatches: int) -> None:
    _, learner, batch = trained_a_little()
    learner.num_minibatches = num_minibatches
    assert np.isfinite(learner.update(batch)["gradient_norm"])

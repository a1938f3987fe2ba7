"""One network for tasks of different spaces, and GRPO on it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from batches import drawn_batch
from gymnasium import spaces

from mtgrpo_env.agents.base import Objectives
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.mlp import MLPPolicy
from mtgrpo_env.agents.neural.mlp_learner import MLPLearner, _flatten
from mtgrpo_env.agents.neural.spaces import ActionWriter, ObservationReader
from mtgrpo_env.agents.recipes import RECIPES, RunFacts, make_method
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.envs.gymnasium_tasks import control_tasks
from mtgrpo_env.envs.toy import LockEnv
from mtgrpo_env.filters import rewards_differ
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.task_weights import UniformWeights
from mtgrpo_env.types import Batch, FloatArray


class Aim(gym.Env[Any, Any]):
    """Two shots at a place between -2 and 2; the return is minus the distance missed by, ended early by a hit."""

    observation_space = spaces.Box(-2, 2, (1,))
    action_space = spaces.Box(-2, 2, (1,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.target = self.np_random.uniform(-1, 1, size=1).astype(np.float32)
        self.shots = 0
        return self.target, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.shots += 1
        missed = float(abs(action - self.target)[0])
        return self.target, -missed, missed < 0.1 or self.shots == 2, False, {"is_success": missed < 0.1}


def mixed_suite() -> TaskSuite:
    """Discrete in and out, and Boxes in and out."""
    return TaskSuite([Task("lock", partial(LockEnv, 2)), Task("aim", Aim)])


def some_batch(policy: MLPPolicy, probabilities: FloatArray | None = None) -> Batch:
    z = np.array([0.5, 0.5]) if probabilities is None else probabilities
    return drawn_batch(mixed_suite(), policy, MultinomialSampler(2, 12), z, group_size=6, group_filter=rewards_differ)


def trained_a_little(seed: int = 0) -> tuple[MLPPolicy, MLPLearner, Batch]:
    policy = MLPPolicy.for_suite(mixed_suite(), hidden_size=16, seed=seed)
    learner = MLPLearner(policy, lr=3e-3, num_minibatches=2, seed=seed)
    learner.update(some_batch(policy))
    return policy, learner, some_batch(policy)


def one_headed(*writers: ActionWriter) -> MLPPolicy:
    """A policy for tasks with one observation, whose outputs are the biases of the heads."""
    policy = MLPPolicy([ObservationReader.of(spaces.Discrete(1))] * len(writers), writers, hidden_size=4)
    torch.nn.init.zeros_(policy.network.head.weight)
    return policy


def test_indices_are_drawn_from_the_softmax_of_the_outputs_the_task_uses() -> None:
    """20,000 draws, standard error .0035; tolerance .015."""
    policy = one_headed(ActionWriter.of(spaces.Discrete(3, start=5)), ActionWriter.of(spaces.Discrete(9)))
    with torch.no_grad():
        policy.network.head.bias[0, 0, :3] = torch.log(torch.tensor([0.5, 0.3, 0.2]))
        policy.network.head.bias[0, 0, 3:] = 100.0  # outputs of the other task
    actions, choices = policy.act([0] * 20_000, [0] * 20_000)
    shares = np.bincount(np.array(actions) - 5) / 20_000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.015)
    probabilities = np.exp([choice.log_prob for choice in choices[:200]])
    np.testing.assert_allclose(probabilities, np.array([0.5, 0.3, 0.2])[np.array(actions[:200]) - 5], rtol=1e-5)
    assert policy.act([0], [0], deterministic=True)[0] == [5]


def test_numbers_are_drawn_around_the_mean_and_scaled_to_the_box() -> None:
    """20,000 draws of deviation .2, times 10; standard error .014, tolerance .05."""
    policy = one_headed(ActionWriter.of(spaces.Box(-10, 10, (2,))))
    with torch.no_grad():
        policy.network.head.bias[0, 0] = torch.tensor([0.3, -0.1])
        policy.network.log_std.fill_(float(np.log(0.2)))
    actions, choices = policy.act([0] * 20_000, [0] * 20_000)
    np.testing.assert_allclose(np.mean(actions, axis=0), [3, -1], atol=0.05)
    np.testing.assert_allclose(np.std(actions, axis=0), [2, 2], atol=0.05)
    z = (choices[0].chosen - [0.3, -0.1]) / 0.2
    density = np.exp(-0.5 * (z**2).sum()) / (2 * np.pi * 0.2**2)
    assert choices[0].log_prob == pytest.approx(np.log(density), rel=1e-4)
    np.testing.assert_allclose(policy.act([0], [0], deterministic=True)[0][0], [3, -1], rtol=1e-6)


def test_what_a_row_gets_does_not_depend_on_the_rows_beside_it() -> None:
    policy = MLPPolicy.for_suite(mixed_suite(), hidden_size=16)
    batch = some_batch(policy)
    choices = [step.extras for group in batch.groups for rollout in group.rollouts for step in rollout.steps]
    task_ids = [group.task_id for group in batch.groups for rollout in group.rollouts for _ in rollout.steps]
    order = np.random.default_rng(0).permutation(len(choices))
    features = torch.as_tensor(np.stack([choices[i].features for i in order]))
    outputs = policy.network(features, torch.as_tensor([task_ids[i] for i in order]))
    for row, i in enumerate(order[:20]):
        alone = policy.network(torch.as_tensor(choices[i].features[None]), torch.as_tensor([task_ids[i]]))
        torch.testing.assert_close(outputs[row], alone[0])


def test_tasks_share_the_trunk_and_nothing_else() -> None:
    policy = MLPPolicy.for_suite(mixed_suite(), hidden_size=16)
    learner = MLPLearner(policy, num_minibatches=1)
    before = {name: value.clone() for name, value in policy.network.state_dict().items()}
    learner.update(some_batch(policy, np.array([0.0, 1.0])))
    after = policy.network.state_dict()
    assert torch.equal(before["encoder.weight"][0], after["encoder.weight"][0])
    assert not torch.equal(before["encoder.weight"][1], after["encoder.weight"][1])
    assert not torch.equal(before["trunk.weight"], after["trunk.weight"])


def test_an_update_raises_the_objective_of_its_own_batch() -> None:
    _, learner, batch = trained_a_little()
    before = learner.objectives(batch)
    learner.engine.optimizer.param_groups[0]["lr"] = 1e-4
    learner.update(batch)
    assert (learner.objectives(batch) - before > 0).all()


def test_the_objective_at_sampling_needs_no_network_and_is_zero_for_whole_groups() -> None:
    _, learner, batch = trained_a_little()
    np.testing.assert_allclose(learner.sampled_objectives(batch), learner.objectives(batch), atol=1e-5)
    np.testing.assert_allclose(learner.sampled_objectives(batch), 0, atol=1e-6)


def test_the_objective_is_a_mean_over_episodes_of_means_over_their_steps() -> None:
    """Aim's episodes are of one step or two: a mean over steps would be another number."""
    policy, learner, batch = trained_a_little()
    learner.update(batch)
    values: list[list[float]] = [[], []]
    for group in batch.groups:
        advantages = (group.rewards - group.rewards.mean()) / max(group.rewards.std(), 1e-9)
        for rollout, advantage in zip(group.rollouts, advantages, strict=True):
            choices = [step.extras for step in rollout.steps]
            features = torch.as_tensor(np.stack([choice.features for choice in choices]))
            chosen = torch.as_tensor(np.stack([choice.chosen for choice in choices]))
            new = policy.log_probs(features, torch.full((len(choices),), group.task_id), chosen).detach().numpy()
            ratios = np.exp(new - [choice.log_prob for choice in choices])
            clipped = np.clip(ratios, 0.8, 1.28)
            values[group.task_id].append(float(np.minimum(ratios * advantage, clipped * advantage).mean()))
    np.testing.assert_allclose(learner.objectives(batch), [np.mean(v) for v in values], atol=1e-5)


def test_groups_of_several_sizes_count_alike() -> None:
    _, _, batch = trained_a_little()
    groups = tuple(replace(group, rollouts=group.rollouts[: 2 + i % 3]) for i, group in enumerate(batch.groups))
    weights = replace(batch, groups=groups, loss_weights=np.ones(len(groups)))
    shares = _flatten(weights).shares.numpy()
    steps = [sum(len(rollout.steps) for rollout in group.rollouts) for group in groups]
    of_groups = np.add.reduceat(shares, np.cumsum([0, *steps[:-1]]))
    np.testing.assert_allclose(of_groups, 1 / len(groups), rtol=1e-5)


def test_a_task_that_is_not_in_the_batch_has_no_objective_and_no_actions() -> None:
    policy = MLPPolicy.for_suite(mixed_suite(), hidden_size=16)
    learner = MLPLearner(policy)
    batch = some_batch(policy, np.array([1.0, 0.0]))
    for objectives in (learner.objectives(batch), learner.sampled_objectives(batch)):
        assert np.isnan(objectives).tolist() == [False, True]
    assert learner.action_counts(batch).tolist() == [12 * 6 * 2, 0]


def test_the_hook_is_told_each_minibatch_and_its_objectives_before_the_step() -> None:
    _, learner, batch = trained_a_little()
    told: list[tuple[Batch, Objectives]] = []
    learner.update(batch, lambda minibatch, objectives: told.append((minibatch, objectives)))
    assert [len(minibatch.groups) for minibatch, _ in told] == [6, 6]
    first, objectives = told[0]
    np.testing.assert_allclose(objectives.current, learner.sampled_objectives(first), atol=1e-5)
    for minibatch, objectives in told:
        np.testing.assert_allclose(objectives.sampled, learner.sampled_objectives(minibatch), atol=1e-6)


def test_a_loss_weight_of_zero_leaves_the_network_alone() -> None:
    policy, _, batch = trained_a_little()
    before = {name: value.clone() for name, value in policy.network.state_dict().items()}
    learner = MLPLearner(policy)
    learner.update(replace(batch, loss_weights=np.zeros(len(batch.groups))))
    assert all(torch.equal(value, before[name]) for name, value in policy.network.state_dict().items())


def test_a_reseeded_policy_shares_the_network_and_leaves_the_generator_alone() -> None:
    policy = MLPPolicy.for_suite(mixed_suite())
    state = policy.rng.bit_generator.state
    other = policy.reseeded(5)
    other.act([3, np.zeros(1)], [0, 1])
    assert policy.rng.bit_generator.state == state
    assert other.network is policy.network


def test_policy_and_learner_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    policy, learner, batch = trained_a_little()
    policy.save(tmp_path)
    learner.save(tmp_path)
    again, again_learner, _ = trained_a_little(seed=9)
    again.load(tmp_path)
    again_learner.load(tmp_path)
    learner.update(batch)
    again_learner.update(batch)
    torch.testing.assert_close(policy.network.state_dict(), again.network.state_dict(), rtol=0, atol=0)
    assert policy.act([0] * 9, [0] * 9)[0] == again.act([0] * 9, [0] * 9)[0]


def test_the_same_seed_makes_the_same_policy_and_torchs_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    first, second = (MLPPolicy.for_suite(mixed_suite(), seed=3) for _ in range(2))
    torch.testing.assert_close(first.network.state_dict(), second.network.state_dict(), rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


class Switches(LockEnv):
    """A lock whose space no network here reads."""

    def __init__(self) -> None:
        super().__init__(1)
        self.observation_space: Any = spaces.MultiBinary(3)


def test_a_suite_with_another_space_is_refused_by_the_name_of_the_task() -> None:
    with pytest.raises(ValueError, match=r"task 'switches': the observation space must be a Box or Discrete"):
        MLPPolicy.for_suite(TaskSuite([Task("aim", Aim), Task("switches", Switches)]))


@pytest.mark.parametrize("name", RECIPES)
def test_the_clip_of_a_method_reaches_the_learner_and_ones_own_stays(name: str) -> None:
    suite = mixed_suite()
    method = make_method(name, RunFacts(2, 8, num_steps=4))
    policy = MLPPolicy.for_suite(suite, hidden_size=4)
    for own, expected in ((None, method.clip_high), (0.5, 0.5)):
        learner = MLPLearner(policy, clip_high=own)
        MTGRPOAgent(suite, policy, learner, method=method)
        assert learner.clip_high == expected


def returns_while_training(suite: TaskSuite, num_steps: int, *, lr: float) -> list[float]:
    """Mean return of one task's episodes in every step of GRPO at seed 0."""
    policy = MLPPolicy.for_suite(suite)
    sampler = MultinomialSampler(1, batch_size=8)
    learner = MLPLearner(policy, lr=lr)
    curriculum = Curriculum(suite, sampler=sampler, task_weights=UniformWeights(1), group_filter=rewards_differ)
    agent = MTGRPOAgent(suite, policy, learner, curriculum=curriculum, group_size=8)
    return [float(agent.train_step().rewards[0]) for _ in range(num_steps)]


def test_a_gaussian_head_learns_to_aim() -> None:
    """From a miss of about 1.2 in two shots to less than half of it in 40 steps."""
    returns = returns_while_training(TaskSuite([Task("aim", Aim)]), 40, lr=1e-2)
    assert np.mean(returns[-5:]) > np.mean(returns[:5]) / 2


def test_cart_pole_is_balanced_several_times_as_long_after_seven_steps() -> None:
    """From about 24 steps of 200 at seed 0 to above 100."""
    cart_pole = next(task for task in control_tasks() if task.name == "cartpole")
    returns = returns_while_training(TaskSuite([cart_pole]), 7, lr=1e-2)
    assert returns[0] < 40
    assert returns[-1] > 100

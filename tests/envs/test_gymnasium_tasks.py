"""Any Gymnasium env is a task: classic control and toy text alone, and mixed in one suite."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fakes import sample_batch
from gymnasium import spaces

from mtgrpo_env.checker import check_task
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.envs.gymnasium_tasks import SUCCESS_THRESHOLDS, control_suite, control_tasks, gymnasium_tasks
from mtgrpo_env.evaluation import evaluate_policy
from mtgrpo_env.filters import rewards_differ
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.samplers import MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.task_weights import UniformWeights

MIXED = ["CartPole-v1", "Taxi-v4", "FrozenLake-v1", "Blackjack-v1"]
ONE_START = ("FrozenLake", "CliffWalking")


class RandomPolicy:
    """Samples the action space of each task."""

    def __init__(self, suite: TaskSuite) -> None:
        self.spaces = [suite.envs(k, 1)[0].action_space for k in range(suite.num_tasks)]
        for seed, space in enumerate(self.spaces):
            space.seed(seed)

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[Any], list[None]]:
        return [self.spaces[k].sample() for k in task_ids], [None] * len(task_ids)


@pytest.mark.filterwarnings("ignore:.*Box observation space .* value is .*infinity.*")
@pytest.mark.filterwarnings("ignore:.*For Box action spaces, we recommend using a symmetric.*")
@pytest.mark.parametrize("task", gymnasium_tasks(), ids=lambda task: task.name)
def test_every_task_passes_the_check(task: Task) -> None:
    with warnings.catch_warnings():
        if task.name.startswith(ONE_START):
            warnings.filterwarnings("ignore", message=".*shows the same first observation for every seed")
        check_task(task, num_problems=5)


def test_episodes_end_and_a_random_policy_solves_few_of_them() -> None:
    suite = TaskSuite(gymnasium_tasks())
    result = evaluate_policy(suite, RandomPolicy(suite), suite.held_out(20))
    scores = dict(zip(result.names, result.accuracies, strict=True))
    assert scores.keys() == SUCCESS_THRESHOLDS.keys()
    assert scores["CartPole-v1"] == scores["Taxi-v4"] == scores["Acrobot-v1"] == 0
    assert 0.05 < scores["Blackjack-v1"] < 0.6


def test_a_batch_holds_tasks_of_different_spaces_in_the_ratio_asked_for() -> None:
    suite = TaskSuite(gymnasium_tasks(MIXED))
    sampler = RatioPreservingSampler(suite.num_tasks, batch_size=12)
    z = np.array([0.5, 0.25, 0.0, 0.25])
    batch = sample_batch(suite, RandomPolicy(suite), sampler, z, group_size=4, group_filter=rewards_differ)
    assert batch.kept.sum() == 12
    np.testing.assert_allclose(batch.kept / 12, z, atol=0.17)


def test_mixed_spaces_are_one_env_with_tagged_observations_and_an_action_for_each_task() -> None:
    suite = TaskSuite(gymnasium_tasks(MIXED))
    sampler = RatioPreservingSampler(suite.num_tasks, batch_size=8)
    env = MultiTaskEnv(Curriculum(suite, sampler=sampler, task_weights=UniformWeights(suite.num_tasks)))
    assert isinstance(env.observation_space, spaces.OneOf)
    env.action_space.seed(0)
    seen: set[str] = set()
    observation, info = env.reset(seed=0)
    for _ in range(2000):
        assert observation in env.observation_space
        assert observation[0] == info["task_id"]
        seen.add(info["task"])
        observation, _, terminated, truncated, info = env.step(env.action_space.sample())
        if terminated or truncated:
            observation, info = env.reset()
    assert len(seen) > 2


def test_other_ids_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="expected a registered Gymnasium id, got 'Pong-v0'"):
        gymnasium_tasks(["Pong-v0"])


@pytest.mark.parametrize("task", control_tasks(), ids=lambda task: task.name)
def test_every_control_task_passes_the_check(task: Task) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Box observation space .* value is .*infinity.*")
        warnings.filterwarnings("ignore", message=".*For Box action spaces, we recommend using a symmetric.*")
        check_task(task, num_problems=3)


def test_a_random_policy_solves_no_control_task_and_most_groups_are_informative_all_the_same() -> None:
    """Of 24 groups at seed 0, those of Acrobot mostly fail alike."""
    suite = control_suite()
    sampler = MultinomialSampler(suite.num_tasks, batch_size=24)
    uniform = np.full(suite.num_tasks, 1 / suite.num_tasks)
    batch = sample_batch(suite, RandomPolicy(suite), sampler, uniform, group_size=4, group_filter=rewards_differ)
    assert np.nanmax(batch.accuracies) < 0.2
    assert batch.accepted.sum() > 12


def upright_steps(task: Task, seed: int) -> float:
    """How long a simple controller holds the pole."""
    env = task.make()
    observation, _ = env.reset(seed=seed)
    for step in range(1, 201):
        observation, _, terminated, truncated, _ = env.step(int(observation[2] + 0.5 * observation[3] > 0))
        if terminated or truncated:
            return step
    return 200


def test_the_poles_differ_in_how_hard_they_are_to_hold() -> None:
    poles = [task for task in control_tasks() if task.name.startswith("cartpole")]
    plain, *others = (np.mean([upright_steps(task, seed) for seed in range(10)]) for task in poles)
    assert all(plain > other for other in others)


def test_the_height_of_a_mountain_car_is_paid_once_and_the_goal_on_top() -> None:
    """Pushing the way it rolls brings the car up within 200 steps: two heights of the track's sine, and 1."""
    for task in control_tasks()[-2:]:
        env = task.make()
        observation, _ = env.reset(seed=0)
        start, total, info = float(np.sin(3 * observation[0])), 0.0, {}
        is_continuous = isinstance(env.action_space, spaces.Box)
        for _ in range(200):
            push = float(np.sign(observation[1]) or 1)
            action = np.array([push], np.float32) if is_continuous else int(1 + push)
            observation, reward, terminated, truncated, info = env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        assert info["is_success"]
        assert total == pytest.approx(1 + np.sin(3 * observation[0]) - start, abs=0.02)

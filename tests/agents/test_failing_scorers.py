"""Invalid is not zero: a task whose scorer fails gains no weight by it, whatever the method."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.recipes import RECIPES, RunFacts, make_method
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.task_weights_baselines import SequentialWeights
from mtgrpo_env.types import FloatArray

STEPS, BATCH_SIZE, GROUP_SIZE = 6, 12, 4
ALWAYS, AT_FIRST, NEVER = range(3)


class Coin(gym.Env[Any, Any]):
    """One step, right half of the time; the scorer fails while `fails` says so."""

    observation_space = spaces.Discrete(1)
    action_space = spaces.Discrete(2)

    def __init__(self, fails: list[bool]) -> None:
        self.fails = fails

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.right = int(self.np_random.integers(2))
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        is_valid = not self.fails[-1]
        is_right = is_valid and action == self.right
        return 0, float(is_right), True, False, {"is_success": is_right, "valid": is_valid}


def weights_of(name: str) -> tuple[list[FloatArray], MTGRPOAgent]:
    """z before each step and after the last; the task that fails at first does so for half of the steps."""
    at_first = [True]
    tasks = [Task(f"coin-{k}", partial(Coin, fails)) for k, fails in enumerate(([True], at_first, [False]))]
    method = make_method(name, RunFacts(len(tasks), BATCH_SIZE, num_steps=STEPS))
    agent = MTGRPOAgent(TaskSuite(tasks), "tabular", method=method, group_size=GROUP_SIZE)
    weights = [agent.curriculum.probabilities]
    for step in range(STEPS):
        at_first.append(step < STEPS // 2)
        agent.train_step()
        weights.append(agent.curriculum.probabilities)
    return weights, agent


@pytest.mark.parametrize("name", RECIPES)
def test_a_task_whose_scorer_always_fails_gains_no_weight(name: str) -> None:
    weights, agent = weights_of(name)
    if isinstance(agent.curriculum.task_weights, SequentialWeights):
        return  # a schedule, which looks at nothing
    assert all(z[ALWAYS] <= 1 / 3 + 1e-12 for z in weights)
    assert all(z[AT_FIRST] <= 1 / 3 + 1e-12 for z in weights[: STEPS // 2 + 1])
    assert np.isnan(agent.curriculum.rewards).tolist() == [True, False, False]


def test_a_task_counts_from_its_first_valid_rollout_on() -> None:
    weights, _ = weights_of("mt-grpo")
    assert weights[STEPS // 2][AT_FIRST] == pytest.approx(1 / 3)
    assert weights[-1][AT_FIRST] != pytest.approx(1 / 3)

"""A task that nobody can say succeeded is refused by its name, wherever it is played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.checker import TaskCheckError, check_task
from mtgrpo_env.cli import main
from mtgrpo_env.evaluation import RandomActions, evaluate_policy
from mtgrpo_env.experiments.benchmark import benchmark
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.suite import Task, TaskSuite

UNRULED = r"task 'mine' has no success rule: an episode of return -2 .*success_threshold=.*'is_success'"


class Costly(gym.Env[Any, Any]):
    """Costs 1 a step and never ends by itself."""

    observation_space = action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return int(self.np_random.integers(2)), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return int(action), -1.0, False, False, {}


def costly() -> gym.Env[Any, Any]:
    return TimeLimit(Costly(), 2)


def suite() -> TaskSuite:
    """As a command is given it by name."""
    return TaskSuite([Task("mine", costly)])


def step_env() -> None:
    env = MultiTaskEnv(suite())
    env.reset(seed=0)
    env.step(0)
    env.step(0)


def step_vector_env() -> None:
    env = SyncVectorEnv([lambda: MultiTaskEnv(suite())] * 2)
    env.reset(seed=0)
    env.step([0, 0])  # pyright: ignore[reportArgumentType]
    env.step([0, 0])  # pyright: ignore[reportArgumentType]


def roll_out() -> None:
    own = suite()
    rollout_groups(own, RandomActions(own), own.held_out(1), 2)


def evaluate() -> None:
    own = suite()
    evaluate_policy(own, RandomActions(own), own.held_out(1))


@pytest.mark.parametrize(
    "use",
    [
        step_env,
        step_vector_env,
        roll_out,
        evaluate,
        lambda: MTGRPOAgent(suite(), policy="tabular").train(1),
        lambda: benchmark("random", suite(), problems=1),
    ],
    ids=["env", "vector env", "rollouts", "evaluation", "agent", "benchmark"],
)
def test_a_task_without_a_success_rule_is_refused_when_its_first_episode_ends(use: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=UNRULED):
        use()


def test_the_check_of_a_task_sees_it_before() -> None:
    with pytest.raises(TaskCheckError, match=UNRULED):
        check_task(Task("mine", costly), num_problems=2)
    check_task(Task("mine", costly, success_threshold=-2.0), num_problems=2)


def test_a_command_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tyro")
    assert main(["evaluate", "--agent", "random", "--suite", f"{__name__}:suite", "--problems", "1"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "mtgrpo evaluate:" in line]
    assert len(lines) == 1
    assert "task 'mine' has no success rule" in lines[0]


@pytest.mark.parametrize(
    ("env_id", "threshold"),
    [("MiniGrid-Mine-v0", 0.05), ("Mine-v0", 7.0), ("Unruled-v0", None)],
)
def test_an_id_brings_the_threshold_of_its_family_or_the_one_it_is_registered_with(
    env_id: str, threshold: float | None
) -> None:
    gym.register(env_id, f"{__name__}:Costly", reward_threshold=7.0 if env_id == "Mine-v0" else None)
    try:
        assert Task.from_id(env_id).success_threshold == threshold
    finally:
        del gym.registry[env_id]


def test_an_id_of_another_package_is_asked_for_its_module() -> None:
    with pytest.raises(ValueError, match="an id of another package names its module, as in 'ale_py:"):
        Task.from_id("MiniGrid-Nowhere-v0")

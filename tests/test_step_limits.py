"""A step limit around an env of ours, or a reset in mid-episode, ends the episode, and the curriculum moves on."""

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv
from gymnasium.wrappers import TimeLimit

from mtgrpo_env.envs.mtreason import make_mt_reason
from mtgrpo_env.envs.toy import LockEnv, toy_suite
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.suite import Task, TaskSuite

WRONG = r"\boxed{0}"  # which no number is: three turns until the verdict
GUESSING: dict[str, Any] = {"tasks": ("guessing",), "level": "mini", "group_size": 2, "batch_size": 2}


def locks(length: int = 3, **options: Any) -> MultiTaskEnv:
    return MultiTaskEnv(TaskSuite([Task("lock", partial(LockEnv, length), **options)]), group_size=2)


def play(env: gym.Env[Any, Any], action: Any) -> dict[str, Any]:
    """The last info of an episode of one action over and over."""
    while True:
        *_, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            return info


@pytest.mark.filterwarnings("ignore::mtgrpo_env.curriculum.StarvedTaskWarning")
def test_a_step_limit_around_an_env_moves_on_to_the_next_rollout_and_group() -> None:
    env = gym.make("MTReason-v0", **GUESSING, max_episode_steps=2)
    observation, info = env.reset(seed=0)
    for episode in range(12):
        place = (info["batch"], info["group"], info["rollout"])
        play(env, WRONG)
        before, (observation, info) = observation, env.reset()
        left = info["truncated_episode"]
        assert (left["batch"], left["group"], left["rollout"]) == place
        assert (left["is_success"], left["outcome"], left["valid"]) == (False, "no_answer", True)
        assert ("group_informative" in left) == (episode % 2 == 1)
        assert left["batch_complete"] == ("selected_groups" in left)
        assert (observation == before) == (episode % 2 == 0)
    assert info["batch"] > 0


def test_an_episode_left_after_a_step_has_ended_and_one_left_before_is_played_again() -> None:
    env = locks()
    _, info = env.reset(seed=1)
    assert "truncated_episode" not in info
    assert env.reset()[1] == info
    env.step(0)
    _, info = env.reset()
    assert info["truncated_episode"]["rollout"] == 0
    assert info["rollout"] == 1
    assert "truncated_episode" not in env.reset()[1]
    env.step(0)
    _, info = env.reset()
    assert info["truncated_episode"]["group_informative"] is False
    assert (info["group"], info["rollout"]) == (1, 0)


def test_a_seed_starts_everything_anew_also_in_mid_episode() -> None:
    env = locks()
    first = env.reset(seed=1)
    env.step(0)
    assert env.reset(seed=1) == first


def test_an_episode_left_because_a_step_raised_is_played_again() -> None:
    env = locks()
    first = env.reset(seed=1)
    for _ in range(2):
        env.step(0)
        with pytest.raises(ValueError, match="action must be in"):
            env.step("a digit")
        assert env.reset() == first
    env.step(0)
    with pytest.raises(ValueError, match="action must be in"):
        env.step("a digit")
    env.step(0)  # goes on
    assert env.reset()[1]["truncated_episode"]["rollout"] == 0


@pytest.mark.parametrize(("threshold", "is_success"), [(None, False), (0.0, True), (0.5, False)])
def test_the_threshold_of_a_task_also_judges_what_was_played_of_an_episode(threshold: float, is_success: bool) -> None:
    env = locks(success_threshold=threshold)
    env.reset(seed=0)
    env.step(0)
    assert env.reset()[1]["truncated_episode"]["is_success"] is is_success


def test_a_step_limit_within_a_task_has_the_verdict_in_the_last_info() -> None:
    task = Task.from_id("MTReason/Guessing-v0", env_options={"level": "mini", "max_episode_steps": 2})
    env = MultiTaskEnv([task], group_size=2)
    env.reset(seed=0)
    info = play(env, WRONG)
    assert (info["is_success"], info["outcome"], info["valid"]) == (False, "no_answer", True)
    assert "truncated_episode" not in env.reset()[1]


@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes.*")
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version.*")
def test_check_env_finds_nothing_around_a_step_limit() -> None:
    check_env(TimeLimit(MultiTaskEnv(toy_suite(4)), 2), skip_render_check=True)
    check_env(gym.make("MTReason-v0", **GUESSING, max_episode_steps=2), skip_render_check=True)


def test_envs_in_other_processes_move_on_as_well() -> None:
    envs = AsyncVectorEnv([limited, limited], shared_memory=False)
    try:
        _, infos = envs.reset(seed=[0, 1])
        rollouts = [infos["rollout"].tolist()]
        for _ in range(5):
            *_, infos = envs.step([WRONG, WRONG])
            rollouts.append(infos["rollout"].tolist())
    finally:
        envs.close()
    assert np.array(rollouts)[:, 0].tolist() == [0, 0, 0, 1, 1, 1]  # two steps and a reset each


def limited() -> gym.Env[Any, Any]:
    return TimeLimit(make_mt_reason(**GUESSING), 2)

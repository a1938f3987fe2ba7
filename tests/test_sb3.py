"""Agents of stable-baselines3 on tasks of different spaces; not run where it is missing."""

# stable-baselines3 comes with no extra of ours.
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="pip install stable-baselines3")

from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv

from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.wrappers import PaddedTasks

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::mtgrpo_env.curriculum.StarvedTaskWarning"),
    pytest.mark.filterwarnings("ignore:.*the render modes? .*:UserWarning"),
]


def discrete() -> PaddedTasks:
    return PaddedTasks(MultiTaskEnv(["CartPole-v1", "Acrobot-v1"]))


def continuous() -> PaddedTasks:
    return PaddedTasks(MultiTaskEnv(["Pendulum-v1", "MountainCarContinuous-v0"]))


@pytest.mark.parametrize("make", [discrete, continuous])
def test_its_own_check_finds_nothing(make: Callable[[], PaddedTasks]) -> None:
    check_env(make())


def test_ppo_learns_from_all_tasks_and_successes_are_counted() -> None:
    monitored = {"monitor_kwargs": {"info_keywords": ("task", "is_success")}}
    envs, held_out = make_vec_env(discrete, n_envs=2, seed=0, **monitored), make_vec_env(discrete, n_envs=1, seed=1)
    evaluation = EvalCallback(held_out, n_eval_episodes=3, eval_freq=256, verbose=0)
    model = PPO("MlpPolicy", envs, n_steps=256, batch_size=128, n_epochs=1, seed=0, device="cpu")
    start = model.policy.state_dict()["action_net.weight"].clone()
    model.learn(1024, callback=evaluation)
    assert not np.array_equal(start, model.policy.state_dict()["action_net.weight"])
    assert {record["task"] for record in model.ep_info_buffer or ()} == {"CartPole-v1", "Acrobot-v1"}
    assert len(evaluation._is_success_buffer) == 3


def test_weights_reach_the_tasks_of_a_vector_through_its_monitors() -> None:
    for call in (
        lambda envs: envs.env_method("set_wrapper_attr", "task_weights", [0, 1]),
        lambda envs: envs.set_options({"task_weights": {"Acrobot-v1": 1.0}}),
    ):
        envs = make_vec_env(discrete, n_envs=2, seed=0)
        call(envs)
        envs.reset()
        assert [info["task"] for info in envs.reset_infos] == ["Acrobot-v1"] * 2


def test_weights_reach_the_tasks_of_a_vector_without_monitors() -> None:
    envs = DummyVecEnv([discrete])
    envs.set_attr("task_weights", [0, 1])
    envs.reset()
    assert envs.reset_infos[0]["task"] == "Acrobot-v1"


def test_sac_learns_from_boxes() -> None:
    model = SAC("MlpPolicy", continuous(), learning_starts=50, seed=0, device="cpu")
    model.learn(80)
    action, _ = model.predict(continuous().reset(seed=0)[0], deterministic=True)
    assert action.shape == (1,)

"""Gymnasium's classic control and toy text as tasks, with what counts as success in each.

They show that a suite may hold any envs, whatever their spaces: a mixture of CartPole and Taxi is
one `TaskSuite` as much as Countdown and Zebra are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task import SUCCESS_THRESHOLDS, AnyEnv, Task
from mtgrpo_env.types import Split

_CART_POLE_STEPS, _CART_POLE_SUCCESS = 200, 195.0  # those of CartPole-v0: enough to tell, and quicker
_UNCHECKED: dict[str, Any] = {"disable_env_checker": True}  # what is Gymnasium's own needs no check in every step


def gymnasium_tasks(env_ids: Iterable[str] = tuple(SUCCESS_THRESHOLDS)) -> list[Task]:
    """One task for each id, named by it; all of `SUCCESS_THRESHOLDS` by default.

    Raises:
        ValueError: if an id is not registered, or its env cannot be made.

    >>> [task.name for task in gymnasium_tasks(["CartPole-v1", "Taxi-v4"])]
    ['CartPole-v1', 'Taxi-v4']
    """
    return [Task.from_id(env_id) for env_id in env_ids]


class HeightReward(gym.Wrapper[Any, Any, Any, Any]):
    """Mountain car with a return that tells attempts apart: the best height so far is paid, and the goal on top.

    Without it every episode that misses the goal has the same return, and no group is informative.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start in the valley."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._highest = _height(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Drive; pay for new height."""
        observation, _, terminated, truncated, info = self.env.step(action)
        gained = max(0.0, _height(observation) - self._highest)
        self._highest += gained
        return observation, gained + float(terminated), terminated, truncated, {**info, "is_success": terminated}


def _height(observation: Any) -> float:
    return float(np.sin(3 * observation[0]))  # the track of mountain car


def _cart_pole(
    *, half_length: float = 0.5, force: float = 10.0, gravity: float = 9.8, render_mode: str | None = None
) -> AnyEnv:
    env = gym.make("CartPole-v1", max_episode_steps=_CART_POLE_STEPS, render_mode=render_mode, **_UNCHECKED)
    cart_pole: Any = env.unwrapped  # CartPoleEnv takes none of these as arguments
    cart_pole.length, cart_pole.force_mag, cart_pole.gravity = half_length, force, gravity
    cart_pole.polemass_length = cart_pole.masspole * half_length
    return env


def _mountain_car(env_id: str, **options: Any) -> AnyEnv:
    return HeightReward(gym.make(env_id, **_UNCHECKED, **options))


def control_tasks() -> list[Task]:
    """Classic control in six tasks that differ in difficulty, spaces and kind of action.

    Success is holding the pole for 195 of 200 steps, swinging up within 100, reaching the hill at all.
    """
    poles = {
        "cartpole": partial(_cart_pole),
        "cartpole-heavy": partial(_cart_pole, gravity=20.0, force=8.0),
        "cartpole-stub": partial(_cart_pole, half_length=0.1),
    }
    return [
        *(Task(name, make, success_threshold=_CART_POLE_SUCCESS) for name, make in poles.items()),
        Task.from_id("Acrobot-v1", name="acrobot", env_options=_UNCHECKED, success_threshold=-100.0),
        Task("mountain-car", partial(_mountain_car, "MountainCar-v0")),
        Task("mountain-car-continuous", partial(_mountain_car, "MountainCarContinuous-v0", max_episode_steps=200)),
    ]


def control_suite(*, split: Split = "train", seed: int = 0) -> TaskSuite:
    """The `control_tasks` as a suite, for a policy with numbers for observations such as an MLP.

    Train with the `rewards_differ` filter: returns differ long before an episode succeeds.
    """
    return TaskSuite(control_tasks(), split=split, seed=seed)

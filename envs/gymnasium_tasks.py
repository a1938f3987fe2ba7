"""Gymnasium's classic control and toy text as tasks, with what counts as success in each.

They show that a suite may hold any envs, whatever their spaces: a mixture of CartPole and Taxi is
one `TaskSuite` as much as Countdown and Zebra are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mtgrpo_env.suite import Task

# Return from which one episode counts as solved. Gymnasium's own reward thresholds are means over a
# hundred episodes, and some of these envs have none.
SUCCESS_THRESHOLDS: Mapping[str, float] = {
    "CartPole-v1": 475.0,
    "Acrobot-v1": -100.0,
    "MountainCar-v0": -110.0,
    "MountainCarContinuous-v0": 90.0,
    "Pendulum-v1": -200.0,  # swung up and held from the middle of the episode on
    "Blackjack-v1": 1.0,  # won
    "FrozenLake-v1": 1.0,  # reached the goal
    "FrozenLake8x8-v1": 1.0,
    "CliffWalking-v1": -20.0,  # around the cliff; the shortest way takes 13 steps
    "Taxi-v4": 0.0,  # delivered in at most twenty steps
}

_STEP_LIMITS = {"CliffWalking-v1": 200}  # a random walker would never come to an end


def gymnasium_tasks(env_ids: Iterable[str] = tuple(SUCCESS_THRESHOLDS)) -> list[Task]:
    """One task for each id, named by it.

    Raises:
        ValueError: if an id is none of `SUCCESS_THRESHOLDS`; `Task.from_id` takes any id.

    >>> [task.name for task in gymnasium_tasks(["CartPole-v1", "Taxi-v4"])]
    ['CartPole-v1', 'Taxi-v4']
    """
    return [_task(env_id) for env_id in env_ids]


def _task(env_id: str) -> Task:
    if env_id not in SUCCESS_THRESHOLDS:
        raise ValueError(f"env id must be one of {list(SUCCESS_THRESHOLDS)}, got {env_id!r}")
    options = {"max_episode_steps": _STEP_LIMITS[env_id]} if env_id in _STEP_LIMITS else None
    return Task.from_id(env_id, env_options=options, success_threshold=SUCCESS_THRESHOLDS[env_id])

"""`PaddedTasks`: tasks of different spaces as one Box and one action space, for agents that know nothing of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.suite import AnyEnv
from mtgrpo_env.task_weights import GivenWeights
from mtgrpo_env.types import FloatArray

_UNBOUNDED = 1e6  # bounds of an action beyond it say nothing about the values that make sense

Numbers = NDArray[np.float32]


class PaddedTasks(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """A `MultiTaskEnv` whose observations are rows of numbers of one length, and whose actions are of one space.

    An observation is the task's own, flattened as by `gymnasium.spaces.flatten`, then zeros up to the longest of the
    tasks, then the task one-hot. Where all tasks have Discrete actions, there are as many as in the task with most of
    them, and one that the active task does not have counts modulo its number; `action_masks` tells them apart. Where
    all have Boxes, an action is a row of numbers in [-1, 1], as long as the longest: its first are scaled linearly to
    the active task's bounds, and the rest is ignored. A bound beyond a million counts as none: without both the numbers
    are left as they are, without one they reach 2 from the other.

    Rewards, infos, the options of `reset` and the task weights pass through.

    Args:
        env: a `MultiTaskEnv`, alone or in wrappers that leave its spaces as they are.
        task_one_hot: whether observations say which task is played.

    Raises:
        ValueError: naming the tasks, if some have Discrete actions and others have not, or observations are not numbers
            of a fixed count.

    >>> env = PaddedTasks(MultiTaskEnv(["CartPole-v1", "Acrobot-v1"]))
    >>> env.observation_space.shape, env.action_space
    ((8,), Discrete(3))
    """

    def __init__(self, env: AnyEnv, *, task_one_hot: bool = True) -> None:
        RecordConstructorArgs.__init__(self, task_one_hot=task_one_hot)
        super().__init__(env)
        tasks = env.unwrapped
        if not isinstance(tasks, MultiTaskEnv) or env.observation_space != tasks.observation_space:
            raise ValueError(
                f"expected a MultiTaskEnv, alone or in wrappers that leave its spaces as they are, got {env}"
            )
        self._tasks = tasks
        self._is_mixed = tasks.is_mixed
        self._own_observations, self._own_actions = tasks.task_observation_spaces, tasks.task_action_spaces
        rows = [_row_space(name, space) for name, space in zip(tasks.suite.names, self._own_observations, strict=True)]
        self._length = max(flat.shape[0] for flat in rows)
        self._task_one_hot = task_one_hot
        self.observation_space = _padded(rows, self._length, num_flags=len(rows) if task_one_hot else 0)
        self.action_space = _common_actions(tasks.suite.names, self._own_actions)
        self._idle = [space.sample() for space in self._own_actions]  # for the slots of the tasks that are not played
        self._active_task = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Numbers, dict[str, Any]]:
        """As `MultiTaskEnv.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._active_task = int(info["task_id"])
        return self._row(observation), info

    def step(self, action: Any) -> tuple[Numbers, float, bool, bool, dict[str, Any]]:
        """Play what `action` stands for in the active task."""
        own = _own_action(self._own_actions[self._active_task], action)
        slots = tuple(own if k == self._active_task else idle for k, idle in enumerate(self._idle))
        observation, reward, terminated, truncated, info = self.env.step(slots if self._is_mixed else own)
        return self._row(observation), float(reward), terminated, truncated, info

    @property
    def task_weights(self) -> FloatArray:
        """(K,) z, as `MultiTaskEnv.task_weights`: what is set here is set there."""
        return self._tasks.task_weights

    @task_weights.setter
    def task_weights(self, probabilities: GivenWeights | None) -> None:
        self._tasks.task_weights = probabilities

    def action_masks(self) -> NDArray[np.bool_]:
        """(n,) which actions the active task has, as sb3-contrib's `MaskablePPO` asks for it.

        Raises:
            ValueError: if the tasks have Boxes.
        """
        own = self._own_actions[self._active_task]
        if not isinstance(own, spaces.Discrete) or not isinstance(self.action_space, spaces.Discrete):
            raise ValueError(f"only Discrete actions have masks, got {self.action_space}")
        return np.arange(self.action_space.n) < own.n

    def _row(self, observation: Any) -> Numbers:
        own = observation[1] if self._is_mixed else observation
        flat = np.asarray(spaces.flatten(self._own_observations[self._active_task], own))
        row = np.zeros(self.observation_space.shape or (), dtype=np.float32)
        row[: len(flat)] = flat
        if self._task_one_hot:
            row[self._length + self._active_task] = 1
        return row


def _row_space(name: str, space: spaces.Space[Any]) -> spaces.Box:
    """What a task's observations are, flattened."""
    try:
        flat = None if _holds_text(space) else spaces.flatten_space(space)
    except NotImplementedError:  # a space that Gymnasium does not know
        flat = None
    if not isinstance(flat, spaces.Box):
        raise ValueError(
            f"observations of task {name!r} must be numbers of a fixed count, got {space}: wrap the task's env, for "
            "example by gymnasium.wrappers.FilterObservation"
        )
    return flat


def _holds_text(space: spaces.Space[Any]) -> bool:
    """Whether flattening would write out the characters of a text."""
    if isinstance(space, spaces.Dict):
        return any(_holds_text(part) for part in space.values())
    if isinstance(space, spaces.Tuple | spaces.OneOf):
        return any(_holds_text(part) for part in space.spaces)
    return isinstance(space, spaces.Text)


def _padded(rows: Sequence[spaces.Box], length: int, *, num_flags: int) -> spaces.Box:
    """The Box of all these rows, with zeros up to a length and flags after that."""
    low = np.min([np.pad(row.low, (0, length - row.shape[0])) for row in rows], axis=0)
    high = np.max([np.pad(row.high, (0, length - row.shape[0])) for row in rows], axis=0)
    with np.errstate(over="ignore"):  # the largest float64 is infinite here
        return spaces.Box(
            np.append(low, np.zeros(num_flags)).astype(np.float32),
            np.append(high, np.ones(num_flags)).astype(np.float32),
            dtype=np.float32,
        )


def _common_actions(names: Sequence[str], own: Sequence[spaces.Space[Any]]) -> spaces.Discrete | spaces.Box:
    sizes = [int(space.n) for space in own if isinstance(space, spaces.Discrete)]
    lengths = [int(np.prod(space.shape)) for space in own if isinstance(space, spaces.Box)]
    if len(sizes) == len(own):
        return spaces.Discrete(max(sizes))
    if len(lengths) == len(own):
        return spaces.Box(-1.0, 1.0, (max(lengths),), dtype=np.float32)
    given = ", ".join(f"{space} in {name!r}" for name, space in zip(names, own, strict=True))
    raise ValueError(f"the tasks must all have Discrete actions, or all have Boxes, got {given}: make a suite of each")


def _own_action(own: spaces.Space[Any], action: Any) -> Any:
    """What a common action stands for in a task."""
    if isinstance(own, spaces.Discrete):
        return int(own.start) + int(action) % int(own.n)
    assert isinstance(own, spaces.Box), "there are no other common actions"
    numbers = np.asarray(action, dtype=np.float64)[: int(np.prod(own.shape))].reshape(own.shape)
    has_low, has_high = np.abs(own.low) < _UNBOUNDED, np.abs(own.high) < _UNBOUNDED
    low = np.where(has_low, own.low, np.where(has_high, own.high - 2.0, -1.0))  # 2 is the width of [-1, 1]
    high = np.where(has_high, own.high, np.where(has_low, own.low + 2.0, 1.0))
    if np.issubdtype(own.dtype, np.integer):  # each whole number has an equal part of [-1, 1]
        values = np.floor(low + (numbers + 1) / 2 * (high - low + 1))
    else:
        values = low + (numbers + 1) / 2 * (high - low)
    return np.clip(values, own.low, own.high).astype(own.dtype)

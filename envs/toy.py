"""Combination locks: tasks that a table can learn in a second, for tests and first steps without torch."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.types import Split


class LockEnv(gym.Env[int, int]):
    """Dial a code of `length` digits, one a step; the reward comes at the end.

    Which lock of `num_locks` stands before the player is the problem. 1.0 opens it, 0.1 is paid
    for a wrong code that begins right. A random player opens a lock once in `num_digits ** length`
    tries, so the length sets how often groups are filtered.

    Args:
        length: digits of the code, and steps of an episode.
        num_digits: digits to choose from.
        num_locks: different problems.
        max_length: longest lock of the suite: all locks of a suite share one observation space.
        code_seed: names the codes.
    """

    def __init__(
        self, length: int = 2, *, num_digits: int = 4, num_locks: int = 4, max_length: int = 4, code_seed: int = 0
    ) -> None:
        if not 1 <= length <= max_length:
            raise ValueError(f"length must be in 1..{max_length}, got {length}")
        self.length = length
        self.num_locks = num_locks
        self.max_length = max_length
        self.observation_space = spaces.Discrete(num_locks * max_length)
        self.action_space = spaces.Discrete(num_digits)
        self._codes = np.random.default_rng(code_seed).integers(num_digits, size=(num_locks, length))
        self._dialled: list[int] | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Stand before a lock, at its first digit."""
        super().reset(seed=seed)
        self._lock = int(self.np_random.integers(self.num_locks))
        self._dialled = []
        return self._observation(), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Dial one digit."""
        if self._dialled is None or len(self._dialled) == self.length:
            raise gym.error.ResetNeeded("no lock is being dialled: call reset() first")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be in {self.action_space}, got {action!r}")
        self._dialled.append(int(action))
        if len(self._dialled) < self.length:
            return self._observation(), 0.0, False, False, {}
        right = self._codes[self._lock] == self._dialled
        reward = 1.0 if right.all() else 0.1 * float(right[0])
        return self._observation(), reward, True, False, {"is_success": bool(right.all())}

    def _observation(self) -> int:
        assert self._dialled is not None
        return self._lock * self.max_length + min(len(self._dialled), self.length - 1)


def toy_suite(num_tasks: int = 3, *, num_digits: int = 4, split: Split = "train", seed: int = 0) -> TaskSuite:
    """Locks of lengths 1, 2, 3, 4, 1, 2, ...: the longer, the rarer an informative group at the start.

    Train and test differ by their seeds alone: every lock is in both.
    """
    lengths = [1 + k % 4 for k in range(num_tasks)]
    tasks = [
        Task(f"lock-{k}-length-{length}", partial(LockEnv, length, num_digits=num_digits, code_seed=k))
        for k, length in enumerate(lengths)
    ]
    return TaskSuite(tasks, split=split, seed=seed)

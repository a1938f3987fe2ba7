"""Combination locks: tasks that a table can learn in a second, for tests and first steps without torch."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.types import Split


class LockEnv(gym.Env[Any, Any]):
    """Dial a code of `length` digits, one a step; the reward comes at the end.

    Which lock of `num_locks` stands before the player is the problem. 1.0 opens it, 0.1 is paid
    for a wrong code that begins right. A random player opens a lock once in
    `(num_digits / tolerance) ** length` tries, which sets how often groups are filtered.

    Args:
        length: digits of the code, and steps of an episode.
        num_digits: digits to choose from.
        num_locks: different problems; the more, the more there is to learn.
        tolerance: a dial may stand up to this many digits, less one, beyond the right one.
        max_length: longest lock of the suite: all locks of a suite share one observation space.
        code_seed: names the codes.
    """

    def __init__(
        self,
        length: int = 2,
        *,
        num_digits: int = 4,
        num_locks: int = 4,
        tolerance: int = 1,
        max_length: int = 4,
        code_seed: int = 0,
    ) -> None:
        for name, value, largest in (("length", length, max_length), ("tolerance", tolerance, num_digits)):
            if not 1 <= value <= largest:
                raise ValueError(f"{name} must be in 1..{largest}, got {value}")
        self.length = length
        self.num_digits = num_digits
        self.tolerance = tolerance
        self.num_locks = num_locks
        self.max_length = max_length
        self.observation_space = spaces.Discrete(num_locks * max_length)
        self.action_space = spaces.Discrete(num_digits)
        self._codes = np.random.default_rng(code_seed).integers(num_digits, size=(num_locks, length)).tolist()
        self._right: list[bool] | None = None  # of each digit dialled

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Stand before a lock, at its first digit."""
        super().reset(seed=seed)
        self._lock = int(self.np_random.integers(self.num_locks))
        self._right = []
        return self._observation(), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Dial one digit."""
        if self._right is None or len(self._right) == self.length:
            raise gym.error.ResetNeeded("no lock is being dialled: call reset() first")
        if not self._is_digit(action):
            raise ValueError(f"action must be in {self.action_space}, got {action!r}")
        beyond = int(action) - self._codes[self._lock][len(self._right)]
        self._right.append(beyond % self.num_digits < self.tolerance)
        if len(self._right) < self.length:
            return self._observation(), 0.0, False, False, {}
        is_open = all(self._right)
        reward = 1.0 if is_open else 0.1 * self._right[0]
        return self._observation(), reward, True, False, {"is_success": is_open}

    def _is_digit(self, action: object) -> bool:
        if type(action) is int:  # most are, and the space's own answer takes longer than the rest of a step
            return 0 <= action < self.num_digits
        return self.action_space.contains(action)

    def _observation(self) -> int:
        assert self._right is not None
        return self._lock * self.max_length + min(len(self._right), self.length - 1)


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


# Length and tolerance, from one random code in two that opens to one in sixty-four; neighbours differ.
_GRADES = ((1, 4), (2, 1), (2, 4), (4, 3), (1, 2), (3, 3), (3, 4), (3, 2), (2, 3), (4, 4), (1, 1), (2, 2))
_LOCKS = (1, 2, 4, 1, 2)  # as many as are coprime to the grades, so that every grade comes with each


def graded_suite(num_tasks: int, *, split: Split = "train", seed: int = 0) -> TaskSuite:
    """Any number of locks of eight digits, spread evenly over a dozen difficulties.

    A random player opens the easiest every other time and the hardest once in sixty-four, and locks of
    one difficulty have one, two or four codes: tasks differ in how many of their groups are filtered, and in
    how much practice they need. A table for them has 16 observations and 8 actions.
    """
    return TaskSuite([_graded_task(k) for k in range(num_tasks)], split=split, seed=seed)


def _graded_task(k: int) -> Task:
    length, tolerance = _GRADES[k % len(_GRADES)]
    num_locks = _LOCKS[k % len(_LOCKS)]
    make = partial(LockEnv, length, num_digits=8, num_locks=num_locks, tolerance=tolerance, code_seed=k)
    return Task(f"lock-{k}-length-{length}-tolerance-{tolerance}", make)

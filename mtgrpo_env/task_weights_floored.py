"""Task weights for the end of a run: solved tasks, and tasks out of reach, are left to a floor.

Each rule is one pull on top of the floor (`FlooredWeights`). None is in a recipe by default.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtgrpo_env.ranges import Range
from mtgrpo_env.task_weights import FlooredWeights, checked_signal
from mtgrpo_env.types import FloatArray, TaskStats


class GapWeights(FlooredWeights):
    """What is not solved in proportion to what it lacks, 1 - J. A task out of reach lacks most.

    Args:
        num_tasks: K.
        floor: share of the batch that is dealt out evenly.

    Raises:
        ValueError: if an argument is out of its range.

    >>> weights = GapWeights(2, floor=0.5)
    >>> weights.update(TaskStats(np.array([1.0, 0.2]), np.zeros(2), np.zeros(2)))
    >>> weights.probabilities
    array([0.25, 0.75])
    """

    def pull(self, rewards: FloatArray) -> FloatArray:
        return _shares(np.maximum(1 - rewards, 0))


class VarianceWeights(FlooredWeights):
    """In proportion to the variance of success, J (1 - J): most for a task that is halfway.

    A task out of reach is left as a solved one is; a rare one, whose J is small, too: the worst task is not the aim.

    Args:
        num_tasks: K.
        floor: share of the batch that is dealt out evenly.

    Raises:
        ValueError: if an argument is out of its range.

    >>> weights = VarianceWeights(2, floor=0.5)
    >>> weights.update(TaskStats(np.array([1.0, 0.2]), np.zeros(2), np.zeros(2)))
    >>> weights.probabilities
    array([0.25, 0.75])
    """

    def pull(self, rewards: FloatArray) -> FloatArray:
        return _shares(np.maximum(rewards * (1 - rewards), 0))


class ProgressWeights(FlooredWeights):
    """In proportion to learning progress: how far J has moved of late, up or down.

    Progress is |fast - slow| of two moving averages of J. Both start with the first J of a task, and rest while it is
    absent.

    Args:
        num_tasks: K.
        floor: share of the batch that is dealt out evenly.
        fast: what a step leaves of the fast average, in [0, 1).
        slow: what it leaves of the slow one, in [0, 1).

    Raises:
        ValueError: if an argument is out of its range, or `fast` is not below `slow`.

    >>> weights = ProgressWeights(2, floor=0.5)
    >>> for learned in (0.1, 0.5):
    ...     weights.update(TaskStats(np.array([0.3, learned]), np.zeros(2), np.zeros(2)))
    >>> weights.probabilities
    array([0.25, 0.75])
    """

    hyperparameter_names = ("num_tasks", "floor", "fast", "slow")
    state_names = ("pulls", "fast_average", "slow_average", "is_seen")

    def __init__(self, num_tasks: int, *, floor: float = 0.25, fast: float = 0.5, slow: float = 0.9) -> None:
        super().__init__(num_tasks, floor=floor)
        Range(0, 1, below=True).check("slow", slow)
        Range(0, slow, below=True).check("fast", fast)
        self.fast, self.slow = fast, slow
        self.fast_average = np.zeros(self.num_tasks)
        self.slow_average = np.zeros(self.num_tasks)
        self.is_seen = np.zeros(self.num_tasks, dtype=np.bool_)

    def pull(self, rewards: FloatArray) -> FloatArray:
        return _shares(np.abs(self.fast_average - self.slow_average))

    def update(self, stats: TaskStats) -> None:
        present = ~np.isnan(stats.rewards) & ~np.isnan(stats.mean_abs_advantages)
        rewards = checked_signal("rewards", np.where(present, stats.rewards, 0.0), self.num_tasks)
        self.fast_average = self._moved(self.fast_average, self.fast, rewards, present)
        self.slow_average = self._moved(self.slow_average, self.slow, rewards, present)
        self.is_seen = self.is_seen | present
        super().update(stats)

    def _moved(self, average: FloatArray, decay: float, rewards: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
        moved = np.where(self.is_seen, decay * average + (1 - decay) * rewards, rewards)
        return np.where(present, moved, average)


def _shares(amounts: FloatArray) -> FloatArray:
    """(K,) that add up to 1; zeros where all amounts are."""
    total = amounts.sum()
    return amounts / total if total > 0 else np.zeros_like(amounts)

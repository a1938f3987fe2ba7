"""How many rollouts a problem of each task gets: fewer where a small group shows a gradient as well."""

from __future__ import annotations

import numpy as np

from mtgrpo_env.ranges import Range
from mtgrpo_env.reward_estimates import RecentAccuracy
from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import Batch, FloatArray, IntArray


class GroupSizes(Stateful):
    """N_k by the recent accuracy p_k of each task.

    A group of n rollouts that are each correct with probability p is informative with probability 1 - pⁿ - (1 - p)ⁿ.
    Where that is at least `sufficient` for the smallest group, more rollouts of a problem buy little, and are better
    spent on other problems. A task that is rare, or nearly solved, has groups of the largest size; so has every task
    before anything is known of it.

    Args:
        num_tasks: K.
        largest: N.
        smallest: of a task in between; by default `largest`, so that all tasks have groups of one size.
        sufficient: the share of informative groups that is enough, in (0, 1).
        memory: groups of a task that its accuracy is estimated from, about.

    Raises:
        ValueError: if an argument is out of its range.

    >>> sizes = GroupSizes(2, largest=8, smallest=4)
    >>> sizes.of_accuracies(np.array([0.5, 0.1]))
    array([4, 8])
    """

    hyperparameter_names = ("largest", "smallest", "sufficient", "memory")
    state_names = ("accuracies",)

    def __init__(
        self,
        num_tasks: int,
        *,
        largest: int = 8,
        smallest: int | None = None,
        sufficient: float = 0.8,
        memory: float = 16.0,
    ) -> None:
        Range(1).check("largest", largest)
        Range(1, largest).check("smallest", largest if smallest is None else smallest)
        Range(0, 1, above=True, below=True).check("sufficient", sufficient)
        self.largest, self.smallest = largest, smallest
        self.sufficient, self.memory = sufficient, memory
        self.accuracies = RecentAccuracy(num_tasks, memory=memory)

    @property
    def least(self) -> int:
        """Fewest rollouts of a problem."""
        return self.largest if self.smallest is None else self.smallest

    @property
    def now(self) -> IntArray:
        """(K,) rollouts of a problem of each task."""
        seen = self.accuracies.shares
        return self.of_accuracies(np.where(seen.trials > 0, seen.estimates, 0.0))

    def of_accuracies(self, accuracies: FloatArray) -> IntArray:
        """(K,) rollouts of a problem of tasks with these accuracies."""
        informative = 1 - accuracies**self.least - (1 - accuracies) ** self.least
        return np.where(informative >= self.sufficient, self.least, self.largest)

    def observe(self, batch: Batch) -> None:
        """Learn from all that was generated for a batch; a task whose scorer failed shows nothing."""
        self.accuracies.observe(batch)

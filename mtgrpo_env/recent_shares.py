"""How often something happened of late, for each task: groups that were informative, rollouts that were correct."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.ranges import Range
from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import FloatArray


class RecentShares(Stateful):
    """Each task's share of hits among its last trials, whenever these were.

    What was seen before fades with every new trial of the *task*, not with time: the estimate follows a task
    that changes and does not forget one that is seldom seen. It starts without a bias and is drawn a little
    towards the share of all tasks together, which is what a task never seen is given.

    Args:
        num_tasks: K.
        memory: trials of a task after which what was seen before counts 1/e.
        prior_trials: how many trials the share of all tasks counts as.

    Raises:
        ValueError: if `memory` or `prior_trials` is not positive.

    >>> shares = RecentShares(2, memory=10.0, prior_trials=1.0)
    >>> shares.observe([4, 0], [1, 0])
    >>> shares.estimates.round(3)
    array([0.26, 0.3 ])
    """

    hyperparameter_names = ("num_tasks", "memory", "prior_trials")
    state_names = ("trials", "hits")

    def __init__(self, num_tasks: int, *, memory: float, prior_trials: float) -> None:
        Range(0, math.inf, above=True).check("memory", memory)
        Range(0, above=True).check("prior_trials", prior_trials)
        self.num_tasks = num_tasks
        self.memory = memory
        self.prior_trials = prior_trials
        self.forget()

    @property
    def estimates(self) -> FloatArray:
        """(K,) in (0, 1)."""
        of_all = (self.hits.sum() + 0.5) / (self.trials.sum() + 1)
        return (self.hits + self.prior_trials * of_all) / (self.trials + self.prior_trials)

    def observe(self, trials: ArrayLike, hits: ArrayLike) -> None:
        """Learn from (K,) trials and how many of them, or how much, were hits."""
        trials = np.asarray(trials, dtype=np.float64)
        kept = np.exp(-trials / self.memory)
        self.trials = kept * self.trials + trials
        self.hits = kept * self.hits + np.asarray(hits)

    def forget(self) -> None:
        """Start anew."""
        self.trials = np.zeros(self.num_tasks)
        self.hits = np.zeros(self.num_tasks)

"""Estimates of J, the expected reward of each task, from the batches seen so far."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from mtgrpo_env.ranges import Range
from mtgrpo_env.recent_shares import RecentShares
from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import Batch, FloatArray


class RewardEstimate(Stateful, ABC):
    """J_k for every task, from the batches seen so far."""

    @abstractmethod
    def observe(self, batch: Batch) -> FloatArray:
        """(K,) the estimate once this batch is known; 0 for a task never seen.

        What it says of a task whose scorer fails does not count; see `judged`.
        """


def judged(estimates: FloatArray, batch: Batch, *, before: FloatArray) -> FloatArray:
    """(K,) J; NaN for a task of which nothing is known, since its scorer failed on all of its latest rollouts.

    Args:
        estimates: (K,) of a `RewardEstimate` that has observed the batch.
        batch: the latest.
        before: (K,) what this gave before it, which an absent task keeps.
    """
    is_unknown = np.where(batch.generated > 0, np.isnan(batch.rewards), np.isnan(before))
    return np.where(is_unknown, np.nan, estimates)


class LatestReward(RewardEstimate):
    """The mean reward of this step's rollouts, filtered or not; the last known one for an absent task.

    Args:
        num_tasks: K.
    """

    state_names = ("rewards",)

    def __init__(self, num_tasks: int) -> None:
        self.rewards = np.zeros(num_tasks)

    def observe(self, batch: Batch) -> FloatArray:
        self.rewards = np.where(np.isnan(batch.rewards), self.rewards, batch.rewards)
        return self.rewards


class AverageAccuracy(RewardEstimate):
    """A moving average, from 0, of the share of correct rollouts in each generation round, filtered or not.

    A round in which a task is absent leaves its average alone.

    Args:
        num_tasks: K.
        decay: share of the old average that each round leaves.

    Raises:
        ValueError: if it is no share.
    """

    hyperparameter_names = ("decay",)
    state_names = ("accuracies",)

    def __init__(self, num_tasks: int, *, decay: float = 0.5) -> None:
        Range(0, 1).check("decay", decay)
        self.decay = decay
        self.accuracies = np.zeros(num_tasks)

    def observe(self, batch: Batch) -> FloatArray:
        for of_round in batch.round_accuracies:
            average = self.decay * self.accuracies + (1 - self.decay) * of_round
            self.accuracies = np.where(np.isnan(of_round), self.accuracies, average)
        return self.accuracies


class RecentAccuracy(RewardEstimate):
    """The share of correct rollouts among a task's last ones, filtered or not, however many batches they took.

    Args:
        num_tasks: K.
        memory: groups of a task that the estimate is made from, about.
    """

    hyperparameter_names = state_names = ("shares",)

    def __init__(self, num_tasks: int, *, memory: float = 16.0) -> None:
        self.shares = RecentShares(num_tasks, memory=memory, prior_trials=1.0)

    def observe(self, batch: Batch) -> FloatArray:
        known = np.where(np.isnan(batch.accuracies), 0, batch.generated)  # a scorer that failed says nothing
        self.shares.observe(known, known * np.nan_to_num(batch.accuracies))
        return self.shares.estimates

"""What a rule for the task weights is told: an estimate of the rewards J, and the improvements I of each update.

The rule itself looks at `TaskStats` only. How J is estimated, whether an improvement is a mean or a sum
over rollouts, and whether the rule moves once a step or once a minibatch, are choices made here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mtgrpo_env.agents.base import Learner, Objectives
from mtgrpo_env.recent_shares import RecentShares
from mtgrpo_env.task_weights import TaskWeights
from mtgrpo_env.types import Batch, FloatArray


class RewardEstimate(ABC):
    """J_k for every task, from the batches seen so far."""

    @abstractmethod
    def observe(self, batch: Batch) -> FloatArray:
        """(K,) the estimate once this batch is known; 0 for a task never seen."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The estimate so far."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved estimate."""


class LatestReward(RewardEstimate):
    """The mean reward of this step's rollouts, filtered or not; the last known one for an absent task.

    Args:
        num_tasks: K.
    """

    def __init__(self, num_tasks: int) -> None:
        self._rewards = np.zeros(num_tasks)

    def observe(self, batch: Batch) -> FloatArray:
        self._rewards = np.where(np.isnan(batch.rewards), self._rewards, batch.rewards)
        return self._rewards

    def state_dict(self) -> dict[str, Any]:
        return {"rewards": self._rewards.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._rewards = np.asarray(state["rewards"], dtype=np.float64)


class AverageAccuracy(RewardEstimate):
    """A moving average, from 0, of the share of correct rollouts in each generation round, filtered or not.

    A round in which a task is absent leaves its average alone.

    Args:
        num_tasks: K.
        decay: share of the old average that each round leaves.
    """

    def __init__(self, num_tasks: int, *, decay: float = 0.5) -> None:
        self.decay = decay
        self._accuracies = np.zeros(num_tasks)

    def observe(self, batch: Batch) -> FloatArray:
        for of_round in batch.round_accuracies:
            average = self.decay * self._accuracies + (1 - self.decay) * of_round
            self._accuracies = np.where(np.isnan(of_round), self._accuracies, average)
        return self._accuracies

    def state_dict(self) -> dict[str, Any]:
        return {"accuracies": self._accuracies.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._accuracies = np.asarray(state["accuracies"], dtype=np.float64)


class RecentAccuracy(RewardEstimate):
    """The share of correct rollouts among a task's last ones, filtered or not, however many batches they took.

    Args:
        num_tasks: K.
        memory: groups of a task that the estimate is made from, about.
    """

    def __init__(self, num_tasks: int, *, memory: float = 16.0) -> None:
        self._shares = RecentShares(num_tasks, memory=memory, prior_trials=1.0)

    def observe(self, batch: Batch) -> FloatArray:
        known = np.where(np.isnan(batch.accuracies), 0, batch.generated)  # a scorer that failed says nothing
        self._shares.observe(known, known * np.nan_to_num(batch.accuracies))
        return self._shares.estimates

    def state_dict(self) -> dict[str, Any]:
        return self._shares.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._shares.load_state_dict(state)


Change = Callable[[Batch, FloatArray, FloatArray], FloatArray]
"""From a batch and the objectives (K,) before and after training on it to the improvements (K,)."""


def mean_change(batch: Batch, before: FloatArray, after: FloatArray) -> FloatArray:
    """I_k = Ĵ_k(θ') - Ĵ_k(θ), a mean over the task's rollouts; 0 for a task not in the batch."""
    return np.nan_to_num(after - before)


def summed_change(batch: Batch, before: FloatArray, after: FloatArray) -> FloatArray:
    """The same summed over the task's rollouts, so that a task gets more of it the more of the batch it has."""
    return mean_change(batch, before, after) * batch.kept * batch.group_size


Improve = Callable[[Learner, Batch], tuple[Mapping[str, float], list[FloatArray]]]
"""Trains on a batch: returns the learner's scalars, and the improvements (K,) of each update the weights are due."""


def once_per_step(
    learner: Learner, batch: Batch, *, change: Change = mean_change
) -> tuple[Mapping[str, float], list[FloatArray]]:
    """Improvements of the whole step, on the whole batch (Algorithm 1)."""
    before = _objectives_before(learner, batch)
    scalars = learner.update(batch)
    return scalars, [change(batch, before, learner.objectives(batch))]


def once_per_minibatch(
    learner: Learner, batch: Batch, *, change: Change = mean_change
) -> tuple[Mapping[str, float], list[FloatArray]]:
    """Improvements of each optimiser step, on the minibatch just trained."""
    improvements: list[FloatArray] = []

    def measure(minibatch: Batch, before: Objectives) -> None:
        improvements.append(change(minibatch, before.current, learner.objectives(minibatch)))

    return learner.update(batch, measure), improvements


def in_passing(learner: Learner, batch: Batch) -> tuple[Mapping[str, float], list[FloatArray]]:
    """Improvements of the whole step, estimated from the passes that training makes anyway: no model is run for them.

    Minibatch j of M is seen by a policy that has taken j steps and none on it. What a task gained by then is fitted,
    weighted by groups, with a line through 0, and read off at M. Unlike the exact change it is measured on groups
    that were not trained on, so it leaves out what was learned by heart; with one minibatch there is nothing to see.
    """
    seen: list[tuple[Batch, FloatArray]] = []
    scalars = learner.update(
        batch, lambda minibatch, before: seen.append((minibatch, np.nan_to_num(before.current - before.sampled)))
    )
    cross, square = np.zeros(batch.num_tasks), np.zeros(batch.num_tasks)
    for j, (minibatch, gained) in enumerate(seen):
        cross += j * minibatch.kept * gained
        square += j**2 * minibatch.kept
    return scalars, [len(seen) * cross / np.maximum(square, 1)]


def on_some_groups(
    learner: Learner, batch: Batch, *, groups_per_task: int = 2
) -> tuple[Mapping[str, float], list[FloatArray]]:
    """Improvements of the whole step, on the first few of each task's groups."""
    ranks = np.zeros(len(batch.groups), dtype=np.int64)  # of a group among those of its task
    for task_id in np.unique(batch.task_ids):
        own = batch.task_ids == task_id
        ranks[own] = np.arange(own.sum())
    sample = batch.part(np.flatnonzero(ranks < groups_per_task))
    before = _objectives_before(learner, sample)
    scalars = learner.update(batch)
    return scalars, [mean_change(batch, before, learner.objectives(sample))]


def improve_for(task_weights: TaskWeights) -> Improve:
    """The exact improvements of each step, unless the rule would not look at them: they cost a forward pass."""
    return once_per_step if task_weights.uses_improvements else unmeasured


def _objectives_before(learner: Learner, batch: Batch) -> FloatArray:
    """(K,) of the policy as it is, which sampled the batch itself unless some of its groups were carried over."""
    return learner.objectives(batch) if batch.carried else learner.sampled_objectives(batch)


def unmeasured(learner: Learner, batch: Batch) -> tuple[Mapping[str, float], list[FloatArray]]:
    """Train only; the improvements are 0, for rules that look at rewards alone or at nothing."""
    return learner.update(batch), [np.zeros(batch.num_tasks)]

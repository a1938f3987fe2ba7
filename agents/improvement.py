"""The improvements I_k that the task weights look at (line 3 of Algorithm 1): signals that observe an update, no more.

A signal is made just before the learner's update, sees every minibatch of it, and says afterwards what each task
gained: one row for each update that the weights are due.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mtgrpo_env.agents.base import Learner, Objectives
from mtgrpo_env.task_weights import TaskWeights
from mtgrpo_env.types import Batch, FloatArray


class ImprovementSignal:
    """Base of the signals.

    Args:
        learner: about to be updated; never changed here.
        batch: that it is updated on.
    """

    def __init__(self, learner: Learner, batch: Batch) -> None:
        self.learner, self.batch = learner, batch

    def on_minibatch(self, minibatch: Batch, before: Objectives) -> None:
        """Called by the update after each optimiser step, with the minibatch and its objectives before the step."""

    def end(self) -> FloatArray:
        """(U, K) I_k for each of U updates of the task weights."""
        return np.zeros((1, self.batch.num_tasks))


class NoImprovement(ImprovementSignal):
    """Measures nothing, for rules that look at rewards alone or at nothing."""


MakeImprovementSignal = Callable[[Learner, Batch], ImprovementSignal]

Change = Callable[[Batch, FloatArray, FloatArray], FloatArray]
"""From a batch and the objectives (K,) before and after training on it to the improvements (K,)."""


def mean_change(batch: Batch, before: FloatArray, after: FloatArray) -> FloatArray:
    """I_k = Ĵ_k(θ') - Ĵ_k(θ), a mean over the task's rollouts; 0 for a task not in the batch."""
    return np.nan_to_num(after - before)


def summed_change(batch: Batch, before: FloatArray, after: FloatArray) -> FloatArray:
    """The same summed over the task's rollouts, so that a task gets more of it the more of the batch it has."""
    return mean_change(batch, before, after) * batch.kept_rollouts


class StepImprovement(ImprovementSignal):
    """The exact change of the whole step, on the whole batch (Algorithm 1).

    Args:
        learner: see `ImprovementSignal`.
        batch: see `ImprovementSignal`.
        change: from the objectives before and after to the improvements.
    """

    def __init__(self, learner: Learner, batch: Batch, *, change: Change = mean_change) -> None:
        super().__init__(learner, batch)
        self.change = change
        # The policy as it is sampled the batch itself, unless some of its groups are replayed.
        self.before = learner.objectives(batch) if batch.replayed else learner.sampled_objectives(batch)

    def end(self) -> FloatArray:
        return np.array([self.change(self.batch, self.before, self.learner.objectives(self.batch))])


class SampledImprovement(StepImprovement):
    """The change of the whole step, estimated on the first few of each task's groups.

    Args:
        learner: see `ImprovementSignal`.
        batch: see `ImprovementSignal`.
        groups_per_task: at most.
    """

    def __init__(self, learner: Learner, batch: Batch, *, groups_per_task: int = 2) -> None:
        places = np.zeros(len(batch.groups), dtype=np.int64)  # of a group among those of its task
        for task_id in np.unique(batch.task_ids):
            own = batch.task_ids == task_id
            places[own] = np.arange(own.sum())
        super().__init__(learner, batch.part(np.flatnonzero(places < groups_per_task)))


class MinibatchImprovement(ImprovementSignal):
    """The change of each optimiser step, on the minibatch just trained: as many updates as there are minibatches.

    Args:
        learner: see `ImprovementSignal`.
        batch: see `ImprovementSignal`.
        change: from the objectives before and after to the improvements.
    """

    def __init__(self, learner: Learner, batch: Batch, *, change: Change = mean_change) -> None:
        super().__init__(learner, batch)
        self.change = change
        self.improvements: list[FloatArray] = []

    def on_minibatch(self, minibatch: Batch, before: Objectives) -> None:
        self.improvements.append(self.change(minibatch, before.current, self.learner.objectives(minibatch)))

    def end(self) -> FloatArray:
        return np.array(self.improvements)


class TrendImprovement(ImprovementSignal):
    """The change of the whole step, fitted to the passes that training makes anyway: no model is run for it.

    Minibatch j of M is seen by a policy that has taken j steps and none on it. What a task gained by then is fitted,
    weighted by groups, with a line through 0, and read off at M. Unlike the exact change it is measured on groups
    that were not trained on, so it leaves out what was learned by heart; with one minibatch there is nothing to see.
    """

    def __init__(self, learner: Learner, batch: Batch) -> None:
        super().__init__(learner, batch)
        self.steps = 0
        self.cross, self.square = np.zeros(batch.num_tasks), np.zeros(batch.num_tasks)

    def on_minibatch(self, minibatch: Batch, before: Objectives) -> None:
        gained = np.nan_to_num(before.current - before.sampled)
        self.cross += self.steps * minibatch.kept * gained
        self.square += self.steps**2 * minibatch.kept
        self.steps += 1

    def end(self) -> FloatArray:
        return (self.steps * self.cross / np.maximum(self.square, 1))[None]


def improvement_for(task_weights: TaskWeights) -> MakeImprovementSignal:
    """The exact improvements of each step, unless the rule would not look at them: they cost a forward pass."""
    return StepImprovement if task_weights.uses_improvements else NoImprovement

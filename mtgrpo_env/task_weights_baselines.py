"""Rules for the task weights that MT-GRPO is compared with: reward only, a bandit, one task after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mtgrpo_env.logit_optimizers import GradientDescent, LogitOptimizer
from mtgrpo_env.ranges import Range
from mtgrpo_env.task_weights import ImprovementAwareWeights, TaskWeights, checked_num_tasks, softmax
from mtgrpo_env.types import FloatArray, TaskStats


class RegularizedWeights(ImprovementAwareWeights):
    """Subroutine 2 ("REG"): only rewards count, and a decay η of the logits holds z near uniform.

    It is Subroutine 1 without the improvement, s_k = c J_k; η is the decay of the optimiser.

    Args:
        num_tasks: K.
        reward_coef: c; 1 in the paper, 0.2 in its released code.
        optimizer: of the logits ξ; by default ξ ← ξ - β(g + ηξ) with η = 5e-4.

    Raises:
        ValueError: if `num_tasks` is below 1.
    """

    uses_improvements = False

    def __init__(self, num_tasks: int, *, reward_coef: float = 1.0, optimizer: LogitOptimizer | None = None) -> None:
        optimizer = optimizer if optimizer is not None else GradientDescent(l2=5e-4)
        super().__init__(num_tasks, reward_coef=reward_coef, optimizer=optimizer)

    def update(self, stats: TaskStats) -> None:
        super().update(replace(stats, improvements=np.zeros_like(stats.rewards)))


class SelfEvolvingWeights(TaskWeights):
    """SEC: a bandit whose arms are the tasks and whose pay is the mean |A|, so that what teaches most comes most.

    Q ← (1 - α) Q + α mean |A| for the arms that were played, z = softmax(Q / τ). The mean is over all
    rollouts that were generated for a task: those of filtered groups pay 0, so a task that is solved
    or out of reach loses weight. An arm that was not played keeps its Q.

    Args:
        num_tasks: K.
        lr: α.
        temperature: τ.

    Raises:
        ValueError: if `num_tasks` is below 1, `lr` is not in (0, 1] or `temperature` is not positive.

    >>> weights = SelfEvolvingWeights(2)
    >>> weights.update(TaskStats(np.zeros(2), np.zeros(2), mean_abs_advantages=np.array([0.8, np.nan])))
    >>> weights.values
    array([0.4, 0. ])
    """

    uses_improvements = False
    hyperparameter_names = ("num_tasks", "lr", "temperature")
    state_names = ("values",)

    def __init__(self, num_tasks: int, *, lr: float = 0.5, temperature: float = 0.2) -> None:
        self.num_tasks = checked_num_tasks(num_tasks)
        Range(0, 1, above=True).check("lr", lr)
        Range(0, math.inf, above=True).check("temperature", temperature)
        self.lr = lr
        self.temperature = temperature
        self.values = np.zeros(num_tasks)  # Q

    @property
    def probabilities(self) -> FloatArray:
        return softmax(self.values / self.temperature)

    def update(self, stats: TaskStats) -> None:
        pay = checked_pay(stats, self.num_tasks)
        self.values = np.where(np.isnan(pay), self.values, (1 - self.lr) * self.values + self.lr * pay)


class ForgettingSelfEvolvingWeights(SelfEvolvingWeights):
    """SEC as the paper's released code has it: an arm that was not played is paid 0, so its Q decays towards 0."""

    def update(self, stats: TaskStats) -> None:
        super().update(replace(stats, mean_abs_advantages=np.nan_to_num(stats.mean_abs_advantages, posinf=np.inf)))


class SequentialWeights(TaskWeights):
    """One group of tasks after the other, each for an equal share of the run; uniform within a group.

    Args:
        groups: task ids of each group, in the order of training; together all of 0 .. K-1, each once.
        num_steps: updates of the whole run; after them the last group stays.

    Raises:
        ValueError: if a task is missing or repeated, a group is empty, or there are fewer steps than groups.

    >>> weights = SequentialWeights([[1], [0, 2]], num_steps=2)
    >>> weights.probabilities
    array([0., 1., 0.])
    """

    uses_improvements = False
    hyperparameter_names = ("num_tasks", "groups", "num_steps")
    state_names = ("step",)

    def __init__(self, groups: Sequence[Sequence[int]], *, num_steps: int) -> None:
        task_ids = sorted(task_id for group in groups for task_id in group)
        self.num_tasks = checked_num_tasks(len(task_ids))
        if task_ids != list(range(self.num_tasks)) or not all(groups):
            raise ValueError(f"groups must hold the tasks 0 to K-1, each once, and none be empty, got {groups}")
        if num_steps < len(groups):
            raise ValueError(f"num_steps must be at least the number of groups, {len(groups)}, got {num_steps}")
        self.groups = tuple(tuple(group) for group in groups)
        self.num_steps = num_steps
        self.step = 0

    @property
    def probabilities(self) -> FloatArray:
        place = min(self.step * len(self.groups) // self.num_steps, len(self.groups) - 1)
        z = np.zeros(self.num_tasks)
        z[list(self.groups[place])] = 1 / len(self.groups[place])
        return z

    def update(self, stats: TaskStats) -> None:
        self.step += 1


def checked_pay(stats: TaskStats, num_tasks: int) -> FloatArray:
    """(K,) mean |A|, NaN for an arm that was not played, once it is certain that they are K.

    Raises:
        ValueError: if they are not.
    """
    pay = stats.mean_abs_advantages
    if pay.shape != (num_tasks,) or np.isinf(pay).any():
        raise ValueError(f"mean_abs_advantages must be {num_tasks} numbers or NaN, got {pay}")
    return pay

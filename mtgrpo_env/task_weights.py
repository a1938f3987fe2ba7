"""Task weights z over K tasks: how much the next batch should hold of each (Subroutine 1)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtgrpo_env.logit_optimizers import Adam, LogitOptimizer
from mtgrpo_env.ranges import Range
from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import FloatArray, TaskStats

GivenWeights = ArrayLike | Mapping[str, float]
"""z from outside: (K,) on the simplex, or weights by the names of tasks, those that are not named 0."""

SOLVED = 0.95
"""Accuracy from which on the default method leaves a task to the others."""
_WATCHED = 0.1  # of an even share, for a solved task


class TaskWeights(Stateful, ABC):
    """A distribution over tasks that may learn from each step's statistics.

    A rule of one's own is these two methods, and the names of all it holds: those that are fixed in
    `hyperparameter_names`, those that move, and a checkpoint saves, in `state_names`.

    Attributes:
        num_tasks: K.
        uses_improvements: whether `update` looks at them; if not, none need be measured.
        uses_accuracy: whether J is by default an accuracy of late, rather than the latest mean reward.
    """

    num_tasks: int
    uses_improvements: bool = True
    uses_accuracy: bool = False

    @property
    @abstractmethod
    def probabilities(self) -> FloatArray:
        """(K,) z, on the simplex."""

    @abstractmethod
    def update(self, stats: TaskStats) -> None:
        """Learn from one step."""


class UniformWeights(TaskWeights):
    """z_k = 1/K for ever (GRPO, DAPO, RPS only).

    >>> UniformWeights(4).probabilities
    array([0.25, 0.25, 0.25, 0.25])
    """

    uses_improvements = False
    hyperparameter_names = ("num_tasks",)

    def __init__(self, num_tasks: int) -> None:
        self.num_tasks = checked_num_tasks(num_tasks)

    @property
    def probabilities(self) -> FloatArray:
        return np.full(self.num_tasks, 1 / self.num_tasks)

    def update(self, stats: TaskStats) -> None:
        pass


class ImprovementAwareWeights(TaskWeights):
    """Subroutine 1: the tasks that are behind, and improve least, get more weight.

    s_k = I_k + λ J_k is a task's standing; ξ descends the gradient of Σ_k z_k s_k, z = softmax(ξ).
    With the default optimiser any persistent gap ends in a collapse of z on the worst task, at a
    speed set by `lr` alone; with `GradientDescent` the speed is in proportion to the gap.

    Args:
        num_tasks: K.
        reward_coef: λ, the knob between improvement and reward, between average and worst task.
        optimizer: of the logits ξ.
        improvement_clip: bound on |I_k|.

    Raises:
        ValueError: if an argument is out of its range.

    >>> weights = ImprovementAwareWeights(2)
    >>> stats = TaskStats(rewards=np.array([0.9, 0.1]), improvements=np.zeros(2), mean_abs_advantages=np.zeros(2))
    >>> weights.update(stats)
    >>> bool(weights.probabilities[1] > weights.probabilities[0])
    True
    """

    hyperparameter_names = ("num_tasks", "reward_coef", "improvement_clip", "optimizer")
    state_names = ("logits", "optimizer")

    def __init__(
        self,
        num_tasks: int,
        *,
        reward_coef: float = 0.2,
        optimizer: LogitOptimizer | None = None,
        improvement_clip: float = 0.1,
    ) -> None:
        self.num_tasks = checked_num_tasks(num_tasks)
        Range(0, math.inf, above=True).check("improvement_clip", improvement_clip)
        Range(0).check("reward_coef", reward_coef)
        self.reward_coef = reward_coef
        self.improvement_clip = improvement_clip
        self.optimizer = optimizer if optimizer is not None else Adam()
        self.logits = np.zeros(self.num_tasks)  # ξ

    @property
    def probabilities(self) -> FloatArray:
        return softmax(self.logits)

    def update(self, stats: TaskStats) -> None:
        improvements = np.clip(stats.improvements, -self.improvement_clip, self.improvement_clip)  # I_k
        standing = improvements + self.reward_coef * stats.rewards  # s_k, (K,)
        z, known = self.probabilities, ~np.isnan(stats.rewards)
        if not known.any():
            return
        if not known.all():  # the average is that of the others
            standing = np.where(known, standing, z[known] @ standing[known] / z[known].sum())
        checked_signal("improvements and rewards", standing, self.num_tasks)
        gradient = np.where(known, z * (standing - z @ standing), 0.0)  # g_k
        self.logits = held(self.logits, self.optimizer.step(self.logits, gradient), known)


class FlooredWeights(TaskWeights, ABC):
    """An even floor, and pulls on top of it: z_k = (1 - M) e_k + pull_k, with M = Σ pull held below 1 - `floor`.

    e is even, 1/K. A rule of this kind is its `pull`, a function of where the tasks stand now.

    Args:
        num_tasks: K.
        floor: share of the batch that is dealt out evenly whatever happens, in (0, 1].

    Raises:
        ValueError: if an argument is out of its range.
    """

    uses_improvements = False
    uses_accuracy = True
    hyperparameter_names = ("num_tasks", "floor")
    state_names = ("pulls",)

    def __init__(self, num_tasks: int, *, floor: float = 0.25) -> None:
        self.num_tasks = checked_num_tasks(num_tasks)
        Range(0, 1, above=True).check("floor", floor)
        self.floor = floor
        self.pulls = np.zeros(self.num_tasks)

    @property
    def even(self) -> FloatArray:
        """(K,) e, how the part of the batch that nothing pulls is dealt out."""
        return np.full(self.num_tasks, 1 / self.num_tasks)

    @property
    def probabilities(self) -> FloatArray:
        moved = self.pulls.sum()  # M
        pulls = self.pulls * min(1.0, (1 - self.floor) / moved) if moved else self.pulls
        return (1 - pulls.sum()) * self.even + pulls

    @abstractmethod
    def pull(self, rewards: FloatArray) -> FloatArray:
        """(K,) share of the batch that moves to each task, not below 0; more than 1 - `floor` in all is scaled down.

        A task of unknown J stands here with the average of the others, and is not pulled whatever this says.
        """

    def update(self, stats: TaskStats) -> None:
        known = ~np.isnan(stats.rewards)
        if not known.any():
            return
        rewards = np.where(known, stats.rewards, stats.rewards[known].mean())
        self.pulls = np.where(known, self.pull(checked_signal("rewards", rewards, self.num_tasks)), 0.0)


class DisparityWeights(FlooredWeights):
    """No task more than ε below the average: weights in proportion to how far each task is beyond that.

    The aim is the average reward J̄, less a penalty for every task that is left behind,

        F = J̄ - κ/2 Σ_k v_k²,   v_k = max(J̄ - ε - J_k, 0),

    and z is its gradient with respect to J: z_k = (1 - M)/K + κ v_k with M = κ Σ_k v_k, held below 1 - `floor`. So a
    knob in points of accuracy takes λ's place. z depends on where the tasks stand and on nothing else: it
    neither collapses while a gap persists nor overshoots once it has closed, and has no speed to be tuned.

    With `solved`, no task counts for more than that in F. The gradient of a solved task is 0, and its even share goes
    to the others, but for a tenth, by which its accuracy is watched.

    Args:
        num_tasks: K.
        tolerance: ε, in units of J; 0.05 are five points of accuracy.
        strength: κ, share of the batch that moves to a task for each unit that it is beyond the tolerance.
        floor: share of the batch that is dealt out evenly whatever happens.
        solved: J from which on a task is solved; None if no task ever is.

    Raises:
        ValueError: if an argument is out of its range.

    >>> weights = DisparityWeights(2, tolerance=0.1, strength=2.0)
    >>> stats = TaskStats(rewards=np.array([0.9, 0.3]), improvements=np.zeros(2), mean_abs_advantages=np.zeros(2))
    >>> weights.update(stats)  # the second task is 0.3 below the average, 0.2 more than is tolerated
    >>> weights.probabilities
    array([0.3, 0.7])
    """

    hyperparameter_names = ("num_tasks", "tolerance", "strength", "floor", "solved")
    state_names = ("pulls", "is_solved")

    def __init__(
        self,
        num_tasks: int,
        *,
        tolerance: float = 0.0,
        strength: float = 2.0,
        floor: float = 0.25,
        solved: float | None = None,
    ) -> None:
        super().__init__(num_tasks, floor=floor)
        Range(0).check("tolerance", tolerance)
        Range(0).check("strength", strength)
        if solved is not None:
            Range(0, above=True).check("solved", solved)
        self.tolerance = tolerance
        self.strength = strength
        self.solved = solved
        self.is_solved = np.zeros(self.num_tasks, dtype=np.bool_)

    @property
    def even(self) -> FloatArray:
        parts = np.where(self.is_solved, _WATCHED, 1.0)
        return parts / parts.sum()

    def pull(self, rewards: FloatArray) -> FloatArray:
        counted = rewards if self.solved is None else np.minimum(rewards, self.solved)
        return self.strength * np.maximum(counted.mean() - self.tolerance - counted, 0)  # κ v

    def update(self, stats: TaskStats) -> None:
        super().update(stats)
        if self.solved is not None:
            self.is_solved = np.where(np.isnan(stats.rewards), self.is_solved, stats.rewards >= self.solved)


def in_task_order(weights: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """(K,) weights of the tasks, 0 of those that are not named.

    Raises:
        ValueError: naming those that there are, if a task is unknown.

    >>> in_task_order({"code": 1.0}, ["math", "code"])
    [0.0, 1.0]
    """
    if unknown := [name for name in weights if name not in names]:
        raise ValueError(f"expected task weights by the names of tasks, {list(names)}, got {unknown}")
    return [weights.get(name, 0.0) for name in names]


def held(before: FloatArray, after: FloatArray, moves: NDArray[np.bool_]) -> FloatArray:
    """(K,) logits after a step in which only some tasks, at least one, move: the others keep their z."""
    if moves.all():
        return after
    return np.where(moves, after + _log_sum(before[moves]) - _log_sum(after[moves]), before)


def _log_sum(logits: FloatArray) -> np.float64:
    return logits.max() + np.log(np.exp(logits - logits.max()).sum())


def softmax(logits: FloatArray) -> FloatArray:
    """(K,) exp(ξ) / Σ exp(ξ), safe for large ξ."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def checked_num_tasks(num_tasks: int) -> int:
    """`num_tasks`, once it is certain that there is a task.

    Raises:
        ValueError: if there is none.
    """
    if num_tasks < 1:
        raise ValueError(f"num_tasks must be at least 1, got {num_tasks}")
    return num_tasks


def checked_signal(name: str, values: FloatArray, num_tasks: int) -> FloatArray:
    """`values`, once it is certain that they are K finite numbers.

    Raises:
        ValueError: if they are not.
    """
    if values.shape != (num_tasks,) or not np.isfinite(values).all():
        raise ValueError(f"{name} must be {num_tasks} finite numbers, got {values}")
    return values

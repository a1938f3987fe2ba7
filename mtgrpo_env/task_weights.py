"""Task weights z over K tasks: how much the next batch should hold of each (Subroutine 1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from mtgrpo_env.logit_optimizers import Adam, LogitOptimizer
from mtgrpo_env.types import FloatArray, TaskStats


class TaskWeights(ABC):
    """A distribution over tasks that may learn from each step's statistics."""

    num_tasks: int

    @property
    @abstractmethod
    def probabilities(self) -> FloatArray:
        """(K,) z, on the simplex."""

    @abstractmethod
    def update(self, stats: TaskStats) -> None:
        """Learn from one step."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to continue."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""


class UniformWeights(TaskWeights):
    """z_k = 1/K for ever (GRPO, DAPO, RPS only).

    >>> UniformWeights(4).probabilities
    array([0.25, 0.25, 0.25, 0.25])
    """

    def __init__(self, num_tasks: int) -> None:
        self.num_tasks = checked_num_tasks(num_tasks)

    @property
    def probabilities(self) -> FloatArray:
        return np.full(self.num_tasks, 1 / self.num_tasks)

    def update(self, stats: TaskStats) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
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
        ValueError: if `num_tasks` is below 1 or `improvement_clip` is not positive.

    >>> weights = ImprovementAwareWeights(2)
    >>> stats = TaskStats(rewards=np.array([0.9, 0.1]), improvements=np.zeros(2), mean_abs_advantages=np.zeros(2))
    >>> weights.update(stats)
    >>> bool(weights.probabilities[1] > weights.probabilities[0])
    True
    """

    def __init__(
        self,
        num_tasks: int,
        *,
        reward_coef: float = 0.2,
        optimizer: LogitOptimizer | None = None,
        improvement_clip: float = 0.1,
    ) -> None:
        self.num_tasks = checked_num_tasks(num_tasks)
        if not improvement_clip > 0:
            raise ValueError(f"improvement_clip must be positive, got {improvement_clip}")
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
        if standing.shape != (self.num_tasks,) or not np.isfinite(standing).all():
            raise ValueError(f"improvements and rewards must be {self.num_tasks} finite numbers, got {stats}")
        z = self.probabilities
        gradient = z * (standing - z @ standing)  # g_k
        self.logits = self.optimizer.step(self.logits, gradient)

    def state_dict(self) -> dict[str, Any]:
        return {"logits": self.logits.tolist(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if len(state["logits"]) != self.num_tasks:
            raise ValueError(f"expected the logits of {self.num_tasks} tasks, got {len(state['logits'])}")
        self.logits = np.asarray(state["logits"], dtype=np.float64)
        self.optimizer.load_state_dict(state["optimizer"])


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

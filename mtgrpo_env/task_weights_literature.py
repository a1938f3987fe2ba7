"""Rules for the task weights from other publications, with the task as their unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtgrpo_env.ranges import Range
from mtgrpo_env.task_weights import TaskWeights, checked_num_tasks, checked_signal, held, softmax
from mtgrpo_env.task_weights_baselines import checked_pay
from mtgrpo_env.types import FloatArray, TaskStats


class DUMPWeights(TaskWeights):
    """DUMP (arXiv 2504.09710) with tasks as its distributions: an upper confidence bound on a task's mean |A|.

    z = softmax((L + bonus) / τ), where L_k is the mean |A| of a task's latest rollouts, 0 before there are any, and
    bonus_k = sqrt(2 ln(n + 1) / (n_k + 1)) after n rollouts of all tasks and n_k of the task.

    It departs from the publication where that has none: |A| is known as the mean of each step, so that the oldest step
    in the window counts in part, and a task whose scorer fails keeps its z.

    Args:
        num_tasks: K.
        temperature: τ.
        window: rollouts of a task that L is the mean of.

    Raises:
        ValueError: if an argument is out of its range.

    >>> weights = DUMPWeights(2)
    >>> pay, rollouts = np.array([0.8, 0.6]), np.array([100, 100])
    >>> weights.update(TaskStats(np.zeros(2), np.zeros(2), pay, rollouts))  # equal counts, an equal bonus
    >>> weights.probabilities.round(2)
    array([0.88, 0.12])
    """

    uses_improvements = False
    hyperparameter_names = ("num_tasks", "temperature", "window")
    state_names = ("logits", "counts", "latest")

    def __init__(self, num_tasks: int, *, temperature: float = 0.1, window: int = 300) -> None:
        self.num_tasks = checked_num_tasks(num_tasks)
        Range(0, above=True).check("temperature", temperature)
        Range(1).check("window", window)
        self.temperature = temperature
        self.window = window
        self.logits = np.zeros(num_tasks)
        self.counts = np.zeros(num_tasks, dtype=np.int64)  # n_k
        self.latest: list[list[list[float]]] = [[] for _ in range(num_tasks)]  # steps of each: rollouts, mean |A|

    @property
    def probabilities(self) -> FloatArray:
        return softmax(self.logits)

    def update(self, stats: TaskStats) -> None:
        pay, known = checked_pay(stats, self.num_tasks), ~np.isnan(stats.rewards)
        if stats.rollouts is None:
            raise ValueError("DUMPWeights counts rollouts: expected TaskStats with rollouts, got None")
        self.counts = self.counts + stats.rollouts
        for k in np.flatnonzero(~np.isnan(pay)):
            self.latest[k] = _newest([*self.latest[k], [int(stats.rollouts[k]), float(pay[k])]], self.window)
        if known.any():
            bonus = np.sqrt(2 * np.log(self.counts.sum() + 1) / (self.counts + 1))
            scores = np.array([_mean(steps) for steps in self.latest]) + bonus
            self.logits = held(self.logits, scores / self.temperature, known)


class GDROWeights(TaskWeights):
    """Prompt-GDRO (arXiv 2601.19280) with tasks in place of difficulty bins: an adversary turns to what is hard.

    ξ ← ξ + η (1 - J), z = (1 - γ) softmax(ξ) + γ / K.

    It departs from the publication in this: a prompt's bin, its task, is given and stays, where there it follows the
    prompt's pass@k. The moving average of the difficulty 1 - J is that of `RecentAccuracy`, which like the
    publication's is unbiased from the start and forgets nothing of an absent task; it fades by groups, not by steps. η
    and γ are our choice. Rollout-GDRO, the other half, a price on rollouts, is not here: `GroupSizes` has its place.

    Args:
        num_tasks: K.
        lr: η. ξ is a sum over steps: at any η a gap that persists ends with nearly 1 - γ on the hardest task.
        exploration: γ, share of the batch that is dealt out evenly, in (0, 1].

    Raises:
        ValueError: if an argument is out of its range.

    >>> weights = GDROWeights(2, lr=1.0, exploration=0.5)
    >>> weights.update(TaskStats(np.array([1.0, 0.0]), np.zeros(2), np.zeros(2)))
    >>> weights.probabilities.round(2)  # halfway between (.27, .73) and even
    array([0.38, 0.62])
    """

    uses_improvements = False
    uses_accuracy = True
    hyperparameter_names = ("num_tasks", "lr", "exploration")
    state_names = ("logits",)

    def __init__(self, num_tasks: int, *, lr: float = 0.1, exploration: float = 0.1) -> None:
        self.num_tasks = checked_num_tasks(num_tasks)
        Range(0, above=True).check("lr", lr)
        Range(0, 1, above=True).check("exploration", exploration)
        self.lr = lr
        self.exploration = exploration
        self.logits = np.zeros(num_tasks)  # ξ

    @property
    def probabilities(self) -> FloatArray:
        return (1 - self.exploration) * softmax(self.logits) + self.exploration / self.num_tasks

    def update(self, stats: TaskStats) -> None:
        known = ~np.isnan(stats.rewards)
        if known.any():
            rewards = checked_signal("rewards", np.where(known, stats.rewards, 1.0), self.num_tasks)
            self.logits = held(self.logits, self.logits + self.lr * (1 - rewards), known)


def _newest(steps: Sequence[list[float]], window: int) -> list[list[float]]:
    """The last (rollouts, mean) that hold `window` rollouts, the oldest of them in part."""
    kept: list[list[float]] = []
    room = window
    for rollouts, mean in reversed(steps):
        if room > 0:
            kept.insert(0, [min(rollouts, room), mean])
            room -= rollouts
    return kept


def _mean(steps: Sequence[Sequence[float]]) -> float:
    rollouts = sum(count for count, _ in steps)
    return sum(count * mean for count, mean in steps) / rollouts if rollouts else 0.0

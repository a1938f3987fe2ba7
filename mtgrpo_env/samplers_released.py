"""Dynamic sampling and Algorithm 2 as the paper's released code runs them: for reproductions.

Both end their rounds in another way than those of `samplers`: see `RoundBudget`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mtgrpo_env.plans import BatchPlan, BatchSampler, checked_probabilities, multinomial, shuffled_tasks
from mtgrpo_env.samplers import DynamicPlan, DynamicSampler, RatioPreservingPlan, RatioPreservingSampler
from mtgrpo_env.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class RoundBudget:
    """How long a plan may go on: the first round counts, a round in which nothing was accepted does not.

    Attributes:
        max_rounds: that count.
        hard_cap: rounds in all. Ours, so that a plan ends although nothing is ever accepted.

    Raises:
        ValueError: unless 1 <= max_rounds <= hard_cap.
    """

    max_rounds: int = 10
    hard_cap: int = 100

    def __post_init__(self) -> None:
        if not 1 <= self.max_rounds <= self.hard_cap:
            raise ValueError(f"expected 1 <= max_rounds <= hard_cap, got {self.max_rounds} and {self.hard_cap}")

    def allows_another_round(self, plan: BatchPlan) -> bool:
        """Whether the plan may generate more.

        >>> RoundBudget().allows_another_round(DynamicSampler(2, 8).plan(np.array([0.5, 0.5])))
        True
        """
        counted = sum(bool((generated > filtered).any()) for generated, filtered in plan.history)
        return counted < self.max_rounds and plan.rounds < self.hard_cap


class ReleasedDynamicPlan(DynamicPlan):
    """Rounds from z until B groups were informative, within a `RoundBudget`."""

    def __init__(self, sampler: ReleasedDynamicSampler, z: FloatArray) -> None:
        super().__init__(sampler, z)
        self._budget = sampler.budget

    def next_round(self) -> list[int]:
        if self.accepted.sum() >= self.batch_size or not self._budget.allows_another_round(self):
            return []
        return shuffled_tasks(self._rng, multinomial(self._rng, self._round_size, self._z))


class ReleasedDynamicSampler(DynamicSampler):
    """DAPO's dynamic sampling under the released budget.

    Args:
        num_tasks: K.
        batch_size: B.
        seed: of the sampler's generator.
        oversampling: groups generated per round, in multiples of B.
        budget: of rounds.

    Raises:
        ValueError: if an argument is out of its range.
    """

    hyperparameter_names = (*DynamicSampler.hyperparameter_names, "budget")

    def __init__(
        self,
        num_tasks: int,
        batch_size: int,
        *,
        seed: int = 0,
        oversampling: float = 3.0,
        budget: RoundBudget | None = None,
    ) -> None:
        self.budget = budget or RoundBudget()
        super().__init__(num_tasks, batch_size, seed=seed, oversampling=oversampling, max_rounds=self.budget.max_rounds)

    def plan(self, probabilities: FloatArray) -> ReleasedDynamicPlan:
        return ReleasedDynamicPlan(self, checked_probabilities(probabilities, self.num_tasks))


class ReleasedRatioPreservingPlan(RatioPreservingPlan):
    """Algorithm 2 with targets from an oversampled draw, and deficits that steer late.

    `targets` are round(c_k / M_os) of a draw c ~ Multinomial(M_os B, z) and need not sum to B. While
    fewer than B groups are accepted, a resample is drawn like the first round; from then on it goes to
    the deficits. Of more than B accepted groups, at most n_k of each task are kept and the surplus is
    thrown away, so a batch may be smaller than B, or larger by what the rounding added.
    """

    def __init__(self, sampler: ReleasedRatioPreservingSampler, z: FloatArray, draw: IntArray) -> None:
        super().__init__(sampler, z, np.round(sampler.batch_size * draw / draw.sum()).astype(np.int64))
        self._draw = draw
        self._is_inflated = bool((self._inflation > 1).any())
        self._budget = sampler.budget

    def next_round(self) -> list[int]:
        if self.rounds == 0 and not self._is_inflated:
            return shuffled_tasks(self._rng, self._draw)
        lacks_groups = self.accepted.sum() < self.batch_size
        if not (lacks_groups or self.deficits.any()) or not self._budget.allows_another_round(self):
            return []
        demand = (self._z if lacks_groups else self.deficits) * self._inflation
        return shuffled_tasks(self._rng, multinomial(self._rng, self._round_size, demand / demand.sum()))

    def _at_most_targets(self, candidates: list[int]) -> list[int]:
        """At most n_k of each task, the first that were reported."""
        kept, _ = self.split_at_targets(candidates)
        return kept


class ReleasedRatioPreservingSampler(RatioPreservingSampler):
    """Algorithm 2 as released; see `ReleasedRatioPreservingPlan` for what differs.

    Args:
        num_tasks: K.
        batch_size: B.
        seed: of the sampler's generator.
        oversampling: M_os, groups generated per round in multiples of B.
        max_inflation: M_acc; 1, no inflation, in every script for three tasks.
        rate_decay: of the moving average ρ of the filtered share.
        budget: of rounds.

    Raises:
        ValueError: if an argument is out of its range.
    """

    hyperparameter_names = (*RatioPreservingSampler.hyperparameter_names, "budget")

    def __init__(
        self,
        num_tasks: int,
        batch_size: int,
        *,
        seed: int = 0,
        oversampling: float = 3.0,
        max_inflation: float = 1.0,
        rate_decay: float = 0.9,
        budget: RoundBudget | None = None,
    ) -> None:
        super().__init__(
            num_tasks,
            batch_size,
            seed=seed,
            oversampling=oversampling,
            max_inflation=max_inflation,
            rate_decay=rate_decay,
        )
        self.budget = budget or RoundBudget()

    def plan(self, probabilities: FloatArray) -> ReleasedRatioPreservingPlan:
        z = checked_probabilities(probabilities, self.num_tasks)
        return ReleasedRatioPreservingPlan(self, z, multinomial(self.rng, self.round_size, z))


class DelayedSampler(BatchSampler[BatchPlan]):
    """One sampler for the first plans, another from then on; the other learns from the first plans too.

    Args:
        early: draws the plans of the steps before `first_step`.
        late: draws the plans from `first_step` on.
        first_step: counted from 1.

    Raises:
        ValueError: if the two differ in the number of tasks or in the batch size.
    """

    hyperparameter_names = (*BatchSampler.hyperparameter_names, "early", "late", "first_step")
    state_names = ("rng", "plans", "early", "late")

    def __init__(self, early: BatchSampler[Any], late: BatchSampler[Any], *, first_step: int) -> None:
        if (early.num_tasks, early.batch_size) != (late.num_tasks, late.batch_size):
            sizes = f"{early.num_tasks} tasks, {early.batch_size} groups and {late.num_tasks}, {late.batch_size}"
            raise ValueError(f"both samplers must have the same tasks and batch size, got {sizes}")
        super().__init__(late.num_tasks, late.batch_size)
        self.early, self.late = early, late
        self.first_step = first_step
        self.plans = 0

    def plan(self, probabilities: FloatArray) -> BatchPlan:
        self.plans += 1
        return (self.early if self.plans < self.first_step else self.late).plan(probabilities)

    def update(self, plan: BatchPlan) -> None:
        """Let the late sampler learn: its filter rates are known when its turn comes."""
        self.late.update(plan)

    def reseed(self, seed: int) -> None:
        self.early.reseed(seed)
        self.late.reseed(seed)
        self.plans = 0

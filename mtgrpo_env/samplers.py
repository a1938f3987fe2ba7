"""The samplers of GRPO, DAPO and MT-GRPO; what they have in common stands in `plans`."""

from __future__ import annotations

import math

import numpy as np

from mtgrpo_env.plans import BatchPlan, BatchSampler, checked_probabilities, multinomial, round_size_of, shuffled_tasks
from mtgrpo_env.ranges import Range
from mtgrpo_env.types import FloatArray, IntArray


class MultinomialPlan(BatchPlan):
    """One round, everything kept."""

    def __init__(self, targets: IntArray, batch_size: int, rng: np.random.Generator) -> None:
        super().__init__(targets, batch_size)
        self._rng = rng

    def next_round(self) -> list[int]:
        return shuffled_tasks(self._rng, self.targets) if self.rounds == 0 else []

    def select(self) -> tuple[list[int], FloatArray]:
        own = range(self.replayed, len(self.task_ids))  # what a replay buffer offers is not of these draws
        return list(own), np.ones(len(own))


class MultinomialSampler(BatchSampler[MultinomialPlan]):
    """B draws from z, generated once, nothing filtered (GRPO)."""

    def plan(self, probabilities: FloatArray) -> MultinomialPlan:
        z = checked_probabilities(probabilities, self.num_tasks)
        return MultinomialPlan(multinomial(self.rng, self.batch_size, z), self.batch_size, self.rng)


class DynamicPlan(BatchPlan):
    """Rounds of the same size from z until B groups were informative; tasks are not balanced."""

    def __init__(self, sampler: DynamicSampler, z: FloatArray) -> None:
        super().__init__(multinomial(sampler.rng, sampler.batch_size, z), sampler.batch_size)
        self._rng = sampler.rng
        self._z = z
        self._round_size = sampler.round_size
        self._max_rounds = sampler.max_rounds

    def next_round(self) -> list[int]:
        if self.accepted.sum() >= self.batch_size or self.rounds >= self._max_rounds:
            return []
        return shuffled_tasks(self._rng, multinomial(self._rng, self._round_size, self._z))

    def select(self) -> tuple[list[int], FloatArray]:
        kept = self.fresh[: self.batch_size]
        return kept, np.ones(len(kept))


class DynamicSampler(BatchSampler[DynamicPlan]):
    """Oversample from z, drop filtered groups, refill (DAPO's dynamic sampling).

    The batch holds each task in proportion to z_k (1 - ρ_k), not to z_k.

    Args:
        num_tasks: K.
        batch_size: B.
        seed: of the sampler's generator.
        oversampling: groups generated per round, in multiples of B.
        max_rounds: generation budget, in rounds.

    Raises:
        ValueError: if an argument is out of its range.
    """

    hyperparameter_names = ("num_tasks", "batch_size", "round_size", "max_rounds")

    def __init__(
        self, num_tasks: int, batch_size: int, *, seed: int = 0, oversampling: float = 3.0, max_rounds: int = 10
    ) -> None:
        super().__init__(num_tasks, batch_size, seed=seed)
        Range(1, math.inf).check("max_rounds", max_rounds)
        self.round_size = round_size_of(oversampling, batch_size)
        self.max_rounds = max_rounds

    def plan(self, probabilities: FloatArray) -> DynamicPlan:
        return DynamicPlan(self, checked_probabilities(probabilities, self.num_tasks))


class RatioPreservingPlan(BatchPlan):
    """Algorithm 2: inflate by expected acceptance, then resample what each task still lacks."""

    def __init__(self, sampler: RatioPreservingSampler, z: FloatArray, targets: IntArray) -> None:
        super().__init__(targets, sampler.batch_size)
        self._rng = sampler.rng
        self._z = z
        self._inflation = np.minimum(1 / (1 - sampler.filter_rates), sampler.max_inflation)  # m_k
        self._round_size = sampler.round_size
        self._max_resamples = sampler.max_resamples

    @property
    def deficits(self) -> IntArray:
        """(K,) informative groups each task still lacks: def_k = max(n_k - c_k, 0)."""
        return np.maximum(self.targets - self.accepted, 0)

    def next_round(self) -> list[int]:
        if self.rounds == 0:
            demand = self._z * self._inflation  # ẑ ∝ z ∘ m
        elif self.deficits.any() and self.rounds <= self._max_resamples:
            demand = self.deficits * self._inflation
        else:
            return []
        return shuffled_tasks(self._rng, multinomial(self._rng, self._round_size, demand / demand.sum()))

    def select(self) -> tuple[list[int], FloatArray]:
        kept = self.fresh
        if len(kept) > self.batch_size:
            kept = self._at_most_targets(kept)
        return kept, np.ones(len(kept))

    def _at_most_targets(self, candidates: list[int]) -> list[int]:
        """At most n_k of each task, then up to B at random from the surplus."""
        kept, surplus = self.split_at_targets(candidates)
        fill = self._rng.permutation(len(surplus))[: self.batch_size - len(kept)]
        return sorted(kept + [surplus[i] for i in fill])


class RatioPreservingSampler(BatchSampler[RatioPreservingPlan]):
    """The paper's Algorithm 2: batches hold tasks in proportion to z although filtering is uneven.

    Args:
        num_tasks: K.
        batch_size: B.
        seed: of the sampler's generator.
        oversampling: M_os, groups generated per round in multiples of B.
        max_inflation: M_acc, bound on 1 / (1 - ρ_k); 1 inflates nothing ("no acceptance-aware sampling").
        max_resamples: N_rs, rounds after the first.
        rate_decay: of the moving average ρ of the filtered share.

    Raises:
        ValueError: if an argument is out of its range.
    """

    hyperparameter_names = ("num_tasks", "batch_size", "round_size", "max_inflation", "max_resamples", "rate_decay")
    state_names = ("rng", "filter_rates")

    def __init__(
        self,
        num_tasks: int,
        batch_size: int,
        *,
        seed: int = 0,
        oversampling: float = 3.0,
        max_inflation: float = 5.0,
        max_resamples: int = 10,
        rate_decay: float = 0.9,
    ) -> None:
        super().__init__(num_tasks, batch_size, seed=seed)
        Range(1, math.inf).check("max_inflation", max_inflation)
        Range(0).check("max_resamples", max_resamples)
        Range(0, 1, below=True).check("rate_decay", rate_decay)
        self.round_size = round_size_of(oversampling, batch_size)
        self.max_inflation = max_inflation
        self.max_resamples = max_resamples
        self.rate_decay = rate_decay
        self.filter_rates = np.zeros(num_tasks)  # ρ

    def plan(self, probabilities: FloatArray) -> RatioPreservingPlan:
        z = checked_probabilities(probabilities, self.num_tasks)
        return RatioPreservingPlan(self, z, multinomial(self.rng, self.batch_size, z))  # n ~ Multinomial(B, z)

    def update(self, plan: BatchPlan) -> None:
        """Fold each round's filtered shares into ρ; a task absent from a round keeps its rate."""
        for generated, filtered in plan.history:
            seen = generated > 0
            share = filtered[seen] / generated[seen]
            self.filter_rates[seen] = self.rate_decay * self.filter_rates[seen] + (1 - self.rate_decay) * share
        # A moving average of ones only tends to 1; rounding must not let it arrive there.
        np.minimum(self.filter_rates, 1 - 1e-9, out=self.filter_rates)

    def reseed(self, seed: int) -> None:
        super().reseed(seed)
        self.filter_rates = np.zeros(self.num_tasks)

"""Samplers: which task to generate next, and which groups to train on, so that a batch comes out.

A sampler draws one *plan* per batch. The plan is a conversation: it proposes task ids, the caller
rolls out one group for each and reports which were informative, until nothing more is proposed;
then it selects. It never sees rollouts, so the same plan can be driven by a batched generator, by a
plain `reset`/`step` loop (`MultiTaskEnv`), or by many machines at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.types import FloatArray, IntArray

PlanT = TypeVar("PlanT", bound="BatchPlan")


class BatchPlan(ABC):
    """One batch under construction.

    Attributes:
        targets: (K,) groups wanted of each task (n).
        batch_size: B.
        rounds: rounds proposed so far.
        history: per finished round, (K,) groups generated and (K,) groups filtered.
    """

    def __init__(self, targets: IntArray, batch_size: int) -> None:
        self.targets = targets
        self.batch_size = batch_size
        self.rounds = 0
        self.history: list[tuple[IntArray, IntArray]] = []
        self._task_ids: list[int] = []
        self._informative: list[bool] = []
        self._proposed = 0

    @property
    def num_tasks(self) -> int:
        return len(self.targets)

    @property
    def generated(self) -> IntArray:
        """(K,) groups reported."""
        return self._count(self._task_ids)

    @property
    def accepted(self) -> IntArray:
        """(K,) informative groups reported (c)."""
        return self._count([k for k, kept in zip(self._task_ids, self._informative, strict=True) if kept])

    def propose(self) -> list[int]:
        """Task ids of the next round, one group each; [] when the plan is done.

        Raises:
            RuntimeError: if groups of the last round have not been reported.
        """
        missing = self._proposed - len(self._task_ids)
        if missing:
            raise RuntimeError(f"report the {missing} groups still outstanding before asking for more")
        proposal = self._next_round()
        self._proposed += len(proposal)
        self.rounds += bool(proposal)
        return proposal

    def report(self, task_ids: Sequence[int], informative: Sequence[bool]) -> None:
        """Say which of the proposed groups, in the order proposed, were informative; in one call or many."""
        assert len(self._task_ids) + len(task_ids) <= self._proposed, "more groups reported than proposed"
        self._task_ids.extend(int(task_id) for task_id in task_ids)
        self._informative.extend(bool(kept) for kept in informative)
        if len(self._task_ids) == self._proposed:
            before = sum(int(generated.sum()) for generated, _ in self.history)
            of_round = list(zip(self._task_ids[before:], self._informative[before:], strict=True))
            filtered = [task_id for task_id, kept in of_round if not kept]
            self.history.append((self._count([task_id for task_id, _ in of_round]), self._count(filtered)))

    @abstractmethod
    def select(self) -> tuple[list[int], FloatArray]:
        """Which reported groups to train on, and the loss weight of each: indices in order of report."""

    @abstractmethod
    def _next_round(self) -> list[int]: ...

    def _informative_ids(self) -> list[int]:
        return [i for i, kept in enumerate(self._informative) if kept]

    def _count(self, task_ids: Sequence[int]) -> IntArray:
        return np.bincount(np.asarray(task_ids, dtype=np.int64), minlength=self.num_tasks).astype(np.int64)


class BatchSampler(ABC, Generic[PlanT]):
    """Draws plans for batches of B groups.

    Args:
        num_tasks: K.
        batch_size: B, in groups.
        seed: of the sampler's own generator.

    Raises:
        ValueError: if `num_tasks` or `batch_size` is below 1.
    """

    def __init__(self, num_tasks: int, batch_size: int, *, seed: int = 0) -> None:
        for name, value in (("num_tasks", num_tasks), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.num_tasks = num_tasks
        self.batch_size = batch_size
        self.rng = np.random.default_rng(seed)

    @abstractmethod
    def plan(self, probabilities: FloatArray) -> PlanT:
        """Start a batch whose tasks should come in proportion to z, (K,) `probabilities`.

        Raises:
            ValueError: if `probabilities` is not on the simplex.
        """

    def update(self, plan: PlanT) -> None:  # only samplers with a memory have something to learn
        """Learn from a finished plan."""

    def reseed(self, seed: int) -> None:
        """Start anew: forget everything learned, draw from `seed`."""
        self.rng = np.random.default_rng(seed)

    def state_dict(self) -> dict[str, Any]:
        """The generator and whatever was learned."""
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""
        self.rng.bit_generator.state = state["rng"]


class MultinomialPlan(BatchPlan):
    """One round, everything kept."""

    def __init__(self, targets: IntArray, batch_size: int, rng: np.random.Generator) -> None:
        super().__init__(targets, batch_size)
        self._rng = rng

    def _next_round(self) -> list[int]:
        return shuffled_tasks(self._rng, self.targets) if self.rounds == 0 else []

    def select(self) -> tuple[list[int], FloatArray]:
        return list(range(len(self._task_ids))), np.ones(len(self._task_ids))


class MultinomialSampler(BatchSampler[MultinomialPlan]):
    """B draws from z, generated once, nothing filtered (GRPO)."""

    def plan(self, probabilities: FloatArray) -> MultinomialPlan:
        z = checked_probabilities(probabilities, self.num_tasks)
        return MultinomialPlan(_multinomial(self.rng, self.batch_size, z), self.batch_size, self.rng)


class DynamicPlan(BatchPlan):
    """Rounds of the same size from z until B groups were informative; tasks are not balanced."""

    def __init__(self, sampler: DynamicSampler, z: FloatArray) -> None:
        super().__init__(_multinomial(sampler.rng, sampler.batch_size, z), sampler.batch_size)
        self._rng = sampler.rng
        self._z = z
        self._round_size = sampler.round_size
        self._max_rounds = sampler.max_rounds

    def _next_round(self) -> list[int]:
        if self.accepted.sum() >= self.batch_size or self.rounds >= self._max_rounds:
            return []
        return shuffled_tasks(self._rng, _multinomial(self._rng, self._round_size, self._z))

    def select(self) -> tuple[list[int], FloatArray]:
        kept = self._informative_ids()[: self.batch_size]
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

    def __init__(
        self, num_tasks: int, batch_size: int, *, seed: int = 0, oversampling: float = 3.0, max_rounds: int = 10
    ) -> None:
        super().__init__(num_tasks, batch_size, seed=seed)
        if max_rounds < 1:
            raise ValueError(f"max_rounds must be at least 1, got {max_rounds}")
        self.round_size = _round_size(oversampling, batch_size)
        self.max_rounds = max_rounds

    def plan(self, probabilities: FloatArray) -> DynamicPlan:
        return DynamicPlan(self, checked_probabilities(probabilities, self.num_tasks))


class RatioPreservingPlan(BatchPlan):
    """Algorithm 2: inflate by expected acceptance, then resample what each task still lacks."""

    def __init__(self, sampler: RatioPreservingSampler, z: FloatArray) -> None:
        super().__init__(_multinomial(sampler.rng, sampler.batch_size, z), sampler.batch_size)  # n ~ Multinomial(B, z)
        self._rng = sampler.rng
        self._z = z
        self._inflation = np.minimum(1 / (1 - sampler.filter_rates), sampler.max_inflation)  # m_k
        self._round_size = sampler.round_size
        self._max_resamples = sampler.max_resamples

    @property
    def deficits(self) -> IntArray:
        """(K,) informative groups each task still lacks: def_k = max(n_k - c_k, 0)."""
        return np.maximum(self.targets - self.accepted, 0)

    def _next_round(self) -> list[int]:
        if self.rounds == 0:
            demand = self._z * self._inflation  # ẑ ∝ z ∘ m
        elif self.deficits.any() and self.rounds <= self._max_resamples:
            demand = self.deficits * self._inflation
        else:
            return []
        return shuffled_tasks(self._rng, _multinomial(self._rng, self._round_size, demand / demand.sum()))

    def select(self) -> tuple[list[int], FloatArray]:
        kept = self._informative_ids()
        if len(kept) > self.batch_size:
            kept = self._at_most_targets(kept)
        return kept, np.ones(len(kept))

    def _at_most_targets(self, candidates: list[int]) -> list[int]:
        """At most n_k of each task, then up to B at random from the surplus."""
        kept, surplus = [], []
        taken = np.zeros(self.num_tasks, dtype=np.int64)
        for i in candidates:
            task_id = self._task_ids[i]
            within = taken[task_id] < self.targets[task_id]
            (kept if within else surplus).append(i)
            taken[task_id] += within
        fill = self._rng.permutation(len(surplus))[: self.batch_size - len(kept)]
        return sorted(kept + [surplus[i] for i in fill])


class RatioPreservingSampler(BatchSampler[RatioPreservingPlan]):
    """The paper's Algorithm 2: batches hold tasks in proportion to z although filtering is uneven.

    Args:
        num_tasks: K.
        batch_size: B.
        seed: of the sampler's generator.
        oversampling: M_os, groups generated per round in multiples of B.
        max_inflation: M_acc, bound on 1 / (1 - ρ_k).
        max_resamples: N_rs, rounds after the first.
        rate_decay: of the moving average ρ of the filtered share.

    Raises:
        ValueError: if an argument is out of its range.
    """

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
        if max_inflation < 1:
            raise ValueError(f"max_inflation must be at least 1, got {max_inflation}")
        if not 0 <= rate_decay < 1:
            raise ValueError(f"rate_decay must be in [0, 1), got {rate_decay}")
        self.round_size = _round_size(oversampling, batch_size)
        self.max_inflation = max_inflation
        self.max_resamples = max_resamples
        self.rate_decay = rate_decay
        self.filter_rates = np.zeros(num_tasks)  # ρ

    def plan(self, probabilities: FloatArray) -> RatioPreservingPlan:
        return RatioPreservingPlan(self, checked_probabilities(probabilities, self.num_tasks))

    def update(self, plan: RatioPreservingPlan) -> None:
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

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "filter_rates": self.filter_rates.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.filter_rates = np.asarray(state["filter_rates"], dtype=np.float64)


def checked_probabilities(probabilities: ArrayLike, num_tasks: int) -> FloatArray:
    """`probabilities` as floats, once it is certain that they lie on the simplex.

    Raises:
        ValueError: if there are not K of them, one is negative or NaN, or they do not sum to 1.
    """
    z = np.asarray(probabilities, dtype=np.float64)
    if z.shape != (num_tasks,):
        raise ValueError(f"expected {num_tasks} task weights, got shape {z.shape}")
    if not (z >= 0).all() or not np.isclose(z.sum(), 1.0, atol=1e-6):
        raise ValueError(f"task weights must be non-negative and sum to 1, got {z.tolist()} with sum {z.sum():.6g}")
    return z / z.sum()


def shuffled_tasks(rng: np.random.Generator, counts: IntArray) -> list[int]:
    """Task k `counts[k]` times, in random order, so that a cut-off round is a fair sample of it."""
    return rng.permutation(np.repeat(np.arange(len(counts)), counts)).tolist()


def _multinomial(rng: np.random.Generator, draws: int, probabilities: FloatArray) -> IntArray:
    return rng.multinomial(draws, probabilities).astype(np.int64)


def _round_size(oversampling: float, batch_size: int) -> int:
    if oversampling < 1:
        raise ValueError(f"oversampling must be at least 1, got {oversampling}")
    return round(oversampling * batch_size)

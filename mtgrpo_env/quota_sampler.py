"""Batches that hold tasks in the ratio of z at the least generation: beyond Algorithm 2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Self

import numpy as np

from mtgrpo_env.plans import BatchPlan, BatchSampler, checked_probabilities, shuffled_tasks, systematic
from mtgrpo_env.ranges import Range
from mtgrpo_env.recent_shares import RecentShares
from mtgrpo_env.shares import share_weights
from mtgrpo_env.types import FloatArray, IntArray

BUDGET_WITH_REPLAY = 2.0
"""In multiples of B: what a task still lacks is then filled with replayed groups."""
REPLAYED_BY_DEFAULT = 0.25
"""Share of a batch that replayed groups may be, of the default method: more of them collapsed a real model."""

_WITHOUT_BOUND = 1e9  # times a deficit: still an integer


class QuotaPlan(BatchPlan):
    """Rounds sized by what each task still lacks; what is lacking in the end is made up for by loss weights.

    Attributes:
        shares: (K,) groups that the loss should count of each task. E shares = B z.
    """

    def __init__(self, sampler: QuotaSampler, z: FloatArray) -> None:
        expected = sampler.batch_size * z
        super().__init__(systematic(sampler.rng, expected), sampler.batch_size)
        # What is rounded need not be where weights can be fractions; a task too small for a group comes now and then.
        self.shares = np.where(expected >= 1, expected, self.targets)
        self._sampler = sampler
        self._rates = sampler.acceptance.estimates

    def offer(self, task_ids: Sequence[int], *, spares: Sequence[int] = ()) -> None:
        """See `BatchPlan.offer`; more than may be trained on stand in for no new group."""
        super().offer(task_ids, spares=spares)
        wanted, surplus = self.split_at_targets(self.fresh)
        self.spares = sorted([*self.spares, *(wanted + surplus)[self._sampler.max_replayed_groups :]])

    @property
    def deficits(self) -> IntArray:
        """(K,) informative groups each task still lacks: def_k = max(n_k - c_k, 0)."""
        return np.maximum(self.targets - self.accepted, 0)

    def next_round(self) -> list[int]:
        deficits = self.deficits
        if self.rounds >= self._sampler.max_rounds or not deficits.any():
            return []
        counts = groups_to_generate(deficits, self._rates, confidence=self._sampler.confidence)
        return shuffled_tasks(self._sampler.rng, self._within_budget(np.minimum(counts, self._most(deficits))))

    def _most(self, deficits: IntArray) -> IntArray:
        """(K,) bounds of a round: an inflation, and for a task out of reach its target's share of the budget."""
        sampler = self._sampler
        inflated = deficits * min(sampler.max_inflation, _WITHOUT_BOUND)
        of_budget = self.targets * min(sampler.max_groups / sampler.batch_size, _WITHOUT_BOUND)
        out_of_reach = self._rates * sampler.acceptance.memory < 1
        return np.ceil(np.where(out_of_reach, np.minimum(inflated, of_budget), inflated)).astype(np.int64)

    def _within_budget(self, counts: IntArray) -> IntArray:
        """(K,) these counts, or what the budget allows: a rare task, which lacks most, leaves the others their part."""
        left = max(self._sampler.max_groups - int(self.generated.sum()), 0)
        if counts.sum() <= left:
            return counts
        return systematic(self._sampler.rng, shared_out(left, counts, self.targets))

    def select(self) -> tuple[list[int], FloatArray]:
        """At most n_k groups of each task, spares last; its weights add up to its share, but for the clip."""
        newest_first = self.spares[::-1]
        kept, _ = self.split_at_targets(self.fresh + newest_first)
        replayed = [i for i in kept if i < self.replayed]
        excess = set(replayed[self._sampler.max_replayed_groups :])
        kept = [i for i in kept if i not in excess]
        task_ids = np.asarray(self.task_ids, dtype=np.int64)[kept]
        weights = share_weights(task_ids, self.shares, clip=self._sampler.weight_clip)
        return kept, weights


class QuotaSampler(BatchSampler[QuotaPlan]):
    """Ratio-preserving batches by quotas, a rollout budget and loss weights.

    Where Algorithm 2 draws its targets and oversamples threefold, this one

    - rounds B z without bias and with the least variance: |n_k - B z_k| < 1;
    - generates of each task what it lacks, over its acceptance rate, at a given confidence;
    - stops at a budget; what a task still lacks is filled with groups that `ReplayBuffer` has kept, and the loss weighs
      each group by what is wanted of its task over what there is.

    With a budget of B and one round it restores the ratio by weighting alone; with none and more rounds, by
    sampling alone. Groups that are not needed are left for `ReplayBuffer`.

    Args:
        num_tasks: K.
        batch_size: B.
        seed: of the sampler's generator.
        max_generated: budget of a batch, in multiples of B; infinite for none. Where `ReplayBuffer` fills what is
            lacking, `BUDGET_WITH_REPLAY` is enough.
        max_rounds: rounds of a batch.
        confidence: with which a round should fill a task's quota, in (0, 1).
        max_inflation: groups generated in a round for each that a task lacks, at most.
        weight_clip: loss weights are kept between 1 / weight_clip and weight_clip; 1 leaves them all at 1.
        max_replayed: share of a batch that may be groups of earlier ones, in [0, 1].
        memory: groups of a task that its acceptance rate is estimated from, about. A task with a rate below 1 / memory
            is solved, or out of reach: so that it cannot starve the others, it gets its target's share of the budget
            and no more.

    Raises:
        ValueError: if an argument is out of its range.

    >>> sampler = QuotaSampler(2, 4)
    >>> plan = sampler.plan(np.array([0.75, 0.25]))
    >>> plan.targets
    array([3, 1])
    """

    hyperparameter_names = (
        *BatchSampler.hyperparameter_names,
        *("max_generated", "max_rounds", "confidence", "max_inflation", "weight_clip", "max_replayed"),
        "acceptance",
    )
    state_names = ("rng", "acceptance")

    def __init__(
        self,
        num_tasks: int,
        batch_size: int,
        *,
        seed: int = 0,
        max_generated: float = 3.0,
        max_rounds: int = 2,
        confidence: float = 0.6,
        max_inflation: float = 20.0,
        weight_clip: float = 2.0,
        max_replayed: float = 1.0,
        memory: float = 48.0,
    ) -> None:
        super().__init__(num_tasks, batch_size, seed=seed)
        at_least_one = {"max_generated": max_generated, "max_rounds": max_rounds}
        for name, value in {**at_least_one, "max_inflation": max_inflation, "weight_clip": weight_clip}.items():
            Range(1, math.inf).check(name, value)
        Range(0, 1, above=True, below=True).check("confidence", confidence)
        Range(0, 1).check("max_replayed", max_replayed)
        self.max_generated = max_generated
        self.max_rounds = max_rounds
        self.confidence = confidence
        self.max_inflation = max_inflation
        self.weight_clip = weight_clip
        self.max_replayed = max_replayed
        self.acceptance = RecentShares(num_tasks, memory=memory, prior_trials=2.0)  # 1 - ρ

    @classmethod
    def beside_replay(
        cls, num_tasks: int, batch_size: int, *, seed: int = 0, max_replayed: float = REPLAYED_BY_DEFAULT
    ) -> Self:
        """That of the default method: a `ReplayBuffer` fills some of what a smaller budget leaves lacking."""
        return cls(num_tasks, batch_size, seed=seed, max_generated=BUDGET_WITH_REPLAY, max_replayed=max_replayed)

    @property
    def max_groups(self) -> float:
        """Budget of a batch, in groups."""
        return float(np.floor(self.max_generated * self.batch_size))

    @property
    def max_replayed_groups(self) -> int:
        """Of earlier batches in one, at most."""
        return int(np.floor(self.max_replayed * self.batch_size + 1e-9))

    def plan(self, probabilities: FloatArray) -> QuotaPlan:
        return QuotaPlan(self, checked_probabilities(probabilities, self.num_tasks))

    def update(self, plan: BatchPlan) -> None:
        """Learn the acceptance rates of the groups that were generated."""
        for generated, filtered in plan.history:
            self.acceptance.observe(generated, generated - filtered)

    def reseed(self, seed: int) -> None:
        super().reseed(seed)
        self.acceptance.forget()


def shared_out(budget: float, wanted: IntArray, weights: IntArray) -> FloatArray:
    """(K,) parts of a budget in proportion to `weights`, none above what is wanted; what is over goes to the others.

    >>> shared_out(12, np.array([2, 40, 40]), np.array([4, 4, 2])).round(2)
    array([2.  , 6.67, 3.33])
    """
    parts, is_open = np.zeros(len(wanted)), (wanted > 0) & (weights > 0)
    while is_open.any():
        level = (budget - parts[~is_open].sum()) / weights[is_open].sum()
        parts[is_open] = np.minimum(level * weights, wanted)[is_open]
        is_full = is_open & (level * weights >= wanted)
        if not is_full.any():
            break
        is_open &= ~is_full
    return parts


def groups_to_generate(wanted: IntArray, acceptance: FloatArray, *, confidence: float) -> IntArray:
    """(K,) the least m with P(Binomial(m, a) >= wanted) >= confidence, for (K,) rates a; 0 where none is wanted.

    By the normal approximation with a continuity correction: near the exact quantile for confidences about one
    half, too large by up to a third for a high one, a rare task and one group.

    >>> groups_to_generate(np.array([0, 1, 10]), np.array([0.5, 0.1, 0.5]), confidence=0.6)
    array([ 0,  9, 21])
    """
    spread = NormalDist().inv_cdf(confidence) * np.sqrt(1 - acceptance)
    # m solves  m a - z √(m a (1 - a)) = wanted - c,  a quadratic in √m; c is 1/2 for a sure task and 1/3 for a rare
    # one, since the waiting time for w rare events has its median at w - 1/3.
    due = np.maximum(wanted - (1 / 3 + acceptance / 6), 0)
    root = (spread + np.sqrt(spread**2 + 4 * due)) / (2 * np.sqrt(acceptance))
    return np.where(wanted > 0, np.maximum(np.ceil(root**2 - 1e-9), wanted), 0).astype(np.int64)

"""Plans and samplers: which task to generate next, and which groups to train on, so that a batch comes out.

A sampler draws one *plan* per batch. The plan proposes task ids, the caller rolls out one group for each and
reports which were informative, until nothing more is proposed; then it selects. It never sees rollouts, so the same
plan can be driven by a batched generator, by a plain `reset`/`step` loop (`MultiTaskEnv`), or by many machines at once.

A sampler of one's own implements `plan`, most simply by one of the plans of `samplers` with targets of its own, and
names what it holds beyond `BatchSampler` (see `Stateful`); a plan of one's own implements `next_round` and `select`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.ranges import Range
from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import FloatArray, IntArray

PlanT = TypeVar("PlanT", bound="BatchPlan")


class BatchPlan(ABC):
    """One batch under construction.

    Attributes:
        targets: (K,) groups wanted of each task (n).
        batch_size: B.
        replayed: groups offered from earlier batches.
        spares: indices of those among them that were trained on before.
        task_ids: of the groups offered, then of those reported.
        rounds: rounds proposed so far.
        history: per finished round, (K,) groups generated and (K,) groups filtered.
    """

    def __init__(self, targets: IntArray, batch_size: int) -> None:
        self.targets = targets
        self.batch_size = batch_size
        self.replayed = 0
        self.rounds = 0
        self.history: list[tuple[IntArray, IntArray]] = []
        self.task_ids: list[int] = []  # of the groups offered, then of those reported
        self._informative: list[bool] = []
        self.spares: list[int] = []  # of the groups offered, those trained on before
        self._proposed = 0

    @property
    def num_tasks(self) -> int:
        return len(self.targets)

    @property
    def informative(self) -> list[bool]:
        """Whether each group is informative: those offered, which all are, then those reported."""
        return list(self._informative)

    @property
    def generated(self) -> IntArray:
        """(K,) groups reported."""
        return self._count(self.task_ids[self.replayed :])

    @property
    def filtered(self) -> IntArray:
        """(K,) groups reported that were not informative."""
        return self._count([k for k, kept in zip(self.task_ids, self._informative, strict=True) if not kept])

    @property
    def accepted(self) -> IntArray:
        """(K,) informative groups, offered or reported, that were not trained on before (c)."""
        return self._count([self.task_ids[i] for i in self.fresh])

    def offer(self, task_ids: Sequence[int], *, spares: Sequence[int] = ()) -> None:
        """Say which informative groups are at hand from earlier batches: before the first round, if at all.

        Args:
            task_ids: of the groups, oldest first.
            spares: indices of those that were trained on before. They stand in for no new group; a plan may fill
                with them what is lacking in the end.
        """
        assert not any((self.rounds, self.task_ids)), "groups are offered once, before any is proposed"
        self.spares = list(spares)
        self.task_ids = [int(task_id) for task_id in task_ids]
        self._informative = [True] * len(self.task_ids)
        self.replayed = self._proposed = len(self.task_ids)

    def propose(self) -> list[int]:
        """Task ids of the next round, one group each; [] when the plan is done.

        Raises:
            RuntimeError: if groups of the last round have not been reported.
        """
        missing = self._proposed - len(self.task_ids)
        if missing:
            raise RuntimeError(f"report the {missing} groups still outstanding before asking for more")
        proposal = self.next_round()
        self._proposed += len(proposal)
        self.rounds += bool(proposal)
        return proposal

    def report(self, task_ids: Sequence[int], informative: Sequence[bool]) -> None:
        """Say which of the proposed groups, in the order proposed, were informative; in one call or many."""
        assert len(self.task_ids) + len(task_ids) <= self._proposed, "more groups reported than proposed"
        self.task_ids.extend(int(task_id) for task_id in task_ids)
        self._informative.extend(bool(kept) for kept in informative)
        if len(self.task_ids) == self._proposed:
            before = self.replayed + sum(int(generated.sum()) for generated, _ in self.history)
            of_round = list(zip(self.task_ids[before:], self._informative[before:], strict=True))
            filtered = [task_id for task_id, kept in of_round if not kept]
            self.history.append((self._count([task_id for task_id, _ in of_round]), self._count(filtered)))

    @abstractmethod
    def select(self) -> tuple[list[int], FloatArray]:
        """Which groups to train on, and the loss weight of each: indices into those offered, then those reported."""

    @abstractmethod
    def next_round(self) -> list[int]:
        """Task ids to generate a group each of next, given what was reported so far; [] to end the plan."""

    @property
    def fresh(self) -> list[int]:
        """Indices of the informative groups that were not trained on before."""
        spares = set(self.spares)
        return [i for i, kept in enumerate(self._informative) if kept and i not in spares]

    def split_at_targets(self, candidates: Sequence[int]) -> tuple[list[int], list[int]]:
        """The first n_k of each task, in the order given, and the surplus."""
        kept, surplus = [], []
        taken = np.zeros_like(self.targets)
        for i in candidates:
            task_id = self.task_ids[i]
            within = taken[task_id] < self.targets[task_id]
            (kept if within else surplus).append(i)
            taken[task_id] += within
        return kept, surplus

    def _count(self, task_ids: Sequence[int]) -> IntArray:
        return np.bincount(np.asarray(task_ids, dtype=np.int64), minlength=self.num_tasks).astype(np.int64)


class BatchSampler(Stateful, ABC, Generic[PlanT]):
    """Draws plans for batches of B groups.

    Args:
        num_tasks: K.
        batch_size: B, in groups.
        seed: of the sampler's own generator.

    Raises:
        ValueError: if `num_tasks` or `batch_size` is below 1.
    """

    hyperparameter_names = ("num_tasks", "batch_size")
    state_names = ("rng",)

    def __init__(self, num_tasks: int, batch_size: int, *, seed: int = 0) -> None:
        for name, value in (("num_tasks", num_tasks), ("batch_size", batch_size)):
            Range(1).check(name, value)
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


def checked_probabilities(probabilities: ArrayLike, num_tasks: int) -> FloatArray:
    """`probabilities` as floats, once it is certain that they lie on the simplex.

    Raises:
        ValueError: if there are not K of them, one is negative or NaN, or they do not sum to 1.
    """
    z = np.asarray(probabilities, dtype=np.float64)
    if z.shape != (num_tasks,):
        raise ValueError(f"expected {num_tasks} task weights, got shape {z.shape}")
    if not (z >= 0).all() or not np.isclose(z.sum(), 1.0):
        raise ValueError(f"task weights must be non-negative and sum to 1, got {z.tolist()} with sum {z.sum():.6g}")
    return z / z.sum()


def shuffled_tasks(rng: np.random.Generator, counts: IntArray) -> list[int]:
    """Task k `counts[k]` times, in random order, so that a cut-off round is a fair sample of it."""
    return rng.permutation(np.repeat(np.arange(len(counts)), counts)).tolist()


def multinomial(rng: np.random.Generator, draws: int, probabilities: FloatArray) -> IntArray:
    """(K,) how often each task comes up in `draws` draws."""
    return rng.multinomial(draws, probabilities).astype(np.int64)


def systematic(rng: np.random.Generator, expected: FloatArray) -> IntArray:
    """(K,) integers n with E n = `expected` and |n - expected| < 1; their sum is that of `expected`, if it is whole.

    One draw decides all: a comb of unit spacing laid over the tasks, in random order, side by side.

    >>> systematic(np.random.default_rng(0), np.array([2.0, 0.5, 1.5])).sum().item()
    4
    """
    order = rng.permutation(len(expected))
    ends = np.cumsum(expected[order])
    whole = np.round(ends[-1])
    if np.isclose(ends[-1], whole, rtol=1e-9):  # or rounding errors could lose the last tooth
        ends[-1] = whole
    teeth = np.floor(ends + rng.random() * (1 - 1e-9)).astype(np.int64)
    counts = np.empty(len(expected), dtype=np.int64)
    counts[order] = np.diff(teeth, prepend=0)
    return counts


def round_size_of(oversampling: float, batch_size: int) -> int:
    """Groups in a round that generates `oversampling` times B.

    Raises:
        ValueError: if `oversampling` is below 1, or no number.
    """
    Range(1).check("oversampling", oversampling)
    return round(oversampling * batch_size)

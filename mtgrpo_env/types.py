"""The words of the project as data: problems, rollouts, groups, batches, per-task statistics.

Everything here is frozen: a value is made once, by the module that knows it, and only read after.
Shape letters used throughout: K tasks, P problems, N rollouts of a group, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LARGEST_REWARD = 1e150
"""Of a rollout, in size: squares of rewards, and sums of those, are finite."""

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


def checked_split(split: str) -> Split:
    """`split`, once it is certain that it is one.

    Raises:
        ValueError: if it is not.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {list(SPLITS)}, got {split!r}")
    return split


@dataclass(frozen=True, slots=True)
class Problem:
    """One starting state: resetting the task's env with this seed and these options gives it again.

    `index` is its place in the stream it was drawn from, if it was drawn from one; no part of what it is.
    """

    task_id: int
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    index: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One transition as the policy saw it.

    `extras` is whatever `Policy.act` returned for this action (log-probabilities, token ids); only
    the policy's own learner reads it.
    """

    observation: Any
    action: Any
    reward: float
    extras: Any = None


@runtime_checkable
class GeneratedText(Protocol):
    """Extras of an action that know how the text was generated."""

    @property
    def num_tokens(self) -> int:
        """Tokens generated."""
        ...

    @property
    def is_truncated(self) -> bool:
        """Whether a limit of tokens cut it off."""
        ...

    @property
    def log_prob(self) -> float | None:
        """Σ log p of the tokens under the distributions that they were drawn from; None if that is not known."""
        ...


@runtime_checkable
class MayFail(Protocol):
    """Extras of an action that may not have come from the model at all."""

    @property
    def is_failed(self) -> bool:
        """Whether nothing is known of how the policy acts: a server failed, say, and the rollout is invalid."""
        ...


@dataclass(frozen=True, slots=True)
class Rollout:
    """One episode.

    Attributes:
        steps: what a learner needs of it; may be left out where nobody learns.
        reward: the undiscounted return.
        is_success: whether it was correct.
        valid: False when the scorer itself failed: the reward then says nothing about the policy, and nothing may be
            learned from it.
        outcome: the verdict in a word, of tasks that have one.
        length: tokens generated, where the extras of the steps know (see `GeneratedText`), else env steps.
        is_truncated: whether a limit of tokens or of time steps cut it off.
        is_masked: it counts in every statistic and in its group's mean reward, but nothing is learned from it.
        log_prob: Σ log p of its tokens under what they were drawn from; None where the extras do not know.

    Raises:
        ValueError: if it is valid, and its reward is NaN, infinite or larger than any number can be made of.
    """

    steps: tuple[Step, ...]
    reward: float
    is_success: bool
    valid: bool = True
    outcome: str = ""
    length: int = 0
    is_truncated: bool = False
    is_masked: bool = False
    log_prob: float | None = None

    def __post_init__(self) -> None:
        if self.valid and not abs(self.reward) <= LARGEST_REWARD:
            expected = f"a reward must be finite and at most {LARGEST_REWARD:g} in size, or the rollout not valid"
            raise ValueError(f"{expected}, got {self.reward}")

    @property
    def is_learnable(self) -> bool:
        """Whether anything may be learned from it."""
        return self.valid and not self.is_masked


@dataclass(frozen=True, slots=True)
class Group:
    """N rollouts of one problem."""

    problem: Problem
    rollouts: tuple[Rollout, ...]

    @property
    def task_id(self) -> int:
        return self.problem.task_id

    @property
    def rewards(self) -> FloatArray:
        """(N,) returns."""
        return np.array([rollout.reward for rollout in self.rollouts], dtype=np.float64)

    @property
    def successes(self) -> NDArray[np.bool_]:
        """(N,) correctness."""
        return np.array([rollout.is_success for rollout in self.rollouts], dtype=np.bool_)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(N,) False where the scorer failed."""
        return np.array([rollout.valid for rollout in self.rollouts], dtype=np.bool_)

    @property
    def learnable(self) -> NDArray[np.bool_]:
        """(N,) whether anything may be learned from each."""
        return np.array([rollout.is_learnable for rollout in self.rollouts], dtype=np.bool_)


GroupFilter = Callable[[Group], bool]


@dataclass(frozen=True, slots=True)
class ResponseCounts:
    """Of all rollouts generated for a batch, of every task; (K,) amounts, which may be added over batches.

    Attributes:
        responses: rollouts.
        lengths: Σ of their lengths.
        truncated: those that a limit cut off.
        surprisals: Σ -log p of the tokens whose probability is known, in nats.
        scored_tokens: how many those are.
        unanimous: groups whose rewards are all equal.
    """

    responses: IntArray
    lengths: IntArray
    truncated: IntArray
    surprisals: FloatArray
    scored_tokens: IntArray
    unanimous: IntArray


@dataclass(frozen=True, slots=True)
class Batch:
    """What one training step sees.

    Attributes:
        groups: the P groups trained on.
        loss_weights: (P,) of each; all ones unless the sampler restores ratios by weighting.
        task_weights: (K,) z the batch was drawn with.
        targets: (K,) groups wanted of each task.
        accepted: (K,) informative groups among those that were generated.
        generated: (K,) groups generated, kept or not.
        rewards: (K,) mean reward J over *all* valid generated rollouts; NaN where there was none.
        accuracies: (K,) mean correctness over the same rollouts; NaN where there was none.
        mean_abs_advantages: (K,) mean |A| over the same rollouts, those of groups that were not informative
            counted as 0; NaN where there was none.
        round_accuracies: (rounds, K) mean correctness in each generation round; NaN where there was none.
        rounds: generation rounds the plan took.
        num_rollouts: episodes generated for this batch: the cost that generation is charged by.
        replayed: how many of `groups` were generated for earlier batches.
        responses: lengths, truncation and certainty of what was generated; None where nobody counted.
    """

    groups: tuple[Group, ...]
    loss_weights: FloatArray
    task_weights: FloatArray
    targets: IntArray
    accepted: IntArray
    generated: IntArray
    rewards: FloatArray
    accuracies: FloatArray
    mean_abs_advantages: FloatArray
    round_accuracies: FloatArray
    rounds: int
    num_rollouts: int
    replayed: int = 0
    responses: ResponseCounts | None = None

    @property
    def num_tasks(self) -> int:
        return len(self.targets)

    @property
    def task_ids(self) -> IntArray:
        """(P,) task of each group."""
        return np.array([group.task_id for group in self.groups], dtype=np.int64)

    @property
    def kept(self) -> IntArray:
        """(K,) groups trained on."""
        return np.bincount(self.task_ids, minlength=self.num_tasks).astype(np.int64)

    @property
    def kept_rollouts(self) -> IntArray:
        """(K,) rollouts trained on."""
        sizes = [len(group.rollouts) for group in self.groups]
        return np.bincount(self.task_ids, weights=sizes, minlength=self.num_tasks).astype(np.int64)

    def part(self, indices: Sequence[int] | IntArray) -> Self:
        """A minibatch: the same batch with these of its groups alone to train on."""
        groups = tuple(self.groups[i] for i in indices)
        return replace(self, groups=groups, loss_weights=self.loss_weights[np.asarray(indices, dtype=np.int64)])


@dataclass(frozen=True, slots=True)
class TaskStats:
    """What a rule for the task weights may look at when it moves them; every array is (K,).

    Attributes:
        rewards: J_k, an estimate of the expected reward; NaN for a task whose latest rollouts were all invalid: it
            neither gains nor loses.
        improvements: I_k, how much the task's GRPO objective was improved; 0 for an absent task.
        mean_abs_advantages: mean |A| over all rollouts that were *generated* for the task, filtered groups
            counted as 0; NaN for an absent task.
        rollouts: how many that were; None where nobody counted.
    """

    rewards: FloatArray
    improvements: FloatArray
    mean_abs_advantages: FloatArray
    rollouts: IntArray | None = None


def per_task_mean(values: Sequence[float] | FloatArray, task_ids: IntArray, num_tasks: int) -> FloatArray:
    """(K,) mean of `values` (P,) within each task; NaN where a task has none.

    >>> per_task_mean([1.0, 3.0, 5.0], np.array([0, 0, 2]), 3)
    array([ 2., nan,  5.])
    """
    totals = np.bincount(task_ids, weights=np.asarray(values, dtype=np.float64), minlength=num_tasks)
    counts = np.bincount(task_ids, minlength=num_tasks)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)

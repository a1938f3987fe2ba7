"""A task's share of a batch: by prompts, by tokens or by Σ|advantage|, and loss weights that make it what is wanted.

What a group counts in the gradient depends on the loss. Under a mean over rollouts or over groups every group counts
alike and prompt share is loss share; under a mean over tokens a task counts by its tokens; and a group whose
rewards differ more has the larger advantages.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.ranges import Range
from mtgrpo_env.types import Batch, FloatArray, Group, IntArray

GroupMeasure = Callable[[Group], float]
"""How much a group counts."""


def count_groups(group: Group) -> float:
    """Every group alike."""
    return 1.0


def absolute_advantage(group: Group) -> float:
    """Σ|A| over its rollouts."""
    return float(np.abs(group_advantages(group)).sum())


def totals(batch: Batch, measure: GroupMeasure) -> FloatArray:
    """(K,) what the batch holds of each task, each group counted by the measure times its loss weight."""
    amounts = batch.loss_weights * np.array([measure(group) for group in batch.groups])
    return np.bincount(batch.task_ids, weights=amounts, minlength=batch.num_tasks).astype(np.float64)


def reweight_to_target_shares(batch: Batch, measure: GroupMeasure, *, clip: float = 3.0) -> Batch:
    """The batch with loss weights that give each task by `measure` the share it had by groups.

    Args:
        batch: weighted as its sampler has it.
        measure: by which shares shall be right.
        clip: no task's weights are changed by more than this factor.

    Raises:
        ValueError: if `clip` is below 1.
    """
    Range(1, math.inf).check("clip", clip)
    by_groups, measured = totals(batch, count_groups), totals(batch, measure)
    per_group = measured.sum() / max(by_groups.sum(), 1e-12)
    factors = np.clip(per_group * by_groups / np.maximum(measured, 1e-12), 1 / clip, clip)
    return replace(batch, loss_weights=batch.loss_weights * factors[batch.task_ids])


def share_weights(task_ids: IntArray, shares: FloatArray, *, clip: float) -> FloatArray:
    """(P,) loss weights with which groups of these tasks count in the ratio of (K,) `shares`.

    Before the clip their mean is 1. A task without a group is left out; the others keep their ratio.

    >>> share_weights(np.array([0, 0, 1]), np.array([1.0, 1.0]), clip=3.0)
    array([0.75, 0.75, 1.5 ])
    """
    counts = np.bincount(task_ids, minlength=len(shares))
    scale = counts.sum() / max(shares[counts > 0].sum(), 1e-12)
    weights = np.clip(scale * shares / np.maximum(counts, 1), 1 / clip, clip)
    return weights[task_ids]

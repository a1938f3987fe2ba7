"""The paper's figures of merit, from per-task accuracies (K,) in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtgrpo_env.types import FloatArray


def worst_task(accuracies: FloatArray) -> float:
    """min_k Acc_k over the tasks that are known; NaN if none is."""
    known = accuracies[~np.isnan(accuracies)]
    return float(np.min(known)) if known.size else float("nan")


def average(accuracies: FloatArray) -> float:
    """mean_k Acc_k."""
    return float(np.mean(accuracies))


def relative_change(accuracies: FloatArray, base: FloatArray) -> float:
    """Δm% = mean_k (Acc_k - Acc_k^base) / Acc_k^base, in per cent.

    Raises:
        ValueError: if a base accuracy is 0: the relative change is then undefined.

    >>> round(relative_change(np.array([0.6, 0.5]), base=np.array([0.5, 0.5])), 6)
    10.0
    """
    if np.any(np.asarray(base) <= 0):
        raise ValueError(f"every base accuracy must be above 0, got {np.asarray(base).tolist()}")
    return float(100 * np.mean((accuracies - base) / base))


def cost_to_threshold(costs: Sequence[float], scores: Sequence[float], threshold: float) -> float:
    """What it cost (steps, rollouts or seconds) until the score first reached the threshold; inf if never.

    >>> cost_to_threshold([0, 10, 20], [0.1, 0.4, 0.6], threshold=0.5)
    20.0
    """
    for cost, score in zip(costs, scores, strict=True):
        if score >= threshold:
            return float(cost)
    return float("inf")

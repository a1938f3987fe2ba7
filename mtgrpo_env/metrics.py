"""The paper's figures of merit, from per-task accuracies (K,) in [0, 1].

A task that was not played has no accuracy: it is None or NaN, and is left out of every figure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtgrpo_env.types import FloatArray

Accuracies = FloatArray | Sequence[float | None]


def worst_task(accuracies: Accuracies) -> float:
    """min_k Acc_k over the tasks that were played; NaN if none was.

    >>> worst_task([0.6, None, 0.3])
    0.3
    """
    return float(worst_tasks(np.asarray(accuracies, dtype=np.float64)))


def average(accuracies: Accuracies) -> float:
    """mean_k Acc_k over the tasks that were played; NaN if none was.

    >>> round(average([0.6, None, 0.3]), 6)
    0.45
    """
    return float(averages(np.asarray(accuracies, dtype=np.float64)))


def worst_tasks(accuracies: FloatArray) -> FloatArray:
    """`worst_task` of each row: (..., K) gives (...)."""
    played = ~np.isnan(accuracies)
    least = np.min(accuracies, axis=-1, where=played, initial=np.inf)
    return np.where(played.any(axis=-1), least, np.nan)


def averages(accuracies: FloatArray) -> FloatArray:
    """`average` of each row: (..., K) gives (...)."""
    played = ~np.isnan(accuracies)
    total = np.where(played, accuracies, 0.0).sum(axis=-1)
    count = played.sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


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

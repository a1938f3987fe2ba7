"""The numbers of each task (see `batch_metrics`), pooled over the steps and seeds of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtgrpo_env.agents.reports.compared_runs import Run
from mtgrpo_env.agents.reports.comparison import per_step
from mtgrpo_env.batch_metrics import task_amounts, task_ratios
from mtgrpo_env.types import FloatArray

SMOOTHING = 5
"""Steps that curves of shares and rates are averaged over: those of one batch are small counts."""


def overall_numbers(runs: Sequence[Run]) -> Mapping[str, FloatArray]:
    """(K,) task weights, shares and filter rates over all steps and seeds, by name; without what was not recorded.

    Args:
        runs: of one length, one a seed.
    """
    weights = per_step(runs, "probabilities")
    ratios = task_ratios({name: amount.sum(axis=0) for name, amount in _mean_amounts(runs).items()})
    return ratios if weights is None else {"task_weight": weights.mean(axis=0), **ratios}


def smoothed_numbers(runs: Sequence[Run]) -> Mapping[str, FloatArray]:
    """(steps, K) the same for each step and those before it that are smoothed over."""
    weights = per_step(runs, "probabilities")
    ratios = task_ratios({name: smoothed(amount) for name, amount in _mean_amounts(runs).items()})
    return ratios if weights is None else {"task_weight": smoothed(weights), **ratios}


def smoothed(values: FloatArray) -> FloatArray:
    """(steps, ...) mean of each row and up to `SMOOTHING` - 1 rows before it."""
    totals = np.cumsum(values, axis=0, dtype=np.float64)
    totals[SMOOTHING:] -= totals[:-SMOOTHING].copy()
    counts = np.minimum(np.arange(len(values)) + 1, SMOOTHING)
    return totals / counts.reshape(-1, *[1] * (totals.ndim - 1))


def _mean_amounts(runs: Sequence[Run]) -> Mapping[str, FloatArray]:
    """(steps, K) amounts, averaged over runs; those that every step recorded."""
    seeds = [[task_amounts(record) for record in run.records] for run in runs]
    steps = [amounts for steps in seeds for amounts in steps]
    names = [name for name in (steps[0] if steps else ()) if all(name in amounts for amounts in steps)]
    return {name: np.mean([[amounts[name] for amounts in steps] for steps in seeds], axis=0) for name in names}

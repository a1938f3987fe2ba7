"""What each task asked for and what it got: weight, shares of what is trained on, groups without gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtgrpo_env.agents.reports.comparison import Run, per_step
from mtgrpo_env.agents.reports.history import Record
from mtgrpo_env.types import FloatArray

SHARES: Mapping[str, str] = {"kept": "prompts", "actions": "tokens", "abs_advantages": "Σ|advantage|"}
"""Field of a step's record, and of what it makes a task's share."""

SMOOTHING = 5
"""Steps that curves of shares and rates are averaged over: those of one batch are small counts."""


@dataclass(frozen=True, slots=True)
class TaskStatistics:
    """Over all steps and seeds of a method, (K,) each; None where it was not recorded.

    Attributes:
        weight: mean task weight.
        shares: of all that was trained on, by the fields of `SHARES`.
        without_gradient: share of the generated groups.
    """

    weight: FloatArray | None
    shares: Mapping[str, FloatArray | None]
    without_gradient: FloatArray | None


def task_statistics(runs: Sequence[Run]) -> TaskStatistics:
    """The statistics of a method's runs, which must be of one length."""
    weights, accepted, generated = (per_step(runs, name) for name in ("probabilities", "accepted", "generated"))
    return TaskStatistics(
        weight=None if weights is None else weights.mean(axis=0),
        shares={field: _total_share(in_the_loss(runs, field)) for field in SHARES},
        without_gradient=None
        if accepted is None or generated is None
        else rejected_shares(accepted.sum(axis=0), generated.sum(axis=0)),
    )


def in_the_loss(runs: Sequence[Run], field: str) -> FloatArray | None:
    """(steps, K) of what was trained on, times its weight in the loss, averaged over runs; None if one lacks it."""
    if per_step(runs, field) is None:
        return None
    return np.mean([[loss_amounts(record, field) for record in run.records] for run in runs], axis=0)


def loss_amounts(record: Record, field: str) -> FloatArray:
    """(K,) a field of a step's record times the groups' loss weights; runs made before these were recorded had none."""
    return np.asarray(record[field], dtype=np.float64) * record.get("loss_weights", 1.0)


def shares(counts: Sequence[Any] | FloatArray) -> FloatArray:
    """(steps, K) each row as shares of its sum; a row of zeros stays so."""
    array = np.asarray(counts, dtype=np.float64)
    totals = array.sum(axis=1, keepdims=True)
    return array / np.where(totals > 0, totals, 1)


def rejected_shares(accepted: FloatArray, generated: FloatArray) -> FloatArray:
    """The share of generated groups that carried no gradient; NaN where none was generated."""
    return 1 - np.divide(accepted, generated, out=np.full(generated.shape, np.nan), where=generated > 0)


def smoothed(values: FloatArray) -> FloatArray:
    """(steps, ...) mean of each row and up to `SMOOTHING` - 1 rows before it."""
    totals = np.cumsum(values, axis=0, dtype=np.float64)
    totals[SMOOTHING:] -= totals[:-SMOOTHING].copy()
    counts = np.minimum(np.arange(len(values)) + 1, SMOOTHING)
    return totals / counts.reshape(-1, *[1] * (totals.ndim - 1))


def _total_share(counts: FloatArray | None) -> FloatArray | None:
    return None if counts is None else shares(counts.sum(axis=0, keepdims=True))[0]

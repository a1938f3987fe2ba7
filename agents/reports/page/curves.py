"""Curves of series: accuracy against each cost with intervals over seeds, and what was recorded of every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtgrpo_env.agents.reports.compared_runs import Cost, Run
from mtgrpo_env.agents.reports.comparison import Budget, per_step
from mtgrpo_env.agents.reports.page.content import Series
from mtgrpo_env.agents.reports.statistics import Interval, at_budget, bootstrap_interval, mean_band
from mtgrpo_env.agents.reports.task_statistics import smoothed, smoothed_numbers
from mtgrpo_env.types import FloatArray

_POINTS = 61  # of a curve whose seeds were evaluated at different costs

Accuracy = Callable[[Run], FloatArray]
"""(E,) of a run's evaluations: of one task, of the worst, or their average."""


@dataclass(frozen=True, slots=True)
class Curve:
    """(P,) points, and the ends of the interval over seeds; NaN where something is unknown."""

    x: FloatArray
    y: FloatArray
    low: FloatArray
    high: FloatArray


def worst(run: Run) -> FloatArray:
    """(E,) accuracy of the worst task that was played."""
    return run.worst


def average(run: Run) -> FloatArray:
    """(E,) accuracy averaged over the tasks that were played."""
    return run.average


def of_task(k: int) -> Accuracy:
    """Accuracies of one task."""
    return lambda run: run.accuracies[:, k]


def scores(runs: Sequence[Run], accuracy: Accuracy, budget: Budget) -> FloatArray:
    """(S,) of each run at a budget."""
    return np.array([float(at_budget(run.costs[budget.cost], accuracy(run), budget.amount)) for run in runs])


def accuracy_curve(series: Series, accuracy: Accuracy, cost: Cost) -> Curve:
    """An accuracy against a cost, as far as every seed has spent it."""
    grid = _grid(series.runs, cost)
    values = np.array([[float(at_budget(run.costs[cost], accuracy(run), x)) for x in grid] for run in series.runs])
    return Curve(grid, values.mean(axis=0), *mean_band(values, resampling()))


def task_curves(series: Series) -> Mapping[str, FloatArray]:
    """(steps, K) task weights, shares and filter rates, by name; without what a run did not record."""
    return smoothed_numbers(series.even)


def step_curve(series: Series, field: str) -> FloatArray | None:
    """(steps, ...) a number of every step's record, smoothed; None where a run did not record it."""
    values = per_step(series.even, field)
    return None if values is None else smoothed(values)


def seconds_curve(series: Series) -> FloatArray | None:
    """(steps,) of generating and learning, smoothed; None likewise."""
    parts = [step_curve(series, name) for name in ("rollout_seconds", "update_seconds")]
    return None if parts[0] is None or parts[1] is None else parts[0] + parts[1]


def mean_curves(series: Series, field: str) -> FloatArray | None:
    """(steps, K) of a field that is unknown for tasks absent from a batch; None likewise."""
    runs = series.even
    if not runs[0].records or any(field not in record for run in runs for record in run.records):
        return None
    return _mean_over_seeds(np.array([[record[field] for record in run.records] for run in runs], dtype=np.float64))


def learner_scalars(series: Series) -> dict[str, FloatArray]:
    """(steps,) of every scalar that the learner reports; NaN in steps that had nothing to train on."""
    reported = [[record.get("learner", {}) for record in run.records] for run in series.even]
    names = dict.fromkeys(name for run in reported for scalars in run for name in scalars)
    columns = {name: [[scalars.get(name) for scalars in run] for run in reported] for name in names}
    return {name: _mean_over_seeds(np.array(values, dtype=np.float64)) for name, values in columns.items()}


def interval(values: FloatArray) -> Interval:
    """The mean of (S,) values over seeds and its interval."""
    return bootstrap_interval(values, resampling())


def resampling() -> np.random.Generator:
    """Draws the same for every number of a page, so that a number that stands in two places has one interval."""
    return np.random.default_rng(0)


def _grid(runs: Sequence[Run], cost: Cost) -> FloatArray:
    """Where the seeds were evaluated, if that was at the same costs; otherwise evenly."""
    end = min(run.costs[cost][-1] for run in runs)
    own = runs[0].costs[cost]
    if all(np.array_equal(run.costs[cost][: len(own)], own[: len(run.costs[cost])]) for run in runs):
        return own[own <= end]
    return np.linspace(0, end, _POINTS)


def _mean_over_seeds(values: FloatArray) -> FloatArray:
    """(steps, ...) of (S, steps, ...), over the seeds that know a value; NaN where none does."""
    known = ~np.isnan(values)
    totals, counts = np.where(known, values, 0).sum(axis=0), known.sum(axis=0)
    return np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)

"""Pictures of methods side by side: at equal budgets, along the way, and on the way to a threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from mtgrpo_env.agents.reports.compared_runs import COSTS, Cost, Run
from mtgrpo_env.agents.reports.comparison import BASE, MEASURES, Budget, Comparison, Measure
from mtgrpo_env.agents.reports.figure_style import SHARE_LIMITS, color, line_style, shared_legend, write
from mtgrpo_env.agents.reports.statistics import Arrival, at_budget, mean_band
from mtgrpo_env.agents.reports.summary import Summary
from mtgrpo_env.types import FloatArray

_MEASURE_LABELS: Mapping[Measure, str] = {
    "worst": "worst-task accuracy",
    "average": "average accuracy",
    "relative": f"Δm % against {BASE}",
}
_CURVE_POINTS = 121


def draw_budgets(comparison: Comparison, summary: Summary, file: Path) -> None:
    """Worst task, average and relative change of every method at equal budgets, a dot for each seed."""
    methods = list(comparison.tuned)
    shape = len(MEASURES), len(comparison.budgets)
    figure = Figure(figsize=(1 + 4 * shape[1], shape[0] * (1.2 + 0.26 * len(methods))), layout="constrained")
    grid = figure.subplots(*shape, sharey=True, sharex="row", squeeze=False)
    for row, measure in zip(grid, MEASURES, strict=True):
        for axes, budget in zip(row, comparison.budgets, strict=True):
            _budget_bars(axes, comparison, summary, measure, budget)
    for axes, (cost, amount) in zip(grid[0], comparison.budgets, strict=True):
        axes.set_title(f"equal {comparison.settings.cost_names[cost]}: {amount:,.0f}", fontsize=10)
    grid[0, 0].set_yticks(range(len(methods)), methods)
    grid[0, 0].invert_yaxis()
    figure.suptitle("Every method at its best learning rate; whiskers: 95 % of the mean over seeds")
    write(figure, file)


def _budget_bars(axes: Axes, comparison: Comparison, summary: Summary, measure: Measure, budget: Budget) -> None:
    for i, method in enumerate(comparison.tuned):
        interval = summary.scores[method, measure, budget]
        if math.isnan(interval.mean):
            axes.text(0, i, " undefined", va="center", fontsize=8, color="gray")
            continue
        axes.barh(i, interval.mean, color=color(i), alpha=0.75)
        if not math.isnan(interval.low):
            axes.plot([interval.low, interval.high], [i, i], color="black", linewidth=1.5)
        seeds = comparison.scores(comparison.chosen(method), measure, budget)
        axes.plot(seeds, np.full(len(seeds), i), "o", color="black", markerfacecolor="white", markersize=4)
    axes.set_xlabel(_MEASURE_LABELS[measure], fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    if measure == "relative":
        axes.axvline(0, color="black", linewidth=0.8)


def draw_curves(comparison: Comparison, file: Path, *, rng: np.random.Generator) -> None:
    """The worst task against each of the three costs, its mean and its interval over seeds."""
    figure = Figure(figsize=(14, 5.5), layout="constrained")
    row = figure.subplots(1, 3, sharey=True)
    for axes, cost in zip(row, COSTS, strict=True):
        for i, method in enumerate(comparison.tuned):
            _curve(axes, comparison.chosen(method), cost, i, method, rng)
        for budget in comparison.budgets:
            if budget.cost == cost:
                axes.axvline(budget.amount, color="black", linestyle=":", linewidth=1)
        for threshold in comparison.settings.thresholds:
            axes.axhline(threshold, color="gray", linewidth=0.8)
        axes.set(xlabel=comparison.settings.cost_names[cost], ylim=SHARE_LIMITS)
        _short_numbers(axes, cost)
        axes.grid(alpha=0.3)
    row[0].set_ylabel("held-out accuracy of the worst task")
    shared_legend(figure, row[0])
    figure.suptitle("Worst task: mean and 95 % interval over seeds; dotted: the budgets at which methods are compared")
    write(figure, file)


def _curve(axes: Axes, runs: Sequence[Run], cost: Cost, index: int, label: str, rng: np.random.Generator) -> None:
    grid = np.linspace(0, min(run.costs[cost][-1] for run in runs), _CURVE_POINTS)
    curves = _interpolated(runs, cost, grid)
    axes.plot(grid, curves.mean(axis=0), label=label, **line_style(index))
    low, high = mean_band(curves, rng)
    axes.fill_between(grid, low, high, color=color(index), alpha=0.12, linewidth=0)


def _interpolated(runs: Sequence[Run], cost: Cost, grid: FloatArray) -> FloatArray:
    """(S, points) worst-task accuracies."""
    return np.array([[float(at_budget(run.costs[cost], run.worst, spent)) for spent in grid] for run in runs])


def draw_thresholds(comparison: Comparison, summary: Summary, file: Path) -> None:
    """What it costs to reach the thresholds; pale bars with an arrow are known only to cost more."""
    methods, thresholds = list(comparison.tuned), comparison.settings.thresholds
    figure = Figure(figsize=(13, 0.6 + (1 + 0.34 * len(methods)) * len(thresholds)), layout="constrained")
    grid = figure.subplots(len(thresholds), 3, sharex="col", sharey=True, squeeze=False)
    for row, threshold in zip(grid, thresholds, strict=True):
        for axes, cost in zip(row, COSTS, strict=True):
            for i, method in enumerate(methods):
                _threshold_bar(axes, summary.arrivals[method, threshold, cost, "first"], i)
            _short_numbers(axes, cost)
            axes.margins(x=0.25)
            axes.grid(axis="x", alpha=0.3)
            axes.set_axisbelow(True)
        row[0].set_ylabel(f"{threshold:.0%}")
    for axes, cost in zip(grid[-1], COSTS, strict=True):
        axes.set_xlabel(comparison.settings.cost_names[cost])
        axes.set_xlim(left=0)  # last: it ends the scaling to what is drawn
    grid[0, 0].set_yticks(range(len(methods)), methods)
    grid[0, 0].invert_yaxis()
    title = "Median cost of a worst-task accuracy, 95 % of the median, and the seeds that arrive; pale: not yet there"
    figure.suptitle(title)
    write(figure, file)


def _short_numbers(axes: Axes, cost: Cost) -> None:
    """Rollouts in thousands, and no fractions of a step."""
    if cost == "rollouts":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    elif cost == "steps":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _threshold_bar(axes: Axes, arrival: Arrival, index: int) -> None:
    never = math.isinf(arrival.median)
    length = arrival.horizon if never else arrival.median
    axes.barh(index, length, color=color(index), alpha=0.25 if never else 0.75)
    end = length
    if never:
        axes.plot(length, index, ">", color=color(index), markersize=7)
    elif not math.isnan(arrival.low):
        end = max(length, arrival.horizon if math.isinf(arrival.high) else arrival.high)
        axes.plot([arrival.low, end], [index, index], color="black", linewidth=1.5)
        if math.isinf(arrival.high):
            axes.plot(end, index, ">", color="black", markersize=5)
    away = {"xytext": (8, 0), "textcoords": "offset points"}
    axes.annotate(f"{arrival.arrived}/{arrival.seeds}", (end, index), va="center", fontsize=8, **away)

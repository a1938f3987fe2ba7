"""Every number that a comparison states, computed once, so that its table and its figures agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np

from mtgrpo_env.agents.reports.compared_runs import COSTS, Cost, Run
from mtgrpo_env.agents.reports.comparison import MEASURES, Budget, Comparison, Measure
from mtgrpo_env.agents.reports.statistics import (
    Arrival,
    CostRatio,
    Curves,
    Interval,
    arrival,
    bootstrap_interval,
    cost_ratio,
    paired_difference,
    running_means,
)

Crossing = Literal["first", "smoothed"]
CROSSINGS: tuple[Crossing, ...] = get_args(Crossing)


@dataclass(frozen=True, slots=True)
class Summary:
    """Statements on methods, each at its best point of the grid.

    Attributes:
        scores: by method, measure and budget.
        arrivals: by method, threshold and cost, each at the first evaluation there and of the running means.
        differences: the first method minus each other one, over the seeds that both have.
        ratios: what a threshold costs the first method over what it costs each other one, likewise, both crossings.
    """

    scores: Mapping[tuple[str, Measure, Budget], Interval]
    arrivals: Mapping[tuple[str, float, Cost, Crossing], Arrival]
    differences: Mapping[tuple[str, Measure, Budget], Interval]
    ratios: Mapping[tuple[str, float, Cost, Crossing], CostRatio]


def summarise(comparison: Comparison, rng: np.random.Generator) -> Summary:
    """Compute all of it; the generator resamples the seeds."""
    scores: dict[tuple[str, Measure, Budget], Interval] = {}
    arrivals: dict[tuple[str, float, Cost, Crossing], Arrival] = {}
    differences: dict[tuple[str, Measure, Budget], Interval] = {}
    ratios: dict[tuple[str, float, Cost, Crossing], CostRatio] = {}
    for method in comparison.tuned:
        runs = comparison.chosen(method)
        for crossing, threshold, cost in product(CROSSINGS, comparison.settings.thresholds, COSTS):
            key = (method, threshold, cost, crossing)
            arrivals[key] = arrival(*_curves(runs, cost, crossing), threshold, rng)
            if method != comparison.first:
                sides = (_curves(side, cost, crossing) for side in _paired(comparison, method))
                ratios[key] = cost_ratio(*sides, threshold, rng)
        for budget, measure in product(comparison.budgets, MEASURES):
            scores[method, measure, budget] = bootstrap_interval(comparison.scores(runs, measure, budget), rng)
            if measure != "relative" and method != comparison.first:
                differences[method, measure, budget] = _difference(comparison, method, measure, budget, rng)
    return Summary(scores, arrivals, differences, ratios)


def _difference(
    comparison: Comparison, other: str, measure: Measure, budget: Budget, rng: np.random.Generator
) -> Interval:
    """The first method minus another."""
    own, others = (comparison.scores(runs, measure, budget) for runs in _paired(comparison, other))
    return paired_difference(own, others, rng)


def _paired(comparison: Comparison, other: str) -> list[list[Run]]:
    """The runs of the first method and of another, of the seeds that both have."""
    sides = [{run.seed: run for run in comparison.chosen(method)} for method in (comparison.first, other)]
    seeds = [seed for seed in sides[0] if seed in sides[1]]
    return [[side[seed] for seed in seeds] for side in sides]


def _curves(runs: Sequence[Run], cost: Cost, crossing: Crossing) -> Curves:
    scores = [run.worst if crossing == "first" else running_means(run.worst) for run in runs]
    return [run.costs[cost] for run in runs], scores

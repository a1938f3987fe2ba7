"""Every number that a comparison states, computed once, so that its table and its figures agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

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
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Statements on methods, each at its best point of the grid.

    Attributes:
        scores: by method, measure and budget.
        arrivals: by method, threshold and cost.
        differences: the first method minus each other one, over the seeds that both have.
        ratios: what a threshold costs the first method over what it costs each other one, likewise.
    """

    scores: Mapping[tuple[str, Measure, Budget], Interval]
    arrivals: Mapping[tuple[str, float, Cost], Arrival]
    differences: Mapping[tuple[str, Measure, Budget], Interval]
    ratios: Mapping[tuple[str, float, Cost], CostRatio]


def summarise(comparison: Comparison, rng: np.random.Generator) -> Summary:
    """Compute all of it; the generator resamples the seeds."""
    scores: dict[tuple[str, Measure, Budget], Interval] = {}
    arrivals: dict[tuple[str, float, Cost], Arrival] = {}
    differences: dict[tuple[str, Measure, Budget], Interval] = {}
    ratios: dict[tuple[str, float, Cost], CostRatio] = {}
    for method in comparison.tuned:
        runs = comparison.chosen(method)
        for key in product(comparison.settings.thresholds, COSTS):
            arrivals[method, *key] = arrival(*_curves(runs, key[1]), key[0], rng)
            if method != comparison.first:
                ratios[method, *key] = _ratio(comparison, method, *key, rng)
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


def _ratio(comparison: Comparison, other: str, threshold: float, cost: Cost, rng: np.random.Generator) -> CostRatio:
    """The first method over another."""
    own, others = (_curves(runs, cost) for runs in _paired(comparison, other))
    return cost_ratio(own, others, threshold, rng)


def _paired(comparison: Comparison, other: str) -> list[list[Run]]:
    """The runs of the first method and of another, of the seeds that both have."""
    sides = [{run.seed: run for run in comparison.chosen(method)} for method in (comparison.first, other)]
    seeds = [seed for seed in sides[0] if seed in sides[1]]
    return [[side[seed] for seed in seeds] for side in sides]


def _curves(runs: Sequence[Run], cost: Cost) -> Curves:
    return [run.costs[cost] for run in runs], [run.worst for run in runs]

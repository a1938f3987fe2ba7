"""Every number that a comparison states, computed once, so that its table and its figures agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from mtgrpo_env.agents.reports.comparison import COSTS, MEASURES, Budget, Comparison, Cost, Measure
from mtgrpo_env.agents.reports.statistics import Arrival, Interval, arrival, bootstrap_interval, paired_difference


@dataclass(frozen=True, slots=True)
class Summary:
    """Statements on methods, each at its best learning rate.

    Attributes:
        scores: by method, measure and budget.
        arrivals: by method and cost, at the threshold of the settings.
        differences: the first method minus each other one, over the seeds that both have.
    """

    scores: Mapping[tuple[str, Measure, Budget], Interval]
    arrivals: Mapping[tuple[str, Cost], Arrival]
    differences: Mapping[tuple[str, Measure, Budget], Interval]


def summarise(comparison: Comparison, rng: np.random.Generator) -> Summary:
    """Compute all of it; the generator resamples the seeds."""
    scores: dict[tuple[str, Measure, Budget], Interval] = {}
    arrivals: dict[tuple[str, Cost], Arrival] = {}
    differences: dict[tuple[str, Measure, Budget], Interval] = {}
    threshold = comparison.settings.threshold
    for method in comparison.tuned:
        runs = comparison.chosen(method)
        for cost in COSTS:
            arrivals[method, cost] = arrival([r.costs[cost] for r in runs], [r.worst for r in runs], threshold, rng)
        for budget, measure in product(comparison.budgets, MEASURES):
            scores[method, measure, budget] = bootstrap_interval(comparison.scores(runs, measure, budget), rng)
            if measure != "relative" and method != comparison.first:
                differences[method, measure, budget] = _difference(comparison, method, measure, budget, rng)
    return Summary(scores, arrivals, differences)


def _difference(
    comparison: Comparison, other: str, measure: Measure, budget: Budget, rng: np.random.Generator
) -> Interval:
    """The first method minus another."""
    sides = [{run.seed: run for run in comparison.chosen(method)} for method in (comparison.first, other)]
    seeds = [seed for seed in sides[0] if seed in sides[1]]
    own, others = (comparison.scores([side[seed] for seed in seeds], measure, budget) for side in sides)
    return paired_difference(own, others, rng)

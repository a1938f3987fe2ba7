"""What may be said of several seeds: intervals, curves at common budgets, costs that were never paid in full."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtgrpo_env.metrics import cost_to_threshold
from mtgrpo_env.types import FloatArray

LEVEL = 0.95
_RESAMPLES = 4000
NORMAL_QUANTILE = 1.959964
"""Of `LEVEL`, two-sided."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds between the ends of its bootstrap interval; NaN ends when fewer than two seeds know it."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """What it costs to reach a threshold, when not every seed gets there.

    Attributes:
        median: over seeds, "never" counting as infinite; the upper one of an even number.
        low: end of the median's interval.
        high: end of the median's interval; infinite when it lies beyond the horizon.
        arrived: seeds that reached the threshold.
        seeds: of them all.
        horizon: the least that a seed had spent when it gave up; infinite if none did.
    """

    median: float
    low: float
    high: float
    arrived: int
    seeds: int
    horizon: float


@dataclass(frozen=True, slots=True)
class CostRatio:
    """Median cost of a threshold over another method's; infinite or NaN where the first does not get there.

    Attributes:
        value: of the medians.
        low: end of its interval over resampled seeds.
        high: end of its interval.
        at_most: whether the other method's median lies beyond its runs, so that the ratio is no more than `value`.
    """

    value: float
    low: float
    high: float
    at_most: bool


Curves = tuple[Sequence[FloatArray], Sequence[FloatArray]]
"""What each seed had spent at its evaluations, and what it scored there."""


def bootstrap_interval(values: Sequence[float] | FloatArray, rng: np.random.Generator) -> Interval:
    """The mean of one value for each seed, and its 95 % percentile interval over resampled seeds.

    With few seeds such intervals are too narrow: of normal values, the intervals of 3, 5 and 10 seeds cover the truth
    in about 74, 84 and 91 of 100 cases. NaN anywhere makes everything NaN: a mean over the seeds that happen to be
    known is another mean.

    >>> interval = bootstrap_interval([0.4, 0.5, 0.6], np.random.default_rng(0))
    >>> round(interval.mean, 3), interval.low < 0.5 < interval.high
    (0.5, True)
    """
    array = np.asarray(values, dtype=np.float64)  # (S,)
    if not array.size or np.isnan(array).any():
        return Interval(math.nan, math.nan, math.nan)
    low, high = mean_band(array[:, None], rng)
    return Interval(float(array.mean()), float(low[0]), float(high[0]))


def mean_band(curves: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Both ends of the bootstrap interval of the mean over seeds, at every point of (S, P) curves.

    Whole curves are resampled. One seed alone has no interval: its ends are NaN.
    """
    num_seeds, num_points = curves.shape
    if num_seeds < 2:
        return np.full(num_points, np.nan), np.full(num_points, np.nan)
    counts = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=_RESAMPLES)  # (R, S) draws of each seed
    low, high = np.quantile(counts @ curves / num_seeds, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def paired_difference(own: FloatArray, other: FloatArray, rng: np.random.Generator) -> Interval:
    """The mean of own - other (S,) over the same seeds, which cancels what the seeds have in common.

    Raises:
        ValueError: if the two do not have as many seeds.
    """
    if len(own) != len(other):
        raise ValueError(f"expected as many seeds on both sides, got {len(own)} and {len(other)}")
    return bootstrap_interval(own - other, rng)


def at_budget(costs: FloatArray, scores: FloatArray, budget: float) -> FloatArray:
    """Scores (E,) or (E, K) interpolated linearly to one budget; NaN beyond what was spent.

    Args:
        costs: spent before each of the E evaluations, in rising order.
        scores: of the evaluations.
        budget: what every method may spend.

    >>> float(at_budget(np.array([0.0, 10.0]), np.array([0.25, 0.75]), 5.0))
    0.5
    """
    if not costs[0] <= budget <= costs[-1]:
        return np.full(scores.shape[1:], np.nan)
    right = max(1, int(np.searchsorted(costs, budget)))
    if len(costs) == 1 or costs[right] == costs[right - 1]:
        return scores[min(right, len(costs) - 1)]
    share = (budget - costs[right - 1]) / (costs[right] - costs[right - 1])
    return (1 - share) * scores[right - 1] + share * scores[right]


def share_interval(share: float, count: float) -> Interval:
    """A share of `count` problems that are right or wrong, and Wilson's 95 % interval, which holds for few as well.

    >>> interval = share_interval(0.5, 100)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.404, 0.596)
    """
    if not count or math.isnan(share):
        return Interval(share, math.nan, math.nan)
    weight = NORMAL_QUANTILE**2 / count
    middle = (share + weight / 2) / (1 + weight)
    radius = math.sqrt(weight * share * (1 - share) + weight**2 / 4) / (1 + weight)
    return Interval(share, middle - radius, middle + radius)


def area_under_curve(costs: FloatArray, scores: FloatArray, *, up_to: float = math.inf) -> float:
    """The score averaged over what was spent, by trapezoids: high for methods that are early as well as good.

    Args:
        costs: (E,) spent before each evaluation, in rising order.
        scores: (E,).
        up_to: what counts of it; the score there is interpolated.
    """
    if up_to < costs[-1]:
        within = costs < up_to
        scores = np.append(scores[within], at_budget(costs, scores, up_to))
        costs = np.append(costs[within], up_to)
    if costs[-1] == costs[0]:
        return float(scores[-1])
    widths = np.diff(costs)
    return float((widths * (scores[1:] + scores[:-1]) / 2).sum() / widths.sum())


def running_means(scores: FloatArray) -> FloatArray:
    """(E,) each score averaged with those just before and after it, but the first, which is the start of all.

    A first crossing of the scores themselves rewards noise.

    >>> running_means(np.array([0.0, 3.0, 0.0]))
    array([0. , 1. , 1.5])
    """
    sums, counts = (np.convolve(values, np.ones(3))[1:-1] for values in (scores, np.ones(len(scores))))
    return np.append(scores[:1], (sums / counts)[1:])


def arrival(
    costs: Sequence[FloatArray], scores: Sequence[FloatArray], threshold: float, rng: np.random.Generator
) -> Arrival:
    """The cost at which a score first reached a threshold, over seeds; one curve of E evaluations for each.

    A seed that never arrives is censored: all that is known is that it would cost more than its run did. The median
    with "never" as infinite uses that and no more; a mean would need to know how much more.
    """
    paid = np.array([cost_to_threshold(c.tolist(), s.tolist(), threshold) for c, s in zip(costs, scores, strict=True)])
    if not paid.size:
        raise ValueError("expected at least one seed, got none")
    given_up = [float(c[-1]) for c, p in zip(costs, paid, strict=True) if math.isinf(p)]
    draws = rng.integers(len(paid), size=(_RESAMPLES, len(paid))) if len(paid) > 1 else np.zeros((1, 1), dtype=int)
    medians = np.sort(_upper_median(paid[draws]))
    low, high = (float(medians[round((len(medians) - 1) * q)]) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Arrival(
        median=float(_upper_median(paid[None])[0]),
        low=low if len(paid) > 1 else math.nan,
        high=high if len(paid) > 1 else math.nan,
        arrived=int(np.isfinite(paid).sum()),
        seeds=len(paid),
        horizon=min(given_up, default=math.inf),
    )


def cost_ratio(own: Curves, other: Curves, threshold: float, rng: np.random.Generator) -> CostRatio:
    """What it costs one method to reach a threshold over what it costs another, paired by seed.

    A run of the other method that never arrives counts as if it had with the last it spent: that makes the ratio
    larger than it is, never smaller.
    """
    own_paid, other_paid = (
        np.array([cost_to_threshold(c.tolist(), s.tolist(), threshold) for c, s in zip(*curves, strict=True)])
        for curves in (own, other)
    )
    censored = np.isinf(other_paid)
    least = np.where(censored, [costs[-1] for costs in other[0]], other_paid)
    draws = rng.integers(len(least), size=(_RESAMPLES, len(least))) if len(least) > 1 else np.zeros((1, 1), dtype=int)
    ratios = np.sort(_upper_median(own_paid[draws]) / _upper_median(least[draws]))
    low, high = (float(ratios[round((len(ratios) - 1) * q)]) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return CostRatio(
        value=float(_upper_median(own_paid[None])[0] / _upper_median(least[None])[0]),
        low=low if len(least) > 1 else math.nan,
        high=high if len(least) > 1 else math.nan,
        at_most=bool(np.isinf(_upper_median(other_paid[None])[0])),
    )


def _upper_median(rows: FloatArray) -> FloatArray:
    """Of each row; without arithmetic, which infinities would turn into NaN."""
    return np.sort(rows, axis=1)[:, rows.shape[1] // 2]

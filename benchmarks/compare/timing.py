"""Racing contenders in one process, turn by turn, on CPU time: the ratio holds on a machine that others use too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Work = Callable[[], int]
"""Does something, and returns how many items that was."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each contender works."""

    rounds: int
    seconds: float
    """CPU seconds of each contender in each round, at the least."""


@dataclass(frozen=True, slots=True)
class Race:
    """Rates of each contender, one per round, in items per second."""

    rates: Mapping[str, Sequence[float]]

    def rate(self, name: str) -> float | None:
        """The median rate; None of a contender that did not start."""
        return median(self.rates[name]) if name in self.rates else None

    def ratio(self, ours: str, theirs: str) -> float | None:
        """The median over rounds of ours by theirs: what slows a round down slows both."""
        if ours not in self.rates or theirs not in self.rates:
            return None
        return median(a / b for a, b in zip(self.rates[ours], self.rates[theirs], strict=True))


def race(works: Mapping[str, Work | None], pace: Pace, clock: Callable[[], float] = time.process_time) -> Race:
    """Let contenders take turns: ours, theirs, ours, theirs; None stands for one that is not installed."""
    starters = {name: work for name, work in works.items() if work is not None}
    for work in starters.values():
        work()  # imports, caches and tables are not what is measured
    rates: dict[str, list[float]] = {name: [] for name in starters}
    for _ in range(pace.rounds):
        for name, work in starters.items():
            items, start = 0, clock()
            while (elapsed := clock() - start) < pace.seconds or elapsed == 0:
                items += work()
            rates[name].append(items / elapsed)
    return Race(rates)

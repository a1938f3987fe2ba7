"""Numbers and tables in Markdown, written alike in every report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mtgrpo_env.agents.reports.statistics import Interval


def percent(interval: Interval, form: str = ".1f") -> str:
    """A share with its interval, in per cent."""
    return with_interval(Interval(100 * interval.mean, 100 * interval.low, 100 * interval.high), form)


def with_interval(interval: Interval, form: str) -> str:
    """A mean with its interval, if it has one; "-" for NaN.

    >>> with_interval(Interval(2.0, 1.5, 2.5), ".1f")
    '2.0 [1.5, 2.5]'
    """
    if math.isnan(interval.mean):
        return "-"
    text = f"{interval.mean:{form}}"
    return text if math.isnan(interval.low) else f"{text} [{interval.low:{form}}, {interval.high:{form}}]"


def number_range(counts: Iterable[int]) -> str:
    """A number that several things have, or the least and the most of them.

    >>> number_range([300, 300]), number_range([300, 4, 40])
    ('300', '4 to 300')
    """
    numbers = sorted(set(counts))
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; whatever a cell holds stays in it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)

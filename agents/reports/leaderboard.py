"""All agents on one suite, the one with the best worst task first, with chance beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.cell import Cell
from mtgrpo_env.agents.reports.markdown import percent
from mtgrpo_env.chance import UNKNOWN

HEADER = ("agent", "worst task", "accuracy %", *chance_columns.COLUMNS, "average %")


def leaderboard_rows(cells: Sequence[Cell], failed: Sequence[str] = ()) -> Iterator[list[str]]:
    """The header, then a row for each agent; equal worst tasks are ordered by the average.

    Args:
        cells: of one suite.
        failed: the agents that failed on it, whose cells are empty and stand last.
    """
    yield [*HEADER]
    for cell in sorted(cells, key=_rank):
        worst = _worst_task(cell)
        chance = cell.chance.get(worst, UNKNOWN)
        yield [cell.agent, worst, worst_accuracy(cell), *chance_columns.cells(chance), percent(cell.scores.average)]
    for agent in failed:
        yield [agent, *(["-"] * (len(HEADER) - 1))]


def worst_accuracy(cell: Cell) -> str:
    """Of the worst task, with the mark of one that is not above chance."""
    worst = cell.scores.worst
    return f"{percent(worst)}{chance_columns.mark(worst.low, cell.chance.get(_worst_task(cell), UNKNOWN))}"


def _worst_task(cell: Cell) -> str:
    return next((task.task for task in cell.scores.tasks if not math.isnan(task.accuracy.mean)), "-")


def _rank(cell: Cell) -> tuple[float, float]:
    """Falls with the worst task; what is unknown comes last."""
    worst, average = cell.scores.worst.mean, cell.scores.average.mean
    return (math.inf, math.inf) if math.isnan(worst) else (-worst, -average)

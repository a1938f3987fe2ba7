"""What a run came to on each task, the worst first: one table for trackers and model cards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from mtgrpo_env.agents.reports.history import Record, chance_of
from mtgrpo_env.agents.reports.statistics import Interval, share_interval
from mtgrpo_env.chance import Chance


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task at the start and at an evaluation; shares, NaN where they are not known.

    Attributes:
        task: its name.
        start: accuracy at the first evaluation.
        accuracy: at the evaluation that is shown.
        low: end of its 95 % interval over problems.
        high: its other end.
        guess: accuracy of guesses.
        constant: of the best constant answer.
        problems: held out.
    """

    task: str
    start: float
    accuracy: float
    low: float
    high: float
    guess: float
    constant: float
    problems: int

    @property
    def interval(self) -> Interval:
        """Of the accuracy."""
        return Interval(self.accuracy, self.low, self.high)


COLUMNS = tuple(field.name for field in fields(TaskRow))
"""Of `cells`."""


def task_rows(names: Sequence[str], records: Sequence[Record], *, step: int | None = None) -> list[TaskRow]:
    """The tasks of a run, the worst first; those of which nothing is known last. Empty before any evaluation.

    Args:
        names: of the K tasks.
        records: of the run's history.
        step: whose evaluation is shown; by default the last.
    """
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    shown = [record for record in evaluations if step is None or record["step"] == step]
    if not shown:
        return []
    start, end = (np.array(record["accuracies"], dtype=np.float64) for record in (evaluations[0], shown[-1]))
    chance = chance_of(records) or Chance.unknown(len(names))
    rows: list[TaskRow] = []
    for k in np.argsort(end, kind="stable").tolist():  # NaN comes last
        problems = int(shown[-1]["counts"][k])
        interval = share_interval(float(end[k]), problems)
        guess, constant, _ = chance.of_task(k)
        accuracies = (float(start[k]), float(end[k]), interval.low, interval.high)
        rows.append(TaskRow(names[k], *accuracies, guess, constant, problems))
    return rows


def cells(row: TaskRow) -> list[str | float | None]:
    """A row for a table that knows no NaN."""
    return [None if isinstance(value, float) and math.isnan(value) else value for value in astuple(row)]

"""Checks of tasks by playing them, and of rows by judging each row's own answer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from mtgrpo_env.checker import TaskCheckError, check_task
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.rows import rows_problems, rows_suite
from mtgrpo_env.evaluation import evaluate_answers, oracle
from mtgrpo_env.suite import Task, TaskError


@dataclass(frozen=True, slots=True)
class TaskCheck:
    """What `check_task` found.

    Attributes:
        task: its name.
        fault: the promise that the task breaks; None if it keeps all.
        warnings: what may be meant so.
    """

    task: str
    fault: str | None
    warnings: tuple[str, ...] = ()


def checked_task(task: Task, *, num_problems: int) -> TaskCheck:
    """Check a task by playing `num_problems` problems of each split."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            check_task(task, num_problems=num_problems)
    except TaskCheckError as error:
        return TaskCheck(task.name, str(error))
    return TaskCheck(task.name, None, tuple(str(warning.message) for warning in caught))


def rows_judged_wrong(rows: Sequence[Row]) -> list[Row]:
    """The rows whose own answer is not judged right."""
    suite = rows_suite(rows)
    wrong: list[Row] = []
    for row, problem in zip(rows, rows_problems(suite, rows), strict=True):
        try:
            is_right = evaluate_answers(suite, oracle, [problem]).average == 1
        except TaskError:
            is_right = False
        if not is_right:
            wrong.append(row)
    return wrong

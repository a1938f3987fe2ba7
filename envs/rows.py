"""Files of rows as tasks; see `row_schema` for the columns that are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mtgrpo_env.envs import row_schema
from mtgrpo_env.envs.answers import BoxedTask, Extraction, reason_tasks
from mtgrpo_env.envs.records import read_records
from mtgrpo_env.envs.row import GroundTruth, Row
from mtgrpo_env.envs.row_scorers import RowScorer, VerifierScorer
from mtgrpo_env.envs.row_table import RowTable
from mtgrpo_env.envs.rows_env import RowsEnv
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task import Task
from mtgrpo_env.types import Problem, Split

__all__ = [
    "Row",
    "RowsEnv",
    "ground_truth_of",
    "read_rows",
    "rows_problems",
    "rows_suite",
    "shared_problems",
    "task_type",
]


def read_rows(path: str | Path) -> list[Row]:
    """The problems of a `.parquet` or `.jsonl` file, in order.

    Raises:
        ValueError: naming file, row and column, what was expected there and what was found.
        ImportError: if the file is parquet and pyarrow is not installed.
    """
    return [row_schema.row_of(record, position) for position, record in enumerate(read_records(Path(path)))]


def rows_suite(
    rows: Sequence[Row], *, split: Split = "train", seed: int = 0, extraction: Extraction = "last-box"
) -> TaskSuite:
    """One task for each task and level among the rows, in the order they appear, split as in `RowsEnv`.

    Raises:
        ValueError: if there are no rows, or one is of an unknown task or level.
    """
    if not rows:
        raise ValueError("expected at least one row, got none")
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(row.name, []).append(row)
    tasks = [Task.from_text(name, _rows_env(of_task, extraction)) for name, of_task in members.items()]
    return TaskSuite(tasks, split=split, seed=seed)


def rows_problems(suite: TaskSuite, rows: Sequence[Row]) -> list[Problem]:
    """One problem for each row of a `rows_suite`, in the rows' order."""
    seen = [0] * suite.num_tasks
    problems: list[Problem] = []
    for row in rows:
        task_id = suite.names.index(row.name)
        problems.append(Problem(task_id, 0, {"index": seen[task_id]}, index=seen[task_id]))
        seen[task_id] += 1
    return problems


def shared_problems(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Leaks: pairs of rows, one of each list, that hold the same problem by its canonical key, however it is worded.

    Raises:
        ValueError: naming file and row, if a row is of an unknown task or has a malformed ground truth.
    """
    known = {_identity(row): row for row in first}
    return [(known[identity], row) for row in second if (identity := _identity(row)) in known]


def task_type(name: str, source: str) -> type[BoxedTask[Any]]:
    """The task of that name.

    Raises:
        ValueError: naming `source`, if there is none.
    """
    known = reason_tasks()
    if name not in known:
        raise ValueError(f"{source}: task must be one of {list(known)}, got {name!r}")
    return known[name]


def task_named(task: BoxedTask[Any]) -> str:
    """The name that rows call a task by: the inverse of `task_type`.

    Raises:
        ValueError: if it has none.
    """
    known = reason_tasks()
    for name, env_type in known.items():
        if isinstance(task, env_type):
            return name
    raise ValueError(f"task must be one of {[env.__name__ for env in known.values()]}, got {task!r}")


def ground_truth_of(env: object, puzzle: Any) -> tuple[str, GroundTruth]:
    """By what another process could judge a puzzle: the name of its registered task, and its ground truth.

    Raises:
        ValueError: if the env is neither a `BoxedTask` with such a name nor a `RowsEnv`.
    """
    if isinstance(env, RowsEnv):
        return puzzle.row.task, puzzle.row.ground_truth
    if isinstance(env, BoxedTask):
        return task_named(env), env.ground_truth(puzzle)
    raise ValueError(f"a {type(env).__name__} has no ground truth: only the env itself can judge")


def _rows_env(rows: Sequence[Row], extraction: Extraction) -> Callable[[], RowsEnv]:
    scorer = _scorer(rows[0], extraction)
    return partial(RowsEnv, scorer, RowTable(scorer, rows))  # the envs of a group share it


def _scorer(row: Row, extraction: Extraction = "last-box") -> RowScorer:
    task = task_type(row.task, row.source)(row.level or "easy", extraction=extraction)
    return VerifierScorer(task, name=row.task)


def _identity(row: Row) -> tuple[str, str]:
    scorer = _scorer(row)
    return row.task, scorer.key(scorer.problem(row))

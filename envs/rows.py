"""Files of rows as tasks; see `row_schema` for the columns that are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mtgrpo_env.envs import row_schema
from mtgrpo_env.envs.answers import BoxedTask, Extraction, reason_tasks
from mtgrpo_env.envs.records import read_records
from mtgrpo_env.envs.row import GroundTruth, Row
from mtgrpo_env.envs.row_bounds import bounded_rows
from mtgrpo_env.envs.row_rewards import Rewards, RowScorers, by_task
from mtgrpo_env.envs.row_scorers import VerifierScorer, as_fields
from mtgrpo_env.envs.row_table import RowTable
from mtgrpo_env.envs.rows_env import RowsEnv
from mtgrpo_env.row_options import RowOptions
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task import Task
from mtgrpo_env.types import Problem, Split

__all__ = [
    "Row",
    "RowsEnv",
    "file_suite",
    "ground_truth_of",
    "read_rows",
    "rows_problems",
    "rows_suite",
    "scored_suite",
    "shared_problems",
]


def read_rows(source: str | Path, *, columns: Mapping[str, str] | None = None) -> list[Row]:
    """The problems of a file, a folder or a data set (see `read_records`), in order.

    Args:
        source: of the rows.
        columns: names of columns that are not found by themselves: "prompt", "answer", "task", "level" and "split", by
            the row's own; "" for one that is not to be read.

    Raises:
        ValueError: naming file, row and column, what was expected there and what was found.
        ImportError: if pyarrow or datasets is needed and not installed.
    """
    return [row_schema.row_of(record, i, columns) for i, record in enumerate(bounded_rows(read_records(source)))]


def rows_suite(
    rows: Sequence[Row],
    *,
    reward: Rewards = None,
    correct_at: float = 1.0,
    split: Split = "train",
    seed: int = 0,
    extraction: Extraction = "last-box",
) -> TaskSuite:
    """One task for each task and level among the rows, in the order they appear, split as in `RowsEnv`.

    Args:
        rows: of one or several files.
        reward: what scores responses, for all tasks or by their names, as in `named_scorer`; by default the verifier
            of the task that a row names.
        correct_at: reward of a function from which on a response counts as correct.
        split: where problems are drawn from.
        seed: of the streams of problems.
        extraction: how an answer is found in a response.

    Raises:
        MissingReward: if nothing scores the rows of a task.
        ValueError: if there are no rows, or one cannot be scored.
    """
    scorers = RowScorers(reward, correct_at=correct_at, extraction=extraction)
    scorers.check_used(by_task(rows))
    return scored_suite(rows, scorers, split=split, seed=seed)


def file_suite(
    sources: Iterable[str],
    *,
    options: RowOptions,
    split: Split = "train",
    seed: int = 0,
    extraction: Extraction = "last-box",
) -> TaskSuite:
    """The rows of files, pooled, as a suite.

    Raises:
        ValueError: as in `read_rows` and `rows_suite`.
    """
    sources = list(sources)
    rows = [row for source in sources for row in read_rows(source, columns=options.column_names)]
    if not rows:
        raise ValueError(f"expected at least one row in {', '.join(sources)}, got none")
    scorers = RowScorers(options.rewards, correct_at=options.correct_at, extraction=extraction)
    return scored_suite(rows, scorers, split=split, seed=seed)


def scored_suite(rows: Sequence[Row], scorers: RowScorers, *, split: Split = "train", seed: int = 0) -> TaskSuite:
    """`rows_suite` with scorers that may be of further tasks too.

    Raises:
        MissingReward: if nothing scores the rows of a task.
        ValueError: if there are no rows, or one cannot be scored.
    """
    if not rows:
        raise ValueError("expected at least one row, got none")
    members = by_task(rows)
    scorers.check(members)
    tables = {name: RowTable(scorers.of(of_task[0]), of_task) for name, of_task in members.items()}
    tasks = [Task.from_text(name, partial(RowsEnv, table.scorer, table)) for name, table in tables.items()]
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


def shared_problems(
    first: Sequence[Row], second: Sequence[Row], *, scorers: RowScorers | None = None
) -> list[tuple[Row, Row]]:
    """Leaks: pairs of rows, one of each list, that hold the same problem by its canonical key, however it is worded.

    The tasks' names do not count: where rows name none, that of the file would set copies apart.

    Args:
        first: rows.
        second: others.
        scorers: of their tasks; by default what the rows themselves are scored by.

    Raises:
        MissingReward: if nothing scores the rows of a task.
        ValueError: naming file and row, if a row has a malformed ground truth.
    """
    scorers = scorers or RowScorers()

    def identity(row: Row) -> tuple[str, str]:
        scorer = scorers.of(row)
        verifier = type(scorer.task).__name__ if isinstance(scorer, VerifierScorer) else ""
        return verifier, scorer.key(scorer.problem(row))

    known = {identity(row): row for row in first}
    return [(known[of_row], row) for row in second if (of_row := identity(row)) in known]


def task_named(task: BoxedTask[Any]) -> str:
    """The name that rows call a task by.

    Raises:
        ValueError: if it has none.
    """
    known = reason_tasks()
    for name, env_type in known.items():
        if isinstance(task, env_type):
            return name
    raise ValueError(f"task must be one of {[env.__name__ for env in known.values()]}, got {task!r}")


def ground_truth_of(env: object, puzzle: Any) -> tuple[str, GroundTruth]:
    """By what another process could score a puzzle: the name of its task, and its ground truth.

    The ground truth names its "reward" where that is built in and not the verifier of the task.

    Raises:
        ValueError: if the env is neither a `BoxedTask` with such a name nor a `RowsEnv`.
    """
    if isinstance(env, RowsEnv):
        row, reward = puzzle.row, env.scorer.name
        is_own = reward.partition("-")[0] == row.task or ":" in reward
        return row.task, row.ground_truth if is_own else {**as_fields(row.ground_truth), "reward": reward}
    if isinstance(env, BoxedTask):
        return task_named(env), env.ground_truth(puzzle)
    raise ValueError(f"a {type(env).__name__} has no ground truth: only the env itself can judge")

"""Data rows as tasks: verl-style parquet, or JSONL; see `row_schema` for the columns.

Multiple-choice records of the SciKnowEval format are read as rows of the `science` task.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mtgrpo_env.envs import row_schema
from mtgrpo_env.envs.answers import BoxedTask, Extraction, reason_tasks
from mtgrpo_env.envs.records import Record, read_records
from mtgrpo_env.envs.science import sciknoweval_row
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task import Task
from mtgrpo_env.task_registry import task_class, task_names
from mtgrpo_env.text_env import Provenance, TextEnv, Verdict, split_of
from mtgrpo_env.types import SPLITS, Problem, Split, checked_split


@dataclass(frozen=True, slots=True)
class Row:
    """One problem of a data file.

    Attributes:
        task: the first part of `data_source`, or the `task` column.
        level: the second part of `data_source`, or the `level` column; None if the row has neither.
        split: the last part of `data_source`, or the `split` column; None if the row has neither.
        prompt: what a policy is shown, as one text.
        ground_truth: what the task's `from_ground_truth` reads.
        index: the row's own `extra_info.index`, else its place in the file, from 0.
        question: the row's own `extra_info.question`, which may differ from what the prompt asks; else the prompt.
        source: the file's name and the row's number in it, from 1, for messages.
    """

    task: str
    level: str | None
    split: str | None
    prompt: str
    ground_truth: Mapping[str, Any] = field(hash=False)
    index: int
    question: str
    source: str


@dataclass(frozen=True, slots=True)
class RowPuzzle:
    """A row and the puzzle its ground truth describes."""

    row: Row
    problem: Any


class RowsEnv(TextEnv[RowPuzzle]):
    """The rows of a file as problems of a task: prompts are the rows' own, answers are judged by the task.

    `reset(options={"index": i})` shows `rows[i]`; otherwise the rows are drawn at random, those of one
    split if `options` names one. A row that says "train" is of the train split, one that says anything else of
    the test split; rows that say nothing are split by the problem's key, like generated puzzles.

    Args:
        task: judges the answers; its own level and split play no part.
        rows: what `read_rows` gave, or a selection of it.
        render_mode: None or "ansi".

    Raises:
        ValueError: if there are no rows, or a row belongs to another task or has a malformed ground truth.
    """

    option_names = frozenset({"index", "split"})

    def __init__(self, task: BoxedTask[Any], rows: Sequence[Row], *, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        if not rows:
            raise ValueError("rows must hold at least one row, got none")
        self.task = task
        self.puzzles = tuple(RowPuzzle(row, _problem(task, row)) for row in rows)
        self._of_split: dict[Split, list[RowPuzzle]] = {split: [] for split in SPLITS}
        for puzzle in self.puzzles:
            self._of_split[self.split_of(puzzle)].append(puzzle)

    def split_of(self, puzzle: RowPuzzle) -> Split:
        """The split a row belongs to."""
        named = puzzle.row.split
        return split_of(self.key(puzzle)) if named is None else "train" if named == "train" else "test"

    def draw(self, puzzle_seed: int, options: Mapping[str, Any]) -> RowPuzzle:
        """The row at `options["index"]` if given, else the row that `puzzle_seed` names.

        Raises:
            ValueError: if there is no such row.
        """
        if "index" in options:
            return self._at(options["index"])
        rng = np.random.default_rng(puzzle_seed)
        if "split" not in options:
            return self.generate(rng)
        split = checked_split(options["split"])
        if not self._of_split[split]:
            raise ValueError(f"none of the {len(self.puzzles)} rows belongs to the {split} split")
        return self._of_split[split][int(rng.integers(len(self._of_split[split])))]

    def generate(self, rng: np.random.Generator) -> RowPuzzle:
        """Draw a row."""
        return self.puzzles[int(rng.integers(len(self.puzzles)))]

    def prompt(self, puzzle: RowPuzzle) -> str:
        return puzzle.row.prompt

    def verify(self, puzzle: RowPuzzle, response: str) -> Verdict:
        return self.task.verify(puzzle.problem, response)

    def oracle(self, puzzle: RowPuzzle) -> str:
        return self.task.oracle(puzzle.problem)

    def guess(self, puzzle: RowPuzzle, rng: np.random.Generator) -> str:
        return self.task.guess(puzzle.problem, rng)

    def reply(self, puzzle: RowPuzzle, responses: Sequence[str]) -> Verdict | str:
        return self.task.reply(puzzle.problem, responses)

    def prefetch(self, puzzle: RowPuzzle, response: str) -> None:
        self.task.prefetch(puzzle.problem, response)

    def key(self, puzzle: RowPuzzle) -> str:
        return self.task.key(puzzle.problem)

    def _at(self, index: Any) -> RowPuzzle:
        try:
            position = operator.index(index)
        except TypeError:
            raise ValueError(f"options['index'] must be an int, got {index!r:.80}") from None
        if not 0 <= position < len(self.puzzles):
            raise ValueError(f"options['index'] must be within 0..{len(self.puzzles) - 1}, got {position}")
        return self.puzzles[position]

    def _provenance(self, puzzle: RowPuzzle, puzzle_seed: int, options: Mapping[str, Any]) -> Provenance:
        made = super()._provenance(puzzle, puzzle_seed, options)
        task, split = self.task, self.split_of(puzzle)
        return made._replace(task=type(task).__name__, version=task.version, level=puzzle.row.level or "", split=split)


def read_rows(path: str | Path) -> list[Row]:
    """The problems of a `.parquet` or `.jsonl` file, in order.

    Raises:
        ValueError: naming file, row and column, what was expected there and what was found.
        ImportError: if the file is parquet and pyarrow is not installed.
    """
    return [_row(record, position) for position, record in enumerate(read_records(Path(path)))]


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
        members.setdefault(task_name(row), []).append(row)
    tasks = [Task.from_text(name, _rows_env(of_task, extraction)) for name, of_task in members.items()]
    return TaskSuite(tasks, split=split, seed=seed)


def rows_problems(suite: TaskSuite, rows: Sequence[Row]) -> list[Problem]:
    """One problem for each row of a `rows_suite`, in the rows' order."""
    seen = [0] * suite.num_tasks
    problems: list[Problem] = []
    for row in rows:
        task_id = suite.names.index(task_name(row))
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


def task_name(row: Row) -> str:
    """What the row's task is called in a suite: with its level, if it has one."""
    return f"{row.task}-{row.level}" if row.level else row.task


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


def ground_truth_of(env: object, puzzle: Any) -> tuple[str, Mapping[str, Any]]:
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
    task = task_type(rows[0].task, rows[0].source)(rows[0].level or "easy", extraction=extraction)
    return partial(RowsEnv, task, rows)


def _identity(row: Row) -> tuple[str, str]:
    task = task_type(row.task, row.source)()
    return row.task, task.key(_problem(task, row))


def _from_sciknoweval(record: Record) -> Record:
    try:
        return Record(sciknoweval_row(record.columns), record.source)
    except ValueError as error:
        raise ValueError(f"{record.source}: {error}") from error


def _problem(task: BoxedTask[Any], row: Row) -> Any:
    if row.task in task_names() and not isinstance(task, task_class(row.task)):
        raise ValueError(f"{row.source}: expected a row of {type(task).__name__}, got one of {row.task!r}")
    try:
        # The prompt, not `row.question`: it is what the policy reads, so it is what a guess may go by.
        return task.from_ground_truth(row.ground_truth, row.prompt)
    except ValueError as error:
        raise ValueError(f"{row.source}, column ground_truth: {error}") from error


def _row(record: Record, position: int) -> Row:
    if record.find("answerKey") is not None:
        record = _from_sciknoweval(record)
    task, level, split = row_schema.names(record)
    prompt = row_schema.prompt(record)
    index = record.find("extra_info.index", "index")
    if index is None:
        index = position
    elif isinstance(index, bool) or not isinstance(index, int):
        raise record.error("extra_info.index or index", "an int", index)
    return Row(
        task=task,
        level=level,
        split=split,
        prompt=prompt,
        ground_truth=row_schema.ground_truth(record),
        index=index,
        question=record.text("extra_info.question", "question") or prompt,
        source=record.source,
    )

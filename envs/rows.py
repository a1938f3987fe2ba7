"""Data rows as tasks, and stored responses for re-scoring: parquet in verl's layout, or JSONL.

A row has a `data_source` like `countdown-very_hard-test` (or a plain `task`), a `prompt` (text or chat
messages) and a `ground_truth`, alone or inside `reward_model`. All else, `extra_info` included, is optional.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.mtreason import REASON_TASKS
from mtgrpo_env.envs.records import Record, read_records
from mtgrpo_env.text_env import TextEnv, Verdict


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
class StoredResponse:
    """A response somebody generated earlier, with what it takes to score it; the fields are as in `Row`."""

    task: str
    level: str | None
    ground_truth: Mapping[str, Any] = field(hash=False)
    prompt: str
    response: str
    source: str


@dataclass(frozen=True, slots=True)
class RowPuzzle:
    """A row and the puzzle its ground truth describes."""

    row: Row
    problem: Any


class RowsEnv(TextEnv[RowPuzzle]):
    """The rows of a file as problems of a task: prompts are the rows' own, answers are judged by the task.

    `reset(options={"index": i})` shows `rows[i]`; otherwise the rows are drawn at random.

    Args:
        task: judges the answers; its own level and split play no part.
        rows: what `read_rows` gave, or a selection of it.
        render_mode: None or "ansi".

    Raises:
        ValueError: if there are no rows, or a row belongs to another task or has a malformed ground truth.
    """

    option_names = frozenset({"index"})

    def __init__(self, task: BoxedTask[Any], rows: Sequence[Row], *, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        if not rows:
            raise ValueError("rows must hold at least one row, got none")
        self.task = task
        self.puzzles = tuple(RowPuzzle(row, _problem(task, row)) for row in rows)

    def draw(self, puzzle_seed: int, options: Mapping[str, Any]) -> RowPuzzle:
        """The row at `options["index"]` if given, else the row that `puzzle_seed` names.

        Raises:
            ValueError: if there is no such row.
        """
        if "index" not in options:
            return self.generate(np.random.default_rng(puzzle_seed))
        try:
            index = operator.index(options["index"])
        except TypeError:
            raise ValueError(f"options['index'] must be an int, got {options['index']!r:.80}") from None
        if not 0 <= index < len(self.puzzles):
            raise ValueError(f"options['index'] must be within 0..{len(self.puzzles) - 1}, got {index}")
        return self.puzzles[index]

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


def read_rows(path: str | Path) -> list[Row]:
    """The problems of a `.parquet` or `.jsonl` file, in order.

    Raises:
        ValueError: naming file, row and column, what was expected there and what was found.
        ImportError: if the file is parquet and pyarrow is not installed.
    """
    return [_row(record, position) for position, record in enumerate(read_records(Path(path)))]


def read_responses(path: str | Path) -> Iterator[StoredResponse]:
    """Stored responses of a `.jsonl` or `.parquet` file, one at a time, however long the file is.

    Each has a `response`, a `ground_truth` and a `task` or `data_source`; other columns are ignored.

    Raises:
        ValueError: on reaching a malformed row; the message is as in `read_rows`.
        ImportError: as in `read_rows`.
    """
    for record in read_records(Path(path)):
        task, level, _ = _names(record)
        prompt = "" if record.find("prompt") is None else _prompt(record)
        response = record.text("response")
        if response is None:
            raise record.error("response", "a str", None)
        yield StoredResponse(task, level, _ground_truth(record), prompt, response, record.source)


def task_type(row: Row | StoredResponse) -> type[BoxedTask[Any]]:
    """The task that judges a row.

    Raises:
        ValueError: naming file and row, if there is no such task.
    """
    if row.task not in REASON_TASKS:
        raise ValueError(f"{row.source}: task must be one of {list(REASON_TASKS)}, got {row.task!r}")
    return REASON_TASKS[row.task]


def _problem(task: BoxedTask[Any], row: Row) -> Any:
    owner = REASON_TASKS.get(row.task)
    if owner is not None and not isinstance(task, owner):
        raise ValueError(f"{row.source}: expected a row of {type(task).__name__}, got one of {row.task!r}")
    try:
        # The prompt, not `row.question`: it is what the policy reads, so it is what a guess may go by.
        return task.from_ground_truth(row.ground_truth, row.prompt)
    except ValueError as error:
        raise ValueError(f"{row.source}, column ground_truth: {error}") from error


def _row(record: Record, position: int) -> Row:
    task, level, split = _names(record)
    prompt = _prompt(record)
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
        ground_truth=_ground_truth(record),
        index=index,
        question=record.text("extra_info.question", "question") or prompt,
        source=record.source,
    )


def _names(record: Record) -> tuple[str, str | None, str | None]:
    """Task, level and split: each from its own column, else from `data_source`."""
    named, data_source = record.text("task"), record.text("data_source")
    task, level, split = named or "", None, None
    parts = data_source.rsplit("-", 2) if data_source else []
    if len(parts) == 3 and all(parts):
        task, level, split = parts
    elif not named:
        raise record.error("data_source", "'<task>-<level>-<split>', or a column task", data_source)
    return named or task, record.text("level") or level, record.text("split", "extra_info.split") or split


def _ground_truth(record: Record) -> Mapping[str, Any]:
    ground_truth = record.find("reward_model.ground_truth", "ground_truth")
    if not isinstance(ground_truth, Mapping):
        raise record.error("ground_truth", "an object such as {'target': ...}", ground_truth)
    return ground_truth


def _prompt(record: Record) -> str:
    """The prompt as one text; chat messages are joined by blank lines."""
    prompt = record.find("prompt")
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, list) or not prompt:
        raise record.error("prompt", "a str or a list of chat messages", prompt)
    contents: list[str] = []
    for position, message in enumerate(prompt):
        content = message.get("content") if isinstance(message, Mapping) else None
        if not isinstance(content, str):
            raise record.error(f"prompt[{position}]", "a chat message with a str 'content'", message)
        contents.append(content)
    return "\n\n".join(contents)

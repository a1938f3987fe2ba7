"""`mtgrpo check`: does a task keep its promises, and do data files leak into each other?"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import gymnasium as gym

from mtgrpo_env.checker import TaskCheckError, check_task
from mtgrpo_env.envs.rows import Row, read_rows, rows_problems, rows_suite, shared_problems
from mtgrpo_env.evaluation import evaluate_answers, oracle
from mtgrpo_env.named_tasks import named_class
from mtgrpo_env.suite import Task, TaskError
from mtgrpo_env.text_env import TextEnv

_MAX_SHOWN = 5


@dataclass(frozen=True)
class Config:
    """Check tasks by playing them (`check_task`), and data files for problems that two of them share."""

    tasks: tuple[str, ...] = ()
    """Registered env ids like "MTReason/Zebra-v0", or classes of your own, "package.module:Class"."""
    rows: tuple[Path, ...] = ()
    """Files of rows, .parquet or .jsonl: each row's own answer must be judged correct, and no two files share one."""
    problems: int = 20
    """Problems of each split to play."""


def run(config: Config) -> int:
    """Check and print; 1 if anything is wrong."""
    if not (config.tasks or config.rows):
        raise ValueError("expected --tasks or --rows, got neither")
    rows = {path: read_rows(path) for path in config.rows}
    faults = [_fault(task, config.problems) for task in map(_task, config.tasks)]
    faults += [_rows_fault(path, rows[path]) for path in rows]
    leaks = [_leak(first, second, rows[first], rows[second]) for first, second in combinations(rows, 2)]
    return int(any(faults) or any(leaks))


def _task(name: str) -> Task:
    if name in gym.registry:
        return _from_id(name)
    return Task.from_text(name, named_class(name, TextEnv)) if ":" in name else _from_id(name)


def _from_id(env_id: str) -> Task:
    try:
        env = gym.make(env_id)
    except gym.error.Error as error:
        raise ValueError(f"expected a registered id or 'package.module:Class', got {env_id!r}: {error}") from error
    is_text = isinstance(env.unwrapped, TextEnv)
    env.close()
    return Task.from_text(env_id, lambda: gym.make(env_id)) if is_text else Task.from_id(env_id)


def _fault(task: Task, num_problems: int) -> bool:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            check_task(task, num_problems=num_problems)
    except TaskCheckError as error:
        print(f"FAULT {error}")
        return True
    print(f"ok    {task.name}")
    for warning in caught:
        print(f"      {warning.message}", file=sys.stderr)
    return False


def _rows_fault(path: Path, rows: Sequence[Row]) -> bool:
    suite = rows_suite(rows)
    problems = rows_problems(suite, rows)
    wrong: list[Row] = []
    for row, problem in zip(rows, problems, strict=True):
        try:
            is_right = evaluate_answers(suite, oracle, [problem]).average == 1
        except TaskError:
            is_right = False
        if not is_right:
            wrong.append(row)
    if not wrong:
        print(f"ok    {path.name}: {len(rows)} rows, each judged right with its own answer")
        return False
    print(f"FAULT {path.name}: {len(wrong)} of {len(rows)} rows have no answer that is judged right:")
    for row in wrong[:_MAX_SHOWN]:
        print(f"      {row.source}")
    return True


def _leak(first: Path, second: Path, of_first: Sequence[Row], of_second: Sequence[Row]) -> bool:
    shared = shared_problems(of_first, of_second)
    if not shared:
        print(f"ok    {first.name} and {second.name} share no problem")
        return False
    print(f"LEAK  {first.name} and {second.name} share {len(shared)} problems:")
    for one, other in shared[:_MAX_SHOWN]:
        print(f"      {one.source} = {other.source}")
    return True

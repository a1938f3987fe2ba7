"""`mtgrpo check`: does a task keep its promises, and do data files leak into each other?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.rows import read_rows, shared_problems
from mtgrpo_env.experiments.row_checks import checked_task, rows_judged_wrong
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.suite import Task

_MAX_SHOWN = 5


@dataclass(frozen=True)
class Config:
    """Check tasks by playing them (`check_task`), and data files for problems that two of them share."""

    tasks: tuple[str, ...] = ()
    """Tasks and suites by name, such as mini or zebra-easy; registered env ids like "CartPole-v1"; or classes of your
    own, "package.module:Class"."""
    rows: tuple[Path, ...] = ()
    """Files of rows, .parquet or .jsonl: each row's own answer must be judged correct, and no two files share one."""
    problems: int = 20
    """Problems of each split to play."""


def run(config: Config) -> int:
    """Check and print; 1 if anything is wrong."""
    if not (config.tasks or config.rows):
        raise ValueError("expected --tasks or --rows, got neither")
    rows = {path: read_rows(path) for path in config.rows}
    tasks = read_tasks(config.tasks).tasks if config.tasks else ()
    is_good = [_print_task(task, config.problems) for task in tasks]
    is_good += [_print_rows(path, rows[path]) for path in rows]
    is_good += [_print_leaks(first, second, rows[first], rows[second]) for first, second in combinations(rows, 2)]
    return int(not all(is_good))


def _print_task(task: Task, num_problems: int) -> bool:
    check = checked_task(task, num_problems=num_problems)
    print(f"ok    {check.task}" if check.fault is None else f"FAULT {check.fault}")
    for warning in check.warnings:
        print(f"      {warning}", file=sys.stderr)
    return check.fault is None


def _print_rows(path: Path, rows: Sequence[Row]) -> bool:
    wrong = rows_judged_wrong(rows)
    if not wrong:
        print(f"ok    {path.name}: {len(rows)} rows, each judged right with its own answer")
        return True
    print(f"FAULT {path.name}: {len(wrong)} of {len(rows)} rows have no answer that is judged right:")
    for row in wrong[:_MAX_SHOWN]:
        print(f"      {row.source}")
    return False


def _print_leaks(first: Path, second: Path, of_first: Sequence[Row], of_second: Sequence[Row]) -> bool:
    shared = shared_problems(of_first, of_second)
    if not shared:
        print(f"ok    {first.name} and {second.name} share no problem")
        return True
    print(f"LEAK  {first.name} and {second.name} share {len(shared)} problems:")
    for one, other in shared[:_MAX_SHOWN]:
        print(f"      {one.source} = {other.source}")
    return False

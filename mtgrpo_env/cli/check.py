"""`mtgrpo check`: does a task keep its promises, what is a reward worth, and do data files leak into each other?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mtgrpo_env.cli.printing import say
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_rewards import RowScorers, by_task
from mtgrpo_env.envs.rows import shared_problems
from mtgrpo_env.envs.rows_env import RowsEnv
from mtgrpo_env.experiments.row_checks import RowsCheck, UsableRows, checked_rows, checked_task, first_of
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.ranges import Count
from mtgrpo_env.row_options import RowOptions
from mtgrpo_env.suite import Task

_MAX_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Config(RowOptions):
    """Check tasks by playing them (`check_task`), and data files: their rewards, and problems that two share."""

    tasks: tuple[str, ...] = ()
    """Tasks and suites, as all commands take them: mini, zebra-easy, CartPole-v1, "package.module:Class", ..."""
    rows: tuple[Path, ...] = ()
    """Files of rows: each row's own answer must be scored as correct, no empty, hostile or hedging response may be, and
    no two files share a problem."""
    problems: Count = 20
    """Problems of each split to play, and rows of each task whose reward is played with wrong responses."""


def run(config: Config) -> int:
    """Check and print; 1 if anything is wrong."""
    if not (config.tasks or config.rows):
        raise ValueError("expected --tasks or --rows, got neither")
    read = {path: UsableRows.read(path, columns=config.column_names) for path in config.rows}
    scorers = RowScorers(config.rewards, correct_at=config.correct_at)
    by_name = by_task(row for usable in read.values() for row in usable.rows)
    tasks = read_tasks(config.tasks, row_options=config).tasks if config.tasks else ()
    config.check_used(
        [*by_name, *(task.name for task in tasks)]
    )  # a name that is misspelt is why another lacks its own
    scorers.check(by_name)
    is_good = [_print_task(task, config.problems) for task in tasks]
    files: dict[Path, tuple[Row, ...]] = {}
    for path, usable in read.items():
        usable = usable.scored(path, scorers)
        files[path] = usable.rows
        is_good.append(_print_refused(path, usable))
        envs = [RowsEnv(scorers.of(of_task[0]), of_task) for of_task in by_task(usable.rows).values()]
        is_good.append(_print_rows(path, envs, config.problems))
    for first, second in combinations(files, 2):
        is_good.append(_print_leaks(first, second, shared_problems(files[first], files[second], scorers=scorers)))
    return int(not all(is_good))


def _print_task(task: Task, num_problems: int) -> bool:
    check = checked_task(task, num_problems=num_problems)
    say(f"ok    {check.task}" if check.fault is None else f"FAULT {check.fault}")
    for warning in check.warnings:
        say(f"      {warning}", to_stderr=True)
    return check.fault is None


def _print_refused(path: Path, usable: UsableRows) -> bool:
    refused = usable.refused
    if refused:
        total = len(usable.rows) + len(refused)
        say(f"FAULT {path.name}: {len(refused)} of {total} rows are refused, which ends every other command:")
        for line in first_of(refused):
            say(f"      {line}")
        say(f"mtgrpo check: {refused[0]}", to_stderr=True)  # as every other command ends
    return not refused


def _print_rows(path: Path, envs: Sequence[RowsEnv], num_rows: int) -> bool:
    if not envs:
        raise ValueError(f"expected at least one row in {path.name}, got none")
    checks = [checked_rows(env, num_rows=num_rows) for env in envs]
    unsolved = [row for check in checks for row in check.unsolved]
    faults = [fault for check in checks for fault in check.faults]
    total = sum(check.num_rows for check in checks)
    if unsolved:
        say(f"FAULT {path.name}: {len(unsolved)} of {total} rows have no answer that is scored as correct:")
        for row in unsolved[:_MAX_SHOWN]:
            say(f"      {row.source}: {row.ground_truth!r:.120}")
    if unknown := [row for check in checks for row in check.unknown]:
        say(f"note  {path.name}: {len(unknown)} of {total} rows have no known solution, and none was tried:")
        for line in first_of([f"{row.source}: {row.ground_truth!r:.120}" for row in unknown]):
            say(f"      {line}")
    for fault in faults:
        say(f"FAULT {fault}")
    if not (unsolved or faults):
        unanswered = sum(len(check.unanswered) for check in checks)
        untried = unanswered + len(unknown)
        without = f"; {unanswered} hold no answer, and no right response to them was tried" if unanswered else ""
        scored = ", each scored as correct with its own answer" if untried < total else ""
        say(f"ok    {path.name}: {total - len(unknown)} rows{scored}{without}; {_time(checks)}")
    for check in checks:
        for note in check.notes:
            say(f"note  {note}")
    return not (unsolved or faults)


def _time(checks: Sequence[RowsCheck]) -> str:
    """What a call of the slowest reward takes."""
    slowest = max(checks, key=lambda check: check.seconds)
    return f"{slowest.reward} takes {slowest.seconds * 1000:,.2f} ms a call"


def _print_leaks(first: Path, second: Path, shared: Sequence[tuple[Row, Row]]) -> bool:
    is_one_name = first.name == second.name
    names = f"{first} and {second}" if is_one_name else f"{first.name} and {second.name}"
    if not shared:
        say(f"ok    {names} share no problem")
        return True
    say(f"LEAK  {names} share {len(shared)} problems:")
    for one, other in shared[:_MAX_SHOWN]:
        places = (_place(first, one), _place(second, other)) if is_one_name else (one.source, other.source)
        say(f"      {' = '.join(places)}")
    return False


def _place(path: Path, row: Row) -> str:
    """Where a row stands, with its file's path; the file is in a folder where that is what was read."""
    return str((path.parent if row.source.startswith(path.name) else path) / row.source)

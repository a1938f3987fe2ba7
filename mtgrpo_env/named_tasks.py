"""The one reader of tasks: `read_tasks` makes a suite of whatever an entry point accepts as tasks."""

from __future__ import annotations

from collections.abc import Iterable

from mtgrpo_env.named_objects import named_class, named_object
from mtgrpo_env.problem_lists import SOLVED_FLOOR
from mtgrpo_env.row_options import RowOptions
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_registry import (
    DEFAULT_LEVEL,
    SUITES,
    TaskSpec,
    is_object_name,
    is_registered,
    register_task,
    task_class,
    task_names,
    tasks_from,
    tasks_of,
)
from mtgrpo_env.types import Split

__all__ = [
    "DEFAULT_LEVEL",
    "SUITES",
    "TaskSpec",
    "is_registered",
    "named_class",
    "named_object",
    "read_tasks",
    "register_task",
    "task_class",
    "task_names",
]


def read_tasks(
    tasks: TaskSpec | Iterable[TaskSpec] | TaskSuite,
    *,
    split: Split = "train",
    seed: int = 0,
    level: str = DEFAULT_LEVEL,
    extraction: str = "last-box",
    row_options: RowOptions | None = None,
    solved_floor: float = SOLVED_FLOOR,
) -> TaskSuite:
    """A suite of tasks, given as anything that `TaskSpec` describes, or as a suite, which is returned as it is.

    A function "package.module:name" that makes a suite decides its split and its seed, unless it is one of several.

    Args:
        tasks: which; see `TaskSpec`.
        split: where the problems are drawn from.
        seed: names the streams of problems.
        level: of the tasks by name that name none.
        extraction: how an answer is found in a response to a task by name: "last-box" or "released".
        row_options: how rows are read and scored.
        solved_floor: how seldom solved rows are drawn; see `TaskSuite`.

    Raises:
        ValueError: naming what is known, if a task is unknown; or if rows cannot be read or scored.

    >>> read_tasks("mini")
    TaskSuite(['countdown-mini', 'zebra-mini', 'arc-mini'], split='train', seed=0)
    >>> read_tasks(["arc-easy", "gym:Taxi-v4, CartPole-v1"]).names
    ('arc-easy', 'Taxi-v4', 'CartPole-v1')
    """
    if isinstance(tasks, str) and is_object_name(tasks):
        made = tasks_from(tasks)
        tasks = made if isinstance(made, TaskSuite) else list(made)
    if isinstance(tasks, TaskSuite):
        return tasks
    made = tasks_of(tasks, level=level, extraction=extraction, row_options=row_options)
    return TaskSuite(made, split=split, seed=seed, solved_floor=solved_floor)

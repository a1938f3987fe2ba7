"""Tasks and objects by name. PLACEHOLDER until the reader of tasks is merged."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from mtgrpo_env.suite import Task, TaskSuite


def named_object(name: str) -> Any:
    """What is called "package.module:name"."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def read_tasks(tasks: Any, *, split: Any = "train", seed: int = 0, extraction: Any = "last-box") -> TaskSuite:
    """The suite of these tasks."""
    if isinstance(tasks, TaskSuite):
        return tasks
    if isinstance(tasks, str) or not isinstance(tasks, Sequence):
        tasks = [tasks]
    if all(isinstance(task, str) and task.endswith((".jsonl", ".parquet")) for task in tasks):
        read_rows = named_object("mtgrpo_env.envs.rows:read_rows")
        from pathlib import Path

        return named_object("mtgrpo_env.envs.rows:rows_suite")(
            [r for t in tasks for r in read_rows(Path(t))], seed=seed
        )
    found: list[Task] = []
    for task in tasks:
        if isinstance(task, str):
            names = named_object("mtgrpo_env.envs.mtreason:suite_tasks")(task)
            found += named_object("mtgrpo_env.envs.mtreason:reason_suite")(names).tasks
        elif isinstance(task, Task):
            found.append(task)
        else:
            found.append(Task.from_text(task.__name__, task))
    return TaskSuite(found, split=split, seed=seed)


TaskSpec = Any


def registered_names() -> Any:
    return ()

"""Problem sets that a command is given by name: text tasks, Gymnasium envs, data sets of reasoning-gym, rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mtgrpo_env.cli.named import named_object
from mtgrpo_env.envs.answers import Extraction
from mtgrpo_env.envs.export import content_hash
from mtgrpo_env.envs.gymnasium_tasks import SUCCESS_THRESHOLDS, control_suite, gymnasium_tasks
from mtgrpo_env.envs.mtreason import reason_suite, suite_tasks
from mtgrpo_env.envs.rows import read_rows, rows_problems, rows_suite
from mtgrpo_env.problem_sets import ProblemSet
from mtgrpo_env.suite import Task, TaskSuite


def named_problem_set(name: str, *, count: int, seed: int, extraction: Extraction) -> ProblemSet:
    """The first `count` held-out problems of every task of a suite.

    Args:
        name: a suite of reasoning tasks, or such tasks, as `suite_tasks` knows them; "control"; "gym:" and ids with
            commas between; "reasoning-gym:" and data sets; or "package.module:function", which makes a `TaskSuite`.
        count: of each task.
        seed: of the suite.
        extraction: how an answer is found in a response.

    Raises:
        ValueError: if there is no such suite, or `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"problems must be at least 1, got {count}")
    kind, colon, rest = name.partition(":")
    if name == "control":
        suite = control_suite(seed=seed)
    elif kind in _KINDS and colon:
        suite = TaskSuite([_KINDS[kind](part.strip()) for part in rest.split(",")], seed=seed)
    elif colon:
        suite = _made_suite(name)
    else:
        suite = reason_suite(suite_tasks(name), seed=seed, extraction=extraction)
    return ProblemSet(name, suite, tuple(suite.held_out(count)), judged_by=extraction)


def rows_problem_set(file: Path, *, extraction: Extraction) -> ProblemSet:
    """Every row of a file, one task for each task and level in it.

    Raises:
        ValueError: naming file, row and column, if a row cannot be read.
    """
    rows = read_rows(file)
    suite = rows_suite(rows, split="test", extraction=extraction)
    # What is right stands in the rows, and is no part of every puzzle's key.
    judged_by = f"{extraction} {content_hash(rows)}"
    return ProblemSet(str(file), suite, tuple(rows_problems(suite, rows)), judged_by=judged_by)


def _gymnasium_task(env_id: str) -> Task:
    if env_id in SUCCESS_THRESHOLDS:
        return gymnasium_tasks([env_id])[0]
    try:
        return Task.from_id(env_id)
    except Exception as error:  # Gymnasium's errors share no base, and an id may import a package
        raise ValueError(f"expected a registered Gymnasium id, got {env_id!r}: {error}") from error


def _reasoning_gym_task(name: str) -> Task:
    from mtgrpo_env.envs.reasoning_gym_tasks import reasoning_gym_task

    return reasoning_gym_task(name)


_KINDS: Mapping[str, Callable[[str], Task]] = {"gym": _gymnasium_task, "reasoning-gym": _reasoning_gym_task}


def _made_suite(name: str) -> TaskSuite:
    suite = named_object(name)()
    if not isinstance(suite, TaskSuite):
        raise ValueError(f"{name} must make a TaskSuite, got {suite!r:.80}")
    return suite

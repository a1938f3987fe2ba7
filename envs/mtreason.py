"""The reasoning tasks as suites, and `MTReason-v0`: Countdown, Zebra and ARC-1D in one env."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gymnasium.vector import AutoresetMode

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.envs.answers import BoxedTask, Extraction, reason_tasks
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.named_tasks import DEFAULT_LEVEL, TaskSpec, read_tasks
from mtgrpo_env.row_options import RowOptions
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import GivenWeights
from mtgrpo_env.types import Split
from mtgrpo_env.vector import TextVectorEnv

REASON_TASKS: Mapping[str, type[BoxedTask[Any]]] = reason_tasks()
"""Every task with an answer in a box that is registered when this module is imported, by its name."""

PAPER_TASKS = ("countdown", "zebra", "arc")


def reason_suite(
    tasks: TaskSpec | Iterable[TaskSpec] = PAPER_TASKS,
    *,
    level: str = DEFAULT_LEVEL,
    split: Split = "train",
    seed: int = 0,
    extraction: Extraction = "last-box",
    row_options: RowOptions | None = None,
) -> TaskSuite:
    """The paper's three tasks at a level, or any others.

    Args:
        tasks: names like "countdown", or with a level of their own like "countdown-hard"; see `TaskSpec`.
        level: of the tasks that name none.
        split: of the problem streams.
        seed: names the problem streams.
        extraction: how the answer is found in a response.
        row_options: how rows of files are read and scored.

    Raises:
        ValueError: if a task, a level or the extraction is unknown, or rows cannot be read or scored.

    >>> reason_suite(["countdown-mini", "zebra"], level="easy").names
    ('countdown-mini', 'zebra-easy')
    """
    return read_tasks(tasks, level=level, split=split, seed=seed, extraction=extraction, row_options=row_options)


def make_mt_reason(
    *,
    tasks: TaskSpec | Iterable[TaskSpec] = PAPER_TASKS,
    level: str = DEFAULT_LEVEL,
    group_size: int = 8,
    batch_size: int = 32,
    task_weights: GivenWeights | None = None,
    split: Split = "train",
    seed: int = 0,
    extraction: Extraction = "last-box",
    row_options: RowOptions | None = None,
    render_mode: str | None = None,
) -> MultiTaskEnv:
    """The env behind `gymnasium.make("MTReason-v0")`: the default curriculum on reasoning tasks.

    Args:
        tasks: see `reason_suite`.
        level: see `reason_suite`.
        group_size: N, episodes of each problem.
        batch_size: B, groups of a batch.
        task_weights: fixed ratio of the tasks, (K,) or by name; by default they move, so that no task is left behind.
        split: "train" or "test".
        seed: of problems and plans, until `reset(seed=...)` names another.
        extraction: see `reason_suite`.
        row_options: see `reason_suite`.
        render_mode: None or "ansi".

    Raises:
        ValueError: if an argument is out of its range, or the batch cannot hold one group of each task.
    """
    suite = reason_suite(tasks, level=level, split=split, seed=seed, extraction=extraction, row_options=row_options)
    if batch_size < suite.num_tasks:
        raise ValueError(f"batch_size must be at least the number of tasks, {suite.num_tasks}, got {batch_size}")
    curriculum = Curriculum(suite, batch_size=batch_size, seed=seed)
    curriculum.set_task_weights(task_weights)
    return MultiTaskEnv(curriculum, group_size=group_size, render_mode=render_mode)


def make_mt_reason_vec(
    *,
    num_envs: int = 1,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    max_episode_steps: int | None = None,
    **options: Any,
) -> TextVectorEnv:
    """The batched env behind `gymnasium.make_vec("MTReason-v0")`.

    Args:
        num_envs: slots that share one plan.
        autoreset_mode: see `TextVectorEnv`.
        max_episode_steps: see `TextVectorEnv`.
        **options: arguments of `make_mt_reason`.

    Raises:
        ValueError: as in `make_mt_reason` and `TextVectorEnv`.
    """
    single = make_mt_reason(**options)
    return TextVectorEnv(
        single.schedule,
        num_envs,
        autoreset_mode=autoreset_mode,
        max_episode_steps=max_episode_steps,
        render_mode=single.render_mode,
    )

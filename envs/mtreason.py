"""The reasoning tasks as suites, and `MTReason-v0`: Countdown, Zebra and ARC-1D in one env."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gymnasium.vector import AutoresetMode

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.envs.answers import BoxedTask, Extraction
from mtgrpo_env.envs.arc import Arc
from mtgrpo_env.envs.countdown import Countdown
from mtgrpo_env.envs.mathematics import Mathematics
from mtgrpo_env.envs.number_guessing import NumberGuessing
from mtgrpo_env.envs.science import Science
from mtgrpo_env.envs.zebra import Zebra
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.types import Split
from mtgrpo_env.vector import TextVectorEnv, make_text_vec

REASON_TASKS: Mapping[str, type[BoxedTask[Any]]] = {
    "countdown": Countdown,
    "zebra": Zebra,
    "arc": Arc,
    "math": Mathematics,
    "science": Science,
    "guessing": NumberGuessing,
}
"""Every task by the name that suites and data rows call it."""

PAPER_TASKS = ("countdown", "zebra", "arc")

SUITES: Mapping[str, tuple[str, ...]] = {
    **{level: tuple(f"{name}-{level}" for name in PAPER_TASKS) for level in Countdown.LEVELS},
    "nine": tuple(f"{name}-{level}" for name in PAPER_TASKS for level in ("easy", "medium", "hard")),
    "mini-nine": tuple(f"{name}-{level}" for name in PAPER_TASKS for level in ("mini", "mini_medium", "mini_hard")),
}
"""Named suites: the paper's three tasks at one level, and its nine tasks, in full and in mini size."""


def suite_tasks(name: str) -> tuple[str, ...]:
    """The tasks of a named suite, or of a list like "countdown-easy,arc-hard".

    Raises:
        ValueError: if `name` is neither.

    >>> suite_tasks("countdown-easy, arc-hard")
    ('countdown-easy', 'arc-hard')
    """
    tasks = SUITES[name] if name in SUITES else tuple(part.strip() for part in name.split(","))
    if len(tasks) == 1 and tasks[0].partition("-")[0] not in REASON_TASKS:
        raise ValueError(f"suite must be one of {list(SUITES)}, or tasks like 'countdown-easy,arc-hard', got {name!r}")
    return tasks


def reason_suite(
    tasks: Sequence[str] = PAPER_TASKS,
    *,
    level: str = "medium",
    split: Split = "train",
    seed: int = 0,
    extraction: Extraction = "last-box",
) -> TaskSuite:
    """A suite of reasoning tasks.

    Args:
        tasks: names like "countdown", or with a level of their own like "countdown-hard".
        level: of the tasks that name none.
        split: of the problem streams.
        seed: names the problem streams.
        extraction: how the answer is found in a response.

    Raises:
        ValueError: if a task, a level or the extraction is unknown.

    >>> reason_suite(["countdown-mini", "zebra"], level="easy").names
    ('countdown-mini', 'zebra-easy')
    """
    return TaskSuite([_task(name, level, extraction) for name in tasks], split=split, seed=seed)


def make_mt_reason(
    *,
    tasks: Sequence[str] = PAPER_TASKS,
    level: str = "medium",
    group_size: int = 8,
    batch_size: int = 32,
    task_weights: Sequence[float] | None = None,
    split: Split = "train",
    seed: int = 0,
    extraction: Extraction = "last-box",
    render_mode: str | None = None,
) -> MultiTaskEnv:
    """The env behind `gymnasium.make("MTReason-v0")`: the default curriculum on reasoning tasks.

    Args:
        tasks: see `reason_suite`.
        level: see `reason_suite`.
        group_size: N, episodes of each problem.
        batch_size: B, groups of a batch.
        task_weights: (K,) fixed ratio of the tasks; by default they move, so that no task is left behind.
        split: "train" or "test".
        seed: of problems and plans, until `reset(seed=...)` names another.
        extraction: see `reason_suite`.
        render_mode: None or "ansi".

    Raises:
        ValueError: if an argument is out of its range, or the batch cannot hold one group of each task.
    """
    suite = reason_suite(tasks, level=level, split=split, seed=seed, extraction=extraction)
    if batch_size < suite.num_tasks:
        raise ValueError(f"batch_size must be at least the number of tasks, {suite.num_tasks}, got {batch_size}")
    curriculum = Curriculum(suite, batch_size=batch_size, seed=seed)
    curriculum.set_task_weights(task_weights)
    return MultiTaskEnv(curriculum, group_size=group_size, render_mode=render_mode)


def make_mt_reason_vec(
    *, num_envs: int = 1, autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP, **options: Any
) -> TextVectorEnv:
    """The batched env behind `gymnasium.make_vec("MTReason-v0")`.

    Args:
        num_envs: slots that share one plan.
        autoreset_mode: see `TextVectorEnv`.
        **options: arguments of `make_mt_reason`.

    Raises:
        ValueError: as in `make_mt_reason` and `TextVectorEnv`.
    """
    single = make_mt_reason(**options)
    return TextVectorEnv(single.schedule, num_envs, autoreset_mode=autoreset_mode, render_mode=single.render_mode)


make_countdown_vec = partial(make_text_vec, Countdown)
make_zebra_vec = partial(make_text_vec, Zebra)
make_arc_vec = partial(make_text_vec, Arc)
make_mathematics_vec = partial(make_text_vec, Mathematics)
make_science_vec = partial(make_text_vec, Science)
make_number_guessing_vec = partial(make_text_vec, NumberGuessing)


def _task(name: str, default_level: str, extraction: Extraction) -> Task:
    base, _, level = name.partition("-")
    level = level or default_level
    if base not in REASON_TASKS:
        raise ValueError(f"task must be one of {list(REASON_TASKS)}, or like 'arc-easy' with a level, got {name!r}")
    env_type = REASON_TASKS[base]
    if level not in env_type.LEVELS:
        raise ValueError(f"level of task {base!r} must be one of {list(env_type.LEVELS)}, got {level!r}")
    return Task.from_text(f"{base}-{level}", partial(env_type, level, extraction=extraction, render_mode="ansi"))

"""`check_task`: does an env keep the promises that groups and verifiable rewards rest on?"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from gymnasium.utils.env_checker import check_env

from mtgrpo_env.suite import AnyEnv, Task, TaskSuite
from mtgrpo_env.text_env import TextEnv
from mtgrpo_env.types import SPLITS, Problem


class TaskCheckError(AssertionError):
    """A task breaks a promise; says which, and on which problem."""


def check_task(task: Task, *, num_problems: int = 20) -> None:
    """Check one task by playing it: call this on an env of your own before training on it.

    1. Gymnasium's `check_env` passes.
    2. A group is one problem: resets with one seed give one observation, in the same env and in another.
    3. Different problems differ.
    4. For a `TextEnv`: the oracle is judged correct on every problem, an empty response is not, and no
       puzzle of the train split is in the test split.

    Args:
        task: the task.
        num_problems: how many problems of each split to play.

    Raises:
        TaskCheckError: naming the first promise broken.
    """
    suite = TaskSuite([task])
    try:
        envs = suite.envs(0, 2)
        _check_interface(task, envs[0])
        _check_problems(task, suite, envs, num_problems)
    finally:
        suite.close()


def _check_interface(task: Task, env: AnyEnv) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Not able to test alternative render modes.*")
        try:
            check_env(env.unwrapped, skip_render_check=True)
        except Exception as error:
            raise TaskCheckError(f"task {task.name!r} fails gymnasium's check_env: {error}") from error


def _check_problems(task: Task, suite: TaskSuite, envs: list[AnyEnv], num_problems: int) -> None:
    problems = {split: suite.held_out(num_problems, split=split) for split in SPLITS}
    everything = [problem for split in SPLITS for problem in problems[split]]
    observations = [_check_group(task, envs, problem) for problem in everything]
    if len({repr(observation) for observation in observations}) == 1 and len(observations) > 1:
        raise TaskCheckError(f"task {task.name!r} shows the same first observation for every seed")
    if isinstance(envs[0].unwrapped, TextEnv):
        keys = {split: {_check_verifier(task, envs[0], problem) for problem in problems[split]} for split in SPLITS}
        if shared := keys["train"] & keys["test"]:
            raise TaskCheckError(f"task {task.name!r} has puzzles in both splits: {sorted(shared)[:3]}")


def _reset(env: AnyEnv, problem: Problem) -> Any:
    return env.reset(seed=problem.seed, options=dict(problem.options) or None)[0]


def _check_group(task: Task, envs: list[AnyEnv], problem: Problem) -> Any:
    first, again, elsewhere = _reset(envs[0], problem), _reset(envs[0], problem), _reset(envs[1], problem)
    for observation, where in ((again, "reset twice"), (elsewhere, "reset in another env")):
        if not _same(first, observation):
            raise TaskCheckError(
                f"task {task.name!r} is not one problem under seed {problem.seed} when {where}: "
                f"{first!r:.200} and {observation!r:.200}"
            )
    return first


def _check_verifier(task: Task, env: AnyEnv, problem: Problem) -> str:
    text_env: TextEnv[Any] = env.unwrapped  # pyright: ignore[reportAssignmentType]
    # Resets cannot show this: the envs of one process share the puzzles they have drawn.
    one, other = (text_env.generate(np.random.default_rng(problem.seed)) for _ in range(2))
    if one != other:
        raise TaskCheckError(
            f"task {task.name!r} generates another puzzle from the same generator: {one!r:.200} and {other!r:.200}"
        )
    _reset(env, problem)
    puzzle = text_env.puzzle
    oracle = text_env.oracle(puzzle)
    if not text_env.verify(puzzle, oracle).is_success:
        raise TaskCheckError(
            f"task {task.name!r} rejects its own oracle {oracle!r:.200} under seed {problem.seed}: "
            f"{text_env.verify(puzzle, oracle)}"
        )
    if text_env.verify(puzzle, "").is_success:
        raise TaskCheckError(f"task {task.name!r} accepts an empty response under seed {problem.seed}")
    return text_env.key(puzzle)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    return bool(np.array_equal(left, right))

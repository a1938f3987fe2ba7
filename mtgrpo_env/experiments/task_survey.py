"""What each task is like: how long its prompts are, what a guess scores, and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from mtgrpo_env.envs.mtreason import REASON_TASKS, reason_suite
from mtgrpo_env.evaluation import evaluate_answers, guess, oracle
from mtgrpo_env.named_objects import did_you_mean
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import TextEnv

_SECONDS = 0.1  # of CPU time, over which a rate is measured


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """What the list says of one task; rates are per second of CPU time.

    Attributes:
        task: its name.
        prompt_characters: mean length of a prompt.
        guess: share of right guesses.
        oracle: share of right oracles, which should be 1.
        puzzles_per_second: generated.
        verdicts_per_second: on the oracle's response.
    """

    task: str
    prompt_characters: float
    guess: float
    oracle: float
    puzzles_per_second: float
    verdicts_per_second: float


def summarise(suite: TaskSuite, num_problems: int) -> TaskSummary:
    """Try guess and oracle on held-out problems of the only task of a suite."""
    problems = suite.held_out(num_problems)
    env: TextEnv[Any] = suite.envs(0, 1)[0].unwrapped  # pyright: ignore[reportAssignmentType]
    lengths = [len(env.reset(seed=p.seed, options=dict(p.options))[0]) for p in problems]
    guessed, known = (evaluate_answers(suite, answer, problems).average for answer in (guess, oracle))
    puzzle, rng = env.puzzle, np.random.default_rng(0)
    response = env.oracle(puzzle)
    return TaskSummary(
        task=suite.names[0],
        prompt_characters=float(np.mean(lengths)),
        guess=guessed,
        oracle=known,
        puzzles_per_second=_rate(lambda: env.generate(rng)),
        verdicts_per_second=_rate(lambda: env.verify(puzzle, response)),
    )


def single_task_suites(names: Sequence[str]) -> Iterator[TaskSuite]:
    """A suite for each level of each of these tasks.

    Raises:
        ValueError: if there is no such task.
    """
    for name in names:
        if name not in REASON_TASKS:
            near = did_you_mean(name, REASON_TASKS)
            raise ValueError(f"tasks must be among {list(REASON_TASKS)}, got {name!r}{near}")
        for level in REASON_TASKS[name].LEVELS:
            yield reason_suite([f"{name}-{level}"])


def reasoning_gym_suites() -> Iterator[TaskSuite]:
    """A suite for each data set of reasoning-gym."""
    from mtgrpo_env.envs.reasoning_gym_tasks import reasoning_gym_names, reasoning_gym_task

    for name in reasoning_gym_names():
        yield TaskSuite([reasoning_gym_task(name)])


def _rate(call: Callable[[], object]) -> float:
    started = time.process_time()
    for done in count(1):
        call()
        spent = time.process_time() - started
        if spent >= _SECONDS:
            return done / spent
    raise AssertionError("unreachable")

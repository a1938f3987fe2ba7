"""`mtgrpo tasks`: what tasks there are, how long their prompts are, what a guess scores, and how fast they are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mtgrpo_env.envs.mtreason import REASON_TASKS, reason_suite
from mtgrpo_env.evaluation import evaluate_answers, guess, oracle
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import TextEnv

_SECONDS = 0.1  # of CPU time, over which a rate is measured


@dataclass(frozen=True)
class Config:
    """List every task and level there is, tried on held-out problems."""

    tasks: tuple[str, ...] = tuple(REASON_TASKS)
    """Which tasks to list, all their levels each."""
    problems: int = 50
    """Problems of each task that guess and oracle are tried on."""
    reasoning_gym: bool = False
    """List the data sets of reasoning-gym instead; takes some minutes, and the extra "reasoning-gym"."""
    json: bool = False
    """Print one JSON object a task instead of a table."""


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """What the list says of one task; rates are per second of CPU time."""

    task: str
    prompt_characters: float
    guess: float
    oracle: float
    puzzles_per_second: float
    verdicts_per_second: float


def run(config: Config) -> int:
    """Try guess and oracle on every task and print a table; 1 if an oracle is ever judged wrong."""
    if config.problems < 1:
        raise ValueError(f"problems must be at least 1, got {config.problems}")
    console = Console(stderr=True)
    suites = list(_reasoning_gym_suites() if config.reasoning_gym else _suites(config.tasks))
    watched = track(suites, "trying", console=console, transient=True, disable=not console.is_terminal)
    summaries = [summarise(suite, config.problems) for suite in watched]
    if config.json:
        for summary in summaries:
            print(json.dumps(asdict(summary)))
    else:
        Console().print(_table(summaries, config.problems))
    return int(any(summary.oracle < 1 for summary in summaries))


def summarise(suite: TaskSuite, num_problems: int) -> TaskSummary:
    """Try the only task of a suite."""
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


def _suites(names: tuple[str, ...]) -> Iterator[TaskSuite]:
    for name in names:
        if name not in REASON_TASKS:
            raise ValueError(f"tasks must be among {list(REASON_TASKS)}, got {name!r}")
        for level in REASON_TASKS[name].LEVELS:
            yield reason_suite([f"{name}-{level}"])


def _reasoning_gym_suites() -> Iterator[TaskSuite]:
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


def _table(summaries: list[TaskSummary], num_problems: int) -> Table:
    caption = "characters of a prompt, shares of right answers, puzzles made and answers judged per second of CPU time"
    table = Table(title=f"Tasks ({num_problems} held-out problems each)", caption=caption)
    for column in ("task", "prompt", "guess", "oracle", "puzzles/s", "verdicts/s"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for summary in summaries:
        shares = (f"{summary.guess:.0%}", f"{summary.oracle:.0%}")
        rates = (f"{summary.puzzles_per_second:,.0f}", f"{summary.verdicts_per_second:,.0f}")
        table.add_row(summary.task, f"{summary.prompt_characters:.0f}", *shares, *rates)
    return table

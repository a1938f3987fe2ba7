"""What every generator must give: no repeats, nothing shared by neighbouring seeds, levels that get harder."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.mtreason import PAPER_TASKS, REASON_TASKS, reason_suite
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import TextEnv

LEVELS = [f"{name}-{level}" for name, env_type in REASON_TASKS.items() for level in env_type.LEVELS]
SMALL = {"short-product": 200, "short-letter": 240, "short-weekday": 200}  # puzzles, or a little more
LARGE = [level for level in LEVELS if "-mini" not in level and level not in SMALL]
CLIMB = ("easy", "medium", "hard", "very_hard")


def count_of(level: str, count: int) -> int:
    """Fewer of what takes long to make."""
    return count // {"zebra-hard": 5, "zebra-very_hard": 25}.get(level, 1)


def keys_of(suite: TaskSuite, count: int) -> list[str]:
    """The keys of the next puzzles in the stream of a suite's only task."""
    env: TextEnv[Any] = suite.envs(0, 1)[0].unwrapped  # pyright: ignore[reportAssignmentType]
    keys: list[str] = []
    for _ in range(count):
        problem = suite.next_problem(0)
        env.reset(seed=problem.seed, options=dict(problem.options))
        keys.append(env.key(env.puzzle))
    return keys


@pytest.mark.parametrize("level", LEVELS)
def test_a_stream_repeats_no_puzzle(level: str) -> None:
    count = count_of(level, SMALL.get(level, 500))
    assert len(set(keys_of(reason_suite([level]), count))) == count


@pytest.mark.parametrize("level", LARGE)
def test_neighbouring_seeds_and_the_splits_share_next_to_nothing(level: str) -> None:
    count = count_of(level, 150)
    suites = [reason_suite([level], seed=seed) for seed in (0, 1)] + [reason_suite([level], split="test")]
    first, second, held_out = (set(keys_of(suite, count)) for suite in suites)
    assert not held_out & (first | second)
    assert len(first & second) <= 1


@pytest.mark.parametrize("name", PAPER_TASKS)
def test_the_mini_levels_fit_a_model_that_reads_64_characters_and_writes_16(name: str) -> None:
    rng = np.random.default_rng(2)
    sizes: list[float] = []
    for level in ("mini", "mini_medium", "mini_hard"):
        task = REASON_TASKS[name](level)
        puzzles = [task.generate(rng) for _ in range(200)]
        prompts, responses = ([len(text) for text in map(read, puzzles)] for read in (task.prompt, task.oracle))
        assert max(prompts) <= 64
        assert max(responses) - len("boxed{") <= 16  # the opening of a box is one token
        sizes.append(float(np.mean(prompts)))
    assert sizes == sorted(sizes)


def guessing_rate(task: BoxedTask[Any], tries: int) -> float:
    """Share of a guesser's answers that are right."""
    rng = np.random.default_rng(0)
    verdicts = (task.verify(puzzle, task.guess(puzzle, rng)) for puzzle in (task.generate(rng) for _ in range(tries)))
    return float(np.mean([verdict.is_success for verdict in verdicts]))


@pytest.mark.parametrize(("name", "tries"), [("countdown", 4000), ("zebra", 80), ("science", 1500), ("guessing", 4000)])
def test_guessing_gets_harder_with_the_level(name: str, tries: int) -> None:
    rates = [guessing_rate(REASON_TASKS[name](level), tries) for level in CLIMB]
    noise = 4 * np.sqrt(0.25 / tries)
    assert all(harder <= easier + noise for easier, harder in pairwise(rates))
    assert rates[-1] < rates[0] / 1.3


@pytest.mark.parametrize("name", ["countdown", "zebra", "arc", "math", "science"])
def test_puzzles_hold_more_to_work_through_with_the_level(name: str) -> None:
    def size(level: str) -> float:
        task, rng = REASON_TASKS[name](level), np.random.default_rng(1)
        count = count_of(f"{name}-{level}", 200)
        return float(np.mean([len(task.prompt(task.generate(rng))) for _ in range(count)]))

    sizes = [size(level) for level in CLIMB]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]

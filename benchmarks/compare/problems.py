"""Problems: do they repeat, does the oracle solve them, and what is a guess worth?"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from compare import peers
from compare.tables import percent, table
from mtgrpo_env.envs.mtreason import REASON_TASKS, reason_suite
from mtgrpo_env.text_env import TextEnv

_FIRST = 500
_SLOW = {"zebra"}  # a peer needs minutes for 2000 of these
_VECTOR, _RESETS = 16, 30


def repeats(said: Callable[[str], None], *, count: int) -> str:
    """Table of distinct problems in a stream, and of those that two adjacent seeds share."""
    rows = []
    for name in REASON_TASKS:
        level = _level(name)
        theirs = min(count, _FIRST) if name in _SLOW else count
        for who, keys, drawn in (("ours", _our_keys, count), ("reasoning-gym", _their_keys, theirs)):
            said(f"repeats in {name}-{level}, {who}")
            first, second = (keys(name, level, seed, drawn) for seed in (0, 1))
            if first:
                rows.append([f"{name}-{level}", who, *_repeat_cells(first, second)])
        said(f"repeats in {name}, GEM")
        if (envs := peers.gem_vector(name, num_envs=_VECTOR, seed=0)) is not None:
            resets = _RESETS // 3 if name in _SLOW else _RESETS
            prompts = [prompt for _ in range(resets) for prompt in envs.reset()[0]]
            cells = [f"{len(set(prompts)):,} of {len(prompts):,} prompts of {_VECTOR} envs", "–", "–"]
            rows.append([name, "GEM", *cells])
    return table(["task", "", "distinct, all", f"distinct, first {_FIRST}", "shared by seeds 0 and 1"], rows)


def _level(name: str) -> str:
    levels = REASON_TASKS[name].LEVELS
    return "easy" if "easy" in levels else next(iter(levels))


def _repeat_cells(first: list[Hashable], second: list[Hashable]) -> list[str]:
    head = first[:_FIRST]
    shared = len(set(first) & set(second))
    return [
        f"{len(set(first)):,} of {len(first):,}",
        f"{len(set(head)):,} of {len(head):,}",
        f"{shared:,} of {len(first):,}",
    ]


def _our_keys(name: str, level: str, seed: int, count: int) -> list[Hashable]:
    suite = reason_suite([f"{name}-{level}"], seed=seed)
    (env,) = suite.envs(0, 1)
    task: TextEnv[Any] = env.unwrapped  # pyright: ignore[reportAssignmentType]
    keys: list[Hashable] = []
    for _ in range(count):
        problem = suite.next_problem(0)
        env.reset(seed=problem.seed, options=dict(problem.options))
        keys.append(task.key(task.puzzle))
    return keys


def _their_keys(name: str, level: str, seed: int, count: int) -> list[Hashable]:
    data_set = peers.reasoning_gym_set(name, level, seed=seed, size=count)
    if data_set is None:
        return []
    if name != "countdown":
        return [entry["question"] for entry in data_set]
    # The same problem may be worded in three ways.
    return [(*sorted(entry["metadata"]["numbers"]), entry["metadata"]["target"]) for entry in data_set]


def answers(said: Callable[[str], None], *, count: int) -> str:
    """Table of the oracle's accuracy and of a guess's accuracy and reward."""
    rows = []
    for name, task_type in REASON_TASKS.items():
        for level in task_type.LEVELS:
            said(f"oracle and guess of {name}-{level}")
            task, rng = task_type(level), np.random.default_rng(0)
            puzzles = [task.generate(rng) for _ in range(count)]
            solved = [task.verify(puzzle, task.oracle(puzzle)).is_success for puzzle in puzzles]
            guessed = [task.verify(puzzle, task.guess(puzzle, rng)) for puzzle in puzzles]
            right = sum(verdict.is_success for verdict in guessed) / count
            reward = sum(verdict.reward for verdict in guessed) / count
            rows.append([f"{name}-{level}", percent(sum(solved) / count), percent(right), f"{reward:.3f}"])
    return table(["task", "oracle is correct", "a guess is correct", "reward of a guess"], rows)

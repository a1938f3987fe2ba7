"""A corpus for imitation, written by careful and careless authors.

A base model imitates its corpus, and in a corpus some subjects are mostly written about by people
who solve the problem, others mostly by people who guess. Such a model can do more than it shows: the
careful author's skill is in it, behind the careless author's habit. That is the unequal, latent
competence that post-training by reinforcement brings out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np

from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.arc import ArcPuzzle
from mtgrpo_env.envs.countdown import CountdownPuzzle
from mtgrpo_env.envs.zebra import ZebraPuzzle
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import TextEnv


class Demonstrators:
    """Draws prompts and responses of a suite of text tasks, every task equally often.

    Args:
        suite: text tasks; only their train split is shown.
        careful: for each task's name, the share of its responses written by the careful author, who
            gives the oracle's answer; the careless one takes the `shortcut`.

    Raises:
        ValueError: if a task is no `TextEnv`, or a share is missing or outside [0, 1].
    """

    def __init__(self, suite: TaskSuite, careful: Mapping[str, float]) -> None:
        self._envs: list[tuple[TextEnv[Any], float]] = []
        for task_id, name in enumerate(suite.names):
            env = suite.envs(task_id, 1)[0].unwrapped
            if not isinstance(env, TextEnv):
                raise ValueError(f"demonstrations need text tasks; task {name!r} is a {type(env).__name__}")
            share = careful.get(name)
            if share is None or not 0 <= share <= 1:
                raise ValueError(f"the share of careful authors of task {name!r} must be in [0, 1], got {share}")
            self._envs.append((env, share))

    def __call__(self, rng: np.random.Generator, count: int) -> Sequence[tuple[str, str]]:
        """`count` demonstrations, (prompt, response)."""
        return [self._demonstrate(*self._envs[i % len(self._envs)], rng) for i in range(count)]

    @staticmethod
    def _demonstrate(env: TextEnv[Any], careful: float, rng: np.random.Generator) -> tuple[str, str]:
        puzzle = env.draw(int(rng.integers(2**62)), {"split": "train"})
        is_careful = rng.random() < careful
        return env.prompt(puzzle), env.oracle(puzzle) if is_careful else shortcut(puzzle)


@singledispatch
def shortcut(puzzle: Any) -> str:
    """The response of somebody who looks at the puzzle but does not think; rarely correct.

    Raises:
        TypeError: if no shortcut is known for this kind of puzzle.
    """
    raise TypeError(f"no shortcut is known for a {type(puzzle).__name__}")


@shortcut.register
def _(puzzle: CountdownPuzzle) -> str:
    return boxed("+".join(map(str, puzzle.numbers)))


@shortcut.register
def _(puzzle: ZebraPuzzle) -> str:
    mentioned = sorted((name for name in puzzle.people if name in puzzle.question), key=puzzle.question.find)
    return "".join(mentioned) + boxed(mentioned[0])


@shortcut.register
def _(puzzle: ArcPuzzle) -> str:
    return boxed(puzzle.test)

"""Questions of mathematics with answers to them, judged as the task judges them."""

from __future__ import annotations

from collections.abc import Iterable

from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.math_questions import MathPuzzle
from mtgrpo_env.envs.mathematics import Mathematics


def assert_judged(question: str, truth: str, right: Iterable[str], wrong: Iterable[str]) -> None:
    """The truth and all right answers are correct, all others wrong."""
    task, puzzle = Mathematics("easy"), MathPuzzle(question, truth)
    for answer in (truth, *right):
        assert task.verify(puzzle, boxed(answer)).outcome == "correct", answer
    for answer in wrong:
        assert task.verify(puzzle, boxed(answer)).outcome == "wrong", answer

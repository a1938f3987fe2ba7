r"""Mathematics: generated questions, or rows of data sets like MATH, with answers judged as mathematics.

Two answers are the same when their values are, exactly: `0.5` answers `\frac{1}{2}`, `3.14` does not answer `\pi`.
A question is not answered by repeating it, though: where the truth is a number, the answer must be worked out, and
a formula copied from the question counts only if the truth is written so.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

import numpy as np

from mtgrpo_env.envs.answers import BoxedTask, Extraction, boxed
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.fields import text_field
from mtgrpo_env.envs.math_questions import LEVELS, MathLevel, MathPuzzle
from mtgrpo_env.envs.symbolic.grading import grade, is_number, same_as_written, submit
from mtgrpo_env.envs.worker_pool import ScorerFailure
from mtgrpo_env.extras import require_package
from mtgrpo_env.paper_frame import question_of
from mtgrpo_env.text_env import SCORER_ERROR, Verdict
from mtgrpo_env.types import Split

_DIGITS = re.compile(r"[0-9]{1,18}")


class Mathematics(BoxedTask[MathPuzzle]):
    r"""Answer a question with a value: a number, a formula, a list, a pair, an interval.

    Rational numbers are judged at once; other answers by worker processes. An answer that they cannot judge in
    time is a scorer error and says nothing about the response.

    Raises:
        MissingPackageError: if the extra `math` is not installed.

    >>> task = Mathematics("mini")
    >>> task.verify(MathPuzzle("M3x+5=26:", "7"), r"\boxed{x = 7.0}").outcome
    'correct'
    """

    LEVELS: ClassVar[Mapping[str, Hashable]] = LEVELS
    level: MathLevel

    def __init__(
        self,
        level: str = "easy",
        *,
        extraction: Extraction = "last-box",
        split: Split = "train",
        render_mode: str | None = None,
    ) -> None:
        require_package("mpmath", user="the task 'math'")  # or a run would end where a model first answers "inf"
        super().__init__(level, extraction=extraction, split=split, render_mode=render_mode)

    def generate(self, rng: np.random.Generator) -> MathPuzzle:
        return self.level.draw(Dice(rng))

    def prompt(self, puzzle: MathPuzzle) -> str:
        if self.level.compact:
            return puzzle.question
        return f"{puzzle.question} Return the final answer in \\boxed{{}}, for example \\boxed{{3/4}}."

    def is_correct(self, puzzle: MathPuzzle, answer: str) -> bool:
        if _without_blanks(answer) in _without_blanks(puzzle.question) and not is_number(answer):
            return same_as_written(puzzle.answer, answer)
        return grade(puzzle.answer, answer, worked_out=True)

    def verify(self, puzzle: MathPuzzle, response: str) -> Verdict:
        try:
            return super().verify(puzzle, response)
        except ScorerFailure:
            return SCORER_ERROR

    def prefetch(self, puzzle: MathPuzzle, response: str) -> None:
        """Start judging ahead of the step that will ask."""
        answer = self.extract(response)
        if answer is not None:
            submit(puzzle.answer, answer, worked_out=True)

    def oracle(self, puzzle: MathPuzzle) -> str:
        return boxed(puzzle.answer)

    def guess(self, puzzle: MathPuzzle, rng: np.random.Generator) -> str:
        """Something of the answer's kind: every number in it replaced by one about as large."""
        return boxed(similar(puzzle.answer, Dice(rng)))

    def key(self, puzzle: MathPuzzle) -> str:
        return puzzle.question

    @classmethod
    def from_ground_truth(cls, ground_truth: Mapping[str, Any], question: str) -> MathPuzzle:
        r"""Read `{"target": "\\frac{1}{2}"}`; a number may be given as one."""
        target = ground_truth.get("target")
        if isinstance(target, int | float) and not isinstance(target, bool):
            ground_truth = {"target": str(target)}
        return MathPuzzle(question_of(question), text_field(ground_truth, "target"))

    def ground_truth(self, puzzle: MathPuzzle) -> dict[str, Any]:
        """What `from_ground_truth` reads."""
        return {"target": puzzle.answer}


def _without_blanks(text: str) -> str:
    return "".join(text.split())


def similar(answer: str, dice: Dice) -> str:
    """The answer with each of its whole numbers drawn anew, up to twice as large.

    >>> similar("x", Dice(np.random.default_rng(0)))
    'x'
    """
    return _DIGITS.sub(lambda match: str(dice.between(1, 2 * int(match.group()) + 1)), answer)

r"""Mathematics: generated questions, or rows of data sets like MATH, with answers judged as mathematics.

Two answers are the same when their values are, exactly: `0.5` answers `\frac{1}{2}`, `3.14` does not answer `\pi`.
A question is not answered by repeating it, though: where the truth is a number, the answer must be worked out; a
formula of the question counts only if the truth is that formula; and where a form is asked for, such as factors or
lowest terms, the answer must have it if the truth has (see `symbolic.formulas` and `symbolic.forms`).
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from functools import lru_cache
from string import ascii_letters
from typing import Any, ClassVar

import numpy as np

from mtgrpo_env.envs.answers import BoxedTask, Extraction, boxed
from mtgrpo_env.envs.boxes import names_set
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.fields import value_field, whole
from mtgrpo_env.envs.math_questions import LEVELS, MathLevel, MathPuzzle
from mtgrpo_env.envs.symbolic.forms import asked_forms, has_asked_form
from mtgrpo_env.envs.symbolic.formulas import repeats_question
from mtgrpo_env.envs.symbolic.grading import grade, submit
from mtgrpo_env.envs.symbolic.readings import readings, truth_readings
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node, nodes
from mtgrpo_env.envs.symbolic.vocabulary import GREEK
from mtgrpo_env.envs.worker_pool import ScorerFailure
from mtgrpo_env.extras import require_package
from mtgrpo_env.paper_frame import question_of
from mtgrpo_env.text_env import SCORER_ERROR, Verdict
from mtgrpo_env.types import Split

_COORDINATES = frozenset(ascii_letters) | GREEK  # what those of a point may be called
_DIGITS = re.compile(r"[0-9]{1,18}")
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
# what programs write where a number is missing or too large
_MISSING = frozenset({"nan", "NaN", "NAN", "inf", "Inf", "None", "null", "Null", "NULL", "<NA>", "NaT"})
_MAX_ROUNDED = 100  # digits


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

    version: ClassVar[int] = 2
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

    def answer(self, puzzle: MathPuzzle, response: str) -> str | None:
        """As `BoxedTask.answer`; where the truth has several values, each may have a box of its own."""
        return self.extract(response, *_boxes(puzzle.answer))

    def is_correct(self, puzzle: MathPuzzle, answer: str) -> bool:
        has_value = grade(puzzle.answer, answer, worked_out=True, digits=puzzle.digits)
        return has_value and answers_question(puzzle.question, puzzle.answer, answer)

    def verify(self, puzzle: MathPuzzle, response: str) -> Verdict:
        try:
            return super().verify(puzzle, response)
        except ScorerFailure:
            return SCORER_ERROR

    def prefetch(self, puzzle: MathPuzzle, response: str) -> None:
        """Start judging ahead of the step that will ask."""
        answer = self.answer(puzzle, response)
        if answer is not None:
            submit(puzzle.answer, answer, worked_out=True, digits=puzzle.digits)

    def oracle(self, puzzle: MathPuzzle) -> str:
        return boxed(puzzle.answer)

    def guess(self, puzzle: MathPuzzle, rng: np.random.Generator) -> str:
        """Something of the answer's kind: every number in it replaced by one about as large."""
        return boxed(similar(puzzle.answer, Dice(rng)))

    def key(self, puzzle: MathPuzzle) -> str:
        return puzzle.question

    @classmethod
    def from_ground_truth(cls, ground_truth: Mapping[str, Any], question: str) -> MathPuzzle:
        r"""Read `{"target": "\\frac{1}{2}"}`; a number may be given as one.

        With `"digits": 3` an answer may round the target to three significant digits, or to more.

        Raises:
            ValueError: if there is no target, or only what programs write for none, such as `nan` or `inf`; a truth
                may be `\\infty`, `infinity` or `\\text{None}`.
        """
        digits = ground_truth.get("digits")
        if digits is not None and not 1 <= (whole(digits) or 0) <= _MAX_ROUNDED:
            raise ValueError(f"ground truth needs an int 'digits' of 1 to {_MAX_ROUNDED}, or none, got {digits!r:.80}")
        target = value_field(ground_truth, "target")
        if target.lstrip("+-") in _MISSING:
            raise ValueError(
                f"ground truth needs a text or a number as 'target', got {target!r}, which stands for none"
            )
        return MathPuzzle(question_of(question), target, digits=whole(digits))

    def ground_truth(self, puzzle: MathPuzzle) -> dict[str, Any]:
        """What `from_ground_truth` reads."""
        rounded = {} if puzzle.digits is None else {"digits": puzzle.digits}
        return {"target": puzzle.answer, **rounded}


def answers_question(question: str, truth: str, answer: str) -> bool:
    r"""Whether an answer is more than the question given back, and in the form that the question asks for.

    >>> [answers_question("Factor $x^2 - 1$.", "(x-1)(x+1)", answer) for answer in ("(x+1)(x-1)", "-1+x^2", "x(x+3)")]
    [True, False, True]

    Args:
        question: text from a file.
        truth: the right answer.
        answer: hostile input; its value is not looked at.
    """
    if answer == truth or (_PLAIN_NUMBER.fullmatch(answer) and not asked_forms(question)):
        return True
    wanted = truth_readings(truth)
    try:
        given = readings(answer, truth=wanted)
    except MathSyntaxError:
        return True
    return not repeats_question(question, wanted, given) and (not wanted or has_asked_form(question, wanted, given))


@lru_cache(maxsize=4096)
def _boxes(truth: str) -> tuple[int, frozenset[str]]:
    """How many boxes an answer may have, and what they may be called: a point's, anything, or they make no point."""
    readings = truth_readings(truth)
    if readings and readings[0].head == "brackets":
        return len(readings[0].args), _COORDINATES
    return sum(map(_num_values, readings[:1])), names_set(truth)


def _num_values(tree: Node) -> int:
    r"""How many values an answer lists, of which `\pm 3` is two; a pair or an interval is one."""
    if tree.head in ("list", "set"):
        return sum(map(_num_values, tree.args))
    return 2 if any(node.head == "sign" for node in nodes(tree)) else 1


def similar(answer: str, dice: Dice) -> str:
    """The answer with each of its whole numbers drawn anew, up to twice as large.

    >>> similar("x", Dice(np.random.default_rng(0)))
    'x'
    """
    return _DIGITS.sub(lambda match: str(dice.between(1, 2 * int(match.group()) + 1)), answer)

r"""Rows scored by a reward function: what its scores mean, what is right, and what happens when it fails."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.final_answers import target_text
from mtgrpo_env.envs.reward_calls import RewardCalls
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_scorers import RowScorer
from mtgrpo_env.envs.slow_calls import SlowCalls
from mtgrpo_env.envs.worker_pool import ScorerFailure
from mtgrpo_env.text_env import SCORER_ERROR, Verdict

_logger = logging.getLogger(__name__)

_SINGLE_PRECISION = 1e-6  # 0.9 of a model in float32 is a little less than 0.9
_MAX_CHECKED = 100_000  # rows that are not looked at again when they come again, as in `reward`
_SLOW = SlowCalls()
_ADVICE = "; as 'worker:package.module:function' it would run in processes that are killed at a deadline"
_OWN_ANSWERS = ("completion", "solution")
"""Columns that may hold a whole response that is right."""


class FunctionScorer(RowScorer):
    """Scores rows by a reward function: a response is right if its score is at least `correct_at`.

    The score is the reward as it is. A function that raises, or returns what is no finite number, is a scorer error:
    the rollout is invalid, and no zero. It is logged once for each kind of error. On its first row the function is
    tried: what fails there fails at once.

    Args:
        calls: of the function.
        name: that it is named by.
        correct_at: the least score of a right response.

    Raises:
        ValueError: if `correct_at` is not finite.
    """

    def __init__(self, calls: RewardCalls, *, name: str, correct_at: float = 1.0) -> None:
        if not math.isfinite(correct_at):
            raise ValueError(f"correct_at must be finite, got {correct_at}")
        self.calls = calls
        self.name = name
        self.correct_at = correct_at
        self._checked: set[Row] = set()
        self._is_tried = False
        self._logged: set[str] = set()

    def problem(self, row: Row) -> Row:
        if row not in self._checked:
            self._check(row)
            if len(self._checked) >= _MAX_CHECKED:
                self._checked.clear()
            self._checked.add(row)
        return row

    def reply(self, problem: Row, responses: Sequence[str]) -> Verdict:
        response = responses[-1]
        try:
            score = self._score(problem, response)
        except Exception as error:
            self._log(problem, error)
            return SCORER_ERROR
        if score is None:
            return SCORER_ERROR
        if score >= self.correct_at - _SINGLE_PRECISION:
            return Verdict(score, True, "correct")
        return Verdict(score, False, "wrong" if response.strip() else "no_answer")

    def prefetch(self, problem: Row, response: str) -> None:
        """Start on a response; a batch function is called with all of them when the first is asked for."""
        self.calls.start((problem, response), self.calls.function.arguments(problem, response))

    def fault(self, problem: Row, response: str) -> str | None:
        """Why a response cannot be scored; None if it can."""
        try:
            self._score(problem, response)
        except Exception as error:
            return described(error)
        return None

    def oracle(self, problem: Row) -> str:
        """The first usual form of the row's answer that is scored as right; the bare answer if none is."""
        solution = self.solution(problem)
        return bare_answer(problem) if solution is None else solution

    def solution(self, problem: Row) -> str | None:
        """`oracle`, but None if no form is right."""
        forms = dict.fromkeys(answer_forms(problem))
        return next((form for form in forms if self.reply(problem, [form]).is_success), None)

    def key(self, problem: Row) -> str:
        """The prompt, whatever its blanks: it is all that a policy sees of a row."""
        return " ".join(problem.prompt.split())

    def _check(self, row: Row) -> None:
        self.calls.function.arguments(row, "")
        if self._is_tried:
            return
        for response, what in ((bare_answer(row), "the row's own answer"), ("", "an empty response")):
            try:
                self._score(row, response)
            except Exception as error:
                raise ValueError(f"{row.source}: the reward {self.name} fails on {what}: {described(error)}") from error
        self._is_tried = True

    def _score(self, row: Row, response: str) -> float | None:
        arguments = self.calls.function.arguments(row, response)
        with _SLOW.watched(f"{row.source}: the reward {self.name}", _ADVICE):
            return self.calls.score((row, response), arguments)

    def _log(self, row: Row, error: Exception) -> None:
        kind = type(error).__name__
        if kind not in self._logged:
            self._logged.add(kind)
            _logger.warning(
                "%s: the reward %s fails, and the rollout does not count: %s (shown once for this kind of error)",
                row.source,
                self.name,
                described(error),
            )


Guess = Callable[[Row, np.random.Generator], str]


class BuiltInScorer(FunctionScorer):
    """A reward of this package: every row is tried, so that a ground truth it cannot read is refused when it is read.

    Args:
        calls: of the function.
        name: that it is named by.
        correct_at: the least score of a right response.
        guess: a well-formed answer made without thinking.
    """

    def __init__(self, calls: RewardCalls, *, name: str, correct_at: float = 1.0, guess: Guess) -> None:
        super().__init__(calls, name=name, correct_at=correct_at)
        self._guess = guess

    def guess(self, problem: Row, rng: np.random.Generator) -> str:
        return self._guess(problem, rng)

    def _check(self, row: Row) -> None:
        _ = row.needed_truth
        try:
            self._score(row, "")
        except ValueError as error:
            raise ValueError(f"{row.source}, column ground_truth: {error}") from error


def described(error: Exception) -> str:
    """An error in one line; what a worker says of one has its kind in it."""
    kind = type(error).__name__
    try:
        text = str(error) if isinstance(error, ScorerFailure) else f"{kind}: {error}"
    except Exception:  # of its own making
        text = kind
    return " ".join(text.split())[:300]


def answer_forms(row: Row) -> Iterator[str]:
    """Responses that say the row's answer, in the forms that rewards usually ask for."""
    yield from filter(None, (_text(row.columns.get(column)) for column in _OWN_ANSWERS))
    for answer in filter(None, (bare_answer(row), _whole_truth(row))):
        yield from (answer, boxed(answer), f"#### {answer}", f"<answer>{answer}</answer>", f"Answer: {answer}")


def bare_answer(row: Row) -> str:
    """The row's answer without any dress: its target, else all of its ground truth."""
    try:
        return target_text(row.ground_truth)
    except ValueError:
        return _whole_truth(row)


def _whole_truth(row: Row) -> str:
    truth = row.ground_truth
    return truth if isinstance(truth, str) else json.dumps(dict(truth), default=str)


def _text(value: Any) -> str | None:
    """A response in a column: a text, or the last message of a chat."""
    if isinstance(value, Sequence) and not isinstance(value, str) and value and isinstance(value[-1], Mapping):
        value = value[-1].get("content")
    return value if isinstance(value, str) else None

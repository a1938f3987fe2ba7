r"""Grading an answer against the truth: rational numbers here and now, all else by workers that can be killed.

`grade` says yes or no; no text, however hostile, gets more than that or a `ScorerFailure` out of it. Nothing is
evaluated but our own trees, and nothing is rounded: 0.333 is not 1/3, and 3.14 is not pi.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mtgrpo_env.envs.symbolic.equality import Undecided, is_worked_out, readings, same_answer, same_rational
from mtgrpo_env.envs.symbolic.exact import NoValue
from mtgrpo_env.envs.symbolic.tokens import MAX_LENGTH, MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node
from mtgrpo_env.envs.worker_pool import shared_pool
from mtgrpo_env.extras import require_package

_JUDGE = "mtgrpo_env.envs.symbolic.worker:equal"
_DIGIT = re.compile(r"[0-9]")
_TYPESETTING = re.compile(
    r"\\(?:left|right|displaystyle|text|textbf|textit|textrm|mathrm|mbox|mathbf)(?![A-Za-z])|\\[,;:! ]|[\s${}~]"
)


def grade(truth: str, answer: str, *, worked_out: bool = False) -> bool:
    r"""Whether an answer is right.

    >>> grade(r"\frac{1}{2}", "0.5"), grade(r"\frac13", "0.333"), grade("1, 2", r"\{2, 1\}")
    (True, False, True)
    >>> grade("14", "3*4 + 2"), grade("14", "3*4 + 2", worked_out=True)
    (True, False)

    Args:
        truth: ours.
        answer: hostile input.
        worked_out: where the truth has nothing left to compute, neither may the answer: "Calculate 3*4 + 2" is
            not answered by repeating it.

    Raises:
        ScorerFailure: if the workers have no result.
        ImportError: if it takes a worker and sympy is not installed.
    """
    verdict = _here(truth, answer, worked_out)
    return bool(shared_pool(_JUDGE).call(_request(truth, answer))) if verdict is None else verdict


def submit(truth: str, answer: str, *, worked_out: bool = False) -> None:
    """Start on what `grade` will be asked for, if it takes a worker; does not wait.

    Raises:
        ImportError: as in `grade`.
    """
    if _here(truth, answer, worked_out) is None:
        shared_pool(_JUDGE).submit(_request(truth, answer))


def same_as_written(truth: str, answer: str) -> bool:
    """Whether an answer is the truth as it stands, up to notation: `x^2 - 1` is, `(x - 1)(x + 1)` is not."""
    if len(answer) > MAX_LENGTH:
        return answer == truth
    try:
        given = readings(answer)
    except MathSyntaxError:
        return _bare(truth) == _bare(answer)
    return any(tree in _truth_readings(truth) for tree in given)


def is_number(answer: str) -> bool:
    """Whether an answer is a written number, or several, with nothing left to compute."""
    try:
        return is_worked_out(readings(answer)[0])
    except MathSyntaxError:
        return False


def _here(truth: str, answer: str, worked_out: bool) -> bool | None:
    """The verdict, if it can be had in this process."""
    if answer == truth or len(answer) > MAX_LENGTH:
        return answer == truth
    wanted = _truth_readings(truth)
    if not wanted or any(tree.head == "words" for tree in wanted):
        if _bare(truth) == _bare(answer):
            return True
        if not wanted:
            return False
    try:
        given = readings(answer, truth=wanted)
        if worked_out and is_worked_out(wanted[0]) and not any(map(is_worked_out, given)):
            return False
        return same_answer(wanted, given, same_rational)
    except MathSyntaxError:
        return _DIGIT.search(truth) is None and _bare(truth) == _bare(answer)
    except NoValue:
        return False
    except Undecided:
        return None


@lru_cache(maxsize=4096)
def _truth_readings(truth: str) -> Sequence[Node]:
    try:
        return readings(truth)
    except MathSyntaxError:
        return ()


def _bare(text: str) -> str:
    """Text without typesetting and case, for truths that the grammar does not cover, such as words."""
    text = _TYPESETTING.sub("", text).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").removesuffix(".")
    while text.startswith("(") and text.find(")") == len(text) - 1:
        text = text[1:-1]
    return text.casefold()


def _request(truth: str, answer: str) -> dict[str, str]:
    require_package("mpmath", user="judging answers that are no rational numbers")
    return {"truth": truth, "answer": answer}

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
_MATRICES = tuple(f"{kind}matrix}}" for kind in ("p", "b", "B", "v", "V", ""))
_TYPESETTING = re.compile(
    r"\\(?:left|right|displaystyle|text|textbf|textit|textrm|mathrm|mbox|mathbf)(?![A-Za-z])|\\[,;:! ]|[\s${}~]"
)


def grade(truth: str, answer: str, *, worked_out: bool = False, digits: int | None = None) -> bool:
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
        digits: to how many significant digits the answer may be rounded, at least; None: not at all.

    Raises:
        ScorerFailure: if the workers have no result.
        ImportError: if it takes a worker and sympy is not installed.
    """
    pairs = _entries(truth, answer)
    return bool(pairs) and all(_grade_entry(*pair, worked_out) for pair in pairs)


def submit(truth: str, answer: str, *, worked_out: bool = False, digits: int | None = None) -> None:
    """Start on what `grade` will be asked for, if it takes a worker; does not wait.

    Raises:
        ImportError: as in `grade`.
    """
    for pair in _entries(truth, answer):
        if _here(*pair, worked_out) is None:
            shared_pool(_JUDGE).submit(_request(*pair))


def _grade_entry(truth: str, answer: str, worked_out: bool) -> bool:
    verdict = _here(truth, answer, worked_out)
    return bool(shared_pool(_JUDGE).call(_request(truth, answer))) if verdict is None else verdict


def _entries(truth: str, answer: str) -> list[tuple[str, str]]:
    """What has to be the same: the entries of two matrices, else the whole answers; nothing for another shape."""
    rows = _matrix(truth)
    if rows is None:
        return [(truth, answer)]
    given = _matrix(answer)
    if given is None or [len(row) for row in rows] != [len(row) for row in given]:
        return []
    return [pair for left, right in zip(rows, given, strict=True) for pair in zip(left, right, strict=True)]


def _matrix(text: str) -> list[list[str]] | None:
    r"""The entries of a LaTeX matrix, row by row; None for anything else.

    >>> _matrix(r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}")
    [['1', '2'], ['3', '4']]
    """
    text = text.strip(" \n$")
    for kind in _MATRICES:
        start, end = "\\begin{" + kind, "\\end{" + kind
        if text.startswith(start) and text.endswith(end):
            rows = text[len(start) : -len(end)].strip().removesuffix("\\\\").split("\\\\")
            return [[entry.strip() for entry in row.split("&")] for row in rows]
    return None


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
    if len(answer) > MAX_LENGTH:
        return answer == truth
    wanted = _truth_readings(truth)
    if not wanted:
        return _bare(truth) == _bare(answer)
    try:
        given = readings(answer)
        if worked_out and is_worked_out(wanted[0]) and not is_worked_out(given[0]):
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

r"""Grading an answer against the truth: rational numbers here and now, all else by workers that can be killed.

`grade` says yes or no; no text, however hostile, gets more than that or a `ScorerFailure` out of it. Nothing is
evaluated but our own trees, and nothing is rounded unless it is asked for: 0.333 is not 1/3, and 3.14 is not pi.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from mtgrpo_env.envs.dress import bare_words, undressed
from mtgrpo_env.envs.symbolic.equality import Undecided, same_answer, same_rational, same_rounded
from mtgrpo_env.envs.symbolic.exact import NoValue
from mtgrpo_env.envs.symbolic.readings import is_worked_out, is_worked_out_truth, readings, truth_readings
from mtgrpo_env.envs.symbolic.tokens import MAX_LENGTH, MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node
from mtgrpo_env.envs.worker_pool import shared_pool
from mtgrpo_env.extras import require_package

_JUDGE = "mtgrpo_env.envs.symbolic.worker:equal"
_DIGIT = re.compile(r"[0-9]")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_SINGLE = re.compile(r"(?<!\\text)\{\s*([0-9]+|[A-Za-z]+|\\[A-Za-z]+)\s*\}")
_PIECE = re.compile(r"(?:\\(?:left|right)(?![A-Za-z])|\\[,;:! ]|[\s~.])*([0-9]+|[A-Za-z]+|\\[A-Za-z]+|\\.|[^\s~.])")
_QUOTED = re.compile(r"(?:``|[\"“‘'])([^\"“”‘’`']+)(?:''|[\"”’'])")
_SAME_PIECE = {"\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\cdot": "*", "\\times": "*"}
_WORD_LENGTH = 4  # from which on capitals do not count; shorter ones may be variables


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
        digits: significant digits from which on a decimal may round the truth; None where nothing is rounded.

    Raises:
        ScorerFailure: if the workers have no result.
        ImportError: if it takes a worker and sympy is not installed.
    """
    verdict = _here(truth, answer, worked_out, digits)
    return bool(shared_pool(_JUDGE).call(_request(truth, answer, digits))) if verdict is None else verdict


def submit(truth: str, answer: str, *, worked_out: bool = False, digits: int | None = None) -> None:
    """Start on what `grade` will be asked for, if it takes a worker; does not wait.

    Raises:
        ImportError: as in `grade`.
    """
    if _here(truth, answer, worked_out, digits) is None:
        shared_pool(_JUDGE).submit(_request(truth, answer, digits))


def _here(truth: str, answer: str, worked_out: bool, digits: int | None) -> bool | None:
    """The verdict, if it can be had in this process."""
    if answer == truth or len(answer) > MAX_LENGTH:
        return answer == truth
    wanted = truth_readings(truth)
    if not wanted:
        return _same_words(truth, answer)
    try:
        given = readings(answer, truth=wanted)
        if "words" in {tree.head for tree in (*wanted, *given)} and (
            _same_words(truth, answer) or Node("words", text=bare_words(answer).casefold()) in wanted
        ):
            return True
        if worked_out and all(map(is_worked_out_truth, wanted)) and not any(map(is_worked_out, given)):
            return False
        same_value = same_rational if digits is None else partial(same_rounded, digits=digits)
        return same_answer(wanted, given, same_value)
    except MathSyntaxError:
        return _DIGIT.search(truth) is None and _same_words(truth, answer)
    except NoValue:
        return False
    except Undecided:
        return None


def _same_words(truth: str, answer: str) -> bool:
    """Whether two texts that the grammar does not cover are the same but for typesetting and the case of words."""
    return list(_pieces(truth)) == list(_pieces(answer))


def _pieces(text: str) -> Iterator[str]:
    """The words, numbers, commands and signs of a text; a group of one of them is no group."""
    text = _TEXT.sub(lambda match: f" {match[1].casefold()} ", _SINGLE.sub(r" \1 ", undressed(text))).strip()
    quoted = _QUOTED.fullmatch(text)
    text = quoted[1] if quoted else text
    for piece in _PIECE.findall(text):
        yield _SAME_PIECE.get(piece, piece.casefold() if len(piece) >= _WORD_LENGTH else piece)


def _request(truth: str, answer: str, digits: int | None) -> dict[str, Any]:
    require_package("mpmath", user="judging answers that are no rational numbers")
    return {"truth": truth, "answer": answer, "digits": digits}

"""Exact, safe arithmetic on hostile text: `+ - * / ( )` over whole numbers, and nothing else.

There is no `eval`, no recursion, no power and no float: one pass over at most `MAX_LENGTH` characters
with an explicit stack.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

# The one cap there is. It also bounds nesting depth, digits per number and the size of every
# intermediate value, since an operator at most adds up the digits of its operands.
MAX_LENGTH = 256

_ALLOWED = re.compile(r"[0-9+\-*/() \t\r\n]*")
# "03" and "00" fall apart into two numbers side by side, which is malformed: only 0 itself starts with 0.
_TOKEN = re.compile(r"[1-9][0-9]*|[0+\-*/()]")
_OPERATORS = frozenset("+-*/")

_Ratio = tuple[int, int]  # numerator and denominator, not reduced: several times faster than Fraction
_ZERO: _Ratio = (0, 1)


class ExpressionError(ValueError):
    """The text is not an expression with a value; the message says why."""


class Evaluation(NamedTuple):
    """What an expression comes to, and the numbers written in it, in order of appearance."""

    value: Fraction
    numbers: tuple[int, ...]


def evaluate(text: str) -> Evaluation:
    """The exact value of an arithmetic expression.

    Operators are binary: `-3+5` and `2*-3` are malformed, because a sign would be one more operation
    than a puzzle's numbers allow for. So are `2(3)`, `**`, `//`, decimals and digits outside ASCII.

    >>> evaluate("(1 + 2) / 6")
    Evaluation(value=Fraction(1, 2), numbers=(1, 2, 6))

    Raises:
        ExpressionError: if the text is too long, malformed or divides by zero.
    """
    numbers: list[int] = []
    enclosing: list[tuple[_Ratio, _Ratio, str]] = []  # what stands left of each open parenthesis
    # Left of the cursor stands `total + term`; `operator` joins the next operand to it.
    total, term, operator = _ZERO, _ZERO, "+"
    after_operand = False
    for token in _tokens(text):
        if token in _OPERATORS:
            if not after_operand:
                raise ExpressionError(f"expected a number or '(' before {token!r} in {text!r}")
            operator, after_operand = token, False
            continue
        if token == ")":
            if not (after_operand and enclosing):
                raise ExpressionError(f"unexpected ')' in {text!r}")
            operand = _sum(total, term)
            total, term, operator = enclosing.pop()
        elif after_operand:
            raise ExpressionError(f"expected an operator before {token!r} in {text!r}")
        elif token == "(":
            enclosing.append((total, term, operator))
            total, term, operator = _ZERO, _ZERO, "+"
            continue
        else:
            operand = (int(token), 1)
            numbers.append(operand[0])
        after_operand = True
        if operator in "+-":
            total, term = _sum(total, term), operand if operator == "+" else (-operand[0], operand[1])
        elif operator == "*":
            term = term[0] * operand[0], term[1] * operand[1]
        elif operand[0]:
            term = term[0] * operand[1], term[1] * operand[0]
        else:
            raise ExpressionError(f"division by zero in {text!r}")
    if enclosing or not after_operand:
        raise ExpressionError(f"expected more at the end of {text!r}")
    return Evaluation(Fraction(*_sum(total, term)), tuple(numbers))


def _tokens(text: str) -> list[str]:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"expected at most {MAX_LENGTH} characters, got {len(text)}")
    if _ALLOWED.fullmatch(text) is None:
        raise ExpressionError(f"expected only ASCII digits, + - * / ( ) and blanks, got {text!r}")
    return _TOKEN.findall(text)


def _sum(left: _Ratio, right: _Ratio) -> _Ratio:
    return left[0] * right[1] + right[0] * left[1], left[1] * right[1]

r"""Countdown's answers as people and models write them: typeset in LaTeX, with other signs, or as an equation.

Typesetting is rewritten to the plain arithmetic that `evaluate` reads, character by character with a stack; what is not
on the lists here makes the answer wrong. What takes typesetting off never joins digits: `1\,2` is no 12.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mtgrpo_env.envs.arithmetic import ExpressionError, evaluate

_MAX_LENGTH = 1024  # characters of an answer with its typesetting

_PLAIN = re.compile(r"[0-9+\-*/() \t\r\n]*")
_PIECE = re.compile(r"\\[A-Za-z]+|\\?.", re.DOTALL)
_IGNORED = re.compile(
    r"\s|[$~]|\\[()\[\],;:! ]|\\(?:q?quad|thinspace|left|right|[bB]igg?[lrm]?|displaystyle|textstyle|boxed|fbox|mbox"
    r"|ensuremath|math(?:rm|bf|it|sf|tt|normal)|text(?:rm|bf|it|sf|tt|normal)?)"
)
_FULL_STOP = re.compile(r"\.(?:\s|\$|\\[)\]])*\Z")
_SIGNS = {
    **{sign: sign for sign in "0123456789+-*/="},
    **dict.fromkeys(("\N{MINUS SIGN}", "\N{EN DASH}"), "-"),
    **dict.fromkeys(
        "\N{MULTIPLICATION SIGN}\N{MIDDLE DOT}\N{BULLET OPERATOR}\N{DOT OPERATOR}\N{ASTERISK OPERATOR}", "*"
    ),
    **dict.fromkeys((r"\times", r"\cdot", r"\ast"), "*"),
    **dict.fromkeys(("\N{DIVISION SIGN}", "\N{DIVISION SLASH}", "\N{FRACTION SLASH}", r"\div"), "/"),
}
_BRACKETS = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\lbrack": r"\rbrack"}
_FRACTIONS = frozenset({r"\frac", r"\dfrac", r"\tfrac", r"\cfrac"})
_NUMERATOR_END, _DENOMINATOR_END = ")/", "))"


def solves(answer: str, numbers: Sequence[int], target: int) -> bool:
    r"""Whether an answer makes the target from all of the numbers, each used once, exactly and by + - * / only.

    It may be an equation with the target alone on its other side; what stands between the two must equal it too.
    Operators are never left out: `2(3+4)` is wrong, since `12/2(3)` and `2\frac{1}{2}` mean two things each.

    >>> solves("(1 + 2) / 3", [1, 2, 3], 1), solves(r"$1 = \frac{1 + 2}{3}$.", [1, 2, 3], 1)
    (True, True)
    >>> solves("1 + 2 = 3/3", [1, 2, 3], 1), solves("12 / 3", [1, 2, 3], 4)
    (False, False)
    """
    try:
        members = plain_arithmetic(answer).split("=")
        if len(members) > 1:
            if members[0].strip("() ") == str(target):
                members.reverse()
            if members.pop().strip("() ") != str(target):
                return False
        expression, *steps = map(evaluate, members)
    except ExpressionError:
        return False
    uses_all = sorted(expression.numbers) == sorted(numbers)
    return uses_all and all(member.value == target for member in (expression, *steps))


def plain_arithmetic(text: str) -> str:
    r"""An expression or equation in digits, + - * / ( ), "=" and blanks.

    >>> plain_arithmetic(r"\left[12 \div 6\right] × \frac{4}{2} = 4.")
    ' (12 / 6 ) * ((4)/(2)) = 4'

    Raises:
        ExpressionError: if the text is too long, a bracket is not closed by its kind, or a character is not on the
            lists of this module.
    """
    if _PLAIN.fullmatch(text):
        return text
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(f"expected at most {_MAX_LENGTH} characters, got {len(text)}")
    return "".join(_rewritten(_PIECE.findall(_FULL_STOP.sub("", text))))


def _rewritten(pieces: Sequence[str]) -> list[str]:
    written: list[str] = []
    open_brackets: list[tuple[str, str]] = []  # what closes each, and what is written for that
    argument_end = ""  # what is written after the argument that a fraction goes on with; "" outside of fractions
    for piece in pieces:
        if _IGNORED.fullmatch(piece):
            written.append(" ")
        elif argument_end and piece == "{":
            open_brackets.append(("}", argument_end))
            written.append("(")
            argument_end = ""
        elif argument_end and piece in "0123456789":
            written.append(f"({piece}{argument_end}")
            argument_end = _DENOMINATOR_END if argument_end == _NUMERATOR_END else ""
        elif argument_end:
            raise ExpressionError(f"expected an argument of a fraction before {piece!r} in {''.join(pieces)!r}")
        elif piece in _FRACTIONS:
            written.append("(")
            argument_end = _NUMERATOR_END
        elif piece in _BRACKETS:
            open_brackets.append((_BRACKETS[piece], ")"))
            written.append("(")
        elif open_brackets and piece == open_brackets[-1][0]:
            end = open_brackets.pop()[1]
            written.append(end)
            argument_end = _DENOMINATOR_END if end == _NUMERATOR_END else ""
        elif piece in _SIGNS and not (piece == "=" and open_brackets):
            written.append(_SIGNS[piece])
        else:
            raise ExpressionError(f"unexpected {piece!r} in {''.join(pieces)!r}")
    if open_brackets or argument_end:
        raise ExpressionError(f"expected more at the end of {''.join(pieces)!r}")
    return written

r"""Countdown's answers as people and models write them: typeset in LaTeX, with other signs, or as an equation.

Dress is taken off, and typesetting rewritten to the plain arithmetic that `evaluate` reads, character by character with
a stack; what is not on the lists here makes the answer wrong. Nothing of this joins digits: `1\,2` is no 12.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mtgrpo_env.envs.arithmetic import ExpressionError, evaluate
from mtgrpo_env.envs.dress import undressed

_MAX_LENGTH = 1024  # characters of an answer with its typesetting

_PLAIN = re.compile(r"[0-9+\-*/() \t\r\n]*[0-9)]\s*")  # a star behind it is emphasis
_PIECE = re.compile(r"\\[A-Za-z]+|\\?.", re.DOTALL)
_IGNORED = re.compile(
    r"\s|[~&]|\\?\$|\\[\\()\[\],;:! ]|\\(?:q?quad|thinspace|left|right|[bB]igg?[lrm]?|text|math(?:bin|rel|op|ord))"
)
_STRUCK_OUT = "~~"
_GROUP = re.compile(r"(?:\\text\s*)?\{")
_MOST_GROUPS = 4
_SIGN_OFF = ",;= \t\r\n"
_LETTER_TIMES = re.compile(r"(?<=\s)[xX](?=\s)")
_LONE_SIGN = re.compile(r"\{\s*(\\(?:times|cdot|ast|div)|[^\w\s\\{}()\[\]])\s*\}")
_SIGNS = {
    **{sign: sign for sign in "0123456789+-*/="},
    **dict.fromkeys(("\N{MINUS SIGN}", "\N{EN DASH}"), "-"),
    **dict.fromkeys(
        "\N{MULTIPLICATION SIGN}\N{MIDDLE DOT}\N{BULLET OPERATOR}\N{DOT OPERATOR}\N{ASTERISK OPERATOR}"
        "\N{HEAVY MULTIPLICATION X}\N{MULTIPLICATION X}\N{FULLWIDTH ASTERISK}",
        "*",
    ),
    **dict.fromkeys((r"\times", r"\cdot", r"\ast"), "*"),
    **dict.fromkeys(("\N{DIVISION SIGN}", "\N{DIVISION SLASH}", "\N{FRACTION SLASH}", r"\div"), "/"),
}
_BRACKETS = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\lbrack": r"\rbrack"}
_FRACTIONS = frozenset({r"\frac", r"\dfrac", r"\tfrac", r"\cfrac"})
_NUMERATOR_END, _DENOMINATOR_END = ")/", "))"


def solves(answer: str, numbers: Sequence[int], target: int) -> bool:
    r"""Whether an answer makes the target from all of the numbers, each used once, exactly and by + - * / only.

    It may be an equation with the target alone on its other side; what stands between the two must equal it too. A sign
    of equality with nothing beside it, a comma and a semicolon at the ends do not count.
    Operators are never left out: `2(3+4)` is wrong, since `12/2(3)` and `2\frac{1}{2}` mean two things each.

    >>> solves("(1 + 2) / 3", [1, 2, 3], 1), solves(r"$1 = \frac{1 + 2}{3}$.", [1, 2, 3], 1)
    (True, True)
    >>> solves("1 + 2 = 3/3", [1, 2, 3], 1), solves("12 / 3", [1, 2, 3], 4)
    (False, False)
    """
    try:
        expression = answer if _PLAIN.fullmatch(answer) else _side_of_numbers(answer, target)
    except ExpressionError:
        return False
    return solves_as_written(expression, numbers, target)


def solves_as_written(answer: str, numbers: Sequence[int], target: int) -> bool:
    """As `solves`, of plain arithmetic alone, as the paper's released code reads it."""
    try:
        value, used = evaluate(answer)
    except ExpressionError:
        return False
    return value == target and sorted(used) == sorted(numbers)


def _side_of_numbers(answer: str, target: int) -> str:
    """The expression, or of an equation the first or last member, where the other of them is the target."""
    expression, *steps = plain_arithmetic(answer).split("=")
    if steps:
        if expression.strip("() ") == str(target):
            expression, *steps = *reversed(steps), expression
        if steps.pop().strip("() ") != str(target) or any(evaluate(step).value != target for step in steps):
            raise ExpressionError(f"expected every other member to equal {target} in {answer!r}")
    return expression


def plain_arithmetic(text: str) -> str:
    r"""An expression or equation in digits, + - * / ( ), "=" and blanks.

    >>> plain_arithmetic(r"\left[12 \div 6\right] × \frac{4}{2} = 4.")
    ' (12 / 6 ) * ((4)/(2)) = 4'

    Raises:
        ExpressionError: if the text is too long or struck out, a bracket is not closed by its kind, or a character is
            not on the lists of this module.
    """
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(f"expected at most {_MAX_LENGTH} characters, got {len(text)}")
    if _STRUCK_OUT in text:
        raise ExpressionError(f"expected no {_STRUCK_OUT!r} in {text!r}")
    text = _LONE_SIGN.sub(r" \1 ", _LETTER_TIMES.sub("*", _ungrouped(undressed(text)))).strip(_SIGN_OFF)
    return "".join(_rewritten(_PIECE.findall(_with_fractions(_PIECE.findall(text)))))


def _ungrouped(text: str) -> str:
    """An equation without the groups that fonts and colours leave around all of it; any other text as it is."""
    for _ in range(_MOST_GROUPS if "=" in text else 0):
        text = text.strip(_SIGN_OFF)
        opening = _GROUP.match(text)
        if opening is None or not _is_one_group(text, opening.end()):
            break
        text = text[opening.end() : -1]
    return text


def _is_one_group(text: str, start: int) -> bool:
    """Whether the group whose content starts there goes on to the end."""
    depth = 1
    for place in range(start, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place == len(text) - 1
    return False


def _with_fractions(pieces: Sequence[str]) -> str:
    r"""The text with `{a \over b}` as `{\frac{a}{b}}`."""
    written: list[str] = []
    groups: list[int] = []  # where each open group starts
    fractions: set[int] = set()
    for piece in pieces:
        if piece == r"\over" and groups and groups[-1] not in fractions:
            fractions.add(groups[-1])
            written[groups[-1]] = r"{\frac{"
            written.append("}{")
            continue
        if piece == "{":
            groups.append(len(written))
        written.append("}}" if piece == "}" and groups and groups.pop() in fractions else piece)
    return "".join(written)


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

r"""Slow, simple judges for the fuzzer to compare with: written from the rules, sharing no code with the verifiers.

A reference says True or False where it is certain, and None where the rules leave room.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

Reference = Callable[[Any, Any, str], bool | None]  # (task, puzzle, answer)

_OPEN = "\\boxed{"
_MARKUP = "\\text{"
_LONGEST_EXPRESSION = 256  # characters that Countdown reads
_LONGEST_PIECE = 60
_LEAVES_ROOM = re.compile(
    r"\\boxed(?!\{)|\\f(?:rame)?box|think|\\[{}\\,;:! _]|answer|User|\?|[{$]\s*[.~_\u2026][\s.~_\u2026]*[}$]"
)


def is_plain(response: str) -> bool:
    """Whether braces alone say what its boxes are, so that `last_box` here is certain."""
    return _LEAVES_ROOM.search(response) is None


def last_box(response: str) -> str | None:
    """The last box that closes, and stands in no other that does: by counting braces from every box on, quadratic.

    A later box that does not close takes it away.
    """
    starts = [start for start in range(len(response)) if response.startswith(_OPEN, start)]
    closed = [(start, content) for start in starts if (content := _content(response, start)) is not None]
    outer = [
        (start, _bare(content))
        for start, content in closed
        if not any(other < start < other + len(_OPEN) + len(around) for other, around in closed)
    ]
    filled = [(start, content) for start, content in outer if content]
    if not filled or any(start > filled[-1][0] for start in {*starts} - {start for start, _ in closed}):
        return None
    return filled[-1][1]


def _bare(content: str) -> str:
    content = content.strip()
    marks = next((marks for marks in ("$$", "$") if content.startswith(marks) and content.endswith(marks)), "")
    inner = content[len(marks) : len(content) - len(marks)].strip()
    if inner.startswith(_OPEN) and (held := _content(inner, 0)) is not None and inner == f"{_OPEN}{held}}}":
        return _bare(held)
    if content.startswith(_MARKUP) and content.endswith("}") and content.count("}") == 1:
        content = content[len(_MARKUP) : -1].strip()
    if len(content) > 1 and content[0] == content[-1] == "$" and content.count("$") == 2:
        content = content[1:-1].strip()
    return content


def released_box(response: str) -> str | None:
    """The last box of the last line, if anything before says that the assistant speaks."""
    for marker in ("Assistant:", "<|im_start|>assistant"):
        if marker in response:
            return _last_closed(response[response.index(marker) + len(marker) :].split("\n")[-1])
    return None


def _last_closed(text: str) -> str | None:
    starts = (start for start in range(len(text) - len(_OPEN), -1, -1) if text.startswith(_OPEN, start))
    return next((content for start in starts if (content := _content(text, start)) is not None), None)


def _content(text: str, start: int) -> str | None:
    """What the box there holds; None if it is not closed."""
    content, depth = start + len(_OPEN), 1
    for end in range(content, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[content:end]
    return None


def countdown(task: Any, puzzle: Any, answer: str) -> bool | None:
    """Certain where nothing is typeset, and that an answer is wrong of which no side is right, however it is read."""
    if not re.search(r"[^0-9+\-*/() \t\r\n]", answer) and not answer.rstrip().endswith("*"):
        return _solves(puzzle, answer)
    if re.search(r"_|(?:^|[^0-9)\]}\s])\s*\*|\*\s*(?:$|[^0-9(\[{\\\s])", answer):
        return None  # it may be emphasis
    return None if any(_solves(puzzle, reading) for reading in _readings(answer)) else False


def _readings(answer: str) -> Iterator[str]:
    """Each side of an answer without its typesetting, with blanks in the place of what means nothing here."""
    for _ in range(answer.count("\\frac")):
        answer = re.sub(r"\\frac\s*(?:\{([^{}]*)\}|([0-9]))\s*(?:\{([^{}]*)\}|([0-9]))", r"((\1\2)/(\3\4))", answer)
    answer = re.sub(r"\\cdot(?![A-Za-z])", "*", answer)
    answer = answer.translate(str.maketrans("[]{}", "()()"))
    answer = re.sub(r"\{\s*([-+*/])\s*\}", r"\1", re.sub(r"(?<=\s)x(?=\s)", "*", answer))
    answer = re.sub(r"^[,;=\s$]+|[.,;:=\s$]+$|\\(?:left|text)(?![A-Za-z])|[\s$]", " ", answer)
    yield from map(str.strip, answer.split("="))


def _solves(puzzle: Any, answer: str) -> bool:
    """By Python's own parser, and exact fractions over four node types."""
    # Python reads "00" as zero; here no number starts with a zero that others follow.
    if len(answer) > _LONGEST_EXPRESSION or re.search(r"[^0-9+\-*/() \t\r\n]|\*\s*\*|/\s*/|\b0[0-9]", answer):
        return False
    numbers: list[int] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # "1(2)" is a call of a number
            tree = ast.parse(re.sub(r"\s", " ", answer), mode="eval")
        value = _value(tree.body, numbers)
    except (SyntaxError, ZeroDivisionError):
        return False
    return value == puzzle.target and sorted(numbers) == sorted(puzzle.numbers)


def _value(node: ast.expr, numbers: list[int]) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        numbers.append(node.value)
        return Fraction(node.value)
    if not isinstance(node, ast.BinOp):
        raise SyntaxError(f"expected a number or an operation, got {type(node).__name__}")
    left, right = _value(node.left, numbers), _value(node.right, numbers)
    if isinstance(node.op, ast.Add):
        return left + right
    if isinstance(node.op, ast.Sub):
        return left - right
    if isinstance(node.op, ast.Mult):
        return left * right
    if isinstance(node.op, ast.Div):
        return left / right
    raise SyntaxError(f"expected + - * /, got {type(node.op).__name__}")


def zebra(task: Any, puzzle: Any, answer: str) -> bool | None:
    """By names: equal in ASCII is right; different in letters, whatever unicode's mapping or the dress, is wrong."""
    if answer.isascii() and answer.strip().upper() == puzzle.answer.upper():
        return True
    return None if _letters(puzzle.answer) in (_letters(answer), _letters(_without_commands(answer))) else False


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, _folded(text)))


def _without_commands(text: str) -> str:
    return re.sub(r"\\[A-Za-z]+", "", text)


def arc(task: Any, puzzle: Any, answer: str) -> bool | None:
    """Cell by cell, a row in compact notation being one; where more than digits and blanks stand there, by digits."""
    cells = [puzzle.answer] if task.level.compact else list(puzzle.answer)
    if re.fullmatch(r"[0-9\s]*", answer):
        return answer.split() == cells
    return None if re.findall("[0-9]", answer) == list(puzzle.answer) else False


_PLAIN = re.compile(r"(-?)(?:([0-9]+(?:\.[0-9]+)?)|([0-9]+)/([0-9]+)|\\frac\{([0-9]+)\}\{([0-9]+)\})", re.ASCII)


def mathematics(task: Any, puzzle: Any, answer: str) -> bool | None:
    """By value, where the truth and the answer are plain numbers: whole, decimal, or a fraction of whole ones."""
    wanted, given = _plain_number(puzzle.answer), _plain_number(answer)
    return None if wanted is None or given is None else wanted == given


def _plain_number(text: str) -> Fraction | None:
    found = _PLAIN.fullmatch(text) if len(text) <= 40 else None
    if found is None:
        return None
    sign, decimal, *parts = found.groups()
    top, bottom = [part for part in parts if part is not None] or (decimal, "1")
    return None if int(bottom) == 0 else Fraction(top) / int(bottom) * (-1 if sign else 1)


def science(task: Any, puzzle: Any, answer: str) -> bool | None:
    """By letter, where that is all there is; and nothing is right that has neither letter nor its option's signs."""
    if re.fullmatch(r"[A-Za-z]|\([A-Za-z]\)", answer):
        return answer.strip("()").upper() == puzzle.answer
    option = puzzle.choices["ABCDEFGHIJ".index(puzzle.answer)]
    said = iter(_letters(re.sub("e(?=[0-9+-])", "10", answer)))  # 4e7 is 4 × 10^7
    has_option = all(letter in said for letter in _letters(option) if letter.isascii())  # in this order
    return None if puzzle.answer.lower() in _folded(answer) or has_option else False


def guessing(task: Any, puzzle: Any, answer: str) -> bool | None:
    """By value, where the answer is written in nothing but digits; leading zeros may go either way."""
    if re.fullmatch(r"[1-9][0-9]*", answer):
        return answer == str(puzzle.number)
    return None if re.fullmatch(r"[0-9]+", answer) else False


def no_opinion(task: Any, puzzle: Any, answer: str) -> None:
    """For a task without a reference: the other laws still hold."""


REFERENCES: Mapping[str, Reference] = {
    "countdown": countdown,
    "zebra": zebra,
    "arc": arc,
    "math": mathematics,
    "science": science,
    "guessing": guessing,
}

TRAPS: Mapping[str, Sequence[tuple[Mapping[str, Any], str]]] = {
    "countdown": (
        ({"numbers": [100, 1, 99, 98, 97], "target": 100}, "\\boxed{100+1/99/98/97}"),
        ({"numbers": [6, 6, 2], "target": 18}, "\\boxed{6+6*2}"),
        ({"numbers": [8, 3, 8, 3], "target": 24}, "\\boxed{8/(3-8/3)}"),
        ({"numbers": [0, 5, 5], "target": 1}, "\\boxed{5/(5-0)}"),
    )
}
"""Puzzles that random draws would not give, as ground truths, each with a response to start from."""


def pieces(puzzle: Any) -> Iterator[str]:
    """What right and nearly right answers to a puzzle are made of: the numbers and words in it."""
    if is_dataclass(puzzle):
        for part in fields(puzzle):
            yield from pieces(getattr(puzzle, part.name))
    elif isinstance(puzzle, str) and len(puzzle) <= _LONGEST_PIECE:
        yield puzzle
        yield " ".join(puzzle)
    elif isinstance(puzzle, int):
        yield from (str(puzzle), f"+{puzzle}-{puzzle}", f"*{puzzle}/{puzzle}")  # the last two change no value
    elif isinstance(puzzle, tuple | list):
        for part in puzzle:
            yield from pieces(part)

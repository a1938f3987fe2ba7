"""Checks of numbers that stand in for reasoning-gym's scorers: an answer, a hostile text, against an entry.

Values are exact; where a question asks for so many decimals or figures, the tolerance is half of the last one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import Any

from mtgrpo_env.envs.reasoning_gym_checks import same_words
from mtgrpo_env.envs.symbolic.exact import NoValue, exact_value
from mtgrpo_env.envs.symbolic.numbers import Quantity, quantity
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node
from mtgrpo_env.envs.symbolic.units import Unit, singular, units

_LONGEST_NUMBER = 1000
_MOST_NUMBERS = 1000
_GROUPED = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9,])")
_TWO_SIGNS = re.compile(r"[-+−–]\s*[-+−–]")
_NAME = re.compile(r"[A-Za-z]{3,}|(?<=[0-9])\s?[A-Za-z]{1,2}(?![A-Za-z])|[$€£¥°]")  # "in" may be no inch
_WHOLE = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,100}|[0-9]{1,100})")
_FRACTION = re.compile(
    r"([+-]?)(?:\\[dtc]?frac\s?\{([+-]?[0-9]{1,60})\}\s?\{([0-9]{1,60})\}|([0-9]{1,60})\s?/\s?([0-9]{1,60}))"
)
_CLOSING = {"[": "]", "(": ")", "{": "}", "'": "'", '"': '"', "‘": "’", "“": "”", "`": "'"}
_BRACKETS, _QUOTES = "[({", "'\"‘“`"
_NAME_OF_LIST = re.compile(r"\A\s*(?:[A-Za-z]\w{0,9}|\([A-Za-z], ?[A-Za-z]\))\s?[=∈]\s?(?=[\[({])|\A\s*[A-Z]\s?(?=\()")
_NAME_OF_ITEM = re.compile(r"\s*([A-Za-z]\w{0,9})\s?=")
_SEPARATOR = re.compile(r"[,;](?:\s?and\b)?|\band\b")
_ALTERNATIVES = re.compile(r"[,;](?:\s?(?:and|or)\b)?|\band\b|\bor\b")
_LETTER_X = re.compile(r"(?<=[0-9])\s?[xX]\s?(?=[0-9])")
_PERCENTAGE = re.compile(r"([^%\\]*)\\?%\s*")
_GRID = re.compile(r"[-+−0-9.\s]*")
_TERM = re.compile(r"\s*([-+−–]?)\s*([0-9.,]*)((?:(?<=[0-9.])\s?[*×])?\s?[ijIJ])?\s*")
_DURATION = re.compile(
    r"(?:([0-9]{1,7})\s?days?[,\s]{0,2})?(?:([0-9]{1,7}):([0-5][0-9])(?::([0-5][0-9])(\.[0-9]{1,6})?)?)?",
    re.IGNORECASE,
)
_TWO_DECIMALS = Fraction(1, 200)
_GEOMETRY_TOLERANCE = {"angle_measure": _TWO_DECIMALS}  # two decimals, of three that are asked for ...
_THREE_DECIMALS = Fraction(1, 2000)  # ... and all three of lengths and coordinates


def same_number(entry: Mapping[str, Any], answer: str, tolerance: Fraction = Fraction(0)) -> bool:
    """The right number, as a decimal or a fraction, alone or with a unit that the question names."""
    question = _context(entry)
    right, given = _number(str(entry["answer"]), question), _number(answer, question)
    return right is not None and given is not None and abs(right - given) <= tolerance


def same_value(entry: Mapping[str, Any], answer: str) -> bool:
    """The right number, or the right words, such as "infeasible"."""
    return same_words(entry, answer) or same_number(entry, answer)


def same_figures(entry: Mapping[str, Any], answer: str, figures: int) -> bool:
    """The right number to so many significant figures."""
    right = _number(entry["answer"])
    return same_number(entry, answer, _half_last_figure(right, figures) if right else Fraction(0))


def same_probability(entry: Mapping[str, Any], answer: str) -> bool:
    """The right probability to four decimals, or three figures of a small one; 0 and 1 only where nothing else is."""
    percentage = _PERCENTAGE.fullmatch(answer)
    right, given = _number(entry["answer"]), _number(percentage[1] if percentage else answer)
    if right is None or given is None:
        return False
    given /= 100 if percentage else 1
    if {right, given} & {0, 1}:
        return right == given
    return abs(right - given) <= _half_last_figure(right, 4 if right >= Fraction(1, 10) else 3)


def same_whole(entry: Mapping[str, Any], answer: str) -> bool:
    """The right whole number, decimal or hexadecimal."""
    right, given = _WHOLE.fullmatch(entry["answer"].strip()), _WHOLE.fullmatch(answer.strip())
    return right is not None and given is not None and _whole(right[0]) == _whole(given[0])


def same_numbers(entry: Mapping[str, Any], answer: str, *, ordered: bool, tolerance: Fraction = Fraction(0)) -> bool:
    """The right numbers with commas between them, brackets around all or none, and quotes around any."""
    right, given = (_numbers(text, _context(entry), ordered=ordered) for text in (str(entry["answer"]), answer))
    if right is None or given is None or len(right) != len(given):
        return False
    if not ordered:
        right, given = sorted(right), sorted(given)
    return all(abs(a - b) <= tolerance for a, b in zip(right, given, strict=True))


def same_grid(entry: Mapping[str, Any], answer: str) -> bool:
    """The right numbers in rows and columns, to two decimals."""
    right, given = ([line.split() for line in text.strip().splitlines()] for text in (entry["answer"], answer))
    if list(map(len, right)) != list(map(len, given)) or not _GRID.fullmatch(answer):
        return False
    pairs = zip(chain.from_iterable(right), chain.from_iterable(given), strict=True)
    return all(same_number({"answer": a}, b, _TWO_DECIMALS) for a, b in pairs)


def same_measure(entry: Mapping[str, Any], answer: str) -> bool:
    """The right angle, length or point."""
    tolerance = _GEOMETRY_TOLERANCE.get(entry["metadata"]["task_type"], _THREE_DECIMALS)
    return same_numbers(entry, answer, ordered=True, tolerance=tolerance)


def same_fraction(entry: Mapping[str, Any], answer: str) -> bool:
    """The right fraction in lowest terms."""
    right, given = _fraction(entry["answer"]), _fraction(answer)
    return right is not None and right == given


def same_complex(entry: Mapping[str, Any], answer: str) -> bool:
    """The right complex number, its parts in any order."""
    right, given = _complex(entry["answer"]), _complex(answer)
    return right is not None and right == given


def same_duration(entry: Mapping[str, Any], answer: str) -> bool:
    """The right span of time, as days, hours, minutes and seconds; a bare number is one of days."""
    right, given = _seconds(entry["answer"]), _seconds(answer)
    return right is not None and right == given


def same_factors(entry: Mapping[str, Any], answer: str) -> bool:
    """The right prime factors in any order, with powers or without."""
    number, right = entry["metadata"]["number"], entry["metadata"]["factors"]
    product = _LETTER_X.sub("×", re.sub(rf"\A\s*{number}\s?=", "", answer))
    try:
        factors = _factors(parse(product))
    except (MathSyntaxError, NoValue):
        return False
    return factors is not None and sorted(factors) == sorted(right)


def _context(entry: Mapping[str, Any]) -> str:
    """The text that names the units which an answer may have."""
    return f"{entry.get('question', '')} {entry['answer']}"


def _number(text: str, question: str = "") -> Fraction | None:
    """The value of one written number; commas group its digits by three, and one sign stands before them."""
    if len(text) > _LONGEST_NUMBER:
        return None
    bare = _GROUPED.sub(lambda digits: digits[0].replace(",", ""), text.replace("{,}", ","))
    if "," in bare or _TWO_SIGNS.search(bare):
        return None
    found = quantity(bare, question)
    return found.value if found and _is_asked_for(found, question) else None


def _is_asked_for(found: Quantity, question: str) -> bool:
    """Whether a number is bare, or the question names what stands behind it."""
    stems, named = _names(question)
    if found.is_percentage and "percent" not in stems:
        return False
    if {*found.units} & named:
        return True
    return found.words <= stems and bool(found.words or not found.units)  # an inch has no words: "in" is a small one


@lru_cache(maxsize=64)
def _names(question: str) -> tuple[frozenset[str], frozenset[Unit]]:
    """The words of a question in the singular, and the units that it names."""
    names = {name.strip() for name in _NAME.findall(question)}
    stems = frozenset(singular(name).removesuffix("s") for name in names)
    return stems | {*map(singular, names)}, frozenset(unit for name in names for unit in units(name))


def _half_last_figure(value: Fraction, figures: int) -> Fraction:
    return Fraction(10) ** (_magnitude(value) - figures) / 2


def _magnitude(value: Fraction) -> int:
    """How many digits stand before the point; less than 1 where zeros follow it."""
    digits = len(str(abs(value.numerator))) - len(str(value.denominator))
    return digits + (abs(value) >= Fraction(10) ** digits)


def _whole(text: str) -> int:
    return int(text, 16 if "x" in text.lower() else 10)


def _numbers(text: str, question: str, *, ordered: bool) -> list[Fraction] | None:
    """The numbers of a list; None if a part is none, or they are ordered and their names are not."""
    listed = _within(_within(_NAME_OF_LIST.sub("", text, count=1), _QUOTES), _BRACKETS)
    if not listed.strip() and listed != text:
        return []
    parts = (_SEPARATOR if ordered else _ALTERNATIVES).split(listed)
    if len(parts) > _MOST_NUMBERS:
        return None
    names = [name[1] for part in parts if (name := _NAME_OF_ITEM.match(part))]
    values = [_number(_within(part, _QUOTES), question) for part in parts]
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) and not (ordered and names != sorted({*names})) else None


def _within(text: str, openings: str) -> str:
    """What stands within one pair of brackets or quotes around a whole text; without it, the text."""
    bare = text.strip()
    pair, inner = (bare[:1], bare[-1:]), bare[1:-1]
    is_pair = len(bare) > 1 and pair[0] in openings and pair[1] == _CLOSING[pair[0]]
    return inner if is_pair and not {*pair} & {*inner} else text


def _fraction(text: str) -> tuple[int, int] | None:
    match = _FRACTION.fullmatch(text.strip(" $"))
    if match is None:
        return None
    numerator = int(match[2] or match[4])
    return (-numerator if match[1] == "-" else numerator), int(match[3] or match[5])


def _complex(text: str) -> dict[str, Fraction] | None:
    """The parts of a complex number that are not zero."""
    text, position = _within(text, "(").strip(), 0
    parts: dict[str, Fraction] = {}
    while position < len(text):
        term = _TERM.match(text, position)
        assert term is not None, "every part of it may be empty"
        sign, digits, unit = term.groups()
        part = "imaginary" if unit else "real"
        value = _number(digits or ("1" if unit else ""))
        if value is None or part in parts or not (sign or position == 0):
            return None
        parts[part] = -value if sign in (*"-−–",) else value
        position = term.end()
    return {part: value for part, value in parts.items() if value} if parts else None


def _seconds(text: str) -> Fraction | None:
    if text.strip().isascii() and text.strip().isdecimal() and len(text) < 8:
        text = f"{text.strip()} days"
    match = _DURATION.fullmatch(text.strip())
    if match is None or not (match[1] or match[2]):
        return None
    days, hours, minutes, seconds = (int(match[group] or 0) for group in (1, 2, 3, 4))
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + Fraction(f"0{match[5] or ''}")


def _factors(tree: Node) -> list[int] | None:
    """The factors of a product of whole numbers and their powers."""
    match tree:
        case Node("number") if tree.text.isdecimal():
            return [int(tree.text)]
        case Node("power", (Node("number"), Node("number"))):
            base, exponent = map(_factors, tree.args)
            return base * exponent[0] if base and exponent and exponent[0] < 100 and exact_value(tree) else None
        case Node("multiply"):
            parts = [_factors(arg) for arg in tree.args]
            known = [factor for part in parts if part for factor in part]
            return known if all(parts) else None
        case _:
            return None

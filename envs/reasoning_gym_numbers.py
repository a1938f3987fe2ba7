"""Checks of numbers that stand in for reasoning-gym's scorers: an answer, a hostile text, against an entry.

Values are exact; where a question asks for so many decimals or figures, the tolerance is half of the last one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from itertools import chain
from typing import Any

from mtgrpo_env.envs.reasoning_gym_checks import same_words
from mtgrpo_env.envs.symbolic.exact import NoValue, exact_value
from mtgrpo_env.envs.symbolic.numbers import written_number
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,3})?")
_POWER_OF_TEN = re.compile(r"(?<=[0-9.])\s?(?:\\times|\\cdot|×|\*)\s?10(?:\^|\*\*)\{?([+-]?[0-9]{1,3})\}?$")
_WHOLE = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,100}|[0-9]{1,100})")
_FRACTION = re.compile(
    r"([+-]?)(?:\\[dtc]?frac\s?\{([+-]?[0-9]{1,60})\}\s?\{([0-9]{1,60})\}|([0-9]{1,60})\s?/\s?([0-9]{1,60}))"
)
_SEPARATOR = re.compile(r",|\band\b|\bor\b")
_TERM = re.compile(r"[+-]?[^+-]+")
_DURATION = re.compile(
    r"(?:([0-9]{1,7})\s?days?)?[,\s]{0,2}(?:([0-9]{1,7}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,6})?)?)?", re.IGNORECASE
)
_GEOMETRY_TOLERANCE = {"angle_measure": Fraction(1, 200)}  # two decimals, of three that are asked for ...
_THREE_DECIMALS = Fraction(1, 2000)  # ... and all three of lengths and coordinates


def same_number(entry: Mapping[str, Any], answer: str, tolerance: Fraction = Fraction(0)) -> bool:
    """The right number, as a decimal or a fraction; commas may group its digits."""
    right, given = _number(entry["answer"]), _number(answer)
    return right is not None and given is not None and abs(right - given) <= tolerance


def same_value(entry: Mapping[str, Any], answer: str) -> bool:
    """The right number, or the right words, such as "infeasible"."""
    return same_words(entry, answer) or same_number(entry, answer)


def same_figures(entry: Mapping[str, Any], answer: str, figures: int = 6) -> bool:
    """The right number to so many significant figures."""
    right = _number(entry["answer"])
    if not right:
        return same_number(entry, answer)
    unit = Fraction(10) ** (_magnitude(right) - figures)
    return same_number(entry, answer, unit / 2)


def same_whole(entry: Mapping[str, Any], answer: str) -> bool:
    """The right whole number, decimal or hexadecimal."""
    right, given = _WHOLE.fullmatch(entry["answer"].strip()), _WHOLE.fullmatch(answer.strip())
    return right is not None and given is not None and _whole(right[0]) == _whole(given[0])


def same_numbers(entry: Mapping[str, Any], answer: str, *, ordered: bool, tolerance: Fraction = Fraction(0)) -> bool:
    """The right numbers, with commas between them, with or without brackets and quotes."""
    right, given = _numbers(entry["answer"]), _numbers(answer)
    if right is None or given is None or len(right) != len(given):
        return False
    if not ordered:
        right, given = sorted(right), sorted(given)
    return all(abs(a - b) <= tolerance for a, b in zip(right, given, strict=True))


def same_grid(entry: Mapping[str, Any], answer: str) -> bool:
    """The right numbers in rows and columns, to two decimals."""
    right, given = ([line.split() for line in text.strip().splitlines()] for text in (entry["answer"], answer))
    if list(map(len, right)) != list(map(len, given)):
        return False
    pairs = zip(chain.from_iterable(right), chain.from_iterable(given), strict=True)
    return all(same_number({"answer": a}, b, Fraction(1, 100)) for a, b in pairs)


def same_measure(entry: Mapping[str, Any], answer: str) -> bool:
    """The right angle, length or point."""
    tolerance = _GEOMETRY_TOLERANCE.get(entry["metadata"]["task_type"], _THREE_DECIMALS)
    right = {"answer": entry["answer"].replace("°", "")}
    return same_numbers(right, answer.replace("°", "").replace("^\\circ", ""), ordered=True, tolerance=tolerance)


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
    try:
        factors = _factors(parse(answer))
    except (MathSyntaxError, NoValue):
        return False
    return factors is not None and sorted(factors) == sorted(entry["metadata"]["factors"])


def _number(text: str) -> Fraction | None:
    value = _bare_number(text)
    return written_number(text) if value is None and "%" not in text else value


def _bare_number(text: str) -> Fraction | None:
    parts = _POWER_OF_TEN.sub(r"e\1", text.strip().strip("$").replace(",", "")).split("/")
    values = [Fraction(part.strip()) if _NUMBER.fullmatch(part.strip()) else None for part in parts[:3]]
    first, *rest = values
    if first is None or not rest:
        return first
    return first / rest[0] if len(rest) == 1 and rest[0] else None


def _magnitude(value: Fraction) -> int:
    """How many digits stand before the point; less than 1 where zeros follow it."""
    digits = len(str(abs(value.numerator))) - len(str(value.denominator))
    return digits + (abs(value) >= Fraction(10) ** digits)


def _whole(text: str) -> int:
    return int(text, 16 if "x" in text.lower() else 10)


def _numbers(text: str) -> list[Fraction] | None:
    bare = re.sub(r"[\[\]{}()'\"]", "", str(text))
    values = [_number(part) for part in _SEPARATOR.split(bare) if part.strip()]
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) else None


def _fraction(text: str) -> tuple[int, int] | None:
    match = _FRACTION.fullmatch(text.strip(" $"))
    if match is None:
        return None
    numerator = int(match[2] or match[4])
    return (-numerator if match[1] == "-" else numerator), int(match[3] or match[5])


def _complex(text: str) -> dict[str, Fraction] | None:
    squeezed = "".join(text.split()).casefold()
    terms = _TERM.findall(squeezed)
    parts: dict[str, Fraction] = {}
    for term in terms:
        part = "imaginary" if term[-1] in "ij" else "real"
        digits = term[:-1].removesuffix("*") if part == "imaginary" else term
        value = _bare_number(digits + "1" if digits in ("", "+", "-") else digits)
        if value is None or part in parts:
            return None
        parts[part] = value
    known = {part: value for part, value in parts.items() if value}
    return known if parts and "".join(terms) == squeezed else None


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

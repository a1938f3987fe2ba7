r"""Exact rational values of trees, in bounded time and space: most answers need nothing else.

Sizes are looked at before anything is computed: `99^{99999999}`, `9999999!` and towers of powers are refused,
wherever in a tree they stand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar, cast

from mtgrpo_env.envs.symbolic.tree import Node

MAX_BITS = 4096
MAX_FACTORIAL = 400  # its value still fits
MAX_ROWS = 4  # of a determinant
MAX_EXPONENT = 1000  # of a base that is not rational

T = TypeVar("T", Fraction, Any)


class NoValue(ValueError):
    """A tree without a value, such as a division by zero, or with one too large to compute."""


def exact_value(tree: Node) -> Fraction | None:
    """The value of a tree of rational operations; None if it holds anything else.

    Raises:
        NoValue: if there is none, or a rational part of the tree is too large.
    """
    if tree.head == "determinant":
        rows = [[exact_value(entry) for entry in row.args] for row in tree.args]
        return None if any(None in row for row in rows) else _checked(determinant(cast(list[list[Fraction]], rows)))
    values = [exact_value(arg) for arg in tree.args]
    known = [value for value in values if value is not None]
    if tree.head == "number":
        return number_value(tree.text)
    if tree.head == "power" and known:
        return _checked(_power(values[0], values[1]))
    if len(known) < len(values) or not values:
        return None
    return _checked(_combine(tree.head, tree.text, known))


@lru_cache(maxsize=1024)
def number_value(text: str) -> Fraction:
    """The value of a number token; digits in brackets repeat.

    >>> number_value("0.1(6)")
    Fraction(1, 6)
    """
    digits, _, repeated = text.rstrip(")").partition("(")
    value = Fraction(digits if digits[0] != "." else "0" + digits)
    if repeated:
        decimals = len(digits.partition(".")[2])
        value += Fraction(int(repeated), (10 ** len(repeated) - 1) * 10**decimals)
    return value


def half_last_place(tree: Node, digits: int) -> Fraction | None:
    """Half a unit in the last place of a written number of at least so many significant digits; None for others.

    Zeros at the end of a whole number need not be significant: 3140000 may round to 10000, and to 1.

    >>> half_last_place(Node("number", text="0.333"), 3)
    Fraction(1, 2000)
    """
    match tree:
        case Node("negate", (inner,)):
            return half_last_place(inner, digits)
        case Node("multiply", (inner, Node("power", (Node("number", text="10"), Node("number" | "negate") as power)))):
            half, exponent = half_last_place(inner, digits), exact_value(power)
            return half and exponent and half * Fraction(10) ** int(max(-MAX_EXPONENT, min(exponent, MAX_EXPONENT)))
    whole, _, decimals = tree.text.partition(".")
    if tree.head != "number" or not (whole + decimals).isdecimal():
        return None
    significant = len((whole + decimals).lstrip("0"))
    zeros = 0 if decimals else min(len(whole) - len(whole.rstrip("0")), max(significant - digits, 0))
    return Fraction(10**zeros, 2 * 10 ** len(decimals)) if significant >= digits else None


def _combine(head: str, text: str, values: list[Fraction]) -> Fraction | None:
    first = values[0]
    match head:
        case "add":
            return _reduced(values, lambda left, right: left + right)
        case "multiply":
            return _reduced(values, lambda left, right: left * right)
        case "negate":
            return -first
        case "scaled":
            return first * int(text)
        case "floor":
            return Fraction(math.floor(first))
        case "ceiling":
            return Fraction(math.ceil(first))
        case "absolute":
            return abs(first)
        case "reciprocal":
            if not first:
                raise NoValue("division by zero")
            return 1 / first
        case "factorial":
            return Fraction(math.factorial(_whole(first, MAX_FACTORIAL)))
        case "binomial":
            return Fraction(math.comb(_whole(first, MAX_FACTORIAL), _whole(values[1], MAX_FACTORIAL)))
        case _:
            return None


def _reduced(values: list[Fraction], combine: Callable[[Fraction, Fraction], Fraction]) -> Fraction:
    """Left to right, so that nothing on the way grows past the limit."""
    total = values[0]
    for value in values[1:]:
        total = combine(total, value)
        _checked(total)
    return total


def determinant(rows: list[list[T]]) -> T:
    """The determinant of a square matrix of at most `MAX_ROWS` rows, along its first row.

    Raises:
        NoValue: if it is larger or not square.
    """
    if not 1 <= len(rows) <= MAX_ROWS or any(len(row) != len(rows) for row in rows):
        raise NoValue(f"expected a square matrix of at most {MAX_ROWS} rows")
    if len(rows) == 1:
        return rows[0][0]
    minors = ([row[:column] + row[column + 1 :] for row in rows[1:]] for column in range(len(rows)))
    return sum((-1) ** column * rows[0][column] * determinant(minor) for column, minor in enumerate(minors))


def _power(base: Fraction | None, exponent: Fraction | None) -> Fraction | None:
    if exponent is None:
        return None
    if base is None:
        if abs(exponent) > MAX_EXPONENT:
            raise NoValue(f"expected an exponent of at most {MAX_EXPONENT}")
        return None
    if exponent.denominator != 1:
        if abs(exponent) > MAX_EXPONENT:
            raise NoValue(f"expected an exponent of at most {MAX_EXPONENT}")
        return None
    if base == 0 and exponent <= 0:
        raise NoValue("0 to a power that is not positive")
    if base in (0, 1, -1):
        return base if base != -1 or exponent.numerator % 2 else Fraction(1)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length()) - 1
    if max(1, bits) * abs(exponent) > MAX_BITS:
        raise NoValue(f"expected a power of at most {MAX_BITS} bits")
    return base**exponent.numerator


def _whole(value: Fraction, limit: int) -> int:
    if value.denominator != 1 or not 0 <= value <= limit:
        raise NoValue(f"expected a whole number of at most {limit}")
    return value.numerator


def _checked(value: Fraction | None) -> Fraction | None:
    if value is not None and max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise NoValue(f"expected a value of at most {MAX_BITS} bits")
    return value

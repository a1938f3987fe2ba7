r"""Whether two answers are the same where that takes more than rational arithmetic; runs in worker processes.

Both are computed from our own trees by mpmath (sympy brings it along) and compared, at fixed points where they
have variables: first roughly, which tells different answers apart nearly always, then to 550 digits,
which decides. An answer of 512 characters holds neither as many digits of pi nor two formulas that agree that
far and differ. Unlike simplification this always ends: nothing is simplified, expanded or factored, and
magnitudes are looked at before a function is applied.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

from mpmath import mp

from mtgrpo_env.envs.symbolic.equality import same_answer, same_digits
from mtgrpo_env.envs.symbolic.exact import (
    MAX_EXPONENT,
    MAX_FACTORIAL,
    NoValue,
    determinant,
    exact_value,
    half_last_place,
)
from mtgrpo_env.envs.symbolic.readings import readings
from mtgrpo_env.envs.symbolic.tree import Node, nodes

Number = Any  # mpf or mpc; mpmath has no types
Point = dict[str, Number]

_ROUGH, _FINE = 60, 700  # digits that are computed ...
_AGREEMENT = {_ROUGH: 15, _FINE: 550}  # ... and of these, how many must agree
_LOST = 10  # digits that a difference of equal values is off by
_MAX_BITS = 1800  # magnitude of any value on the way, or of its reciprocal
_NUM_SIGNS = 8


def equal(request: dict[str, Any]) -> bool:
    """Whether `request["answer"]` is the same as `request["truth"]`, or rounds it to `request["digits"]`, if any."""
    truth, digits = readings(request["truth"]), request["digits"]
    same_value = _same if digits is None else partial(_same_rounded, digits=digits)
    try:
        return same_answer(truth, readings(request["answer"], truth=truth), same_value)
    except NoValue:  # of a part that is compared by itself, such as a term of a ratio
        return False


def _same_rounded(truth: Node, answer: Node, digits: int) -> bool:
    half, rounded = half_last_place(answer, digits), exact_value(answer)
    if _same(truth, answer) or half is None or rounded is None or symbols_in(truth):
        return _same(truth, answer)
    with mp.workdps(_ROUGH):
        value = _value_or_none(truth, {})
        return value is not None and bool(abs(value - mp.mpf(rounded.numerator) / rounded.denominator) <= float(half))


def _same(left: Node, right: Node) -> bool:
    if "based" in (left.head, right.head):
        return same_digits(left, right)
    if "relation" in (left.head, right.head):
        return left.head == right.head and _same_relation(left, right)
    return _same_value(left, right)


def _same_value(left: Node, right: Node) -> bool:
    try:
        exact_value(left)
        exact_value(right)
    except NoValue:  # too large to be computed to any number of digits
        return False
    return _agree(left, right, _ROUGH) and _agree(left, right, _FINE)


def _agree(left: Node, right: Node, digits: int) -> bool:
    compared = False
    with mp.workdps(digits):
        for point in _points(left, right):
            a, b = _value_or_none(left, point), _value_or_none(right, point)
            if a is None and b is None:
                continue
            if a is None or b is None:
                return digits == _ROUGH  # it may take more digits to see that this is no division by zero
            if not _close(a, b, digits):
                return False
            compared = True
    return compared or digits == _ROUGH


def _same_relation(left: Node, right: Node) -> bool:
    """Equations are the same up to a factor, inequalities up to a positive one; chains side by side."""
    if left.text != right.text:
        return False
    if len(left.args) > 2:
        return all(_same_value(a, b) for a, b in zip(left.args, right.args, strict=True))
    return all(_has_constant_ratio(left, right, digits) for digits in (_ROUGH, _FINE))


def _has_constant_ratio(left: Node, right: Node, digits: int) -> bool:
    """Whether the differences of both sides are the same up to a factor, which for an inequality is positive."""
    first, second = _difference(left), _difference(right)
    try:
        with mp.workdps(digits):
            ratios = [value_at(second, point) / value_at(first, point) for point in _points(first, second)]
            if not all(_close(a, b, digits) for a, b in pairwise(ratios)):
                return False
            return not _close(ratios[0], mp.zero, digits) and (left.text in ("=", "!=") or bool(mp.re(ratios[0]) > 0))
    except (NoValue, ZeroDivisionError):
        return False


def _difference(relation: Node) -> Node:
    left, right = relation.args
    return Node("add", (left, Node("negate", (right,))))


def _points(left: Node, right: Node) -> Iterator[Point]:
    """Values of the variables: all signs of any two or three of them, then all positive in both orders.

    Which formulas agree must not hang on the names: the sign of the k-th variable at point i is the parity of the bits
    that i and k share, which for `_NUM_SIGNS` points makes every pair of up to 7 variables meet in all four ways.
    """
    names = sorted(symbols_in(left) | symbols_in(right))
    if not names:
        yield {}
        return
    sizes = [mp.mpf(zlib.crc32(name.encode()) + 2**31) / 2**31 for name in names]  # 1 to 3
    for index in range(_NUM_SIGNS):
        yield {
            name: size * (1 + mp.mpf(index) / 7) * (-1) ** (index & (place % 7 + 1)).bit_count()
            for place, (name, size) in enumerate(zip(names, sizes, strict=True))
        }
    for order in (sorted(sizes), sorted(sizes, reverse=True)):
        yield dict(zip(names, order, strict=True))


def symbols_in(tree: Node) -> set[str]:
    """The names of a tree's variables."""
    return {node.text for node in nodes(tree) if node.head == "symbol"}


def _close(a: Number, b: Number, digits: int) -> bool:
    return bool(abs(a - b) <= mp.mpf(10) ** -_AGREEMENT[digits] * max(1, abs(a), abs(b)))


def _value_or_none(tree: Node, point: Point) -> Number | None:
    try:
        return value_at(tree, point)
    except NoValue:
        return None


def value_at(tree: Node, point: Point) -> Number:
    """The value of a tree at a point.

    Raises:
        NoValue: if there is none, or its magnitude or that of a part is out of bounds.
    """
    exact = exact_value(tree)
    if exact is not None:
        value = mp.mpf(exact.numerator) / exact.denominator
        return value if mp.mag(value) > 0 else _checked(value)  # beside others a smaller one would not be seen
    if tree.head == "determinant":
        return _checked(determinant([[value_at(entry, point) for entry in row.args] for row in tree.args]))
    if tree.head == "symbol":
        return point[tree.text]
    if tree.head == "constant" and tree.text in _CONSTANTS:
        return _CONSTANTS[tree.text]()
    args = [value_at(arg, point) for arg in tree.args]
    try:
        if tree.head == "power":
            return _checked(_power(args[0], args[1], exact_value(tree.args[1])))
        if tree.head == "root":
            degree = exact_value(tree.args[1])
            return _checked(_power(args[0], 1 / args[1], 1 / degree if degree else None))
        if tree.head == "scaled":
            return _checked(args[0] * int(tree.text))
        function = _FUNCTIONS[tree.text] if tree.head == "call" else _OPERATIONS[tree.head]
        return _checked(function(*args))
    except (KeyError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise NoValue(f"no value of {tree.head} {tree.text}") from error


def _checked(value: Number) -> Number:
    if value and not -_MAX_BITS < mp.mag(value) < _MAX_BITS:
        raise NoValue(f"expected a magnitude of at most {_MAX_BITS} bits")
    return value


def _sum(*terms: Number) -> Number:
    total = mp.fsum(terms)
    if abs(total) < mp.mpf(10) ** (_LOST - mp.dps) * max(map(abs, terms)):
        return mp.zero  # equal values, differently computed
    return total


def _exp(exponent: Number) -> Number:
    if abs(exponent) > _MAX_BITS:
        raise NoValue(f"expected an exponent of at most {_MAX_BITS}")
    return mp.exp(exponent)


def _power(base: Number, exponent: Number, exact: Fraction | None) -> Number:
    """Odd roots of negative numbers are negative, as at school; all other powers are principal values."""
    if exact is None or not base:
        if not base and not mp.re(exponent) > 0:
            raise NoValue("0 to a power that is not positive")
        return _exp(exponent * mp.log(base)) if base else mp.zero
    if abs(exact) > MAX_EXPONENT:
        raise NoValue(f"expected an exponent of at most {MAX_EXPONENT}")
    if exact.denominator == 1:
        return base**exact.numerator
    if exact.denominator == 2:
        return mp.sqrt(base) ** exact.numerator
    if mp.im(base) == 0 and mp.re(base) < 0 and exact.denominator % 2:
        return (-1) ** exact.numerator * _exp(exponent * mp.log(-base))
    return _exp(exponent * mp.log(base))


def _factorial(value: Number) -> Number:
    if abs(value) > MAX_FACTORIAL:
        raise NoValue(f"expected the factorial of at most {MAX_FACTORIAL}")
    return mp.gamma(value + 1)


def _binomial(n: Number, k: Number) -> Number:
    if max(abs(n), abs(k)) > MAX_FACTORIAL:
        raise NoValue(f"expected a binomial coefficient of at most {MAX_FACTORIAL}")
    return mp.binomial(n, k)


def _with_small_argument(function: Callable[[Number], Number]) -> Callable[[Number], Number]:
    """For functions that grow like exp, along the imaginary axis too."""

    def bounded(argument: Number) -> Number:
        if max(abs(mp.im(argument)), abs(argument) if function in (mp.sinh, mp.cosh) else 0) > _MAX_BITS:
            raise NoValue(f"expected an argument of at most {_MAX_BITS}")
        return function(argument)

    return bounded


_CONSTANTS: dict[str, Callable[[], Number]] = {"pi": lambda: +mp.pi, "e": lambda: +mp.e, "i": lambda: mp.mpc(0, 1)}
_OPERATIONS: dict[str, Callable[..., Number]] = {
    "add": _sum,
    "multiply": lambda *factors: mp.fprod(factors),
    "negate": lambda value: -value,
    "reciprocal": lambda value: 1 / value,
    "absolute": abs,
    "floor": mp.floor,
    "ceiling": mp.ceil,
    "percent": lambda value: value / 100,
    "log": lambda value, base: mp.log(value) / mp.log(base),
    "factorial": _factorial,
    "binomial": _binomial,
}
_FUNCTIONS: dict[str, Callable[[Number], Number]] = {
    **{
        name: _with_small_argument(getattr(mp, name))
        for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")
    },
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "ln": mp.log,
    "log": mp.log10,
    "exp": _exp,
}

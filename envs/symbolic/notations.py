r"""By how much an answer falls short of a notation: scientific notation, percentages, intervals, flat fractions.

`shortfalls` measures the `rooted` values of an answer, which look the same however they are written. These measures
look at the answer as it was written; like those, each is read only beside that of the truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from mtgrpo_env.envs.symbolic.formulas import sides, values
from mtgrpo_env.envs.symbolic.meaning import is_equation
from mtgrpo_env.envs.symbolic.normal import normal, rational
from mtgrpo_env.envs.symbolic.shortfalls import (
    Shortfall,
    denominators,
    no_scientific_notation,
    unfinished_arithmetic,
    unreduced_fractions,
)
from mtgrpo_env.envs.symbolic.tree import Node, nodes

_INEQUALITIES = frozenset({"<", "<=", ">", ">=", "!="})


def nested_fractions(answer: Node) -> int:
    r"""Fractions above or below in a fraction: `\frac{1/x}{1/y}`, `\frac{1}{1 + \frac1x}`."""
    return sum(map(_holds_fraction, (part for node in _nodes(answer) for part in _above_and_below(node))))


def unfinished_exponents(answer: Node) -> int:
    r"""Arithmetic that is left to do in exponents: `x^{3+5}`, `x^{2\cdot3}`, `x^{10/12}`."""
    exponents = [normal(node.args[1]) for node in _nodes(answer) if node.head == "power"]
    return sum(unfinished_arithmetic(exponent) + unreduced_fractions(exponent) for exponent in exponents)


def unscientific_numbers(answer: Node) -> int:
    r"""1 where a value is not in scientific notation, such as `45\times10^{-5}`."""
    numbers = [normal(value) for value in values(answer)]
    return int(any(no_scientific_notation(tree) or denominators(tree) for tree in numbers))


def no_power(answer: Node) -> int:
    r"""1 where a value is no power, such as `\frac18` for `2^{-3}`."""
    return int(any(normal(value).head != "power" for value in values(answer)))


def worked_out_percent(answer: Node) -> int:
    r"""How small the numbers before per cent signs are, in powers of ten: 0.45 by two more than `45\%` and 45."""
    numbers = [rational(_without_percent(value)) for value in values(answer)]
    return max((-(Decimal(x.numerator) / x.denominator).adjusted() for x in numbers if x is not None), default=0)


def unreduced_ratios(answer: Node) -> int:
    """Ratios of numbers that are not whole, or have a common divisor: `6:8`."""
    return sum(node.head == "ratio" and _is_unreduced(node) for node in nodes(_claimed(answer)))


def inequality(answer: Node) -> int:
    """1 where there is an inequality: no interval."""
    return int(any(node.head == "relation" and _INEQUALITIES & {*node.text.split()} for node in nodes(answer)))


def no_inequality(answer: Node) -> int:
    """0 where there is one."""
    return 1 - inequality(answer)


NOTATIONS: frozenset[Shortfall] = frozenset(
    {nested_fractions, unfinished_exponents, unscientific_numbers, no_power}
    | {worked_out_percent, unreduced_ratios, inequality, no_inequality}
)
"""The measures of answers as they were written; all others are of one `rooted` value."""


def _nodes(answer: Node) -> Iterator[Node]:
    for value in values(answer):
        yield from nodes(value)


def _claimed(tree: Node) -> Node:
    """An answer without what stands before its last equals sign."""
    return _claimed(sides(tree)[-1]) if is_equation(tree) else tree._replace(args=tuple(map(_claimed, tree.args)))


def _above_and_below(tree: Node) -> tuple[Node, ...]:
    match tree:
        case Node("multiply", (above, Node("reciprocal"))):
            return (above,)
        case Node("reciprocal"):
            return tree.args
        case _:
            return ()


def _holds_fraction(tree: Node) -> bool:
    """Whether a fraction stands in a tree, but not in a function or an exponent."""
    return tree.head == "reciprocal" or (
        tree.head in ("add", "multiply", "negate") and any(map(_holds_fraction, tree.args))
    )


def _without_percent(tree: Node) -> Node:
    tree = tree.args[0] if tree.head == "percent" else tree
    return tree._replace(args=tuple(map(_without_percent, tree.args)))


def _is_unreduced(ratio: Node) -> bool:
    terms = [term for arg in ratio.args if (term := rational(arg)) is not None]
    is_whole = all(term.denominator == 1 for term in terms)
    return len(terms) == len(ratio.args) and not (is_whole and math.gcd(*(term.numerator for term in terms)) == 1)

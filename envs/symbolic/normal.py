r"""Normal forms of trees, to tell whether two answers are one formula: spelling and order do not count, values may.

Three steps, each of which takes more for the same: `normal` (order, brackets, `+0`, `*1`, `--`, `288.0`), `rooted`
(`x^{1/2}` is a root, `x^{-1}` a fraction), `folded` (rational parts are worked out: `144 \cdot 2` is 288).
No step expands, factors or collects anything. A head without a rule is left as it is, with its arguments normal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from mtgrpo_env.envs.symbolic.exact import NoValue, exact_value
from mtgrpo_env.envs.symbolic.meaning import ascending
from mtgrpo_env.envs.symbolic.tree import Node

ZERO, ONE, _TEN = (Node("number", text=digits) for digits in ("0", "1", "10"))
_MINUS_ONE = Node("negate", (ONE,))
_OF_NUMBERS = frozenset({"negate", "reciprocal", "multiply"})
_DECIMAL = re.compile(r"([0-9]*)(?:\.([0-9]*))?")


def normal(tree: Node) -> Node:
    """A tree up to notation: what commutes is sorted, nothing neutral is left, and numbers have one spelling.

    >>> from mtgrpo_env.envs.symbolic.syntax import parse
    >>> normal(parse("(x + 6)*(x - 4.0) + 0")) == normal(parse("(x-4)(6+x)"))
    True
    """
    return _rewritten(tree, _NORMAL)


def as_given(tree: Node) -> Node:
    """A tree up to order and numbers alone: signs stay before brackets, and fractions in fractions."""
    return _rewritten(tree, _AS_GIVEN)


def rooted(tree: Node) -> Node:
    r"""`normal`, and powers hold neither roots nor reciprocals: `3^{-1/2}` is `1/\sqrt3`."""
    return _rewritten(tree, _ROOTED)


def folded(tree: Node) -> Node:
    r"""`rooted`, and rational parts are worked out, also those among terms and factors: `2x \cdot 3` is `6x`."""
    return _rewritten(rooted(tree), _FOLDED)


def rational(tree: Node) -> Fraction | None:
    """The value of a tree of rational operations; None if it holds anything else, or has no value.

    >>> print(rational(Node("reciprocal", (ZERO,))))
    None
    """
    try:
        return exact_value(tree)
    except NoValue:
        return None


def factors(tree: Node) -> tuple[Node, ...]:
    """The factors of a product, without its sign; another tree is its only one."""
    if tree.head == "negate":
        (tree,) = tree.args
    return tree.args if tree.head == "multiply" else (tree,)


def terms(tree: Node) -> tuple[Node, ...]:
    """The terms of a sum; another tree is its only one."""
    return tree.args if tree.head == "add" else (tree,)


Rule = Callable[[Node], Node]


def _rewritten(tree: Node, rules: Mapping[str, Rule]) -> Node:
    """The tree with its rules applied, from the leaves up."""
    tree = tree._replace(args=tuple(_rewritten(arg, rules) for arg in tree.args))
    rule = rules.get(tree.head)
    return tree if rule is None else rule(tree)


def _number(tree: Node) -> Node:
    mantissa, is_scientific, exponent = tree.text.casefold().partition("e")
    if is_scientific:
        power = _negate_of(_digits(exponent[1:])) if exponent.startswith("-") else _digits(exponent.lstrip("+"))
        return _product([_digits(mantissa), _power(Node("power", (_TEN, power)))])
    decimal = _DECIMAL.fullmatch(tree.text)
    if decimal is None:
        return tree
    whole, decimals = decimal[1].lstrip("0") or "0", (decimal[2] or "").rstrip("0")
    return Node("number", text=f"{whole}.{decimals}" if decimals else whole)


def _digits(text: str) -> Node:
    return _number(Node("number", text=text))


def _negate(tree: Node) -> Node:
    (inner,) = tree.args
    if inner == ZERO:
        return ZERO
    if inner.head == "negate":
        return inner.args[0]
    if inner.head == "add":
        return _sum(_negate(Node("negate", (term,))) for term in inner.args)
    return Node("negate", (inner,))


def _add(tree: Node) -> Node:
    return _sum(tree.args)


def _sum(given: Iterable[Node]) -> Node:
    flat = sorted(term for tree in given for term in terms(tree) if term != ZERO)
    return Node("add", tuple(flat)) if len(flat) > 1 else flat[0] if flat else ZERO


def _multiply(tree: Node) -> Node:
    return _product(tree.args)


def _product(given: Iterable[Node]) -> Node:
    oriented = [_oriented(factor) for tree in given for factor in _signed_factors(tree)]
    negative = sum(tree.head == "negate" for tree in oriented) % 2
    flat = sorted(factor for tree in oriented for factor in factors(tree) if factor != ONE)
    tree = Node("multiply", tuple(flat)) if len(flat) > 1 else flat[0] if flat else ONE
    return _negate(Node("negate", (tree,))) if negative else tree


def _unopened_product(tree: Node) -> Node:
    signed = [factor for arg in tree.args for factor in _signed_factors(arg)]
    flat = sorted(factor for factor in signed if factor not in (ONE, _MINUS_ONE))
    product = Node("multiply", tuple(flat)) if len(flat) > 1 else flat[0] if flat else ONE
    return Node("negate", (product,)) if signed.count(_MINUS_ONE) % 2 else product


def _signed_factors(tree: Node) -> tuple[Node, ...]:
    """The factors of a product, and -1 if it is negative."""
    return (_MINUS_ONE, *factors(tree)) if tree.head == "negate" else factors(tree)


def _oriented(tree: Node) -> Node:
    """A sum so that of `x - 1` and `1 - x` one is the other's opposite; another tree as it is."""
    if tree.head != "add":
        return tree
    opposite = _negate_of(tree)
    return Node("negate", (opposite,)) if opposite < tree else tree


def _absolute(tree: Node) -> Node:
    (inner,) = tree.args
    return Node("absolute", (_unsigned(inner),))


def _unsigned(tree: Node) -> Node:
    """The same tree for a tree and its opposite."""
    tree = _oriented(tree)
    return tree.args[0] if tree.head == "negate" else tree


def _reciprocal(tree: Node) -> Node:
    inner = _oriented(tree.args[0])
    if inner.head == "negate":
        return _negate(Node("negate", (_reciprocal(Node("reciprocal", inner.args)),)))
    if inner.head == "reciprocal":
        return inner.args[0]
    if inner.head == "multiply":
        return _product(_reciprocal(Node("reciprocal", (factor,))) for factor in inner.args)
    return ONE if inner == ONE else Node("reciprocal", (inner,))


def _power(tree: Node) -> Node:
    base, exponent = tree.args
    if exponent == ONE:
        return base
    if exponent == ZERO and base != ZERO:
        return ONE
    is_even = exponent.head == "number" and exponent.text.isdecimal() and exponent.text[-1] in "02468"
    return Node("power", (_unsigned(base), exponent)) if is_even else tree


def _call(tree: Node) -> Node:
    return Node("power", (Node("constant", text="e"), *tree.args)) if tree.text == "exp" else tree


def _unordered(tree: Node) -> Node:
    return tree._replace(args=tuple(sorted(tree.args)))


def _relation(tree: Node) -> Node:
    return _unordered(tree) if tree.text in ("=", "!=") else ascending(tree)


def _rooted_power(tree: Node) -> Node:
    base, exponent = tree.args
    value = rational(exponent)
    if value is None:
        return tree
    if value < 0:
        return _reciprocal(Node("reciprocal", (_rooted_power(Node("power", (base, _negate_of(exponent)))),)))
    if value.denominator == 1:
        return _power(Node("power", (base, _written(value))))
    root = Node("root", (base, _written(Fraction(value.denominator))))
    return _power(Node("power", (root, _written(Fraction(value.numerator)))))


def _negate_of(tree: Node) -> Node:
    return _negate(Node("negate", (tree,)))


def _folded(tree: Node) -> Node:
    value = rational(tree) if all(map(_is_written, tree.args)) else None
    return tree if value is None else _written(value)


def _is_written(tree: Node) -> bool:
    """Whether a folded tree is a rational number."""
    return tree.head == "number" or (tree.head in _OF_NUMBERS and all(map(_is_written, tree.args)))


def _folded_sum(tree: Node) -> Node:
    values, others = _split(tree.args)
    total = _written(sum(values, Fraction(0)))
    return _sum([*others, total])


def _folded_product(tree: Node) -> Node:
    values, others = _split(tree.args)
    total = rational(Node("multiply", tuple(map(_written, values)))) if values else Fraction(1)
    if total is None:  # too large
        return tree
    return _product([*others, _written(total)]) if total else ZERO


def _split(trees: Iterable[Node]) -> tuple[list[Fraction], list[Node]]:
    """The values of those that are rational, and the others."""
    values: list[Fraction] = []
    others: list[Node] = []
    for tree in trees:
        value = rational(tree) if _is_written(tree) else None
        if value is None:
            others.append(tree)
        else:
            values.append(value)
    return values, others


def _written(value: Fraction) -> Node:
    top, bottom = Node("number", text=str(abs(value.numerator))), Node("number", text=str(value.denominator))
    tree = _product([top, _reciprocal(Node("reciprocal", (bottom,)))])
    return _negate_of(tree) if value < 0 else tree


_NORMAL: Mapping[str, Rule] = {
    "number": _number,
    "negate": _negate,
    "add": _add,
    "multiply": _multiply,
    "reciprocal": _reciprocal,
    "power": _power,
    "absolute": _absolute,
    "call": _call,
    "list": _unordered,
    "set": _unordered,
    "union": _unordered,
    "relation": _relation,
}
_AS_GIVEN: Mapping[str, Rule] = {
    "number": _number,
    "negate": lambda tree: _unopened_product(Node("multiply", (tree,))),
    "add": _add,
    "multiply": _unopened_product,
    "list": _unordered,
    "set": _unordered,
    "relation": _relation,
}
_ROOTED: Mapping[str, Rule] = _NORMAL | {"power": _rooted_power}
_FOLDED: Mapping[str, Rule] = _ROOTED | {
    "number": _folded,
    "negate": lambda tree: _folded(_negate(tree)),
    "add": _folded_sum,
    "multiply": _folded_product,
    "reciprocal": lambda tree: _folded(_reciprocal(tree)),
    "power": lambda tree: _folded(_rooted_power(tree)),
    "factorial": _folded,
    "binomial": _folded,
    "absolute": lambda tree: _folded(_absolute(tree)),
}

r"""Whether two formulas differ by a constant: the same at every point where the first is real; runs in workers.

Points of both signs and of many sizes, since a radical may be real far out only and an arcsine near zero only.
A difference that is another constant on either side of a gap is none: `|x|/x` is not constant, and neither is an
arctangent that jumps. A logarithm is that of the absolute value, as in tables of integrals.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice

from mpmath import mp

from mtgrpo_env.envs.symbolic.exact import NoValue
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tree import Node, nodes
from mtgrpo_env.envs.symbolic.worker import Number, Point, symbols_in, value_at

_DIGITS = 700  # that are computed ...
_AGREEMENT = 550  # ... and of these, how many must agree
_SIZES = range(-5, 15)  # of points, in powers of two
_MIN_POINTS, _NUM_POINTS = 3, 16
_MAX_BITS = 900  # magnitude of the first formula, well inside of what can be computed ...
_MARGIN = 100  # ... so that the second one may be larger


def differ_by_constant(request: dict[str, str]) -> bool:
    """Whether `request["answer"]` and `request["truth"]` do, as functions of `request["variable"]`.

    Raises:
        ValueError: if the truth is real at too few points to tell.
    """
    variable = request["variable"]
    first, second = (_real(parse(request[name]), variable) for name in ("truth", "answer"))
    with mp.workdps(_DIGITS):
        points = _points(symbols_in(first) | symbols_in(second), variable, seed=request["answer"])
        pairs = ((point, wanted) for point in points if (wanted := _moderate(first, point)) is not None)
        known = list(islice(pairs, _NUM_POINTS))
        if len(known) < _MIN_POINTS:
            raise ValueError(
                f"expected a formula that is real at {_MIN_POINTS} points at least, got {request['truth']}"
            )
        return _is_constant(second, known)


def _is_constant(tree: Node, known: list[tuple[Point, Number]]) -> bool:
    """Whether a formula has a value wherever the other is known, and the difference is that of the first point."""
    nearest = None
    for point, wanted in known:
        try:
            found = value_at(tree, point)
        except NoValue:
            return False
        scale = max(mp.one, abs(found), abs(wanted))
        if mp.mag(scale) > _MAX_BITS + _MARGIN:
            return False
        nearest = nearest or (found - wanted, scale)
        if abs(found - wanted - nearest[0]) > mp.mpf(10) ** -_AGREEMENT * max(scale, nearest[1]):
            return False
    return True


def _moderate(tree: Node, point: Point) -> Number | None:
    """The value of a formula where that is a real number of moderate size."""
    try:
        found = value_at(tree, point)
    except NoValue:
        return None
    is_real = abs(mp.im(found)) <= mp.mpf(10) ** -_AGREEMENT * max(1, abs(found))
    return mp.re(found) if is_real and mp.mag(found) <= _MAX_BITS else None


def _points(symbols: set[str], variable: str, *, seed: str) -> Iterator[Point]:
    """Values of the variable, small ones first, and one value for each other symbol.

    The answer's own text is the seed, so that none can be written to vanish there.
    """
    constants = {name: 1 + _fraction(f"{seed} {name}") for name in sorted(symbols - {variable})}
    for size in _SIZES:
        for sign in (1, -1):
            factor = mp.sqrt(1 + _fraction(f"{seed} {sign * size}"))
            yield constants | {variable: sign * factor * mp.mpf(2) ** size}


def _fraction(text: str) -> Number:
    return mp.mpf(zlib.crc32(text.encode(errors="replace"))) / 2**32


def _real(tree: Node, variable: str) -> Node:
    """A tree as integrals write it: natural logarithms of absolute values, `E`, one case of the variable."""
    args = tuple(_real(arg, variable) for arg in tree.args)
    match tree:
        case Node("symbol", text="E"):
            return Node("constant", text="e")
        case Node("symbol") if tree.text.casefold() == variable.casefold():
            return Node("symbol", text=variable)
        case Node("sign", (Node("symbol"),)) if args[0].text != variable:
            return args[0]  # a constant has any sign
        case Node("call", text="log" | "ln"):
            return Node("call", (_magnitude(args[0]),), "ln")
        case Node("log"):
            return Node("log", (_magnitude(args[0]), args[1]))
        case _:
            return tree._replace(args=args)


def _magnitude(tree: Node) -> Node:
    return tree if _is_complex(tree) else Node("absolute", (tree,))


def _is_complex(tree: Node) -> bool:
    return Node("constant", text="i") in nodes(tree)

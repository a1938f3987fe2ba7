r"""When two answers are the same: their structure, down to values that somebody else compares.

Lists and sets are the same in any order; tuples and intervals only in theirs. `x = 5` answers `5`, and
`x > 3` answers `(3, \infty)`, where one side says it with a variable and the other without. A unit is no part
of an answer, and `50\%` is 50 where the other side says 50, and a half where it says 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mtgrpo_env.envs.symbolic.exact import exact_value
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node

SameValue = Callable[[Node, Node], bool]

_STRUCTURE = frozenset({"list", "set", "brackets", "union", "relation", "percent"})
_COLLECTIONS = frozenset({"list", "set"})
_HUNDREDTH = Node("reciprocal", (Node("number", text="100"),))
_INFINITY = Node("constant", text="infinity")
_CLOSED = {"<": "()", "<=": "[]"}
_MIRRORED = {"=": "=", ">": "<", ">=": "<="}


class Undecided(Exception):
    """The answers can be told apart, or not, only by more than rational arithmetic."""


def readings(text: str) -> list[Node]:
    """The ways to read an answer: two where a comma may group digits or separate numbers.

    Raises:
        MathSyntaxError: if there is no way.
    """
    first = parse(text)
    if "," not in text:
        return [first]
    try:
        second = parse(text, commas_group=False)
    except MathSyntaxError:
        return [first]
    return [first] if first == second else [first, second]


def is_worked_out(tree: Node) -> bool:
    r"""Whether every value is a written number, such as a fraction of two or `3 \cdot 10^8`, or a lone variable."""
    if tree.head in _STRUCTURE:
        return all(map(is_worked_out, tree.args))
    match tree:
        case Node("number" | "based" | "symbol") | Node("constant", text="infinity"):
            return True
        case Node("negate", (inner,)) | Node("sign", (inner,)):
            return is_worked_out(inner)
        case Node("multiply", (top, Node("reciprocal", (bottom,)))):
            return _is_decimal(top) and _is_decimal(bottom)
        case Node("multiply", (top, Node("power", (Node("number", text="10"), power)))):
            return _is_decimal(top) and _is_decimal(power)
        case Node("add", (Node("number"), fraction)):
            return fraction.head == "multiply" and is_worked_out(fraction)
        case _:
            return False


def _is_decimal(tree: Node) -> bool:
    return tree.head == "number" or (tree.head == "negate" and tree.args[0].head == "number")


def same_answer(truth: Sequence[Node], answer: Sequence[Node], same_value: SameValue) -> bool:
    """Whether any reading of the one is the same as any of the other.

    Args:
        truth: what `readings` gave.
        answer: likewise.
        same_value: compares two trees that are single values, or two relations.
    """
    pairs = [(a, b) for a in truth for b in answer]
    return any(a == b for a, b in pairs) or any(_same(a, b, same_value) for a, b in pairs)


def same_rational(left: Node, right: Node) -> bool:
    """Compare rational numbers.

    Raises:
        Undecided: if either is something else.
        NoValue: if either has no value.
    """
    if left.head == "based" or right.head == "based":
        return same_digits(left, right)
    values = exact_value(left), exact_value(right)
    if None in values or "relation" in (left.head, right.head):
        raise Undecided
    return values[0] == values[1]


def _same(a: Node, b: Node, same_value: SameValue) -> bool:
    a, b = _ascending(_expanded(a)), _ascending(_expanded(b))
    if a.head == "percent" or b.head == "percent":
        return _same_percent(a, b, same_value)
    if a.head == "relation" and b.head == "relation":
        return same_value(a, b)
    a, b = _without_variable(a, b), _without_variable(b, a)
    if "relation" in (a.head, b.head):
        return False
    if a.head in _COLLECTIONS or b.head in _COLLECTIONS:
        return _same_members(_members(a), _members(b), same_value) and "brackets" not in (a.head, b.head)
    if a.head == "union" and b.head == "union":
        return _same_members(a.args, b.args, same_value)
    if a.head == "brackets" and b.head == "brackets":
        return (
            a.text == b.text
            and len(a.args) == len(b.args)
            and all(_same(x, y, same_value) for x, y in zip(a.args, b.args, strict=True))
        )
    if {a.head, b.head} & {"brackets", "union"}:
        return False
    return a == b or same_value(a, b)


def _members(tree: Node) -> tuple[Node, ...]:
    return tree.args if tree.head in _COLLECTIONS else (tree,)


def _same_members(left: Sequence[Node], right: Sequence[Node], same_value: SameValue) -> bool:
    """In any order; to be the same is transitive, so the first match is as good as another."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for tree in left:
        place = next((i for i, other in enumerate(rest) if _same(tree, other, same_value)), None)
        if place is None:
            return False
        del rest[place]
    return True


def _same_percent(a: Node, b: Node, same_value: SameValue) -> bool:
    if a.head == b.head:
        return _same(a.args[0], b.args[0], same_value)
    percent, other = (a, b) if a.head == "percent" else (b, a)
    number = percent.args[0]
    return _same(number, other, same_value) or _same(Node("multiply", (number, _HUNDREDTH)), other, same_value)


def same_digits(left: Node, right: Node) -> bool:
    """Compare numerals of a base: the digits were asked for, and the same value in another base is wrong."""
    if left.head == right.head and left.args != right.args:
        return False
    return left.text.lstrip("0") == right.text.lstrip("0") and right.head in ("based", "number")


def _without_variable(tree: Node, other: Node) -> Node:
    """What a tree says of its variable, as the other side would say it if it names none."""
    if tree.head == "list" and other.head == "union":
        return Node("union", tuple(_solution(_ascending(item)) for item in tree.args))
    return _solution(tree)


def _solution(tree: Node) -> Node:
    if tree.head != "relation":
        return tree
    match tree.text, tree.args:
        case "=", (left, right) if _is_name(left):
            return right
        case "<" | "<=", (Node("symbol"), bound):
            return Node("brackets", (Node("negate", (_INFINITY,)), bound), "(" + _CLOSED[tree.text][1])
        case "<" | "<=", (bound, Node("symbol")):
            return Node("brackets", (bound, _INFINITY), _CLOSED[tree.text][0] + ")")
        case _, (low, Node("symbol"), high) if {*(signs := tree.text.split())} <= _CLOSED.keys():
            return Node("brackets", (low, high), _CLOSED[signs[0]][0] + _CLOSED[signs[1]][1])
        case _:
            return tree


def _ascending(tree: Node) -> Node:
    """A relation with its signs turned to "<" and "<=", if all of them can be."""
    signs = tree.text.split()
    if tree.head != "relation" or not all(sign in _MIRRORED for sign in signs) or signs == ["="]:
        return tree
    return Node("relation", tree.args[::-1], " ".join(_MIRRORED[sign] for sign in reversed(signs)))


def _is_name(tree: Node) -> bool:
    """A variable, or a function of one: `f(x) = ...`."""
    return tree.head == "symbol" or (tree.head == "multiply" and [arg.head for arg in tree.args] == ["symbol"] * 2)


def _expanded(tree: Node) -> Node:
    r"""A tree with `\pm` as the list of its two readings."""
    if not _has_sign(tree):
        return tree
    if tree.head in _COLLECTIONS:
        readings = [item for member in tree.args for item in _members(_expanded(member))]
        return Node("list", tuple(readings))
    return Node("list", (_with_sign(tree, up=True), _with_sign(tree, up=False)))


def _has_sign(tree: Node) -> bool:
    return tree.head == "sign" or any(_has_sign(arg) for arg in tree.args)


def _with_sign(tree: Node, *, up: bool) -> Node:
    args = tuple(_with_sign(arg, up=up) for arg in tree.args)
    if tree.head != "sign":
        return tree._replace(args=args)
    return args[0] if up == (tree.text == "+") else Node("negate", args)

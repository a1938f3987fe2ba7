r"""The sets of real numbers that an answer speaks of: `x > 3` says (3, \infty), `|x| < 2` says (-2, 2)."""

from __future__ import annotations

from typing import NamedTuple

from mtgrpo_env.envs.symbolic.atoms import REALS
from mtgrpo_env.envs.symbolic.exact import NoValue, exact_value
from mtgrpo_env.envs.symbolic.meaning import ascending, is_name
from mtgrpo_env.envs.symbolic.tree import Node

_OPPOSITE = {"(": "]", "[": ")", ")": "[", "]": "("}  # the edge of what an interval leaves
_LIMITS = {"<": "()", "<=": "[]"}


class RealSet(NamedTuple):
    """A set of real numbers: intervals, and points that are left out of them."""

    intervals: tuple[Node, ...]
    holes: tuple[Node, ...] = ()


def real_sets(tree: Node) -> list[RealSet]:
    r"""The sets of numbers that a tree may stand for: two for `x > 1, x < 5`, none for what is no such set."""
    match tree:
        case Node("brackets", (_, _)):
            return [RealSet((tree,))]
        case Node("union", parts):
            return _united([real_sets(part) for part in parts])
        case Node("difference", (whole, Node("set" | "list", holes))):
            return [known._replace(holes=known.holes + holes) for known in real_sets(whole)]
        case Node("difference", (whole, Node("brackets", (low, high), edges))) if whole == REALS:
            below = Node("brackets", (REALS.args[0], low), "(" + _OPPOSITE[edges[0]])
            return [RealSet((below, Node("brackets", (high, REALS.args[1]), _OPPOSITE[edges[1]] + ")")))]
        case Node("relation"):
            return _of_relation(ascending(tree))
        case Node("list", parts, separator):
            said = [
                real_sets(part) if part.head in ("relation", "union", "difference", "brackets") else []
                for part in parts
            ]
            if len({_subject(part) for part in parts}) > 1:
                return []
            holes = any(known.holes for sets in said for known in sets)
            united = _united(said) if separator != "and" and not holes else []
            return united + (_intersected(said) if separator != "or" else [])
        case _:
            return []


def _of_relation(relation: Node) -> list[RealSet]:
    match relation.text.split(), relation.args:
        case ["in"], (name, values) if is_name(name):
            return real_sets(values)
        case ["!="], (value, name) if is_name(name):
            return [RealSet((REALS,), (value,))]
        case ["!="], (name, value) if is_name(name):
            return [RealSet((REALS,), (value,))]
        case ["<" | "<=" as sign], (Node("absolute", (name,)), bound) if is_name(name):
            return [RealSet((Node("brackets", (Node("negate", (bound,)), bound), _LIMITS[sign]),))]
        case ["<" | "<=" as sign], (bound, Node("absolute", (name,))) if is_name(name):
            below = Node("brackets", (REALS.args[0], Node("negate", (bound,))), "(" + _LIMITS[sign][1])
            return [RealSet((below, Node("brackets", (bound, REALS.args[1]), _LIMITS[sign][0] + ")")))]
        case ["<" | "<=" as sign], (name, bound) if is_name(name):
            return [RealSet((Node("brackets", (REALS.args[0], bound), "(" + _LIMITS[sign][1]),))]
        case ["<" | "<=" as sign], (bound, name) if is_name(name):
            return [RealSet((Node("brackets", (bound, REALS.args[1]), _LIMITS[sign][0] + ")"),))]
        case ["<" | "<=" as low, "<" | "<=" as high], (start, name, end) if is_name(name):
            return [RealSet((Node("brackets", (start, end), _LIMITS[low][0] + _LIMITS[high][1]),))]
        case _:
            return []


def _subject(tree: Node) -> Node | None:
    return next(filter(is_name, tree.args), None) if tree.head == "relation" else None


def _united(parts: list[list[RealSet]]) -> list[RealSet]:
    if not all(parts):
        return []
    sets = [part[0] for part in parts]
    holes = tuple(hole for known in sets for hole in known.holes)
    return [_joined(RealSet(tuple(interval for known in sets for interval in known.intervals), holes))]


def _intersected(parts: list[list[RealSet]]) -> list[RealSet]:
    """Of bounds from either side and points left out; whatever else is no answer that people write."""
    if not all(parts) or any(len(part[0].intervals) != 1 for part in parts):
        return []
    (low, high), edges = REALS.args, REALS.text
    for (interval,), _ in (part[0] for part in parts):
        if interval.args[0] != REALS.args[0]:
            if low != REALS.args[0]:
                return []
            low, edges = interval.args[0], interval.text[0] + edges[1]
        if interval.args[1] != REALS.args[1]:
            if high != REALS.args[1]:
                return []
            high, edges = interval.args[1], edges[0] + interval.text[1]
    return [RealSet((Node("brackets", (low, high), edges),), tuple(hole for part in parts for hole in part[0].holes))]


def _joined(known: RealSet) -> RealSet:
    r"""Intervals that meet in a point as one: `(-\infty, 6) \cup (6, \infty)` is all but 6."""
    intervals, holes = list(known.intervals), known.holes
    for bound in [interval.args[1] for interval in intervals]:
        left = next(interval for interval in intervals if interval.args[1] == bound)
        right = next((interval for interval in intervals if _same_bound(interval.args[0], bound)), left)
        if left is right:
            continue
        if left.text[1] + right.text[0] == ")(":
            holes += (bound,)
        intervals.remove(right)
        intervals[intervals.index(left)] = Node("brackets", (left.args[0], right.args[1]), left.text[0] + right.text[1])
    return RealSet(tuple(intervals), holes)


def _same_bound(left: Node, right: Node) -> bool:
    if left == right:
        return True
    try:
        value = exact_value(left)
        return value is not None and value == exact_value(right)
    except NoValue:
        return False

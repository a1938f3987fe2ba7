r"""Matrices and vectors by their rows, however they are written: a tuple or a sum of unit vectors is a column."""

from __future__ import annotations

from mtgrpo_env.envs.symbolic.tree import Node

_UNIT_VECTORS = ("i", "j", "k")
_ZERO, _ONE = Node("number", text="0"), Node("number", text="1")
_Rows = list[tuple[Node, ...]]


def rows_of_both(left: Node, right: Node) -> tuple[_Rows, _Rows]:
    r"""The rows of two trees; none of what is no matrix. Of two unit vectors the third coordinate may be left out."""
    rows, others = _rows(left, beside=right), _rows(right, beside=left)
    if unit_vector(left) or unit_vector(right):
        longest = max(len(rows), len(others))
        rows, others = ([*found, *[(_ZERO,)] * (longest - len(found))] for found in (rows, others))
    return rows, others


def _rows(tree: Node, *, beside: Node) -> _Rows:
    """The rows of a matrix; a tuple is a vector, and so a column; beside a matrix square brackets are no interval."""
    if coordinates := unit_vector(tree):
        return [(value,) for value in coordinates]
    if tree.head == "matrix" or (tree.text == "[]" and all(row.text == "[]" for row in tree.args)):
        return [row.args for row in tree.args]
    is_vector = tree.head == "brackets" and (tree.text == "()" or (tree.text == "[]" and beside.head == "matrix"))
    return [(value,) for value in tree.args] if is_vector else []


def unit_vector(tree: Node) -> tuple[Node, ...]:
    r"""The coordinates of a sum of unit vectors, `2\mathbf{i} - \mathbf{j}`; () for anything else, such as `2j`."""
    found: dict[str, Node] = {}
    for term in tree.args if tree.head == "add" else (tree,):
        name, coefficient = _unit_and_coefficient(term)
        if name in found or name not in _UNIT_VECTORS:
            return ()
        found[name] = coefficient
    if len(found) < 2:
        return ()
    return tuple(found.get(name, _ZERO) for name in (_UNIT_VECTORS if "k" in found else _UNIT_VECTORS[:2]))


def _unit_and_coefficient(term: Node) -> tuple[str, Node]:
    """The letter of a unit vector and what it is multiplied with; "" if that is no single one."""
    if term.head == "negate":
        name, coefficient = _unit_and_coefficient(term.args[0])
        return name, Node("negate", (coefficient,))
    factors = term.args if term.head == "multiply" else (term,)
    names = [name for name in map(_unit_name, factors) if name]
    rest = tuple(factor for factor in factors if not _unit_name(factor))
    if len(names) != 1:
        return "", term
    return names[0], Node("multiply", rest) if len(rest) > 1 else next(iter(rest), _ONE)


def _unit_name(tree: Node) -> str:
    if tree.head not in ("symbol", "constant"):
        return ""
    name = tree.text.removeprefix("hat ").removeprefix("vec ")
    return name if name in _UNIT_VECTORS else ""

"""A tree without what is only a shorter way to write it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from mtgrpo_env.envs.symbolic.meaning import ascending, is_name
from mtgrpo_env.envs.symbolic.tree import COLLECTIONS, STRUCTURES, Node, members, nodes
from mtgrpo_env.envs.symbolic.units import units

_MAX_SIGNS = 3


def plain(tree: Node) -> Node:
    r"""A tree with `\pm` as the list of its two readings, bounds turned upwards, and factors taken into a matrix."""
    if _has_sign(tree):
        tree = _expanded(tree)
    match tree:
        case Node("relation", (name, values), "in") if is_name(name) and values.head in STRUCTURES | {"set"}:
            return plain(values)
        case Node("ratio", (hours, Node("words", (Node("number", text="00"),), "am" | "pm" as half))):
            return Node("words", (hours,), half)
        case Node("relation"):
            return ascending(tree)
        case Node("compound", parts) | Node("list", parts, "and") if all(part.head == "quantity" for part in parts):
            return _in_one_unit(parts) or tree
        case Node("multiply", (Node("symbol", text=point), Node("brackets", text="()") as place)) if point[0].isupper():
            return place
        case Node("add", (whole, Node("negate", (Node("set") as holes,)))):
            return Node("difference", (whole, holes))
        case Node("negate", (Node("matrix") as matrix,)):
            return _times(Node("negate", (Node("number", text="1"),)), matrix)
        case Node("multiply", args) if [arg.head for arg in args].count("matrix") == 1 and args[-1].head == "matrix":
            return _times(Node("multiply", args[:-1]), args[-1])
        case _:
            return tree


def _in_one_unit(parts: Sequence[Node]) -> Node | None:
    """The sum of quantities such as 2 hours and 30 minutes; None if they do not convert, or the larger is not first."""
    readings = [units(part.text) for part in parts]
    for chosen in product(*readings):
        scales = [unit.scale for unit in chosen]
        if len({unit.dimension for unit in chosen}) == 1 and scales == sorted({*scales}, reverse=True):
            factors = [Node("number", text=str(scale / scales[-1])) for scale in scales]
            if all(factor.text.isdecimal() for factor in factors):
                terms = (Node("multiply", (part.args[0], by)) for part, by in zip(parts, factors, strict=True))
                return Node("quantity", (Node("add", tuple(terms)),), parts[-1].text)
    return None


def _times(factor: Node, matrix: Node) -> Node:
    rows = [Node("row", tuple(Node("multiply", (factor, entry)) for entry in row.args)) for row in matrix.args]
    return matrix._replace(args=tuple(rows))


def _expanded(tree: Node) -> Node:
    r"""The values of a tree with signs: `\mp` is the other one than `\pm`, several `\pm` are any of both."""
    if tree.head in COLLECTIONS:
        expanded = [
            item for member in tree.args for item in members(_expanded(member) if _has_sign(member) else member)
        ]
        return Node("list", tuple(expanded), ",")
    signs = [node.text for node in nodes(tree) if node.head == "sign"]
    if "-" in signs or len(signs) > _MAX_SIGNS:
        choices = [("+",) * len(signs), ("-",) * len(signs)]
    else:
        choices = list(product("+-", repeat=len(signs)))
    return Node("list", tuple(_with_signs(tree, iter(choice)) for choice in choices), ",")


def _has_sign(tree: Node) -> bool:
    return any(node.head == "sign" for node in nodes(tree))


def _with_signs(tree: Node, chosen: Iterator[str]) -> Node:
    """A tree with its signs in the order of `nodes`, each as chosen or, if it is the other one, the other way."""
    up = tree.head != "sign" or next(chosen) == tree.text
    args = tuple([_with_signs(arg, chosen) for arg in tree.args])
    if tree.head != "sign":
        return tree._replace(args=args)
    return args[0] if up else Node("negate", args)

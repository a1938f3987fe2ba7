"""The tree of a mathematical answer, as it was written: nothing in it is evaluated or simplified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

Head = Literal[
    "number",  # text: its digits; "0.(12)" for a decimal that repeats, "2e-3" for a power of ten
    "symbol",  # text: its name
    "constant",  # text: pi, e, i or infinity
    "based",  # text: its digits; args: the base
    "add",
    "multiply",
    "negate",
    "reciprocal",
    "power",
    "root",  # of args[0]; args[1] is its degree
    "call",  # text: the function
    "log",  # of args[0] to the base args[1]
    "absolute",
    "factorial",
    "binomial",
    "percent",
    "floor",
    "ceiling",
    "sign",  # of args[0]; text: "+" for \pm, "-" for \mp
    "scaled",  # args[0] times text, the factor of a word such as "million"
    "quantity",  # args[0] in the unit text
    "compound",  # of two quantities: 2 hours 30 minutes
    "words",  # text: words in the place of a value; with args[0], words behind it
    "ratio",  # a : b : c
    "list",  # no brackets; text: what separates its members: "," "and" "or"
    "set",
    "brackets",  # text: the opening and the closing one: a tuple or an interval
    "union",
    "intersection",
    "difference",  # of two sets
    "row",  # of a matrix
    "matrix",  # args: its rows
    "determinant",  # args: the rows of its matrix
    "relation",  # text: the signs between the args, separated by blanks; ~ is "about"
]


class Node(NamedTuple):
    """One node of an answer's tree."""

    head: Head
    args: tuple[Node, ...] = ()
    text: str = ""


def nodes(tree: Node) -> Iterator[Node]:
    """A tree and all that is in it."""
    yield tree
    for arg in tree.args:
        yield from nodes(arg)


COLLECTIONS = frozenset({"list", "set"})
STRUCTURES = frozenset({"brackets", "union", "intersection", "difference", "matrix"})


def members(tree: Node) -> tuple[Node, ...]:
    """What a list or set holds; of anything else, itself."""
    return tree.args if tree.head in COLLECTIONS else (tree,)

"""The tree of a mathematical answer, as it was written: nothing in it is evaluated or simplified."""

from __future__ import annotations

from typing import Literal, NamedTuple

Head = Literal[
    "number",  # text: its digits; "0.(12)" for a decimal that repeats
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
    "sign",  # of args[0]; text: "+" for \pm, "-" for \mp
    "list",  # separated by commas, no brackets
    "set",
    "brackets",  # text: the opening and the closing one: a tuple or an interval
    "union",
    "relation",  # text: the signs between the args, separated by blanks
]


class Node(NamedTuple):
    """One node of an answer's tree."""

    head: Head
    args: tuple[Node, ...] = ()
    text: str = ""

"""The ways to read an answer, and whether what is read has anything left to compute."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mtgrpo_env.envs.dress import bare_words
from mtgrpo_env.envs.symbolic.meaning import chain, is_name, solved
from mtgrpo_env.envs.symbolic.plain_text import counting_letter
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError, Notation
from mtgrpo_env.envs.symbolic.tree import COLLECTIONS, STRUCTURES, Node, nodes
from mtgrpo_env.envs.symbolic.vectors import unit_vector

_PARTS = COLLECTIONS | STRUCTURES | {"percent", "scaled", "quantity", "compound", "ratio", "row", "words"}
_NOT_LONE = COLLECTIONS | STRUCTURES | {"relation", "symbol", "words"}
_PLAIN = Notation()
_COUNTING = frozenset("kmn")  # whole numbers, behind a solution
_CAPITALS = re.compile(  # of a truth, a word sooner than a product: ASA is no AAS, IX is no XI
    r"NO|[A-Z]{3}|(?=..)(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
)
_ONE_WAY = re.compile(r"[^,A-Za-z]*")
_SCIENTIFIC = re.compile(r"[ $]*[-+]?[0-9]*\.?[0-9]+[eE][-+]?[0-9]{1,3}[ $.]*")  # and nothing else
_GROUPED = re.compile(  # as no list is written: 1,000 and 1,234.50 and $1,234
    r"[0-9],0[0-9]{2}(?![0-9])|(?<![0-9.])[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]|[$€£¥₹]\s*[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])"
)
_SPACED_UNIT = re.compile(r"[0-9] [A-Za-z°µ]")  # of a truth: "5 m" is no product
_POWER_OF_TEN = re.compile(r"[0-9.][eE][-+]?[0-9]")


def readings(text: str, *, truth: Sequence[Node] = ()) -> list[Node]:
    """The ways to read an answer: several where a comma may group digits or separate numbers, and the like.

    Args:
        text: hostile input.
        truth: what an answer is compared with: a decimal comma, and a letter that is a unit, are read only beside
            one number.

    Raises:
        MathSyntaxError: if there is no way.
    """
    notations = [_PLAIN] if _ONE_WAY.fullmatch(text) else _notations(text, truth)
    found: list[Node] = []
    first: MathSyntaxError | None = None
    for notation in notations:
        try:
            tree = parse(text, notation)
        except MathSyntaxError as error:
            first = first or error
        else:
            found += [tree] if tree not in found else []
    if not found and first:
        raise first
    return _counted_as(truth, found, counting_letter(text))


@lru_cache(maxsize=4096)
def truth_readings(truth: str) -> Sequence[Node]:
    """The ways to read a truth; none if it is no mathematics."""
    if _CAPITALS.fullmatch(word := bare_words(truth)):
        return (Node("words", text=word.casefold()),)
    try:
        return tuple(readings(truth))
    except MathSyntaxError:
        return ()


def _counted_as(truth: Sequence[Node], answer: list[Node], letter: str) -> list[Node]:
    """The readings of an answer with the letter that counts its solutions renamed to that of the truth."""
    names = {name for tree in truth for name in _variables(tree) & _COUNTING}
    if not letter or len(names) != 1 or any(node.text in names for tree in answer for node in nodes(tree)):
        return answer
    return [_renamed(tree, letter, *names) for tree in answer]


def _renamed(tree: Node, old: str, new: str) -> Node:
    if tree == Node("symbol", text=old):
        return tree._replace(text=new)
    return tree._replace(args=tuple([_renamed(arg, old, new) for arg in tree.args]))


def _notations(text: str, truth: Sequence[Node]) -> list[Notation]:
    with_comma = "," in text
    beside_number = bool(truth) and all(map(_is_lone, truth))
    found = [_PLAIN]
    if with_comma and not _GROUPED.search(text):
        found.append(Notation(comma="separates"))
    if with_comma and beside_number:
        found.append(Notation(comma="decimal"))
    if _POWER_OF_TEN.search(text) and not _SCIENTIFIC.fullmatch(text):
        found += [Notation(notation.comma, e_is_ten=False) for notation in found]
    if beside_number or (not truth and _SPACED_UNIT.search(text)):
        found.append(Notation(letters="unit"))
    return found


def _is_lone(tree: Node) -> bool:
    """Whether a tree is one value without variables."""
    return not any(node.head in _NOT_LONE for node in nodes(tree))


def is_worked_out_truth(tree: Node) -> bool:
    """Whether an answer must be worked out because the truth is: what is not solved says nothing of it."""
    values = solved(tree)
    if tree.head == "relation" and not chain(tree) and len(_variables(tree)) > 1:
        return False
    return is_worked_out(tree) and (not chain(tree) or (bool(values) and not any(map(_has_names, values))))


def _variables(tree: Node) -> set[str]:
    return {node.text for node in nodes(tree) if node.head == "symbol"}


def _has_names(tree: Node) -> bool:
    return any(node.head in ("symbol", "words") for node in nodes(tree))


def is_worked_out(tree: Node) -> bool:
    r"""Whether every value is a written number, such as a fraction of two or `3 \cdot 10^8`, or a lone variable."""
    if tree.head in _PARTS:
        return all(map(is_worked_out, tree.args))
    match tree:
        case Node("relation"):
            values = chain(tree)
            if values:
                return any(map(is_worked_out, values)) and (len(values) == 1 or not any(map(_has_names, values)))
            return all(is_name(_distance(arg)) or is_worked_out(arg) for arg in tree.args)
        case Node("number" | "based" | "symbol") | Node("constant", text="infinity"):
            return True
        case Node("negate" | "sign", (inner,)):
            return inner.head != "negate" and is_worked_out(inner)
        case Node("add") if coefficients := unit_vector(tree):
            return all(map(is_worked_out, coefficients))
        case Node("multiply", (factor, Node("matrix") as matrix)):
            return is_worked_out(factor) and is_worked_out(matrix)
        case Node("multiply", (Node("symbol"), Node("brackets") as place)):  # P(1, 2)
            return is_worked_out(place)
        case Node("add", (Node("brackets"), Node("negate", (Node("set") as holes,)))):
            return is_worked_out(holes)
        case Node("multiply", (top, Node("reciprocal", (bottom,)))):
            return _is_decimal(top) and _is_decimal(bottom)
        case Node("multiply", (top, Node("power", (Node("number", text="10"), power)))):
            return _is_decimal(top) and _is_decimal(power)
        case Node("power", (Node("number", text="10"), power)):
            return _is_decimal(power)
        case Node("add", (Node("number"), fraction)):
            return fraction.head == "multiply" and is_worked_out(fraction)
        case _:
            return False


def _distance(tree: Node) -> Node:
    """What a distance from zero is one of: `x` of `|x|`."""
    return tree.args[0] if tree.head == "absolute" else tree


def _is_decimal(tree: Node) -> bool:
    return tree.head == "number" or (tree.head == "negate" and tree.args[0].head == "number")

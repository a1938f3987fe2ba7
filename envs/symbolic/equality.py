r"""When two answers are the same: their structure, down to values that somebody else compares.

Lists and sets are the same in any order; tuples and intervals only in theirs. `x = 5` answers `5`, and `x > 3`
answers `(3, \infty)`, where one side says it with a variable and the other without; names of coordinates are in
alphabetical order. A unit is no part of an answer where only one side has it; where both have one, they must
convert. `50\%` is 50 where the other side says 50, and a half where it says 0.5. Words behind a value are part of an
answer: the truth must have the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

from mtgrpo_env.envs.symbolic.exact import exact_value
from mtgrpo_env.envs.symbolic.meaning import (
    RealSet,
    are_numbered,
    ascending,
    assignments,
    chain,
    in_order,
    is_label,
    is_name,
    real_sets,
)
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError, Notation
from mtgrpo_env.envs.symbolic.tree import Node
from mtgrpo_env.envs.symbolic.units import units

SameValue = Callable[[Node, Node], bool]

_COLLECTIONS = frozenset({"list", "set"})
_STRUCTURES = frozenset({"brackets", "union", "difference", "matrix"})
_PARTS = _COLLECTIONS | _STRUCTURES | {"percent", "scaled", "quantity", "ratio", "row", "words"}
_SOLUTIONS = _COLLECTIONS | {"relation"}
_SAID = _SOLUTIONS | {"words", "percent", "quantity", "ratio"}  # of more than values in brackets
_HUNDREDTH = Node("reciprocal", (Node("number", text="100"),))
_PLAIN = Notation()
_ONE_WAY = re.compile(r"[^,A-Za-z]*")
_POWER_OF_TEN = re.compile(r"[0-9.][eE][-+]?[0-9]")
_MAX_SIGNS = 3
_TWO_DIGITS = 2  # as minutes have


class Undecided(Exception):
    """The answers can be told apart, or not, only by more than rational arithmetic."""


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
    return found


def _notations(text: str, truth: Sequence[Node]) -> list[Notation]:
    with_comma = "," in text
    beside_number = bool(truth) and all(map(_is_lone, truth))
    found = [_PLAIN]
    if with_comma:
        found.append(Notation(comma="separates"))
    if with_comma and beside_number:
        found.append(Notation(comma="decimal"))
    if _POWER_OF_TEN.search(text):
        found += [Notation(notation.comma, e_is_ten=False) for notation in found]
    if beside_number and text[-1:].isalpha():
        found.append(Notation(letters="unit"))
    return found


def _is_lone(tree: Node) -> bool:
    """Whether a tree is one value without variables."""
    return tree.head not in (_COLLECTIONS | _STRUCTURES | {"relation", "symbol", "words"}) and all(
        map(_is_lone, tree.args)
    )


def _has_names(tree: Node) -> bool:
    return tree.head in ("symbol", "words") or any(map(_has_names, tree.args))


def is_worked_out(tree: Node) -> bool:
    r"""Whether every value is a written number, such as a fraction of two or `3 \cdot 10^8`, or a lone variable."""
    if tree.head in _PARTS:
        return all(map(is_worked_out, tree.args))
    match tree:
        case Node("relation"):
            values = chain(tree)
            if values:
                return any(map(is_worked_out, values)) and not any(map(_has_names, values))
            return all(is_name(arg) or is_worked_out(arg) for arg in tree.args)
        case Node("number" | "based" | "symbol") | Node("constant", text="infinity"):
            return True
        case Node("negate", (inner,)) | Node("sign", (inner,)):
            return is_worked_out(inner)
        case Node("multiply", (factor, Node("matrix") as matrix)):
            return is_worked_out(factor) and is_worked_out(matrix)
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
    pairs = list(product(truth, answer))
    comparison = _Comparison(same_value)
    return any(a == b for a, b in pairs) or any(comparison.same(a, b) for a, b in pairs)


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


def same_digits(left: Node, right: Node) -> bool:
    """Compare numerals of a base: the digits were asked for, and the same value in another base is wrong."""
    if left.head == right.head and left.args != right.args:
        return False
    return left.text.lstrip("0") == right.text.lstrip("0") and right.head in ("based", "number")


class _Comparison:
    """Compares a truth with an answer, kind by kind; `same` asks them in the order of how much they hold."""

    def __init__(self, same_value: SameValue) -> None:
        self._same_value = same_value

    def same(self, truth: Node, answer: Node) -> bool:
        truth, answer = _plain(truth), _plain(answer)
        heads = {truth.head, answer.head}
        if truth == answer:
            return True
        if not heads & _SAID:
            return (self._same_structure if heads & _STRUCTURES else self._same_value)(truth, answer)
        if heads & _SOLUTIONS:
            return self._same_solutions(truth, answer)
        if "words" in heads:
            return self._same_words(truth, answer)
        if "percent" in heads:
            return self._same_percent(truth, answer)
        return (self._same_quantity if "quantity" in heads else self._same_ratio)(truth, answer)

    def _all_same(self, truths: Sequence[Node], answers: Sequence[Node]) -> bool:
        return len(truths) == len(answers) and all(map(self.same, truths, answers))

    def _same_members(self, truths: Sequence[Node], answers: Sequence[Node]) -> bool:
        """In any order; to be the same is transitive, so the first match is as good as another."""
        if len(truths) != len(answers):
            return False
        rest = list(answers)
        for tree in truths:
            place = next((i for i, other in enumerate(rest) if self.same(tree, other)), None)
            if place is None:
                return False
            del rest[place]
        return True

    def _same_words(self, truth: Node, answer: Node) -> bool:
        """Words that the truth does not have make an answer wrong; those of the truth may be left out."""
        if truth.head != "words" or not truth.args:
            return False
        if answer.head == "words" and (answer.text != truth.text or not answer.args):
            return False
        return self.same(truth.args[0], answer.args[0] if answer.head == "words" else answer)

    def _same_percent(self, truth: Node, answer: Node) -> bool:
        if truth.head == answer.head:
            return self.same(truth.args[0], answer.args[0])
        if "quantity" in (truth.head, answer.head):
            return False
        return any(self.same(left, right) for left, right in product(_without_percent(truth), _without_percent(answer)))

    def _same_quantity(self, truth: Node, answer: Node) -> bool:
        if truth.head != answer.head:
            left, right = (tree.args[0] if tree.head == "quantity" else tree for tree in (truth, answer))
            return self.same(left, right)
        if truth.text == answer.text:
            return self.same(truth.args[0], answer.args[0])
        for ours, theirs in product(units(truth.text), units(answer.text)):
            if ours.dimension == theirs.dimension:
                factor = theirs.scale / ours.scale
                terms = (Node("number", text=str(factor.numerator)), _reciprocal(factor.denominator))
                return self.same(truth.args[0], Node("multiply", (answer.args[0], *terms)))
        return False

    def _same_ratio(self, truth: Node, answer: Node) -> bool:
        """Ratios are the same in any terms, unless both may be times of day; two terms are a fraction."""
        left, right = _terms(truth), _terms(answer)
        if len(left) != len(right) or self._all_same(left, right):
            return len(left) == len(right) > 0
        if (_may_be_time(left) and _may_be_time(right)) or 0 in map(exact_value, (*left, *right)):
            return False
        return all(
            self._same_value(Node("multiply", (left[0], b)), Node("multiply", (right[0], a)))
            for a, b in zip(left[1:], right[1:], strict=True)
        )

    def _same_solutions(self, truth: Node, answer: Node) -> bool:
        """Answers of which one at least is a list, or says something of a variable."""
        ours, theirs = assignments(truth), assignments(answer)
        if ours is not None and theirs is not None:
            return self._same_assignments(ours, theirs)
        if ours is not None and len(ours) > 1:
            return self._same_coordinates(ours, tuple(ours.values()), answer)
        if theirs is not None and len(theirs) > 1:
            return self._same_coordinates(theirs, in_order(theirs), truth)
        if truth.head == answer.head == "relation":
            return self._same_relation(truth, answer)
        if values := chain(answer):
            return all(self.same(truth, value) for value in values)
        if values := chain(truth, is_label):
            return all(self.same(value, answer) for value in values)
        return self._same_real_sets(real_sets(truth), real_sets(answer)) or self._same_collections(truth, answer)

    def _same_assignments(self, ours: Mapping[Node, Node], theirs: Mapping[Node, Node]) -> bool:
        if ours.keys() == theirs.keys():
            return all(self.same(value, theirs[name]) for name, value in ours.items())
        return are_numbered(ours) and are_numbered(theirs) and self._same_members([*ours.values()], [*theirs.values()])

    def _same_coordinates(self, values: Mapping[Node, Node], in_order: Sequence[Node], other: Node) -> bool:
        """A system against values without names; `in_order` has the values as the other side would give them."""
        mine, others = Node("brackets", tuple(in_order), "()"), other
        if other.head in _COLLECTIONS and are_numbered(values):
            mine, others = Node("list", mine.args), Node("list", other.args)
        elif other.head == "list":
            others = Node("brackets", other.args, "()")
        return others.head == mine.head and (
            self._same_members(mine.args, others.args)
            if mine.head == "list"
            else self._all_same(mine.args, others.args)
        )

    def _same_relation(self, truth: Node, answer: Node) -> bool:
        if len(truth.args) == len(answer.args) and self._same_value(truth, answer):
            return True
        ours, theirs = chain(truth), chain(answer)
        if ours and theirs and truth.args[0] == answer.args[0]:
            return all(self.same(ours[0], value) for value in theirs)
        return self._same_real_sets(real_sets(truth), real_sets(answer)) and truth.text != answer.text

    def _same_real_sets(self, truths: Sequence[RealSet], answers: Sequence[RealSet]) -> bool:
        return any(
            self._same_members(truth.intervals, answer.intervals) and self._same_members(truth.holes, answer.holes)
            for truth, answer in product(truths, answers)
        )

    def _same_collections(self, truth: Node, answer: Node) -> bool:
        if {truth.head, answer.head} & (_STRUCTURES | {"relation"}):
            return False
        if truth.text != answer.text and not all(map(_is_value, _members(truth))):
            return False
        return self._same_members(_members(truth), _members(answer))

    def _same_structure(self, truth: Node, answer: Node) -> bool:
        if {truth.head, answer.head} & {"union", "difference"}:
            if self._same_real_sets(real_sets(truth), real_sets(answer)):
                return True
            return truth.head == answer.head == "union" and self._same_members(truth.args, answer.args)
        if truth.head == answer.head == "brackets":
            return truth.text == answer.text and self._all_same(truth.args, answer.args)
        rows, others = _rows(truth), _rows(answer)
        return len(rows) == len(others) > 0 and all(map(self._all_same, rows, others))


def _plain(tree: Node) -> Node:
    r"""A tree with `\pm` as the list of its two readings, bounds turned upwards, and factors taken into a matrix."""
    if _has_sign(tree):
        tree = _expanded(tree)
    match tree:
        case Node("relation", (name, values), "in") if is_name(name) and values.head in _STRUCTURES | {"set"}:
            return values
        case Node("relation"):
            return ascending(tree)
        case Node("negate", (Node("matrix") as matrix,)):
            return _times(Node("negate", (Node("number", text="1"),)), matrix)
        case Node("multiply", args) if [arg.head for arg in args].count("matrix") == 1 and args[-1].head == "matrix":
            return _times(Node("multiply", args[:-1]), args[-1])
        case _:
            return tree


def _times(factor: Node, matrix: Node) -> Node:
    rows = [Node("row", tuple(Node("multiply", (factor, entry)) for entry in row.args)) for row in matrix.args]
    return matrix._replace(args=tuple(rows))


def _rows(tree: Node) -> list[tuple[Node, ...]]:
    """The rows of a matrix; a tuple is a vector, and so a column."""
    if tree.head == "matrix":
        return [row.args for row in tree.args]
    return [(value,) for value in tree.args] if tree.head == "brackets" and tree.text == "()" else []


def _members(tree: Node) -> tuple[Node, ...]:
    return tree.args if tree.head in _COLLECTIONS else (tree,)


def _is_value(tree: Node) -> bool:
    """Whether "and" and "or" say the same of a solution; of a bound they do not, nor of names or words."""
    return bool(chain(tree)) if tree.head == "relation" else tree.head not in ("symbol", "words")


def _without_percent(tree: Node) -> tuple[Node, ...]:
    if tree.head != "percent":
        return (tree,)
    return tree.args[0], Node("multiply", (tree.args[0], _HUNDREDTH))


def _reciprocal(value: int) -> Node:
    return Node("reciprocal", (Node("number", text=str(value)),))


def _terms(tree: Node) -> tuple[Node, ...]:
    match tree:
        case Node("ratio", terms):
            return terms
        case Node("multiply", (top, Node("reciprocal", (bottom,)))):
            return top, bottom
        case _:
            return ()


def _may_be_time(terms: Sequence[Node]) -> bool:
    return all(term.head == "number" and term.text.isdecimal() for term in terms) and all(
        len(term.text) == _TWO_DIGITS for term in terms[1:]
    )


def _expanded(tree: Node) -> Node:
    r"""The values of a tree with signs: `\mp` is the other one than `\pm`, several `\pm` are any of both."""
    if tree.head in _COLLECTIONS:
        expanded = [
            item for member in tree.args for item in _members(_expanded(member) if _has_sign(member) else member)
        ]
        return Node("list", tuple(expanded), ",")
    signs = list(_signs(tree))
    if "-" in signs or len(signs) > _MAX_SIGNS:
        choices = [("+",) * len(signs), ("-",) * len(signs)]
    else:
        choices = list(product("+-", repeat=len(signs)))
    return Node("list", tuple(_with_signs(tree, iter(choice)) for choice in choices), ",")


def _has_sign(tree: Node) -> bool:
    return tree.head == "sign" or any(map(_has_sign, tree.args))


def _signs(tree: Node) -> Iterator[str]:
    if tree.head == "sign":
        yield tree.text
    for arg in tree.args:
        yield from _signs(arg)


def _with_signs(tree: Node, chosen: Iterator[str]) -> Node:
    """A tree with its signs in the order of `_signs`, each as chosen or, if it is the other one, the other way."""
    up = tree.head != "sign" or next(chosen) == tree.text
    args = tuple([_with_signs(arg, chosen) for arg in tree.args])
    if tree.head != "sign":
        return tree._replace(args=args)
    return args[0] if up else Node("negate", args)

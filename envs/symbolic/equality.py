r"""When two answers are the same: their structure, down to values that somebody else compares.

Lists and sets are the same in any order; tuples and intervals only in theirs. `x = 5` answers `5`, and `x > 3`
answers `(3, \infty)`, where one side says it with a variable and the other without; names of coordinates are in
alphabetical order. A unit is no part of an answer where only one side has it; where both have one, they must
convert. `50\%` is 50 where the other side says 50, and a half where it says 0.5. Words behind a value are part of an
answer: the truth must have the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product

from mtgrpo_env.envs.symbolic.exact import exact_value, half_last_place
from mtgrpo_env.envs.symbolic.meaning import (
    are_numbered,
    assignments,
    chain,
    in_order,
    is_label,
    solved,
)
from mtgrpo_env.envs.symbolic.plain import plain
from mtgrpo_env.envs.symbolic.real_sets import RealSet, real_sets
from mtgrpo_env.envs.symbolic.terms import DEGREE
from mtgrpo_env.envs.symbolic.tree import COLLECTIONS, STRUCTURES, Node, members, nodes
from mtgrpo_env.envs.symbolic.units import units
from mtgrpo_env.envs.symbolic.vectors import rows_of_both

SameValue = Callable[[Node, Node], bool]

_SOLUTIONS = COLLECTIONS | {"relation"}
_SAID = _SOLUTIONS | {"words", "percent", "quantity", "ratio"}  # of more than values in brackets
_X, _Y = Node("symbol", text="x"), Node("symbol", text="y")
_HUNDREDTH = Node("reciprocal", (Node("number", text="100"),))
_COUNTED = re.compile(r"(?!less|loss|plus|minus|halves|others)[a-z]{3,}s")  # a noun that no table has
_TWO_DIGITS = 2  # as minutes have


class Undecided(Exception):
    """The answers can be told apart, or not, only by more than rational arithmetic."""


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


def same_rounded(truth: Node, answer: Node, digits: int) -> bool:
    """Whether an answer is a rational truth, or rounds it to so many significant digits at least.

    Raises:
        Undecided, NoValue: as in `same_rational`.
    """
    if same_rational(truth, answer):
        return True
    half, values = half_last_place(answer, digits), (exact_value(truth), exact_value(answer))
    return half is not None and None not in values and abs(values[0] - values[1]) <= half


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
        truth, answer = plain(truth), plain(answer)
        heads = {truth.head, answer.head}
        if truth == answer:
            return True
        if not heads & _SAID:
            return (self._same_structure if heads & STRUCTURES else self._same_value)(truth, answer)
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
        """Words that the truth does not have make an answer wrong; what a truth counts may be left out."""
        if truth.head != "words" or not truth.args:
            return False
        if answer.head != "words":
            return _COUNTED.fullmatch(truth.text) is not None and self.same(truth.args[0], answer)
        return answer.text == truth.text and len(answer.args) == 1 and self.same(truth.args[0], answer.args[0])

    def _same_percent(self, truth: Node, answer: Node) -> bool:
        if truth.head == answer.head:
            return self.same(truth.args[0], answer.args[0])
        if "quantity" in (truth.head, answer.head):
            return False
        return any(self.same(left, right) for left, right in product(_without_percent(truth), _without_percent(answer)))

    def _same_quantity(self, truth: Node, answer: Node) -> bool:
        if truth.head != answer.head:
            left, right = (_bare_value(tree, beside=other) for tree, other in ((truth, answer), (answer, truth)))
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
        """Ratios are the same in any terms, unless they may be times of day; two terms are a fraction."""
        left, right = _terms(truth), _terms(answer)
        if len(left) != len(right) or self._all_same(left, right):
            return len(left) == len(right) > 0
        if (_may_be_time(left) and (_may_be_time(right) or _is_unreduced(left))) or 0 in map(
            exact_value, (*left, *right)
        ):
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
        if values := solved(truth):
            return all(self.same(value, answer) for value in values)
        return self._same_real_sets(real_sets(truth), real_sets(answer)) or self._same_collections(truth, answer)

    def _same_assignments(self, ours: Mapping[Node, Node], theirs: Mapping[Node, Node]) -> bool:
        if ours.keys() == theirs.keys():
            return all(self.same(value, theirs[name]) for name, value in ours.items())
        return are_numbered(ours) and are_numbered(theirs) and self._same_members([*ours.values()], [*theirs.values()])

    def _same_coordinates(self, values: Mapping[Node, Node], in_order: Sequence[Node], other: Node) -> bool:
        """A system against values without names; `in_order` has the values as the other side would give them."""
        mine, others = Node("brackets", tuple(in_order), "()"), other
        if other.head in COLLECTIONS and are_numbered(values):
            mine, others = Node("list", mine.args), Node("list", other.args)
        elif other.head == "list" and other.text != "or":
            others = Node("brackets", other.args, "()")
        if others.head == "matrix" and mine.head == "brackets":
            return self._same_structure(mine, others)
        return others.head == mine.head and (
            self._same_members(mine.args, others.args)
            if mine.head == "list"
            else self._all_same(mine.args, others.args)
        )

    def _same_relation(self, truth: Node, answer: Node) -> bool:
        if len(truth.args) == len(answer.args) and self._same_value(truth, answer):
            return True
        ours, theirs = chain(truth), chain(answer)
        if ours and theirs and _same_subject(truth.args[0], answer.args[0]):
            return all(self.same(ours[0], value) for value in theirs)
        return self._same_real_sets(real_sets(truth), real_sets(answer)) and truth.text != answer.text

    def _same_real_sets(self, truths: Sequence[RealSet], answers: Sequence[RealSet]) -> bool:
        return any(
            self._same_members(truth.intervals, answer.intervals) and self._same_members(truth.holes, answer.holes)
            for truth, answer in product(truths, answers)
        )

    def _same_collections(self, truth: Node, answer: Node) -> bool:
        if {truth.head, answer.head} & (STRUCTURES | {"relation"}):
            return False
        separators = {truth.text, answer.text}
        if any(map(_is_bound, members(truth))) and len(separators) > 1:
            return False
        if separators == {"and", "or"} and any(member.head in ("symbol", "words") for member in members(truth)):
            return False
        if len({member.text for member in members(truth) if member.head == "quantity"}) > 1:
            return self._all_same(members(truth), members(answer))  # 3 apples, 2 pears
        return self._same_members(members(truth), members(answer))

    def _same_structure(self, truth: Node, answer: Node) -> bool:
        if {truth.head, answer.head} & {"union", "difference"}:
            if self._same_real_sets(real_sets(truth), real_sets(answer)):
                return True
            return truth.head == answer.head == "union" and self._same_members(truth.args, answer.args)
        if truth.head == answer.head == "brackets":
            return truth.text == answer.text and self._all_same(truth.args, answer.args)
        rows, others = rows_of_both(truth, answer)
        return len(rows) == len(others) > 0 and all(map(self._all_same, rows, others))


def _same_subject(left: Node, right: Node) -> bool:
    """Whether two names are of one value: `y` is the name of any function of x."""
    y, function = (left, right) if left == _Y else (right, left)
    return left == right or (
        y == _Y and function.head == "multiply" and function.args[1:] == (_X,) and is_label(function)
    )


def _is_bound(tree: Node) -> bool:
    """Whether "and" says something else of it than "or" does; of the solutions of an equation both say the same."""
    return tree.head == "relation" and not chain(tree)


def _bare_value(tree: Node, *, beside: Node) -> Node:
    r"""A value without its unit; in radians beside one that speaks of pi."""
    if tree.head != "quantity":
        return tree
    return Node("multiply", (tree.args[0], DEGREE)) if tree.text == "°" and _holds_pi(beside) else tree.args[0]


def _holds_pi(tree: Node) -> bool:
    return Node("constant", text="pi") in nodes(tree)


def _without_percent(tree: Node) -> tuple[Node, ...]:
    if tree.head != "percent":
        return (tree,)
    return tree.args[0], Node("multiply", (tree.args[0], _HUNDREDTH))


def _reciprocal(value: int) -> Node:
    return Node("reciprocal", (Node("number", text=str(value)),))


def _terms(tree: Node) -> tuple[Node, ...]:
    match tree:
        case Node("ratio", terms) if len({term.text for term in terms if term.head == "quantity"}) > 1:
            return ()
        case Node("ratio", terms):
            return terms
        case Node("multiply", (top, Node("reciprocal", (bottom,)))):
            return top, bottom
        case _:
            return ()


def _is_unreduced(terms: Sequence[Node]) -> bool:
    """Whether a ratio of whole numbers is not in lowest terms, as ratios are given."""
    return math.gcd(*(int(term.text) for term in terms)) > 1


def _may_be_time(terms: Sequence[Node]) -> bool:
    return all(term.head == "number" and term.text.isdecimal() for term in terms) and all(
        len(term.text) == _TWO_DIGITS for term in terms[1:]
    )

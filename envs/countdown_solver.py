"""Solving Countdown exactly: backwards from the target, by tables of what a few numbers can make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from math import gcd

from mtgrpo_env.text_env import NoKnownSolution

_Rational = tuple[int, int]  # numerator and denominator, reduced, the denominator positive
_Expression = tuple[str, int]  # text, and how tightly its outermost operator binds
_Numbers = tuple[int, ...]  # sorted

_SUM, _PRODUCT, _ATOM = 0, 1, 2
_TABLE_SIZE = 3  # what up to so many numbers can make is tabulated; above, the target is split
_MAX_NUMBERS = 12  # above, already the ways to part them in two are too many
_MAX_GOALS = 4_000_000  # tried for one puzzle; to say of six numbers that there is no solution takes 270,000


def solve(numbers: Sequence[int], target: int) -> str | None:
    """An expression that uses every number once and comes to `target`; None if there is none.

    The answer depends on the numbers as a multiset only. For up to three numbers it is a shortest one,
    small numbers first; for more, the first found. Time grows about tenfold per number: six take a few
    milliseconds, and a tenth of a second to say that there is none.

    Raises:
        NoKnownSolution: if there are more than 12 numbers, or no solution is among the first four million attempts.

    >>> solve([7, 3, 5], 22), solve([1, 1], 5)
    ('3*5+7', None)
    """
    if len(numbers) > _MAX_NUMBERS:
        raise NoKnownSolution(f"a solution is searched for of at most {_MAX_NUMBERS} numbers, got {len(numbers)}")
    found = _Search().find(tuple(sorted(numbers)), (target, 1))
    return found and found[0]


class _Search:
    """One search, with what it has found to be out of reach."""

    def __init__(self) -> None:
        self._failed: set[tuple[_Numbers, _Rational]] = set()
        self._goals_left = _MAX_GOALS

    def find(self, numbers: _Numbers, goal: _Rational) -> _Expression | None:
        if len(numbers) <= _TABLE_SIZE:
            return _reachable(numbers).get(goal)
        if (numbers, goal) in self._failed:
            return None
        for part, rest in _splits(numbers):
            for value, expression in _reachable(part).items():
                for needed, operator, is_swapped in _backwards(goal, value, rest):
                    self._goals_left -= 1
                    if self._goals_left < 0:
                        raise NoKnownSolution(f"no solution is among the first {_MAX_GOALS:,} attempts")
                    other = self.find(rest, needed)
                    if other is not None:
                        return _join(operator, other, expression) if is_swapped else _join(operator, expression, other)
        self._failed.add((numbers, goal))
        return None


def _backwards(goal: _Rational, value: _Rational, rest: _Numbers) -> Iterator[tuple[_Rational, str, bool]]:
    """What the rest must make for `value <operator> rest` (or, swapped, `rest <operator> value`) to be the goal."""
    (goal_n, goal_d), (n, d) = goal, value
    denominator = goal_d * d
    yield _reduced(goal_n * d - n * goal_d, denominator), "+", False
    yield _reduced(n * goal_d - goal_n * d, denominator), "-", False
    yield _reduced(goal_n * d + n * goal_d, denominator), "-", True
    if n:
        yield _reduced(goal_n * d, goal_d * n), "*", False
        yield _reduced(goal_n * n, denominator), "/", True
        if goal_n:
            yield _reduced(n * goal_d, d * goal_n), "/", False
    elif not goal_n:
        yield (sum(rest), 1), "*", False  # zero times anything: their sum will do


@lru_cache(maxsize=4096)
def _splits(numbers: _Numbers) -> tuple[tuple[_Numbers, _Numbers], ...]:
    """Every way to part the numbers in two, the first part no larger than the second; the smallest parts first."""
    indices = range(len(numbers))
    found: dict[tuple[_Numbers, _Numbers], None] = {}  # a set that keeps its order
    for size in range(1, len(numbers) // 2 + 1):
        for chosen in combinations(indices, size):
            part = tuple(numbers[i] for i in chosen)
            found[part, tuple(numbers[i] for i in indices if i not in chosen)] = None
    return tuple(found)


@lru_cache(maxsize=4096)
def _reachable(numbers: _Numbers) -> Mapping[_Rational, _Expression]:
    """Every value the numbers can make, with its shortest expression."""
    if len(numbers) == 1:
        return {(numbers[0], 1): (str(numbers[0]), _ATOM)}
    best: dict[_Rational, _Expression] = {}
    for part, rest in _splits(numbers):
        for left, right in ((part, rest), (rest, part)):
            for left_value, left_expression in _reachable(left).items():
                for right_value, right_expression in _reachable(right).items():
                    for operator, value in _results(left_value, right_value):
                        expression = _join(operator, left_expression, right_expression)
                        if value not in best or _length_then_text(expression) < _length_then_text(best[value]):
                            best[value] = expression
    return best


def _length_then_text(expression: _Expression) -> tuple[int, str]:
    return len(expression[0]), expression[0]


def _results(left: _Rational, right: _Rational) -> Iterator[tuple[str, _Rational]]:
    (n, d), (m, e) = left, right
    yield "+", _reduced(n * e + m * d, d * e)
    yield "-", _reduced(n * e - m * d, d * e)
    yield "*", _reduced(n * m, d * e)
    if m:
        yield "/", _reduced(n * e, d * m)


def _reduced(numerator: int, denominator: int) -> _Rational:
    divisor = gcd(numerator, denominator)
    if denominator < 0:
        divisor = -divisor
    return numerator // divisor, denominator // divisor


def _join(operator: str, left: _Expression, right: _Expression) -> _Expression:
    """`left operator right` with no more parentheses than its meaning needs."""
    (left_text, left_rank), (right_text, right_rank) = left, right
    rank = _SUM if operator in "+-" else _PRODUCT
    if left_rank < rank:
        left_text = f"({left_text})"
    if right_rank < rank or (right_rank == rank and operator in "-/"):
        right_text = f"({right_text})"
    return f"{left_text}{operator}{right_text}", rank

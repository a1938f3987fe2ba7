"""The Countdown solver: as short as can be on three numbers, complete on any, and quick to give up."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import combinations, combinations_with_replacement, permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.arithmetic import ExpressionError, evaluate
from mtgrpo_env.envs.countdown_solver import solve
from mtgrpo_env.text_env import NoKnownSolution


def test_short_answers_of_the_solver_are_shortest() -> None:
    for numbers in [*combinations_with_replacement(range(1, 10), 3)][::4]:
        shortest = _shortest_lengths(numbers)
        for target in range(-5, 100):
            answer = solve(numbers, target)
            assert (len(answer) if answer else None) == shortest.get(Fraction(target)), (numbers, target)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(-20, 150))
def test_the_solver_finds_an_expression_exactly_when_pairing_numbers_up_reaches_the_target(
    numbers: list[int], target: int
) -> None:
    answer = solve(numbers, target)
    assert (answer is not None) == _pairing_reaches(tuple(map(Fraction, numbers)), Fraction(target))
    if answer is not None:
        value, used = evaluate(answer)
        assert value == target
        assert sorted(used) == sorted(numbers)


def test_the_solver_says_none_when_six_numbers_cannot_make_it_and_says_so_soon() -> None:
    start = time.process_time()
    assert solve([1, 1, 1, 1, 1, 1], 999) is None
    assert solve([3, 7, 11, 13, 17, 19], 987_654_321) is None
    assert solve([], 1) is None
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize("count", [12, 13, 100])
def test_a_search_that_would_take_too_long_is_given_up(count: int) -> None:
    with pytest.raises(NoKnownSolution, match=r"at most 12 numbers, got|among the first 4,000,000 attempts"):
        solve([3 * n for n in range(1, count + 1)], 10**15 + 1)


def _shortest_lengths(numbers: tuple[int, ...]) -> dict[Fraction, int]:
    """Length of the shortest text for each value of three numbers, from all the ways to write them down."""
    shortest: dict[Fraction, int] = {}
    shapes = ("{}{}{}{}{}", "({}{}{}){}{}", "{}{}({}{}{})")
    for (a, b, c), (p, q), shape in product(permutations(numbers), product("+-*/", repeat=2), shapes):
        text = shape.format(a, p, b, q, c)
        try:
            value = evaluate(text).value
        except ExpressionError:
            continue
        shortest[value] = min(len(text), shortest.get(value, len(text)))
    return shortest


def _pairing_reaches(values: tuple[Fraction, ...], target: Fraction) -> bool:
    """Whether replacing two values by one, again and again, can end at the target."""
    if len(values) == 1:
        return values[0] == target
    for i, j in combinations(range(len(values)), 2):
        a, b = values[i], values[j]
        rest = tuple(value for k, value in enumerate(values) if k not in (i, j))
        results = {a + b, a - b, b - a, a * b} | ({a / b} if b else set()) | ({b / a} if a else set())
        if any(_pairing_reaches((*rest, result), target) for result in results):
            return True
    return False

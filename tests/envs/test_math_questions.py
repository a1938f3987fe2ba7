"""Generated questions: the answers are what an algebra system finds, and no question repeats another too often."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import product as pairs_of
from math import comb
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.math_formulas import derivative, integral, polynomial, product, value
from mtgrpo_env.envs.math_questions import LEVELS, TOPICS, Template
from mtgrpo_env.envs.symbolic.grading import grade

sympy = pytest.importorskip("sympy")

X, Y = sympy.symbols("x y")
TEMPLATES = {template.__name__: template for templates in TOPICS.values() for template in templates}


def _read(text: str) -> Any:
    """A formula of a question, read by sympy; the text is our own."""
    text = re.sub(r"(\d|\))(?=[a-z(])", r"\1*", text.replace("^", "**")).replace(")(", ")*(")
    return sympy.sympify(text.replace("e**", "E**"), rational=True)


def _numbers(question: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", question)]


def _after(question: str, start: str, end: str) -> Any:
    return _read(question.split(start, 1)[1].split(end, 1)[0])


def _solution_set(question: str) -> Any:
    relation = question.removeprefix("Solve ").split(" and give")[0]
    return sympy.solveset(_read(relation), X, sympy.Reals)


def _roots_together(question: str) -> Any:
    roots = sympy.roots(_after(question, "solutions of ", " = 0"), X, multiple=True)
    total = {
        "sum": sum(roots),
        "product": roots[0] * roots[1],
        "sum of the squares": sum(root**2 for root in roots),
        "sum of the reciprocals": sum(1 / root for root in roots),
    }
    return sympy.simplify(total[question.split("What is the ")[1].split(" of the two")[0]])


def _system(question: str) -> Any:
    sides = [text.split(" = ") for text in question.split("both ")[1].rstrip(".").split(" and ")]
    solution = sympy.solve([_read(left) - _read(right) for left, right in sides], (X, Y))
    return f"({solution[X]}, {solution[Y]})"


def _balls(question: str) -> Any:
    red, green, blue = _numbers(question)
    bag = "r" * red + "g" * green + "b" * blue
    draws = [{bag[i], bag[j]} for i in range(len(bag)) for j in range(i)]
    wanted: Callable[[set[str]], bool] = lambda pair: len(pair) == 2  # noqa: E731
    if "both are red" in question:
        wanted = lambda pair: pair == {"r"}  # noqa: E731
    elif "the other is blue" in question:
        wanted = lambda pair: pair == {"r", "b"}  # noqa: E731
    return Fraction(sum(map(wanted, draws)), len(draws))


def _spinners(question: str) -> Any:
    _, first, _, second, at_least = _numbers(question)
    sums = [a + b for a, b in pairs_of(range(1, first + 1), range(1, second + 1))]
    return Fraction(sum(total >= at_least for total in sums), len(sums))


def _committees(question: str) -> Any:
    women, men, chosen_women, chosen_men, rooms = _numbers(question.replace("one of", ""))
    return comb(women, chosen_women) * comb(men, chosen_men) * rooms


def _price(question: str) -> Any:
    price, up, down = _numbers(question)
    return Fraction(price) * (1 + Fraction(up, 100)) * (1 - Fraction(down, 100))


def _slope(question: str) -> Any:
    at = int(question.split("at x = ")[1].rstrip("?"))
    return sympy.diff(_after(question, "y = ", " at x"), X).subs(X, at)


def _integral(question: str) -> Any:
    low, high = re.findall(r"from (-?\d+) to (-?\d+)", question)[0]
    return sympy.integrate(_after(question, "integral of ", " over"), (X, int(low), int(high)))


def _limit(question: str) -> Any:
    return sympy.limit(_after(question, "What does ", " tend"), X, int(question.split("tends to ")[1].rstrip("?")))


def _derivative(question: str) -> Any:
    return str(sympy.diff(_after(question, "Differentiate ", " with"), X)).replace("exp(", "e^(")


def _equation(question: str) -> Any:
    left, right = re.split(" ?= ?", re.split(r"^M|Solve |:$| for x", question)[1])
    (solution,) = sympy.solve(_read(left) - _read(right), X)
    return solution


SOLVERS: dict[str, Callable[[str], Any]] = {
    "order_of_operations": lambda question: _after(question, "Calculate ", "."),
    "sum_of_fractions": lambda question: _after(question, "Calculate ", " and"),
    "quotient_of_fractions": lambda question: (
        _after(question, "Divide ", " by") / _after(question, "by ", ",") + _after(question, "add ", ".")
    ),
    "percentage": lambda question: sympy.Rational(*_numbers(question)[:1], 100) * _numbers(question)[1],
    "price_changes": _price,
    "common_divisor": lambda question: sympy.igcd(*_numbers(question)),
    "common_multiple": lambda question: sympy.ilcm(*_numbers(question)),
    "divisor_count": lambda question: sympy.divisor_count(_numbers(question)[0]),
    "remainder_of_power": lambda question: pow(*_numbers(question)),
    "remainder_of_product": lambda question: _numbers(question)[2] * _numbers(question)[3] % _numbers(question)[4],
    "digit_sum": lambda question: sum(map(int, str(_numbers(question)[0] * _numbers(question)[1]))),
    "committees": _committees,
    "balls": _balls,
    "spinners": _spinners,
    "linear_equation": _equation,
    "linear_system": _system,
    "quadratic_roots": lambda question: ", ".join(map(str, sympy.solve(_after(question, "solutions of ", " = 0"), X))),
    "roots_together": _roots_together,
    "coefficient_of_product": lambda question: sympy.expand(_after(question, "expansion of ", "?")).coeff(
        X, int(re.findall(r"of x\^(\d+) in", question)[0])
    ),
    "remainder_of_division": lambda question: sympy.rem(
        _after(question, "when ", " is"), _after(question, "divided by ", "?"), X
    ),
    "linear_inequality": _solution_set,
    "quadratic_inequality": _solution_set,
    "polynomial_derivative": _derivative,
    "derivative_at_a_point": _slope,
    "derivative_of_product": _derivative,
    "definite_integral": _integral,
    "limit_of_quotient": _limit,
    "mini_equation": _equation,
    "mini_two_sides": _equation,
    "mini_sum": lambda question: _read(question[1:-1]),
    "mini_brackets": lambda question: _read(question[1:-1]),
}


def _interval(answer: str) -> Any:
    """An answer in interval notation as a set."""
    parts = re.findall(r"([\[(])([^,]*), ([^\])]*)([\])])", answer.replace("\\infty", "oo"))
    return sympy.Union(
        *(sympy.Interval(sympy.sympify(a), sympy.sympify(b), left == "(", right == ")") for left, a, b, right in parts)
    )


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_algebra_system_finds_the_same_answers(name: str) -> None:
    dice = Dice(np.random.default_rng(0))
    for size in (1, 2, 3, 4):
        for _ in range(2 if size == 4 else 1):
            question, answer = TEMPLATES[name](dice, size)
            found = SOLVERS[name](question)
            if isinstance(found, sympy.Set):
                assert found == _interval(answer), question
            else:
                assert grade(answer, str(found)), (question, answer, found)


@pytest.mark.parametrize("level", [name for name in LEVELS if name != "mini"])
def test_questions_hardly_repeat(level: str) -> None:
    """Of 4000 questions of seed 0 at least 3750 are distinct: a space of 30 000 equally likely ones, or more."""
    dice = Dice(np.random.default_rng(0))
    assert len({LEVELS[level].draw(dice).question for _ in range(4000)}) >= 3750


def test_mini_has_a_hundred_thousand_short_questions_whose_answers_are_spread() -> None:
    """On 20 000 questions of seed 0: 18 000 distinct, and no answer takes 2 %."""
    dice = Dice(np.random.default_rng(0))
    puzzles = [LEVELS["mini"].draw(dice) for _ in range(20_000)]
    assert len({puzzle.question for puzzle in puzzles}) > 18_000
    for puzzle in puzzles:
        assert re.fullmatch(r"M[0-9x+\-*=()]{3,22}:", puzzle.question), puzzle.question
    answers = np.array([int(puzzle.answer) for puzzle in puzzles])
    assert (answers >= 0).all()
    assert (answers < 100).all()
    assert np.bincount(answers).max() < 0.02 * len(answers)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda template: template.__name__)
def test_a_template_draws_many_questions(template: Template) -> None:
    dice = Dice(np.random.default_rng(0))
    assert len({template(dice, 2)[0] for _ in range(200)}) > 150


@pytest.mark.parametrize(
    ("coefficients", "text"),
    [((), "0"), ((0, 0), "0"), ((5,), "5"), ((0, -1), "-x"), ((1, 0, -1), "-x^2 + 1"), ((-2, 1, 3), "3x^2 + x - 2")],
)
def test_polynomials_are_written_as_at_school(coefficients: tuple[int, ...], text: str) -> None:
    assert polynomial(coefficients) == text


def test_polynomials_compute_as_they_should() -> None:
    p, q = (1, 2, 3), (-4, 5)
    for x in (-2, 0, 3):
        assert value(product(p, q), x) == value(p, x) * value(q, x)
        assert value(derivative(p), x) == 2 + 6 * x
    assert integral(derivative(p), -1, 4) == value(p, 4) - value(p, -1)

# ruff: noqa: D103 - a template's name says what it asks
"""Generated questions in mathematics: topics, levels, and the compact notation of `mini`.

Answers are computed while the question is drawn, by whole numbers and fractions: no algebra system is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mtgrpo_env.envs import math_algebra_topics as algebra
from mtgrpo_env.envs import math_number_topics as numbers
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.math_formulas import polynomial, signed
from mtgrpo_env.envs.math_number_topics import Template

_MINI_VALUES = 100  # answers are 0..99


@dataclass(frozen=True, slots=True)
class MathPuzzle:
    """A question and its answer.

    Attributes:
        question: text.
        answer: the truth.
        topic: what it is about; "" for a question from elsewhere.
        digits: to how many significant digits the answer may be rounded, at least; None: not at all.
    """

    question: str
    answer: str
    topic: str = ""
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class MathLevel:
    """The templates of a level, drawn evenly, and how large they draw: 1 (small numbers) to 4."""

    templates: tuple[tuple[str, Template], ...]
    size: int = 1
    compact: bool = False

    def draw(self, dice: Dice) -> MathPuzzle:
        topic, template = dice.pick(self.templates)
        question, answer = template(dice, self.size)
        return MathPuzzle(question, answer, topic)


def mini_equation(dice: Dice, size: int) -> tuple[str, str]:
    a, x, b = dice.between(2, 9), dice.below(_MINI_VALUES), dice.between(1, 99)
    return f"M{polynomial((b, a))}={a * x + b}:".replace(" ", ""), str(x)


def mini_two_sides(dice: Dice, size: int) -> tuple[str, str]:
    a, x, b = dice.between(3, 9), dice.below(_MINI_VALUES), dice.between(1, 50)
    c = dice.between(2, a - 1)
    return f"M{polynomial((b, a))}={polynomial(((a - c) * x + b, c))}:".replace(" ", ""), str(x)


def mini_sum(dice: Dice, size: int) -> tuple[str, str]:
    result, a, b = dice.below(_MINI_VALUES), dice.between(2, 19), dice.between(2, 9)
    return f"M{a}*{b}{signed(result - a * b)}:".replace(" ", ""), str(result)


def mini_brackets(dice: Dice, size: int) -> tuple[str, str]:
    result, a, b, c = dice.below(_MINI_VALUES), dice.between(2, 30), dice.between(2, 30), dice.between(2, 9)
    return f"M({a}+{b})*{c}{signed(result - (a + b) * c)}:".replace(" ", ""), str(result)


TOPICS: Mapping[str, tuple[Template, ...]] = {
    "arithmetic": (numbers.order_of_operations,),
    "fractions": (numbers.sum_of_fractions, numbers.quotient_of_fractions),
    "percentages": (numbers.percentage, numbers.price_changes),
    "linear equations": (algebra.linear_equation,),
    "linear systems": (algebra.linear_system,),
    "quadratics": (algebra.quadratic_roots, algebra.roots_together),
    "polynomials": (algebra.coefficient_of_product, algebra.remainder_of_division),
    "inequalities": (algebra.linear_inequality, algebra.quadratic_inequality),
    "divisibility": (numbers.common_divisor, numbers.common_multiple, numbers.divisor_count),
    "remainders": (numbers.remainder_of_power, numbers.remainder_of_product),
    "digits": (numbers.digit_sum,),
    "counting": (numbers.committees,),
    "probability": (numbers.balls, numbers.spinners),
    "derivatives": (algebra.polynomial_derivative, algebra.derivative_at_a_point, algebra.derivative_of_product),
    "integrals": (algebra.definite_integral,),
    "limits": (algebra.limit_of_quotient,),
    "mini": (mini_equation, mini_two_sides, mini_sum, mini_brackets),
}
"""Templates by topic."""


def _level(size: int, *topics: str) -> MathLevel:
    return MathLevel(tuple((topic, template) for topic in topics for template in TOPICS[topic]), size)


_EASY = ("arithmetic", "fractions", "percentages", "linear equations", "divisibility", "digits")
_MEDIUM = ("linear systems", "quadratics", "inequalities", "remainders", "counting", "probability")

LEVELS: Mapping[str, MathLevel] = {
    "mini": MathLevel(_level(1, "mini").templates, compact=True),
    "easy": _level(1, *_EASY),
    "medium": _level(2, *_EASY, *_MEDIUM),
    "hard": _level(3, *_MEDIUM, "polynomials", "derivatives", "integrals", "limits"),
    "very_hard": _level(4, "quadratics", "polynomials", "probability", "derivatives", "integrals", "limits"),
}

# ruff: noqa: D103 - a template's name says what it asks
"""Questions on algebra and calculus: equations, inequalities, polynomials, derivatives, integrals, limits.

No question can be answered by repeating it: where the grader would take any equal formula, a number is asked for.
"""

from __future__ import annotations

from fractions import Fraction

from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.math_formulas import (
    Polynomial,
    derivative,
    draw_nonzero,
    draw_polynomial,
    integral,
    polynomial,
    product,
    value,
)


def linear_equation(dice: Dice, size: int) -> tuple[str, str]:
    a, c = draw_nonzero(dice, 5 + 4 * size), draw_nonzero(dice, 5 + 4 * size)
    if a == c:
        c = -a
    x = Fraction(draw_nonzero(dice, 10 * size), dice.between(1, size))
    if size == 1:
        b = draw_nonzero(dice, 20)
        return _solve((b, a), (b + a * x - c * x, c)), str(x)
    b, d = draw_nonzero(dice, 20 * size), draw_nonzero(dice, 20 * size)
    return _solve((b, a), (d, c)), str(Fraction(d - b, a - c))


def _solve(left: tuple[int | Fraction, int], right: tuple[int | Fraction, int]) -> str:
    return f"Solve {polynomial(left)} = {polynomial(right)} for x."


def linear_system(dice: Dice, size: int) -> tuple[str, str]:
    x, y = draw_nonzero(dice, 6 + 3 * size), draw_nonzero(dice, 6 + 3 * size)
    a, b, c, d = (draw_nonzero(dice, 3 + 2 * size) for _ in range(4))
    if a * d == b * c:
        d += 1 if d > 0 else -1  # b and c are not 0, nor is a: the determinant is now a or -a
    first, second = (f"{polynomial((0, p))}{signed_term(q)} = {p * x + q * y}" for p, q in ((a, b), (c, d)))
    return f"Find the pair (x, y) that solves both {first} and {second}.", f"({x}, {y})"


def signed_term(coefficient: int) -> str:
    """A multiple of y as the next term of a sum.

    >>> signed_term(1), signed_term(-3)
    (' + y', ' - 3y')
    """
    size = "" if abs(coefficient) == 1 else abs(coefficient)
    return f" {'-' if coefficient < 0 else '+'} {size}y"


def quadratic_roots(dice: Dice, size: int) -> tuple[str, str]:
    a = dice.between(1, size)
    first, second = draw_nonzero(dice, 9 + 6 * size), draw_nonzero(dice, 9 + 6 * size)
    equation = polynomial(product((-first * a, a), (-second, 1)))
    answer = f"{min(first, second)}, {max(first, second)}" if first != second else str(first)
    return f"Find all solutions of {equation} = 0 and separate them by commas.", answer


def roots_together(dice: Dice, size: int) -> tuple[str, str]:
    a, b, c = dice.between(1, 2 + 2 * size), draw_nonzero(dice, 12 + 6 * size), draw_nonzero(dice, 12 + 6 * size)
    total, together = Fraction(-b, a), Fraction(c, a)
    match dice.below(4):
        case 0:
            wanted, result = "sum", total
        case 1:
            wanted, result = "product", together
        case 2:
            wanted, result = "sum of the squares", total**2 - 2 * together
        case _:
            wanted, result = "sum of the reciprocals", total / together
    return f"What is the {wanted} of the two complex solutions of {polynomial((c, b, a))} = 0?", str(result)


def coefficient_of_product(dice: Dice, size: int) -> tuple[str, str]:
    left, right = (draw_polynomial(dice, 1 + dice.below(size + 1), 4 + 2 * size) for _ in range(2))
    result = product(left, right)
    power = dice.between(1, len(result) - 1)
    return (
        f"What is the coefficient of x^{power} in the expansion of ({polynomial(left)})({polynomial(right)})?",
        str(result[power]),
    )


def remainder_of_division(dice: Dice, size: int) -> tuple[str, str]:
    dividend, at = draw_polynomial(dice, 2 + size // 2, 5 + 3 * size), draw_nonzero(dice, 2 + size)
    divisor = polynomial((-at, 1))
    return f"What is the remainder when {polynomial(dividend)} is divided by {divisor}?", str(value(dividend, at))


def quadratic_inequality(dice: Dice, size: int) -> tuple[str, str]:
    low = dice.between(-9 - 6 * size, 8 + 6 * size)
    high = low + dice.between(1, 9 + 6 * size)
    a = draw_nonzero(dice, 1 + size)
    p = polynomial(product((-low * a, a), (-high, 1)))
    strict = bool(dice.below(2))
    inside = bool(dice.below(2))
    sign = ("<" if strict else "<=") if inside == (a > 0) else (">" if strict else ">=")
    left, right = ("(", ")") if strict else ("[", "]")
    answer = f"{left}{low}, {high}{right}"
    if not inside:
        answer = f"(-\\infty, {low}{right} \\cup {left}{high}, \\infty)"
    return f"Solve {p} {sign} 0 and give the solution set in interval notation.", answer


def linear_inequality(dice: Dice, size: int) -> tuple[str, str]:
    a, bound = draw_nonzero(dice, 8 + 4 * size), draw_nonzero(dice, 15 * size)
    b, strict, less = draw_nonzero(dice, 30 * size), bool(dice.below(2)), bool(dice.below(2))
    sign = ("<" if less else ">") + ("" if strict else "=")
    closing, opening = (")", "(") if strict else ("]", "[")
    below = less == (a > 0)
    answer = f"(-\\infty, {bound}{closing}" if below else f"{opening}{bound}, \\infty)"
    return f"Solve {polynomial((b, a))} {sign} {a * bound + b} and give the solution set as an interval.", answer


def polynomial_derivative(dice: Dice, size: int) -> tuple[str, str]:
    p = draw_polynomial(dice, 2 + dice.below(size + 1), 9 + 3 * size)
    return f"Differentiate {polynomial(p)} with respect to x.", polynomial(derivative(p))


def derivative_at_a_point(dice: Dice, size: int) -> tuple[str, str]:
    p, q = draw_polynomial(dice, 1 + size // 2, 3 + size), draw_polynomial(dice, 2, 3 + size)
    at = draw_nonzero(dice, 1 + size)
    slope = value(derivative(product(p, q)), at)
    return f"What is the slope of y = ({polynomial(p)})({polynomial(q)}) at x = {at}?", str(slope)


def derivative_of_product(dice: Dice, size: int) -> tuple[str, str]:
    p, k = draw_polynomial(dice, 1 + dice.below(size), 5 + 2 * size), dice.between(2, 5 + size)
    slope = derivative(p)
    match dice.below(3):
        case 0:
            f, answer = f"sin({k}x)", f"{_bracketed(slope)}sin({k}x) + {_bracketed(_scaled(p, k))}cos({k}x)"
        case 1:
            f, answer = f"cos({k}x)", f"{_bracketed(slope)}cos({k}x) + {_bracketed(_scaled(p, -k))}sin({k}x)"
        case _:
            total = tuple(a + b for a, b in zip((*slope, 0), _scaled(p, k), strict=False))
            f, answer = f"e^({k}x)", f"{_bracketed(total)}e^({k}x)"
    return f"Differentiate {_bracketed(p)}{f} with respect to x.", answer


def _scaled(p: Polynomial, factor: int) -> Polynomial:
    return tuple(factor * a for a in p)


def _bracketed(p: Polynomial) -> str:
    return f"({polynomial(p)})"


def definite_integral(dice: Dice, size: int) -> tuple[str, str]:
    p = draw_polynomial(dice, 1 + dice.below(size), 6 + 3 * size)
    low = dice.between(-size, size)
    high = low + dice.between(1, 1 + size)
    return (
        f"What is the definite integral of {polynomial(p)} over x from {low} to {high}? Give the exact value.",
        str(integral(p, low, high)),
    )


def limit_of_quotient(dice: Dice, size: int) -> tuple[str, str]:
    at, limit = draw_nonzero(dice, 2 + size), 4 + 2 * size
    p, q = draw_polynomial(dice, 1 + dice.below(size), limit), draw_polynomial(dice, 1, limit)
    if not value(q, at):
        q = (q[0] + 1, q[1])
    numerator, denominator = product(p, (-at, 1)), product(q, (-at, 1))
    return (
        f"What does ({polynomial(numerator)}) / ({polynomial(denominator)}) tend to as x tends to {at}?",
        str(Fraction(value(p, at), value(q, at))),
    )

"""Writing numbers and polynomials for questions, and computing with polynomials as tuples of coefficients.

`p[i]` is the coefficient of x^i; coefficients are ints or Fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mtgrpo_env.envs.dice import Dice

Polynomial = tuple[int, ...]


def polynomial(coefficients: Sequence[int | Fraction], variable: str = "x") -> str:
    """A polynomial as one would write it, the highest power first.

    >>> polynomial((-1, 1, 0, 2)), polynomial((0,))
    ('2x^3 + x - 1', '0')
    """
    text = ""
    for power in range(len(coefficients) - 1, -1, -1):
        coefficient = coefficients[power]
        if not coefficient:
            continue
        size, name = abs(coefficient), "" if not power else variable if power == 1 else f"{variable}^{power}"
        term = name if name and size == 1 else f"{size}{name}"
        if text:
            text += f" - {term}" if coefficient < 0 else f" + {term}"
        else:
            text = f"-{term}" if coefficient < 0 else term
    return text or "0"


def product(left: Sequence[int], right: Sequence[int]) -> Polynomial:
    """The product of two polynomials.

    >>> product((1, 1), (-1, 1))
    (-1, 0, 1)
    """
    total = [0] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            total[i + j] += a * b
    return tuple(total)


def derivative(p: Sequence[int]) -> Polynomial:
    """The derivative of a polynomial; of a constant the zero polynomial.

    >>> derivative((5, 3, 2)), derivative((7,))
    ((3, 4), (0,))
    """
    return tuple(i * a for i, a in enumerate(p))[1:] or (0,)


def integral(p: Sequence[int], low: int, high: int) -> Fraction:
    """The definite integral of a polynomial.

    >>> integral((0, 0, 1), 0, 1)
    Fraction(1, 3)
    """
    return sum((Fraction(a * (high ** (i + 1) - low ** (i + 1)), i + 1) for i, a in enumerate(p)), Fraction(0))


def value(p: Sequence[int], x: int) -> int:
    """The polynomial at x."""
    return sum(a * x**i for i, a in enumerate(p))


def draw_nonzero(dice: Dice, limit: int) -> int:
    """A uniform integer of -limit..limit other than 0."""
    number = dice.between(1, 2 * limit)
    return number if number <= limit else limit - number


def draw_polynomial(dice: Dice, degree: int, limit: int) -> Polynomial:
    """A polynomial of exactly this degree with coefficients of -limit..limit."""
    return (*(dice.between(-limit, limit) for _ in range(degree)), draw_nonzero(dice, limit))


def signed(number: int | Fraction) -> str:
    """A number as the next term of a sum.

    >>> "7" + signed(-2) + signed(3)
    '7 - 2 + 3'
    """
    return f" - {-number}" if number < 0 else f" + {number}"

# ruff: noqa: D103 - a template's name says what it asks
"""Questions on numbers: arithmetic, percentages, number theory, counting and probability.

A template draws one question and its answer; `size` of 1..4 makes the numbers larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.math_formulas import draw_nonzero, signed

Template = Callable[[Dice, int], tuple[str, str]]

_LARGE_PRIMES = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)
_LARGER_PRIMES = (53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103)


def order_of_operations(dice: Dice, size: int) -> tuple[str, str]:
    a, b, c, d, e = (dice.between(2, 9 + 10 * size) for _ in range(5))
    match dice.below(4):
        case 0:
            text, result = f"{a} + {b} * {c} - {d}", a + b * c - d
        case 1:
            text, result = f"{a} - ({b} - {c}) * {d}", a - (b - c) * d
        case 2:
            text, result = f"({a} + {b}) * ({c} - {d}) - {e}", (a + b) * (c - d) - e
        case _:
            text, result = f"{a * b} / {a} + {c} * ({d} - {e})", b + c * (d - e)
    return f"Calculate {text}.", str(result)


def sum_of_fractions(dice: Dice, size: int) -> tuple[str, str]:
    terms = [Fraction(draw_nonzero(dice, 9 + 5 * size), dice.between(2, 8 + 4 * size)) for _ in range(2 + size // 2)]
    text = f"{terms[0]}" + "".join(map(signed, terms[1:]))
    return f"Calculate {text} and give the result as a fraction.", str(sum(terms))


def quotient_of_fractions(dice: Dice, size: int) -> tuple[str, str]:
    a, b, c, d = (dice.between(2, 15 + 5 * size) for _ in range(4))
    k = dice.between(1, 9 * size)
    return f"Divide {a}/{b} by {c}/{d}, then add {k}. Give the result exactly.", str(Fraction(a * d, b * c) + k)


def percentage(dice: Dice, size: int) -> tuple[str, str]:
    percent, whole = dice.between(2, 98), dice.between(11, 1500 * size)
    return f"What is {percent}% of {whole}? Give the exact value.", str(Fraction(percent * whole, 100))


def price_changes(dice: Dice, size: int) -> tuple[str, str]:
    price, up, down = 20 * dice.between(1, 40 * size), 5 * dice.between(1, 15), 5 * dice.between(1, 15)
    result = Fraction(price * (100 + up) * (100 - down), 10_000)
    return (
        f"A price of {price} goes up by {up}% and then the new price goes down by {down}%. "
        "What is the price in the end? Give the exact value.",
        str(result),
    )


def common_divisor(dice: Dice, size: int) -> tuple[str, str]:
    factor = dice.between(2, 20 * size)
    a, b = factor * dice.between(2, 40 * size), factor * dice.between(2, 40 * size)
    return f"What is the greatest common divisor of {a} and {b}?", str(math.gcd(a, b))


def common_multiple(dice: Dice, size: int) -> tuple[str, str]:
    a, b, c = (dice.between(4, 40 + 20 * size) for _ in range(3))
    return f"What is the smallest positive number that {a}, {b} and {c} all divide?", str(math.lcm(a, b, c))


def remainder_of_power(dice: Dice, size: int) -> tuple[str, str]:
    base, exponent, modulus = dice.between(2, 50), dice.between(5, 50 * size), dice.between(5, 12 + 10 * size)
    return f"What is the remainder when {base}^{exponent} is divided by {modulus}?", str(pow(base, exponent, modulus))


def remainder_of_product(dice: Dice, size: int) -> tuple[str, str]:
    a, b = dice.between(100, 100 * 10**size), dice.between(100, 999)
    modulus = dice.between(6, 25 * size)
    return f"Which number from 0 to {modulus - 1} leaves {a} * {b} when divided by {modulus}?", str(a * b % modulus)


def divisor_count(dice: Dice, size: int) -> tuple[str, str]:
    number, count = dice.pick(_LARGE_PRIMES) * dice.pick(_LARGER_PRIMES), 4
    for prime, limit in ((2, 2 + size), (3, 1 + size), (5, size), (7, 1)):
        exponent = dice.between(0, limit)
        number, count = number * prime**exponent, count * (exponent + 1)
    return f"How many positive divisors does {number} have?", str(count)


def digit_sum(dice: Dice, size: int) -> tuple[str, str]:
    a, b = dice.between(100, 999), dice.between(11, 10 ** (size + 1))
    return f"What is the sum of the decimal digits of {a} * {b}?", str(sum(map(int, str(a * b))))


def committees(dice: Dice, size: int) -> tuple[str, str]:
    women, men = dice.between(3, 8 + 3 * size), dice.between(3, 8 + 3 * size)
    chosen_women, chosen_men = dice.between(1, min(3, women)), dice.between(1, min(3, men))
    room = dice.between(2, 12 * size)
    ways = math.comb(women, chosen_women) * math.comb(men, chosen_men) * room
    return (
        f"A club has {women} women and {men} men. It picks {chosen_women} of the women and {chosen_men} of the men "
        f"for a trip, and one of {room} destinations. In how many ways can this be done?",
        str(ways),
    )


def balls(dice: Dice, size: int) -> tuple[str, str]:
    red, green, blue = (dice.between(2, 12 + 6 * size) for _ in range(3))
    total = red + green + blue
    pairs = math.comb(total, 2)
    match dice.below(3):
        case 0:
            event, ways = "both are red", math.comb(red, 2)
        case 1:
            event, ways = "one is red and the other is blue", red * blue
        case _:
            event, ways = "they have different colours", red * green + red * blue + green * blue
    return (
        f"A bag holds {red} red, {green} green and {blue} blue balls. Two are drawn at once. "
        f"What is the probability that {event}?",
        str(Fraction(ways, pairs)),
    )


def spinners(dice: Dice, size: int) -> tuple[str, str]:
    first, second = dice.between(4, 20 * size), dice.between(4, 20 * size)
    at_least = dice.between(3, first + second)
    ways = sum(min(second, max(0, second + 1 - (at_least - a))) for a in range(1, first + 1))
    return (
        f"One wheel shows the numbers 1 to {first}, another 1 to {second}, all equally likely. Both are spun. "
        f"What is the probability that the sum is at least {at_least}?",
        str(Fraction(ways, first * second)),
    )

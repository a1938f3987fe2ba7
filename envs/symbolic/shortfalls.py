r"""By how much a formula falls short of a form: of being factored, expanded, in lowest terms, and so on.

Each measure is a few lines over the `rooted` tree of one value, and is read only beside another: an answer may fall as
short of a form as the truth does. So no measure can make a truth wrong, however strict it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction

from mtgrpo_env.envs.symbolic.normal import ONE, factors, folded, rational, terms
from mtgrpo_env.envs.symbolic.tree import Node, nodes

Shortfall = Callable[[Node], int]
"""Of one value; 0 or less where it has the form."""

_MAX_DIVISOR = 1000
_FUNCTIONS = frozenset({"call", "log"})
_TEN = Node("number", text="10")


def missing_factors(tree: Node) -> int:
    """Less by one for every factor with a variable: `x^2 - 1` has one, `(x - 1)(x + 1)` two."""
    return -sum(map(_num_factors, factors(tree)))


def common_divisors(tree: Node) -> int:
    """Sums among the factors whose terms have a number in common, such as `2x + 4`."""
    return sum(has_variable(factor) and _content(factor) not in (None, 1) for factor in factors(tree))


def products_of_sums(tree: Node) -> int:
    r"""Products and powers of sums that could be multiplied out; without a variable, `\frac{1+\sqrt5}{2}` may stay."""
    return sum(_num_sums(node) > (not has_variable(node)) for node in nodes(tree))


def products_of_two_sums(tree: Node) -> int:
    r"""The same, but `2(x + 1)` may stay, too."""
    return sum(_num_sums(node) > 1 for node in nodes(tree))


def num_terms(tree: Node) -> int:
    """How many terms there are; a mixed number is one."""
    return 1 if rational(tree) is not None else len(terms(tree))


def uncollected_terms(tree: Node) -> int:
    """Terms that others differ from by a number alone: `2x + 3x`."""
    sums = [node for node in nodes(tree) if _is_open(node)]
    return sum(len(node.args) - len({_without_coefficient(term) for term in node.args}) for node in sums)


def uncollected_factors(tree: Node) -> int:
    """Factors that are powers of what others are powers of, and powers of powers: `x^2 * x`, `(x^2)^3`."""
    products = [[_base(arg) for arg in node.args] for node in nodes(tree) if node.head == "multiply"]
    doubled = sum(len(bases) - len(set(bases)) for bases in products)
    return doubled + sum(node.head == "power" and node.args[0].head == "power" for node in nodes(tree))


def unfinished_arithmetic(tree: Node) -> int:
    r"""Operations on numbers that are left to do: `7^2`, `2 \cdot 3x`, `x + 1 + 2`, `i^3`."""
    if rational(tree) is not None:
        return min(no_fraction(tree), no_decimal(tree), no_mixed_number(tree), no_scientific_notation(tree))
    numbers = [arg for arg in tree.args if rational(arg) is not None] if tree.head in ("add", "multiply") else []
    above = [arg for arg in numbers if tree.head == "add" or arg.head != "reciprocal"]
    left = max(0, len(above) - 1) + max(0, len(numbers) - len(above) - 1)
    return left + _is_power_of_i(tree) + sum(map(unfinished_arithmetic, tree.args))


def unreduced_fractions(tree: Node) -> int:
    r"""Fractions with a common factor above and below: `\frac{4}{6}`, `\frac{2x+4}{2}`, `\frac{x}{x}`."""
    inside = 0 if tree.head in _FUNCTIONS else sum(map(unreduced_fractions, tree.args))  # degrees are parts of 180
    return inside + (tree.head in ("multiply", "reciprocal") and _is_unreduced(tree))


def denominator_degree(tree: Node) -> int:
    """The degree of all denominators together."""
    if tree.head == "reciprocal":
        return _degree(tree.args[0])
    return sum(map(denominator_degree, tree.args))


def largest_denominator(tree: Node) -> int:
    """The degree of the largest denominator of a term."""
    return max(map(_degree_below, terms(tree)))


def missing_fractions(tree: Node) -> int:
    """Less by one for every term with a variable below."""
    return -sum(_degree_below(term) > 0 for term in terms(tree))


def roots_below(tree: Node) -> int:
    r"""Denominators that hold a root, or i."""
    below = [node.args[0] for node in nodes(tree) if node.head == "reciprocal"]
    return sum(any(node.head == "root" or node.text == "i" for node in nodes(tree)) for tree in below)


def num_roots(tree: Node) -> int:
    """How many roots there are."""
    return sum(node.head == "root" for node in nodes(tree))


def reducible_roots(tree: Node) -> int:
    r"""Roots of numbers that a factor could be taken out of, or that hold a fraction: `\sqrt{288}`, `\sqrt{1/2}`."""
    return sum(node.head == "root" and _is_reducible(*node.args) for node in nodes(tree))


def functions_of_numbers(tree: Node) -> int:
    r"""1 where there is a function whose value could be worked out, such as `\sin 75^\circ`, `e^{\pi i/3}`."""
    return int(any(_is_function(node) and not has_variable(node) for node in nodes(tree)))


def num_logarithms(tree: Node) -> int:
    """How many logarithms there are."""
    return sum(node.head == "log" or node.text in ("log", "ln") for node in nodes(tree))


def num_variables(tree: Node) -> int:
    """How often variables stand in it: in `(x + 1)^2 + 2` once."""
    return sum(node.head == "symbol" for node in nodes(tree))


def composite_factors(tree: Node) -> int:
    r"""Factors of a whole number that are no powers of primes: in `8 \cdot 45` both."""
    bases = [factor.args[0] if factor.head == "power" else factor for factor in factors(tree)]
    return sum(not _is_prime(rational(base)) for base in bases)


def no_fraction(tree: Node) -> int:
    """0 for a whole number or a fraction of two."""
    above = [factor for factor in factors(tree) if factor.head != "reciprocal"]
    below = denominators(tree)
    is_whole = all(part.head == "number" and part.text.isdecimal() for part in (*above, *below))
    return int(not (len(above) <= 1 and len(below) <= 1 and is_whole))


def no_decimal(tree: Node) -> int:
    """0 for digits."""
    return int(tree.head != "number" and not (tree.head == "negate" and tree.args[0].head == "number"))


def no_mixed_number(tree: Node) -> int:
    """0 for a whole number, a proper fraction, or the sum of both; a minus sign stands before all of it."""
    if any(map(no_fraction, terms(tree))):
        return 1
    known = [value for term in terms(tree) if (value := rational(term)) is not None]
    proper = [value for value in known if value.denominator > 1 and abs(value) < 1]
    whole = [value for value in known if value.denominator == 1]
    fits = len(proper) <= 1 and len(whole) <= 1 and len(proper) + len(whole) == len(known)
    return int(not fits or len({value > 0 for value in known}) > 1)


def no_scientific_notation(tree: Node) -> int:
    """0 for a number from 1 to 10 times a power of ten."""
    parts = [*factors(tree), *denominators(tree)]
    powers = [node for node in parts if node == _TEN or (node.head == "power" and node.args[0] == _TEN)]
    numbers = [rational(node) for node in factors(tree) if node.head == "number" and node != _TEN]
    known = all(number is not None and 1 <= number < 10 for number in numbers)
    return int(not (len(powers) == 1 and len(numbers) <= 1 and len(factors(tree)) <= 2 and known))


def no_pi(tree: Node) -> int:
    """0 for a multiple of pi, and whatever else holds it."""
    return int(not any(node.head == "constant" and node.text == "pi" for node in nodes(tree)))


def denominators(tree: Node) -> list[Node]:
    """What stands below in a product."""
    return [factor.args[0] for factor in factors(tree) if factor.head == "reciprocal"]


def has_variable(tree: Node) -> bool:
    """Whether there is a variable in a tree."""
    return any(node.head == "symbol" for node in nodes(tree))


def _is_function(tree: Node) -> bool:
    is_complex = tree.head == "power" and any(node.text == "i" for node in nodes(tree.args[1]))
    return is_complex or tree.head in _FUNCTIONS


def _is_power_of_i(tree: Node) -> bool:
    return tree.head == "power" and tree.args[0].text == "i" and rational(tree.args[1]) is not None


def _num_factors(tree: Node) -> int:
    if not has_variable(tree):
        return 0
    if tree.head == "power":
        exponent = rational(tree.args[1])
        is_whole = exponent is not None and exponent.denominator == 1 and tree.args[0].head != "root"
        times = int(exponent) if exponent is not None and is_whole else 1
        return max(1, times) * sum(map(_num_factors, factors(tree.args[0])))
    return -1 if tree.head == "reciprocal" else 1


def _num_sums(tree: Node) -> int:
    """How many sums a product or a power multiplies."""
    if tree.head == "power":
        exponent = rational(tree.args[1])
        is_whole = exponent is not None and exponent.denominator == 1
        return 2 * (is_whole and _is_open(tree.args[0]))
    return sum(map(_is_open, tree.args)) if tree.head == "multiply" else 0


def _is_open(tree: Node) -> bool:
    return tree.head == "add" and rational(tree) is None


def _content(tree: Node) -> int | None:
    """What divides all terms of a sum with whole coefficients."""
    if tree.head == "power":
        tree = tree.args[0]
    coefficients = list(map(_coefficient, terms(tree)))
    if len(coefficients) < 2 or any(number.denominator > 1 for number in coefficients):
        return None
    return math.gcd(*(number.numerator for number in coefficients))


def _coefficient(term: Node) -> Fraction:
    product = folded(Node("multiply", (ONE, term)))
    sign = -1 if product.head == "negate" else 1
    numbers = [value for factor in factors(product) if (value := rational(factor)) is not None]
    return sign * math.prod(numbers, start=Fraction(1))


def _without_coefficient(term: Node) -> Node:
    rest = tuple(factor for factor in factors(folded(term)) if rational(factor) is None)
    return Node("multiply", rest)


def _is_unreduced(tree: Node) -> bool:
    below = denominators(tree)
    above = [factor for factor in factors(tree) if factor.head != "reciprocal"]
    if not below or any(factor.head == "power" and factor.args[0] == _TEN for factor in below):  # 6 * 10^-7
        return False
    if set(map(folded, below)) & set(map(folded, above)) or any(rational(factor) == 1 for factor in below):
        return True
    numbers = [value for factor in (*above, *below) if (value := rational(factor)) is not None]
    if any(value.denominator > 1 for value in numbers):
        return True
    return math.gcd(_whole_part(above), _whole_part(below)) > 1


def _whole_part(trees: Iterable[Node]) -> int:
    """The product of the whole numbers among factors, and of those that divide the sums among them."""
    total = 1
    for tree in trees:
        value = rational(tree)
        total *= (_content(tree) or 1) if value is None else value.numerator
    return total


def _base(tree: Node) -> Node:
    return tree.args[0] if tree.head == "power" else tree


def _degree_below(term: Node) -> int:
    return sum(map(_degree, denominators(term)))


def _degree(tree: Node) -> int:
    match tree:
        case Node("symbol"):
            return 1
        case Node("multiply"):
            return sum(map(_degree, tree.args))
        case Node("power", (base, exponent)):
            value = rational(exponent)
            return _degree(base) * (max(1, int(value)) if value is not None else 1)
        case _:
            return max(map(_degree, tree.args), default=0)


def _is_reducible(radicand: Node, degree: Node) -> bool:
    """Whether a root holds a fraction, or a factor that could be taken out of it."""
    value, times = rational(radicand), rational(degree)
    number = abs(_coefficient(radicand) if value is None else value)
    if number.denominator > 1 or value in (0, 1):
        return True
    if times is None or times.denominator > 1 or times < 2:
        return False
    power, whole = times.numerator, number.numerator
    largest = 2 ** (whole.bit_length() // power + 1) if power < whole.bit_length() else 1
    return any(whole % divisor**power == 0 for divisor in range(2, min(_MAX_DIVISOR, largest) + 1))


def _is_prime(value: Fraction | None) -> bool:
    """Up to a million; a larger number is one if it has no small divisor."""
    if value is None or value.denominator > 1 or value < 2:
        return False
    return all(value.numerator % divisor for divisor in range(2, min(_MAX_DIVISOR, math.isqrt(value.numerator)) + 1))

r"""The form that a question asks for: factored, expanded, a reduced fraction, in minutes, in increasing order, etc.

The value alone is no answer to "Factor $x^2 - 1$" or "Write $\frac46$ in lowest terms". An answer may fall as short of
a form as the truth does, and no further: what the truth does not do is not asked of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache

from mtgrpo_env.envs.symbolic import notations, shortfalls
from mtgrpo_env.envs.symbolic.formulas import repeats_verbatim, values
from mtgrpo_env.envs.symbolic.meaning import is_equation
from mtgrpo_env.envs.symbolic.normal import folded, rational, rooted
from mtgrpo_env.envs.symbolic.shortfalls import Shortfall
from mtgrpo_env.envs.symbolic.tree import Node, members, nodes
from mtgrpo_env.envs.symbolic.units import Unit, units
from mtgrpo_env.envs.symbolic.vocabulary import DIGITS

_MAX_QUESTION = 20_000  # characters that are looked at


_REDUCED = (shortfalls.unreduced_fractions, notations.unreduced_ratios, notations.nested_fractions)
_FRACTION = (shortfalls.no_fraction, notations.nested_fractions)
_RATIONALISED = (shortfalls.roots_below, shortfalls.reducible_roots)
_EVALUATED = (shortfalls.functions_of_numbers,)
_EXPANDED = (
    shortfalls.products_of_sums,
    shortfalls.uncollected_terms,
    shortfalls.unfinished_arithmetic,
    notations.unfinished_exponents,
)
_SIMPLIFIED = (
    *_REDUCED,
    *_RATIONALISED,
    *_EVALUATED,
    shortfalls.unfinished_arithmetic,
    shortfalls.uncollected_terms,
    shortfalls.uncollected_factors,
    shortfalls.denominator_degree,
    shortfalls.num_roots,
    notations.unfinished_exponents,
)

_IN_FORM = r"\b(?:as|to|into|in)(?: an?)?(?: \w+)?"  # "as a", "in simplified", "as a reduced"
_ALONE = r"\b(?!,? or\b)"
_ASKED: Sequence[tuple[str, tuple[Shortfall, ...]]] = (
    (
        r"(?<!common )(?<!scale )(?<!prime )(?<!what )(?<!\ba )\bfactor(?:i[sz]e|ed|i[sz]ation)?\b(?! of\b)"
        r"|\bas (?:a|the) product of\b",
        (shortfalls.missing_factors, shortfalls.common_divisors, shortfalls.denominator_degree),
    ),
    (r"\bprime factori[sz]ation\b|\bproduct of (?:its )?primes?\b", (shortfalls.composite_factors,)),
    (r"\bexpand(?:ed form)?\b|\bmultiply\b|\bmultiplied out\b|\bdistribute\b|\bfind the product\b", _EXPANDED),
    (
        r"\b(?:combine|collect)(?: the)? like terms\b|\b(?:add|subtract) (?:the (?:polynomial|expression)|\\?[$(\[])",
        (shortfalls.uncollected_terms,),
    ),
    (r"\bdivided?\b|\bquotient\b", (shortfalls.largest_denominator,)),
    (
        r"\bform \$?a ?\+ ?bi\b|\brectangular form\b",
        (shortfalls.products_of_two_sums, shortfalls.unfinished_arithmetic, *_RATIONALISED, *_EVALUATED),
    ),
    (r"\bsimplif(?:y|ied)\b|\bsimplest\b|\breduce (?:\$?\\sqrt|the (?:radical|root)\b)", _SIMPLIFIED),
    (r"\brationali[sz]ed?\b|\brational denominator\b|\b(?:radical|root)s? in the denominator\b", _RATIONALISED),
    (r"\bpartial fractions?\b", (shortfalls.largest_denominator, shortfalls.missing_fractions)),
    (
        r"\blowest terms\b|\breduced? (?:\w+ )?(?:fraction|form|ratio)|\bfully reduced\b|\birreducible fraction"
        r"|\b(?:relatively prime|coprime)\b|\bno common (?:factor|divisor)"
        r"|\breduce (?:\$?\\?[dt]?frac|\$?[0-9]|the fraction)",
        _REDUCED,
    ),
    (r"(?<!ratio in )\blowest terms\b|\b(?:reduced|irreducible) fraction\b", _FRACTION),
    (r"\bcommon fraction" + _ALONE, (*_FRACTION, *_REDUCED)),
    (_IN_FORM + r" fraction" + _ALONE, _FRACTION),
    (_IN_FORM + r" mixed number" + _ALONE, (shortfalls.no_mixed_number, *_REDUCED)),
    (_IN_FORM + r" decimal" + _ALONE + r"|\bdecimal (?:form|notation)\b", (shortfalls.no_decimal,)),
    (
        r"\bscientific notation\b|\bstandard (?:index )?form\b",
        (notations.unscientific_numbers, notations.unfinished_exponents, shortfalls.products_of_sums),
    ),
    (r"10 ?\^.{0,60}\bstandard form\b|\bstandard notation\b|\bordinary number\b", (shortfalls.no_decimal,)),
    (_IN_FORM + r" (?:per ?cent(?:age)?s?\b|\\?%)|\bwhat per ?cent", (notations.worked_out_percent,)),
    (r"\binterval (?:notation|form)\b|\bas (?:an interval|a union of intervals)\b", (notations.inequality,)),
    (r"\bas an inequality\b|\binequality notation\b|\bset[- ]builder\b", (notations.no_inequality,)),
    (r"\bform \$?(?:\\[dt]?frac ?\{?[a-z]\}? ?\{?[a-z]\}?|[a-z] ?/ ?[a-z])(?= ?(?:[$.,;?)]|$| [a-z]{2,}))", _FRACTION),
    (r"\bform \$?[^$.?]{0,40}\\sqrt", (shortfalls.num_roots, shortfalls.products_of_two_sums, *_RATIONALISED)),
    (r"\bin terms of (?:\$?\\?pi\b|\$?π)", (shortfalls.no_pi,)),
    (r"\bas a single fraction\b", (shortfalls.num_terms, notations.nested_fractions)),
    (r"\bas a single logarithm\b", (shortfalls.num_logarithms,)),
    (
        r"\bas a (?:single )?power\b|\bin exponential form\b|\bas \$?[0-9a-z] ?\^",
        (notations.no_power, notations.unfinished_exponents),
    ),
    (r"\bvertex form\b|\bcomplet(?:e|ing) the square\b", (shortfalls.num_variables,)),
    (r"\b(?:compute|calculate|evaluate|exact value)\b", _EVALUATED),
)
_PATTERNS = [(re.compile(words), forms) for words, forms in _ASKED]
_BASE_WORDS = DIGITS | {"binary": "2", "ternary": "3", "octal": "8", "hexadecimal": "16"}
_PERCENT = re.compile(r"%|\bper ?cent|\bpct\b")
_CONVERTED = re.compile(r"\bconvert\b|\bhow many\b")
_UNIT = re.compile(r"\b(?:how many|in|to) ((?:(?:square|cubic) )?(?:[a-z]+s|feet))\b")
_SIZES = r"(?:least|greatest|smallest|largest|lowest|highest|shortest|longest)"
_ORDER = rf"(?:\b(?:\w+ing|alphabetical|numerical) order\b|\b{_SIZES} to {_SIZES}\b|\bin order\b(?! to\b| that\b))"
_LIST = r"\b(?:list|arrange|order|sort|rank|put|write|give|enter|express|state|name|find|what are)\b"
_SENTENCE = r"(?:[^.?!]|\.[0-9]){0,200}?"
_ORDERED = re.compile(
    rf"{_LIST}{_SENTENCE}{_ORDER}|{_ORDER}{_SENTENCE}{_LIST}|{_LIST} the (?:first|next) (?:\w+ )?terms\b"
)
_SOLVED = re.compile(r"\bsolve\b.{0,200}\bfor\b|\bslope-intercept\b|\bin terms of\b|\bform \$?y ?=", re.DOTALL)


@lru_cache(maxsize=4096)
def asked_forms(question: str) -> tuple[Shortfall, ...]:
    """What a question asks an answer to be, beyond its value: measures of how far it is not.

    >>> [form.__name__ for form in asked_forms("Find the quotient as a decimal.")]
    ['largest_denominator', 'no_decimal']
    """
    text = question[:_MAX_QUESTION].casefold()
    return tuple(dict.fromkeys(form for words, forms in _PATTERNS if words.search(text) for form in forms))


def has_asked_form(question: str, truth: Sequence[Node], answer: Sequence[Node]) -> bool:
    """Whether an answer is in the form that the question asks for, as far as the truth is.

    >>> from mtgrpo_env.envs.symbolic.readings import readings
    >>> [has_asked_form("Factor.", readings("x(x-1)"), readings(text)) for text in ("(x-1)x", "x^2-x", "-(x-x^2)")]
    [True, False, False]

    Args:
        question: text from a file.
        truth: the readings of the truth.
        answer: the readings of an answer.
    """
    if asks_to_solve(question) and any(map(_is_solved, truth)):
        wanted = {name for tree in truth for name in _solved_names(tree)}
        if any(_is_unsolved(tree) or not _solved_names(tree) <= wanted for tree in answer):
            return False
    forms = asked_forms(question)
    if any(_is_in_unnamed_base(tree, question) for tree in answer) and not any(_bases(tree) for tree in truth):
        return False
    if not speaks_of_percent(question) and _makes_share_a_percentage(truth, answer):
        return False
    if not _has_asked_unit(question, truth, answer) or (forms and repeats_verbatim(question, truth, answer)):
        return False
    is_ordered, forms = _asks_for_order(question), (*forms, *_EVALUATED)
    return any(
        (not is_ordered or _in_one_order(right, given)) and _falls_no_shorter(forms, right, given)
        for right in truth
        for given in answer
    )


@lru_cache(maxsize=4096)
def asks_to_solve(question: str) -> bool:
    """Whether a question asks for an equation to be solved for a variable."""
    return _SOLVED.search(question[:_MAX_QUESTION].casefold()) is not None


@lru_cache(maxsize=4096)
def speaks_of_percent(question: str) -> bool:
    """Whether a question has a word or sign for per cent, so that a truth below 1 may be a percentage."""
    return _PERCENT.search(question[:_MAX_QUESTION].casefold()) is not None


def _makes_share_a_percentage(truth: Sequence[Node], answer: Sequence[Node]) -> bool:
    """Whether an answer puts the sign of per cent behind a share as it is: 0.5 is no 0.5 %."""
    given = {rational(node.args[0]) for tree in answer for node in nodes(tree) if node.head == "percent"}
    wanted = {rational(value) for tree in truth for value in members(tree)} if given else set()
    return any(value is not None and 0 < abs(value) < 1 for value in given & wanted)


def _bases(tree: Node) -> set[str]:
    return {node.args[0].text for node in nodes(tree) if node.head == "based"}


def _is_in_unnamed_base(tree: Node, question: str) -> bool:
    """Whether a numeral is in a base that the question does not name: the truth 12 is no `12_5`."""
    asked = question[:_MAX_QUESTION].casefold() if (bases := _bases(tree)) else ""
    names = {base: (base, *(word for word, digits in _BASE_WORDS.items() if digits == base)) for base in bases}
    return any(base != "10" and not any(name in asked for name in names[base]) for base in bases)


@lru_cache(maxsize=4096)
def _asked_units(question: str) -> frozenset[Unit]:
    """The units that a question asks for: "how many minutes", "in square meters"."""
    return frozenset(unit for words in _UNIT.findall(question[:_MAX_QUESTION].casefold()) for unit in units(words))


def _has_asked_unit(question: str, truth: Sequence[Node], answer: Sequence[Node]) -> bool:
    """Whether no quantity of an answer is in a unit that could be converted to the one that is asked for."""
    given, asked = list(_units(answer)), _asked_units(question)
    if not given or not (asked or _CONVERTED.search(question[:_MAX_QUESTION].casefold())):
        return True
    wanted = {unit for found in _units(truth) for unit in found} or asked
    dimensions = {unit.dimension for unit in wanted}
    return all(found & wanted or dimensions.isdisjoint(unit.dimension for unit in found) for found in given)


def _units(trees: Sequence[Node]) -> Iterator[set[Unit]]:
    """What the unit of each quantity may be."""
    for tree in trees:
        yield from (set(units(node.text)) for node in nodes(tree) if node.head == "quantity")


@lru_cache(maxsize=4096)
def _asks_for_order(question: str) -> bool:
    return _ORDERED.search(question[:_MAX_QUESTION].casefold()) is not None


def _in_one_order(truth: Node, answer: Node) -> bool:
    """Whether two lists have their values in the same order; values that only one of them has may stand anywhere."""
    right, given = (list(map(_key, members(tree))) for tree in (truth, answer))
    pairs = zip(right, given, strict=True) if len(right) == len(given) else ()
    return all(left == other or not (left in given or other in right) for left, other in pairs)


def _key(member: Node) -> Node | Fraction:
    """The same for values that are written alike, and for rational values."""
    value = next(iter(values(member)), member)
    number = rational(value)
    return folded(value) if number is None else number


def _falls_no_shorter(forms: Sequence[Shortfall], truth: Node, answer: Node) -> bool:
    pairs = zip(_shortfalls(forms, truth), _shortfalls(forms, answer), strict=True)
    return all(given <= right for right, given in pairs)


def _shortfalls(forms: Sequence[Shortfall], tree: Node) -> list[int]:
    rooted_values = list(map(rooted, values(tree)))
    return [form(tree) if form in notations.NOTATIONS else max(map(form, rooted_values), default=0) for form in forms]


def _is_solved(tree: Node) -> bool:
    """Whether there are equations, and each says what a variable is by others."""
    equations = [node for node in nodes(tree) if is_equation(node)]
    return bool(equations) and not any(map(_is_unsolved, equations))


def _is_unsolved(tree: Node) -> bool:
    """Whether there is an equation that does not say what a variable is by others."""
    return any(is_equation(node) and not _has_name(node) for node in nodes(tree))


def _solved_names(tree: Node) -> set[str]:
    """The variables that equations say to be others, or at least something."""
    return {name for node in nodes(tree) if is_equation(node) for name in _names(node)}


def _has_name(equation: Node) -> bool:
    return bool(_names(equation))


def _names(equation: Node) -> set[str]:
    names = {side.text for side in equation.args if side.head == "symbol"}
    return {name for name in names if sum(node.text == name for node in nodes(equation)) == 1}

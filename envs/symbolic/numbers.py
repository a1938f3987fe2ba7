r"""Reading one written number exactly, in this process and in bounded time."""

from __future__ import annotations

import re
from fractions import Fraction

from mtgrpo_env.envs.symbolic.exact import NoValue, exact_value
from mtgrpo_env.envs.symbolic.readings import is_worked_out
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError

_SCIENTIFIC = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?[eE][+-]?[0-9]{1,3}")
_SCALED = re.compile(
    r"(?i)(?<![a-z])(?:hundred|thousand|[mbtr]+illion|dozen|squared|cubed|plus|minus|times|half)(?![a-z])"
)
_WITH_NOUN = re.compile(r"(.*[0-9%])[ \t]+([A-Za-z]{2,}(?:[ -][A-Za-z]{2,}){0,3})", re.DOTALL)
_NAMED = re.compile(r"[A-Za-z]{1,10}[ \t]*=(?!=)(.*)", re.DOTALL)
_NO_NOUNS = frozenset(
    {"and", "are", "as", "at", "by", "for", "in", "is", "minus", "no", "nor", "not", "of", "on", "or", "over", "per"}
    | {"plus", "than", "times", "to", "wrong"}
)
_MAX_LENGTH = 1000
_CURRENCIES = str.maketrans(dict.fromkeys("€£¥₹", "$"))  # a dollar sign is typesetting to the grammar


def written_number(text: str) -> Fraction | None:
    r"""The value of a text that is one number, exactly; None for anything else, a sum to be worked out included.

    Signs, thousands separators, decimals, fractions and mixed numbers count, in plain text or LaTeX, and so does
    `6.02e23`. Currency and percent signs, units, and one to four words that name what is counted are dropped, never
    converted: `50%` is 50, and so is `50 red apples`. So is the name in `x = 50`. "Million" and the like are no nouns.

    >>> written_number("$1,234.50") == written_number("1234.5"), written_number(r"\frac{1}{2}")
    (True, Fraction(1, 2))
    >>> print(written_number("1, 2"), written_number("3*4"), written_number("72/0"), written_number("٣"))
    None None None None
    """
    text = text.strip()
    if len(text) > _MAX_LENGTH or _SCALED.search(text):
        return None
    if named := _NAMED.fullmatch(text):
        text = named[1].strip()
    value = _bare_number(text)
    if value is None and (counted := _WITH_NOUN.fullmatch(text)):
        words = counted[2].casefold().replace("-", " ").split()
        value = None if _NO_NOUNS & set(words) else _bare_number(counted[1])
    return value


def _bare_number(text: str) -> Fraction | None:
    if _SCIENTIFIC.fullmatch(text):
        return Fraction(text)
    try:
        tree = parse(text.translate(_CURRENCIES))
        if tree.head == "percent":
            (tree,) = tree.args
        return exact_value(tree) if is_worked_out(tree) else None
    except (MathSyntaxError, NoValue):
        return None

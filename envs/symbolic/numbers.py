r"""Reading one written number exactly, in this process and in bounded time."""

from __future__ import annotations

import re
from fractions import Fraction

from mtgrpo_env.envs.symbolic.equality import is_worked_out
from mtgrpo_env.envs.symbolic.exact import NoValue, exact_value
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError

_SCIENTIFIC = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?[eE][+-]?[0-9]{1,3}")
_CURRENCIES = str.maketrans(dict.fromkeys("€£¥₹", "$"))  # a dollar sign is typesetting to the grammar


def written_number(text: str) -> Fraction | None:
    r"""The value of a text that is one number, exactly; None for anything else, a sum to be worked out included.

    Signs, thousands separators, decimals, fractions and mixed numbers count, in plain text or LaTeX, and so does
    `6.02e23`. Currency and percent signs and units are dropped, never converted: `50%` is 50.

    >>> written_number("$1,234.50") == written_number("1234.5"), written_number(r"\frac{1}{2}")
    (True, Fraction(1, 2))
    >>> print(written_number("1, 2"), written_number("3*4"), written_number("72/0"), written_number("٣"))
    None None None None
    """
    text = text.strip()
    if _SCIENTIFIC.fullmatch(text):
        return Fraction(text)
    try:
        tree = parse(text.translate(_CURRENCIES) if len(text) < 1000 else text)
        if tree.head == "percent":
            (tree,) = tree.args
        return exact_value(tree) if is_worked_out(tree) else None
    except (MathSyntaxError, NoValue):
        return None

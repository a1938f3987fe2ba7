r"""Grading antiderivatives: right if they differ from ours by a constant, whatever it is called and wherever it stands.

`+ C`, `C_1 +`, `- k`, `\pm c`, `+ 7` and none at all are the same answer. Formulas may be in LaTeX or Python
notation, after `F(x) =` or after the integral itself.
"""

from __future__ import annotations

import re

from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MAX_LENGTH, MathSyntaxError
from mtgrpo_env.envs.worker_pool import shared_pool
from mtgrpo_env.extras import require_package

_JUDGE = "mtgrpo_env.envs.symbolic.differences:differ_by_constant"
_LETTER = re.compile(r"\\(?:text|mathrm)\s{0,4}\{([A-Za-z ]{1,20})\}")
_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]{3,10}(?![A-Za-z])")
_WORDS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "const": "C", "constant": "C"}
_NUMBERED = re.compile(r"(?<![A-Za-z0-9_\\])([CKck])([0-9]{1,2})(?![A-Za-z0-9.])")
_NOTE = re.compile(
    r"[,;(\s]{1,4}(?:\\quad\s?|\\text\s?\{\s?)?"
    r"(?:where\b[A-Za-z ${}_\\]{1,40}\bconstant\b[A-Za-z .${}_)\\]{0,60}"
    r"|[A-Za-z](?:_[0-9])?\s?(?:\\in|∈)\s?(?:\\mathbb\s?\{?\s?R\s?\}?|R|ℝ)\)?)"
)
_LEFT_SIDE = re.compile(r"(?:\\int|∫)[^=]*|[A-Za-z](?:_\w)?(?:\([A-Za-z]\))?")


def same_antiderivative(truth: str, answer: str, *, variable: str) -> bool:
    r"""Whether two texts are antiderivatives of the same function.

    In a chain such as `\int 2x dx = x^2 + C` every side after the first must be one.

    Args:
        truth: ours, without a left side.
        answer: hostile input.
        variable: of the integral; either case of it, since some questions mix them.

    Raises:
        ScorerFailure: if the workers have no result.
        ImportError: if mpmath is not installed.
    """
    if len(answer) > MAX_LENGTH:
        return False
    sides = _sides(_plain(answer), variable)
    if not all(map(_is_formula, (truth := _plain(truth), *sides))):
        return False
    require_package("mpmath", user="judging antiderivatives")
    requests = [{"truth": truth, "answer": side, "variable": variable} for side in sides]
    return all(shared_pool(_JUDGE).call(request) for request in requests)


def _sides(text: str, variable: str) -> list[str]:
    first, *rest = [side.strip() for side in text.split("=")]
    named = _LEFT_SIDE.fullmatch(first) and first.casefold() != variable.casefold()
    return rest if rest and named else [first, *rest]


def _plain(text: str) -> str:
    """In our grammar's words, without a note on what kind of constant C is."""
    text = _LETTER.sub(lambda match: match[1], text.strip())
    note = next((match for match in _NOTE.finditer(text) if match.end() == len(text)), None)
    text = text[: note.start()] if note else text
    text = _WORD.sub(lambda match: _WORDS.get(match[0], match[0]), text)
    return _NUMBERED.sub(r"\1_\2", text)


def _is_formula(text: str) -> bool:
    try:
        parse(text)
    except MathSyntaxError:
        return False
    return True

r"""An answer's text in one spelling of each character and notation, before it is cut into tokens.

Every step is one regular expression without nested repetition; none is tried without the sign that it starts with.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mtgrpo_env.envs.dress import undressed
from mtgrpo_env.envs.symbolic import vocabulary as words_of

_EXPONENTS, _INDICES = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+"), re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_TIMES = re.compile(r"(?<=[0-9]) x (?=10 ?\^)")  # 2.5 x 10^3
_UNION = re.compile(r"(?<=[\])\[])\s*U\s*(?=[\[(\]])")
_OVER = re.compile(r"\{\s*([0-9]{1,40})\s*\\over\s*([0-9]{1,40})\s*\}")
_BASE = re.compile(  # (2516)_8, 2516_{(8)}, 2516 (base 8)
    r"\(([0-9A-F]{1,100})\)(?=_)|(?<=_)\{\(([0-9]{1,2})\)\}|(?<=_)\{(?:\\text\{)?\s*base\s*\}?\s*([0-9]{1,2})\}"
)
_BASE_BEHIND = re.compile(
    r"(?<=[0-9])(?:\s|\\[, ])*(?:\\text\{)?\s*\(?base[\s-]\s*\}?\s*([0-9]{1,2}|[a-z]{3,7})\)?\s*\}?$"
)
_INTEGER = re.compile(  # of the letter that counts the solutions: x = \pi k, k \in \mathbb{Z}
    r"(?:[\s,;(~]|\\[,;: (]|\\q?quad(?![a-z])|\\left\(|\\text\s*\{[ ,(]*(?:where|for|with)?\s*\})+"
    r"(?P<letter>[kmn])\s*(?:\\in\s*(?:\\mathbb\s*|\\mathbf\s*)?(?:\{\s*Z\s*\}|Z)"
    r"|\\text\s*\{\s*is an[ y]? ?integer\s*\})(?:\\right)?\)?$"
)
_SYSTEM = re.compile(r"\\left\s*\\\{((?:[^\\]|\\(?!begin|right|left))*)\\right\s*\.\s*$")  # a brace with no partner
_MIXED = re.compile(  # 3{\frac12}, as a font leaves it
    r"(?<=[0-9])\s*\{\s*(\\[dt]?frac\s*(?:\{[0-9]{1,40}\}|[0-9])\s*(?:\{[0-9]{1,40}\}|[0-9]))\s*\}"
)
_LINE_END = re.compile(r"(?<![\\.])[.,;](?=\s*(?:\\\\|\\end\s*\{))")  # of a system, as in "x = 4, \\ y = -9."
_REVERSED = re.compile(  # an interval whose open ends are brackets the other way round: ]2, 5]
    r"(?P<before>(?:^|\\(?:cup|cap|in|left|setminus)(?![A-Za-z])|[=(,;])(?:\s|\\[,;:! ]|~)*)(?P<first>[\[\]])"
    r"(?P<ends>[^\[\],;]{1,100}[,;][^\[\],;]{1,100})(?P<last>[\[\]])"
    r"(?=(?:\s|\\[,;:! ]|~)*(?:$|\\(?:cup|cap|setminus|left)(?![A-Za-z])|[),;]))"
)
_BRACKETED = r"\s*(?:\\left\s*)?\([^()=<>]{1,60}\)"
_OPERATOR = re.compile(  # a name with its argument: \det A = 7, \gcd(14, 21) = 7, \operatorname{Var}(X) = 7
    rf"^\s*\\(?:(?P<name>det|gcd|dim|deg|arg|max|min|sup|Re|Im)(?:\s+[A-Za-z]|{_BRACKETED})"
    rf"|text\s*\{{\s*(?P<word>[A-Za-z]{{1,20}})\s*\}}{_BRACKETED})\s*(?==)"
)
_ROUND = {"]": "(", "[": ")"}
_ANGLES = re.compile(r"(?:^|(?<==))\s*<([^<>=,]{1,100}(?:,[^<>=,]{1,100}){1,9})>\s*$")
_REALS = re.compile(r"(?:^\s*|(?<=\\in)\s*)\{?R\}?(?=\s*(?:$|\\setminus|\\backslash|[-,;|:]|\\mid|\\\}))")


@lru_cache(maxsize=64)
def plain_text(text: str) -> str:
    r"""Text without its dress and with one spelling of each character; kept, as one text is read in several ways.

    >>> plain_text(r"\mathbf{x} ∈ ]2, 5²]"), plain_text(r"<1, 2>"), plain_text(r"x = 4, \\ y = 5.")
    ('{x} \\in  (2, 5^2]', '\\langle 1, 2\\rangle ', 'x = 4 \\\\ y = 5')
    """
    text = _in_one_spelling(text)
    return _without_latex_ways(text) if "\\" in text else text


def counting_letter(text: str) -> str:
    r"""The letter of a text that any whole number may stand for; "" without one.

    >>> counting_letter(r"x = 2\pi n, n \in \mathbb{Z}"), counting_letter("2n")
    ('n', '')
    """
    found = _INTEGER.search(_in_one_spelling(text)) if "Z" in text or "ℤ" in text or "integer" in text else None
    return found["letter"] if found else ""


def _in_one_spelling(text: str) -> str:
    text = _TIMES.sub("*", undressed(text))
    if not text.isascii():
        text = _EXPONENTS.sub(lambda match: "^" + _group(match.group().translate(words_of.SUPERSCRIPTS)), text)
        text = _INDICES.sub(lambda match: "_" + _group(match.group().translate(words_of.SUBSCRIPTS)), text)
        text = text.translate(words_of.UNICODE)
    if "U" in text:
        text = _UNION.sub(r"\\cup ", text)
    if "R" in text:
        text = _REALS.sub(r"\\mathbb{R}", text)
    if "[" in text or "]" in text:
        text = _REVERSED.sub(_turned, text)
    if "base" in text or ")_" in text or "_{(" in text:
        text = _BASE_BEHIND.sub(r"_{\1}", _BASE.sub(lambda found: found[1] or f"{{{found[2] or found[3]}}}", text))
    if text.endswith(">"):
        text = _ANGLES.sub(r"\\langle \1\\rangle ", text)
    return text


def _without_latex_ways(text: str) -> str:
    if "Z" in text or "integer" in text:
        text = _INTEGER.sub("", text)
    if "=" in text:
        text = _OPERATOR.sub(lambda found: rf"\text{{{found['name'] or found['word']}}}", text)
    if "\\over" in text:
        text = _OVER.sub(r"\\frac{\1}{\2}", text)
    if text.endswith("."):
        text = _SYSTEM.sub(lambda found: found[1].rstrip(" .,;"), text)
    if "{\\" in text:
        text = _MIXED.sub(r"\1", text)
    return _LINE_END.sub("", text) if "\\\\" in text or "\\end" in text else text


def _group(digits: str) -> str:
    return digits if len(digits) == 1 else f"{{{digits}}}"


def _turned(found: re.Match[str]) -> str:
    first, last = found["first"], found["last"]
    opening = "[" if first == "[" else _ROUND[first]
    closing = "]" if last == "]" else _ROUND[last]
    return f"{found['before']}{opening}{found['ends']}{closing}"
